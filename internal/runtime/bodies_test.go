package runtime_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"switchgear/internal/fault"
	"switchgear/internal/runtime"
	"switchgear/internal/runtime/egress"
)

func recorded(t *runtime.Target) { t.LogBodies = true }

// What passes is recorded without the secrets in it: those under names that say so, and the credential
// wherever the upstream repeats it.
func TestRecordedBodiesHoldNoSecret(t *testing.T) {
	t.Parallel()
	both(t, func(w http.ResponseWriter, r *http.Request) {
		sent, _ := io.ReadAll(r.Body)
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"plain":"seen","access_token":"`+canary+`","you_sent":`+string(sent)+`,"your_header":"`+r.Header.Get("X-Vendor")+`"}`)
	}, func(t *testing.T, g *gateway, _ int) {
		t.Helper()
		sent := `{"amount":100,"card":{"cvc":"` + canary + `"}}`
		req := newRequest(t, http.MethodPost, g.URL+"/", strings.NewReader(sent))
		req.Header.Set("Content-Type", "application/json")
		_, answer := send(t, g, req)
		if !strings.Contains(string(answer), `"access_token":"`+canary) {
			t.Errorf("the caller got %s", answer)
		}
		rec := g.records.next(t)
		text, err := json.Marshal(rec)
		if err != nil || strings.Contains(string(text), canary) || rec.Bodies == nil {
			t.Fatalf("%s, %v", text, err)
		}
		if got, want := rec.Bodies.Request.Text, `{"amount":100,"card":{"cvc":"[redacted]"}}`; got != want {
			t.Errorf("request %s, want %s", got, want)
		}
		want := `{"plain":"seen","access_token":"[redacted]","you_sent":{"amount":100,"card":{"cvc":"[redacted]"}},"your_header":"[redacted]"}`
		if got := rec.Bodies.Response.Text; got != want {
			t.Errorf("response %s, want %s", got, want)
		}
	}, recorded, authorize(func(_ context.Context, r *http.Request) error {
		r.Header.Set("X-Vendor", "Token "+canary)
		return nil
	}))
}

// A Basic credential, and one in the query, are known by their parts.
func TestRecordedBodiesHideTheCredential(t *testing.T) {
	t.Parallel()
	upstream := newUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		user, password, _ := r.BasicAuth()
		w.Header().Set("Content-Type", "text/plain")
		_, _ = io.WriteString(w, user+" came with "+password+" and "+r.URL.Query().Get("appid")+" to "+r.URL.RawQuery)
	})
	g := newGateway(t, upstream.URL, egress.TransportConfig{}, recorded, authorize(func(_ context.Context, r *http.Request) error {
		r.SetBasicAuth("ada", canary+" one")
		r.URL.RawQuery += "&appid=" + canary + "+two"
		return nil
	}))
	_, _ = send(t, g, newRequest(t, http.MethodGet, g.URL+"/?a=1", nil))
	if got, want := g.records.next(t).Bodies.Response.Text, "ada came with [redacted] and [redacted] to a=1&appid=[redacted]"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

// The caller gets everything, the record the beginning; a bomb is not unpacked further than that.
func TestRecordedBodiesAreCapped(t *testing.T) {
	t.Parallel()
	const long = 1 << 20
	var bomb bytes.Buffer
	z := gzip.NewWriter(&bomb)
	_, _ = io.Copy(z, zeros(8<<20))
	_ = z.Close()
	letters := bytes.Repeat([]byte("x"), long)
	both(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "text/plain")
		if r.URL.Path == "/bomb" {
			w.Header().Set("Content-Encoding", "gzip")
			_, _ = w.Write(bomb.Bytes())
			return
		}
		_, _ = w.Write(letters)
	}, func(t *testing.T, g *gateway, _ int) {
		t.Helper()
		if _, answer := send(t, g, newRequest(t, http.MethodPost, g.URL+"/", bytes.NewReader(letters))); len(answer) != long {
			t.Errorf("the caller got %d bytes", len(answer))
		}
		rec := g.records.next(t)
		for side, body := range map[string]string{"request": rec.Bodies.Request.Text, "response": rec.Bodies.Response.Text} {
			if len(body) != 32<<10 {
				t.Errorf("%s: kept %d bytes", side, len(body))
			}
		}
		if note := rec.Bodies.Response.Note; note != "Cut: the first 32 KiB of 1024 KiB." {
			t.Errorf("note %q", note)
		}
		_, answer := send(t, g, newRequest(t, http.MethodGet, g.URL+"/bomb", nil))
		if len(answer) != bomb.Len() {
			t.Errorf("the caller got %d bytes", len(answer))
		}
		if body := g.records.next(t).Bodies.Response; len(body.Text) > 32<<10 {
			t.Errorf("unpacked %d bytes, %s", len(body.Text), body.Note)
		}
	}, recorded)
}

// Without being asked for, nothing is kept.
func TestBodiesAreOffByDefault(t *testing.T) {
	t.Parallel()
	upstream := newUpstream(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "answer") })
	g := newGateway(t, upstream.URL, egress.TransportConfig{})
	_, _ = send(t, g, newRequest(t, http.MethodPost, g.URL+"/", strings.NewReader("question")))
	if rec := g.records.next(t); rec.Bodies != nil {
		t.Errorf("kept %+v", rec.Bodies)
	}
}

// A call that failed on the way keeps what was sent.
func TestRecordedBodyOfAFailedCall(t *testing.T) {
	t.Parallel()
	upstream := newUpstream(t, func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.ReadAll(r.Body)
		panic(http.ErrAbortHandler)
	})
	g := newGateway(t, upstream.URL, egress.TransportConfig{}, recorded)
	_, _ = send(t, g, newRequest(t, http.MethodPost, g.URL+"/", strings.NewReader("question")))
	rec := g.records.next(t)
	if rec.ErrorCode != runtime.CodeReset || rec.Bodies == nil || rec.Bodies.Request.Text != "question" || rec.Bodies.Response.Text != "" {
		t.Errorf("%+v", rec)
	}
}

// A person at the console is told from an application, and sees the call as it was, except for the
// credential: that must not come out by way of an upstream that repeats it.
func TestWatch(t *testing.T) {
	t.Parallel()
	upstream := newUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("X-Debug", "you are "+r.Header.Get("X-Vendor"))
		if r.URL.Path == "/broken" {
			w.Header().Set("Content-Length", "1000")
		}
		_, _ = io.WriteString(w, `{"token":"of the answer","you":"`+r.Header.Get("X-Vendor")+`"}`)
	})
	g := newGateway(t, upstream.URL, egress.TransportConfig{}, authorize(func(_ context.Context, r *http.Request) error {
		r.Header.Set("X-Vendor", canary)
		return nil
	}))
	g.caller.DisableKeepAlives = true // On a connection of its own, what broke is not sent again.
	for _, logged := range []bool{false, true} {
		for path, outcome := range map[string]runtime.Outcome{"/": runtime.OutcomeSuccess, "/broken": runtime.OutcomeReset} {
			g.target.LogBodies = logged
			watch := &runtime.Watch{}
			g.who = &runtime.Caller{UserID: "usr_1", UserName: "ada@example.com", Watch: watch}
			if resp, err := g.caller.RoundTrip(newRequest(t, http.MethodGet, g.URL+path, nil)); err == nil {
				_, _ = io.Copy(io.Discard, resp.Body)
				_ = resp.Body.Close()
			}
			rec := g.records.next(t)
			if rec.UserID != "usr_1" || rec.UserName != "ada@example.com" || rec.KeyID != "" || rec.Outcome != outcome || (rec.Bodies != nil) != logged {
				t.Errorf("%s: record %+v", path, rec)
			}
			if watch.Record.ID != rec.ID || watch.Record.Outcome != outcome || watch.Record.ResponseHeader.Get("X-Debug") != "you are [redacted]" {
				t.Errorf("%s: seen %+v", path, watch.Record)
			}
			if got, want := watch.Response.Text, `{"token":"of the answer","you":"[redacted]"}`; got != want {
				t.Errorf("%s: shown %s, want %s", path, got, want)
			}
		}
	}
}

// A probe shows the beginning of an answer, and never the credential in it.
func TestProbeHidesTheCredential(t *testing.T) {
	t.Parallel()
	upstream := newUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, "you are "+strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")+" of "+r.URL.Query().Get("key"))
	})
	g := newGateway(t, upstream.URL, egress.TransportConfig{}, authorize(func(_ context.Context, r *http.Request) error {
		r.Header.Set("Authorization", "Bearer "+canary)
		r.URL.RawQuery = "key=" + canary + "2"
		return nil
	}))
	if got := runtime.Probe(t.Context(), g.target, http.MethodGet, "/"); got.Status != http.StatusOK || strings.Contains(got.Body, canary) || !strings.HasPrefix(got.Body, "you are [redacted] of ") {
		t.Errorf("%+v", got)
	}
}

// Where a redirect leads to is told by its host and path: the query, names and the credential are nobody's business.
func TestProbeSaysWhereARedirectLeads(t *testing.T) {
	t.Parallel()
	for location, want := range map[string]string{
		"https://login.example.com/sign%20in?from=https%3A%2F%2Fapi&state=s#top": "login.example.com/sign%20in",
		"https://user:" + canary + "@login.example.com/":                         "login.example.com/",
		"/login?next=/v1":                                       "HOST/login",
		"https://login.example.com/for/" + canary:               "login.example.com/for/[redacted]",
		"https://login.example.com/" + strings.Repeat("a", 300): "login.example.com/" + strings.Repeat("a", 182) + "…",
		"":                            "",
		"https://login.example.com:x": "",
		"mailto:ada@example.com":      "",
	} {
		upstream := newUpstream(t, func(w http.ResponseWriter, _ *http.Request) {
			if location != "" {
				w.Header().Set("Location", location)
			}
			w.WriteHeader(http.StatusFound)
		})
		g := newGateway(t, upstream.URL, egress.TransportConfig{}, authorize(func(_ context.Context, r *http.Request) error {
			r.Header.Set("Authorization", "Bearer "+canary)
			return nil
		}))
		got := runtime.Probe(t.Context(), g.target, http.MethodGet, "/")
		want = strings.Replace(want, "HOST", strings.TrimPrefix(upstream.URL, "http://"), 1)
		if got.Redirect != want || got.Accepted(g.target.Policy) {
			t.Errorf("%s: %q, want %q, %+v", location, got.Redirect, want, got)
		}
	}
}

// A probe gets another token when the service refuses the one it has, as a call does, and says when only a person
// can help.
func TestProbeRenewsARefusedToken(t *testing.T) {
	t.Parallel()
	upstream := newUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer new" {
			w.WriteHeader(http.StatusUnauthorized)
		}
	})
	put := func(token string) func(context.Context, *http.Request) error {
		return func(_ context.Context, r *http.Request) error {
			r.Header.Set("Authorization", "Bearer "+token)
			return nil
		}
	}
	reauth := fault.New(fault.Unavailable, "CREDENTIAL_NEEDS_REAUTH", "Connect the account again.")
	for name, c := range map[string]struct {
		refresh func(ctx context.Context) (func(ctx context.Context, r *http.Request) error, error)
		outcome runtime.Outcome
		code    string
	}{
		"renewed":        {func(context.Context) (func(context.Context, *http.Request) error, error) { return put("new"), nil }, runtime.OutcomeSuccess, ""},
		"refused again":  {func(context.Context) (func(context.Context, *http.Request) error, error) { return put("other"), nil }, runtime.OutcomeUnauthenticated, ""},
		"needs a person": {func(context.Context) (func(context.Context, *http.Request) error, error) { return nil, reauth }, runtime.OutcomeRejectedLocal, "CREDENTIAL_NEEDS_REAUTH"},
		"not renewed now": {func(context.Context) (func(context.Context, *http.Request) error, error) {
			return nil, errors.New("pause")
		}, runtime.OutcomeUnauthenticated, ""},
		"nothing to renew": {nil, runtime.OutcomeUnauthenticated, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := newGateway(t, upstream.URL, egress.TransportConfig{}, authorize(put("old")))
			g.target.Refresh = c.refresh
			if got := runtime.Probe(t.Context(), g.target, http.MethodGet, "/"); got.Outcome != c.outcome || (got.Err != nil) != (c.code != "") || got.Err != nil && fault.CodeOf(got.Err) != c.code {
				t.Errorf("%s, %v", got.Outcome, got.Err)
			}
		})
	}
}

// A path that is not below the base URL is refused here, so it says nothing about the upstream.
func TestProbeSendsNothingAboveTheBaseURL(t *testing.T) {
	t.Parallel()
	sent := atomic.Int32{}
	up := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { sent.Add(1) }))
	t.Cleanup(up.Close)
	g := newGateway(t, up.URL+"/v1", egress.TransportConfig{}, authorize(func(context.Context, *http.Request) error { return nil }))
	for _, path := range []string{"/../x", "/%2e%2e/x", "/%zz", "/x\r\nY: z"} {
		if got := runtime.Probe(t.Context(), g.target, http.MethodGet, path); got.Outcome != runtime.OutcomeRejectedLocal || got.Problem == "" {
			t.Errorf("%q: %s, %q", path, got.Outcome, got.Problem)
		}
	}
	if n := sent.Load(); n > 0 {
		t.Errorf("%d requests", n)
	}
}

// A redirect whose body breaks off still says where it leads to.
func TestProbeOfARedirectThatBreaksOff(t *testing.T) {
	t.Parallel()
	upstream := rawUpstream(t, answer("HTTP/1.1 302 Found\r\nLocation: https://login.example.com/signin?token="+canary+"\r\nContent-Length: 100\r\n\r\nyou are"))
	none := authorize(func(context.Context, *http.Request) error { return nil })
	got := runtime.Probe(t.Context(), newGateway(t, upstream, egress.TransportConfig{}, none).target, http.MethodGet, "/")
	if got.Status != http.StatusFound || got.Err == nil || got.Outcome != runtime.OutcomeReset || got.Redirect != "login.example.com/signin" {
		t.Errorf("%+v", got)
	}
}

// A probe without an answer says why in words that may be shown.
func TestProbeSaysWhyThereIsNoAnswer(t *testing.T) {
	t.Parallel()
	silent := rawUpstream(t, func(c net.Conn) { _, _ = io.Copy(io.Discard, c) })
	for name, c := range map[string]struct {
		upstream string
		options  []option
		want     string
	}{
		"nobody listens": {"http://127.0.0.1:1", nil, "connection refused"},
		"not HTTP":       {rawUpstream(t, answer(canary+" is not HTTP\r\n\r\n")), nil, "is not valid HTTP"},
		"silent":         {silent, []option{timeout(inTime)}, "within its timeout"},
		"credential refuses": {silent, []option{authorize(func(context.Context, *http.Request) error {
			return fault.New(fault.Conflict, "NEEDS_REAUTH", "Reconnect the account.")
		})}, "Reconnect the account."},
		"credential breaks": {silent, []option{authorize(func(context.Context, *http.Request) error {
			return errors.New("decrypt: " + canary)
		})}, "the credential could not be used"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			none := authorize(func(context.Context, *http.Request) error { return nil })
			g := newGateway(t, c.upstream, egress.TransportConfig{}, append([]option{none}, c.options...)...)
			got := runtime.Probe(t.Context(), g.target, http.MethodGet, "/")
			if !strings.Contains(got.Problem, c.want) || strings.Contains(got.Problem, canary) {
				t.Errorf("problem %q, want %q", got.Problem, c.want)
			}
		})
	}
}
