package api

import (
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"switchgear/internal/runtime/ratelimit"
)

func TestRateLimits(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.create("github")
	list := func(query string) (out []RateLimits) {
		t.Helper()
		var list struct {
			Data []RateLimits
			Meta Meta
		}
		got := w.get("/api/v1/connections/github/rate-limits" + query)
		if got.decode(t, &list); got.status != http.StatusOK {
			t.Fatalf("%s: %d %s", query, got.status, got.body)
		}
		return list.Data
	}
	if got := list(""); len(got) != 0 {
		t.Errorf("before any call: %+v", got)
	}
	l, err := w.limiters.Configure(w.idOf("github"), ratelimit.Config{
		Limits:          []ratelimit.Limit{{Requests: 10, Per: time.Minute}},
		Groups:          map[string][]ratelimit.Limit{"search": {{Requests: 3, Per: time.Minute}}},
		Credential:      []ratelimit.Limit{{Requests: 5, Per: time.Minute}},
		GroupCredential: map[string][]ratelimit.Limit{"search": {{Requests: 2, Per: time.Minute}}},
	})
	must(t, err)
	for _, account := range []string{"acme", "acme", "zoo"} {
		_, err := l.Reserve(t.Context(), ratelimit.Key{Group: "search", Credential: account}, 0)
		must(t, err)
	}
	type row struct {
		scope, group, account string
		used, of              int
	}
	rows := func(query string) (out []row) {
		for _, r := range list(query) {
			out = append(out, row{r.Scope, r.Group, r.Account, r.Windows[0].Used, r.Windows[0].Requests})
			if r.Windows[0].Per != "1m0s" || r.Windows[0].Left != r.Windows[0].Requests-r.Windows[0].Used || r.Why == "" {
				t.Errorf("%+v", r)
			}
		}
		return out
	}
	for query, want := range map[string][]row{
		"": {
			{"connection", "", "", 3, 10},
			{"credential", "", "acme", 2, 5},
			{"credential", "", "zoo", 1, 5},
			{"operation", "search", "", 3, 3},
			{"credential", "search", "acme", 2, 2},
			{"credential", "search", "zoo", 1, 2},
		},
		"?filter[account]=zoo":                      {{"credential", "", "zoo", 1, 5}, {"credential", "search", "zoo", 1, 2}},
		"?filter[scope]=operation":                  {{"operation", "search", "", 3, 3}},
		"?filter[group]=search&sort=-account":       {{"credential", "search", "zoo", 1, 2}, {"credential", "search", "acme", 2, 2}, {"operation", "search", "", 3, 3}},
		"?filter[scope]=credential&limit=1&page=2":  {{"credential", "", "zoo", 1, 5}},
		"?filter[account]=nobody&filter[scope]=":    nil,
		"?filter[scope]=connection&filter[group]=x": nil,
	} {
		if diff := cmp.Diff(want, rows(query), cmp.AllowUnexported(row{})); diff != "" {
			t.Errorf("%s: %s", query, diff)
		}
	}
	if got := w.get("/api/v1/connections/github/rate-limits?filter[scope]=planet"); got.status != http.StatusBadRequest {
		t.Errorf("an unknown scope: %d %s", got.status, got.body)
	}
	if got := w.get("/api/v1/connections/nothing/rate-limits"); got.status != http.StatusNotFound {
		t.Errorf("an unknown connection: %d %s", got.status, got.body)
	}
}
