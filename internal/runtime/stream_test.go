package runtime_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	goruntime "runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"switchgear/internal/runtime"
	"switchgear/internal/runtime/egress"
)

func dial(t *testing.T, address string) net.Conn {
	t.Helper()
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// Both directions at once: each line is answered before the next one is written.
func TestFullDuplex(t *testing.T) {
	t.Parallel()
	both(t, func(w http.ResponseWriter, r *http.Request) {
		rc := http.NewResponseController(w)
		_ = rc.EnableFullDuplex()
		_ = rc.Flush()
		lines := bufio.NewScanner(r.Body)
		for lines.Scan() {
			_, _ = io.WriteString(w, strings.ToUpper(lines.Text())+"\n")
			_ = rc.Flush()
		}
	}, func(t *testing.T, g *gateway, _ int) {
		t.Helper()
		from, to := io.Pipe()
		resp, err := g.caller.RoundTrip(newRequest(t, http.MethodPost, g.URL+"/", from))
		if err != nil {
			t.Fatal(err)
		}
		answers := bufio.NewReader(resp.Body)
		for _, line := range []string{"one", "two", "three"} {
			_, _ = io.WriteString(to, line+"\n")
			if got, err := answers.ReadString('\n'); err != nil || got != strings.ToUpper(line)+"\n" {
				t.Fatalf("%q, %v", got, err)
			}
		}
		_ = to.Close()
		if rest, err := io.ReadAll(answers); err != nil || len(rest) != 0 {
			t.Errorf("%q, %v", rest, err)
		}
		_ = resp.Body.Close()
		if rec := g.records.next(t); rec.Outcome != "success" || rec.RequestBytes != 14 || rec.ResponseBytes != 14 {
			t.Errorf("record %+v", rec)
		}
	})
}

// Headers and events of a stream arrive while it is open, also when a length is announced.
func TestStreamIsFlushed(t *testing.T) {
	t.Parallel()
	streams := map[int]chan string{1: make(chan string), 2: make(chan string)}
	both(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream; charset=utf-8")
		if r.URL.Path == "/known" {
			w.Header().Set("Content-Length", "6")
		}
		rc := http.NewResponseController(w)
		_ = rc.Flush()
		for line := range streams[r.ProtoMajor] {
			if line == "end" {
				return
			}
			_, _ = io.WriteString(w, line+"\n")
			_ = rc.Flush()
		}
	}, func(t *testing.T, g *gateway, major int) {
		t.Helper()
		next := streams[major]
		for _, path := range []string{"/", "/known"} {
			resp, err := g.caller.RoundTrip(newRequest(t, http.MethodGet, g.URL+path, nil))
			if err != nil {
				t.Fatal(err) // Headers came before any event.
			}
			events := bufio.NewReader(resp.Body)
			for _, want := range []string{"a1", "b2"} {
				next <- want
				if got, err := events.ReadString('\n'); err != nil || got != want+"\n" {
					t.Fatalf("%q, %v", got, err)
				}
			}
			next <- "end"
			if rest, err := io.ReadAll(events); err != nil || len(rest) != 0 {
				t.Errorf("%q, %v", rest, err)
			}
			_ = resp.Body.Close()
		}
	})
}

// 100 MB each way, known and unknown lengths, through upstream, gateway and caller in this one process:
// what is live on the way stays flat. Not parallel: the heap is that of the process.
func TestConstantMemory(t *testing.T) {
	const size = 100 << 20
	handler := func(w http.ResponseWriter, r *http.Request) {
		rc := http.NewResponseController(w)
		_ = rc.EnableFullDuplex()
		buffer := make([]byte, 32<<10)
		if r.ContentLength > 0 {
			w.Header().Set("Content-Length", r.Header.Get("X-Size"))
		}
		_, _ = io.CopyBuffer(struct{ io.Writer }{w}, struct{ io.Reader }{r.Body}, buffer)
	}
	plain := newUpstream(t, handler)
	secure, cfg := newUpstream2(t, handler)
	for name, g := range map[string]*gateway{
		"HTTP/1.1": newGateway(t, plain.URL, egress.TransportConfig{}, timeout(10*time.Minute)),
		"HTTP/2":   newGateway(t, secure.URL, cfg, timeout(10*time.Minute)),
		"recorded": newGateway(t, plain.URL, egress.TransportConfig{}, timeout(10*time.Minute), func(t *runtime.Target) { t.LogBodies = true }),
	} {
		for _, length := range []int64{size, -1} {
			before, most := liveHeap(), uint64(0)
			req := newRequest(t, http.MethodPost, g.URL+"/", zeros(size))
			req.ContentLength = length
			req.Header.Set("X-Size", "104857600")
			req.Header.Set("Content-Type", "text/plain; charset=latin1")
			resp, err := g.caller.RoundTrip(req)
			if err != nil {
				t.Fatal(err)
			}
			n := int64(0)
			for err == nil {
				var more int64
				more, err = io.CopyN(io.Discard, resp.Body, size/8)
				n += more
				most = max(most, liveHeap())
			}
			_ = resp.Body.Close()
			if !errors.Is(err, io.EOF) || n != size {
				t.Errorf("%s: %d bytes, %v", name, n, err)
			}
			if most > before+size/10 {
				t.Errorf("%s, length %d: the heap grew from %d to %d KiB", name, length, before>>10, most>>10)
			}
			if rec := g.records.next(t); rec.RequestBytes != size || rec.ResponseBytes != size || rec.Outcome != "success" {
				t.Errorf("%s: record %+v", name, rec)
			}
		}
	}
}

func liveHeap() uint64 {
	goruntime.GC()
	var m goruntime.MemStats
	goruntime.ReadMemStats(&m)
	return m.HeapAlloc
}

func TestCancelReachesTheUpstream(t *testing.T) {
	t.Parallel()
	type signals struct {
		arrived chan struct{}
		gone    chan error
	}
	upstreams := map[int]signals{1: {make(chan struct{}), make(chan error)}, 2: {make(chan struct{}), make(chan error)}}
	both(t, func(w http.ResponseWriter, r *http.Request) {
		up := upstreams[r.ProtoMajor]
		if r.URL.Path == "/body" {
			_, _ = io.WriteString(w, "some")
			_ = http.NewResponseController(w).Flush()
		}
		up.arrived <- struct{}{}
		<-r.Context().Done()
		up.gone <- context.Cause(r.Context())
	}, func(t *testing.T, g *gateway, major int) {
		t.Helper()
		up := upstreams[major]
		for _, path := range []string{"/headers", "/body"} {
			ctx, cancel := context.WithCancel(t.Context())
			req := newRequest(t, http.MethodGet, g.URL+path, nil).WithContext(ctx)
			if path == "/body" {
				resp, err := g.caller.RoundTrip(req)
				if err != nil {
					t.Fatal(err)
				}
				<-up.arrived
				cancel()
				_ = resp.Body.Close()
			} else {
				done := make(chan error, 1)
				go func() {
					resp, err := g.caller.RoundTrip(req)
					if err == nil {
						_ = resp.Body.Close()
					}
					done <- err
				}()
				<-up.arrived
				cancel()
				if err := <-done; !errors.Is(err, context.Canceled) {
					t.Errorf("%v", err)
				}
			}
			if err := <-up.gone; err == nil {
				t.Errorf("%s: the upstream was not cancelled", path)
			}
			rec := g.records.next(t)
			if rec.Outcome != runtime.OutcomeCanceled || rec.ErrorCode != runtime.CodeCallerCanceled || rec.Outcome.Failure() {
				t.Errorf("%s over HTTP/%d: record %+v", path, major, rec)
			}
		}
	})
}

// A caller that does not read holds neither memory nor the upstream beyond the timeout.
func TestSlowReader(t *testing.T) {
	t.Parallel()
	const size = 200 << 20
	both(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "209715200")
		buffer := make([]byte, 64<<10)
		for range size / len(buffer) {
			if _, err := w.Write(buffer); err != nil {
				return
			}
		}
		t.Error("the whole body was taken although nobody read")
	}, func(t *testing.T, g *gateway, _ int) {
		t.Helper()
		conn := dial(t, g.Listener.Addr().String())
		_, _ = io.WriteString(conn, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
		rec := g.records.next(t)
		if rec.ErrorCode == "" || rec.ResponseBytes >= size || rec.Status != 200 {
			t.Errorf("record %+v", rec)
		}
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatal(err)
		}
		if n, err := io.Copy(io.Discard, resp.Body); err == nil || n >= size {
			t.Errorf("%d bytes and %v; want the connection broken off", n, err)
		}
		_ = resp.Body.Close()
	}, timeout(inTime))
}

// A caller that does not finish its request holds the upstream no longer than the timeout either.
func TestSlowUpload(t *testing.T) {
	t.Parallel()
	both(t, func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
	}, func(t *testing.T, g *gateway, _ int) {
		t.Helper()
		conn := dial(t, g.Listener.Addr().String())
		_, _ = io.WriteString(conn, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhalf")
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatal(err)
		}
		answer, body := read(t, resp)
		wantError(t, answer, body, http.StatusGatewayTimeout, runtime.CodeCallerSlow)
		if rec := g.records.next(t); rec.Outcome != runtime.OutcomeCanceled || rec.RequestBytes != 4 {
			t.Errorf("record %+v", rec)
		}
	}, timeout(inTime))
}

// A request that breaks off in the middle is the caller's failure.
func TestBrokenUpload(t *testing.T) {
	t.Parallel()
	both(t, func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
	}, func(t *testing.T, g *gateway, _ int) {
		t.Helper()
		conn := dial(t, g.Listener.Addr().String())
		_, _ = io.WriteString(conn, "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\nnonsense\r\n")
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatal(err)
		}
		answer, body := read(t, resp)
		wantError(t, answer, body, http.StatusBadRequest, runtime.CodeCallerBody)
		if rec := g.records.next(t); rec.Outcome != runtime.OutcomeCanceled {
			t.Errorf("record %+v", rec)
		}
	})
}

// When an answer overtakes its request, what the caller still sends must never be read as another request.
func TestRestOfARequestIsNotARequest(t *testing.T) {
	t.Parallel()
	for path, c := range map[string]struct {
		status  int
		timeout time.Duration
	}{"/early": {413, time.Minute}, "/late": {504, inTime}} {
		t.Run(path[1:], func(t *testing.T) {
			t.Parallel()
			both(t, func(w http.ResponseWriter, r *http.Request) {
				switch r.URL.Path {
				case "/smuggled":
					t.Error("the rest of a body was taken for a request")
				case "/early":
					rc := http.NewResponseController(w)
					_ = rc.EnableFullDuplex() // Otherwise this server, too, would first wait for the rest.
					w.Header().Set("Content-Length", "0")
					if r.ProtoMajor == 1 {
						w.Header().Set("Connection", "close") // Over HTTP/2 it would end the next stream as well.
					}
					w.WriteHeader(http.StatusRequestEntityTooLarge)
					_ = rc.Flush()
				case "/late":
					_, _ = io.Copy(io.Discard, r.Body)
				}
			}, func(t *testing.T, g *gateway, _ int) {
				t.Helper()
				const rest = "GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n"
				for _, head := range []string{"Content-Length: 39\r\n\r\nhalf", "Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n"} {
					conn := dial(t, g.Listener.Addr().String())
					_, _ = io.WriteString(conn, "POST "+path+" HTTP/1.1\r\nHost: x\r\n"+head)
					from := bufio.NewReader(conn)
					resp, err := http.ReadResponse(from, nil)
					if err != nil {
						t.Fatal(err)
					}
					closing := resp.Close
					answer, _ := read(t, resp)
					if answer.StatusCode != c.status || !closing {
						t.Errorf("%d, closing %v; want %d and the connection closed", answer.StatusCode, closing, c.status)
					}
					_, _ = io.WriteString(conn, rest)
					if again, err := http.ReadResponse(from, nil); err == nil {
						_ = again.Body.Close()
						t.Errorf("the rest was answered with %d", again.StatusCode)
					}
				}
			}, timeout(c.timeout))
		})
	}
}

// An error of ours goes out although the request that it answers never ends, and what comes later of it is
// not read as another request.
func TestErrorsDoNotWaitForTheRest(t *testing.T) {
	t.Parallel()
	g := newGateway(t, "http://127.0.0.1:1", egress.TransportConfig{}, timeout(time.Minute))
	conn := dial(t, g.Listener.Addr().String())
	_, _ = io.WriteString(conn, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 39\r\n\r\nhalf")
	from := bufio.NewReader(conn)
	resp, err := http.ReadResponse(from, nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, body := read(t, resp)
	wantError(t, answer, body, http.StatusBadGateway, runtime.CodeConnectFailed)
	_, _ = io.WriteString(conn, "GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n")
	if again, err := http.ReadResponse(from, nil); err == nil {
		_ = again.Body.Close()
		t.Errorf("the rest was answered with %d", again.StatusCode)
	}
}

// A stream that the upstream gives up while the caller still sends is answered at once.
func TestRefusedStreamDoesNotWaitForTheRest(t *testing.T) {
	t.Parallel()
	var streams atomic.Int64
	target, cfg := refusing(t, 1, &streams)
	g := newGateway(t, target, cfg, timeout(time.Minute), policy(func(p *runtime.Policy) { p.Retry.MaxAttempts = 1 }))
	conn := dial(t, g.Listener.Addr().String())
	_, _ = io.WriteString(conn, "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n")
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, body := read(t, resp)
	wantError(t, answer, body, http.StatusBadGateway, runtime.CodeReset)
	if rec := g.records.next(t); rec.Outcome != runtime.OutcomeReset || rec.Attempts != 1 {
		t.Errorf("record %+v", rec)
	}
}

// A request that has come whole leaves the connection to the next one, also when it was answered with an error.
func TestErrorsLeaveTheConnection(t *testing.T) {
	t.Parallel()
	g := newGateway(t, "http://127.0.0.1:1", egress.TransportConfig{})
	conn := dial(t, g.Listener.Addr().String())
	from := bufio.NewReader(conn)
	for range 3 {
		_, _ = io.WriteString(conn, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nwhole")
		resp, err := http.ReadResponse(from, nil)
		if err != nil {
			t.Fatal(err)
		}
		answer, body := read(t, resp)
		wantError(t, answer, body, http.StatusBadGateway, runtime.CodeConnectFailed)
	}
}
