package console

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"switchgear/internal/access"
	"switchgear/internal/connections"
	connectionsview "switchgear/web/templates/connections"
)

// inOneMinute does something again until it is done within one minute of the clock: what it counts is then in one
// step of a chart.
func inOneMinute[T any](do func() T) T {
	for {
		minute := time.Now().Truncate(time.Minute)
		if out := do(); time.Now().Truncate(time.Minute).Equal(minute) {
			return out
		}
	}
}

// The charts are tables of what is stored, with what changed meanwhile; each range answers.
func TestCourseOfAConnection(t *testing.T) {
	t.Parallel()
	g := inOneMinute(func() *guarded {
		g := newGuarded(t)
		g.call(t, 3)
		g.status.Store(http.StatusServiceUnavailable)
		g.call(t, 4)
		return g
	})
	g.settled(t)
	for choice, rows := range map[string]int{"": 61, "15m": 16, "6h": 73, "24h": 49, "7d": 57, "30d": 61, "nonsense": 61} {
		_, _, part := g.do(t, g.operator, http.MethodGet, "/connections/guarded?range="+choice, nil, "HX-Request", "true", "HX-Target", connectionsview.CourseRegion)
		if n := strings.Count(part, "data-at="); n < 4*(rows-1) || n > 4*rows {
			t.Errorf("%q has %d rows in four tables, want about %d in each", choice, n, rows)
		}
		for _, want := range []string{`data-value="3"`, "v1 (create) by", "breaker Closed → Open", "Latency in milliseconds", "Kept back", "Breaker of the connection", "Open, % of the time"} {
			if !strings.Contains(part, want) {
				t.Errorf("%q: %s is missing", choice, want)
			}
		}
		if strings.Contains(part, "<html") {
			t.Errorf("%q answers with the whole page", choice)
		}
	}
	_, _, page := g.do(t, g.operator, http.MethodGet, "/connections/guarded?range=24h", nil)
	if !strings.Contains(page, "Calls by outcome") || !strings.Contains(page, "chart") {
		t.Error("the page has no chart")
	}
}

// The charts can be those of one operation, and say what happened to credentials.
func TestCourseOfAnOperation(t *testing.T) {
	t.Parallel()
	g := inOneMinute(func() *guarded {
		g := newGuarded(t)
		g.call(t, 3) // of no operation
		status, _, text := g.do(t, g.operator, http.MethodPost, "/connections/guarded/try",
			strings.NewReader(url.Values{"method": {"POST"}, "path": {"/v1/charges"}, "account": {"default"}}.Encode()), "Content-Type", "application/x-www-form-urlencoded")
		if status != http.StatusOK {
			t.Fatalf("%d %s", status, text)
		}
		return g
	})
	g.store(t)
	for _, account := range []string{"default", "acme"} {
		if _, err := g.connections.PutAccount(t.Context(), access.System(), "guarded", account, connections.Auth{Type: "bearer", Fields: map[string]string{"token": "another"}}, ""); err != nil {
			t.Fatal(err)
		}
	}
	g.status.Store(http.StatusUnauthorized)
	g.call(t, 10)
	g.looked(t)
	part := func(query string) string {
		return g.page(t, g.operator, "/connections/guarded?range=15m"+query, "HX-Request", "true", "HX-Target", connectionsview.CourseRegion)
	}
	says(t, "limits that did nothing", part(""), "No call was kept back in this time")
	all := part("")
	says(t, "all calls", all, `data-value="4"`, `<option value="charge"`, "v2 (credential replaced) by", "credential of the account acme set", "credential failed: Account default")
	charge := part("&operation=charge")
	says(t, "one operation", charge, `data-value="1"`, `operation=charge`)
	silent(t, "one operation", charge, `data-value="4"`)
	says(t, "none that exists", part("&operation=nothing"), `data-value="4"`)
}
