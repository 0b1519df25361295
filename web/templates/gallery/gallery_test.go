package gallery

import (
	"flag"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"switchgear/web/static"
	"switchgear/web/templates/gallery/gallerytest"
	"switchgear/web/templates/layout"
	"switchgear/web/templates/ui"
)

var update = flag.Bool("update", false, "write the golden files anew")

func TestStates(t *testing.T) {
	t.Parallel()
	gallerytest.Run(t, States(), *update)
}

func TestPage(t *testing.T) {
	t.Parallel()
	groups := Groups(States())
	for _, g := range append(groups, Group{Name: "unknown"}) {
		var b strings.Builder
		if err := Page(View{Groups: groups, Current: g.Name}).Render(t.Context(), &b); err != nil {
			t.Fatal(err)
		}
		for _, problem := range gallerytest.Check(b.String()) {
			// A group shows the same field in several states; their names repeat by design.
			if !strings.Contains(problem, "times") {
				t.Errorf("%s: %s", g.Name, problem)
			}
		}
	}
}

func TestGroupsAndFind(t *testing.T) {
	t.Parallel()
	a, b, c := ui.State{Group: "A", Name: "1"}, ui.State{Group: "B", Name: "1"}, ui.State{Group: "A", Name: "2"}
	groups := Groups([]ui.State{a, b}, []ui.State{c})
	want := []Group{{Name: "A", States: []ui.State{a, c}}, {Name: "B", States: []ui.State{b}}}
	if diff := cmp.Diff(want, groups); diff != "" {
		t.Errorf("Groups (-want +got):\n%s", diff)
	}
	if s, ok := Find(groups, "A", "2"); !ok || s.Name != "2" {
		t.Errorf("Find(A, 2) = %v, %t", s, ok)
	}
	for _, miss := range [][2]string{{"A", "3"}, {"C", "1"}, {"", ""}} {
		if _, ok := Find(groups, miss[0], miss[1]); ok {
			t.Errorf("Find(%q, %q) found something", miss[0], miss[1])
		}
	}
}

// Templates name assets by string; a wrong one would answer 404 in the browser.
func TestTemplatesUseAssetsThatExist(t *testing.T) {
	t.Parallel()
	assets, err := static.New()
	if err != nil {
		t.Fatal(err)
	}
	address := regexp.MustCompile(`(?:src|href|data-library)="(/static/[^"]*)"`)
	hashed := regexp.MustCompile(`-[0-9a-f]{8}\.(css|js|svg)$`)
	used := map[string]bool{}
	for _, s := range frameStates() {
		var b strings.Builder
		if err := s.View.Render(layout.WithAssets(t.Context(), assets), &b); err != nil {
			t.Fatal(err)
		}
		for _, m := range address.FindAllStringSubmatch(b.String(), -1) {
			used[m[1]] = true
			if !hashed.MatchString(m[1]) {
				t.Errorf("%s is no asset", m[1])
			}
		}
	}
	for _, name := range assets.Names() {
		if !used[assets.URL(name)] && name != "logo.svg" {
			t.Errorf("no page uses %s", name)
		}
	}
}

func TestComponentsUseIconsThatExist(t *testing.T) {
	t.Parallel()
	unknown := regexp.MustCompile(`d="M12 9a3 3 0 1 0 0 6 3 3 0 0 0 0-6z"`)
	for _, s := range States() {
		var b strings.Builder
		if err := s.View.Render(t.Context(), &b); err != nil {
			t.Fatal(err)
		}
		if unknown.MatchString(b.String()) {
			t.Errorf("%s/%s shows an icon that does not exist", s.Group, s.Name)
		}
	}
	if names := ui.IconNames(); !slices.IsSorted(names) || len(slices.Compact(slices.Clone(names))) != len(names) {
		t.Error("the icons are not sorted and unique")
	}
}
