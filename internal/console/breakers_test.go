package console

import (
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"switchgear/internal/access"
	"switchgear/internal/audit"
	"switchgear/internal/breakers"
	"switchgear/internal/connections"
	"switchgear/internal/runtime"
	"switchgear/internal/runtime/breaker"
	"switchgear/internal/runtime/bulkhead"
	"switchgear/internal/runtime/cache"
	"switchgear/internal/runtime/ratelimit"
	"switchgear/internal/runtime/retry"
	breakersview "switchgear/web/templates/breakers"
)

// prober is answered well by every upstream.
type prober struct{}

func (prober) Probe(context.Context, string, string) (breakers.ProbeResult, error) {
	return breakers.ProbeResult{RequestID: "req_probe", Method: "GET", Path: "/health", Status: 204, Outcome: runtime.OutcomeSuccess, Duration: 12 * time.Millisecond}, nil
}

// recorders take note of each call, one after the other.
type recorders []runtime.Recorder

func (all recorders) Record(r runtime.Record) {
	for _, one := range all {
		one.Record(r)
	}
}

// guarded is a bench whose upstream answers with status, with a connection that opens after two failures.
type guarded struct {
	*bench

	status   atomic.Int64
	operator *http.Client
}

func newGuarded(t *testing.T) *guarded {
	t.Helper()
	g := &guarded{}
	g.status.Store(http.StatusOK)
	g.bench = newBench(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-RateLimit-Limit", "1000")
		w.Header().Set("X-RateLimit-Remaining", "240")
		w.Header().Set("X-RateLimit-Reset", "20")
		w.WriteHeader(int(g.status.Load()))
	})
	g.operator = g.signedIn(t, access.RoleOperator)
	if _, err := g.connections.Create(t.Context(), access.System(), connections.Draft{
		Name: "Guarded", Slug: "guarded", BaseURL: g.upstream.URL, Auth: connections.Auth{Type: "bearer", Fields: map[string]string{"token": vendorToken}},
		Policy: json.RawMessage(`{"retry":{"max_attempts":1},"breaker":{"min_calls":2,"open_for":"10m"},"rate_limits":[{"requests":50,"per":"1s"}],
			"operations":[{"id":"charge","method":"POST","path":"/v1/charges","policy":{"breaker":{"min_calls":7}}}]}`),
	}, ""); err != nil {
		t.Fatal(err)
	}
	return g
}

// call sends requests through the pipeline of the gateway.
func (g *guarded) call(t *testing.T, n int) {
	t.Helper()
	for range n {
		status, _, text := g.do(t, g.operator, http.MethodPost, "/connections/guarded/try",
			strings.NewReader(url.Values{"method": {"GET"}, "path": {"/v1/items"}, "account": {"default"}}.Encode()), "Content-Type", "application/x-www-form-urlencoded")
		if status != http.StatusOK {
			t.Fatalf("%d %s", status, text)
		}
	}
	g.store(t)
}

// settled stores what the breakers did.
func (g *guarded) settled(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := g.guards.Breakers().Serve(ctx); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	if err := g.breakers.Save(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func (g *guarded) page(t *testing.T, client *http.Client, path string, header ...string) string {
	t.Helper()
	status, _, text := g.do(t, client, http.MethodGet, path, nil, header...)
	if status != http.StatusOK {
		t.Fatalf("GET %s: %d\n%s", path, status, text)
	}
	return text
}

func (g *guarded) command(t *testing.T, client *http.Client, verb string, form url.Values) (status int, location, text string) {
	t.Helper()
	status, header, text := g.do(t, client, http.MethodPost, "/connections/guarded/breaker/"+verb, strings.NewReader(form.Encode()), "Content-Type", "application/x-www-form-urlencoded")
	return status, header.Get("Location"), text
}

func says(t *testing.T, where, text string, want ...string) {
	t.Helper()
	for _, w := range want {
		if !strings.Contains(text, w) {
			t.Errorf("%s does not say %q", where, w)
		}
	}
}

func silent(t *testing.T, where, text string, unwanted ...string) {
	t.Helper()
	for _, w := range unwanted {
		if strings.Contains(text, w) {
			t.Errorf("%s says %q", where, w)
		}
	}
}

// Calls that fail open the breaker, and every page that shows the connection says so, each in its measure.
func TestBreakerPages(t *testing.T) {
	t.Parallel()
	g := newGuarded(t)
	viewer := g.signedIn(t, access.RoleViewer)
	says(t, "the tab before any call", g.page(t, viewer, "/connections/guarded/breaker"), "No calls yet: nothing to judge.", "Nothing happened yet.", "0 of 2 minimum", "charge")
	g.call(t, 1)
	g.settled(t)
	says(t, "the tab of a healthy connection", g.page(t, viewer, "/connections/guarded/breaker"), "of 2 minimum", "vendor says", "240 left", "In flight")
	g.status.Store(http.StatusInternalServerError)
	g.call(t, 3)
	g.settled(t)
	failed := g.store(t)[2] // with it half of the calls had failed; the two after it were refused

	tab := g.page(t, g.operator, "/connections/guarded/breaker")
	says(t, "the tab", tab, "Guarded is open", "Next probe in", "calls failed", "tripped it", "/calls/"+failed.ID, "Closed → Open", "Server error", "Refused here",
		"breaker.min_calls", "/connections/guarded/breaker/probe", "d-breaker-force-open", "50 per 1 s", `hx-trigger="live`)
	silent(t, "the tab of a viewer", g.page(t, viewer, "/connections/guarded/breaker"), "d-breaker-", "/breaker/force-open")
	says(t, "the list", g.page(t, viewer, "/breakers"), "Guarded", "Open · probe in", "Not closed", `href="/connections/guarded/breaker"`)
	says(t, "the list, narrowed", g.page(t, viewer, "/breakers?state=attention"), "Guarded")
	silent(t, "the list, narrowed", g.page(t, viewer, "/breakers?state=attention", "HX-Request", "true"), ">Up<", "<html")
	says(t, "the list of connections", g.page(t, viewer, "/connections"), "Open · probe in")
	says(t, "another tab", g.page(t, viewer, "/connections/guarded/versions"), "Open · probe in", "connection-state")

	// Each part can be asked for alone.
	for target, want := range map[string]string{
		"connection-state": "Open · probe in", "breaker-now": "Guarded is open", "breaker-history": "Closed → Open", "breaker-policy": "breaker.min_calls",
	} {
		part := g.page(t, viewer, "/connections/guarded/breaker", "HX-Request", "true", "HX-Target", target)
		says(t, target, part, want, `id="`+target+`"`)
		if strings.Contains(part, "<html") || strings.Count(part, `class="live-region"`) != 1 {
			t.Errorf("%s is more than that part", target)
		}
	}

	operation := g.page(t, viewer, "/connections/guarded/breaker?operation=charge")
	says(t, "the tab of an operation", operation, "0 of 7 minimum", "Guarded is open", "Look at it")
	if status, _, _ := g.do(t, viewer, http.MethodGet, "/connections/guarded/breaker?operation=nothing", nil); status != http.StatusNotFound {
		t.Errorf("an operation that does not exist: %d", status)
	}
	if status, _, _ := g.do(t, viewer, http.MethodGet, "/connections/guarded/breaker?before=nonsense", nil); status != http.StatusBadRequest {
		t.Errorf("a page that does not exist: %d", status)
	}
	says(t, "the policy of an operation that is gone", g.page(t, viewer, "/connections/guarded/breaker?policy=nothing"), "There is no such operation any more.")
}

// A breaker that a person tripped is told with who and why. The calls before it are not to blame, and no version is
// offered to go back to.
func TestManualTripBlamesNoCall(t *testing.T) {
	t.Parallel()
	g := newGuarded(t)
	g.call(t, 1)
	g.settled(t)
	good := g.store(t)[0]
	if status, _, text := g.command(t, g.operator, "trip", url.Values{"reason": {"maintenance window"}}); status != http.StatusSeeOther {
		t.Fatalf("trip: %d\n%s", status, text)
	}
	g.settled(t)
	tab := g.page(t, g.operator, "/connections/guarded/breaker")
	says(t, "the tab", tab, "Guarded is open", "maintenance window", "By ")
	silent(t, "the tab", tab, "tripped it", "/calls/"+good.ID, "Last change:", "Roll back")
}

// Every value of the effective policy is shown with where it comes from.
func TestEffectivePolicyNamesItsLayers(t *testing.T) {
	t.Parallel()
	g := newGuarded(t)
	origins := func(query string) map[string]string {
		part := g.page(t, g.operator, "/connections/guarded/breaker"+query, "HX-Request", "true", "HX-Target", "breaker-policy")
		out := map[string]string{}
		for row := range strings.SplitSeq(part, `id="row-setting-`) {
			name, rest, _ := strings.Cut(row, `"`)
			for _, origin := range []string{"product", "provider", "connection", "operation"} {
				if strings.Contains(rest, ">"+origin+"</span>") {
					out[name] = origin
				}
			}
		}
		return out
	}
	for query, want := range map[string]map[string]string{
		"":                          {"breaker.min_calls": "connection", "timeout": "product"},
		"?policy=charge":            {"breaker.min_calls": "operation", "breaker.open_for": "connection", "timeout": "product"},
		"?operation=charge":         {"breaker.min_calls": "operation"},
		"?operation=charge&policy=": {"breaker.min_calls": "connection"},
	} {
		got := origins(query)
		for path, origin := range want {
			if got[path] != origin {
				t.Errorf("%q: %s comes from %q, want %q", query, path, got[path], origin)
			}
		}
	}
}

// A command needs a reason and the right; it holds at once, is audited, and the page shows what became of
// the calls after it.
func TestBreakerCommands(t *testing.T) {
	t.Parallel()
	g := newGuarded(t)
	viewer := g.signedIn(t, access.RoleViewer)
	why := url.Values{"reason": {"vendor maintenance"}, "for": {"15m"}}
	if status, _, _ := g.command(t, viewer, "force-open", why); status != http.StatusForbidden {
		t.Errorf("a viewer gives a command: %d", status)
	}
	for name, tt := range map[string]struct {
		verb   string
		form   url.Values
		status int
		want   string
	}{
		"without a reason":        {"force-open", url.Values{"for": {"15m"}}, http.StatusBadRequest, "Say why."},
		"for no time that is":     {"force-open", url.Values{"reason": {"x"}, "for": {"soon"}}, http.StatusBadRequest, "Write a time like 30m"},
		"for too long":            {"hold", url.Values{"reason": {"x"}, "for": {"25h"}}, http.StatusBadRequest, "24 hours"},
		"until no time that is":   {"hold", url.Values{"reason": {"x"}, "until": {"tomorrow"}}, http.StatusBadRequest, "Write a time in UTC"},
		"until the past":          {"hold", url.Values{"reason": {"x"}, "for": {"30m"}, "until": {"2001-01-01T00:00"}}, http.StatusBadRequest, "The end must lie in the future."},
		"until too far ahead":     {"hold", url.Values{"reason": {"x"}, "for": {"30m"}, "until": {"2201-01-01T00:00"}}, http.StatusBadRequest, "24 hours"},
		"what changes nothing":    {"auto", url.Values{"reason": {"x"}}, http.StatusConflict, "decides by itself already"},
		"one that does not exist": {"explode", url.Values{"reason": {"x"}}, http.StatusNotFound, "There is no such command"},
	} {
		if status, _, text := g.command(t, g.operator, tt.verb, tt.form); status != tt.status || !strings.Contains(text, tt.want) {
			t.Errorf("%s: %d, want %d and %q", name, status, tt.status, tt.want)
		}
	}
	says(t, "the page of a command", g.page(t, g.operator, "/connections/guarded/breaker/force-open?operation=charge"),
		"Force Guarded / charge open?", "Every call is refused until the override ends", `action="/connections/guarded/breaker/force-open?operation=charge"`)
	if status, _, _ := g.do(t, g.operator, http.MethodGet, "/connections/guarded/breaker/force-open?operation=nothing", nil); status != http.StatusNotFound {
		t.Errorf("a command to nothing: %d", status)
	}

	status, location, text := g.command(t, g.operator, "force-open", why)
	if status != http.StatusSeeOther || location != "/connections/guarded/breaker" {
		t.Fatalf("%d %s %s", status, location, text)
	}
	says(t, "the answer", g.page(t, g.operator, location), "Every call is refused with 503 until")
	g.call(t, 2)
	g.settled(t)
	says(t, "the tab", g.page(t, g.operator, location), "Guarded is forced open", "vendor maintenance", "Ends by itself in", "End the override", "Did it work?",
		"2 of 20 calls so far: 0 were answered, 0 failed, 2 were refused here.", "Closed → Forced open")
	entries, err := g.audit.Search(t.Context(), audit.Query{Action: "breaker.force-open", Page: 1, Limit: 10})
	if err != nil || entries.Total != 1 || entries.Entries[0].Reason != "vendor maintenance" {
		t.Errorf("audit: %+v, %v", entries, err)
	}

	if status, _, text := g.command(t, g.operator, "auto", url.Values{"reason": {"over"}}); status != http.StatusSeeOther {
		t.Fatalf("%d %s", status, text)
	}
	g.call(t, 1)
	if s, ok := g.guards.Breakers().Snapshot(breaker.Key{Connection: g.id(t)}); !ok || s.State != breaker.StateClosed {
		t.Errorf("after the override: %+v", s)
	}
	says(t, "the tab after it", g.page(t, g.operator, location), "1 of 20 calls so far: 1 was answered")

	if status, _, text := g.command(t, g.operator, "trip", url.Values{"reason": {"drill"}}); status != http.StatusSeeOther {
		t.Fatalf("%d %s", status, text)
	}
	if status, _, text := g.command(t, g.operator, "probe", url.Values{"reason": {"mended"}}); status != http.StatusSeeOther {
		t.Fatalf("%d %s", status, text)
	}
	says(t, "the tab after a probe", g.page(t, g.operator, location), "The probe GET /health was answered with 204 (Success) in 12 ms.", "Guarded is half-open")

	until := time.Now().Add(5 * time.Hour).UTC().Truncate(time.Minute)
	if status, _, text := g.command(t, g.operator, "hold", url.Values{"reason": {"maintenance"}, "for": {"30m"}, "until": {until.Format("2006-01-02T15:04")}}); status != http.StatusSeeOther {
		t.Fatalf("%d %s", status, text)
	}
	if s, _ := g.guards.Breakers().Snapshot(breaker.Key{Connection: g.id(t)}); s.State != breaker.StateHeld || !s.Hold.Until.Equal(until) {
		t.Errorf("held %+v, not until %s", s.Hold, until)
	}
	g.settled(t)
	says(t, "the list", g.page(t, viewer, "/breakers"), "Not closed in 1 of the last 48 steps of 30 min", " ago: open", "of 30 d")
}

func (g *guarded) id(t *testing.T) string {
	t.Helper()
	c, ok := g.connections.Peek("guarded")
	if !ok {
		t.Fatal("no connection")
	}
	return c.ID
}

// The history can be saved as a table, as much of it as is chosen.
func TestBreakerHistoryExport(t *testing.T) {
	t.Parallel()
	g := newGuarded(t)
	for _, verb := range []string{"trip", "reset"} {
		if status, _, text := g.command(t, g.operator, verb, url.Values{"reason": {"=1+1"}}); status != http.StatusSeeOther {
			t.Fatalf("%d %s", status, text)
		}
	}
	g.settled(t)
	for query, want := range map[string]int{"": 2, "?cause=reset": 1, "?operation=charge": 0} {
		status, header, text := g.do(t, g.operator, http.MethodGet, "/connections/guarded/breaker/history.csv"+query, nil)
		lines, err := csv.NewReader(strings.NewReader(text)).ReadAll()
		if err != nil || status != http.StatusOK || len(lines) != want+1 || header.Get("Content-Disposition") != `attachment; filename="guarded-breaker.csv"` ||
			header.Get("Content-Type") != "text/csv; charset=utf-8" {
			t.Errorf("%q: %d, %d lines, %v, %v", query, status, len(lines), header, err)
		}
	}
	status, header, text := g.do(t, g.operator, http.MethodGet, "/connections/guarded/breaker/history.csv?cause=nothing", nil)
	if status != http.StatusBadRequest || header.Get("Content-Disposition") != "" || !strings.Contains(text, "<html") {
		t.Errorf("a cause that does not exist: %d %v", status, header)
	}
}

func TestProbed(t *testing.T) {
	t.Parallel()
	for want, r := range map[string]breakers.ProbeResult{
		"warn No health path.":                                               {Error: "No health path."},
		"warn The probe GET /a failed: Gone.":                                {RequestID: "req_1", Method: "GET", Path: "/a", Error: "Gone."},
		"warn The probe GET /a was answered with 500 (Server error) in 2 s.": {RequestID: "req_1", Method: "GET", Path: "/a", Status: 500, Outcome: runtime.OutcomeServerError, Duration: 2 * time.Second},
		"ok The probe GET /a was answered with 404 (Client error) in 2 s.":   {RequestID: "req_1", Method: "GET", Path: "/a", Status: 404, Outcome: runtime.OutcomeClientError, Duration: 2 * time.Second},
	} {
		if kind, message := probed(&r); kind+" "+message != want {
			t.Errorf("%s %s, want %s", kind, message, want)
		}
	}
}

// What a breaker publishes is what its page shows; a pause that the vendor asked for counts as held.
func TestBreakerDetail(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 3, 14, 9, 0, 0, 0, time.UTC)
	policy := runtime.DefaultPolicy()
	policy.Breaker.SlowCall, policy.Breaker.SlowRatio = runtime.Duration(time.Second), .8
	b := breakers.Breaker{Why: "So.", State: breaker.StateOpen, Snapshot: breaker.Snapshot{
		Mode: breaker.ModeAuto, State: breaker.StateOpen, WouldBe: breaker.StateOpen, Since: at, Until: at.Add(time.Minute), Reason: "38 of 60 calls failed", RampShare: 1,
		Counts: breaker.Counts{Successes: 22, Failures: 38, Excluded: 2, Slow: 1, ConsecutiveFailures: 4, WouldReject: 5}, Refused: 412, Reopens: 2, OpenTotal: time.Hour,
		Last:        breaker.Event{Seq: 1, To: breaker.StateOpen, At: at, LastOutcome: "server_error", Samples: []string{"req_1", "req_2"}},
		LastFailure: breaker.LastFailure{Outcome: "timeout", RequestID: "req_3", At: at.Add(time.Second)},
	}}
	want := breakersview.Breaker{
		Status: breakersview.Status{State: "open", WouldBe: "open", Since: at, Until: at.Add(time.Minute)}, Why: "So.", Tripped: "38 of 60 calls failed.",
		Successes: 22, Failures: 38, Excluded: 2, Slow: 1, InARow: 4, Refused: 412, Missed: 5, Reopened: 2, OpenTotal: time.Hour,
		Thresholds: breakersview.Thresholds{FailureRatio: .5, MinCalls: 20, Window: time.Minute, SlowRatio: .8, OpenFor: 30 * time.Second, HalfOpenCalls: 3, Ramp: 10 * time.Second},
	}
	if diff := cmp.Diff(want, breakerDetail(b, policy)); diff != "" {
		t.Errorf("open (-want +got):\n%s", diff)
	}
	failures := []breakersview.Failure{
		{ID: "req_3", Outcome: "Timed out", At: at.Add(time.Second)}, {ID: "req_2", Outcome: "Server error", At: at, Tripped: true}, {ID: "req_1", Outcome: "Server error", At: at, Tripped: true},
	}
	if diff := cmp.Diff(failures, failuresOf(b.Snapshot)); diff != "" {
		t.Errorf("failures (-want +got):\n%s", diff)
	}

	slow := b.Snapshot
	slow.Last.LastOutcome, slow.LastFailure = "", breaker.LastFailure{}
	if got := failuresOf(slow); len(got) != 2 || got[0].Outcome != "Too slow" {
		t.Errorf("slow calls: %+v", got)
	}

	held := b
	held.State = breaker.StateHeld
	held.Snapshot.State, held.Snapshot.WouldBe, held.Snapshot.Reason = breaker.StateClosed, breaker.StateClosed, ""
	held.Vendor = []breakers.VendorHold{{Since: at, Until: at.Add(time.Hour), Probing: true}, {Since: at, Until: at.Add(2 * time.Minute), Reason: "the vendor answered 429"}}
	got := breakerDetail(held, policy)
	if got.Status.State != "held" || !got.Status.Until.Equal(at.Add(2*time.Minute)) || got.Hold == nil || got.Hold.Reason != "the vendor answered 429" || got.Tripped != "" {
		t.Errorf("held: %+v", got)
	}

	forced := b
	forced.State, forced.Snapshot.State, forced.Snapshot.Mode = breaker.StateForcedOpen, breaker.StateForcedOpen, breaker.ModeForcedOpen
	forced.Snapshot.Lease = breaker.Lease{Actor: "Ada", Reason: "drill", Since: at, Until: at.Add(3 * time.Minute)}
	policy.Breaker.Enabled = false
	got = breakerDetail(forced, policy)
	if !got.Status.Until.Equal(at.Add(3*time.Minute)) || got.Override == nil || got.Override.Actor != "Ada" || !got.Status.Off {
		t.Errorf("forced open, switched off: %+v", got)
	}
}

// Limits are shown as they are, with the fullest window in the list, whoever they hold for.
func TestLimitsOf(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 3, 14, 9, 0, 0, 0, time.UTC)
	state := runtime.ProtectionState{
		Limits: ratelimit.Snapshot{Waiting: 3, MaxWaiting: 10, Scopes: []ratelimit.ScopeSnapshot{
			{
				Windows: []ratelimit.WindowSnapshot{{Limit: ratelimit.Limit{Requests: 50, Per: time.Second}, Used: 5}, {Limit: ratelimit.Limit{Requests: 100, Per: time.Minute}, Used: 80}},
				Quotas:  []ratelimit.QuotaSnapshot{{Quota: ratelimit.Quota{Limit: ratelimit.Unknown, Unit: ratelimit.UnitRequests}, Left: 240, ResetAt: at}},
				Why:     "configured 50/s, effective 12/s because the vendor says 240 left for 20 s",
			},
			{Key: ratelimit.Key{Group: "charge"}, Windows: []ratelimit.WindowSnapshot{{Limit: ratelimit.Limit{Requests: 2, Per: time.Second}, Used: 2}}},
			{Key: ratelimit.Key{Credential: "acme"}, Hold: ratelimit.HoldSnapshot{Since: at, Until: at.Add(time.Minute), Reason: "429", Probing: true}},
			{Key: ratelimit.Key{Credential: "idle"}},
		}},
		Bulkhead: bulkhead.Snapshot{
			CompartmentSnapshot: bulkhead.CompartmentSnapshot{InFlight: 4, Limit: 25, Rejected: 1}, Waiting: 2,
			Groups: map[string]bulkhead.CompartmentSnapshot{"charge": {InFlight: 1, Limit: 2}},
		},
		Retries: retry.BudgetSnapshot{Repeating: 1, MostRepeating: 3, Repeats: 4, MostRepeats: 10, Refused: 5},
		Cache:   cache.Stats{Entries: 1, Bytes: 2, MaxBytes: 3, OldestStale: time.Minute, Counts: cache.Counts{Hits: 4, Stale: 5, Revalidated: 6, Misses: 7}},
	}
	want := breakersview.Limits{
		Waiting: 3, MaxWaiting: 10,
		Scopes: []breakersview.Scope{
			{
				Windows: []breakersview.Window{{Label: "50 per 1 s", Used: 5, Most: 50}, {Label: "100 per 1 min", Used: 80, Most: 100}},
				Quotas:  []breakersview.Quota{{Label: "Vendor quota", Left: 240, Resets: at}},
				Why:     "configured 50/s, effective 12/s because the vendor says 240 left for 20 s",
			},
			{Name: "charge", Windows: []breakersview.Window{{Label: "2 per 1 s", Used: 2, Most: 2}}},
			{Name: "account acme", Hold: &breakersview.Lease{Reason: "429", Since: at, Until: at.Add(time.Minute)}, Probing: true},
		},
		Bulkheads: []breakersview.Bulkhead{{InFlight: 4, Most: 25, Waiting: 2, Rejected: 1}, {Name: "charge", InFlight: 1, Most: 2}},
		Retry:     &breakersview.RetryBudget{Repeating: 1, MostRepeating: 3, Repeats: 4, MostRepeats: 10, Refused: 5},
		Cache:     &breakersview.Cache{Hits: 4, Stale: 5, Revalidated: 6, Misses: 7, Entries: 1, Bytes: 2, MaxBytes: 3, OldestStale: time.Minute},
	}
	if diff := cmp.Diff(want, limitsOf(state)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	for operation, want := range map[string]string{"": "80 of 100 per 1 min", "charge": "2 of 2 per 1 s"} {
		row := breakerRow(breakers.Breaker{Operation: operation}, nil, state)
		if row.Limit.Text != want || (row.MaxInFlight == 2) != (operation == "charge") {
			t.Errorf("%q: %+v", operation, row)
		}
	}
}
