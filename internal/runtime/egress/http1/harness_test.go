package http1

import (
	"bufio"
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// raw is a server that lets a function have each connection. It counts connections and requests.
type raw struct {
	url         string
	connections atomic.Int64
	requests    atomic.Int64
}

func newRaw(t *testing.T, serve func(s *raw, c net.Conn)) *raw {
	t.Helper()
	return newRawOver(t, serve, func(l net.Listener) net.Listener { return l }, "http://")
}

func newRawOver(t *testing.T, serve func(s *raw, c net.Conn), wrap func(net.Listener) net.Listener, scheme string) *raw {
	t.Helper()
	plain, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := wrap(plain)
	s := &raw{url: scheme + plain.Addr().String()}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			s.connections.Add(1)
			wg.Go(func() {
				defer func() { _ = c.Close() }()
				serve(s, c)
			})
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		wg.Wait()
	})
	return s
}

// answers gives the same answer to every request, until the other end hangs up.
func answers(text string) func(s *raw, c net.Conn) {
	return func(s *raw, c net.Conn) {
		for from := bufio.NewReader(c); s.next(from); {
			if _, err := io.WriteString(c, text); err != nil {
				return
			}
		}
	}
}

// once gives one answer to each connection and hangs up.
func once(text string) func(s *raw, c net.Conn) {
	return func(s *raw, c net.Conn) {
		if s.next(bufio.NewReader(c)) {
			_, _ = io.WriteString(c, text)
		}
	}
}

// next reads a request.
func (s *raw) next(from *bufio.Reader) bool {
	r, err := http.ReadRequest(from)
	if err != nil {
		return false
	}
	s.requests.Add(1)
	_, err = io.Copy(io.Discard, r.Body)
	return err == nil
}

// refusing is the other transport of tests that must not need one.
type refusing struct{ t *testing.T }

func (o refusing) RoundTrip(r *http.Request) (*http.Response, error) {
	o.t.Errorf("%s %s was left to the other transport", r.Method, r.URL)
	return nil, net.ErrClosed
}

func newTransport(t *testing.T, cfg Config) *Transport {
	t.Helper()
	tr := New(Deps{Dial: (&net.Dialer{}).DialContext, Other: refusing{t}}, cfg)
	t.Cleanup(tr.CloseIdleConnections)
	return tr
}

func newRequest(t *testing.T, method, url string, body io.Reader) *http.Request {
	t.Helper()
	return newRequestIn(t, t.Context(), method, url, body)
}

func newRequestIn(t *testing.T, ctx context.Context, method, url string, body io.Reader) *http.Request { //nolint:revive // The test comes first, as everywhere.
	t.Helper()
	r, err := http.NewRequestWithContext(ctx, method, url, body)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// answer is what tests look at.
type answer struct {
	status  int
	header  http.Header
	body    string
	trailer http.Header
	err     error // of the exchange, or of its body
}

func exchange(tr http.RoundTripper, r *http.Request) answer {
	resp, err := tr.RoundTrip(r)
	if err != nil {
		return answer{err: err}
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	return answer{resp.StatusCode, resp.Header, string(body), resp.Trailer, err}
}

// events remembers what happened.
type events struct {
	seen  []string
	codes []int
	fail  error // of informational responses
	trace httptrace.ClientTrace
}

func (e *events) Event(event Event) {
	e.seen = append(e.seen, map[Event]string{Asked: "asked", Connected: "connected", Reused: "reused", Sent: "sent", FirstByte: "first byte"}[event])
}

func (e *events) Informational(code int, _ http.Header) error {
	e.codes = append(e.codes, code)
	return e.fail
}

func (e *events) Hooks() *httptrace.ClientTrace { return &e.trace }

func (e *events) want(t *testing.T, want ...string) {
	t.Helper()
	if !slices.Equal(e.seen, want) {
		t.Errorf("events %q, want %q", e.seen, want)
	}
}

// certificate is one for 127.0.0.1, and the configurations of both sides.
func certificate(t *testing.T) (server, client *tls.Config) {
	t.Helper()
	s := httptest.NewUnstartedServer(http.NotFoundHandler())
	s.StartTLS()
	defer s.Close()
	trusted, _ := s.Client().Transport.(*http.Transport)
	return &tls.Config{Certificates: s.TLS.Certificates, MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"}},
		&tls.Config{RootCAs: trusted.TLSClientConfig.RootCAs, MinVersion: tls.VersionTLS12}
}

// bytesConn is a connection that has received some text and then its end.
type bytesConn struct {
	net.Conn
	from *strings.Reader
	sent strings.Builder
}

func (c *bytesConn) Read(p []byte) (int, error)    { return c.from.Read(p) }
func (c *bytesConn) Write(p []byte) (int, error)   { return c.sent.Write(p) }
func (*bytesConn) Close() error                    { return nil }
func (*bytesConn) SetDeadline(time.Time) error     { return nil }
func (*bytesConn) SetReadDeadline(time.Time) error { return nil }

// failure is the error of an exchange that must not succeed.
func failure(resp *http.Response, err error) error {
	if err == nil {
		_ = resp.Body.Close()
	}
	return err
}

// received makes the exchange of r over a connection that has received text.
func received(r *http.Request, text string, o Observer) (*http.Response, *bytesConn, error) {
	c := &bytesConn{from: strings.NewReader(text)}
	tr := New(Deps{Dial: func(context.Context, string, string) (net.Conn, error) { return c, nil }, Other: nil}, Config{BodyWait: time.Minute})
	resp, err := tr.Exchange(r, o)
	return resp, c, err
}
