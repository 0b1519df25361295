package runtime_test

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"testing"
	"time"

	"switchgear/internal/fault"
	"switchgear/internal/runtime"
	"switchgear/internal/runtime/breaker"
	"switchgear/internal/runtime/egress"
	"switchgear/internal/telemetry"
)

// records is a recorder that tests read.
type records struct {
	mu  sync.Mutex
	all []runtime.Record
	got chan struct{}
}

func newRecords() *records { return &records{got: make(chan struct{}, 10_000)} }

func (r *records) Record(rec runtime.Record) {
	r.mu.Lock()
	r.all = append(r.all, rec)
	r.mu.Unlock()
	r.got <- struct{}{}
}

// next waits for one more record, and returns the newest.
func (r *records) next(t *testing.T) runtime.Record {
	t.Helper()
	select {
	case <-r.got:
	case <-t.Context().Done():
		t.Fatal("no record")
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.all[len(r.all)-1]
}

// gateway is a server that does what the product's route does around a proxy.
type gateway struct {
	*httptest.Server
	target  runtime.Target
	records *records
	caller  *http.Transport
	bare    *http.Transport // to the upstream, of net/http alone

	protections *runtime.Protections
	who         *runtime.Caller // instead of an application
}

type option func(*runtime.Target)

func policy(change func(*runtime.Policy)) option {
	return func(t *runtime.Target) { change(&t.Policy) }
}

// inTime is longer than what has to begin before it is over takes, on the busiest machine as well.
const inTime = 3 * time.Second

func timeout(d time.Duration) option {
	return policy(func(p *runtime.Policy) { p.Timeout = runtime.Duration(d) })
}

func authorize(f func(ctx context.Context, r *http.Request) error) option {
	return func(t *runtime.Target) { t.Authorize = f }
}

// newGateway starts a gateway before an upstream, through the real egress guard.
func newGateway(tb testing.TB, upstream string, cfg egress.TransportConfig, options ...option) *gateway {
	tb.Helper()
	base, err := url.Parse(upstream)
	if err != nil {
		tb.Fatal(err)
	}
	rules, err := egress.ParseRules([]string{"127.0.0.1=127.0.0.0/8:" + base.Port()})
	if err != nil {
		tb.Fatal(err)
	}
	guard := egress.New(egress.Config{Rules: rules})
	transport := guard.NewCalls(cfg)
	tb.Cleanup(transport.CloseIdleConnections)
	g := &gateway{records: newRecords(), target: runtime.Target{
		ConnectionID: "con_1", Slug: "up", Account: "default", Version: 7, BaseURL: base,
		Policy: runtime.DefaultPolicy(), Transport: transport,
	}}
	g.target.Policy.Retry.MaxAttempts = 1 // Tests of one exchange; those of retries ask for more.
	g.bare = guard.NewTransport(cfg)
	tb.Cleanup(g.bare.CloseIdleConnections)
	for _, o := range options {
		o(&g.target)
	}
	g.protections = newProtections(tb)
	proxy := runtime.NewProxy(runtime.ProxyDeps{Logger: telemetry.Discard(), Now: time.Now, Recorder: g.records, Protections: g.protections}, runtime.ProxyConfig{})
	handler := telemetry.AssignRequestID(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		who := runtime.Caller{KeyID: "key_1", KeyName: "app", ClientIP: "192.0.2.1"}
		if g.who != nil {
			who = *g.who
		}
		ctx := runtime.WithCaller(r.Context(), who)
		rest := r.URL.EscapedPath()[1:]
		if err := proxy.Serve(w, r.WithContext(ctx), g.target, rest); err != nil {
			fault.WriteJSON(w, r, err, telemetry.RequestID(ctx))
		}
	}))
	g.Server = httptest.NewUnstartedServer(handler)
	g.EnableHTTP2 = true
	g.Config.Protocols = &http.Protocols{}
	g.Config.Protocols.SetHTTP1(true)
	g.Config.Protocols.SetUnencryptedHTTP2(true)
	g.Config.ErrorLog = nil
	g.Start()
	tb.Cleanup(g.Close)
	g.caller, _ = g.Client().Transport.(*http.Transport)
	g.caller.DisableCompression = true
	g.caller.ExpectContinueTimeout = time.Minute
	return g
}

// idleProtections are without their workers.
func idleProtections(tb testing.TB) *runtime.Protections {
	tb.Helper()
	p, err := runtime.NewProtections(runtime.ProtectionsDeps{
		Logger: telemetry.Discard(), Now: time.Now, Changed: func(context.Context, []breaker.Event) {},
	}, runtime.ProtectionsConfig{})
	if err != nil {
		tb.Fatal(err)
	}
	return p
}

// newProtections makes protections whose workers run until the end of the test.
func newProtections(tb testing.TB) *runtime.Protections {
	tb.Helper()
	p := idleProtections(tb)
	ctx, stop := context.WithCancel(context.WithoutCancel(tb.Context()))
	var wg sync.WaitGroup
	for _, w := range p.Workers() {
		wg.Go(func() { _ = w.Serve(ctx) })
	}
	tb.Cleanup(func() {
		stop()
		wg.Wait()
	})
	return p
}

// newUpstream starts an upstream over HTTP/1.1.
func newUpstream(tb testing.TB, h http.HandlerFunc) *httptest.Server {
	tb.Helper()
	s := httptest.NewServer(h)
	tb.Cleanup(s.Close)
	return s
}

// newUpstream2 starts an upstream over TLS that speaks HTTP/2, and returns what is needed to trust it.
func newUpstream2(tb testing.TB, h http.HandlerFunc) (*httptest.Server, egress.TransportConfig) {
	tb.Helper()
	s := httptest.NewUnstartedServer(h)
	s.EnableHTTP2 = true
	s.StartTLS()
	tb.Cleanup(s.Close)
	trusted, _ := s.Client().Transport.(*http.Transport)
	return s, egress.TransportConfig{RootCAs: trusted.TLSClientConfig.RootCAs}
}

// rawUpstream answers each connection with a function of the test.
func rawUpstream(tb testing.TB, serve func(net.Conn)) string {
	tb.Helper()
	listener, err := (&net.ListenConfig{}).Listen(tb.Context(), "tcp4", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				defer func() { _ = conn.Close() }()
				serve(conn)
			})
		}
	})
	tb.Cleanup(func() {
		_ = listener.Close()
		wg.Wait()
	})
	return "http://" + listener.Addr().String()
}

func newRequest(tb testing.TB, method, target string, body io.Reader) *http.Request {
	tb.Helper()
	req, err := http.NewRequestWithContext(tb.Context(), method, target, body)
	if err != nil {
		tb.Fatal(err)
	}
	return req
}

// reply is an answer that was read to its end.
type reply struct {
	StatusCode      int
	Header, Trailer http.Header
	ContentLength   int64
}

// send makes a request to the gateway: no redirect, no unpacking.
func send(tb testing.TB, g *gateway, req *http.Request) (reply, []byte) {
	tb.Helper()
	resp, err := g.caller.RoundTrip(req)
	if err != nil {
		tb.Fatalf("%s %s: %v", req.Method, req.URL, err)
	}
	return read(tb, resp)
}

func read(tb testing.TB, resp *http.Response) (reply, []byte) {
	tb.Helper()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		tb.Fatalf("body: %v", err)
	}
	_ = resp.Body.Close()
	return reply{resp.StatusCode, resp.Header, resp.Trailer, resp.ContentLength}, body
}

// zeros reads n bytes without holding them.
func zeros(n int64) io.Reader { return io.LimitReader(zeroReader{}, n) }

type zeroReader struct{}

func (zeroReader) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// wantError checks that an answer is ours and says the code everywhere.
func wantError(t *testing.T, resp reply, body []byte, status int, code string) {
	t.Helper()
	if resp.StatusCode != status || resp.Header.Get(runtime.ErrorHeader) != code || !bytes.Contains(body, []byte(`"`+code+`"`)) {
		t.Errorf("answered %d, %s: %q, body %s; want %d %s", resp.StatusCode, runtime.ErrorHeader, resp.Header.Get(runtime.ErrorHeader), body, status, code)
	}
	if resp.Header.Get("X-Request-Id") == "" || resp.Header.Get("Switchgear-Attempts") == "" {
		t.Errorf("the error lacks our headers: %v", resp.Header)
	}
}
