package runtime_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/url"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"switchgear/internal/fault"
	"switchgear/internal/runtime"
	"switchgear/internal/runtime/egress"
	"switchgear/internal/telemetry"
)

// Everything secret is canary, wherever it travels. The record must not hold it.
func TestRecordHoldsNoSecret(t *testing.T) {
	t.Parallel()
	both(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Vendor") != canary || r.URL.Query().Get("appid") != canary || r.Header.Get("Authorization") != "Bearer "+canary {
			t.Errorf("the credential did not arrive: %v %v", r.URL, r.Header)
		}
		w.Header().Set("Set-Cookie", "session="+canary)
		w.Header().Set("X-Auth-Token", canary)
		w.Header().Set("Location", "/cb?code="+canary+"#access_token="+canary)
		w.Header().Set("X-Plain", "seen")
	}, func(t *testing.T, g *gateway, _ int) {
		t.Helper()
		req := newRequest(t, http.MethodGet, g.URL+"/v1/x?access_token="+canary+"&key="+canary+"&page=2&sig="+canary, nil)
		req.Header.Set("Authorization", "Bearer "+canary+"-caller")
		req.Header.Set("Cookie", canary)
		req.Header.Set("X-Vendor", "the caller's own")
		req.Header.Set("X-Session-Token", canary)
		req.Header.Set("X-Service-Key", canary)
		req.Header.Set("Referer", "https://app.test/?token="+canary)
		req.Header.Set("X-Plain", "seen")
		req.Header.Set("Idempotency-Key", "order-7")
		_, _ = send(t, g, req)
		rec := g.records.next(t)
		text, err := json.Marshal(rec)
		if err != nil || strings.Contains(string(text), canary) {
			t.Errorf("%s, %v", text, err)
		}
		for name, want := range map[string]string{"X-Plain": "seen", "Idempotency-Key": "order-7", "X-Vendor": telemetry.Redacted, "Authorization": telemetry.Redacted, "X-Service-Key": telemetry.Redacted} {
			if got := rec.RequestHeader.Get(name); got != want {
				t.Errorf("recorded %s: %q, want %q", name, got, want)
			}
		}
		if want := "access_token=[redacted]&key=[redacted]&page=2&sig=[redacted]&appid=[redacted]"; rec.Query != want {
			t.Errorf("query %q, want %q", rec.Query, want)
		}
		if rec.ResponseHeader.Get("X-Plain") != "seen" || rec.ResponseHeader.Get("Set-Cookie") != telemetry.Redacted {
			t.Errorf("response header %v", rec.ResponseHeader)
		}
	}, authorize(func(_ context.Context, r *http.Request) error {
		r.Header.Set("X-Vendor", canary)
		r.Header.Set("Authorization", "Bearer "+canary)
		q := r.URL.RawQuery
		r.URL.RawQuery = q + "&appid=" + canary
		return nil
	}))
}

func TestRecordedSteps(t *testing.T) {
	t.Parallel()
	both(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "{}") }, func(t *testing.T, g *gateway, major int) {
		t.Helper()
		names := func(rec runtime.Record) string {
			list := make([]string, 0, len(rec.Steps))
			for _, s := range rec.Steps {
				list = append(list, s.Name)
				if s.At < 0 || s.Took < 0 || s.At+s.Took > rec.Duration {
					t.Errorf("step %+v of a call of %s", s, rec.Duration)
				}
			}
			return strings.Join(list, " ")
		}
		want := "connect send wait receive"
		if major == 2 {
			want = "connect tls send wait receive"
		}
		_, _ = send(t, g, newRequest(t, http.MethodGet, g.URL+"/", nil))
		rec := g.records.next(t)
		if got := names(rec); got != want || rec.Connect <= 0 || rec.FirstByte <= 0 || rec.Duration < rec.FirstByte || rec.Steps[0].Note == "" {
			t.Errorf("new connection: %s, record %+v", got, rec)
		}
		_, _ = send(t, g, newRequest(t, http.MethodGet, g.URL+"/", nil))
		rec = g.records.next(t)
		if got := names(rec); got != "connection send wait receive" || rec.Connect != 0 {
			t.Errorf("pooled connection: %s, record %+v", got, rec)
		}
	})
}

// slowUpstream is a transport whose steps take the time that it says, on the clock of a bubble.
type slowUpstream struct {
	connect, answer, body time.Duration
}

func (u slowUpstream) RoundTrip(r *http.Request) (*http.Response, error) {
	trace := httptrace.ContextClientTrace(r.Context())
	trace.GetConn("up.test:443")
	if err := pause(r.Context(), u.connect); err != nil {
		return nil, err
	}
	trace.GotConn(httptrace.GotConnInfo{})
	trace.WroteHeaders()
	if r.Body != nil {
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			return nil, err
		}
	}
	trace.WroteRequest(httptrace.WroteRequestInfo{})
	if err := pause(r.Context(), u.answer); err != nil {
		return nil, err
	}
	trace.GotFirstResponseByte()
	return &http.Response{StatusCode: 200, Header: http.Header{}, ContentLength: 1, Body: io.NopCloser(&drip{r.Context(), u.body, 1})}, nil
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(d):
		return nil
	}
}

// drip gives one byte after each pause.
type drip struct {
	ctx   context.Context
	every time.Duration
	left  int
}

func (d *drip) Read(p []byte) (int, error) {
	if d.left == 0 {
		return 0, io.EOF
	}
	if err := pause(d.ctx, d.every); err != nil {
		return 0, err
	}
	d.left--
	p[0] = 'x'
	return 1, nil
}

func TestTimeouts(t *testing.T) {
	t.Parallel()
	const s = time.Second
	for name, c := range map[string]struct {
		upstream       slowUpstream
		upload         int // seconds
		total, attempt time.Duration
		after          time.Duration
		outcome        runtime.Outcome
	}{
		"in time":                           {slowUpstream{s, s, s}, 0, 10 * s, 3 * s, 3 * s, "success"},
		"no attempt timeout":                {slowUpstream{s, 8 * s, s / 2}, 0, 10 * s, 0, 9*s + s/2, "success"},
		"connecting takes too long":         {slowUpstream{connect: 5 * s}, 0, 10 * s, 3 * s, 3 * s, "timeout"},
		"answering takes too long":          {slowUpstream{answer: 5 * s}, 0, 10 * s, 3 * s, 3 * s, "timeout"},
		"both together take too long":       {slowUpstream{connect: 2 * s, answer: 2 * s}, 0, 10 * s, 3 * s, 3 * s, "timeout"},
		"the whole is shorter":              {slowUpstream{answer: 5 * s}, 0, 2 * s, 3 * s, 2 * s, "timeout"},
		"a long upload is not waiting":      {slowUpstream{s, 2 * s, 0}, 5, 10 * s, 3 * s, 8 * s, "success"},
		"after a long upload it is":         {slowUpstream{s, 5 * s, 0}, 5, 20 * s, 3 * s, 9 * s, "timeout"},
		"an upload longer than the whole":   {slowUpstream{s / 2, s, 0}, 20, 10 * s, 3 * s, 10*s + s/2, "canceled"},
		"headers stop the attempt's clock":  {slowUpstream{0, 2 * s, 5 * s}, 0, 10 * s, 3 * s, 7 * s, "success"},
		"the body is within the whole time": {slowUpstream{0, 2 * s, 50 * s}, 0, 10 * s, 3 * s, 10 * s, "timeout"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				recorded := newRecords()
				proxy := runtime.NewProxy(runtime.ProxyDeps{Logger: telemetry.Discard(), Now: time.Now, Recorder: recorded, Protections: idleProtections(t)}, runtime.ProxyConfig{})
				target := runtime.Target{BaseURL: &url.URL{Scheme: "https", Host: "up.test"}, Policy: runtime.DefaultPolicy(), Transport: c.upstream}
				target.Policy.Retry.MaxAttempts = 1
				target.Policy.Timeout, target.Policy.AttemptTimeout = runtime.Duration(c.total), runtime.Duration(c.attempt)
				r := httptest.NewRequest(http.MethodGet, "/x", nil)
				if c.upload > 0 {
					r = httptest.NewRequest(http.MethodPut, "/x", &drip{t.Context(), s, c.upload})
				}
				var err error
				func() {
					defer func() {
						if p := recover(); p != nil {
							if err, ok := p.(error); !ok || !errors.Is(err, http.ErrAbortHandler) {
								panic(p)
							}
						}
					}()
					err = proxy.Serve(httptest.NewRecorder(), r, target, "x")
				}()
				rec := recorded.next(t)
				if rec.Outcome != c.outcome || rec.Duration != c.after {
					t.Errorf("%s after %s (%s), want %s after %s", rec.Outcome, rec.Duration, rec.ErrorText, c.outcome, c.after)
				}
				if err != nil && (!fault.Is(err, fault.Timeout) || (fault.CodeOf(err) == runtime.CodeTimeout) != (c.outcome == "timeout")) {
					t.Errorf("error %v", err)
				}
			})
		})
	}
}

func TestSetErrorHeader(t *testing.T) {
	t.Parallel()
	h := http.Header{}
	runtime.SetErrorHeader(h, fault.New(fault.Conflict, "CONNECTION_PAUSED", "It is paused."))
	if h.Get(runtime.ErrorHeader) != "CONNECTION_PAUSED" {
		t.Errorf("%v", h)
	}
	runtime.SetErrorHeader(h, errors.New("bug"))
	if h.Get(runtime.ErrorHeader) != "INTERNAL" {
		t.Errorf("%v", h)
	}
}

// A panic of a credential must not leave the exchange open, and passes through.
func TestPanicPassesThrough(t *testing.T) {
	t.Parallel()
	upstream := newUpstream(t, func(http.ResponseWriter, *http.Request) {})
	g := newGateway(t, upstream.URL, egress.TransportConfig{}, authorize(func(context.Context, *http.Request) error { panic(http.ErrAbortHandler) }))
	if resp, err := g.caller.RoundTrip(newRequest(t, http.MethodGet, g.URL+"/", nil)); err == nil {
		_ = resp.Body.Close()
		t.Errorf("answered %d", resp.StatusCode)
	}
	if rec := g.records.next(t); rec.ErrorCode != "INTERNAL" || rec.Outcome != runtime.OutcomeRejectedLocal || len(g.records.got) != 0 {
		t.Errorf("record %+v", rec)
	}
}

// stuckCaller takes the headers and nothing else, until its deadline passes.
type stuckCaller struct {
	*httptest.ResponseRecorder
	late chan struct{}
}

func (c stuckCaller) Write([]byte) (int, error) {
	<-c.late
	return 0, os.ErrDeadlineExceeded
}

func (c stuckCaller) SetWriteDeadline(time.Time) error {
	close(c.late)
	return nil
}

// A caller that does not read ends with the call, and says nothing about the upstream.
func TestCallerThatDoesNotRead(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		recorded := newRecords()
		proxy := runtime.NewProxy(runtime.ProxyDeps{Logger: telemetry.Discard(), Now: time.Now, Recorder: recorded, Protections: idleProtections(t)}, runtime.ProxyConfig{})
		target := runtime.Target{BaseURL: &url.URL{Scheme: "https", Host: "up.test"}, Policy: runtime.DefaultPolicy(), Transport: slowUpstream{}}
		target.Policy.Retry.MaxAttempts = 1
		func() {
			defer func() { _ = recover() }()
			_ = proxy.Serve(stuckCaller{httptest.NewRecorder(), make(chan struct{})}, httptest.NewRequest(http.MethodGet, "/x", nil), target, "x")
			t.Error("the answer was not broken off")
		}()
		rec := recorded.next(t)
		if rec.Outcome != runtime.OutcomeCanceled || rec.ErrorCode != runtime.CodeCallerSlow || rec.Duration != target.Policy.Timeout.Std() || rec.Status != 200 {
			t.Errorf("record %+v", rec)
		}
	})
}
