package runtime_test

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/url"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"switchgear/internal/runtime"
	"switchgear/internal/runtime/breaker"
	"switchgear/internal/telemetry"
)

// played is a transport without sockets that tells the hooks of a trace what a real one would. Each send gets
// the next answer, and the last for all that follow.
type played struct {
	answers []playedAnswer

	mu      sync.Mutex
	sends   int
	cancels int
}

type playedAnswer struct {
	after  time.Duration
	status int
	header http.Header
}

func (p *played) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := context.Cause(r.Context()); err != nil {
		return nil, err
	}
	if trace := httptrace.ContextClientTrace(r.Context()); trace != nil {
		trace.GetConn("up.test:80")
		trace.GotConn(httptrace.GotConnInfo{Reused: true})
		trace.WroteHeaders()
		trace.WroteRequest(httptrace.WroteRequestInfo{})
	}
	p.mu.Lock()
	a := p.answers[min(p.sends, len(p.answers)-1)]
	p.sends++
	n := p.sends
	p.mu.Unlock()
	select {
	case <-time.After(a.after):
	case <-r.Context().Done():
		p.mu.Lock()
		p.cancels++
		p.mu.Unlock()
		return nil, context.Cause(r.Context())
	}
	header := a.header.Clone()
	if header == nil {
		header = http.Header{}
	}
	body := []byte{byte('0' + n)}
	return &http.Response{StatusCode: a.status, Header: header, ContentLength: 1, Body: io.NopCloser(bytes.NewReader(body))}, nil
}

func (p *played) seen() (sends, cancels int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.sends, p.cancels
}

// stage is a proxy before a transport that is played, for tests of time.
type stage struct {
	proxy       *runtime.Proxy
	protections *runtime.Protections
	records     *records
	target      runtime.Target
}

func newStage(t *testing.T, transport http.RoundTripper, options ...option) *stage {
	t.Helper()
	s := &stage{protections: idleProtections(t), records: newRecords(), target: runtime.Target{
		ConnectionID: "con_1", Slug: "up", Account: "default", Version: 1, BaseURL: &url.URL{Scheme: "http", Host: "up.test"},
		Policy: runtime.DefaultPolicy(), Transport: transport,
	}}
	for _, o := range options {
		o(&s.target)
	}
	s.proxy = runtime.NewProxy(runtime.ProxyDeps{Logger: telemetry.Discard(), Now: time.Now, Recorder: s.records, Protections: s.protections}, runtime.ProxyConfig{})
	return s
}

// call makes a request and returns the answer with its record.
func (s *stage) call(t *testing.T, method string, body io.Reader) (*httptest.ResponseRecorder, runtime.Record) {
	t.Helper()
	w := httptest.NewRecorder()
	r := httptest.NewRequestWithContext(t.Context(), method, "/things", body)
	_ = s.proxy.Serve(w, r, s.target, "things") // An error is in the record.
	return w, s.records.next(t)
}

// What a policy sets to zero is zero, for every field that may be: none of these waits, nor are the values of the
// product put in their place.
func TestZeroInAPolicyIsZero(t *testing.T) {
	t.Parallel()
	failing := playedAnswer{0, http.StatusServiceUnavailable, nil}
	for name, c := range map[string]struct {
		policy string
		check  func(t *testing.T, s *stage)
	}{
		"retry.base_delay": {`{"retry":{"base_delay":"0s"}}`, func(t *testing.T, s *stage) {
			t.Helper()
			if _, rec := s.call(t, http.MethodGet, nil); rec.Attempts != 3 || rec.Duration != 0 {
				t.Errorf("%d attempts in %v", rec.Attempts, rec.Duration)
			}
		}},
		"retry.base_delay and max_delay": {`{"retry":{"base_delay":"0s","max_delay":"0s"}}`, func(t *testing.T, s *stage) {
			t.Helper()
			if _, rec := s.call(t, http.MethodGet, nil); rec.Attempts != 3 || rec.Duration != 0 {
				t.Errorf("%d attempts in %v", rec.Attempts, rec.Duration)
			}
		}},
		"rate_limit_wait": {`{"retry":{"max_attempts":1},"rate_limit_wait":"0s","rate_limits":[{"requests":1,"per":"1s"}]}`, func(t *testing.T, s *stage) {
			t.Helper()
			s.call(t, http.MethodGet, nil)
			if _, rec := s.call(t, http.MethodGet, nil); rec.ErrorCode != "CONNECTION_RATE_LIMITED" || rec.Duration != 0 {
				t.Errorf("%s after %v", rec.ErrorCode, rec.Duration)
			}
		}},
		"breaker.consecutive_failures and ramp": {`{"retry":{"max_attempts":1},"breaker":{"consecutive_failures":0,"ramp":"0s"}}`, func(t *testing.T, s *stage) {
			t.Helper()
			for range 10 {
				s.call(t, http.MethodGet, nil)
			}
			if b, ok := s.protections.Breakers().Snapshot(breaker.Key{Connection: "con_1"}); !ok || b.State != breaker.StateClosed || b.Config.RampFor != 0 {
				t.Errorf("%s, a ramp of %v", b.State, b.Config.RampFor)
			}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				c.check(t, newStage(t, &played{answers: []playedAnswer{failing}}, written(t, c.policy)))
			})
		})
	}
}

// An attempt that would begin when no time is left is none: the upstream sees nothing of it.
func TestNoAttemptWithoutTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		up := &played{answers: []playedAnswer{{0, http.StatusServiceUnavailable, nil}}}
		s := newStage(t, up, retries(2), policy(func(p *runtime.Policy) {
			p.Timeout, p.RateLimitWait = runtime.Duration(100*time.Millisecond), runtime.Duration(time.Second)
			p.RateLimits = []runtime.RateLimit{{Requests: 1, Per: runtime.Duration(100 * time.Millisecond)}}
		}))
		w, rec := s.call(t, http.MethodGet, nil)
		if sends, _ := up.seen(); sends != 1 || rec.Attempts != 1 || w.Header().Get("Switchgear-Attempts") != "1" || rec.Status != http.StatusGatewayTimeout || rec.Outcome != runtime.OutcomeTimeout {
			t.Errorf("%d sends, %d attempts recorded, %s told, status %d", sends, rec.Attempts, w.Header().Get("Switchgear-Attempts"), rec.Status)
		}
	})
}
