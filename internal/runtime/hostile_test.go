package runtime_test

import (
	"context"
	"io"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"switchgear/internal/runtime"
	"switchgear/internal/runtime/egress"
)

// A failed answer whose body never ends is given up for the next attempt.
func TestRepeatDoesNotWaitForTheFailedAnswer(t *testing.T) {
	t.Parallel()
	var sends atomic.Int64
	serve := func(w http.ResponseWriter, r *http.Request) {
		if sends.Add(1) == 1 {
			w.WriteHeader(http.StatusServiceUnavailable)
			_, _ = io.WriteString(w, "par")
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
			return
		}
		_, _ = io.WriteString(w, "whole")
	}
	upstream := newUpstream(t, serve)
	g := newGateway(t, upstream.URL, egress.TransportConfig{}, retries(3), timeout(time.Minute))
	resp, body := send(t, g, newRequest(t, http.MethodGet, g.URL+"/", nil))
	if rec := g.records.next(t); resp.StatusCode != 200 || string(body) != "whole" || rec.Duration > 10*time.Second {
		t.Errorf("%d %s after %s", resp.StatusCode, body, rec.Duration)
	}
}

// A panic gives back what the protections had granted.
func TestPanicGivesBackItsPlace(t *testing.T) {
	t.Parallel()
	upstream := newUpstream(t, func(http.ResponseWriter, *http.Request) {})
	var calls atomic.Int64
	g := newGateway(t, upstream.URL, egress.TransportConfig{}, policy(func(p *runtime.Policy) { p.Bulkhead.MaxInFlight = 1 }),
		authorize(func(context.Context, *http.Request) error {
			if calls.Add(1) == 1 {
				panic(http.ErrAbortHandler)
			}
			return nil
		}))
	if resp, err := g.caller.RoundTrip(newRequest(t, http.MethodGet, g.URL+"/", nil)); err == nil {
		_ = resp.Body.Close()
		t.Fatalf("answered %d", resp.StatusCode)
	}
	g.records.next(t)
	if resp, body := send(t, g, newRequest(t, http.MethodGet, g.URL+"/", nil)); resp.StatusCode != 200 {
		t.Errorf("after a panic: %d %s", resp.StatusCode, body)
	}
}
