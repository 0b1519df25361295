// Package gallerytest checks named states: each against its golden file, and all against the rules that
// pages have to keep. Every folder of pages runs it over its Gallery:
//
//	var update = flag.Bool("update", false, "write the golden files anew")
//
//	func TestGallery(t *testing.T) { gallerytest.Run(t, Gallery(), *update) }
package gallerytest

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"switchgear/web/templates/ui"
)

// Run renders every state, compares it with testdata/<group>-<name>.golden.html (or writes that file when
// update is set) and checks it with [Check]. A golden file without a state is an error.
func Run(t *testing.T, states []ui.State, update bool) {
	t.Helper()
	run(t, states, update, func(page string) string { return page })
}

// RunPages is Run for the pages of a feature. Their golden files hold what is inside <main>: the frame
// around it has states of its own, and a change of it would touch every file.
func RunPages(t *testing.T, states []ui.State, update bool) {
	t.Helper()
	run(t, states, update, content)
}

func content(page string) string {
	_, after, ok := strings.Cut(page, "<main")
	if !ok {
		return page
	}
	inside, _, _ := strings.Cut("<main"+after, "</main>")
	return inside + "</main>\n"
}

func run(t *testing.T, states []ui.State, update bool, part func(page string) string) {
	t.Helper()
	expected := map[string]bool{}
	for _, s := range states {
		file := filepath.Join("testdata", fileName(s))
		if expected[file] {
			t.Errorf("two states are called %q in %q", s.Name, s.Group)
		}
		expected[file] = true
		t.Run(s.Group+"/"+s.Name, func(t *testing.T) {
			t.Parallel()
			got := render(t, s)
			for _, problem := range Check(got) {
				t.Error(problem)
			}
			golden(t, file, part(got), update)
		})
	}
	onDisk, err := filepath.Glob("testdata/*.golden.html")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range onDisk {
		switch {
		case expected[file]:
		case update:
			if err := os.Remove(file); err != nil {
				t.Error(err)
			}
		default:
			t.Errorf("%s belongs to no state: run the test with -update", file)
		}
	}
}

func fileName(s ui.State) string {
	clean := func(r rune) rune {
		if (r >= 'a' && r <= 'z') || (r >= '0' && r <= '9') {
			return r
		}
		return '-'
	}
	name := strings.Map(clean, strings.ToLower(s.Group+"-"+s.Name))
	for strings.Contains(name, "--") {
		name = strings.ReplaceAll(name, "--", "-")
	}
	return strings.Trim(name, "-") + ".golden.html"
}

func render(t *testing.T, s ui.State) string {
	t.Helper()
	var b strings.Builder
	if err := s.View.Render(t.Context(), &b); err != nil {
		t.Fatal(err)
	}
	// One element a line: a change shows as the lines it touches.
	return strings.ReplaceAll(b.String(), "><", ">\n<") + "\n"
}

func golden(t *testing.T, file, got string, update bool) {
	t.Helper()
	if update {
		if err := os.MkdirAll(filepath.Dir(file), 0o750); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatalf("%v: run the test with -update", err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got), -update accepts it:\n%s", file, diff)
	}
}
