package app

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"switchgear/internal/access"
	"switchgear/internal/connections"
	"switchgear/internal/runtime"
	"switchgear/internal/telemetry"
	"switchgear/web/templates/overview"
)

// BenchmarkViewers is what 50 browsers on the overview of 1,000 connections take away from the gateway: calls
// per second and processor time per call without and with them, in turns, in one process with its clients. Each browser
// fetches the part that changes once a second, which is as often as a page does at most.
func BenchmarkViewers(b *testing.B) {
	up := newUpstreamServer(b)
	p := start(b, map[string]string{"LOG_LEVEL": "error", "EGRESS_ALLOW": up.egressRule(b)})
	owner := p.owner(b)
	for i := range 1000 {
		base := fmt.Sprintf("https://api-%d.example.com", i)
		if i == 0 {
			base = up.URL
		}
		c, err := p.core.connections.Create(b.Context(), access.System(), connections.Draft{
			Name: fmt.Sprintf("Connection %04d", i), Slug: fmt.Sprintf("connection-%04d", i), BaseURL: base,
			Auth: connections.Auth{Type: "bearer", Fields: map[string]string{"token": "t"}},
		}, "")
		if err != nil {
			b.Fatal(err)
		}
		for n := range i % 10 {
			p.core.calls.Record(runtime.Record{
				ID: fmt.Sprintf("req_%d_%d", i, n), ConnectionID: c.ID, Slug: c.Slug, Version: 1, Method: "GET", Outcome: runtime.OutcomeSuccess,
				StartedAt: time.Now(), Duration: time.Millisecond,
			})
		}
	}
	key, err := Administer(b.Context(), p.cfg, telemetry.Discard(), CreateKey(), KeyCreate{Name: "shop", Scopes: []string{"call:*"}})
	if err != nil {
		b.Fatal(err)
	}
	viewers := []*browser{owner, p.viewer(b, 0), p.viewer(b, 1)}
	var alone, watched [2][]float64
	for b.Loop() {
		for range 6 {
			p.measure(b, key.Key, &alone)
			stop := p.watch(b, viewers)
			p.measure(b, key.Key, &watched)
			stop()
		}
	}
	middle := func(list []float64) float64 { slices.Sort(list); return list[len(list)/2] }
	b.ReportMetric(middle(alone[0]), "calls/s-alone")
	b.ReportMetric(middle(watched[0]), "calls/s-watched")
	b.ReportMetric(middle(alone[1]), "µs/call-alone")
	b.ReportMetric(middle(watched[1]), "µs/call-watched")
}

// measure adds calls per second, and the processor time of the process for each.
func (p *process) measure(b *testing.B, key string, to *[2][]float64) {
	b.Helper()
	began := processorTime(b)
	rate := p.callsPerSecond(b, key)
	to[0] = append(to[0], rate)
	to[1] = append(to[1], float64((processorTime(b)-began).Microseconds())/(2*rate))
}

func processorTime(b *testing.B) time.Duration {
	b.Helper()
	var use syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &use); err != nil {
		b.Fatal(err)
	}
	return time.Duration(use.Utime.Nano() + use.Stime.Nano())
}

func newUpstreamServer(b *testing.B) *upstream {
	b.Helper()
	up := &upstream{Server: httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, `{"ok":true}`) }))}
	b.Cleanup(up.Close)
	return up
}

func (p *process) viewer(b *testing.B, n int) *browser {
	b.Helper()
	email := fmt.Sprintf("viewer%d@example.com", n)
	if _, err := Administer(b.Context(), p.cfg, telemetry.Discard(), CreateUser(), UserCreate{Email: email, Name: email, Role: "viewer", Password: passwordOfViewers}); err != nil {
		b.Fatal(err)
	}
	out := p.browser(b)
	if got := out.post("/sign-in", map[string][]string{"email": {email}, "password": {passwordOfViewers}}); got.status != http.StatusOK {
		b.Fatalf("sign in: %d", got.status)
	}
	return out
}

const passwordOfViewers = "password of a test user 1"

// callsPerSecond sends calls from eight clients for two seconds.
func (p *process) callsPerSecond(b *testing.B, key string) float64 {
	b.Helper()
	var n atomic.Int64
	end := time.Now().Add(2 * time.Second)
	var all sync.WaitGroup
	for range 8 {
		client := &http.Client{Transport: &http.Transport{}}
		all.Go(func() {
			defer client.CloseIdleConnections()
			for time.Now().Before(end) {
				r, _ := http.NewRequestWithContext(b.Context(), http.MethodGet, p.url("/proxy/connection-0000/v1"), http.NoBody)
				r.Header.Set("X-API-Key", key)
				resp, err := client.Do(r)
				if err != nil || resp.StatusCode != http.StatusOK {
					b.Errorf("call: %v", err)
					return
				}
				_, _ = io.Copy(io.Discard, resp.Body)
				_ = resp.Body.Close()
				n.Add(1)
			}
		})
	}
	all.Wait()
	return float64(n.Load()) / 2
}

// watch has 50 browsers fetch the part that changes once a second until stop is called.
func (p *process) watch(b *testing.B, viewers []*browser) (stop func()) {
	b.Helper()
	done := make(chan struct{})
	var all sync.WaitGroup
	for i := range 50 {
		v := viewers[i%len(viewers)]
		all.Go(func() {
			tick := time.NewTicker(time.Second)
			defer tick.Stop()
			for {
				// Unpacking is work of the browser's machine.
				if got := v.get("/", "HX-Request", "true", "HX-Target", overview.ImpactRegion, "Accept-Encoding", "gzip"); got.status != http.StatusOK {
					b.Errorf("overview: %d", got.status)
				}
				select {
				case <-done:
					return
				case <-tick.C:
				}
			}
		})
	}
	return func() { close(done); all.Wait() }
}
