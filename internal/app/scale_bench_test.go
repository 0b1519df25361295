package app

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"switchgear/db"
	"switchgear/internal/access"
	"switchgear/internal/connections"
	"switchgear/internal/runtime"
)

const (
	scaleConnections = 10_000
	scaleCalls       = 1_000_000
)

// BenchmarkPages is how long the console takes to answer with 10,000 connections and 1,000,000 calls in the
// log, as a client on the same machine sees it: the middle and the slow end of the answers to each address.
func BenchmarkPages(b *testing.B) {
	p := start(b, map[string]string{"LOG_LEVEL": "error"})
	owner := p.owner(b)
	conns := seedConnections(b, p)
	first, last := seedCalls(b, p, owner, conns)
	some := conns[scaleConnections/2].Slug
	at := func(ago time.Duration) string { return url.QueryEscape(last.Add(-ago).Format("2006-01-02T15:04")) }
	deep := p.deepPage(b, owner)

	pages := []scalePage{
		{"overview", "/"},
		{"overview/attention", "/?show=attention"},
		{"overview/idle", "/?show=idle"},
		{"overview/last page", "/?page=200"},
		{"connections", "/connections"},
		{"connections/last page", "/connections?page=200"},
		{"connections/state", "/connections?state=paused"},
		{"connections/kind", "/connections?kind=rest"},
		{"connections/environment", "/connections?environment=staging"},
		{"connections/provider", "/connections?provider=stripe"},
		{"connections/search few", "/connections?q=number+0077"},
		{"connections/search none", "/connections?q=nothing-is-called-so"},
		{"connections/search all", "/connections?q=connection"},
		{"connections/sort state", "/connections?sort=-state"},
		{"connections/sort provider", "/connections?sort=provider&page=100"},
		{"connections/sort environment", "/connections?sort=environment&kind=rest"},
		{"connections/everything", "/connections?q=number&state=active&kind=rest&environment=staging&provider=stripe&sort=-updated_at"},
		{"connection", "/connections/" + some},
		{"connection/accounts", "/connections/" + some + "/accounts"},
		{"connection/versions", "/connections/" + some + "/versions"},
		{"connection/edit", "/connections/" + some + "/edit"},
		{"connection/calls", "/connections/" + some + "/calls"},
		{"connection/calls of a class", "/connections/" + some + "/calls?class=5"},
		{"connection/calls of a path", "/connections/" + some + "/calls?path=refund"},
		{"connection/breaker", "/connections/" + some + "/breaker"},
		{"connection/health", "/connections/" + some + "/health"},
		{"connection/checklist", "/connections/" + some + "/checklist"},
		{"breakers", "/breakers"},
		{"breakers/last page", "/breakers?page=200"},
		{"breakers/not closed", "/breakers?state=attention"},
		{"breakers/search", "/breakers?q=number"},
		{"calls", "/calls"},
		{"calls/page far back", deep},
		{"calls/connection", "/calls?connection=" + some},
		{"calls/no such connection", "/calls?connection=nothing-is-called-so"},
		{"calls/outcome often", "/calls?outcome=success"},
		{"calls/outcome seldom", "/calls?outcome=tls_failed"},
		{"calls/outcome never", "/calls?outcome=reset"},
		{"calls/class 2", "/calls?class=2"},
		{"calls/class 3", "/calls?class=3"},
		{"calls/class 4", "/calls?class=4"},
		{"calls/class 5", "/calls?class=5"},
		{"calls/status often", "/calls?status=200"},
		{"calls/status seldom", "/calls?status=504"},
		{"calls/status never", "/calls?status=418"},
		{"calls/method often", "/calls?method=POST"},
		{"calls/method never", "/calls?method=OPTIONS"},
		{"calls/path often", "/calls?path=charges"},
		{"calls/path never", "/calls?path=nothing-is-called-so"},
		{"calls/request id", "/calls?request_id=req_00000000000000000000500000"},
		{"calls/time", "/calls?from=" + at(3*time.Hour) + "&to=" + at(2*time.Hour)},
		{"calls/time and path", "/calls?from=" + at(3*time.Hour) + "&to=" + at(2*time.Hour) + "&path=never"},
		{"calls/before all", "/calls?to=" + url.QueryEscape(first.Add(-time.Hour).Format("2006-01-02T15:04"))},
		{"calls/everything", "/calls?connection=" + some + "&outcome=success&method=POST&status=201&path=charges&from=" + at(90*time.Hour)},
		{"call", "/calls/req_00000000000000000000500000"},
		{"checklist", "/checklist"},
		{"alerts", "/alerts"},
		{"audit", "/audit"},
	}
	for _, page := range pages {
		b.Run(page.name, func(b *testing.B) { page.measure(b, owner) })
	}
	b.Run("with traffic", func(b *testing.B) {
		p.keepBusy(b, conns)
		for _, page := range pages {
			if !strings.HasPrefix(page.name, "calls/") || page.path == deep {
				b.Run(page.name, func(b *testing.B) { page.measure(b, owner) })
			}
		}
	})
}

// scalePage is an address whose answers are timed.
type scalePage struct{ name, path string }

func (page scalePage) measure(b *testing.B, owner *browser) {
	b.Helper()
	for range 5 { // what is read for the first time
		owner.get(page.path)
	}
	var took []time.Duration
	before := processorTime(b)
	for b.Loop() {
		began := time.Now()
		got := owner.get(page.path)
		took = append(took, time.Since(began))
		if got.status != http.StatusOK {
			b.Fatalf("%s: %d", page.path, got.status)
		}
	}
	b.ReportMetric(float64((processorTime(b)-before).Microseconds())/1000/float64(len(took)), "cpu-ms")
	report(b, took)
}

// processorTime is what this process has used so far: console, background and client.
func processorTime(b *testing.B) time.Duration {
	b.Helper()
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// keepBusy lets a tenth of the connections be called 500 times a second in all, a twentieth of them without success, and
// changes one connection every second, until the benchmark ends. The calls are made up: what is measured is what
// follows from them.
func (p *process) keepBusy(b *testing.B, conns []connections.Connection) {
	b.Helper()
	ctx, stop := context.WithCancel(b.Context())
	var ended sync.WaitGroup
	b.Cleanup(func() { stop(); ended.Wait() })
	ended.Go(func() {
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for n := 0; ; n++ {
			select {
			case <-ctx.Done():
				return
			case now := <-tick.C:
				for k := range 10 {
					i := (n*10 + k) % (scaleConnections / 10)
					c, outcome := conns[i*10+1], runtime.OutcomeSuccess
					if i%20 == 0 {
						outcome = runtime.OutcomeTimeout
					}
					p.core.calls.Record(runtime.Record{
						ID: fmt.Sprintf("req_busy_%d_%d", n, k), ConnectionID: c.ID, Slug: c.Slug, Version: 1, Method: "GET", Outcome: outcome,
						StartedAt: now.Add(-30 * time.Millisecond), Duration: 30 * time.Millisecond,
					})
				}
			}
		}
	})
	ended.Go(func() {
		tick := time.NewTicker(time.Second)
		defer tick.Stop()
		change := p.core.connections.Pause
		for n := 0; ; n++ {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			if _, err := change(ctx, access.System(), conns[(n/2*50+3)%scaleConnections].Slug, "measured", 0); err != nil && ctx.Err() == nil {
				b.Error(err)
				return
			}
			if change = p.core.connections.Resume; n%2 == 1 {
				change = p.core.connections.Pause
			}
		}
	})
}

// report adds the middle and the slow end of what was measured.
func report(b *testing.B, took []time.Duration) {
	b.Helper()
	slices.Sort(took)
	ms := func(share float64) float64 {
		return float64(took[int(share*float64(len(took)-1))].Microseconds()) / 1000
	}
	b.ReportMetric(ms(.5), "p50-ms")
	b.ReportMetric(ms(.99), "p99-ms")
}

// seedConnections makes connections the way that people do.
func seedConnections(b *testing.B, p *process) []connections.Connection {
	b.Helper()
	out := make([]connections.Connection, scaleConnections)
	began := time.Now()
	for i := range out {
		var err error
		out[i], err = p.core.connections.Create(b.Context(), access.System(), connections.Draft{
			Name: fmt.Sprintf("Connection number %05d", i*7919%scaleConnections), Slug: fmt.Sprintf("connection-%05d", i),
			Provider: []string{"stripe", "github", connections.GenericProvider}[i%3], BaseURL: fmt.Sprintf("https://api-%d.example.com", i%97),
			Environment: connections.Environments()[i%4], Auth: connections.Auth{Type: "bearer", Fields: map[string]string{"token": "t"}},
		}, "")
		if err != nil {
			b.Fatal(err)
		}
		if i%50 == 0 {
			if _, err := p.core.connections.Pause(b.Context(), access.System(), out[i].Slug, "seeded", 0); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.Logf("%d connections made in %v", len(out), time.Since(began).Round(time.Second))
	return out
}

// seedCalls fills the log with calls of the last week, and the memory with those of the last minutes.
func seedCalls(b *testing.B, p *process, owner *browser, conns []connections.Connection) (first, last time.Time) {
	b.Helper()
	began := time.Now()
	last = began.UTC().Truncate(time.Minute)
	const step = 500 * time.Millisecond
	first = last.Add(-scaleCalls * step)
	const chunk = 50_000
	for from := 0; from < scaleCalls; from += chunk {
		err := p.core.db.InTx(b.Context(), func(tx *db.Tx) error {
			_, err := tx.Exec(b.Context(), `
				WITH RECURSIVE numbers(n) AS (SELECT CAST($1 AS BIGINT) UNION ALL SELECT n + 1 FROM numbers WHERE n + 1 < $2),
				sized(n, c, h) AS (SELECT n, (n * 7919) % $3, (n * 2654435761) % 1000 FROM numbers)
				INSERT INTO calls (id, at, connection_id, slug, account, version, method, host, path, query, status, outcome, attempts,
					duration_us, first_byte_us, request_bytes, response_bytes, error_code, error_text, key_id, key_name, ip, detail)
				SELECT 'req_' || substr('00000000000000000000000000' || n, -26), $4 + n * $5, c.id, c.slug, 'default', 1,
					CASE WHEN h < 700 THEN 'GET' ELSE 'POST' END, 'api.example.com',
					CASE WHEN h % 10 < 7 THEN '/v1/charges/ch_' || n ELSE '/v1/refunds/re_' || n END, '',
					CASE WHEN h < 970 THEN 200 WHEN h < 990 THEN 404 WHEN h < 998 THEN 503 WHEN n % 50000 < 500 THEN 502 ELSE 429 END,
					CASE WHEN h < 970 THEN 'success' WHEN h < 990 THEN 'client_error' WHEN h < 998 THEN 'unavailable' WHEN n % 50000 < 500 THEN 'tls_failed' ELSE 'throttled' END,
					1, 1000 + h * 400, 900 + h * 300, 120, 2400, '', '', 'key_1', 'billing', '192.0.2.1', '{"response_header":{"Content-Type":["application/json"]}}'
				FROM sized JOIN connections c ON c.slug = 'connection-' || substr('00000' || sized.c, -5)`,
				from, from+chunk, len(conns), db.Micros(first), step.Microseconds())
			return err
		})
		if err != nil {
			b.Fatal(err)
		}
	}
	// The queue takes as many as it holds; the others are in the figures only.
	for i, c := range conns {
		outcome := runtime.OutcomeSuccess
		if i%20 == 0 {
			outcome = runtime.OutcomeTimeout
		}
		for n := range 10 * (i % 10) { // a tenth is idle
			p.core.calls.Record(runtime.Record{
				ID: "req_now_" + strconv.Itoa(i) + "_" + strconv.Itoa(n), ConnectionID: c.ID, Slug: c.Slug, Version: 1, Method: "GET", Outcome: outcome,
				StartedAt: began.Add(-time.Duration(n*8) * time.Second), Duration: time.Duration(n) * time.Millisecond,
			})
		}
	}
	owner.waitUntil("/calls/req_now_last", func(got page) bool { // everything before it is stored then
		if got.status != http.StatusOK {
			p.core.calls.Record(runtime.Record{ID: "req_now_last", ConnectionID: conns[0].ID, Slug: conns[0].Slug, Outcome: runtime.OutcomeSuccess, StartedAt: began})
		}
		return got.status == http.StatusOK
	})
	b.Logf("%d calls stored in %v", scaleCalls, time.Since(began).Round(time.Second))
	return first, last
}

// deepPage is the address of a page in the middle of the log.
func (p *process) deepPage(b *testing.B, owner *browser) string {
	b.Helper()
	got := owner.get("/calls/req_00000000000000000000500000")
	if got.status != http.StatusOK {
		b.Fatalf("a call in the middle: %d", got.status)
	}
	call, err := p.core.calls.Find(b.Context(), "req_00000000000000000000500000")
	if err != nil {
		b.Fatal(err)
	}
	return "/calls?cursor=" + strconv.FormatInt(db.Micros(call.StartedAt), 36) + "." + call.ID
}
