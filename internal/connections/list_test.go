package connections

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"switchgear/db"
)

func slugs(p Page) string {
	out := make([]string, len(p.Connections))
	for i, c := range p.Connections {
		out[i] = c.Slug
	}
	return words(out)
}

func TestList(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, d := range []Draft{
		{Name: "alpha Pay", Slug: "z-1", Environment: "production", BaseURL: "https://pay.example.com", Auth: Auth{Type: "none"}},
		{Name: "Beta", Slug: "y-2", Environment: "sandbox", BaseURL: "https://beta.example.com", Auth: Auth{Type: "none"}},
		{Name: "Ärger 100%", Slug: "x-3", Provider: "acme", Environment: "sandbox", Auth: Auth{Type: "none"}},
		{Name: "hooks_in", Slug: "w-4", Kind: KindWebhook, Environment: "staging", Auth: Auth{Type: "none"}},
	} {
		_, err := w.Create(t.Context(), admin(), d, "")
		must(t, err)
	}
	_, err := w.Pause(t.Context(), admin(), "y-2", "", 0)
	must(t, err)
	for _, c := range []struct {
		name  string
		query Query
		want  string
		total int
	}{
		{"all by name", Query{}, "z-1 y-2 w-4 x-3", 4},
		{"backwards", Query{Sort: "-name"}, "x-3 w-4 y-2 z-1", 4},
		{"by slug", Query{Sort: "slug"}, "w-4 x-3 y-2 z-1", 4},
		{"by creation", Query{Sort: "created_at"}, "z-1 y-2 x-3 w-4", 4},
		{"last changed first", Query{Sort: "-updated_at"}, "y-2 w-4 x-3 z-1", 4},
		{"by environment", Query{Sort: "environment"}, "z-1 y-2 x-3 w-4", 4},
		{"by provider", Query{Sort: "provider"}, "x-3 z-1 y-2 w-4", 4},
		{"by kind", Query{Sort: "-kind"}, "w-4 x-3 y-2 z-1", 4},
		{"by state", Query{Sort: "-state"}, "y-2 x-3 w-4 z-1", 4},
		{"kind", Query{Kind: KindWebhook}, "w-4", 1},
		{"state", Query{State: StatePaused}, "y-2", 1},
		{"environment", Query{Environment: "sandbox"}, "y-2 x-3", 2},
		{"provider", Query{Provider: "acme"}, "x-3", 1},
		{"two filters", Query{Environment: "sandbox", State: StateActive}, "x-3", 1},
		{"search a name", Query{Search: "PAY"}, "z-1", 1},
		{"search not ASCII", Query{Search: "äRGER"}, "x-3", 1},
		{"search a host", Query{Search: "beta.example"}, "y-2", 1},
		{"search two words", Query{Search: "example alpha"}, "z-1", 1},
		{"search a slug", Query{Search: "w-4"}, "w-4", 1},
		{"a percent sign is one", Query{Search: "100%"}, "x-3", 1},
		{"an underscore is one", Query{Search: "s_i"}, "w-4", 1},
		{"nothing", Query{Search: "nobody"}, "", 0},
		{"first page", Query{Limit: 3}, "z-1 y-2 w-4", 4},
		{"second page", Query{Limit: 3, Page: 2}, "x-3", 4},
		{"far page", Query{Page: 1 << 40}, "", 4},
	} {
		page, err := w.List(t.Context(), admin(), c.query)
		if err != nil || slugs(page) != c.want || page.Total != c.total {
			t.Errorf("%s: %q of %d, %v; want %q", c.name, slugs(page), page.Total, err, c.want)
		}
	}
	for field, q := range map[string]Query{
		"kind": {Kind: "x"}, "state": {State: "x"}, "environment": {Environment: "x"}, "sort": {Sort: "name; DROP TABLE users"},
	} {
		_, err := w.List(t.Context(), admin(), q)
		wantField(t, err, "UNKNOWN_"+strings.ToUpper(field), field)
	}
}

// With 10,000 connections a page costs a page: each order is read from an index, whatever is searched or
// filtered, and only the rows of the page are looked up.
func TestListIsReadFromIndexes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const many = 10_000
	w.fill(many)
	page, err := w.List(t.Context(), admin(), Query{Sort: "-created_at", Page: 100, Limit: 100})
	must(t, err)
	if page.Total != many || len(page.Connections) != 100 || page.Connections[0].Slug != "c-00099" || page.Connections[0].Name != "Connection 99" {
		t.Errorf("%d, %s", page.Total, slugs(page))
	}
	want := 0
	for i := range many {
		if i%4 == 1 && strings.Contains(strconv.Itoa(i), "42") {
			want++
		}
	}
	if page, err = w.List(t.Context(), admin(), Query{Search: "tion 42", Environment: "staging", Limit: 10}); err != nil || page.Total != want || len(page.Connections) != 10 {
		t.Errorf("%d of %d, %s, %v", page.Total, want, slugs(page), err)
	}
	must(t, w.Refresh(t.Context()))
	if _, err := w.Target("c-09999", ""); err == nil {
		t.Error("a connection without a credential can be called")
	}

	for sort := range orders() {
		for _, direction := range []string{"", "-"} {
			for name, q := range map[string]Query{"all": {}, "search": {Search: "tion 42"}} {
				q.Sort, q.Page, q.Limit = direction+sort, 50, 50
				plan := w.plan(q)
				if want := "\n  SCAN connections USING"; strings.Count(plan, "SCAN") != 1 || !strings.Contains(plan, want) {
					t.Errorf("%s sorted by %q reads more than one index:\n%s", name, q.Sort, plan)
				}
				// Only the rows of the page are sorted, outside of the subquery.
				if strings.Contains(plan, "  USE TEMP B-TREE") {
					t.Errorf("%s sorted by %q sorts every row:\n%s", name, q.Sort, plan)
				}
			}
		}
	}
	for name, q := range map[string]Query{
		"kind": {Kind: KindREST}, "state": {State: StatePaused}, "environment": {Environment: "staging"}, "provider": {Provider: "acme"},
	} {
		q.Page, q.Limit = 1, 50
		if plan := w.plan(q); !strings.Contains(plan, "SEARCH connections USING COVERING INDEX connections_"+name) {
			t.Errorf("the filter by %s reads every row:\n%s", name, plan)
		}
	}
}

// plan is what SQLite will do for a list, one step a line, those of a subquery indented.
func (w *world) plan(q Query) string {
	w.t.Helper()
	_, query, args, window := listQueries(q)
	rows, err := w.db.Query(w.t.Context(), `EXPLAIN QUERY PLAN `+query, append(args, window...)...)
	must(w.t, err)
	defer func() { _ = rows.Close() }()
	depth := map[int]int{}
	var out []string
	for rows.Next() {
		var id, parent, unused int
		var detail string
		must(w.t, rows.Scan(&id, &parent, &unused, &detail))
		depth[id] = depth[parent] + 1
		out = append(out, strings.Repeat("  ", depth[id]-1)+detail)
	}
	must(w.t, rows.Err())
	return strings.Join(out, "\n")
}

// fill stores n connections without credentials, quickly.
func (w *world) fill(n int) {
	w.t.Helper()
	environments := Environments()
	must(w.t, w.db.InTx(w.t.Context(), func(tx *db.Tx) error {
		for i := range n {
			r := w.newRow(Definition{
				Name: fmt.Sprint("Connection ", i), Slug: fmt.Sprintf("c-%05d", i), Kind: KindREST, Provider: GenericProvider,
				Environment: environments[i%4], BaseURL: fmt.Sprintf("https://h%d.example.com", i), State: StateActive,
				Auth: DefinitionAuth{Type: "bearer"}, Policy: []byte(`{}`),
			})
			if err := w.store.insert(w.t.Context(), tx, r); err != nil {
				return err
			}
			if err := w.store.insertVersion(w.t.Context(), tx, r, Version{Cause: CauseCreate}, admin()); err != nil {
				return err
			}
		}
		return nil
	}))
}

func TestListOfNothing(t *testing.T) {
	t.Parallel()
	page, err := newWorld(t).List(t.Context(), admin(), Query{Limit: 1 << 30, Page: -1})
	if err != nil || !cmp.Equal(page, Page{}) {
		t.Errorf("%+v, %v", page, err)
	}
}
