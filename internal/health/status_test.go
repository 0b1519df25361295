package health

import (
	"slices"
	"strings"
	"testing"
	"time"

	"switchgear/internal/calls"
	"switchgear/internal/connections"
	"switchgear/internal/credentials"
	"switchgear/internal/fault"
	"switchgear/internal/runtime"
	"switchgear/internal/runtime/breaker"
)

var charge = breaker.Key{Connection: "stripe", Operation: "charge"}

// Each state has a sentence, and what decides it comes in a fixed order.
func TestStatus(t *testing.T) {
	t.Parallel()
	whole := breaker.Key{Connection: "stripe"}
	noon := time.Date(2026, 3, 14, 12, 0, 0, 0, time.UTC)
	ago := func(d time.Duration) time.Time { return noon.Add(-d) }
	checked := func(c Check) func(*world) {
		return func(w *world) {
			w.change("stripe", func(c *connections.Standing) {
				c.Check = runtime.HealthCheck{Enabled: true, Path: "/v1", Every: runtime.Duration(5 * time.Minute)}
			})
			c.ConnectionID = "stripe"
			w.checks.finished(c)
		}
	}
	weighs := func(weight calls.Weight) func(*world) {
		return func(w *world) { w.called("stripe", weight) }
	}
	neverSetUp := func(w *world) {
		w.change("stripe", func(c *connections.Standing) {
			c.Account, c.Problem = (&credentials.Set{}).Problem()
		})
	}
	order := breaker.Order{Actor: "ada@example.com", Reason: "maintenance", Until: time.Now().Add(time.Hour)}
	for name, tt := range map[string]struct {
		set   []func(w *world)
		state State
		why   []string
		op    string
	}{
		"idle":                  {nil, StateIdle, []string{"No call in the last 15 minutes. Nothing is known about it."}, ""},
		"idle for long":         {[]func(*world){weighs(calls.Weight{LastCall: ago(6 * time.Hour), LastSuccess: ago(6 * time.Hour)})}, StateIdle, []string{"No call since 06:00:00 UTC. Nothing is known"}, ""},
		"idle for days":         {[]func(*world){weighs(calls.Weight{LastCall: ago(50 * time.Hour), LastSuccess: ago(50 * time.Hour)})}, StateIdle, []string{"No call since 12 Mar 10:00 UTC. Nothing is known"}, ""},
		"failed on another day": {[]func(*world){weighs(calls.Weight{Calls: 1, Failed: 1, LastFailure: ago(13 * time.Hour), LastError: "Timed out"})}, StateDegraded, []string{"The last call, on 13 Mar at 23:00 UTC, failed: Timed out."}, ""},
		"healthy":               {[]func(*world){weighs(calls.Weight{Calls: 90, Lately: 40})}, StateHealthy, []string{"40 calls in the last 5 minutes, none failed."}, ""},
		"hardly failing":        {[]func(*world){weighs(calls.Weight{Calls: 900, Failed: 3, Lately: 400, LatelyFailed: 3})}, StateHealthy, []string{"3 of 400 calls", "less than 1 %"}, ""},
		"quiet":                 {[]func(*world){weighs(calls.Weight{Calls: 1, LastCall: ago(8 * time.Minute), LastSuccess: ago(8 * time.Minute)})}, StateHealthy, []string{"1 call in the last 15 minutes; the last one, at 11:52:00 UTC, did not fail."}, ""},
		"quiet, failed":         {[]func(*world){weighs(calls.Weight{Calls: 1, Failed: 1, LastFailure: ago(8 * time.Minute), LastError: "Timed out"})}, StateDegraded, []string{"The last call, at 11:52:00 UTC, failed: Timed out."}, ""},
		"degraded": {
			[]func(*world){weighs(calls.Weight{Calls: 60, Failed: 6, Lately: 60, LatelyFailed: 6, LastFailure: ago(10 * time.Second), LastError: "Unavailable"})},
			StateDegraded,
			[]string{"6 of 60 calls in the last 5 minutes failed. The last one, at 11:59:50 UTC: Unavailable."},
			"",
		},
		"refused by us, then answered":                      {[]func(*world){weighs(calls.Weight{Calls: 31, Failed: 30, Refused: 30, Lately: 1, LatelyRefused: 30, LastCall: noon, LastSuccess: noon})}, StateHealthy, []string{"1 call in the last 5 minutes, none failed."}, ""},
		"refused by us, and nothing since":                  {[]func(*world){weighs(calls.Weight{Calls: 30, Failed: 30, Refused: 30, LatelyRefused: 30, LastRefused: noon})}, StateIdle, []string{"No call got through in the last 15 minutes."}, ""},
		"refused by us, then one got out and nothing since": {[]func(*world){checked(Check{At: ago(time.Second), Status: 200, Outcome: runtime.OutcomeSuccess}), weighs(calls.Weight{Calls: 31, Failed: 30, Refused: 30, LastRefused: ago(9 * time.Minute), LastCall: ago(8 * time.Minute), LastSuccess: ago(8 * time.Minute)})}, StateHealthy, []string{"No call since 11:52:00 UTC. The health check"}, ""},
		"refused by us since the last one got out":          {[]func(*world){checked(Check{At: ago(time.Second), Status: 200, Outcome: runtime.OutcomeSuccess}), weighs(calls.Weight{Calls: 31, Failed: 30, Refused: 30, LastRefused: ago(7 * time.Minute), LastCall: ago(8 * time.Minute), LastSuccess: ago(8 * time.Minute)})}, StateHealthy, []string{"No call got through since 11:52:00 UTC. The health check"}, ""},
		"refused by us, and answered before":                {[]func(*world){weighs(calls.Weight{Calls: 31, Failed: 30, Refused: 30, LatelyRefused: 30, LastCall: ago(8 * time.Minute), LastSuccess: ago(8 * time.Minute)})}, StateHealthy, []string{"1 call in the last 15 minutes"}, ""},
		"refused by us, and checked meanwhile":              {[]func(*world){checked(Check{At: ago(time.Minute), Status: 200, Outcome: runtime.OutcomeSuccess}), weighs(calls.Weight{Calls: 30, Failed: 30, Refused: 30, LatelyRefused: 30})}, StateHealthy, []string{"The health check"}, ""},
		"no token": {
			[]func(*world){weighs(calls.Weight{Calls: 33, Failed: 33, Refused: 33, LatelyRefused: 33, Refusals: []calls.Refusal{
				{Account: "acme", Code: "CREDENTIAL_NEEDS_REAUTH", Text: "Connect it.", Calls: 1, Last: ago(time.Minute)},
				{Account: "default", Code: "CREDENTIAL_RENEWAL_FAILED", Text: "No new access token could be obtained (invalid_client). Check the client", Calls: 32, Last: ago(3 * time.Second)},
			}})},
			StateCredential,
			[]string{"Account default: No new access token could be obtained (invalid_client). Check the client. 32 calls in a row were refused for it, the last one at 11:59:57 UTC. Another account"},
			"",
		},
		"no token, another account works": {
			[]func(*world){weighs(calls.Weight{Calls: 40, Failed: 1, Refused: 1, Lately: 39, LatelyRefused: 1, LastCall: noon, LastSuccess: noon, Refusals: []calls.Refusal{
				{Account: "acme", Code: "CREDENTIAL_TIMEOUT", Text: "the new token …", Calls: 1, Last: ago(40 * time.Minute)},
			}})},
			StateCredential,
			[]string{"Account acme: No new access token came within the time of the calls: the token endpoint is slow or does not answer. The last call was refused for it at 11:20:00 UTC."},
			"",
		},
		"no token, then a check of ours got out": {
			[]func(*world){checked(Check{At: ago(time.Second), Status: 200, Outcome: runtime.OutcomeSuccess}), weighs(calls.Weight{Calls: 1, Failed: 1, Refused: 1, LatelyRefused: 1, Refusals: []calls.Refusal{
				{Account: "default", Code: "CREDENTIAL_RENEWAL_FAILED", Calls: 1, Last: ago(time.Minute)},
			}})},
			StateHealthy,
			[]string{"The health check"},
			"",
		},
		"refused here": {
			[]func(*world){weighs(calls.Weight{Calls: 22, Failed: 20, Refused: 20, Lately: 2, LatelyRefused: 20, Reasons: []calls.Reason{{Code: "EGRESS_DENIED", Calls: 19}, {Code: "INVALID_PATH", Calls: 1}}})},
			StateDegraded,
			[]string{"20 of 22 calls in the last 5 minutes were refused here: EGRESS_DENIED, INVALID_PATH."},
			"",
		},
		"refused here, then one got out":          {[]func(*world){weighs(calls.Weight{Calls: 21, Failed: 20, Refused: 20, Lately: 1, LatelyRefused: 20, Reasons: []calls.Reason{{Code: "EGRESS_DENIED", Calls: 20}}, Passed: 1})}, StateHealthy, []string{"1 call in"}, ""},
		"over a limit, now and then one gets out": {[]func(*world){weighs(calls.Weight{Calls: 21, Failed: 20, Refused: 20, Lately: 1, LatelyRefused: 20, Reasons: []calls.Reason{{Code: "CONNECTION_RATE_LIMITED", Calls: 20}}, Passed: 1})}, StateDegraded, []string{"20 of 21 calls"}, ""},
		"over a limit that is gone":               {[]func(*world){weighs(calls.Weight{Calls: 23, Failed: 20, Refused: 20, Lately: 2, LatelyRefused: 20, Reasons: []calls.Reason{{Code: "CONNECTION_RATE_LIMITED", Calls: 20}}, Passed: 3})}, StateHealthy, []string{"2 calls"}, ""},
		"some refused here":                       {[]func(*world){weighs(calls.Weight{Calls: 10, Failed: 8, Refused: 8, Lately: 2, LatelyRefused: 8, Reasons: []calls.Reason{{Code: "BULKHEAD_FULL", Calls: 8}}})}, StateHealthy, []string{"2 calls in"}, ""},
		"refused here, the others failed":         {[]func(*world){weighs(calls.Weight{Calls: 30, Failed: 30, Refused: 28, Lately: 2, LatelyFailed: 2, LatelyRefused: 28, Reasons: []calls.Reason{{Code: "BULKHEAD_FULL", Calls: 28}}, LastError: "Timed out"})}, StateDown, []string{"All of the 2 calls"}, ""},
		"one call failed":                         {[]func(*world){weighs(calls.Weight{Calls: 1, Failed: 1, Lately: 1, LatelyFailed: 1, LastError: "Unavailable", LastFailure: noon})}, StateDegraded, []string{"1 of 1 call in"}, ""},
		"every call failed":                       {[]func(*world){weighs(calls.Weight{Calls: 7, Failed: 7, Lately: 7, LatelyFailed: 7, LastError: "Could not connect"})}, StateDown, []string{"All of the 7 calls", "Could not connect."}, ""},
		"every call failed, and a check since did not": {
			[]func(*world){checked(Check{At: ago(10 * time.Second), Status: 200, Outcome: runtime.OutcomeSuccess}), weighs(calls.Weight{Calls: 3, Failed: 3, Lately: 3, LatelyFailed: 3, LastCall: ago(time.Minute), LastError: "Server error"})},
			StateDegraded,
			[]string{"All of the 3 calls in the last 5 minutes failed; the health check since, at 11:59:50 UTC, was answered with 200 OK."},
			"",
		},
		"every call failed since the check": {
			[]func(*world){checked(Check{At: ago(2 * time.Minute), Status: 200, Outcome: runtime.OutcomeSuccess}), weighs(calls.Weight{Calls: 3, Failed: 3, Lately: 3, LatelyFailed: 3, LastCall: ago(time.Minute), LastError: "Server error"})},
			StateDown,
			[]string{"All of the 3 calls in the last 5 minutes failed. The last one: Server error."},
			"",
		},
		"every call failed, and the check since": {
			[]func(*world){checked(Check{At: ago(10 * time.Second), Status: 503, Outcome: runtime.OutcomeUnavailable}), weighs(calls.Weight{Calls: 3, Failed: 3, Lately: 3, LatelyFailed: 3, LastCall: ago(time.Minute), LastError: "Server error"})},
			StateDown,
			[]string{"All of the 3 calls in the last 5 minutes failed. The last one: Server error."},
			"",
		},
		"paused": {
			[]func(*world){func(w *world) {
				w.change("stripe", func(c *connections.Standing) { c.State = connections.StatePaused })
			}, func(w *world) { w.fail(whole) }},
			StatePaused,
			[]string{"It is paused"},
			"",
		},
		"unusable": {[]func(*world){func(w *world) {
			w.change("stripe", func(c *connections.Standing) {
				c.Problem = fault.New(fault.Unavailable, "", "This release cannot use the definition.")
			})
		}}, StateDown, []string{"This release cannot use the definition."}, ""},
		"credential": {[]func(*world){func(w *world) {
			w.change("stripe", func(c *connections.Standing) {
				c.Account, c.Problem = "acme", fault.New(fault.Unavailable, "", "The credential was revoked.")
			})
		}, func(w *world) { w.fail(whole) }}, StateCredential, []string{"Account acme: The credential was revoked."}, ""},
		"credential not accepted": {[]func(*world){func(w *world) {
			w.rejected = map[string]runtime.RejectedCredential{"stripe": {Account: "default", Since: noon, Until: noon.Add(time.Minute)}}
		}}, StateCredential, []string{"Account default: the upstream did not accept the credential"}, ""},
		"not set up": {[]func(*world){neverSetUp}, StateNotSetUp, []string{"It is not set up yet. Account default: The connection has no credential yet."}, ""},
		"not set up, and called": {[]func(*world){neverSetUp, weighs(calls.Weight{Calls: 9, Failed: 9, Refused: 9, LatelyRefused: 3, Refusals: []calls.Refusal{
			{Account: "default", Code: "CREDENTIAL_MISSING", Text: "The connection has no credential yet.", Calls: 3, Last: ago(4 * time.Second)},
		}})}, StateCredential, []string{"Account default: The connection has no credential yet. 3 calls in a row were refused for it, the last one at 11:59:56 UTC."}, ""},
		"not set up, and another account that does not exist is called": {[]func(*world){neverSetUp, weighs(calls.Weight{Calls: 9, Failed: 9, Refused: 9, LatelyRefused: 3, Reasons: []calls.Reason{{Code: "ACCOUNT_NOT_FOUND", Calls: 3}}})}, StateNotSetUp, []string{"It is not set up yet."}, ""},
		"not set up, called before":                                     {[]func(*world){neverSetUp, weighs(calls.Weight{Calls: 9, Failed: 9, Refused: 9})}, StateNotSetUp, []string{"It is not set up yet."}, ""},
		"open":                                                          {[]func(*world){func(w *world) { w.fail(whole) }, weighs(calls.Weight{Calls: 9, Lately: 9})}, StateDown, []string{"Open because"}, ""},
		"forced open":                                                   {[]func(*world){func(w *world) { must(w.t, command(w, whole).SetMode(breaker.ModeForcedOpen, order)) }}, StateDown, []string{"by ada@example.com: maintenance"}, ""},
		"held by a person":                                              {[]func(*world){func(w *world) { must(w.t, command(w, whole).Hold(order)) }}, StateHeld, []string{"Held by ada@example.com: maintenance"}, ""},
		"held by the vendor":                                            {[]func(*world){func(w *world) { w.throttle("") }}, StateHeld, []string{"Calls wait until", "because the vendor asked for it"}, ""},
		"held, the only account":                                        {[]func(*world){func(w *world) { w.throttle("default") }}, StateHeld, []string{"Calls wait until"}, ""},
		"an operation is open":                                          {[]func(*world){func(w *world) { w.fail(charge) }, weighs(calls.Weight{Calls: 9, Lately: 9})}, StateDegraded, []string{"charge: Open because"}, "charge"},
		"the connection before it":                                      {[]func(*world){func(w *world) { w.fail(charge) }, func(w *world) { must(w.t, command(w, whole).Trip(order)) }}, StateDown, []string{"Open, tripped by"}, ""},
		"checked":                                                       {[]func(*world){checked(Check{At: ago(40 * time.Second), Status: 200, Outcome: runtime.OutcomeSuccess, Took: 120 * time.Millisecond})}, StateHealthy, []string{"No call in", "The health check at 11:59:20 UTC was answered with 200 OK in 120ms."}, ""},
		"checked long ago":                                              {[]func(*world){checked(Check{At: ago(12 * time.Minute), Status: 200, Outcome: runtime.OutcomeSuccess})}, StateIdle, []string{"Nothing is known"}, ""},
		"checked before a call":                                         {[]func(*world){checked(Check{At: ago(time.Minute), Status: 503, Outcome: runtime.OutcomeUnavailable}), weighs(calls.Weight{Calls: 1, Lately: 1, LastCall: noon})}, StateHealthy, []string{"1 call in"}, ""},
		"check failed":                                                  {[]func(*world){checked(Check{At: ago(time.Minute), Outcome: runtime.OutcomeConnectFailed})}, StateDegraded, []string{"The health check at 11:59:00 UTC did not succeed: Could not connect."}, ""},
		"check failed twice":                                            {[]func(*world){checked(Check{At: ago(time.Minute), Outcome: runtime.OutcomeTimeout}), checked(Check{At: noon, Status: 503, Outcome: runtime.OutcomeUnavailable})}, StateDown, []string{"The last 2 health checks failed.", "503 Service Unavailable"}, ""},
		"check finds the credential":                                    {[]func(*world){checked(Check{At: noon, Status: 401, Outcome: runtime.OutcomeUnauthenticated})}, StateCredential, []string{"the credential is not accepted"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, nil, "other", "stripe")
			for _, set := range tt.set {
				set(w)
			}
			w.at = noon
			got := w.of("stripe")
			if got.Status.State != tt.state {
				t.Errorf("%s: %s, want %s", got.Status.State, got.Status.Why, tt.state)
			}
			for _, want := range tt.why {
				if !strings.Contains(got.Status.Why, want) {
					t.Errorf("%q is not in %q", want, got.Status.Why)
				}
			}
			if got.Status.Since.IsZero() {
				t.Error("it does not say since when")
			}
			if b := got.Status.Breaker; tt.op != "" && (b == nil || b.Key.Operation != tt.op) {
				t.Errorf("breaker %+v", b)
			}
			if other := w.of("other"); other.Status.State != StateIdle {
				t.Errorf("another one is %s", other.Status.State)
			}
		})
	}
}

func command(w *world, key breaker.Key) *breaker.Breaker {
	b, err := w.breakers.Breaker(key)
	must(w.t, err)
	return b
}

// Only what stands still gets a sentence of its own, the worst first; attention is wider.
func TestIncidents(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil, "a", "stripe", "c", "d", "e")
	w.fail(charge)
	w.called("stripe", calls.Weight{Calls: 60, Failed: 38, Lately: 60, LatelyFailed: 38})
	w.called("c", calls.Weight{Calls: 100, Failed: 99, Lately: 100, LatelyFailed: 99})
	w.called("d", calls.Weight{Calls: 100, Failed: 100, Lately: 100, LatelyFailed: 100})
	w.called("e", calls.Weight{Calls: 5, Lately: 5})
	w.of("a")
	b := w.published.Load()
	worst, total := b.Incidents(1)
	if total != 2 || len(worst) != 1 || worst[0].Slug != "d" {
		t.Errorf("%d incidents, first %+v", total, worst)
	}
	all, n := b.Page(nil, 0, 10)
	order := make([]string, 0, len(all))
	for _, i := range all {
		order = append(order, i.Slug)
	}
	if !slices.Equal(order, []string{"d", "c", "stripe", "e", "a"}) || n != 5 || b.Attention() != 3 || b.NotClosed != 1 {
		t.Errorf("order %s, %d, %d need attention, %d not closed", order, n, b.Attention(), b.NotClosed)
	}
	idle, n := b.Page(func(s State) bool { return s == StateIdle }, 0, 10)
	if n != 1 || len(idle) != 1 || idle[0].Slug != "a" {
		t.Errorf("idle: %+v", idle)
	}
}

// The worst state comes first, then production, then what costs most.
func TestOrderOfImpact(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil, "idle", "degraded-dev", "degraded-dev-more", "degraded-prod", "credential", "held", "down-dev", "half-open-prod", "busy")
	for _, slug := range []string{"degraded-prod", "half-open-prod"} {
		w.change(slug, func(c *connections.Standing) { c.Environment = "production" })
	}
	w.change("credential", func(c *connections.Standing) {
		c.Account, c.Problem = "default", fault.New(fault.Unavailable, "", "revoked")
	})
	partly := func(failed int) calls.Weight {
		return calls.Weight{Calls: 100, Failed: failed, Lately: 100, LatelyFailed: failed}
	}
	w.called("degraded-dev", partly(50))
	w.called("degraded-dev-more", partly(60))
	w.called("degraded-prod", partly(2))
	w.called("down-dev", partly(100))
	w.called("busy", partly(0))
	w.fail(breaker.Key{Connection: "half-open-prod"})
	must(t, command(w, breaker.Key{Connection: "half-open-prod"}).Probe(breaker.Order{Actor: "ada", Reason: "look"}))
	must(t, command(w, breaker.Key{Connection: "held"}).Hold(breaker.Order{Actor: "ada", Reason: "look", Until: time.Now().Add(time.Hour)}))
	order := func() string {
		t.Helper()
		w.of("idle")
		all, _ := w.published.Load().Page(nil, 0, 20)
		out := make([]string, 0, len(all))
		for _, i := range all {
			out = append(out, i.Slug)
		}
		return strings.Join(out, " ")
	}
	if got, want := order(), "half-open-prod down-dev held credential degraded-prod degraded-dev-more degraded-dev busy idle"; got != want {
		t.Errorf("%s\nnot %s", got, want)
	}
	// What changes its environment moves.
	w.change("degraded-dev", func(c *connections.Standing) { c.Environment = "production" })
	if got, want := order(), "half-open-prod down-dev held credential degraded-dev degraded-prod degraded-dev-more busy idle"; got != want {
		t.Errorf("moved to production: %s\nnot %s", got, want)
	}
}

// What is not set up yet needs nobody's attention, is no news, and counts neither as up nor as down.
func TestNotSetUpIsNoIncident(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil, "stripe", "other")
	w.change("stripe", func(c *connections.Standing) { c.Account, c.Problem = (&credentials.Set{}).Problem() })
	w.of("stripe")
	b := w.published.Load()
	if _, incidents := b.Incidents(10); incidents != 0 || b.Attention() != 0 || b.States[StateNotSetUp] != 1 || len(w.pending) != 0 {
		t.Errorf("%d incidents, %d need attention, states %v, changes %+v", incidents, b.Attention(), b.States, w.pending)
	}
	// A call that it refuses makes it one, until nobody calls any more.
	refused := func(ago time.Duration) []calls.Refusal {
		return []calls.Refusal{{Account: "default", Code: "CREDENTIAL_MISSING", Calls: 1, Last: time.Now().Add(-ago)}}
	}
	w.called("stripe", calls.Weight{Calls: 1, Failed: 1, Refused: 1, LatelyRefused: 1, Refusals: refused(time.Second)})
	if got := w.of("stripe"); got.Status.State != StateCredential || got.Status.Account != "default" {
		t.Errorf("called: %+v", got.Status)
	}
	if _, incidents := w.published.Load().Incidents(10); incidents != 1 {
		t.Errorf("%d incidents", incidents)
	}
	// Whoever calls it every ten minutes makes it one that lasts, and none that comes and goes.
	w.called("stripe", calls.Weight{Refusals: refused(20 * time.Minute)})
	if got := w.of("stripe"); got.Status.State != StateCredential || !strings.Contains(got.Status.Why, "The last call was refused for it ") {
		t.Errorf("called now and then: %+v", got.Status)
	}
	w.called("stripe", calls.Weight{})
	if got := w.of("stripe"); got.Status.State != StateNotSetUp {
		t.Errorf("left alone for an hour: %+v", got.Status)
	}
	w.change("stripe", func(c *connections.Standing) { c.Account, c.Problem = "", nil })
	if got := w.of("stripe"); got.Status.State != StateIdle {
		t.Errorf("set up: %+v", got.Status)
	}
}
