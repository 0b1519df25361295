package calls

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"switchgear/internal/dbtest"
	"switchgear/internal/runtime"
)

// queries are lists in every combination of filters that a page can ask for.
func queries() map[string]Query {
	out := map[string]Query{}
	for bits := range 1 << 10 {
		var (
			q    Query
			name []string
		)
		for i, f := range []struct {
			name string
			set  func()
		}{
			{"connection", func() { q.Connection = "stripe" }},
			{"outcome", func() { q.Outcome = string(runtime.OutcomeUnavailable) }},
			{"success", func() { q.Outcome = string(runtime.OutcomeSuccess) }},
			{"failed", func() { q.Outcome = AnyFailure }},
			{"method", func() { q.Method = "GET" }},
			{"status", func() { q.Status = 503 }},
			{"class", func() { q.Class = 5 }},
			{"path", func() { q.Path = "charges" }},
			{"time", func() { q.From, q.To = noon().Add(-time.Hour), noon() }},
			{"cursor", func() { q.after = positionOf(record(0, nil)) }},
		} {
			if bits&(1<<i) != 0 {
				f.set()
				name = append(name, f.name)
			}
		}
		out[strings.Join(name, "+")] = q
	}
	return out
}

// No list reads the log from end to end, or sorts it: each walks along the one index that fits it best.
func TestListsWalkAlongAnIndex(t *testing.T) {
	t.Parallel()
	s := store{db: dbtest.New(t)}
	explain := func(query string, args []any) string {
		t.Helper()
		rows, err := s.db.Query(t.Context(), `EXPLAIN QUERY PLAN `+query, args...)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = rows.Close() }()
		var plan []string
		for rows.Next() {
			var id, parent, unused int
			var step string
			if err := rows.Scan(&id, &parent, &unused, &step); err != nil {
				t.Fatal(err)
			}
			plan = append(plan, step)
		}
		if err := rows.Err(); err != nil {
			t.Fatal(err)
		}
		return strings.Join(plan, "\n")
	}
	for name, q := range queries() {
		index := "calls_at"
		switch {
		case q.Connection != "":
			index = "calls_slug"
		case unlikeMost(q.Outcome):
			index = "calls_outcome"
		case q.Status > 0 || q.Class > 0:
			index = "calls_errors"
		}
		wanted := path(q)
		filters(q, wanted)
		walk, args := path(q).newest("at, id", 1)
		if plan := explain(walk, args); !strings.Contains(plan, "COVERING INDEX "+index) || strings.Contains(plan, "\n") {
			t.Errorf("the walk of %s: %s", name, plan)
		}
		query, args := wanted.newest(columns, 50)
		if plan := explain(query, args); !strings.Contains(plan, "INDEX "+index) || strings.Contains(plan, "\n") {
			t.Errorf("%s: %s", name, plan)
		}
		// A search that goes on is bounded at both ends.
		wanted.and(`(at, id) >= (` + wanted.param(1) + `, ` + wanted.param("req_1") + `)`)
		query, args = wanted.newest(columns, 50)
		if plan := explain(query, args); !strings.Contains(plan, "SEARCH calls USING INDEX "+index) || strings.Contains(plan, "\n") {
			t.Errorf("%s, bounded: %s", name, plan)
		}
	}
	// A list of those that succeeded is counted along the index alone.
	wanted := path(Query{Outcome: string(runtime.OutcomeSuccess)})
	filters(Query{Outcome: string(runtime.OutcomeSuccess)}, wanted)
	if plan := explain(`SELECT COUNT(*) FROM calls`+wanted.where(), wanted.args); plan != "SCAN calls USING COVERING INDEX calls_at" {
		t.Errorf("the number of calls that succeeded: %s", plan)
	}
	query, args := path(Query{RequestID: "req_1"}).newest(columns, 50)
	if plan := explain(query, args); !strings.Contains(plan, "(id=?)") {
		t.Errorf("by the request id: %s", plan)
	}
}

// A search that looks at a few calls at a time finds, page by page, exactly what one finds that looks at all.
func TestBoundedSearchMissesNothing(t *testing.T) {
	t.Parallel()
	d := dbtest.New(t)
	all := open(t, d, Config{})
	stop := serve(t, all)
	for n := range 200 {
		all.Record(record(n, func(r *runtime.Record) {
			r.StartedAt = noon().Add(-time.Duration(n/3) * time.Second) // several share a moment
			if n%7 == 0 {
				r.Status, r.Outcome = 503, runtime.OutcomeUnavailable
			}
			if n%11 == 0 {
				r.Slug = "hubspot"
			}
			if n%50 == 49 {
				r.Path = "/v1/seldom"
			}
		}))
	}
	stop()
	few := open(t, d, Config{Scan: 10})
	for name, q := range queries() {
		q.after = position{}
		q.Limit = 200
		want, err := all.Search(t.Context(), q)
		if err != nil || want.Next != "" || !want.SearchedTo.IsZero() {
			t.Fatalf("%s: %v, next %q", name, err, want.Next)
		}
		q.Limit = 4
		var got []runtime.Record
		for pages := 0; ; pages++ {
			page, err := few.Search(t.Context(), q)
			if err != nil || pages > 250 {
				t.Fatalf("%s: after %d pages: %v", name, pages, err)
			}
			got = append(got, page.Calls...)
			if page.SearchedTo.IsZero() && page.Next != "" && len(page.Calls) < q.Limit {
				t.Errorf("%s: a page with a next one is neither full nor says how far it looked", name)
			}
			if q.Cursor = page.Next; q.Cursor == "" {
				break
			}
		}
		if diff := cmp.Diff(fmt.Sprint(ids(want.Calls)), fmt.Sprint(ids(got))); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	page, err := few.Search(t.Context(), Query{Path: "seldom"})
	if err != nil || len(page.Calls) != 0 || page.SearchedTo.IsZero() || page.Next == "" {
		t.Errorf("a search that found nothing yet: %+v, %v", page, err)
	}
}

func ids(list []runtime.Record) []string {
	out := make([]string, len(list))
	for i, r := range list {
		out[i] = r.ID
	}
	return out
}
