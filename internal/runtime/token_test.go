package runtime_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"switchgear/internal/runtime"
)

// issuer is a token endpoint that takes its time. Who leaves does not end what it is at.
type issuer struct {
	after time.Duration
	asked atomic.Int32
	ready atomic.Bool
	done  chan struct{}
}

func newIssuer(after time.Duration) *issuer { return &issuer{after: after, done: make(chan struct{})} }

func (i *issuer) obtain(ctx context.Context) error {
	if i.asked.Add(1) == 1 {
		time.AfterFunc(i.after, func() {
			i.ready.Store(true)
			close(i.done)
		})
	}
	select {
	case <-i.done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (i *issuer) renews() option {
	return func(t *runtime.Target) {
		t.Ready, t.Obtain = i.ready.Load, i.obtain
		t.Authorize = func(_ context.Context, r *http.Request) error {
			if !i.ready.Load() {
				return errors.New("there is no token")
			}
			r.Header.Set("Authorization", "Bearer t")
			return nil
		}
	}
}

// The time of a call includes that for its token. Nothing is sent then, nothing is held against anybody, and
// the token is there for the next call.
func TestTokenIsWaitedForWithinTheCall(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		up, slow := &played{answers: []playedAnswer{{0, http.StatusOK, nil}}}, newIssuer(5*time.Second)
		s := newStage(t, up, timeout(time.Second), slow.renews(), policy(func(p *runtime.Policy) {
			p.RateLimits = []runtime.RateLimit{{Requests: 1, Per: runtime.Duration(time.Hour)}}
			p.Breaker.ConsecutiveFailures = 1
		}))
		_, rec := s.call(t, http.MethodGet, nil)
		if sends, _ := up.seen(); sends != 0 || rec.Status != http.StatusGatewayTimeout || rec.ErrorCode != runtime.CodeCredentialTimeout ||
			rec.Outcome != runtime.OutcomeRejectedLocal || rec.Attempts != 0 || rec.Duration != time.Second {
			t.Errorf("%d sends, %d attempts, %d %s %s after %v", sends, rec.Attempts, rec.Status, rec.ErrorCode, rec.Outcome, rec.Duration)
		}
		if len(rec.Steps) != 1 || rec.Steps[0].Name != "token" || rec.Steps[0].Took != time.Second {
			t.Errorf("timeline %+v", rec.Steps)
		}
		time.Sleep(5 * time.Second)
		if _, rec = s.call(t, http.MethodGet, nil); rec.Status != http.StatusOK || slow.asked.Load() != 1 {
			t.Errorf("afterwards %d %s, asked %d times", rec.Status, rec.ErrorCode, slow.asked.Load())
		}
	})
}

// Who waits for a token has no place in the bulkhead: other accounts of the connection are called meanwhile.
func TestTokenIsWaitedForWithoutAPlace(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		up, slow := &played{answers: []playedAnswer{{0, http.StatusOK, nil}}}, newIssuer(5*time.Second)
		s := newStage(t, up, timeout(time.Minute), slow.renews(), policy(func(p *runtime.Policy) { p.Bulkhead.MaxInFlight = 1 }))
		other := s.target
		other.Account, other.Ready, other.Obtain, other.Authorize = "other", nil, nil, nil
		waiting := make(chan runtime.Record)
		go func() {
			_, rec := s.call(t, http.MethodGet, nil)
			waiting <- rec
		}()
		synctest.Wait()
		w := httptest.NewRecorder()
		_ = s.proxy.Serve(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/things", nil), other, "things") // An error shows in the answer.
		if w.Code != http.StatusOK {
			t.Errorf("another account was answered %d: %s", w.Code, w.Header().Get(runtime.ErrorHeader))
		}
		if rec := <-waiting; rec.Status != http.StatusOK || rec.Duration != 5*time.Second {
			t.Errorf("%d %s after %v", rec.Status, rec.ErrorCode, rec.Duration)
		}
	})
}

// A call that a breaker refuses is refused at once, whatever its token needs.
func TestRefusedCallNeedsNoToken(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		up, slow := &played{answers: []playedAnswer{{0, http.StatusServiceUnavailable, nil}}}, newIssuer(0)
		s := newStage(t, up, slow.renews(), policy(func(p *runtime.Policy) { p.Breaker.ConsecutiveFailures, p.Retry.MaxAttempts = 1, 1 }))
		s.call(t, http.MethodGet, nil)
		slow.ready.Store(false)
		if _, rec := s.call(t, http.MethodGet, nil); rec.ErrorCode != "BREAKER_OPEN" || slow.asked.Load() != 1 {
			t.Errorf("%s, asked for a token %d times", rec.ErrorCode, slow.asked.Load())
		}
	})
}

// After a 401 the time of the call bounds the renewal too, and what the caller gets is whole.
func TestRenewalAfterARefusalIsBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		up := &played{answers: []playedAnswer{{0, http.StatusUnauthorized, nil}}}
		s := newStage(t, up, timeout(time.Second), retries(2), func(target *runtime.Target) {
			target.Refresh = func(ctx context.Context) (func(context.Context, *http.Request) error, error) {
				<-ctx.Done()
				return nil, ctx.Err()
			}
		})
		w, rec := s.call(t, http.MethodGet, nil)
		if sends, _ := up.seen(); sends != 1 || rec.Status != http.StatusGatewayTimeout || rec.ErrorCode != runtime.CodeCredentialTimeout ||
			rec.Outcome != runtime.OutcomeUnauthenticated || rec.Duration != time.Second || w.Body.Len() != 0 {
			t.Errorf("%d sends, %d %s %s after %v, %q", sends, rec.Status, rec.ErrorCode, rec.Outcome, rec.Duration, w.Body)
		}
	})
}

// A token that cannot be had is told in its own words, and costs nothing of the limits.
func TestTokenThatCannotBeHad(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		up := &played{answers: []playedAnswer{{0, http.StatusOK, nil}}}
		var asked atomic.Int32
		s := newStage(t, up, policy(func(p *runtime.Policy) {
			p.RateLimits = []runtime.RateLimit{{Requests: 1, Per: runtime.Duration(time.Hour)}}
		}), func(target *runtime.Target) {
			target.Ready = func() bool { return asked.Load() > 1 }
			target.Obtain = func(context.Context) error {
				if asked.Add(1) == 1 {
					return errors.New("secret-detail")
				}
				return nil
			}
		})
		_, rec := s.call(t, http.MethodPost, io.NopCloser(strings.NewReader("x")))
		if rec.ErrorCode != runtime.CodeCredential || rec.Outcome != runtime.OutcomeRejectedLocal || strings.Contains(rec.ErrorText, "secret-detail") {
			t.Errorf("%s %s: %s", rec.ErrorCode, rec.Outcome, rec.ErrorText)
		}
		for _, step := range rec.Steps {
			if strings.Contains(step.Note, "secret-detail") {
				t.Errorf("timeline: %+v", step)
			}
		}
		if _, rec := s.call(t, http.MethodGet, nil); rec.Status != http.StatusOK {
			t.Errorf("afterwards %d %s", rec.Status, rec.ErrorCode)
		}
	})
}
