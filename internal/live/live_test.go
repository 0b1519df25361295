package live_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"switchgear/internal/fault"
	"switchgear/internal/live"
	"switchgear/internal/telemetry"
)

// page is a browser's stream inside a synctest bubble: an HTTP exchange over an in-memory connection,
// so that time is simulated and every goroutine has to end before the test does.
type page struct {
	status int
	body   string // of an error
	events chan string
	leave  context.CancelFunc
}

// server runs a hub behind a real HTTP server on an in-memory listener.
type server struct {
	hub    *live.Hub
	http   *http.Server
	client *http.Client
}

func newServer(t *testing.T, cfg live.Config, access live.Access) *server {
	t.Helper()
	hub := live.New(live.Deps{Logger: telemetry.Discard(), Now: time.Now}, cfg)
	handler := hub.Handler(access)
	listener := &pipeListener{conns: make(chan net.Conn), done: make(chan struct{})}
	s := &server{
		hub: hub,
		http: &http.Server{
			// Far shorter than a stream lives: the handler has to lift it.
			WriteTimeout: time.Second,
			Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if err := handler(w, r); err != nil {
					fault.WriteJSON(w, r, err, "req_test")
				}
			}),
		},
		client: &http.Client{Transport: &http.Transport{DialContext: listener.dial, DisableKeepAlives: true}},
	}
	s.http.RegisterOnShutdown(hub.Close)
	served := make(chan error)
	go func() { served <- s.http.Serve(listener) }()
	t.Cleanup(func() {
		if err := s.http.Shutdown(context.Background()); err != nil {
			t.Errorf("shutdown: %v", err)
		}
		if err := <-served; !errors.Is(err, http.ErrServerClosed) {
			t.Errorf("serve: %v", err)
		}
		if n := hub.Streams(); n != 0 {
			t.Errorf("%d streams stay registered", n)
		}
	})
	return s
}

func (s *server) open(t *testing.T, topics string, header ...string) *page {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://console/live?topics="+topics, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	res, err := s.client.Do(r) //nolint:bodyclose // Closed below when refused, and by the reader of a stream.
	if err != nil {
		t.Fatal(err)
	}
	p := &page{status: res.StatusCode, events: make(chan string, 100), leave: cancel}
	if res.StatusCode != http.StatusOK {
		body, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		p.body = string(body)
		cancel()
		_ = res.Body.Close()
		return p
	}
	for name, want := range map[string]string{"Content-Type": "text/event-stream; charset=utf-8", "Cache-Control": "no-store", "X-Accel-Buffering": "no"} {
		if got := res.Header.Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	go func() {
		defer close(p.events)
		defer func() { _ = res.Body.Close() }()
		lines := bufio.NewScanner(res.Body)
		var block []string
		for lines.Scan() {
			if lines.Text() != "" {
				block = append(block, lines.Text())
				continue
			}
			p.events <- strings.Join(block, "|")
			block = nil
		}
	}()
	synctest.Wait()
	if first := <-p.events; !strings.HasPrefix(first, "retry: 2000|id: ") || !strings.HasSuffix(first, "|event: connected|data: ") {
		t.Errorf("first block %q", first)
	}
	return p
}

// heard returns what has arrived by now; "end" stands for the end of the stream.
func (p *page) heard() []string {
	synctest.Wait()
	var got []string
	for {
		select {
		case e, ok := <-p.events:
			if !ok {
				return append(got, "end")
			}
			got = append(got, strings.TrimSuffix(strings.TrimPrefix(e, "event: "), "|data: "))
		default:
			return got
		}
	}
}

func (p *page) expect(t *testing.T, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, p.heard()); diff != "" {
		t.Errorf("heard (-want +got):\n%s", diff)
	}
}

func everything() live.Access {
	return live.Access{
		User: func(r *http.Request) string {
			if u := r.Header.Get("X-User"); u != "" {
				return u
			}
			return "usr_1"
		},
		Allowed:      func(_ *http.Request, topic string) bool { return topic != "forbidden" },
		StillAllowed: func(context.Context) bool { return true },
	}
}

func TestStreamHearsItsTopics(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t, live.Config{}, everything())
		p := s.open(t, "users,sessions,users")
		other := s.open(t, "keys")

		s.hub.Publish("users")
		p.expect(t, "users")
		s.hub.Publish("keys", "sessions")
		p.expect(t, "sessions")
		other.expect(t, "keys")
		s.hub.Publish()
		s.hub.Publish("nobody-listens")
		p.expect(t)

		p.leave()
		p.expect(t, "end")
		if n := s.hub.Streams(); n != 1 {
			t.Errorf("%d streams after one page left", n)
		}
		other.leave()
	})
}

func TestHeartbeatAndMaximumLife(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t, live.Config{}, everything())
		p := s.open(t, "users")
		time.Sleep(19 * time.Second)
		p.expect(t)
		time.Sleep(time.Second)
		p.expect(t, ": heartbeat")

		time.Sleep(30*time.Minute - 21*time.Second)
		if got := p.heard(); len(got) != 88 || got[len(got)-1] != ": heartbeat" {
			t.Errorf("heard %d, last %q", len(got), got[len(got)-1])
		}
		time.Sleep(time.Second)
		if got := p.heard(); len(got) == 0 || got[len(got)-1] != "end" {
			t.Errorf("heard %q after half an hour, want the end", got)
		}
	})
}

func TestReconnectHearsEveryTopic(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t, live.Config{}, everything())
		p := s.open(t, "users,sessions", "Last-Event-ID", "1")
		p.expect(t, "users", "sessions")
		p.leave()
	})
}

// What changes between the making of a page and the beginning of its stream is not missed.
func TestStreamHearsWhatItsPageMissed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t, live.Config{}, everything())
		s.hub.Publish("users")
		made := s.hub.Moment()
		quiet := s.open(t, fmt.Sprintf("users,sessions&since=%d", made))
		quiet.expect(t)
		s.hub.Publish("sessions", "keys")
		missed := s.open(t, fmt.Sprintf("users,sessions&since=%d", made))
		missed.expect(t, "sessions")
		// A page of another process: its moments say nothing here.
		other := s.open(t, "users,sessions&since=99")
		other.expect(t, "users", "sessions")
		// So many topics that some were forgotten: everything may have changed.
		for i := range 5000 {
			s.hub.Publish(fmt.Sprintf("thing-%d", i))
		}
		forgotten := s.open(t, fmt.Sprintf("users,sessions&since=%d", made))
		forgotten.expect(t, "users", "sessions")
		for _, p := range []*page{quiet, missed, other, forgotten} {
			p.leave()
		}
	})
}

func TestRevokedSessionEndsTheStream(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var revoked atomic.Bool
		access := everything()
		access.StillAllowed = func(context.Context) bool { return !revoked.Load() }
		s := newServer(t, live.Config{}, access)
		p := s.open(t, "users")
		time.Sleep(25 * time.Second)
		p.expect(t, ": heartbeat")
		revoked.Store(true)
		time.Sleep(20 * time.Second)
		p.expect(t, live.EventEnded, "end")
	})
}

func TestCloseEndsStreamsAndRefusesNewOnes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t, live.Config{}, everything())
		p, q := s.open(t, "users"), s.open(t, "keys")
		s.hub.Close()
		s.hub.Close()
		p.expect(t, "end")
		q.expect(t, "end")
		s.hub.Publish("users")
		if late := s.open(t, "users"); late.status != http.StatusServiceUnavailable || !strings.Contains(late.body, "SHUTTING_DOWN") {
			t.Errorf("after Close: %d %s", late.status, late.body)
		}
	})
}

func TestLimitPerUser(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t, live.Config{PerUser: 2}, everything())
		first, second := s.open(t, "users"), s.open(t, "users")
		if third := s.open(t, "users"); third.status != http.StatusTooManyRequests || !strings.Contains(third.body, "TOO_MANY_STREAMS") {
			t.Errorf("third stream: %d %s", third.status, third.body)
		}
		someone := s.open(t, "users", "X-User", "usr_2")
		first.leave()
		synctest.Wait()
		again := s.open(t, "users")
		if again.status != http.StatusOK {
			t.Errorf("a place that became free is refused: %d", again.status)
		}
		for _, p := range []*page{second, someone, again} {
			p.leave()
		}
	})
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		access := everything()
		access.User = func(r *http.Request) string { return r.Header.Get("X-User") }
		s := newServer(t, live.Config{MaxTopics: 2}, access)
		for name, c := range map[string]struct {
			topics, user string
			status       int
			code         string
		}{
			"nobody signed in": {"users", "", http.StatusUnauthorized, "UNAUTHENTICATED"},
			"no topics":        {"", "usr_1", http.StatusBadRequest, "MISSING_TOPICS"},
			"only commas":      {",,", "usr_1", http.StatusBadRequest, "MISSING_TOPICS"},
			"forbidden":        {"users,forbidden", "usr_1", http.StatusBadRequest, "UNKNOWN_TOPIC"},
			"line break":       {"users%0Adata:x", "usr_1", http.StatusBadRequest, "UNKNOWN_TOPIC"},
			"reserved":         {"connected", "usr_1", http.StatusBadRequest, "UNKNOWN_TOPIC"},
			"too many":         {"a,b,c", "usr_1", http.StatusBadRequest, "TOO_MANY_TOPICS"},
		} {
			p := s.open(t, c.topics, "X-User", c.user)
			if p.status != c.status || !strings.Contains(p.body, `"`+c.code+`"`) {
				t.Errorf("%s: %d %s", name, p.status, p.body)
			}
		}
	})
}

func TestPublishNeverBlocksAndCoalesces(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		hub := live.New(live.Deps{Logger: telemetry.Discard(), Now: time.Now}, live.Config{})
		ctx, leave := context.WithCancel(t.Context())
		w := &stuckWriter{header: http.Header{}, read: make(chan string)}
		ended := make(chan error)
		go func() {
			ended <- hub.Handler(everything())(w, httptest.NewRequest(http.MethodGet, "/live?topics=users,keys,audit", nil).WithContext(ctx))
		}()
		<-w.read // connected

		hub.Publish("users")
		synctest.Wait() // the stream is now stuck in the write of "users"
		for range 1000 {
			hub.Publish("keys", "users")
			hub.Publish("elsewhere")
		}
		want := []string{"event: users\ndata: \n\n", "event: users\ndata: \n\nevent: keys\ndata: \n\n"}
		got := []string{<-w.read, <-w.read}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("a slow client hears (-want +got):\n%s", diff)
		}
		leave()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

// stuckWriter is a client that takes each write only when the test reads it.
type stuckWriter struct {
	header    http.Header
	read      chan string
	deadlines []time.Time
}

func (w *stuckWriter) Header() http.Header             { return w.header }
func (w *stuckWriter) WriteHeader(int)                 {}
func (w *stuckWriter) FlushError() error               { return nil }
func (w *stuckWriter) SetReadDeadline(time.Time) error { return nil }

func (w *stuckWriter) SetWriteDeadline(d time.Time) error {
	w.deadlines = append(w.deadlines, d)
	return nil
}

func (w *stuckWriter) Write(p []byte) (int, error) {
	var expired <-chan time.Time
	if d := w.deadlines[len(w.deadlines)-1]; !d.IsZero() {
		expired = time.After(time.Until(d))
	}
	select {
	case w.read <- string(p):
		return len(p), nil
	case <-expired:
		return 0, errors.New("write timed out")
	}
}

func TestDeadClientIsGivenUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		hub := live.New(live.Deps{Logger: telemetry.Discard(), Now: time.Now}, live.Config{})
		w := &stuckWriter{header: http.Header{}, read: make(chan string)}
		started := time.Now()
		ended := make(chan error)
		go func() {
			ended <- hub.Handler(everything())(w, httptest.NewRequest(http.MethodGet, "/live?topics=users", nil))
		}()
		<-w.read
		hub.Publish("users")
		if err := <-ended; err != nil {
			t.Errorf("an error after the first byte: %v", err)
		}
		if took := time.Since(started); took != 10*time.Second {
			t.Errorf("given up after %s, want the write timeout", took)
		}
		if hub.Streams() != 0 {
			t.Error("the dead stream stays registered")
		}
		// lifted at the start; set and lifted around the first write; set for the second
		for i, zero := range []bool{true, false, true, false} {
			if w.deadlines[i].IsZero() != zero {
				t.Errorf("deadline %d is %v", i, w.deadlines[i])
			}
		}
	})
}

func TestHiddenDeadlineIsAnError(t *testing.T) {
	t.Parallel()
	hub := live.New(live.Deps{Logger: telemetry.Discard(), Now: time.Now}, live.Config{})
	rec := httptest.NewRecorder() // it supports no deadlines, as a careless middleware does not
	err := hub.Handler(everything())(rec, httptest.NewRequest(http.MethodGet, "/live?topics=users", nil))
	if err == nil || fault.KindOf(err) != fault.Internal || rec.Body.Len() > 0 {
		t.Errorf("error %v, body %q", err, rec.Body)
	}
}

// pipeListener hands in-memory connections to a server.
type pipeListener struct {
	conns chan net.Conn
	done  chan struct{}
}

func (l *pipeListener) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	client, server := net.Pipe()
	select {
	case l.conns <- server:
		return client, nil
	case <-l.done:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Close() error {
	select {
	case <-l.done:
	default:
		close(l.done)
	}
	return nil
}

func (l *pipeListener) Addr() net.Addr { return &net.UnixAddr{Name: "memory", Net: "pipe"} }
