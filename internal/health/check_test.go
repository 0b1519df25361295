package health

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"switchgear/internal/access"
	"switchgear/internal/calls"
	"switchgear/internal/connections"
	"switchgear/internal/dbtest"
	"switchgear/internal/fault"
	"switchgear/internal/runtime"
	"switchgear/internal/runtime/breaker"
)

func contextThatEnded(t *testing.T) (context.Context, context.CancelFunc) {
	t.Helper()
	return context.WithCancel(t.Context())
}

// serving runs the checker of a world where each connection is asked every ten minutes, for a time.
func serving(t *testing.T, w *world, d time.Duration) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- w.Checker().Serve(ctx) }()
	time.Sleep(d)
	synctest.Wait()
	stop()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func checkedWorld(t *testing.T, slugs ...string) *world {
	t.Helper()
	w := newWorld(t, nil, slugs...)
	for _, slug := range slugs {
		w.change(slug, func(c *connections.Standing) {
			c.Check = runtime.HealthCheck{Enabled: true, Every: runtime.Duration(10 * time.Minute), Method: "GET", Path: "/v1/account?limit=1"}
		})
	}
	return w
}

// The first request comes within the interval; the others follow within a tenth of it, and not in step.
func TestChecksAreSpread(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := checkedWorld(t, "stripe")
		began := time.Now()
		serving(t, w, 10*time.Hour)
		if len(w.asked) < 54 || len(w.asked) > 67 {
			t.Fatalf("asked %d times in ten hours", len(w.asked))
		}
		if first := w.asked[0].Sub(began); first > 10*time.Minute+2*time.Second {
			t.Errorf("first asked after %s", first)
		}
		gaps := map[time.Duration]bool{}
		for i := 1; i < len(w.asked); i++ {
			gap := w.asked[i].Sub(w.asked[i-1])
			gaps[gap] = true
			if gap < 9*time.Minute-time.Second || gap > 11*time.Minute+time.Second {
				t.Errorf("%s between two", gap)
			}
		}
		if len(gaps) < 10 {
			t.Errorf("only %d different intervals", len(gaps))
		}
		if c, ok := w.Check("stripe"); !ok || c.Path != "/v1/account" || c.Status != 200 {
			t.Errorf("%+v", c)
		}
		if got := w.of("stripe").Status; got.State != StateHealthy {
			t.Errorf("%s: %s", got.State, got.Why)
		}
	})
}

// Nobody is asked who is busy, held, open, paused, without a credential, or has no check.
func TestWhoIsNotAsked(t *testing.T) {
	t.Parallel()
	for name, set := range map[string]func(w *world){
		"busy": func(w *world) { w.called("stripe", calls.Weight{Calls: 1, LastCall: time.Now().Add(48 * time.Hour)}) },
		"held": func(w *world) { w.throttle("default") },
		"open": func(w *world) { w.fail(breaker.Key{Connection: "stripe"}) },
		"part": func(w *world) { w.fail(charge) },
		"paused": func(w *world) {
			w.change("stripe", func(c *connections.Standing) { c.State = connections.StatePaused })
		},
		"credential": func(w *world) {
			w.change("stripe", func(c *connections.Standing) {
				c.Account, c.Problem = "default", fault.New(fault.Unavailable, "", "revoked")
			})
		},
		"not accepted": func(w *world) { w.rejected = map[string]runtime.RejectedCredential{"stripe": {Account: "default"}} },
		"off":          func(w *world) { w.change("stripe", func(c *connections.Standing) { c.Check.Enabled = false }) },
		"no path":      func(w *world) { w.change("stripe", func(c *connections.Standing) { c.Check.Path = "" }) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := checkedWorld(t, "stripe", "other")
				set(w)
				// A pause of the vendor lasts a minute, a breaker stays open for 30 seconds: neither is waited for.
				for range 10 {
					w.checks.mu.Lock()
					for id := range w.checks.due {
						w.checks.due[id] = time.Now()
					}
					w.checks.due["stripe"] = time.Now()
					w.checks.mu.Unlock()
					due, err := w.due(4)
					must(t, err)
					if _, ok := due["stripe"]; ok {
						t.Error("it is asked")
					}
					time.Sleep(time.Second)
				}
			})
		})
	}
}

// What stands in the way since it was planned cancels it.
func TestHoldBetweenPlanAndRequest(t *testing.T) {
	t.Parallel()
	w := checkedWorld(t, "stripe")
	w.throttle("")
	w.ask(t.Context(), "stripe", "stripe")
	w.ask(t.Context(), "another id", "stripe")
	if len(w.asked) != 0 {
		t.Error("a held vendor is asked")
	}
}

// While a breaker is half-open, and nobody calls, the checks are its probes: it closes by them, or opens again.
func TestChecksAreProbesOfAHalfOpenBreaker(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		key     breaker.Key
		answers runtime.ProbeResult
		want    breaker.State
	}{
		"answered":                   {breaker.Key{Connection: "stripe"}, runtime.ProbeResult{Status: 200, Outcome: runtime.OutcomeSuccess}, breaker.StateClosed},
		"not found":                  {breaker.Key{Connection: "stripe"}, runtime.ProbeResult{Status: 404, Outcome: runtime.OutcomeClientError}, breaker.StateClosed},
		"failed":                     {breaker.Key{Connection: "stripe"}, runtime.ProbeResult{Status: 500, Outcome: runtime.OutcomeServerError}, breaker.StateOpen},
		"not sent":                   {breaker.Key{Connection: "stripe"}, runtime.ProbeResult{Outcome: runtime.OutcomeRejectedLocal}, breaker.StateHalfOpen},
		"only an operation answered": {charge, runtime.ProbeResult{Status: 200, Outcome: runtime.OutcomeSuccess}, breaker.StateHalfOpen},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := checkedWorld(t, "stripe")
				w.answers = tt.answers
				w.fail(tt.key)
				b := command(w, tt.key)
				must(t, b.Probe(breaker.Order{Actor: "ada", Reason: "test"})) // half-open, and no call comes
				w.of("stripe")
				due, err := w.due(4)
				must(t, err)
				for range 20 { // the first is planned within the interval
					time.Sleep(time.Minute)
					if due, err = w.due(4); len(due) > 0 || err != nil {
						break
					}
				}
				must(t, err)
				for id, slug := range due {
					w.ask(t.Context(), id, slug)
				}
				if got := b.Snapshot(); got.State != tt.want || got.ProbesUsed != 0 {
					t.Errorf("the breaker is %s, %d probes used, after %d requests", got.State, got.ProbesUsed, len(w.asked))
				}
			})
		})
	}
}

// A check that somebody asks for is a probe then too; while the probes are under way none is sent, nor while it is open.
func TestCheckNowIsAProbe(t *testing.T) {
	t.Parallel()
	w := checkedWorld(t, "stripe")
	key := breaker.Key{Connection: "stripe"}
	w.fail(key)
	if _, err := w.CheckNow(t.Context(), access.System(), "stripe"); fault.CodeOf(err) != "CALLS_HELD" || len(w.asked) != 0 {
		t.Errorf("open: %v", err)
	}
	b := command(w, key)
	must(t, b.Probe(breaker.Order{Actor: "ada", Reason: "test"}))
	permit, err := b.Allow()
	must(t, err)
	if _, err := w.CheckNow(t.Context(), access.System(), "stripe"); fault.CodeOf(err) != "PROBES_UNDER_WAY" || len(w.asked) != 0 {
		t.Errorf("its one probe is under way: %v", err)
	}
	permit.Cancel()
	c, err := w.CheckNow(t.Context(), access.System(), "stripe")
	if err != nil || !c.OK() || b.Snapshot().State != breaker.StateClosed {
		t.Errorf("half-open: %+v, %v, then %s", c, err, b.Snapshot().State)
	}
}

// Few requests are under way at once, and the others follow.
func TestChecksAreBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := checkedWorld(t, "a", "b", "c", "d", "e", "f", "g", "h")
		w.asking = make(chan struct{})
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- w.Checker().Serve(ctx) }()
		time.Sleep(30 * time.Minute)
		synctest.Wait()
		if n := len(w.asked); n != 4 {
			t.Errorf("%d at once", n)
		}
		close(w.asking)
		time.Sleep(30 * time.Minute)
		synctest.Wait()
		if n := len(w.asked); n < 12 {
			t.Errorf("%d requests in an hour", n)
		}
		stop()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
}

// A failure makes a connection suspect, a second one down; an answer ends it.
func TestChecksFindAnOutage(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := checkedWorld(t, "stripe")
		w.answers = runtime.ProbeResult{Outcome: runtime.OutcomeConnectFailed}
		w.ask(t.Context(), "stripe", "stripe")
		if got := w.of("stripe").Status; got.State != StateDegraded {
			t.Errorf("%s: %s", got.State, got.Why)
		}
		time.Sleep(time.Minute)
		first := w.checks.of("stripe").At
		w.ask(t.Context(), "stripe", "stripe")
		if got := w.of("stripe").Status; got.State != StateDown || !got.Since.Equal(first) {
			t.Errorf("%s since %s: %s", got.State, got.Since, got.Why)
		}
		w.answers = runtime.ProbeResult{Outcome: runtime.OutcomeRejectedLocal} // the egress guard: nothing is known by it
		w.ask(t.Context(), "stripe", "stripe")
		if got := w.of("stripe").Status; got.State != StateDown {
			t.Errorf("%s: %s", got.State, got.Why)
		}
		w.answers = runtime.ProbeResult{Status: 204, Outcome: runtime.OutcomeSuccess}
		w.ask(t.Context(), "stripe", "stripe")
		if got := w.of("stripe").Status; got.State != StateHealthy {
			t.Errorf("%s: %s", got.State, got.Why)
		}
	})
}

// The status that is expected decides, whatever it means to calls.
func TestExpectedStatus(t *testing.T) {
	t.Parallel()
	w := checkedWorld(t, "stripe")
	w.change("stripe", func(c *connections.Standing) { c.Check.ExpectedStatus = 401 })
	for status, want := range map[int]State{401: StateHealthy, 200: StateDegraded} {
		w.answers = runtime.ProbeResult{Status: status, Outcome: runtime.OutcomeUnauthenticated}
		if status == 200 {
			w.answers.Outcome = runtime.OutcomeSuccess
		}
		w.checks.last = map[string]*Check{}
		w.ask(t.Context(), "stripe", "stripe")
		if got := w.of("stripe").Status; got.State != want {
			t.Errorf("%d: %s: %s", status, got.State, got.Why)
		}
	}
	w.answers = runtime.ProbeResult{Status: 503, Outcome: runtime.OutcomeUnavailable}
	w.ask(t.Context(), "stripe", "stripe")
	if c, _ := w.Check("stripe"); !c.Failed() || c.OK() || c.Answer() != "503 Service Unavailable, where 401 is expected" {
		t.Errorf("%+v: %s", c, c.Answer())
	}
}

// A redirect shows that the upstream is alive, and not that what the check asks for works: it mostly leads to a page to
// sign in. A rule of the policy or the status that is expected may say otherwise, as for the test of a credential.
func TestCheckThatIsRedirected(t *testing.T) {
	t.Parallel()
	redirected := func(to string) runtime.ProbeResult {
		return runtime.ProbeResult{Status: 302, Outcome: runtime.OutcomeSuccess, Redirect: to}
	}
	cut := func(status int, outcome runtime.Outcome, to string) runtime.ProbeResult {
		return runtime.ProbeResult{Status: status, Outcome: outcome, Redirect: to, Err: io.ErrUnexpectedEOF}
	}
	rule := func(status int, means runtime.Outcome) []runtime.OutcomeRule {
		return []runtime.OutcomeRule{{Status: status, Outcome: means}}
	}
	for name, tt := range map[string]struct {
		answer   runtime.ProbeResult
		rules    []runtime.OutcomeRule
		expected int
		state    State
		says     string
	}{
		"to a login page":               {redirected("login.example.com/signin"), nil, 0, StateDegraded, "302 Found, a redirect to login.example.com/signin, which may be a page to sign in"},
		"to nowhere":                    {redirected(""), nil, 0, StateDegraded, "302 Found, a redirect that does not say where to"},
		"that is expected":              {redirected("login.example.com/signin"), nil, 302, StateHealthy, "302 Found"},
		"that a rule accepts":           {redirected("login.example.com/signin"), rule(302, runtime.OutcomeSuccess), 0, StateHealthy, "302 Found"},
		"where another is wanted":       {redirected("login.example.com/"), nil, 200, StateDegraded, "302 Found, where 200 is expected, a redirect to login.example.com/, which may be a page to sign in"},
		"an answer that a rule refuses": {runtime.ProbeResult{Status: 200, Outcome: runtime.OutcomeSuccess}, rule(200, runtime.OutcomeUnavailable), 0, StateDegraded, "200 OK, which the policy counts as unavailable"},
		"an answer":                     {runtime.ProbeResult{Status: 200, Outcome: runtime.OutcomeSuccess}, rule(302, runtime.OutcomeSuccess), 0, StateHealthy, "200 OK"},
		"an answer that is late":        {cut(200, runtime.OutcomeTimeout, ""), nil, 0, StateDegraded, "200 OK, but timed out"},
		"an answer that breaks off":     {cut(206, runtime.OutcomeReset, ""), rule(206, runtime.OutcomeSuccess), 0, StateDegraded, "206 Partial Content, but connection broken"},
		"expected, and breaks off":      {cut(200, runtime.OutcomeReset, ""), nil, 200, StateHealthy, "200 OK"},
		"a redirect that breaks off":    {cut(302, runtime.OutcomeReset, "login.example.com/"), nil, 0, StateDegraded, "302 Found, but connection broken, a redirect to login.example.com/, which may be a page to sign in"},
		"a failure that breaks off":     {cut(503, runtime.OutcomeReset, ""), nil, 0, StateDegraded, "503 Service Unavailable"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := dbtest.New(t)
			w := newWorld(t, d, "stripe")
			w.change("stripe", func(c *connections.Standing) {
				c.Check = runtime.HealthCheck{Enabled: true, Every: runtime.Duration(10 * time.Minute), Method: "GET", Path: "/v1/account", ExpectedStatus: tt.expected}
			})
			w.answers, w.rules = tt.answer, tt.rules
			w.ask(t.Context(), "stripe", "stripe")
			look := func(when string) {
				t.Helper()
				got := w.of("stripe").Status
				c, _ := w.Check("stripe")
				if got.State != tt.state || !strings.Contains(got.Why, tt.says) || c.Answer() != tt.says || c.OK() != (tt.state == StateHealthy) {
					t.Errorf("%s: %s: %s; %q", when, got.State, got.Why, c.Answer())
				}
			}
			look("at once")
			must(t, w.save(t.Context()))
			w.start(d)
			look("after a restart")
		})
	}
}

// A check takes no longer than its own timeout, and never longer than a call.
func TestCheckTimeout(t *testing.T) {
	t.Parallel()
	for own, want := range map[time.Duration]time.Duration{0: 30 * time.Second, time.Second: time.Second, time.Minute: 30 * time.Second} {
		w := checkedWorld(t, "stripe")
		w.change("stripe", func(c *connections.Standing) { c.Check.Timeout = runtime.Duration(own) })
		w.ask(t.Context(), "stripe", "stripe")
		if got := w.target.Policy.Timeout.Std(); got != want {
			t.Errorf("%s: %s, not %s", own, got, want)
		}
	}
}

// Somebody who may operate can ask at once; the result counts, unless nothing may be sent.
func TestCheckNow(t *testing.T) {
	t.Parallel()
	w := checkedWorld(t, "stripe")
	w.answers = runtime.ProbeResult{Status: 503, Outcome: runtime.OutcomeUnavailable}
	for n := 1; n <= 2; n++ {
		c, err := w.CheckNow(t.Context(), access.System(), "stripe")
		must(t, err)
		if c.Status != 503 || c.InARow != n || c.Path != "/v1/account" {
			t.Errorf("%+v", c)
		}
	}
	if got := w.of("stripe").Status; got.State != StateDown {
		t.Errorf("%s: %s", got.State, got.Why)
	}
	if _, err := w.CheckNow(t.Context(), access.Actor{Kind: access.KindUser, Role: access.RoleViewer}, "stripe"); !fault.Is(err, fault.Forbidden) {
		t.Errorf("a viewer: %v", err)
	}
	sent := len(w.asked)
	for code, set := range map[string]func(w *world){
		"NOT_FOUND":      func(w *world) { w.list = nil },
		"NO_HEALTH_PATH": func(w *world) { w.change("stripe", func(c *connections.Standing) { c.Check.Path = "" }) },
		"CALLS_HELD":     func(w *world) { w.throttle("") },
		"CHECK_RUNNING":  func(w *world) { w.checks.begin("stripe") },
	} {
		w := checkedWorld(t, "stripe")
		set(w)
		if _, err := w.CheckNow(t.Context(), access.System(), "stripe"); fault.CodeOf(err) != code || len(w.asked) != 0 {
			t.Errorf("%s: %v", code, err)
		}
	}
	w.answers = runtime.ProbeResult{Outcome: runtime.OutcomeRejectedLocal}
	if _, err := w.CheckNow(t.Context(), access.System(), "stripe"); fault.CodeOf(err) != "CHECK_NOT_SENT" || len(w.asked) != sent+1 {
		t.Errorf("%v", err)
	}
	if c, _ := w.Check("stripe"); c.InARow != 2 {
		t.Errorf("what was not sent counts: %+v", c)
	}
}
