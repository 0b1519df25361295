package runtime_test

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"switchgear/internal/runtime"
	"switchgear/internal/runtime/egress"
)

// told is what a caller made of an answer.
type told struct {
	status int
	header http.Header
	body   string
	err    error // while it was read
}

// callers are the ways in which applications talk to the gateway.
func callers() map[string]func(t *testing.T, g *gateway, method string) told {
	return map[string]func(t *testing.T, g *gateway, method string) told{
		"HTTP/1.0": func(t *testing.T, g *gateway, method string) told {
			t.Helper()
			conn := dial(t, g.Listener.Addr().String())
			_, _ = io.WriteString(conn, method+" /x HTTP/1.0\r\nHost: x\r\n\r\n")
			return heard(http.ReadResponse(bufio.NewReader(conn), nil))
		},
		"HTTP/1.1": func(t *testing.T, g *gateway, method string) told {
			t.Helper()
			return heard(g.caller.RoundTrip(newRequest(t, method, g.URL+"/x", nil)))
		},
		"h2c": func(t *testing.T, g *gateway, method string) told {
			t.Helper()
			prior := &http.Transport{Protocols: &http.Protocols{}}
			prior.Protocols.SetUnencryptedHTTP2(true)
			t.Cleanup(prior.CloseIdleConnections)
			return heard(prior.RoundTrip(newRequest(t, method, g.URL+"/x", nil)))
		},
	}
}

func heard(resp *http.Response, err error) told {
	if err != nil {
		return told{err: err}
	}
	body, err := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	return told{resp.StatusCode, resp.Header, string(body), err}
}

// What an upstream sends that is no answer never looks like one. While nothing of it was passed on, the caller
// gets the reason; after that its connection is cut, in a way that it cannot take for the end of the answer.
func TestBrokenAnswers(t *testing.T) {
	t.Parallel()
	const head = "HTTP/1.1 200 OK\r\n"
	long := strings.Repeat("x", 100<<10)
	for name, c := range map[string]struct {
		text string
		code string
		cut  bool // it had begun
	}{
		"no status line":        {canary + " is not HTTP\r\n\r\n", runtime.CodeBadResponse, false},
		"another status line":   {"HTTP/1.1 2x0 " + canary + "\r\n\r\n", runtime.CodeBadResponse, false},
		"broken header":         {head + canary + "\r\n\r\n", runtime.CodeBadResponse, false},
		"contradicting lengths": {head + "Content-Length: 1\r\nContent-Length: 2\r\n\r\nx", runtime.CodeBadResponse, false},
		"no length":             {head + "Content-Length: " + canary + "\r\n\r\nx", runtime.CodeBadResponse, false},
		"headers too large":     {head + "X: " + strings.Repeat("x", 70<<10) + "\r\n\r\n", runtime.CodeBadResponse, false},
		"another encoding":      {head + "Transfer-Encoding: " + canary + "\r\n\r\nx", runtime.CodeBadResponse, false},
		"nothing":               {"", runtime.CodeReset, false},
		"half a header":         {head + "X-A: hal", runtime.CodeReset, false},
		"short":                 {head + "Content-Length: 50\r\n\r\nshort", runtime.CodeReset, false},
		"nothing of it":         {head + "Content-Length: 50\r\n\r\n", runtime.CodeReset, false},
		"short and long":        {head + "Content-Length: 200000\r\n\r\n" + long, runtime.CodeReset, true},
		"chunks cut":            {head + "Transfer-Encoding: chunked\r\n\r\n5\r\nshort\r\n", runtime.CodeReset, true},
		"chunks garbled":        {head + "Transfer-Encoding: chunked\r\n\r\n5\r\nshort\r\n" + canary + "\r\n", runtime.CodeBadResponse, true},
		"events cut":            {head + "Content-Type: text/event-stream\r\nContent-Length: 50\r\n\r\ndata: 1\n\n", runtime.CodeReset, true},
		"trailer garbled":       {head + "Transfer-Encoding: chunked\r\n\r\n5\r\nshort\r\n0\r\n" + canary + "\r\n\r\n", runtime.CodeBadResponse, true},
	} {
		overBoth(t, name, func(t *testing.T, bare bool) {
			t.Helper()
			for caller, call := range callers() {
				g := newGateway(t, rawUpstream(t, answer(c.text)), egress.TransportConfig{})
				if bare {
					g.target.Transport = g.bare
				}
				got := call(t, g, http.MethodGet)
				rec := g.records.next(t)
				if !rec.Outcome.Failure() || rec.Outcome != runtime.OutcomeReset || rec.ErrorCode != c.code || rec.ErrorText == "" || strings.Contains(rec.ErrorText, canary) {
					t.Errorf("%s: record %s %s %q", caller, rec.Outcome, rec.ErrorCode, rec.ErrorText)
				}
				switch {
				case c.cut && got.err == nil:
					t.Errorf("%s: the answer %d %q looks whole", caller, got.status, clipped(got.body))
				case c.cut:
				case got.err != nil || got.status != http.StatusBadGateway || got.header.Get(runtime.ErrorHeader) != c.code || !strings.Contains(got.body, `"`+c.code+`"`):
					t.Errorf("%s: answered %d %s %q, %v; want 502 %s", caller, got.status, got.header.Get(runtime.ErrorHeader), clipped(got.body), got.err, c.code)
				}
				if strings.Contains(got.body, canary) {
					t.Errorf("%s: what the upstream said got out: %q", caller, clipped(got.body))
				}
			}
		})
	}
}

func clipped(s string) string { return s[:min(len(s), 200)] }

// An answer that breaks off before anything of it was passed on is tried again like one that never began.
func TestShortAnswerIsTriedAgain(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		method string
		sends  int64
		status int
	}{
		"a read is":    {http.MethodGet, 2, http.StatusOK},
		"a write, not": {http.MethodPost, 1, http.StatusBadGateway},
	} {
		overBoth(t, name, func(t *testing.T, bare bool) {
			t.Helper()
			var sends atomic.Int64
			upstream := rawUpstream(t, func(conn net.Conn) {
				text := "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nwhole"
				if sends.Add(1) == 1 {
					text = strings.TrimSuffix(text, "le")
				}
				answer(text)(conn)
			})
			g := newGateway(t, upstream, egress.TransportConfig{}, retries(3))
			if bare {
				g.target.Transport = g.bare
			}
			resp, body := send(t, g, newRequest(t, c.method, g.URL+"/x", nil))
			rec := g.records.next(t)
			if resp.StatusCode != c.status || sends.Load() != c.sends || c.status == http.StatusOK && string(body) != "whole" {
				t.Errorf("%d %s after %d sends", resp.StatusCode, body, sends.Load())
			}
			if c.sends == 2 && (len(rec.Retried) != 1 || rec.Retried[0].Outcome != runtime.OutcomeReset || rec.Outcome != runtime.OutcomeSuccess) {
				t.Errorf("record %s, %+v", rec.Outcome, rec.Retried)
			}
		})
	}
}

// Over HTTP/2 as well: what is shorter than it said, and what is no answer.
func TestShortAnswerOverHTTP2(t *testing.T) {
	t.Parallel()
	upstream, cfg := newUpstream2(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "50")
		_, _ = io.WriteString(w, "short")
		_ = http.NewResponseController(w).Flush()
		if r.URL.Path == "/reset" {
			panic(http.ErrAbortHandler)
		}
	})
	upstream.Config.ErrorLog = nil
	for _, path := range []string{"/short", "/reset"} {
		g := newGateway(t, upstream.URL, cfg)
		resp, body := send(t, g, newRequest(t, http.MethodGet, g.URL+path, nil))
		wantError(t, resp, body, http.StatusBadGateway, runtime.CodeReset)
		if rec := g.records.next(t); rec.Outcome != runtime.OutcomeReset {
			t.Errorf("%s: %s", path, rec.Outcome)
		}
	}
}

// The beginning of an answer that is held back comes out as it went in, however it arrives.
func TestHeldBackBeginning(t *testing.T) {
	t.Parallel()
	for _, size := range []int{1, 4095, 4096, 4097, 50_000} {
		whole := bytes.Repeat([]byte("0123456789abcdef"), size/16+1)[:size]
		upstream := newUpstream(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", strconv.Itoa(size))
			for part := whole; len(part) > 0; {
				n := min(len(part), 1000)
				_, _ = w.Write(part[:n])
				_ = http.NewResponseController(w).Flush()
				part = part[n:]
			}
		})
		g := newGateway(t, upstream.URL, egress.TransportConfig{})
		for _, bare := range []bool{false, true} {
			if bare {
				g.target.Transport = g.bare
			}
			for range 3 { // The connection is used again, and so is what held the beginning.
				resp, body := send(t, g, newRequest(t, http.MethodGet, g.URL+"/x", nil))
				if rec := g.records.next(t); !bytes.Equal(body, whole) || resp.ContentLength != int64(size) || rec.ResponseBytes != int64(size) || rec.Outcome != runtime.OutcomeSuccess {
					t.Errorf("%d bytes: got %d, %d recorded, %s", size, len(body), rec.ResponseBytes, rec.Outcome)
				}
			}
		}
	}
}
