package access

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"switchgear/web/templates/ui"
)

var update = flag.Bool("update", false, "rewrite golden files")

func render(t *testing.T, s ui.State) string {
	t.Helper()
	var b bytes.Buffer
	if err := s.View.Render(t.Context(), &b); err != nil {
		t.Fatalf("%s: %s: %v", s.Group, s.Name, err)
	}
	return b.String()
}

// find returns the rendered state of that group and name.
func find(t *testing.T, group, name string) string {
	t.Helper()
	for _, s := range Gallery() {
		if s.Group == group && s.Name == name {
			return render(t, s)
		}
	}
	t.Fatalf("the gallery has no state %q of %q", name, group)
	return ""
}

func goldenName(s ui.State) string {
	words := regexp.MustCompile(`[^a-z0-9]+`).ReplaceAllString(strings.ToLower(s.Group+" "+s.Name), "-")
	return strings.Trim(words, "-") + ".golden.html"
}

// content is what the page itself shows, one tag to a line. The frame around it has its own tests.
func content(page string) string {
	if _, after, ok := strings.Cut(page, "<main"); ok {
		page, _, _ = strings.Cut("<main"+after, "</main>")
		page += "</main>"
	}
	return strings.ReplaceAll(page, "><", ">\n<") + "\n"
}

func TestGolden(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, s := range Gallery() {
		name := goldenName(s)
		if seen[name] {
			t.Errorf("two states are called %s", name)
		}
		seen[name] = true
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := content(render(t, s))
			file := filepath.Join("testdata", name)
			if *update {
				if err := os.MkdirAll("testdata", 0o750); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(file, []byte(got), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("the page changed (-golden +now); run with -update if that is meant:\n%s", diff)
			}
		})
	}
	files, err := filepath.Glob(filepath.Join("testdata", "*.golden.html"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if !seen[filepath.Base(file)] {
			t.Errorf("%s belongs to no state of the gallery: remove it", file)
		}
	}
}
