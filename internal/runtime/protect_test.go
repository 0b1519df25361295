package runtime_test

import (
	"context"
	"io"
	"maps"
	"net"
	"net/http"
	goruntime "runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"switchgear/internal/fault"
	"switchgear/internal/runtime"
	"switchgear/internal/runtime/breaker"
	"switchgear/internal/runtime/bulkhead"
	"switchgear/internal/runtime/egress"
	"switchgear/internal/runtime/ratelimit"
)

// script answers request after request with the next status, the last for all that follow, and notes
// what it saw.
type script struct {
	statuses []int
	header   http.Header

	mu     sync.Mutex
	bodies []string
	keys   []string
}

func (s *script) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	s.mu.Lock()
	n := len(s.bodies)
	s.bodies, s.keys = append(s.bodies, string(body)), append(s.keys, r.Header.Get("Idempotency-Key"))
	s.mu.Unlock()
	status := s.statuses[min(n, len(s.statuses)-1)]
	maps.Copy(w.Header(), s.header)
	w.WriteHeader(status)
	_, _ = io.WriteString(w, strconv.Itoa(status)+" #"+strconv.Itoa(n+1))
}

func (s *script) sends() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.bodies)
}

// retries asks for attempts without a wait worth mentioning.
func retries(attempts int) option {
	return policy(func(p *runtime.Policy) {
		p.Retry.MaxAttempts, p.Retry.BaseDelay, p.Retry.MaxDelay = attempts, runtime.Duration(time.Millisecond), runtime.Duration(time.Millisecond)
	})
}

func TestRetries(t *testing.T) {
	t.Parallel()
	keyed := policy(func(p *runtime.Policy) { p.Retry.IdempotencyKey = "Idempotency-Key" })
	for name, c := range map[string]struct {
		method, body string
		statuses     []int
		options      []option
		sends        int
		status       int
	}{
		"503, 503, 200":                      {"GET", "", []int{503, 503, 200}, nil, 3, 200},
		"the last answer is passed on":       {"GET", "", []int{503}, nil, 3, 503},
		"200 at once":                        {"GET", "", []int{200}, nil, 1, 200},
		"404 is final":                       {"GET", "", []int{404, 200}, nil, 1, 404},
		"501 is final":                       {"GET", "", []int{501, 200}, nil, 1, 501},
		"POST without a key":                 {"POST", "x", []int{503, 200}, nil, 1, 503},
		"POST with a key that is honoured":   {"POST", "x", []int{503, 503, 200}, []option{keyed}, 3, 200},
		"PUT sends its body again":           {"PUT", strings.Repeat("body", 10_000), []int{503, 200}, nil, 2, 200},
		"a body that is larger than is kept": {"PUT", strings.Repeat("x", 3<<20), []int{503, 200}, nil, 1, 503},
		"one attempt":                        {"GET", "", []int{503, 200}, []option{retries(1)}, 1, 503},
		"401 without anything to refresh":    {"GET", "", []int{401, 200}, nil, 1, 401},
		"an answer that means something else": {"GET", "", []int{503, 200}, []option{policy(func(p *runtime.Policy) {
			p.Outcomes = []runtime.OutcomeRule{{Status: 503, BodyContains: "503 #1", Outcome: runtime.OutcomeSuccess}}
		})}, 1, 503},
		"a rule for another body": {"GET", "", []int{503, 200}, []option{policy(func(p *runtime.Policy) {
			p.Outcomes = []runtime.OutcomeRule{{Status: 503, BodyContains: "nothing of the kind", Outcome: runtime.OutcomeSuccess}}
		})}, 2, 200},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := &script{statuses: c.statuses}
			g := newGateway(t, newUpstream(t, s.ServeHTTP).URL, egress.TransportConfig{}, append([]option{retries(3)}, c.options...)...)
			resp, body := send(t, g, newRequest(t, c.method, g.URL+"/things", strings.NewReader(c.body)))
			rec := g.records.next(t)
			if s.sends() != c.sends || resp.StatusCode != c.status || resp.Header.Get("Switchgear-Attempts") != strconv.Itoa(c.sends) || rec.Attempts != c.sends {
				t.Errorf("%d %s after %d sends, attempts %s, recorded %d; want %d after %d", resp.StatusCode, body, s.sends(),
					resp.Header.Get("Switchgear-Attempts"), rec.Attempts, c.status, c.sends)
			}
			if want := strconv.Itoa(c.status) + " #" + strconv.Itoa(c.sends); string(body) != want {
				t.Errorf("the body is %q, want %q", body, want)
			}
			for i, got := range s.bodies {
				if got != c.body {
					t.Errorf("send %d had %d bytes, want %d", i+1, len(got), len(c.body))
				}
				if c.method == http.MethodPost && len(c.options) > 0 && (s.keys[i] == "" || s.keys[i] != s.keys[0]) {
					t.Errorf("keys %q", s.keys)
				}
			}
		})
	}
}

// What the caller chose as a key goes out as it is.
func TestCallerKeyIsKept(t *testing.T) {
	t.Parallel()
	s := &script{statuses: []int{503, 200}}
	g := newGateway(t, newUpstream(t, s.ServeHTTP).URL, egress.TransportConfig{}, retries(3),
		policy(func(p *runtime.Policy) { p.Retry.IdempotencyKey = "idempotency-key" }))
	req := newRequest(t, http.MethodPost, g.URL+"/", strings.NewReader("x"))
	req.Header.Set("Idempotency-Key", `"mine"`)
	if resp, _ := send(t, g, req); resp.StatusCode != 200 || !cmp.Equal(s.keys, []string{`"mine"`, `"mine"`}) {
		t.Errorf("%d, keys %q", resp.StatusCode, s.keys)
	}
}

// A reset after the request was written says nothing about what the upstream did with it.
func TestResetAfterWrite(t *testing.T) {
	t.Parallel()
	for method, want := range map[string]int64{"POST": 1, "GET": 3, "PUT": 3} {
		var seen atomic.Int64
		upstream := rawUpstream(t, func(conn net.Conn) {
			buffer := make([]byte, 4096)
			if n, _ := conn.Read(buffer); n > 0 {
				seen.Add(1)
			}
			if tcp, ok := conn.(*net.TCPConn); ok {
				_ = tcp.SetLinger(0)
			}
		})
		g := newGateway(t, upstream, egress.TransportConfig{}, retries(3))
		resp, body := send(t, g, newRequest(t, method, g.URL+"/", strings.NewReader("x")))
		wantError(t, resp, body, http.StatusBadGateway, runtime.CodeReset)
		if seen.Load() != want {
			t.Errorf("%s was sent %d times, want %d", method, seen.Load(), want)
		}
	}
}

// Where nothing was sent, any method may be tried again.
func TestConnectFailureIsRetried(t *testing.T) {
	t.Parallel()
	g := newGateway(t, "http://127.0.0.1:1", egress.TransportConfig{}, retries(3))
	resp, body := send(t, g, newRequest(t, http.MethodPost, g.URL+"/", strings.NewReader("x")))
	wantError(t, resp, body, http.StatusBadGateway, runtime.CodeConnectFailed)
	if rec := g.records.next(t); rec.Attempts != 3 {
		t.Errorf("%d attempts", rec.Attempts)
	}
}

// An upstream that asks for a pause gets it, and callers after it wait as well.
func TestRetryAfter(t *testing.T) {
	t.Parallel()
	s := &script{statuses: []int{429, 200}, header: http.Header{"Retry-After": {"1"}}}
	g := newGateway(t, newUpstream(t, s.ServeHTTP).URL, egress.TransportConfig{}, retries(3))
	began := time.Now()
	resp, _ := send(t, g, newRequest(t, http.MethodPost, g.URL+"/", strings.NewReader("")))
	if resp.StatusCode != 200 || s.sends() != 2 || time.Since(began) < time.Second {
		t.Errorf("%d after %s and %d sends", resp.StatusCode, time.Since(began), s.sends())
	}
}

// A delay that does not fit into the time of the call is not waited for, and held against later calls.
func TestRetryAfterTooLong(t *testing.T) {
	t.Parallel()
	s := &script{statuses: []int{429}, header: http.Header{"Retry-After": {"600"}}}
	g := newGateway(t, newUpstream(t, s.ServeHTTP).URL, egress.TransportConfig{}, retries(3), timeout(5*time.Second))
	if resp, _ := send(t, g, newRequest(t, http.MethodGet, g.URL+"/", nil)); resp.StatusCode != 429 || s.sends() != 1 {
		t.Fatalf("%d after %d sends", resp.StatusCode, s.sends())
	}
	resp, body := send(t, g, newRequest(t, http.MethodGet, g.URL+"/", nil))
	wantError(t, resp, body, http.StatusTooManyRequests, "CONNECTION_HELD")
	if after, _ := strconv.Atoi(resp.Header.Get("Retry-After")); s.sends() != 1 || after < 500 {
		t.Errorf("%d sends, Retry-After %q", s.sends(), resp.Header.Get("Retry-After"))
	}
}

func TestOpenBreakerSendsNothing(t *testing.T) {
	t.Parallel()
	s := &script{statuses: []int{500}}
	g := newGateway(t, newUpstream(t, s.ServeHTTP).URL, egress.TransportConfig{}, policy(func(p *runtime.Policy) { p.Breaker.MinCalls = 5 }))
	for range 5 {
		send(t, g, newRequest(t, http.MethodGet, g.URL+"/", nil))
	}
	resp, body := send(t, g, newRequest(t, http.MethodGet, g.URL+"/", nil))
	wantError(t, resp, body, http.StatusServiceUnavailable, breaker.CodeOpen)
	if s.sends() != 5 || resp.Header.Get("Retry-After") == "" || resp.Header.Get("Switchgear-Attempts") != "0" {
		t.Errorf("%d sends, %v", s.sends(), resp.Header)
	}
	b, err := g.protections.Breakers().Breaker(breaker.Key{Connection: "con_1"})
	if err != nil {
		t.Fatal(err)
	}
	if snapshot := b.Snapshot(); snapshot.State != breaker.StateOpen {
		t.Errorf("%+v", snapshot)
	}
	// By hand it is closed at once.
	if err := b.SetMode(breaker.ModeForcedClosed, breaker.Order{Actor: "test", Reason: "try", Until: time.Now().Add(time.Hour)}); err != nil {
		t.Fatal(err)
	}
	if send(t, g, newRequest(t, http.MethodGet, g.URL+"/", nil)); s.sends() != 6 {
		t.Errorf("%d sends", s.sends())
	}
}

// With its breaker switched off, a connection is only stopped by hand.
func TestBreakerSwitchedOff(t *testing.T) {
	t.Parallel()
	s := &script{statuses: []int{500}}
	g := newGateway(t, newUpstream(t, s.ServeHTTP).URL, egress.TransportConfig{}, policy(func(p *runtime.Policy) {
		p.Breaker.MinCalls, p.Breaker.ConsecutiveFailures, p.Breaker.Enabled = 1, 1, false
	}))
	for range 10 {
		send(t, g, newRequest(t, http.MethodGet, g.URL+"/", nil))
	}
	if s.sends() != 10 {
		t.Fatalf("%d sends", s.sends())
	}
	b, err := g.protections.Breakers().Breaker(breaker.Key{Connection: "con_1"})
	if err != nil {
		t.Fatal(err)
	}
	if err := b.SetMode(breaker.ModeForcedOpen, breaker.Order{Actor: "test", Reason: "maintenance", Until: time.Now().Add(time.Hour)}); err != nil {
		t.Fatal(err)
	}
	resp, body := send(t, g, newRequest(t, http.MethodGet, g.URL+"/", nil))
	wantError(t, resp, body, http.StatusServiceUnavailable, breaker.CodeOpen)
}

func TestRateLimitRefuses(t *testing.T) {
	t.Parallel()
	s := &script{statuses: []int{200}}
	g := newGateway(t, newUpstream(t, s.ServeHTTP).URL, egress.TransportConfig{}, policy(func(p *runtime.Policy) {
		p.RateLimits, p.RateLimitWait = []runtime.RateLimit{{Requests: 2, Per: runtime.Duration(time.Hour)}}, 0
	}))
	for range 2 {
		send(t, g, newRequest(t, http.MethodGet, g.URL+"/", nil))
	}
	resp, body := send(t, g, newRequest(t, http.MethodGet, g.URL+"/", nil))
	wantError(t, resp, body, http.StatusTooManyRequests, "CONNECTION_RATE_LIMITED")
	if s.sends() != 2 || resp.Header.Get("Ratelimit") == "" || resp.Header.Get("X-Ratelimit-Remaining") != "0" {
		t.Errorf("%d sends, %v", s.sends(), resp.Header)
	}
}

// How long a call waited for its turn is in its record.
func TestRateLimitWaits(t *testing.T) {
	t.Parallel()
	s := &script{statuses: []int{200}}
	g := newGateway(t, newUpstream(t, s.ServeHTTP).URL, egress.TransportConfig{}, policy(func(p *runtime.Policy) {
		p.RateLimits, p.RateLimitWait = []runtime.RateLimit{{Requests: 1, Per: runtime.Duration(2 * time.Second)}}, runtime.Duration(time.Minute)
	}))
	waited := 0
	for range 3 {
		send(t, g, newRequest(t, http.MethodGet, g.URL+"/", nil))
		rec := g.records.next(t)
		told := slices.ContainsFunc(rec.Steps, func(s runtime.Step) bool { return s.Name == "rate limit" })
		if told != (rec.LimitWait > 0) || rec.LimitWait > rec.Duration {
			t.Errorf("waited %s of %s, %+v", rec.LimitWait, rec.Duration, rec.Steps)
		}
		if rec.LimitWait > 0 {
			waited++
		}
	}
	if waited == 0 {
		t.Error("no call waited")
	}
}

func TestBulkheadRefuses(t *testing.T) {
	t.Parallel()
	inside, leave := make(chan struct{}), make(chan struct{})
	upstream := newUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			close(inside)
			<-leave
		}
	})
	g := newGateway(t, upstream.URL, egress.TransportConfig{}, policy(func(p *runtime.Policy) { p.Bulkhead.MaxInFlight = 1 }))
	var wg sync.WaitGroup
	wg.Go(func() {
		resp, err := g.caller.RoundTrip(newRequest(t, http.MethodGet, g.URL+"/slow", nil))
		if err == nil {
			_ = resp.Body.Close()
		}
	})
	<-inside
	resp, body := send(t, g, newRequest(t, http.MethodGet, g.URL+"/fast", nil))
	wantError(t, resp, body, http.StatusServiceUnavailable, "BULKHEAD_FULL")
	close(leave)
	wg.Wait()
	if resp, _ := send(t, g, newRequest(t, http.MethodGet, g.URL+"/fast", nil)); resp.StatusCode != 200 {
		t.Errorf("%d once there is room", resp.StatusCode)
	}
}

// A call that waits for its turn when calls are stopped is not sent when its turn comes.
func TestStoppedWhileWaiting(t *testing.T) {
	t.Parallel()
	for name, stop := range map[string]func(b *breaker.Breaker) error{
		"tripped": func(b *breaker.Breaker) error { return b.Trip(breaker.Order{Actor: "test", Reason: "down"}) },
		"forced open": func(b *breaker.Breaker) error {
			return b.SetMode(breaker.ModeForcedOpen, breaker.Order{Actor: "test", Reason: "maintenance", Until: time.Now().Add(time.Hour)})
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inside, leave := make(chan struct{}), make(chan struct{})
			var seen atomic.Int64
			upstream := newUpstream(t, func(_ http.ResponseWriter, r *http.Request) {
				if seen.Add(1); r.URL.Path == "/slow" {
					close(inside)
					<-leave
				}
			})
			g := newGateway(t, upstream.URL, egress.TransportConfig{}, policy(func(p *runtime.Policy) {
				p.Bulkhead = runtime.Bulkhead{MaxInFlight: 1, MaxWait: runtime.Duration(time.Minute)}
			}))
			var callers sync.WaitGroup
			callers.Go(func() { send(t, g, newRequest(t, http.MethodGet, g.URL+"/slow", nil)) })
			<-inside
			callers.Go(func() {
				resp, body := send(t, g, newRequest(t, http.MethodGet, g.URL+"/", nil))
				wantError(t, resp, body, http.StatusServiceUnavailable, breaker.CodeOpen)
			})
			for g.protections.Guards()[0].Bulkhead.Waiting == 0 {
				goruntime.Gosched()
			}
			b, err := g.protections.Breakers().Breaker(breaker.Key{Connection: "con_1"})
			if err != nil {
				t.Fatal(err)
			}
			if err := stop(b); err != nil {
				t.Fatal(err)
			}
			close(leave)
			callers.Wait()
			if n := seen.Load(); n != 1 {
				t.Errorf("%d calls arrived", n)
			}
			if guard := g.protections.Guards()[0]; guard.Bulkhead.InFlight != 0 || guard.Limits.Stats.Refunded != 1 {
				t.Errorf("what it had is not given back: %d places, %d refunds", guard.Bulkhead.InFlight, guard.Limits.Stats.Refunded)
			}
		})
	}
}

func TestStaleAnswerStandsIn(t *testing.T) {
	t.Parallel()
	for name, status := range map[string]int{"unavailable": 503, "throttled": 429, "an answer in between": 500} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := &script{statuses: []int{200, status}}
			g := newGateway(t, newUpstream(t, s.ServeHTTP).URL, egress.TransportConfig{}, policy(func(p *runtime.Policy) {
				p.Cache.StaleIfError = runtime.Duration(time.Hour)
			}))
			if resp, _ := send(t, g, newRequest(t, http.MethodGet, g.URL+"/a", nil)); resp.Header.Get("Switchgear-Cache") != "miss" {
				t.Errorf("first: %v", resp.Header)
			}
			g.records.next(t)
			resp, body := send(t, g, newRequest(t, http.MethodGet, g.URL+"/a", nil))
			if resp.StatusCode != 200 || string(body) != "200 #1" || resp.Header.Get("Switchgear-Cache") != "stale" || resp.Header.Get("Age") == "" {
				t.Errorf("%d %s %v", resp.StatusCode, body, resp.Header)
			}
			if rec := g.records.next(t); rec.Cache != "stale" || rec.Status != 200 || rec.Outcome == runtime.OutcomeSuccess || rec.ResponseBytes != 6 {
				t.Errorf("%+v", rec)
			}
		})
	}
}

func TestFreshAnswerIsNotFetched(t *testing.T) {
	t.Parallel()
	s := &script{statuses: []int{200}}
	g := newGateway(t, newUpstream(t, s.ServeHTTP).URL, egress.TransportConfig{}, policy(func(p *runtime.Policy) {
		p.Cache.TTL = runtime.Duration(time.Hour)
	}))
	for range 3 {
		send(t, g, newRequest(t, http.MethodGet, g.URL+"/a", nil))
		g.records.next(t)
	}
	if s.sends() != 1 {
		t.Errorf("%d sends", s.sends())
	}
	// Another account must not see it.
	g.target.Account = "other"
	if send(t, g, newRequest(t, http.MethodGet, g.URL+"/a", nil)); s.sends() != 2 {
		t.Errorf("%d sends", s.sends())
	}
}

// A 401 renews the credential once, and the call goes out with the new one.
func TestRefreshAfter401(t *testing.T) {
	t.Parallel()
	upstream := newUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer new" {
			w.WriteHeader(http.StatusUnauthorized)
		}
	})
	with := func(token string) func(context.Context, *http.Request) error {
		return func(_ context.Context, r *http.Request) error {
			r.Header.Set("Authorization", "Bearer "+token)
			return nil
		}
	}
	var refreshes atomic.Int64
	g := newGateway(t, upstream.URL, egress.TransportConfig{}, retries(3), authorize(with("old")), func(t *runtime.Target) {
		t.Refresh = func(context.Context) (func(context.Context, *http.Request) error, error) {
			refreshes.Add(1)
			return with("new"), nil
		}
	})
	resp, _ := send(t, g, newRequest(t, http.MethodPost, g.URL+"/", strings.NewReader("")))
	if resp.StatusCode != 200 || refreshes.Load() != 1 || resp.Header.Get("Switchgear-Attempts") != "2" {
		t.Errorf("%d, %d refreshes, %v", resp.StatusCode, refreshes.Load(), resp.Header)
	}
}

// A credential that is not accepted is left alone, without a word against the upstream, until there is
// another.
func TestDeadCredentialIsNotHammered(t *testing.T) {
	t.Parallel()
	s := &script{statuses: []int{401, 401, 401, 401, 401, 200}}
	g := newGateway(t, newUpstream(t, s.ServeHTTP).URL, egress.TransportConfig{})
	for range 8 {
		send(t, g, newRequest(t, http.MethodGet, g.URL+"/", nil))
	}
	resp, body := send(t, g, newRequest(t, http.MethodGet, g.URL+"/", nil))
	wantError(t, resp, body, http.StatusServiceUnavailable, runtime.CodeCredentialRejected)
	if _, rejected := g.protections.CredentialRejected("con_1", "default"); s.sends() != 5 || !rejected {
		t.Errorf("%d sends, rejected %v", s.sends(), rejected)
	}
	if b, err := g.protections.Breakers().Breaker(breaker.Key{Connection: "con_1"}); err != nil || b.Snapshot().State != breaker.StateClosed {
		t.Errorf("the breaker of the connection: %+v, %v", b.Snapshot(), err)
	}
	g.target.CredentialVersion++
	if resp, _ := send(t, g, newRequest(t, http.MethodGet, g.URL+"/", nil)); resp.StatusCode != 200 {
		t.Errorf("%d with a new credential", resp.StatusCode)
	}
}

// When everything fails, the upstream sees hardly more than without retries.
func TestRetryBudget(t *testing.T) {
	t.Parallel()
	s := &script{statuses: []int{503}}
	g := newGateway(t, newUpstream(t, s.ServeHTTP).URL, egress.TransportConfig{}, retries(3), policy(func(p *runtime.Policy) {
		p.Breaker.Enabled = false
	}))
	const calls = 300
	for range calls {
		send(t, g, newRequest(t, http.MethodGet, g.URL+"/", nil))
	}
	if got := float64(s.sends()) / calls; got > 1.2 {
		t.Errorf("amplification %.2f", got)
	}
}

// An operation has its own policy, breaker and limits, under those of the connection.
func TestOperationsOfACall(t *testing.T) {
	t.Parallel()
	s := &script{statuses: []int{500}}
	g := newGateway(t, newUpstream(t, s.ServeHTTP).URL, egress.TransportConfig{}, func(target *runtime.Target) {
		target.Policy.Operations = []runtime.Operation{{ID: "charge", Method: "POST", Path: "/charges", Policy: []byte(`{"breaker":{"consecutive_failures":2}}`)}}
		operations, err := target.Policy.Resolve()
		if err != nil {
			t.Fatal(err)
		}
		target.Operations = operations
	})
	for range 2 {
		send(t, g, newRequest(t, http.MethodPost, g.URL+"/charges", nil))
		if rec := g.records.next(t); rec.Operation != "charge" {
			t.Errorf("operation %q", rec.Operation)
		}
	}
	resp, body := send(t, g, newRequest(t, http.MethodPost, g.URL+"/charges", nil))
	wantError(t, resp, body, http.StatusServiceUnavailable, breaker.CodeOpen)
	if resp, _ := send(t, g, newRequest(t, http.MethodGet, g.URL+"/charges", nil)); resp.StatusCode != 500 {
		t.Errorf("another operation: %d", resp.StatusCode)
	}
}

// A change of the policy holds from the next call on, and an old target does not bring the old one back.
func TestPolicyChanges(t *testing.T) {
	t.Parallel()
	s := &script{statuses: []int{200}}
	g := newGateway(t, newUpstream(t, s.ServeHTTP).URL, egress.TransportConfig{})
	send(t, g, newRequest(t, http.MethodGet, g.URL+"/", nil))
	old := g.target
	g.target.Version++
	g.target.Policy.RateLimits, g.target.Policy.RateLimitWait = []runtime.RateLimit{{Requests: 1, Per: runtime.Duration(time.Hour)}}, 0
	send(t, g, newRequest(t, http.MethodGet, g.URL+"/", nil))
	send(t, g, newRequest(t, http.MethodGet, g.URL+"/", nil))
	g.target = old
	g.target.Policy.RateLimitWait = 0
	resp, body := send(t, g, newRequest(t, http.MethodGet, g.URL+"/", nil))
	wantError(t, resp, body, http.StatusTooManyRequests, "CONNECTION_RATE_LIMITED")
}

// Whoever is refused is told what to do, and in no state that a breaker is the reason while it is closed.
func TestRefusalsSayWhatToDo(t *testing.T) {
	t.Parallel()
	order := breaker.Order{Actor: "ada", Reason: "maintenance", Until: time.Now().Add(time.Hour)}
	for name, refused := range map[string]error{
		"open":        &breaker.RejectedError{State: breaker.StateOpen, RetryAfter: time.Second},
		"held":        &breaker.RejectedError{State: breaker.StateHeld, RetryAfter: time.Second},
		"half-open":   &breaker.RejectedError{State: breaker.StateHalfOpen, RetryAfter: time.Second},
		"forced open": &breaker.RejectedError{State: breaker.StateForcedOpen, Actor: order.Actor, Reason: order.Reason},
		"recovering":  &breaker.RejectedError{State: breaker.StateClosed, RetryAfter: time.Second},
		"limit":       &ratelimit.RejectedError{Cause: ratelimit.CauseWindow, RetryAfter: time.Second},
		"vendor":      &ratelimit.RejectedError{Cause: ratelimit.CauseHold, RetryAfter: time.Second},
		"full":        &bulkhead.RejectedError{InFlight: 1, Limit: 1},
	} {
		env := fault.NewEnvelope(refused, "req_1", time.Now()).Error
		if env.Details.Suggestion == "" || strings.Contains(env.Message, "is closed") || strings.Contains(env.Message+env.Details.Suggestion, order.Reason) || strings.Contains(env.Message, order.Actor) {
			t.Errorf("%s: %+v", name, env)
		}
	}
}

// A call that overlaps the deletion of its connection brings nothing of it back.
func TestDeletedMeanwhile(t *testing.T) {
	t.Parallel()
	inside, leave := make(chan struct{}), make(chan struct{})
	var seen atomic.Int64
	upstream := newUpstream(t, func(w http.ResponseWriter, _ *http.Request) {
		if seen.Add(1) == 1 {
			close(inside)
			<-leave
		}
		w.WriteHeader(http.StatusServiceUnavailable)
	})
	g := newGateway(t, upstream.URL, egress.TransportConfig{}, retries(3))
	var caller sync.WaitGroup
	caller.Go(func() {
		// It does not find what it would need for a second attempt.
		if resp, _ := send(t, g, newRequest(t, http.MethodGet, g.URL+"/", nil)); resp.StatusCode != http.StatusServiceUnavailable {
			t.Errorf("the call under way: %d", resp.StatusCode)
		}
	})
	<-inside
	g.protections.Forget("con_1")
	resp, body := send(t, g, newRequest(t, http.MethodGet, g.URL+"/", nil)) // with the target of before
	wantError(t, resp, body, http.StatusNotFound, "CONNECTION_NOT_FOUND")
	close(leave)
	caller.Wait()
	if n := seen.Load(); n != 1 {
		t.Errorf("%d attempts arrived", n)
	}
	if guards, known := g.protections.Guards(), g.protections.Breakers().Snapshots(); len(guards)+len(known)+len(g.protections.Limiters().Connections()) != 0 {
		t.Errorf("there again: %+v, %+v", guards, known)
	}
	if rejected := g.protections.RejectedCredentials(); len(rejected) != 0 {
		t.Errorf("credentials: %+v", rejected)
	}
	// Whoever knows says that it exists.
	if err := g.protections.Apply(runtime.PolicySet{ConnectionID: "con_1", Version: 7, Policy: g.target.Policy}); err != nil {
		t.Fatal(err)
	}
	if resp, _ := send(t, g, newRequest(t, http.MethodPost, g.URL+"/", nil)); resp.StatusCode != http.StatusServiceUnavailable || seen.Load() != 2 {
		t.Errorf("%d after it was made again", resp.StatusCode)
	}
}

// The record tells every attempt, not only the last.
func TestRecordTellsEveryAttempt(t *testing.T) {
	t.Parallel()
	upstream := newUpstream(t, (&script{statuses: []int{503, 502, 404}}).ServeHTTP)
	g := newGateway(t, upstream.URL, egress.TransportConfig{}, retries(3))
	send(t, g, newRequest(t, http.MethodGet, g.URL+"/x", nil))
	rec := g.records.next(t)
	if len(rec.Retried) != 2 || rec.Outcome != runtime.OutcomeClientError {
		t.Fatalf("ended as %s after %+v", rec.Outcome, rec.Retried)
	}
	end := time.Duration(0)
	for i, want := range []int{503, 502} {
		got := rec.Retried[i]
		if got.Status != want || got.Outcome != runtime.OutcomeUnavailable || got.Reason == "" || got.At < end || got.Took <= 0 {
			t.Errorf("attempt %d: %+v", i+1, got)
		}
		end = got.At + got.Took
	}
	if rec.SentAt < end || rec.SentAt > rec.Duration {
		t.Errorf("the last attempt began at %s, the one before ended at %s", rec.SentAt, end)
	}
}
