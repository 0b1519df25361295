package runtime_test

import (
	"bufio"
	"crypto/tls"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"switchgear/internal/runtime"
	"switchgear/internal/runtime/egress"
	"switchgear/internal/runtime/egress/http1"
)

// forgetful answers the first request of each connection and hangs up after it has read the second.
func forgetful(seen *atomic.Int64) func(net.Conn) {
	return func(c net.Conn) {
		r := bufio.NewReader(c)
		for n := range 2 {
			req, err := http.ReadRequest(r)
			if err != nil {
				return
			}
			_, _ = io.Copy(io.Discard, req.Body)
			seen.Add(1)
			if n == 0 {
				_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
			}
		}
	}
}

// A request that was sent is not sent again unless a policy says so: net/http would.
func TestNoHiddenReplayOverHTTP1(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		method string
		header http.Header
		body   string
		// replayed says what a bare transport does: without that the test would prove nothing.
		replayed bool
	}{
		"GET":                       {method: "GET", replayed: true},
		"HEAD":                      {method: "HEAD", replayed: true},
		"OPTIONS":                   {method: "OPTIONS", replayed: true},
		"DELETE":                    {method: "DELETE"},
		"POST with key":             {method: "POST", header: http.Header{"Idempotency-Key": {"k"}}, replayed: true},
		"POST with other key":       {method: "POST", header: http.Header{"X-Idempotency-Key": {"k"}}, replayed: true},
		"POST with key and content": {method: "POST", header: http.Header{"Idempotency-Key": {"k"}}, body: "x", replayed: true},
		"POST":                      {method: "POST", body: "x"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			build := func(target string) *http.Request {
				var from io.Reader
				if c.body != "" {
					from = strings.NewReader(c.body) // It can be rewound, which the transport would use.
				}
				req := newRequest(t, c.method, target, from)
				maps.Copy(req.Header, c.header)
				return req
			}
			var control atomic.Int64
			direct := rawUpstream(t, forgetful(&control))
			bare := newGateway(t, direct, egress.TransportConfig{}).bare
			for range 2 {
				if resp, err := bare.RoundTrip(build(direct + "/x")); err == nil {
					_, _ = io.Copy(io.Discard, resp.Body)
					_ = resp.Body.Close()
				}
			}
			if replayed := control.Load() == 3; replayed != c.replayed {
				t.Errorf("a bare transport sent %d requests for 2", control.Load())
			}

			t.Run("ours", func(t *testing.T) { replays(t, newForgetful(t), c.method, build) })
			t.Run("net/http", func(t *testing.T) {
				f := newForgetful(t)
				f.target.Transport = f.bare
				replays(t, f, c.method, build)
			})
		})
	}
}

// forgotten is a gateway before a forgetful upstream.
type forgotten struct {
	*gateway
	seen *atomic.Int64
}

func newForgetful(t *testing.T) forgotten {
	t.Helper()
	seen := &atomic.Int64{}
	g := newGateway(t, rawUpstream(t, forgetful(seen)), egress.TransportConfig{})
	// A body that comes late, which is soon on a busy machine, goes out over another connection than the one that is
	// kept from the call before.
	ours := http1.New(http1.Deps{Dial: (&net.Dialer{}).DialContext, Other: g.bare}, http1.Config{BodyWait: time.Minute})
	t.Cleanup(ours.CloseIdleConnections)
	g.target.Transport = ours
	return forgotten{g, seen}
}

func replays(t *testing.T, g forgotten, method string, build func(target string) *http.Request) {
	t.Helper()
	if resp, _ := send(t, g.gateway, build(g.URL+"/x")); resp.StatusCode != 200 {
		t.Fatalf("first: %d", resp.StatusCode)
	}
	resp, body := send(t, g.gateway, build(g.URL+"/x"))
	if method == "HEAD" {
		body = []byte(`"` + runtime.CodeReset + `"`)
	}
	wantError(t, resp, body, http.StatusBadGateway, runtime.CodeReset)
	if g.seen.Load() != 2 || resp.Header.Get("Switchgear-Attempts") != "1" {
		t.Errorf("the upstream saw %d requests for 2, and we said %s attempts for the second", g.seen.Load(), resp.Header.Get("Switchgear-Attempts"))
	}
	if g.records.next(t); g.records.next(t).Outcome != runtime.OutcomeReset {
		t.Errorf("record %+v", g.records.all)
	}
	// The next call gets a new connection and goes well.
	if resp, _ := send(t, g.gateway, build(g.URL+"/x")); resp.StatusCode != 200 || g.seen.Load() != 3 {
		t.Errorf("after it: %d, %d requests", resp.StatusCode, g.seen.Load())
	}
}

// refusing is an upstream over HTTP/2 that refuses the first streams as unprocessed.
func refusing(t *testing.T, refuse int, streams *atomic.Int64) (string, egress.TransportConfig) {
	t.Helper()
	s := httptest.NewUnstartedServer(http.NotFoundHandler())
	s.TLS = &tls.Config{NextProtos: []string{"h2"}, MinVersion: tls.VersionTLS12}
	s.Config.TLSNextProto = map[string]func(*http.Server, *tls.Conn, http.Handler){"h2": func(_ *http.Server, c *tls.Conn, _ http.Handler) {
		if _, err := io.ReadFull(c, make([]byte, len("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"))); err != nil {
			return
		}
		// A frame is 3 bytes of length, type, flags and 4 bytes of stream, then what it carries.
		const settings, headers, reset = 4, 1, 3
		frame := func(kind, flags byte, stream []byte, payload ...byte) {
			_, _ = c.Write(slices.Concat([]byte{0, 0, byte(len(payload)), kind, flags}, stream, payload))
		}
		connection := []byte{0, 0, 0, 0}
		frame(settings, 0, connection)
		for head := make([]byte, 9); ; {
			if _, err := io.ReadFull(c, head); err != nil {
				return
			}
			length := int64(head[0])<<16 | int64(head[1])<<8 | int64(head[2])
			if _, err := io.CopyN(io.Discard, c, length); err != nil {
				return
			}
			switch kind, flags, stream := head[3], head[4], slices.Clone(head[5:]); {
			case kind == settings && flags == 0:
				frame(settings, 1, connection)
			case kind != headers:
			case streams.Add(1) <= int64(refuse):
				frame(reset, 0, stream, 0, 0, 0, 7) // REFUSED_STREAM
			default:
				frame(headers, 5, stream, 0x88) // :status 200, and that is all
			}
		}
	}}
	s.StartTLS()
	t.Cleanup(s.Close)
	trusted, _ := s.Client().Transport.(*http.Transport)
	return s.URL, egress.TransportConfig{RootCAs: trusted.TLSClientConfig.RootCAs}
}

// What an HTTP/2 upstream refused unprocessed may be sent again, visibly and within the policy.
func TestRefusedStreamsAreCounted(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		refuse, allowed int
		status          int
		sends           int64
		attempts        string
	}{
		"never refused":           {0, 3, 200, 1, "1"},
		"once, and allowed":       {1, 3, 200, 2, "2"},
		"once, and one is enough": {1, 1, 502, 1, "1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var streams atomic.Int64
			target, cfg := refusing(t, c.refuse, &streams)
			g := newGateway(t, target, cfg, policy(func(p *runtime.Policy) { p.Retry.MaxAttempts = c.allowed }))
			resp, _ := send(t, g, newRequest(t, http.MethodGet, g.URL+"/", nil))
			if resp.StatusCode != c.status || streams.Load() != c.sends || resp.Header.Get("Switchgear-Attempts") != c.attempts {
				t.Errorf("%d after %d streams, %s attempts; want %+v", resp.StatusCode, streams.Load(), resp.Header.Get("Switchgear-Attempts"), c)
			}
			if rec := g.records.next(t); rec.Attempts != int(c.sends) {
				t.Errorf("record %+v", rec)
			}
		})
	}
}

// The credential, the query and the body reach the stored host only, whatever the path says.
func TestHostIsFixed(t *testing.T) {
	t.Parallel()
	evil := newUpstream(t, func(_ http.ResponseWriter, r *http.Request) { t.Errorf("another host was asked: %v", r.Header) })
	host, err := url.Parse(evil.URL)
	if err != nil {
		t.Fatal(err)
	}
	var seen atomic.Int64
	upstream := newUpstream(t, func(_ http.ResponseWriter, r *http.Request) {
		seen.Add(1)
		if strings.Contains(r.Host, host.Host) {
			t.Errorf("Host %q", r.Host)
		}
	})
	g := newGateway(t, upstream.URL, egress.TransportConfig{})
	paths := []string{"//" + host.Host + "/", "/http://" + host.Host + "/", "/@" + host.Host, "/%5C" + host.Host, "/:80@" + host.Host + "/", "/a?b=http://" + host.Host}
	for _, p := range paths {
		conn := dial(t, g.Listener.Addr().String())
		_, _ = io.WriteString(conn, "GET "+p+" HTTP/1.1\r\nHost: "+host.Host+"\r\nX-Forwarded-Host: "+host.Host+"\r\nConnection: close\r\n\r\n")
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatalf("%s: %v", p, err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != 200 {
			t.Errorf("%s: %d", p, resp.StatusCode)
		}
	}
	if int(seen.Load()) != len(paths) {
		t.Errorf("%d of %d requests arrived", seen.Load(), len(paths))
	}
}
