package console

import (
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"switchgear/internal/access"
	"switchgear/internal/connections"
	"switchgear/internal/credentials"
	"switchgear/internal/fault"
	"switchgear/internal/runtime"
	"switchgear/internal/runtime/breaker"
	overviewview "switchgear/web/templates/overview"
)

// create makes a connection to nowhere, with an outcome of the last minute for each of its calls.
func (s *site) create(t *testing.T, slug, name string, outcomes ...runtime.Outcome) {
	t.Helper()
	c, err := s.connections.Create(t.Context(), access.System(), connections.Draft{
		Name: name, Slug: slug, BaseURL: "https://api.example.com",
		Auth: connections.Auth{Type: "bearer", Fields: map[string]string{"token": "t"}},
	}, "")
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range outcomes {
		s.calls.Record(runtime.Record{ID: "req_" + slug, ConnectionID: c.ID, Slug: slug, Version: 1, Outcome: o, StartedAt: time.Now(), Duration: time.Millisecond})
	}
}

// shown are the connections in the table of the overview, in order.
func shown(page string) []string {
	found := regexp.MustCompile(`id="row-([a-z0-9-]+)"`).FindAllStringSubmatch(page, -1)
	out := make([]string, 0, len(found))
	for _, m := range found {
		out = append(out, m[1])
	}
	return out
}

func TestOverviewShowsWhatNeedsAttentionFirst(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	client := s.signedIn(t, access.RoleOwner)
	const ok, failed = runtime.OutcomeSuccess, runtime.OutcomeUnavailable
	s.create(t, "quiet-z", "Zebra")
	s.create(t, "quiet-a", "aardvark")
	s.create(t, "busy", "Busy", ok, ok, ok)
	s.create(t, "less-busy", "Less busy", ok)
	s.create(t, "failing", "Failing", ok, ok, ok, failed)
	s.create(t, "worse", "Worse", failed, failed)
	s.create(t, "paused", "Paused", failed, failed, failed)
	s.create(t, "no-credential", "No credential")
	if _, err := s.connections.DeleteAccount(t.Context(), access.System(), "no-credential", credentials.DefaultAccount, ""); err != nil {
		t.Fatal(err)
	}
	if _, err := s.connections.Pause(t.Context(), access.System(), "paused", "", 0); err != nil {
		t.Fatal(err)
	}
	for query, want := range map[string]string{
		"":                            "worse no-credential failing paused busy less-busy quiet-a quiet-z",
		"?show=attention":             "worse no-credential failing",
		"?show=idle":                  "quiet-a quiet-z",
		"?show=not_set_up":            "",
		"?limit=3":                    "worse no-credential failing",
		"?limit=3&page=2":             "paused busy less-busy",
		"?limit=3&page=3":             "quiet-a quiet-z",
		"?limit=7&page=2":             "quiet-z",
		"?limit=3&page=4":             "",
		"?show=idle&limit=1&page=2":   "quiet-z",
		"?show=anything-else&limit=1": "worse",
	} {
		_, _, page := s.do(t, client, http.MethodGet, "/"+query, nil)
		if diff := cmp.Diff(strings.Fields(want), shown(page)); diff != "" && want+strings.Join(shown(page), "") != "" {
			t.Errorf("%s (-want +got):\n%s", query, diff)
		}
	}
	_, _, page := s.do(t, client, http.MethodGet, "/", nil)
	for _, want := range []string{"Down", "Degraded", "Credential problem", "Paused", "Healthy", "Idle · no traffic", "All 8", "Needs attention 3", "Idle 2", "Not set up 0", "none known"} {
		if !strings.Contains(page, want) {
			t.Errorf("%q is missing", want)
		}
	}

	// A refresh asks for the part that changed.
	_, _, part := s.do(t, client, http.MethodGet, "/?show=attention", nil, "HX-Request", "true", "HX-Target", overviewview.ImpactRegion)
	if diff := cmp.Diff([]string{"worse", "no-credential", "failing"}, shown(part)); diff != "" || strings.Contains(part, "<html") || strings.Contains(part, "Recent changes") {
		t.Errorf("the part with the connections (-want +got):\n%s", diff)
	}
	_, _, part = s.do(t, client, http.MethodGet, "/", nil, "HX-Request", "true", "HX-Target", "overview")
	if len(shown(part)) != 0 || !strings.Contains(part, "Recent changes") {
		t.Error("the part with the changes")
	}
}

// The totals are those of the connections that exist: what a deleted one did goes with it.
func TestOverviewTotalsAreOfWhatExists(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	client := s.signedIn(t, access.RoleOwner)
	const ok, failed = runtime.OutcomeSuccess, runtime.OutcomeUnavailable
	s.create(t, "stays", "Stays", ok, ok, ok)
	s.create(t, "goes", "Goes", failed, failed, failed)
	share := func() string {
		t.Helper()
		_, _, page := s.do(t, client, http.MethodGet, "/", nil)
		if m := regexp.MustCompile(`id="figure-failed" data-figure>([0-9.]+)`).FindStringSubmatch(page); m != nil {
			return m[1]
		}
		return page
	}
	if got := share(); got != "50" && got != "50.0" {
		t.Errorf("with both: %s", got)
	}
	if _, err := s.connections.Delete(t.Context(), access.System(), "goes", "goes", "", 0); err != nil {
		t.Fatal(err)
	}
	if got := share(); got != "0" {
		t.Errorf("without the one that failed: %s", got)
	}
}

// What was never set up is no trouble: it has a choice of its own, and leads to what it lacks. Once calls are
// refused for it, it is an incident.
func TestOverviewOfWhatIsNotSetUp(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	owner, viewer := s.signedIn(t, access.RoleOwner), s.signedIn(t, access.RoleViewer)
	c, err := s.connections.Create(t.Context(), access.System(), connections.Draft{
		Name: "Fresh", Slug: "fresh", BaseURL: "https://api.example.com",
		Auth: connections.Auth{Type: "oauth2_authorization_code", Fields: map[string]string{
			"client_id": "c", "client_secret": "s", "authorize_url": "https://as.example.com/authorize", "token_url": "https://as.example.com/token",
		}},
	}, "")
	if err != nil {
		t.Fatal(err)
	}
	s.create(t, "idle", "Idle one")
	look := func(client *http.Client, query string) string {
		t.Helper()
		_, _, page := s.do(t, client, http.MethodGet, "/"+query, nil)
		return page
	}
	const connect = `href="/connections/fresh/accounts/default/connect"`
	page := look(owner, "?show=not_set_up")
	if diff := cmp.Diff([]string{"fresh"}, shown(page)); diff != "" {
		t.Errorf("not set up (-want +got):\n%s", diff)
	}
	says(t, "the choice", page, "Not set up 1", "Idle 1", "Needs attention 0", "It is not set up yet.", connect, "Connect account")
	for _, not := range []string{"credential problem", "Credential problem", "Reconnect", `class="notice`} {
		if strings.Contains(page, not) {
			t.Errorf("%q is on the page", not)
		}
	}
	if strings.Contains(look(viewer, "?show=not_set_up"), connect) {
		t.Error("a viewer is offered to connect the account")
	}
	refused := func(account string) {
		t.Helper()
		target, err := s.connections.Target("fresh", account)
		if err == nil || target.ConnectionID != c.ID {
			t.Fatalf("%q can be called: %+v, %v", account, target, err)
		}
		s.calls.Record(runtime.Record{
			ID: "req_fresh", ConnectionID: c.ID, Slug: "fresh", Version: 1, Account: target.Account, StartedAt: time.Now(),
			Outcome: runtime.OutcomeRejectedLocal, ErrorCode: fault.CodeOf(err), ErrorText: fault.PublicMessage(err),
		})
	}
	refused("nobody")
	says(t, "after a call for an account that does not exist", look(owner, ""), "Not set up 1", "Needs attention 0")
	refused("")
	says(t, "after a call", look(owner, ""), "Fresh has a credential problem", "The last call was refused for it", connect, "Not set up 0", "Needs attention 1")
}

// What stands still is said at the top, with what helps for who may, whatever part of the page is asked for.
func TestOverviewIncidents(t *testing.T) {
	t.Parallel()
	g := newGuarded(t)
	g.call(t, 2)
	if _, err := g.connections.Update(t.Context(), access.System(), "guarded", connections.Draft{Name: "Guarded well"}, "a change", 0); err != nil {
		t.Fatal(err)
	}
	g.do(t, g.operator, http.MethodGet, "/", nil) // what was counted before the incident is no part of it
	g.status.Store(http.StatusServiceUnavailable)
	g.call(t, 4)
	g.settled(t)
	want := func(page string, all ...string) {
		t.Helper()
		text := strings.Join(strings.Fields(regexp.MustCompile(`<[^>]*>`).ReplaceAllString(page, " ")), " ")
		for _, w := range all {
			if !strings.Contains(text, w) {
				t.Errorf("%q is not in %s", w, text)
			}
		}
	}
	sentence := []string{"Guarded well is open since", "calls failed in 1 min: ", "Unavailable", "2 calls were refused.", "Next probe in", "v2", "Open · probe in"}
	_, _, page := g.do(t, g.operator, http.MethodGet, "/", nil)
	want(page, append(sentence, "Probe now", "Roll back v2")...)
	for _, href := range []string{"/connections/guarded/breaker/probe", "/connections/guarded/versions/1/rollback", "/connections/guarded/versions?a=1&amp;b=2"} {
		if !strings.Contains(page, `href="`+href+`"`) {
			t.Errorf("no link to %s", href)
		}
	}
	viewer := g.signedIn(t, access.RoleViewer)
	for range 2 {
		_, _, part := g.do(t, viewer, http.MethodGet, "/", nil, "HX-Request", "true", "HX-Target", overviewview.ImpactRegion)
		want(part, sentence...)
		if strings.Contains(part, "Probe now") || strings.Contains(part, "Roll back") {
			t.Error("somebody who may only look is offered a command")
		}
		_, _, part = g.do(t, g.operator, http.MethodGet, "/", nil, "HX-Request", "true", "HX-Target", overviewview.ImpactRegion)
		want(part, append(sentence, "Probe now")...)
	}
}

// A row says how long calls take, and how many took too long.
func TestOverviewShowsSlowCalls(t *testing.T) {
	t.Parallel()
	g := newGuarded(t)
	g.call(t, 2)
	for slow := range 2 {
		permit, err := g.guards.Breakers().Allow(breaker.Key{Connection: g.id(t)})
		if err != nil {
			t.Fatal(err)
		}
		permit.Done(breaker.Result{Verdict: breaker.Success, Slow: slow == 1})
	}
	// What was counted is published with the next change, or by the worker.
	if status, _, text := g.command(t, g.operator, "observe", url.Values{"reason": {"look"}}); status != http.StatusSeeOther {
		t.Fatalf("%d %s", status, text)
	}
	says(t, "the overview", g.page(t, g.operator, "/"), "25.0 % slow", "p50 ", "p99 ")
}

// A trip by hand is no consequence of the last change, so the way back from that is not offered; and what we refuse
// is told apart from what fails.
func TestOverviewAfterATripByHand(t *testing.T) {
	t.Parallel()
	g := newGuarded(t)
	g.call(t, 2)
	if _, err := g.connections.Update(t.Context(), access.System(), "guarded", connections.Draft{Name: "Guarded well"}, "a change", 0); err != nil {
		t.Fatal(err)
	}
	if status, _, text := g.command(t, g.operator, "trip", url.Values{"reason": {"the vendor is being mended"}}); status != http.StatusSeeOther {
		t.Fatalf("%d %s", status, text)
	}
	g.call(t, 2)
	page := g.page(t, g.operator, "/")
	says(t, "the overview", page, "Guarded well", "Open, tripped by ", ": the vendor is being mended.", "Next probe in", "Probe now", "%, 2 refused here", ">2 refused here<")
	silent(t, "the overview", page, "calls failed in", "Roll back v2", "50.0\u00a0%", ">50.0 ")
}
