package app

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"switchgear/internal/calls"
	"switchgear/internal/runtime"
	"switchgear/internal/runtime/breaker"
	"switchgear/internal/sandbox"
	"switchgear/internal/telemetry"
)

const (
	// shop is where the pretend provider has its API, and the slug of the connection to it.
	shop = "shop"
	// order is a body that it takes.
	order = `{"name":"x"}`
)

// faulty is a console with one connection, to a pretend provider that fails by script, and an application
// that calls it.
type faulty struct {
	*process

	provider *sandbox.Sandbox
	key      string
	client   *http.Client
}

// startFaulty starts all of them. policy is JSON; the connection's provider is one of the catalogue, for
// the way in which it tells its limits.
func startFaulty(t *testing.T, provider, policy string, scripts ...sandbox.Script) *faulty {
	t.Helper()
	f := &faulty{client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 2000}}}
	t.Cleanup(f.client.CloseIdleConnections)
	var err error
	f.provider, err = sandbox.New(sandbox.Deps{Logger: telemetry.Discard(), Now: time.Now}, sandbox.Config{
		APIs: []sandbox.API{{Prefix: "/shop", Collections: map[string]int{"orders": 3, "customers": 3}}}, Scripts: scripts, MaxReceived: 20_000,
	})
	if err != nil {
		t.Fatal(err)
	}
	up := &upstream{Server: httptest.NewServer(f.provider)}
	t.Cleanup(func() {
		f.provider.Close()
		up.Close()
	})
	f.process = start(t, map[string]string{"EGRESS_ALLOW": up.egressRule(t), "API_KEY_LIMITS": "10000/1s", "API_CLIENT_LIMITS": "10000/1s"})
	made, err := Administer(t.Context(), f.cfg, telemetry.Discard(), CreateKey(), KeyCreate{Name: "shop", Scopes: []string{"api:write", "call:*"}})
	if err != nil {
		t.Fatal(err)
	}
	f.key = made.Key
	body, err := json.Marshal(map[string]any{
		"name": "Shop", "slug": shop, "provider": provider, "base_url": up.URL + "/shop",
		"auth": map[string]any{"type": "bearer", "fields": map[string]any{"token": "sk_test_1"}}, "policy": json.RawMessage(policy),
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := f.send(t, http.MethodPost, "/api/v1/connections", string(body)); got.status != http.StatusCreated {
		t.Fatalf("create: %d %s", got.status, got.body)
	}
	return f
}

// send makes a request of the application. It may be used by many goroutines.
func (f *faulty) send(t *testing.T, method, path, body string) page {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, f.url(path), strings.NewReader(body))
	if err != nil {
		t.Error(err)
		return page{}
	}
	r.Header.Set("Authorization", "Bearer "+f.key)
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	resp, err := f.client.Do(r)
	if err != nil {
		t.Errorf("%s %s: %v", method, path, err)
		return page{}
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Errorf("%s %s: %v", method, path, err)
	}
	return page{status: resp.StatusCode, header: resp.Header, body: string(text)}
}

func (f *faulty) call(t *testing.T, method, path string) page {
	t.Helper()
	body := ""
	if method != http.MethodGet {
		body = order
	}
	return f.send(t, method, "/proxy/"+shop+path, body)
}

// arrived is what the provider saw.
func (f *faulty) arrived() []sandbox.Received { return f.provider.Received(sandbox.ReceivedQuery{}) }

// logged returns the calls of the connection, once there are so many: they are stored a moment after they
// ended.
func (f *faulty) logged(t *testing.T, want int) []runtime.Record {
	t.Helper()
	poll(t.Context(), func() bool { // What is missing is told below.
		list, err := f.core.calls.List(t.Context(), calls.Query{Connection: shop, Limit: 1}, 1)
		if err != nil {
			t.Fatal(err)
		}
		return list.Total >= want
	})
	var all []runtime.Record
	for q := (calls.Query{Connection: shop, Limit: 200}); ; {
		found, err := f.core.calls.Search(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, found.Calls...)
		if q.Cursor = found.Next; q.Cursor == "" {
			break
		}
	}
	if len(all) != want {
		t.Errorf("%d calls in the log, want %d", len(all), want)
	}
	return all
}

// statuses are steps that answer with one status after the other.
func statuses(of ...int) []sandbox.Step {
	out := make([]sandbox.Step, len(of))
	for i, status := range of {
		out[i] = sandbox.Step{Status: status}
	}
	return out
}

// always answers every request with the same step.
func always(step sandbox.Step) sandbox.Script {
	return sandbox.Script{Path: "/*", Steps: []sandbox.Step{step}, Loop: true}
}

// How often a call is sent is counted where it arrives, and it is what the caller and the log are told.
func TestSendsOfACall(t *testing.T) {
	t.Parallel()
	const retries = `"retry":{"max_attempts":3,"base_delay":"1ms","max_delay":"1ms"}`
	const keyed = `"retry":{"max_attempts":3,"base_delay":"1ms","max_delay":"1ms","idempotency_key":"Idempotency-Key"}`
	for name, c := range map[string]struct {
		method, body, policy string
		steps                []sandbox.Step
		sends, status        int
		code                 string
	}{
		"503, 503, 200":                 {"GET", "", retries, statuses(503, 503, 200), 3, 200, ""},
		"503 for ever":                  {"GET", "", retries, statuses(503, 503, 503, 503), 3, 503, ""},
		"POST without a key":            {"POST", order, retries, statuses(503, 200), 1, 503, ""},
		"POST without a key or a body":  {"POST", "", retries, statuses(503, 200), 1, 503, ""},
		"POST with a key":               {"POST", order, keyed, statuses(503, 503, 201), 3, 201, ""},
		"GET is reset after the write":  {"GET", "", retries, []sandbox.Step{{Reset: sandbox.ResetRequest, Repeat: 2}, {Status: 200}}, 3, 200, ""},
		"POST is reset after the write": {"POST", order, retries, []sandbox.Step{{Reset: sandbox.ResetRequest, Repeat: 9}}, 1, 502, runtime.CodeReset},
		"400 is final":                  {"GET", "", retries, statuses(400, 200), 1, 400, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := startFaulty(t, "generic-rest", "{"+c.policy+"}", sandbox.Script{Path: "/shop/*", Steps: c.steps})
			got := f.send(t, c.method, "/proxy/"+shop+"/orders", c.body)
			arrived := f.arrived()
			if got.status != c.status || got.header.Get("Switchgear-Error") != c.code || len(arrived) != c.sends ||
				got.header.Get("Switchgear-Attempts") != strconv.Itoa(c.sends) {
				t.Errorf("%d %s %v after %d sends; want %d after %d", got.status, got.body, got.header, len(arrived), c.status, c.sends)
			}
			for _, r := range f.logged(t, 1) {
				if r.Attempts != c.sends || r.Status != c.status {
					t.Errorf("the log says %d after %d attempts", r.Status, r.Attempts)
				}
			}
			for _, r := range arrived {
				if key := r.Header.Get("Idempotency-Key"); (key != "") != (c.policy == keyed) || key != arrived[0].Header.Get("Idempotency-Key") {
					t.Errorf("send %d has the key %q, the first %q", r.Seq, key, arrived[0].Header.Get("Idempotency-Key"))
				}
				if r.BodySHA256 != arrived[0].BodySHA256 {
					t.Errorf("send %d has another body", r.Seq)
				}
			}
		})
	}
}

// refusals are the ways in which vendors say until when they want to be left alone.
func refusals() map[string]struct {
	provider string
	// step refuses until about the given time.
	step func(until time.Time) sandbox.Step
} {
	seconds := func(until time.Time) string {
		return strconv.Itoa(int(time.Until(until).Round(time.Second).Seconds()))
	}
	epoch := func(until time.Time) map[string]string {
		return map[string]string{
			"X-RateLimit-Limit": "100", "X-RateLimit-Remaining": "0", "X-RateLimit-Reset": strconv.FormatInt(until.Unix(), 10),
		}
	}
	return map[string]struct {
		provider string
		step     func(until time.Time) sandbox.Step
	}{
		"seconds": {"generic-rest", func(until time.Time) sandbox.Step {
			return sandbox.Step{Status: 429, Headers: map[string]string{"Retry-After": seconds(until)}}
		}},
		"HTTP date": {"generic-rest", func(until time.Time) sandbox.Step {
			return sandbox.Step{Status: 429, Headers: map[string]string{"Retry-After": until.UTC().Format(http.TimeFormat)}}
		}},
		"503 with seconds": {"generic-rest", func(until time.Time) sandbox.Step {
			return sandbox.Step{Status: 503, Headers: map[string]string{"Retry-After": seconds(until)}}
		}},
		"reset of the vendor": {"netlify", func(until time.Time) sandbox.Step {
			return sandbox.Step{Status: 429, Headers: epoch(until)}
		}},
		"403 that means a limit": {"github", func(until time.Time) sandbox.Step {
			return sandbox.Step{Status: 403, Headers: epoch(until)}
		}},
	}
}

// everywhere calls all parts of the connection at once, and returns the answers.
func (f *faulty) everywhere(t *testing.T) []page {
	t.Helper()
	answers := make([]page, 12)
	var callers sync.WaitGroup
	for i := range answers {
		callers.Go(func() {
			answers[i] = f.call(t, []string{"GET", "POST", "GET"}[i%3], []string{"/orders", "/orders", "/customers?limit=" + strconv.Itoa(i)}[i%3])
		})
	}
	callers.Wait()
	return answers
}

// A vendor that says for how long it wants to be left alone is left alone: not only by the call that was
// refused, and not only where it was.
func TestRefusalHoldsTheWholeConnection(t *testing.T) {
	t.Parallel()
	for name, c := range refusals() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			t.Run("far away", func(t *testing.T) {
				t.Parallel()
				f := startFaulty(t, c.provider, `{"retry":{"max_attempts":3},"health_check":{"enabled":false}}`,
					sandbox.Script{Path: "/shop/orders", Steps: []sandbox.Step{c.step(time.Now().Add(time.Hour))}})
				refused := f.call(t, http.MethodGet, "/orders")
				if len(f.arrived()) != 1 {
					t.Fatalf("%d sends for a refusal of an hour, answered %d", len(f.arrived()), refused.status)
				}
				for _, got := range f.everywhere(t) {
					after, _ := strconv.Atoi(got.header.Get("Retry-After"))
					if got.status != http.StatusTooManyRequests || got.header.Get("Switchgear-Error") != "CONNECTION_HELD" || after < 3000 {
						t.Errorf("%d %s, Retry-After %d", got.status, got.body, after)
					}
				}
				if n := len(f.arrived()); n != 1 {
					t.Errorf("%d requests were sent while the connection was held", n-1)
				}
			})
			t.Run("near", func(t *testing.T) {
				t.Parallel()
				f := startFaulty(t, c.provider, `{"retry":{"max_attempts":1},"rate_limit_wait":"1m","health_check":{"enabled":false}}`)
				until := time.Now().Add(2 * time.Second).Truncate(time.Second)
				step := c.step(until)
				if err := f.provider.SetScripts(sandbox.Script{Path: "/shop/orders", Steps: []sandbox.Step{step}}); err != nil {
					t.Fatal(err)
				}
				if got := f.call(t, http.MethodGet, "/orders"); got.status != step.Status {
					t.Fatalf("%d %s", got.status, got.body)
				}
				first := f.arrived()[0]
				if text := step.Headers["Retry-After"]; text != "" && !strings.Contains(text, "GMT") {
					n, err := strconv.Atoi(text)
					if err != nil {
						t.Fatal(err)
					}
					until = first.Time.Add(time.Duration(n) * time.Second)
				}
				for _, got := range f.everywhere(t) {
					if got.status >= 300 {
						t.Errorf("%d %s", got.status, got.body)
					}
				}
				arrived := f.arrived()[1:]
				if len(arrived) != 12 {
					t.Errorf("%d sends after the refusal", len(arrived))
				}
				for _, r := range arrived {
					if r.Time.Before(until) {
						t.Errorf("%s %s was sent %s before the moment that the vendor named", r.Method, r.Path, until.Sub(r.Time))
					}
				}
			})
		})
	}
}

// Three times as much as is allowed, from many callers at once: what arrives stays inside every limit,
// wherever a window is laid.
func TestBurstStaysWithinEveryWindow(t *testing.T) {
	t.Parallel()
	limits := []runtime.RateLimit{{Requests: 20, Per: runtime.Duration(10 * time.Second)}, {Requests: 50, Per: runtime.Duration(30 * time.Second)}}
	text, err := json.Marshal(limits)
	if err != nil {
		t.Fatal(err)
	}
	f := startFaulty(t, "generic-rest", `{"rate_limits":`+string(text)+`,"rate_limit_wait":"5m","timeout":"5m","bulkhead":{"max_in_flight":100}}`)
	const callers, all = 30, 60
	var wg sync.WaitGroup
	for range callers {
		wg.Go(func() {
			for range all / callers {
				if got := f.call(t, http.MethodGet, "/orders"); got.status != http.StatusOK {
					t.Errorf("%d %s", got.status, got.body)
				}
			}
		})
	}
	wg.Wait()
	arrived := f.arrived()
	if len(arrived) != all {
		t.Fatalf("%d requests arrived", len(arrived))
	}
	slices.SortFunc(arrived, func(a, b sandbox.Received) int { return a.Time.Compare(b.Time) })
	// How long a request is on its way differs from one to the next, on a busy machine more. A window that
	// is shorter by so much has to hold for what was let out in time. Buckets that fill up while they are
	// emptied would let nearly twice as much arrive in it.
	for _, limit := range limits {
		window := limit.Per.Std() * 3 / 4
		for i := range arrived {
			if j := i + limit.Requests; j < len(arrived) && arrived[j].Time.Sub(arrived[i].Time) < window {
				t.Errorf("%d requests arrived within %s; %d are allowed in %s", limit.Requests+1, arrived[j].Time.Sub(arrived[i].Time), limit.Requests, limit.Per)
			}
		}
	}
}

// When everything fails, the provider sees hardly more than the callers ask.
func TestAmplificationOfFailures(t *testing.T) {
	t.Parallel()
	f := startFaulty(t, "generic-rest", `{"retry":{"max_attempts":3,"base_delay":"1ms","max_delay":"1ms"},"breaker":{"enabled":false}}`,
		always(sandbox.Step{Status: http.StatusServiceUnavailable}))
	const callers, all = 20, 400
	var wg sync.WaitGroup
	for range callers {
		wg.Go(func() {
			for range all / callers {
				if got := f.call(t, http.MethodGet, "/orders"); got.status != http.StatusServiceUnavailable {
					t.Errorf("%d %s", got.status, got.body)
				}
			}
		})
	}
	wg.Wait()
	sends, attempts := len(f.arrived()), 0
	for _, r := range f.logged(t, all) {
		attempts += r.Attempts
	}
	if got := float64(sends) / all; got > 1.2 || attempts != sends {
		t.Errorf("%d sends of %d calls, which is %.2f for each; the log says %d", sends, all, got, attempts)
	}
}

// An open breaker lets nothing through to the provider. Where there is an older answer, it is given and
// says what it is; where there is none, the refusal says when to come back.
func TestOpenBreakerWithAndWithoutAnOlderAnswer(t *testing.T) {
	t.Parallel()
	f := startFaulty(t, "generic-rest", `{"retry":{"max_attempts":1},"breaker":{"min_calls":5,"open_for":"1h"},"cache":{"stale_if_error":"1h"}}`)
	fresh := f.call(t, http.MethodGet, "/orders")
	if fresh.status != http.StatusOK || fresh.header.Get("Age") != "" {
		t.Fatalf("%d %s %v", fresh.status, fresh.body, fresh.header)
	}
	if err := f.provider.SetScripts(always(sandbox.Step{Status: http.StatusInternalServerError})); err != nil {
		t.Fatal(err)
	}
	made := 1
	for range 20 {
		made++
		if got := f.call(t, http.MethodGet, "/customers"); got.header.Get("Switchgear-Error") == breaker.CodeOpen {
			break
		}
	}
	before := len(f.arrived())
	var wg sync.WaitGroup
	for i := range 30 {
		wg.Go(func() {
			if i%3 == 0 {
				got := f.call(t, http.MethodGet, "/orders")
				if got.status != http.StatusOK || got.body != fresh.body || got.header.Get("Switchgear-Cache") != "stale" || got.header.Get("Age") == "" ||
					got.header.Get("Switchgear-Attempts") != "0" {
					t.Errorf("the older answer: %d %s %v", got.status, got.body, got.header)
				}
				return
			}
			got := f.call(t, []string{"GET", "POST", "DELETE"}[i%3], "/customers")
			if got.status != http.StatusServiceUnavailable || got.header.Get("Switchgear-Error") != breaker.CodeOpen || got.header.Get("Retry-After") == "" {
				t.Errorf("%d %s %v", got.status, got.body, got.header)
			}
		})
	}
	wg.Wait()
	if n := len(f.arrived()) - before; n != 0 {
		t.Errorf("%d requests passed an open breaker", n)
	}
	stale := 0
	for _, r := range f.logged(t, made+30) {
		if r.Cache == "stale" {
			stale++
			if r.Attempts != 0 || r.Outcome == runtime.OutcomeSuccess {
				t.Errorf("the log takes an older answer for a new one: %+v", r)
			}
		}
	}
	if stale != 10 {
		t.Errorf("%d older answers in the log", stale)
	}
}
