package access

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/html"
)

// document is a parsed page with what the checks ask for again and again.
type document struct {
	elements []*html.Node
	ids      map[string]int
	labelled map[string]bool // ids that a label points to
}

func parse(t *testing.T, source string) document {
	t.Helper()
	root, err := html.Parse(strings.NewReader(source))
	if err != nil {
		t.Fatal(err)
	}
	d := document{ids: map[string]int{}, labelled: map[string]bool{}}
	for n := range root.Descendants() {
		if n.Type != html.ElementNode || inTemplate(n) {
			continue
		}
		d.elements = append(d.elements, n)
		if id, ok := attribute(n, "id"); ok {
			d.ids[id]++
		}
		if target, ok := attribute(n, "for"); ok {
			d.labelled[target] = true
		}
	}
	return d
}

// inTemplate reports whether n is part of a shape for scripts, which is not in the page.
func inTemplate(n *html.Node) bool {
	for p := n.Parent; p != nil; p = p.Parent {
		if p.Data == "template" {
			return true
		}
	}
	return false
}

func attribute(n *html.Node, key string) (string, bool) {
	for _, a := range n.Attr {
		if a.Key == key {
			return a.Val, true
		}
	}
	return "", false
}

func value(n *html.Node, key string) string {
	v, _ := attribute(n, key)
	return v
}

func text(n *html.Node) string {
	var b strings.Builder
	for d := range n.Descendants() {
		if d.Type == html.TextNode {
			b.WriteString(d.Data)
		}
	}
	return strings.TrimSpace(b.String())
}

func within(n *html.Node, tag string) *html.Node {
	for p := n.Parent; p != nil; p = p.Parent {
		if p.Data == tag {
			return p
		}
	}
	return nil
}

// Every state is a page that the content security policy accepts and that a screen reader can use.
func TestPagesAreSound(t *testing.T) {
	t.Parallel()
	for _, s := range Gallery() {
		t.Run(goldenName(s), func(t *testing.T) {
			t.Parallel()
			d := parse(t, render(t, s))
			for id, n := range d.ids {
				if n > 1 {
					t.Errorf("id %q is used %d times", id, n)
				}
			}
			headings := 0
			for _, n := range d.elements {
				if n.Data == "h1" {
					headings++
				}
				checkInline(t, n)
				d.checkReferences(t, n)
				d.checkName(t, n)
				checkAddresses(t, n)
			}
			if s.Page && headings != 1 {
				t.Errorf("the page has %d main headings", headings)
			}
		})
	}
}

// checkInline finds what the content security policy forbids.
func checkInline(t *testing.T, n *html.Node) {
	t.Helper()
	for _, a := range n.Attr {
		if a.Key == "style" || strings.HasPrefix(a.Key, "on") || strings.HasPrefix(a.Key, "hx-on") {
			t.Errorf("<%s> has the attribute %s", n.Data, a.Key)
		}
	}
	if n.Data == "style" || n.Data == "script" && (value(n, "src") == "" || text(n) != "") {
		t.Errorf("inline <%s>", n.Data)
	}
}

// checkReferences finds references to elements that do not exist.
func (d document) checkReferences(t *testing.T, n *html.Node) {
	t.Helper()
	for _, key := range []string{"for", "form", "aria-describedby", "aria-labelledby", "aria-controls", "data-open", "data-copy-from", "data-reveal"} {
		for id := range strings.FieldsSeq(value(n, key)) {
			if d.ids[id] == 0 {
				t.Errorf("<%s %s=%q>: no element has this id", n.Data, key, id)
			}
		}
	}
	for _, key := range []string{"href", "hx-target"} {
		if id, ok := strings.CutPrefix(value(n, key), "#"); ok && d.ids[id] == 0 {
			t.Errorf("<%s %s=%q>: no element has this id", n.Data, key, "#"+id)
		}
	}
}

// checkName finds controls, links and groups without a name.
func (d document) checkName(t *testing.T, n *html.Node) {
	t.Helper()
	named := value(n, "aria-label") != "" || value(n, "aria-labelledby") != ""
	switch n.Data {
	case "input", "select", "textarea":
		if value(n, "type") != "hidden" && !named && !d.labelled[value(n, "id")] && within(n, "label") == nil {
			t.Errorf("<%s name=%q> has no label", n.Data, value(n, "name"))
		}
	case "a", "button", "th", "legend", "label", "h1", "h2", "caption":
		if !named && text(n) == "" && value(n, "aria-hidden") != "true" {
			t.Errorf("<%s> has no text", n.Data)
		}
	}
}

// checkAddresses finds links, forms and refreshes that lead to no URL of the console.
func checkAddresses(t *testing.T, n *html.Node) {
	t.Helper()
	id := `[A-Za-z0-9_]+`
	get := regexp.MustCompile(`^(#.*|/static/.*|/|/(users|users/` + id + `|users/` + id + `/(disable|enable)|invitations|invitations/new|invitations/` + id +
		`/revoke|sessions|profile|keys|keys/new|keys/` + id + `/revoke|audit|sign-in)(\?.*)?)$`)
	post := regexp.MustCompile(`^/(setup|sign-in|sign-out|accept|users/` + id + `/(role|disable|enable)|invitations/new|invitations/` + id +
		`/revoke|sessions/revoke-others|sessions/` + id + `/revoke|profile|profile/password|keys/new|keys/` + id + `/revoke)$`)
	for _, key := range []string{"href", "hx-get", "src"} {
		if address, ok := attribute(n, key); ok && !get.MatchString(address) {
			t.Errorf("<%s %s=%q> leads to no page", n.Data, key, address)
		}
	}
	if n.Data != "form" {
		return
	}
	switch action := value(n, "action"); value(n, "method") {
	case "get":
		if !get.MatchString(action) {
			t.Errorf("<form action=%q> leads to no page", action)
		}
	case "post":
		if !post.MatchString(action) {
			t.Errorf("<form action=%q> posts to no route", action)
		}
	default:
		t.Errorf("<form action=%q> has the method %q", action, value(n, "method"))
	}
}

// controls lists the names that the form with an action sends, sorted, once each.
func (d document) controls(action string) []string {
	var names []string
	for _, n := range d.elements {
		name := value(n, "name")
		if form := within(n, "form"); name == "" || form == nil || value(form, "action") != action {
			continue
		}
		names = append(names, name)
	}
	slices.Sort(names)
	return slices.Compact(names)
}
