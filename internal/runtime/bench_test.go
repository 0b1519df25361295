package runtime_test

import (
	"bytes"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"testing"
	"time"

	"switchgear/internal/runtime"
	"switchgear/internal/runtime/egress"
	"switchgear/internal/telemetry"
)

type noRecords struct{}

func (noRecords) Record(runtime.Record) {}

var smallJSON = bytes.Repeat([]byte(`{"id":"ch_1"},`), 15)

// BenchmarkGateway compares one small call through the proxy, through a bare httputil.ReverseProxy and
// without anything between, in one run: 32 callers, HTTP/1.1, loopback. Caller and upstream are in the
// same process, so the differences between proxies are larger than the figures show.
func BenchmarkGateway(b *testing.B) {
	upstream := newUpstream(b, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(smallJSON)
	})
	base, err := url.Parse(upstream.URL)
	if err != nil {
		b.Fatal(err)
	}
	rules, err := egress.ParseRules([]string{"127.0.0.1=127.0.0.0/8:" + base.Port()})
	if err != nil {
		b.Fatal(err)
	}
	transport := egress.New(egress.Config{Rules: rules}).NewTransport(egress.TransportConfig{})
	b.Cleanup(transport.CloseIdleConnections)
	policy := runtime.DefaultPolicy()
	policy.AttemptTimeout = runtime.Duration(10 * time.Second)
	target := runtime.Target{BaseURL: base, Policy: policy, Transport: transport}
	proxy := runtime.NewProxy(runtime.ProxyDeps{Logger: telemetry.Discard(), Now: time.Now, Recorder: noRecords{}, Protections: idleProtections(b)}, runtime.ProxyConfig{})
	reverse := &httputil.ReverseProxy{Transport: transport, Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(base) }}

	for _, c := range []struct {
		name    string
		handler http.Handler
	}{
		{"direct", nil},
		{"reverseproxy", reverse},
		{"switchgear", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_ = proxy.Serve(w, r, target, r.URL.EscapedPath()[1:])
		})},
	} {
		b.Run(c.name, func(b *testing.B) {
			address := upstream.URL
			if c.handler != nil {
				front := httptest.NewServer(c.handler)
				b.Cleanup(front.Close)
				address = front.URL
			}
			client := &http.Transport{MaxIdleConnsPerHost: 64, DisableCompression: true}
			b.Cleanup(client.CloseIdleConnections)
			b.ReportAllocs()
			b.SetParallelism(16)
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					resp, err := client.RoundTrip(newRequest(b, http.MethodGet, address+"/v1/charges?limit=3", nil))
					if err != nil {
						b.Error(err)
						return
					}
					_, _ = io.Copy(io.Discard, resp.Body)
					_ = resp.Body.Close()
				}
			})
		})
	}
}

// canned answers at once, so that only the proxy itself is measured.
type canned struct{ header http.Header }

func (c canned) RoundTrip(*http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: 200, Header: c.header, ContentLength: int64(len(smallJSON)), Body: io.NopCloser(bytes.NewReader(smallJSON))}, nil
}

type discard struct{ header http.Header }

func (d *discard) Header() http.Header       { return d.header }
func (*discard) Write(p []byte) (int, error) { return len(p), nil }
func (*discard) WriteHeader(int)             {}

// BenchmarkProxyAlone is the work of the proxy without sockets.
func BenchmarkProxyAlone(b *testing.B) {
	base := &url.URL{Scheme: "https", Host: "up.test", Path: "/v1"}
	transport := canned{http.Header{"Content-Type": {"application/json"}, "Content-Length": {"210"}, "Date": {"x"}, "Etag": {"y"}}}
	policy := runtime.DefaultPolicy()
	policy.AttemptTimeout = runtime.Duration(10 * time.Second)
	target := runtime.Target{BaseURL: base, Policy: policy, Transport: transport}
	proxy := runtime.NewProxy(runtime.ProxyDeps{Logger: telemetry.Discard(), Now: time.Now, Recorder: noRecords{}, Protections: idleProtections(b)}, runtime.ProxyConfig{})
	reverse := &httputil.ReverseProxy{Transport: transport, Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(base) }}
	r := httptest.NewRequest(http.MethodGet, "/charges?limit=3", nil)
	r.Header = http.Header{"Accept": {"*/*"}, "User-Agent": {"app"}, "Accept-Encoding": {"gzip"}, "Authorization": {"Bearer x"}}
	b.Run("reverseproxy", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			reverse.ServeHTTP(&discard{http.Header{}}, r)
		}
	})
	logging := runtime.NewProxy(runtime.ProxyDeps{
		Logger: telemetry.NewLogger(io.Discard, slog.LevelInfo), Now: time.Now, Recorder: noRecords{}, Protections: idleProtections(b),
	}, runtime.ProxyConfig{Lines: runtime.LinesAll})
	for name, p := range map[string]*runtime.Proxy{"switchgear": proxy, "switchgear, a line for every call": logging} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_ = p.Serve(&discard{http.Header{}}, r, target, "charges")
			}
		})
	}
}

// BenchmarkProtections is what a call costs with nothing but a timeout, with each protection alone, and with
// all of them; without sockets, so that the differences show.
func BenchmarkProtections(b *testing.B) {
	base := &url.URL{Scheme: "https", Host: "up.test", Path: "/v1"}
	r := httptest.NewRequest(http.MethodGet, "/charges?limit=3", nil)
	r.Header = http.Header{"Accept": {"*/*"}, "User-Agent": {"app"}, "Accept-Encoding": {"gzip"}, "Authorization": {"Bearer x"}}
	usual := runtime.DefaultPolicy()
	limits := func(p *runtime.Policy) {
		p.RateLimits = []runtime.RateLimit{{Requests: 1_000_000_000, Per: runtime.Duration(time.Second)}, {Requests: 1_000_000_000, Per: runtime.Duration(time.Minute)}}
	}
	attempt := func(p *runtime.Policy) { p.AttemptTimeout = runtime.Duration(10 * time.Second) }
	cached := func(p *runtime.Policy) { p.Cache.TTL = runtime.Duration(time.Hour) }
	for _, c := range []struct {
		name string
		put  func(p *runtime.Policy)
	}{
		{"none", func(*runtime.Policy) {}},
		{"attempt-timeout", attempt},
		{"retry", func(p *runtime.Policy) { p.Retry = usual.Retry }},
		{"breaker", func(p *runtime.Policy) { p.Breaker = usual.Breaker }},
		{"rate-limits", limits},
		{"bulkhead", func(p *runtime.Policy) { p.Bulkhead = usual.Bulkhead }},
		{"cache-bypassed", func(p *runtime.Policy) { p.Cache.StaleIfError = runtime.Duration(time.Hour) }},
		{"cache-hit", cached},
		{"all-but-cache", func(p *runtime.Policy) { *p = usual; limits(p); attempt(p) }},
	} {
		b.Run(c.name, func(b *testing.B) {
			policy := runtime.Policy{Timeout: usual.Timeout, Retry: runtime.Retry{MaxAttempts: 1}, Breaker: usual.Breaker}
			policy.Breaker.Enabled = false
			c.put(&policy)
			header := http.Header{"Content-Type": {"application/json"}, "Content-Length": {"210"}, "Date": {"x"}}
			if c.name == "cache-bypassed" {
				header["Cache-Control"] = []string{"no-store"}
			}
			target := runtime.Target{ConnectionID: "con_1", BaseURL: base, Policy: policy, Transport: canned{header}}
			proxy := runtime.NewProxy(runtime.ProxyDeps{
				Logger: telemetry.Discard(), Now: time.Now, Recorder: noRecords{}, Protections: idleProtections(b),
			}, runtime.ProxyConfig{})
			b.ReportAllocs()
			for b.Loop() {
				if err := proxy.Serve(&discard{http.Header{}}, r, target, "charges"); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
