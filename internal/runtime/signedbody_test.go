package runtime_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"switchgear/internal/fault"
	"switchgear/internal/runtime"
	"switchgear/internal/runtime/egress"
	"switchgear/internal/telemetry"
)

// signs makes the credential of a target sign bodies, by their hash.
func signs(t *runtime.Target) {
	t.SignsBody = func(contentType string) bool { return contentType != "text/plain" }
	t.Authorize = func(_ context.Context, r *http.Request) error {
		if r.GetBody == nil {
			r.Header.Set("X-Signature", "none")
			return nil
		}
		body, err := r.GetBody()
		if err != nil {
			return err
		}
		h := sha256.New()
		if _, err := io.Copy(h, body); err != nil {
			return err
		}
		r.Header.Set("X-Signature", hex.EncodeToString(h.Sum(nil)))
		return nil
	}
}

// checked answers 200 when the signature is that of the body, and says how long the body was announced to be.
func checked(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	sum := sha256.Sum256(body)
	if err != nil || r.Header.Get("X-Signature") != hex.EncodeToString(sum[:]) {
		http.Error(w, "the signature is not that of the body", http.StatusForbidden)
		return
	}
	w.Header().Set("X-Announced", http.StatusText(http.StatusOK))
	if r.ContentLength != int64(len(body)) {
		w.Header().Set("X-Announced", "chunked")
	}
}

// What the upstream gets is what was signed, whether the caller told its length or not, and the upstream is
// told the length.
func TestSignedBody(t *testing.T) {
	t.Parallel()
	both(t, checked, func(t *testing.T, g *gateway, _ int) {
		t.Helper()
		for name, body := range map[string]io.Reader{
			"of a known length": strings.NewReader("a body"), "of an unknown length": io.MultiReader(strings.NewReader("in "), strings.NewReader("parts")),
			"long": bytes.NewReader(make([]byte, 5<<20)),
		} {
			resp, answer := send(t, g, newRequest(t, http.MethodPost, g.URL+"/", body))
			if resp.StatusCode != http.StatusOK || resp.Header.Get("X-Announced") != "OK" {
				t.Errorf("%s: %d %s %q", name, resp.StatusCode, answer, resp.Header)
			}
			if rec := g.records.next(t); rec.Outcome != runtime.OutcomeSuccess || rec.RequestBytes == 0 {
				t.Errorf("%s: %+v", name, rec)
			}
		}
		resp, _ := send(t, g, newRequest(t, http.MethodPost, g.URL+"/", http.NoBody))
		if resp.StatusCode != http.StatusForbidden { // There is nothing to sign, and GetBody says so.
			t.Errorf("without a body: %d", resp.StatusCode)
		}
		g.records.next(t)
	}, signs)
}

// A body that takes no part in the signature streams as ever: the upstream answers before its end.
func TestUnsignedBodyStreams(t *testing.T) {
	t.Parallel()
	both(t, func(w http.ResponseWriter, r *http.Request) {
		_ = http.NewResponseController(w).EnableFullDuplex() // Over HTTP/2 it is so anyway.
		_, _ = io.ReadFull(r.Body, make([]byte, 5))
		w.Header().Set("X-Signature", r.Header.Get("X-Signature"))
		w.WriteHeader(http.StatusAccepted)
		_ = http.NewResponseController(w).Flush()
		_, _ = io.Copy(io.Discard, r.Body)
	}, func(t *testing.T, g *gateway, _ int) {
		t.Helper()
		body, rest := io.Pipe()
		go func() { _, _ = rest.Write([]byte("begun")) }()
		req := newRequest(t, http.MethodPost, g.URL+"/", body)
		req.Header.Set("Content-Type", "text/plain")
		resp, err := g.caller.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		if resp.StatusCode != http.StatusAccepted || resp.Header.Get("X-Signature") != "none" {
			t.Errorf("%d, signed %q", resp.StatusCode, resp.Header.Get("X-Signature"))
		}
		_ = rest.Close()
		_ = resp.Body.Close()
		g.records.next(t)
	}, signs)
}

// Every attempt is signed and carries the whole body, and the transport never gets what it could repeat a
// request with on its own.
func TestSignedBodyIsSentAgain(t *testing.T) {
	t.Parallel()
	var sends atomic.Int64
	up := transportFunc(func(r *http.Request) (*http.Response, error) {
		if r.GetBody != nil {
			t.Error("the transport can repeat requests on its own")
		}
		w := httptest.NewRecorder()
		if sends.Add(1) == 1 {
			_, _ = io.CopyN(io.Discard, r.Body, 3)
			w.WriteHeader(http.StatusServiceUnavailable)
			return w.Result(), nil
		}
		checked(w, r)
		return w.Result(), nil
	})
	s := newStage(t, up, retries(2), signs)
	w, rec := s.call(t, http.MethodPut, strings.NewReader("a body"))
	if w.Code != http.StatusOK || rec.Attempts != 2 || len(rec.Retried) != 1 {
		t.Errorf("%d %s, record %+v", w.Code, w.Body, rec)
	}
}

type transportFunc func(r *http.Request) (*http.Response, error)

func (f transportFunc) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// A body that cannot be kept is refused before anything is sent, by its length at once.
func TestUnsignableBody(t *testing.T) {
	t.Parallel()
	up := newUpstream(t, func(http.ResponseWriter, *http.Request) { t.Error("something was sent") })
	g := newGateway(t, up.URL, egress.TransportConfig{}, signs)
	for name, body := range map[string]io.Reader{
		"of a known length":    bytes.NewReader(make([]byte, 8<<20+1)),
		"of an unknown length": io.MultiReader(bytes.NewReader(make([]byte, 8<<20)), strings.NewReader("1")),
	} {
		resp, answer := send(t, g, newRequest(t, http.MethodPost, g.URL+"/", body))
		if resp.StatusCode != http.StatusRequestEntityTooLarge || resp.Header.Get(runtime.ErrorHeader) != runtime.CodeBodyUnsignable ||
			!strings.Contains(string(answer), `"suggestion"`) {
			t.Errorf("%s: %d %s", name, resp.StatusCode, answer)
		}
		if rec := g.records.next(t); rec.Outcome != runtime.OutcomeRejectedLocal || rec.ErrorCode != runtime.CodeBodyUnsignable || rec.Attempts != 0 {
			t.Errorf("%s: %+v", name, rec)
		}
	}
}

// The time of a call passes while its body is on the way here, and nothing is sent then.
func TestSignedBodyTakesTooLong(t *testing.T) {
	t.Parallel()
	up := newUpstream(t, func(http.ResponseWriter, *http.Request) { t.Error("something was sent") })
	g := newGateway(t, up.URL, egress.TransportConfig{}, signs, timeout(inTime))
	body, rest := io.Pipe()
	go func() { _, _ = rest.Write([]byte("begun")) }()
	resp, _ := send(t, g, newRequest(t, http.MethodPost, g.URL+"/", body))
	_ = rest.Close()
	if resp.StatusCode != http.StatusGatewayTimeout || resp.Header.Get(runtime.ErrorHeader) != runtime.CodeCallerSlow {
		t.Errorf("%d %s", resp.StatusCode, resp.Header.Get(runtime.ErrorHeader))
	}
	if rec := g.records.next(t); rec.Outcome != runtime.OutcomeCanceled {
		t.Errorf("%+v", rec)
	}
}

// All bodies that wait for their signature share a bound; what is over it is told to come again.
func TestSignedBodiesHaveABound(t *testing.T) {
	t.Parallel()
	const most = 4 << 10
	inside, on := make(chan struct{}, 8), make(chan struct{})
	records := newRecords()
	proxy := runtime.NewProxy(runtime.ProxyDeps{
		Logger: telemetry.Discard(), Now: time.Now, Recorder: records, Protections: idleProtections(t),
	}, runtime.ProxyConfig{SignedBody: most})
	target := runtime.Target{
		ConnectionID: "con_1", Slug: "up", Account: "default", BaseURL: &url.URL{Scheme: "http", Host: "up.test"}, Policy: runtime.DefaultPolicy(),
		Transport: transportFunc(func(*http.Request) (*http.Response, error) { return httptest.NewRecorder().Result(), nil }),
		SignsBody: func(string) bool { return true },
		Authorize: func(context.Context, *http.Request) error {
			inside <- struct{}{}
			<-on
			return nil
		},
	}
	call := func() error {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/x", bytes.NewReader(make([]byte, most)))
		return proxy.Serve(httptest.NewRecorder(), r, target, "x")
	}
	ended := make(chan error, 8)
	for range 8 {
		go func() { ended <- call() }()
	}
	for range 8 {
		<-inside
	}
	if err := call(); fault.CodeOf(err) != runtime.CodeSigningFull || !fault.Is(err, fault.Unavailable) {
		t.Errorf("the ninth: %v", err)
	}
	close(on)
	for range 8 {
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
	if err := call(); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

// The connection that stands in signs the body by itself, also when the first one did not and has read a part.
func TestSignedBodyOfAnAlternate(t *testing.T) {
	t.Parallel()
	for name, first := range map[string]option{"the first one signs too": signs, "the first one does not": func(*runtime.Target) {}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPair(t, `{"retry":{"max_attempts":1},"fallback":{"connection":"other"},"operations":[{"id":"find","method":"POST","path":"/things","idempotent":true}]}`, `{}`, nil, nil)
			first(&p.target)
			p.target.Transport = transportFunc(func(r *http.Request) (*http.Response, error) {
				_, _ = io.CopyN(io.Discard, r.Body, 3)
				w := httptest.NewRecorder()
				w.WriteHeader(http.StatusServiceUnavailable)
				return w.Result(), nil
			})
			signs(&p.alternate)
			p.alternate.Transport = transportFunc(func(r *http.Request) (*http.Response, error) {
				w := httptest.NewRecorder()
				checked(w, r)
				return w.Result(), nil
			})
			if w, rec := p.call(t, http.MethodPost, "a body"); w.Code != http.StatusOK || rec.Fallback.String() != "connection=other" {
				t.Errorf("%d %s, %+v", w.Code, w.Body, rec)
			}
		})
	}
}

// What the cache fetches anew after its caller has left is signed like a call, at its own time.
func TestRefreshIsSigned(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var signed []string
		up := transportFunc(func(r *http.Request) (*http.Response, error) {
			mu.Lock()
			defer mu.Unlock()
			signed = append(signed, r.Header.Get("X-Signed-At"))
			return httptest.NewRecorder().Result(), nil
		})
		s := newStage(t, up, written(t, `{"cache":{"ttl":"10s","stale_while_revalidate":"1m"}}`), func(t *runtime.Target) {
			t.SignsBody = func(string) bool { return true }
			t.Authorize = func(_ context.Context, r *http.Request) error {
				if r.GetBody != nil {
					return errors.New("there is a body")
				}
				r.Header.Set("X-Signed-At", time.Now().Format(time.TimeOnly))
				return nil
			}
		})
		s.call(t, http.MethodGet, nil)
		time.Sleep(30 * time.Second)
		s.call(t, http.MethodGet, nil)
		synctest.Wait()
		mu.Lock()
		defer mu.Unlock()
		if len(signed) != 2 || signed[0] != "00:00:00" || signed[1] != "00:00:30" {
			t.Errorf("signed at %v", signed)
		}
	})
}
