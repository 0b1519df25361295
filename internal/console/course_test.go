package console

import (
	"net/http"
	"strings"
	"testing"

	connectionsview "switchgear/web/templates/connections"
)

// The charts are tables of what is stored, with what changed meanwhile; each range answers.
func TestCourseOfAConnection(t *testing.T) {
	t.Parallel()
	g := newGuarded(t)
	g.call(t, 3)
	g.status.Store(http.StatusServiceUnavailable)
	g.call(t, 4)
	g.settled(t)
	for choice, rows := range map[string]int{"": 61, "15m": 16, "6h": 73, "24h": 49, "7d": 57, "30d": 61, "nonsense": 61} {
		_, _, part := g.do(t, g.operator, http.MethodGet, "/connections/guarded?range="+choice, nil, "HX-Request", "true", "HX-Target", connectionsview.CourseRegion)
		if n := strings.Count(part, "data-at="); n < 2*(rows-1) || n > 2*rows {
			t.Errorf("%q has %d rows in both tables, want about %d in each", choice, n, rows)
		}
		for _, want := range []string{`data-value="3"`, "v1 (create) by", "breaker Closed → Open", "Latency in milliseconds"} {
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
