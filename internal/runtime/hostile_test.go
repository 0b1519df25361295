package runtime_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"switchgear/internal/fault"
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

// What a caller still has to send holds up neither a refusal nor the end of an answer that broke.
func TestNobodyWaitsForTheRest(t *testing.T) {
	t.Parallel()
	short := rawUpstream(t, func(c net.Conn) {
		if _, err := http.ReadRequest(bufio.NewReader(c)); err == nil { // not its body
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nshort\r\n")
		}
	})
	length, chunked := "Content-Length: 10\r\n\r\n", "Transfer-Encoding: chunked\r\n\r\n"
	for name, c := range map[string]struct {
		method, rest string
		status       int // 0: broken off
		options      []option
	}{
		"refused":                   {"TRACE", length, 405, nil},
		"refused, chunked":          {"TRACE", chunked, 405, nil},
		"refused, expects":          {"TRACE", "Expect: 100-continue\r\n" + length, 405, nil},
		"no credential":             {"POST", length, 403, []option{authorize(denied)}},
		"no credential, chunked":    {"POST", chunked, 403, []option{authorize(denied)}},
		"broken answer":             {"POST", length, 0, nil},
		"broken answer, chunked":    {"POST", chunked, 0, nil},
		"broken answer and expects": {"POST", "Expect: 100-continue\r\n" + length, 0, nil},
		"panic":                     {"POST", length, 0, []option{authorize(func(context.Context, *http.Request) error { panic(http.ErrAbortHandler) })}},
	} {
		overBoth(t, name, func(t *testing.T, bare bool) {
			t.Helper()
			g := newGateway(t, short, egress.TransportConfig{}, append(c.options, timeout(time.Minute))...)
			if bare {
				g.target.Transport = g.bare
			}
			conn := dial(t, g.Listener.Addr().String())
			_ = conn.SetDeadline(time.Now().Add(30 * time.Second))
			_, _ = io.WriteString(conn, c.method+" / HTTP/1.1\r\nHost: x\r\n"+c.rest)
			from := bufio.NewReader(conn)
			resp, err := http.ReadResponse(from, nil)
			if err == nil && resp.StatusCode == http.StatusContinue { // The transport had begun to read by then.
				resp, err = http.ReadResponse(from, nil)
			}
			if c.status == 0 {
				if err == nil { // The answer had begun.
					_, err = io.Copy(io.Discard, resp.Body)
					_ = resp.Body.Close()
				}
				if !hungUp(err) {
					t.Errorf("%v, %v; want the connection broken off", resp, err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if answer, body := read(t, resp); answer.StatusCode != c.status {
				t.Errorf("%d %s", answer.StatusCode, body)
			}
			if more, err := io.ReadAll(from); len(more) > 0 || err != nil && !hungUp(err) {
				t.Errorf("%q, %v; want the connection closed", more, err)
			}
		})
	}
}

// overBoth runs a test over our transport, and over the one of net/http.
func overBoth(t *testing.T, name string, test func(t *testing.T, bare bool)) {
	t.Helper()
	t.Run(name, func(t *testing.T) {
		t.Parallel()
		test(t, false)
	})
	t.Run(name+" over net/http", func(t *testing.T) {
		t.Parallel()
		test(t, true)
	})
}

func denied(context.Context, *http.Request) error { return fault.New(fault.Forbidden, "", "no") }

func hungUp(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET)
}
