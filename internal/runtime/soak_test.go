package runtime_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"switchgear/internal/runtime"
	"switchgear/internal/runtime/egress"
)

// unsteady fails every other request, each time in another way, and answers the others with the hash of
// their body. A request for /together is answered once so many of them are under way.
func unsteady(together int) http.HandlerFunc {
	var sends atomic.Int64
	var waiting sync.WaitGroup
	waiting.Add(together)
	return func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/together" {
			waiting.Done()
			waiting.Wait()
			return
		}
		switch sends.Add(1) % 14 {
		case 1: // without a look at the body
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		case 3:
			_, _ = io.Copy(io.Discard, r.Body)
			w.WriteHeader(http.StatusInternalServerError)
			return
		case 5:
			panic(http.ErrAbortHandler)
		case 7: // no answer
			_, _ = io.Copy(io.Discard, r.Body) // Without that, the server does not notice that we are gone.
			<-r.Context().Done()
			return
		case 9: // a short one
			w.Header().Set("Content-Length", "100")
			_, _ = io.WriteString(w, "short")
			return
		case 11: // one without an end
			w.WriteHeader(http.StatusBadGateway)
			_, _ = io.WriteString(w, "begun")
			_ = http.NewResponseController(w).Flush()
			_, _ = io.Copy(io.Discard, r.Body)
			<-r.Context().Done()
			return
		}
		sum := sha256.New()
		if _, err := io.Copy(sum, r.Body); err != nil {
			panic(http.ErrAbortHandler)
		}
		_, _ = io.WriteString(w, hex.EncodeToString(sum.Sum(nil)))
	}
}

// Bodies of all kinds, repetitions, callers that vanish: what arrives is whole, and afterwards every place
// is free again. That no handler hangs is seen when the servers are closed.
func TestNothingIsLeftBehind(t *testing.T) {
	t.Parallel()
	const calls, places = 400, 16
	for name, start := range map[string]func(http.HandlerFunc) (string, egress.TransportConfig){
		"HTTP/1.1": func(h http.HandlerFunc) (string, egress.TransportConfig) {
			return newUpstream(t, h).URL, egress.TransportConfig{}
		},
		"HTTP/2": func(h http.HandlerFunc) (string, egress.TransportConfig) {
			s, cfg := newUpstream2(t, h)
			return s.URL, cfg
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			upstream, cfg := start(unsteady(places))
			g := newGateway(t, upstream, cfg, retries(4), timeout(5*time.Second), policy(func(p *runtime.Policy) {
				p.Retry.IdempotencyKey, p.AttemptTimeout, p.Breaker.Enabled = "Idempotency-Key", runtime.Duration(250*time.Millisecond), false
				p.Bulkhead = runtime.Bulkhead{MaxInFlight: places, MaxWait: runtime.Duration(5 * time.Second)}
			}))
			var whole atomic.Int64
			var callers sync.WaitGroup
			var next atomic.Int64
			for range places {
				callers.Go(func() {
					for i := int(next.Add(1)); i <= calls; i = int(next.Add(1)) {
						body := bytes.Repeat([]byte{byte(i)}, []int{0, 1, 100, 70_000, 300_000}[i%5])
						got, complete := callOnce(t, g, i, body)
						if sum := sha256.Sum256(body); complete && got != hex.EncodeToString(sum[:]) {
							t.Errorf("call %d of %d bytes: the upstream saw another body", i, len(body))
						} else if complete {
							whole.Add(1)
						}
					}
				})
			}
			callers.Wait()
			if whole.Load() == 0 {
				t.Error("no call came through")
			}
			calm := g.target.Policy
			calm.Timeout, calm.AttemptTimeout, calm.Retry.MaxAttempts = runtime.Duration(time.Minute), 0, 1
			calm.Bulkhead.MaxWait = calm.Timeout
			g.target.Policy, g.target.Version = calm, g.target.Version+1
			for range places {
				callers.Go(func() {
					if resp, err := g.caller.RoundTrip(newRequest(t, http.MethodPost, g.URL+"/together", nil)); err != nil || resp.StatusCode != http.StatusOK {
						t.Errorf("not every place is free: %+v, %v", resp, err)
					} else {
						_ = resp.Body.Close()
					}
				})
			}
			callers.Wait()
		})
	}
}

// callOnce makes a call, whose kind depends on its number. complete says that there was a whole answer of
// the upstream that went well.
func callOnce(t *testing.T, g *gateway, number int, body []byte) (got string, complete bool) {
	t.Helper()
	ctx := t.Context()
	if number%7 == 0 { // It vanishes, sooner or later.
		limited, cancel := context.WithTimeout(ctx, time.Duration(number%30)*time.Millisecond)
		defer cancel()
		ctx = limited
	}
	var from io.Reader = bytes.NewReader(body)
	if number%3 == 0 {
		from = io.MultiReader(from) // of unknown length
	}
	req := newRequest(t, []string{"GET", "POST", "PUT"}[number%3], g.URL+"/", from).WithContext(ctx)
	if number%4 == 0 && len(body) > 0 {
		req.Header.Set("Expect", "100-continue")
	}
	if number%3 == 0 {
		req.Trailer = http.Header{"X-Sum": {"9"}}
	}
	resp, err := g.caller.RoundTrip(req)
	if err != nil {
		return "", false
	}
	defer func() { _ = resp.Body.Close() }()
	var text strings.Builder
	_, err = io.Copy(&text, resp.Body)
	return text.String(), err == nil && resp.StatusCode == http.StatusOK
}
