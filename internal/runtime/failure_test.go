package runtime_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"

	"switchgear/internal/fault"
	"switchgear/internal/runtime"
	"switchgear/internal/runtime/egress"
)

const canary = "canary-1b7e"

// answer is an upstream that reads a request and writes this text, whatever it is.
func answer(text string) func(net.Conn) {
	return func(c net.Conn) {
		if req, err := http.ReadRequest(bufio.NewReader(c)); err == nil {
			_, _ = io.Copy(io.Discard, req.Body)
			_, _ = io.WriteString(c, text)
		}
	}
}

// begun is answer, after which the upstream says no more and stays.
func begun(text string) func(net.Conn) {
	return func(c net.Conn) {
		answer(text)(c)
		_, _ = io.Copy(io.Discard, c)
	}
}

func TestFailuresBeforeTheAnswer(t *testing.T) {
	t.Parallel()
	secure, _ := newUpstream2(t, func(http.ResponseWriter, *http.Request) { t.Error("reached without trust") })
	secure.Config.ErrorLog = nil
	plain := newUpstream(t, func(http.ResponseWriter, *http.Request) {})
	for name, c := range map[string]struct {
		upstream string
		options  []option
		status   int
		code     string
		outcome  runtime.Outcome
		attempts int
	}{
		"nobody listens":    {"http://127.0.0.1:1", nil, 502, runtime.CodeConnectFailed, runtime.OutcomeConnectFailed, 1},
		"unknown authority": {secure.URL, nil, 502, runtime.CodeTLSFailed, runtime.OutcomeTLSFailed, 1},
		"no TLS there":      {strings.Replace(plain.URL, "http:", "https:", 1), nil, 502, runtime.CodeTLSFailed, runtime.OutcomeTLSFailed, 1},
		"hangs up in the handshake": {
			strings.Replace(rawUpstream(t, func(net.Conn) {}), "http:", "https:", 1), nil, 502, runtime.CodeTLSFailed, runtime.OutcomeTLSFailed, 1,
		},
		"closes without answer":        {rawUpstream(t, answer("")), nil, 502, runtime.CodeReset, runtime.OutcomeReset, 1},
		"not HTTP":                     {rawUpstream(t, answer(canary+" is not HTTP\r\n\r\n")), nil, 502, runtime.CodeBadResponse, runtime.OutcomeReset, 1},
		"broken header":                {rawUpstream(t, answer("HTTP/1.1 200 OK\r\n"+canary+"\r\n\r\n")), nil, 502, runtime.CodeBadResponse, runtime.OutcomeReset, 1},
		"contradicting lengths":        {rawUpstream(t, answer("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx")), nil, 502, runtime.CodeBadResponse, runtime.OutcomeReset, 1},
		"headers too large":            {rawUpstream(t, answer("HTTP/1.1 200 OK\r\nX: "+strings.Repeat("x", 70<<10)+"\r\n\r\n")), nil, 502, runtime.CodeBadResponse, runtime.OutcomeReset, 1},
		"switches protocols by itself": {rawUpstream(t, answer("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n")), nil, 502, runtime.CodeBadResponse, runtime.OutcomeReset, 1},
		"status 000":                   {rawUpstream(t, answer("HTTP/1.1 000 Nothing\r\nContent-Length: 0\r\n\r\n")), nil, 502, runtime.CodeBadResponse, runtime.OutcomeReset, 1},
		"egress": {plain.URL, []option{func(t *runtime.Target) {
			t.BaseURL = &url.URL{Scheme: "http", Host: "127.0.0.1:1"}
		}}, 403, runtime.CodeEgressDenied, runtime.OutcomeRejectedLocal, 0},
		"does not answer": {rawUpstream(t, func(c net.Conn) { _, _ = io.Copy(io.Discard, c) }), []option{policy(func(p *runtime.Policy) {
			p.AttemptTimeout = runtime.Duration(inTime)
		})}, 504, runtime.CodeTimeout, runtime.OutcomeTimeout, 1},
		"does not answer in all the time": {rawUpstream(t, func(c net.Conn) { _, _ = io.Copy(io.Discard, c) }), []option{timeout(inTime)}, 504, runtime.CodeTimeout, runtime.OutcomeTimeout, 1},
		"body never begins":               {rawUpstream(t, begun("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n")), []option{timeout(inTime)}, 504, runtime.CodeTimeout, runtime.OutcomeTimeout, 1},
		"body stops early":                {rawUpstream(t, begun("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort")), []option{timeout(inTime)}, 504, runtime.CodeTimeout, runtime.OutcomeTimeout, 1},
		"does not shake hands":            {strings.Replace(rawUpstream(t, func(c net.Conn) { _, _ = io.Copy(io.Discard, c) }), "http:", "https:", 1), []option{timeout(inTime)}, 504, runtime.CodeTimeout, runtime.OutcomeTimeout, 1},
		"credential refuses": {plain.URL, []option{authorize(func(context.Context, *http.Request) error {
			return fault.New(fault.Conflict, "NEEDS_REAUTH", "Reconnect the account.")
		})}, 409, "NEEDS_REAUTH", runtime.OutcomeRejectedLocal, 0},
		"credential breaks": {plain.URL, []option{authorize(func(context.Context, *http.Request) error {
			return errors.New("decrypt: " + canary)
		})}, 503, runtime.CodeCredential, runtime.OutcomeRejectedLocal, 0},
		"credential changes the host": {plain.URL, []option{authorize(func(_ context.Context, r *http.Request) error {
			r.URL.Host = "evil.test"
			return nil
		})}, 500, "INTERNAL", runtime.OutcomeRejectedLocal, 0},
		"credential changes the Host header": {plain.URL, []option{authorize(func(_ context.Context, r *http.Request) error {
			r.Host = "evil.test"
			return nil
		})}, 500, "INTERNAL", runtime.OutcomeRejectedLocal, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := newGateway(t, c.upstream, egress.TransportConfig{}, c.options...)
			resp, body := send(t, g, newRequest(t, http.MethodPost, g.URL+"/x", strings.NewReader("hello")))
			wantError(t, resp, body, c.status, c.code)
			rec := g.records.next(t)
			if rec.Outcome != c.outcome || rec.ErrorCode != c.code || rec.Status != c.status || rec.Attempts != c.attempts || rec.ErrorText == "" {
				t.Errorf("record %+v", rec)
			}
			if got := resp.Header.Get("Switchgear-Attempts"); got != strconv.Itoa(c.attempts) {
				t.Errorf("Switchgear-Attempts: %s, want %d", got, c.attempts)
			}
			if text := string(body) + fmt.Sprintf("%+v", rec); strings.Contains(text, canary) {
				t.Errorf("what the upstream or the credential said got out: %s", text)
			}
			if len(g.records.got) != 0 {
				t.Error("recorded more than once")
			}
		})
	}
}

func TestRefusedRequests(t *testing.T) {
	t.Parallel()
	upstream := newUpstream(t, func(_ http.ResponseWriter, r *http.Request) { t.Errorf("%s %s was passed on", r.Method, r.URL) })
	g := newGateway(t, upstream.URL, egress.TransportConfig{})
	for _, c := range []struct {
		method, path string
		header       http.Header
		status       int
		code         string
	}{
		{"GET", "/ws", http.Header{"Connection": {"Upgrade"}, "Upgrade": {"websocket"}}, 501, runtime.CodeUpgradeUnsupported},
		{"POST", "/x", http.Header{"Connection": {"keep-alive, upgrade"}, "Upgrade": {"h2c, TLS/1.0"}}, 501, runtime.CodeUpgradeUnsupported},
		{"TRACE", "/", nil, 405, runtime.CodeMethodUnsupported},
		{strings.Repeat("M", 33), "/", nil, 405, runtime.CodeMethodUnsupported},
		{"GET", "/a/%2e%2e/%2e%2e/x", nil, 400, runtime.CodeInvalidPath},
		{"GET", "/..%2fx", nil, 400, runtime.CodeInvalidPath},
	} {
		req := newRequest(t, c.method, g.URL+c.path, nil)
		maps.Copy(req.Header, c.header)
		resp, body := send(t, g, req)
		wantError(t, resp, body, c.status, c.code)
		var env fault.Envelope
		if err := json.Unmarshal(body, &env); err != nil || env.RequestID != resp.Header.Get("X-Request-Id") {
			t.Errorf("envelope %s, %v", body, err)
		}
		if rec := g.records.next(t); rec.Outcome != runtime.OutcomeRejectedLocal || rec.Status != c.status || rec.Attempts != 0 {
			t.Errorf("record %+v", rec)
		}
		req.Header.Set("Accept", "application/problem+json")
		resp, body = send(t, g, req)
		var problem fault.Problem
		if err := json.Unmarshal(body, &problem); err != nil || problem.Status != c.status || problem.Code != c.code || !strings.HasPrefix(resp.Header.Get("Content-Type"), "application/problem+json") {
			t.Errorf("problem %s, %v", body, err)
		}
	}
}

// Once the answer has begun, a failure can only be shown by breaking off.
func TestFailuresWithinTheAnswer(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		upstream string
		options  []option
		code     string
		outcome  runtime.Outcome
	}{
		"chunks cut":       {rawUpstream(t, answer("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nshort\r\n")), nil, runtime.CodeReset, runtime.OutcomeReset},
		"chunks garbled":   {rawUpstream(t, answer("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nshort\r\n"+canary+"\r\n")), nil, runtime.CodeBadResponse, runtime.OutcomeReset},
		"body never ends":  {rawUpstream(t, begun("HTTP/1.1 200 OK\r\nContent-Length: 10000\r\n\r\n"+strings.Repeat("x", 5000))), []option{timeout(inTime)}, runtime.CodeTimeout, runtime.OutcomeTimeout},
		"chunks never end": {rawUpstream(t, begun("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nshort\r\n")), []option{timeout(inTime)}, runtime.CodeTimeout, runtime.OutcomeTimeout},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := newGateway(t, c.upstream, egress.TransportConfig{}, c.options...)
			resp, err := g.caller.RoundTrip(newRequest(t, http.MethodGet, g.URL+"/x", nil))
			if err == nil {
				var body []byte
				body, err = io.ReadAll(resp.Body)
				_ = resp.Body.Close()
				if err == nil {
					t.Errorf("the answer %q looks complete", body)
				}
			}
			rec := g.records.next(t)
			if rec.Outcome != c.outcome || rec.ErrorCode != c.code || rec.Status != 200 || strings.Contains(rec.ErrorText, canary) || !rec.Outcome.Failure() {
				t.Errorf("record %+v", rec)
			}
		})
	}
}

func TestAbsurdRequestHeaders(t *testing.T) {
	t.Parallel()
	both(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Count", strconv.Itoa(len(r.Header)))
		w.Header().Set("X-Long", strconv.Itoa(len(r.Header.Get("X-Long"))))
		for n := range 500 {
			w.Header().Set(fmt.Sprintf("X-Back-%d", n), strings.Repeat("y", 50))
		}
	}, func(t *testing.T, g *gateway, _ int) {
		t.Helper()
		req := newRequest(t, http.MethodGet, g.URL+"/", nil)
		req.Header = http.Header{"User-Agent": {""}, "X-Long": {strings.Repeat("x", 200<<10)}, "X-Empty": {""}, "X-Odd": {"\t a \x80\xff "}}
		for n := range 1000 {
			req.Header[fmt.Sprintf("X-Header-%d", n)] = []string{"v", "v"}
		}
		resp, _ := send(t, g, req)
		if resp.StatusCode != 200 || resp.Header.Get("X-Long") != strconv.Itoa(200<<10) || resp.Header.Get("X-Back-499") == "" {
			t.Errorf("%d, X-Long %s, %d headers back", resp.StatusCode, resp.Header.Get("X-Long"), len(resp.Header))
		}
		size := 0
		rec := g.records.next(t)
		for name, values := range rec.RequestHeader {
			size += len(name) + len(strings.Join(values, ""))
		}
		if size > 100<<10 {
			t.Errorf("the record keeps %d bytes of headers", size)
		}
	})
}
