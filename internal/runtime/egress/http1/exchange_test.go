package http1

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

const hello = ok + "Content-Length: 5\r\n\r\nhello"

func wantHello(t *testing.T, got answer) {
	t.Helper()
	if got.err != nil || got.status != 200 || got.body != "hello" {
		t.Fatalf("%+v", got)
	}
}

// A connection that the other end closed meanwhile is noticed before anything is sent over it.
func TestDeadConnectionIsNotUsed(t *testing.T) {
	t.Parallel()
	closed := make(chan struct{})
	s := newRaw(t, func(s *raw, c net.Conn) {
		if s.next(bufio.NewReader(c)) {
			_, _ = io.WriteString(c, hello)
			_ = c.Close()
			closed <- struct{}{}
		}
	})
	tr := newTransport(t, Config{})
	for range 3 {
		o := &events{}
		resp, err := tr.Exchange(newRequest(t, "POST", s.url, nil), o)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		_ = resp.Body.Close()
		<-closed
		o.want(t, "asked", "connected", "sent", "first byte")
	}
	if s.requests.Load() != 3 || s.connections.Load() != 3 {
		t.Errorf("%d requests over %d connections", s.requests.Load(), s.connections.Load())
	}
}

// It is noticed too when that happens while the body of the request is on its way here.
func TestConnectionDiesWhileTheBodyComes(t *testing.T) {
	t.Parallel()
	end, ended := make(chan struct{}), make(chan struct{})
	s := newRaw(t, func(s *raw, c net.Conn) {
		if s.next(bufio.NewReader(c)) {
			_, _ = io.WriteString(c, hello)
			<-end
			_ = c.Close()
			ended <- struct{}{}
		}
	})
	tr := newTransport(t, Config{BodyWait: time.Minute})
	wantHello(t, exchange(tr, newRequest(t, "GET", s.url, nil)))
	body := &closing{Reader: io.MultiReader(signalling{end, ended}, strings.NewReader("body"))}
	r := newRequest(t, "POST", s.url, body)
	r.ContentLength = 4
	o := &events{}
	resp, err := tr.Exchange(r, o)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	o.want(t, "asked", "reused", "asked", "connected", "sent", "first byte")
	if s.requests.Load() != 2 || s.connections.Load() != 2 {
		t.Errorf("%d requests over %d connections", s.requests.Load(), s.connections.Load())
	}
	end <- struct{}{}
	<-ended
}

// signalling is empty; reading it asks for something and waits until it is done.
type signalling struct{ ask, done chan struct{} }

func (s signalling) Read([]byte) (int, error) {
	s.ask <- struct{}{}
	<-s.done
	return 0, io.EOF
}

// What comes when nobody asked is never taken for the answer to the next request.
func TestUnsolicitedAnswerIsNotTaken(t *testing.T) {
	t.Parallel()
	said := make(chan struct{})
	serve := func(s *raw, c net.Conn) {
		if s.next(bufio.NewReader(c)) {
			_, _ = io.WriteString(c, hello)
			<-said // It was read.
			_, _ = io.WriteString(c, ok+"Content-Length: 5\r\n\r\nstale")
			said <- struct{}{}
			_, _ = io.Copy(io.Discard, c)
		}
	}
	server, client := certificate(t)
	for name, c := range map[string]struct {
		scheme string
		wrap   func(net.Listener) net.Listener
	}{
		"plain": {"http://", func(l net.Listener) net.Listener { return l }},
		"TLS":   {"https://", func(l net.Listener) net.Listener { return tls.NewListener(l, server) }},
	} {
		s := newRawOver(t, serve, c.wrap, c.scheme)
		tr := newTransport(t, Config{TLS: client})
		tr.plain.Store(strings.TrimPrefix(s.url, c.scheme), true)
		for range 2 {
			got := exchange(tr, newRequest(t, "GET", s.url, nil))
			wantHello(t, got)
			said <- struct{}{}
			<-said
		}
		if s.connections.Load() != 2 {
			t.Errorf("%s: %d connections", name, s.connections.Load())
		}
	}
}

// Over TLS an answer and what follows it may have come in one piece, of which nothing is left in the socket.
func TestRestInOneTLSRecord(t *testing.T) {
	t.Parallel()
	server, client := certificate(t)
	body := strings.Repeat("x", 6000) // Longer than our buffer, so that TLS keeps the end.
	text := ok + "Content-Length: 6000\r\n\r\n" + body
	for name, c := range map[string]struct {
		text        string
		connections int64
	}{
		"alone":           {text, 1},
		"with another":    {text + ok + "Content-Length: 5\r\n\r\nstale", 3},
		"in a small read": {text + "H", 3},
	} {
		s := newRawOver(t, answers(c.text), func(l net.Listener) net.Listener { return tls.NewListener(l, server) }, "https://")
		tr := newTransport(t, Config{TLS: client})
		tr.plain.Store(strings.TrimPrefix(s.url, "https://"), true)
		for range 3 {
			resp, err := tr.RoundTrip(newRequest(t, "GET", s.url, nil))
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			got, err := io.ReadAll(resp.Body) // In portions of 512 bytes and more.
			_ = resp.Body.Close()
			if err != nil || string(got) != body || resp.TLS == nil {
				t.Fatalf("%s: %d bytes, %v", name, len(got), err)
			}
		}
		if s.connections.Load() != c.connections {
			t.Errorf("%s: %d connections, want %d", name, s.connections.Load(), c.connections)
		}
	}
}

// faulty is a connection whose writes fail from some point on.
type faulty struct {
	*net.TCPConn
	writes, good int
	partly       int // of the failing write, this many bytes leave
}

func (c *faulty) Write(p []byte) (int, error) {
	if c.writes++; c.writes <= c.good {
		return c.TCPConn.Write(p)
	}
	n, _ := c.TCPConn.Write(p[:c.partly])
	return n, &net.OpError{Op: "write", Err: errors.New("broken pipe")}
}

// A request moves to another connection only when not a byte of it left, and only from one that had been
// used before; the observer hears of it exactly.
func TestFailedWrites(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		good, partly int
		fails        bool
		events       []string
		requests     int64
	}{
		"nothing left, used before": {1, 0, false, []string{"asked", "reused", "asked", "connected", "sent", "first byte"}, 2},
		"a byte left, used before":  {1, 1, true, []string{"asked", "reused", "sent"}, 1},
	} {
		s := newRaw(t, answers(hello))
		first := true
		tr := New(Deps{Other: refusing{t}, Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
			conn, err := (&net.Dialer{}).DialContext(ctx, network, address)
			tcp, _ := conn.(*net.TCPConn)
			if !first || err != nil {
				return conn, err
			}
			first = false
			return &faulty{TCPConn: tcp, good: c.good, partly: c.partly}, nil
		}}, Config{BodyWait: time.Minute})
		t.Cleanup(tr.CloseIdleConnections)
		wantHello(t, exchange(tr, newRequest(t, "POST", s.url, strings.NewReader("body"))))
		o := &events{}
		resp, err := tr.Exchange(newRequest(t, "POST", s.url, strings.NewReader("body")), o)
		if (err != nil) != c.fails {
			t.Fatalf("%s: %v", name, err)
		}
		if err == nil {
			_, _ = io.Copy(io.Discard, resp.Body)
			_ = resp.Body.Close()
		}
		o.want(t, c.events...)
		if s.requests.Load() != c.requests {
			t.Errorf("%s: %d requests", name, s.requests.Load())
		}
	}
	// A new connection gets one chance.
	s := newRaw(t, answers(hello))
	dials := 0
	tr := New(Deps{Other: refusing{t}, Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := (&net.Dialer{}).DialContext(ctx, network, address)
		tcp, _ := conn.(*net.TCPConn)
		dials++
		return &faulty{TCPConn: tcp}, err
	}}, Config{})
	o := &events{}
	if err := failure(tr.Exchange(newRequest(t, "GET", s.url, nil), o)); err == nil || dials != 1 {
		t.Errorf("%v after %d dials", err, dials)
	}
	o.want(t, "asked", "connected")
}

// A connection that dies after it took the request is not replaced: the upstream may have acted.
func TestNoReplay(t *testing.T) {
	t.Parallel()
	s := newRaw(t, func(s *raw, c net.Conn) {
		from := bufio.NewReader(c)
		if s.next(from) {
			_, _ = io.WriteString(c, hello)
			s.next(from)
		}
	})
	tr := newTransport(t, Config{})
	wantHello(t, exchange(tr, newRequest(t, "GET", s.url, nil)))
	o := &events{}
	if err := failure(tr.Exchange(newRequest(t, "GET", s.url, nil), o)); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("%v", err)
	}
	o.want(t, "asked", "reused", "sent")
	if s.requests.Load() != 2 || s.connections.Load() != 1 {
		t.Errorf("%d requests over %d connections", s.requests.Load(), s.connections.Load())
	}
}

// The end of the context ends whatever goes on, with its cause, and the connection with it.
func TestContext(t *testing.T) {
	t.Parallel()
	cause := errors.New("the cause")
	for name, text := range map[string]string{
		"before the answer": "", "within the header": ok + "X: ", "within the body": ok + "Content-Length: 9\r\n\r\nhell", "within a chunk": ok + "Transfer-Encoding: chunked\r\n\r\n9\r\nhell",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			gone := make(chan struct{})
			reached := make(chan struct{})
			s := newRaw(t, func(s *raw, c net.Conn) {
				if s.next(bufio.NewReader(c)) {
					_, _ = io.WriteString(c, text)
					close(reached)
					_, _ = io.Copy(io.Discard, c)
					close(gone)
				}
			})
			ctx, cancel := context.WithCancelCause(t.Context())
			go func() {
				<-reached
				cancel(cause)
			}()
			got := exchange(newTransport(t, Config{}), newRequestIn(t, ctx, "GET", s.url, nil))
			if !errors.Is(got.err, cause) {
				t.Errorf("%v, want the cause", got.err)
			}
			<-gone
		})
	}
	// One that has ended already does not even connect; one that ends after the answer changes nothing.
	s := newRaw(t, answers(hello))
	tr := newTransport(t, Config{})
	ctx, cancel := context.WithCancelCause(t.Context())
	r := newRequestIn(t, ctx, "GET", s.url, nil)
	wantHello(t, exchange(tr, r))
	cancel(cause)
	if got := exchange(tr, r); !errors.Is(got.err, cause) || s.requests.Load() != 1 {
		t.Errorf("%v after %d requests", got.err, s.requests.Load())
	}
	wantHello(t, exchange(tr, newRequest(t, "GET", s.url, nil)))
	if s.connections.Load() != 1 {
		t.Errorf("%d connections: the late end of a context cost one", s.connections.Load())
	}
}

// Who closes a body early ends its connection, also from another goroutine than the one that reads.
func TestCloseWhileReading(t *testing.T) {
	t.Parallel()
	gone := make(chan struct{})
	s := newRaw(t, func(s *raw, c net.Conn) {
		if s.next(bufio.NewReader(c)) {
			_, _ = io.WriteString(c, ok+"Content-Length: 9\r\n\r\nhell")
			_, _ = io.Copy(io.Discard, c)
			close(gone)
		}
	})
	resp, err := newTransport(t, Config{}).RoundTrip(newRequest(t, "GET", s.url, nil))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	if _, err := io.ReadFull(resp.Body, make([]byte, 4)); err != nil {
		t.Fatal(err)
	}
	read := make(chan error)
	go func() {
		_, err := resp.Body.Read(make([]byte, 4))
		read <- err
	}()
	_ = resp.Body.Close()
	<-gone
	if err := <-read; err == nil || errors.Is(err, io.EOF) {
		t.Errorf("the read ended with %v", err)
	}
	if _, err := resp.Body.Read(make([]byte, 1)); err == nil || errors.Is(err, io.EOF) {
		t.Errorf("a read afterwards: %v", err)
	}
}

// Informational responses are passed on, and may end the exchange.
func TestInformational(t *testing.T) {
	t.Parallel()
	const text = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" + hello
	for fail, want := range map[error][]int{nil: {100, 103}, net.ErrClosed: {100}} {
		o := &events{fail: fail}
		resp, _, err := received(newRequest(t, "GET", "http://up.test/", nil), text, o)
		if !errors.Is(err, fail) || !slices.Equal(o.codes, want) {
			t.Errorf("%v: %v, %v", fail, err, o.codes)
		}
		if err == nil {
			_ = resp.Body.Close()
		}
	}
}

// A body that does not come at once is streamed by the other transport, whole; one that is too short, or
// cannot be read, is an error before anything is sent.
func TestBodies(t *testing.T) {
	t.Parallel()
	s := newRaw(t, answers(hello))
	other := &remembering{called: make(chan struct{})}
	tr := New(Deps{Dial: (&net.Dialer{}).DialContext, Other: other}, Config{BodyWait: time.Minute})
	t.Cleanup(tr.CloseIdleConnections)
	wantHello(t, exchange(tr, newRequest(t, "POST", s.url, strings.NewReader("at once"))))

	tr.cfg.BodyWait = time.Millisecond
	from, to := io.Pipe()
	r := newRequest(t, "POST", s.url, from)
	r.ContentLength = 10
	go func() {
		_, _ = io.WriteString(to, "slow")
		<-other.called
		for range 6 {
			_, _ = io.WriteString(to, "x")
		}
		_ = to.Close()
	}()
	if got := exchange(tr, r); got.err != nil || got.status != 418 || got.header.Get("X-Body") != "10" {
		t.Errorf("slow: %+v", got)
	}
	tr.cfg.BodyWait = time.Minute
	for name, c := range map[string]struct {
		body io.Reader
		want string
	}{
		"short":   {strings.NewReader("four"), "the body of the request has 4 bytes and not 10"},
		"failing": {io.MultiReader(strings.NewReader("four"), failing{}), net.ErrClosed.Error()},
	} {
		closed := &closing{Reader: c.body}
		r := newRequest(t, "POST", s.url, closed)
		r.ContentLength = 10
		if got := exchange(tr, r); got.err == nil || !strings.Contains(got.err.Error(), c.want) || !closed.closed {
			t.Errorf("%s: %v, closed %v", name, got.err, closed.closed)
		}
	}
	if s.requests.Load() != 1 || s.connections.Load() != 1 || other.n != 1 {
		t.Errorf("%d requests over %d connections, %d by the other", s.requests.Load(), s.connections.Load(), other.n)
	}
}

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, net.ErrClosed }

type closing struct {
	io.Reader
	closed bool
}

func (c *closing) Close() error {
	c.closed = true
	return nil
}

// Over TLS the first exchange with a host shows what it speaks.
func TestTLSHosts(t *testing.T) {
	t.Parallel()
	for _, version := range []int{1, 2} {
		var mu sync.Mutex
		from := map[string]bool{}
		s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			mu.Lock()
			defer mu.Unlock()
			from[r.RemoteAddr] = true
			_, _ = io.WriteString(w, "hello")
		}))
		s.EnableHTTP2 = version == 2
		s.StartTLS()
		t.Cleanup(s.Close)
		other, _ := s.Client().Transport.(*http.Transport)
		tr := New(Deps{Dial: (&net.Dialer{}).DialContext, Other: other}, Config{TLS: &tls.Config{RootCAs: other.TLSClientConfig.RootCAs, MinVersion: tls.VersionTLS12}})
		t.Cleanup(tr.CloseIdleConnections)
		for n := range 4 {
			o := &events{}
			resp, err := tr.Exchange(newRequest(t, "GET", s.URL, nil), o)
			if err != nil {
				t.Fatal(err)
			}
			body, _ := io.ReadAll(resp.Body)
			_ = resp.Body.Close()
			if string(body) != "hello" || resp.ProtoMajor != version || resp.TLS == nil {
				t.Errorf("%q over HTTP/%d", body, resp.ProtoMajor)
			}
			if ours := len(o.seen) > 0; ours != (version == 1 && n > 0) {
				t.Errorf("HTTP/%d, exchange %d: ours %v", version, n, ours)
			}
		}
		mu.Lock()
		if want := map[int]int{1: 2, 2: 1}[version]; len(from) != want {
			t.Errorf("HTTP/%d: %d connections, want %d", version, len(from), want)
		}
		mu.Unlock()
	}
	// A certificate that nobody knows is an error, and nothing is sent.
	server, _ := certificate(t)
	s := newRawOver(t, answers(hello), func(l net.Listener) net.Listener { return tls.NewListener(l, server) }, "https://")
	tr := newTransport(t, Config{})
	tr.plain.Store(strings.TrimPrefix(s.url, "https://"), true)
	o := &events{}
	err := failure(tr.Exchange(newRequest(t, "GET", s.url, nil), o))
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); !ok || s.requests.Load() != 0 {
		t.Errorf("%v", err)
	}
	o.want(t, "asked")
}

// still is a connection of which only the closing is looked at.
type still struct {
	net.Conn
	times atomic.Int64
}

func (c *still) Close() error {
	c.times.Add(1)
	return nil
}

func (c *still) closed() int64 { return c.times.Load() }

// running reports whether the pool's timer runs.
func (p *pool) running() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.reaper != nil
}

func idleConn(p *pool) (*conn, *still) {
	s := &still{}
	return &conn{Conn: s, socket: &socket{}, pool: p, address: "up.test:80"}, s
}

// One timer closes what was idle for too long, and is gone when nothing is left.
func TestIdleConnections(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := &pool{perHost: 2, timeout: time.Minute}
		a, first := idleConn(p)
		b, second := idleConn(p)
		c, third := idleConn(p)
		p.put(a)
		time.Sleep(30 * time.Second)
		p.put(b)
		p.put(c) // There are two already.
		if first.closed()+second.closed() != 0 || third.closed() != 1 {
			t.Errorf("closed %d, %d, %d", first.closed(), second.closed(), third.closed())
		}
		time.Sleep(30*time.Second + 1)
		synctest.Wait()
		if first.closed() != 1 || second.closed() != 0 {
			t.Errorf("after a minute: closed %d, %d", first.closed(), second.closed())
		}
		time.Sleep(30 * time.Second)
		synctest.Wait()
		if second.closed() != 1 || p.running() {
			t.Errorf("after another: closed %d, timer %v", second.closed(), p.running())
		}
		// What is given back after the end is closed, until something is asked for again.
		d, fourth := idleConn(p)
		p.put(d)
		p.closeIdle()
		if fourth.closed() != 1 || p.running() {
			t.Errorf("closeIdle closed %d", fourth.closed())
		}
		e, fifth := idleConn(p)
		p.put(e)
		if fifth.closed() != 1 {
			t.Error("a retired pool keeps a connection")
		}
		if p.pop("up.test:80") != nil {
			t.Error("a closed connection is handed out")
		}
		f, sixth := idleConn(p)
		p.put(f)
		if p.pop("up.test:80") != f || sixth.closed() != 0 {
			t.Error("a connection is not kept after a new request")
		}
		// One that cannot be asked whether it lives is not kept.
		g, seventh := idleConn(p)
		g.socket = nil
		p.put(g)
		if seventh.closed() != 1 {
			t.Error("a connection that cannot be asked is kept")
		}
	})
}

// Many at once: every answer belongs to its request.
func TestAnswersAreNotMixedUp(t *testing.T) {
	t.Parallel()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if strings.HasSuffix(r.URL.Path, "7") {
			w.Header().Set("Connection", "close")
		}
		if strings.HasSuffix(r.URL.Path, "3") {
			_, _ = io.WriteString(w, r.URL.Path)
			_ = http.NewResponseController(w).Flush()
			_, _ = w.Write(body)
			return
		}
		_, _ = io.WriteString(w, r.URL.Path+string(body))
	}))
	t.Cleanup(s.Close)
	other := &http.Transport{}
	t.Cleanup(other.CloseIdleConnections)
	tr := New(Deps{Dial: (&net.Dialer{}).DialContext, Other: other}, Config{MaxIdleConnsPerHost: 3, BodyWait: time.Minute})
	t.Cleanup(tr.CloseIdleConnections)
	var wg sync.WaitGroup
	for n := range 8 {
		wg.Go(func() {
			for i := range 100 {
				path, body := "/"+strings.Repeat("a", n)+string(rune('0'+i%10)), strings.Repeat("b", i)
				ctx, cancel := context.WithCancel(t.Context())
				r, _ := http.NewRequestWithContext(ctx, http.MethodPost, s.URL+path, strings.NewReader(body))
				if i%9 == 0 {
					go cancel() // Some end in the middle.
				}
				got := exchange(tr, r)
				if got.err == nil && got.body != path+body || got.err != nil && ctx.Err() == nil {
					t.Errorf("%q for %q", got.body, path+body)
				}
				cancel()
			}
		})
	}
	wg.Wait()
}
