package observability_test

import (
	"flag"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"switchgear/internal/observability"
	"switchgear/internal/runtime"
	"switchgear/internal/runtime/breaker"
)

var update = flag.Bool("update", false, "rewrite the golden files")

type fakeLog struct{}

func (fakeLog) Dropped() int64       { return 3 }
func (fakeLog) DroppedBodies() int64 { return 2 }
func (fakeLog) Queue() (int, int)    { return 5, 8192 }

// measured is a world with every collector on a registry.
type measured struct {
	*world
	registry *prometheus.Registry
	calls    *observability.Calls
}

func newMeasured(t *testing.T) *measured {
	t.Helper()
	m := &measured{registry: prometheus.NewRegistry()}
	slugs := func() map[string]string { return maps.Clone(m.slugs) }
	calls := observability.NewCalls(slugs)
	m.calls = calls
	m.world = newWorld(t, runtime.ProxyConfig{}, calls)
	m.registry.MustRegister(observability.NewAlerts(observability.AlertsDeps{
		Firing: func() map[string]int { return map[string]int{"critical": 2, "warning": 0} },
		Sent: func(each func(channelKind, result string, n int64)) {
			each("webhook", "delivered", 7)
			each("email", "retry", 1)
		},
	}))
	m.registry.MustRegister(append(observability.NewCallLog(fakeLog{}), calls, observability.NewProtections(observability.ProtectionsDeps{
		Protections: m.protections, Transitions: m.transitions, Slugs: slugs,
	}))...)
	return m
}

// scrape is what Prometheus would read.
func (m *measured) scrape(t *testing.T) string {
	t.Helper()
	answer := httptest.NewRecorder()
	promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{}).ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	if answer.Code != http.StatusOK {
		t.Fatalf("scrape: %d %s", answer.Code, answer.Body)
	}
	return answer.Body.String()
}

// RoundTrip answers as an upstream that takes 20 ms.
func (w *world) RoundTrip(r *http.Request) (*http.Response, error) {
	n := len(w.sent)
	w.sent = append(w.sent, r)
	time.Sleep(20 * time.Millisecond) // in the bubble of a test
	header := w.header.Clone()
	if header == nil {
		header = http.Header{}
	}
	return &http.Response{
		StatusCode: w.answers[min(n, len(w.answers)-1)], Header: header, Body: io.NopCloser(strings.NewReader("ok")), ContentLength: 2, Request: r,
	}, nil
}

// scenario makes calls of every kind.
func scenario(t *testing.T, m *measured) {
	t.Helper()
	orders := m.target("con_1", func(p *runtime.Policy) {
		p.RateLimits = []runtime.RateLimit{{Requests: 10, Per: runtime.Duration(time.Minute)}}
		p.Bulkhead.MaxInFlight = 25
		p.Retry.MaxAttempts, p.Retry.BaseDelay, p.Retry.MaxDelay = 3, runtime.Duration(time.Millisecond), runtime.Duration(time.Millisecond)
		p.Cache.TTL = runtime.Duration(time.Minute)
		p.Operations = []runtime.Operation{{ID: "charges.create", Method: http.MethodPost, Path: "/charges", Policy: []byte(`{"bulkhead":{"max_in_flight":2}}`)}}
	})
	m.header = http.Header{"X-Ratelimit-Limit": {"1000"}, "X-Ratelimit-Remaining": {"250"}, "X-Ratelimit-Reset": {"60"}}
	m.call(orders, http.MethodGet, "items", nil, 200)
	m.call(orders, http.MethodGet, "items", nil, 200) // from the cache
	m.header = nil
	m.call(orders, http.MethodPost, "charges", nil, 402)
	m.call(orders, http.MethodGet, "other", nil, 503, 503, 200)
	m.call(orders, "BREW", "pot", nil, 200)

	billing := m.target("con_2", func(p *runtime.Policy) { p.Retry.MaxAttempts = 1 })
	m.call(billing, http.MethodGet, "", nil, 500)
	b, err := m.protections.Breakers().Breaker(breaker.Key{Connection: "con_2"})
	if err != nil {
		t.Fatal(err)
	}
	if err := b.SetMode(breaker.ModeForcedOpen, breaker.Order{Actor: "op", Reason: "drill", Until: time.Now().Add(time.Hour)}); err != nil {
		t.Fatal(err)
	}
	m.call(billing, http.MethodGet, "", nil, 200)
	for range 5 {
		m.call(m.target("con_3", nil), http.MethodGet, "", nil, 401)
	}
	synctest.Wait()
	time.Sleep(time.Second) // the worker of the breakers
	synctest.Wait()
}

func TestExposition(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := newMeasured(t)
		m.slugs["con_3"] = "gone-soon"
		scenario(t, m)
		for slug := range maps.Values(m.slugs) { // What the scenario does not bring about.
			if slug != "gone-soon" {
				m.calls.Record(runtime.Record{
					Slug: slug, Method: http.MethodGet, Outcome: runtime.OutcomeRejectedLocal, Hedges: 1, HedgeWon: true,
					Fallback: runtime.FallbackRecord{Kind: runtime.FallbackStatic},
				})
			}
		}
		if got := m.scrape(t); !strings.Contains(got, `switchgear_credentials{integration="gone-soon",standing="rejected"} 1`) {
			t.Errorf("a credential that is refused does not show:\n%s", got)
		}
		delete(m.slugs, "con_3")
		// The waits between attempts differ at random, a little.
		got := regexp.MustCompile(`(?m)^switchgear_call_duration_seconds_sum.*\n`).ReplaceAllString(m.scrape(t), "")
		golden := filepath.Join("testdata", "exposition.golden")
		if *update {
			if err := os.WriteFile(golden, []byte(got), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(golden)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), got); diff != "" {
			t.Errorf("exposition (-want +got):\n%s", diff)
		}
		if first, second := m.scrape(t), m.scrape(t); first != second {
			t.Errorf("reading changes something:\n%s", cmp.Diff(first, second))
		}
	})
}

// What callers and upstreams invent makes no series.
func TestLabelsAreBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := newMeasured(t)
		series := func() int { return strings.Count(m.scrape(t), "\n") }
		target := m.target("con_1", nil)
		once := func(i int) {
			m.header = http.Header{"Ratelimit": {fmt.Sprintf(`"policy-%d";r=50;t=30`, i)}, "Ratelimit-Policy": {fmt.Sprintf(`"policy-%d";q=100;w=60`, i)}}
			target.Account = fmt.Sprintf("customer-%d", i)
			m.call(target, fmt.Sprintf("BREW%d", i), fmt.Sprintf("pots/%d?q=%d", i, i), http.Header{fmt.Sprintf("X-%d", i): {"x"}}, 400+i%2)
		}
		for i := range 4 {
			once(i)
		}
		before := series()
		for i := range 500 {
			once(i)
		}
		if after := series(); after != before {
			t.Errorf("%d lines became %d", before, after)
		}
	})
}

// A connection that takes the slug of a deleted one goes on from nothing.
func TestSeriesEndWithTheirConnection(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := newMeasured(t)
		target := m.target("con_1", nil)
		m.call(target, http.MethodGet, "", nil, 200)
		const line = `switchgear_calls_total{integration="orders",method="GET",outcome="success"} 1`
		if got := m.scrape(t); !strings.Contains(got, line) {
			t.Fatalf("no call in\n%s", got)
		}
		delete(m.slugs, "con_1")
		if got := m.scrape(t); strings.Contains(got, `"orders"`) {
			t.Errorf("a connection that is gone still shows:\n%s", got)
		}
		m.slugs["con_9"] = "orders"
		target.ConnectionID = "con_9"
		m.call(target, http.MethodGet, "", nil, 200)
		if got := m.scrape(t); !strings.Contains(got, line) {
			t.Errorf("the new connection does not begin at nothing:\n%s", got)
		}
	})
}

// Every state has a number of its own, and those that let no call through are together.
func TestBreakerStateNumbers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := newMeasured(t)
		m.call(m.target("con_1", nil), http.MethodGet, "", nil, 200)
		b, err := m.protections.Breakers().Breaker(breaker.Key{Connection: "con_1"})
		if err != nil {
			t.Fatal(err)
		}
		order := breaker.Order{Actor: "op", Reason: "test", Until: time.Now().Add(time.Hour)}
		for _, step := range []struct {
			do           func() error
			state, would int
		}{
			{func() error { return nil }, 0, 0},
			{func() error { return b.Trip(order) }, 2, 2},
			{func() error { return b.SetMode(breaker.ModeForcedClosed, order) }, 5, 2},
			{func() error { return b.SetMode(breaker.ModeObserve, order) }, 6, 2},
			{func() error { return b.SetMode(breaker.ModeForcedOpen, order) }, 4, 2},
			{func() error { return b.SetMode(breaker.ModeAuto, breaker.Order{Actor: "op", Reason: "test"}) }, 2, 2},
			{func() error { return b.Probe(order) }, 1, 1},
			{func() error { return b.Hold(order) }, 3, 3},
		} {
			if err := step.do(); err != nil {
				t.Fatal(err)
			}
			got := m.scrape(t)
			for name, value := range map[string]int{"state": step.state, "would_be_state": step.would} {
				if line := fmt.Sprintf(`switchgear_breaker_%s{integration="orders",operation=""} %d`, name, value); !strings.Contains(got, line) {
					t.Errorf("no line %s in\n%s", line, got)
				}
			}
		}
	})
}

// BenchmarkCalls is what counting costs a call.
func BenchmarkCalls(b *testing.B) {
	calls := observability.NewCalls(func() map[string]string { return nil })
	rec := runtime.Record{Slug: "orders", Method: http.MethodGet, Outcome: runtime.OutcomeSuccess, Attempts: 1, Duration: 12 * time.Millisecond}
	b.ReportAllocs()
	for b.Loop() {
		calls.Record(rec)
	}
}
