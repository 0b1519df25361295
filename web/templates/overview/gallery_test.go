package overview

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"

	"switchgear/web/templates/ui"
)

var update = flag.Bool("update", false, "write the golden files")

// TestGallery renders every state, compares it with its golden file and checks what holds for all pages.
func TestGallery(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, s := range Gallery() {
		name := strings.ReplaceAll(strings.ReplaceAll(strings.ToLower(s.Group+" "+s.Name), ",", ""), " ", "-")
		if seen[name] {
			t.Errorf("two states are called %q", name)
		}
		seen[name] = true
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var b bytes.Buffer
			if err := s.View.Render(t.Context(), &b); err != nil {
				t.Fatal(err)
			}
			// One tag a line, so that a difference is readable.
			compare(t, name, strings.ReplaceAll(b.String(), "><", ">\n<")+"\n")
			check(t, s, b.Bytes())
		})
	}
	files, err := filepath.Glob("testdata/*.golden.html")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if !seen[strings.TrimSuffix(filepath.Base(f), ".golden.html")] {
			t.Errorf("%s belongs to no state", f)
		}
	}
}

func compare(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name+".golden.html")
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatalf("%v (run the test with -update)", err)
	}
	if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(got, "\n")); diff != "" {
		t.Errorf("differs from %s (-want +got):\n%s", file, diff)
	}
}

// check holds the page to the rules that no golden file states: nothing inline, ids that are unique and
// exist where they are named, a name for every control and one first heading.
func check(t *testing.T, s ui.State, page []byte) {
	t.Helper()
	root, err := html.Parse(bytes.NewReader(page))
	if err != nil {
		t.Fatal(err)
	}
	ids, headings := map[string]int{}, 0
	for n := range root.Descendants() {
		if n.Type != html.ElementNode {
			continue
		}
		if id := attr(n, "id"); id != "" {
			ids[id]++
		}
		if n.DataAtom == atom.H1 {
			headings++
		}
		for _, a := range n.Attr {
			if a.Key == "style" || strings.HasPrefix(a.Key, "on") || strings.HasPrefix(a.Val, "javascript:") || strings.Contains(a.Val, "about:invalid") {
				t.Errorf("<%s> has %s=%q", n.Data, a.Key, a.Val)
			}
		}
		if n.DataAtom == atom.Style || (n.DataAtom == atom.Script && n.FirstChild != nil) {
			t.Errorf("<%s> is inline", n.Data)
		}
	}
	if s.Page && headings != 1 {
		t.Errorf("%d first headings", headings)
	}
	for id, n := range ids {
		if n > 1 {
			t.Errorf("%d elements have the id %q", n, id)
		}
	}
	for n := range root.Descendants() {
		if n.Type == html.ElementNode {
			checkElement(t, n, ids, s.Page)
		}
	}
}

func checkElement(t *testing.T, n *html.Node, ids map[string]int, whole bool) {
	t.Helper()
	if whole {
		named := attr(n, "for") + " " + attr(n, "aria-describedby") + " " + attr(n, "aria-labelledby") + " " + attr(n, "data-copy-from") +
			" " + attr(n, "data-open") + " " + strings.TrimPrefix(attr(n, "hx-target"), "#")
		for id := range strings.FieldsSeq(named) {
			if ids[id] == 0 {
				t.Errorf("<%s> names the id %q, which does not exist", n.Data, id)
			}
		}
	}
	switch n.Data {
	case "a", "button":
		if text(n) == "" && attr(n, "aria-label") == "" && attr(n, "aria-hidden") == "" {
			t.Errorf("<%s %v> has no name", n.Data, n.Attr)
		}
	case "input", "select", "textarea":
		if attr(n, "type") != "hidden" && !labelled(n) {
			t.Errorf("<%s name=%q> has no label", n.Data, attr(n, "name"))
		}
	case "table":
		if n.FirstChild == nil || n.FirstChild.DataAtom != atom.Caption {
			t.Error("a table has no caption")
		}
	}
}

// labelled reports whether a control has a name of its own, is inside its label, or a label names it.
func labelled(n *html.Node) bool {
	if attr(n, "aria-label") != "" {
		return true
	}
	top := n
	for p := range n.Ancestors() {
		if p.DataAtom == atom.Label {
			return true
		}
		top = p
	}
	for l := range top.Descendants() {
		if l.DataAtom == atom.Label && attr(l, "for") == attr(n, "id") && attr(n, "id") != "" {
			return true
		}
	}
	return false
}

func attr(n *html.Node, key string) string {
	for _, a := range n.Attr {
		if a.Key == key {
			return a.Val
		}
	}
	return ""
}

func text(n *html.Node) string {
	var b strings.Builder
	for c := range n.Descendants() {
		if c.Type == html.TextNode {
			b.WriteString(c.Data)
		}
	}
	return strings.TrimSpace(b.String())
}
