package runtime_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/textproto"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"switchgear/internal/runtime/egress"
)

// both runs a test before an HTTP/1.1 upstream and before one over TLS with HTTP/2.
func both(t *testing.T, h http.HandlerFunc, test func(t *testing.T, g *gateway, major int), options ...option) {
	t.Helper()
	t.Run("HTTP/1.1", func(t *testing.T) {
		t.Parallel()
		test(t, newGateway(t, newUpstream(t, h).URL, egress.TransportConfig{}, options...), 1)
	})
	t.Run("HTTP/2", func(t *testing.T) {
		t.Parallel()
		upstream, cfg := newUpstream2(t, h)
		test(t, newGateway(t, upstream.URL, cfg, options...), 2)
	})
}

func TestMethodsPathsAndQueries(t *testing.T) {
	t.Parallel()
	both(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("X-Seen", fmt.Sprintf("%s %s %s %d %q", r.Proto, r.Method, r.RequestURI, r.ContentLength, body))
		w.WriteHeader(http.StatusTeapot)
	}, func(t *testing.T, g *gateway, major int) {
		t.Helper()
		proto := map[int]string{1: "HTTP/1.1", 2: "HTTP/2.0"}[major]
		for _, method := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND", "PURGE"} {
			for _, body := range []string{"", "hello"} {
				var from io.Reader
				if body != "" {
					from = strings.NewReader(body)
				}
				const uri = "/a%2Fb//c;v=1/%C3%A9?q=1&q=2;x=%20+%2B&empty="
				resp, _ := send(t, g, newRequest(t, method, g.URL+uri, from))
				want := fmt.Sprintf("%s %s %s %d %q", proto, method, uri, len(body), body)
				if got := resp.Header.Get("X-Seen"); got != want || resp.StatusCode != http.StatusTeapot {
					t.Errorf("%s: the upstream saw %s, want %s (%d)", method, got, want, resp.StatusCode)
				}
				rec := g.records.next(t)
				if rec.Method != method || rec.Path != "/a%2Fb//c;v=1/%C3%A9" || rec.Status != http.StatusTeapot || rec.Outcome != "client_error" || rec.RequestBytes != int64(len(body)) || rec.Attempts != 1 {
					t.Errorf("%s: record %+v", method, rec)
				}
			}
		}
	})
}

func TestHeadersBothWays(t *testing.T) {
	t.Parallel()
	seen := map[int]chan *http.Request{1: make(chan *http.Request, 1), 2: make(chan *http.Request, 1)}
	both(t, func(w http.ResponseWriter, r *http.Request) {
		seen[r.ProtoMajor] <- r
		h := w.Header()
		if r.ProtoMajor == 1 {
			h["Connection"] = []string{"X-Upstream-Hop"}
			h["X-Upstream-Hop"] = []string{"1"}
		}
		h["Keep-Alive"] = []string{"timeout=5"}
		h["Proxy-Authenticate"] = []string{"Basic"}
		h["Alt-Svc"] = []string{`h3="evil.test:443"`}
		h["Switchgear-Error"] = []string{"FORGED"}
		h["Switchgear-Attempts"] = []string{"99"}
		h["X-Request-Id"] = []string{"upstream's own"}
		h["Set-Cookie"] = []string{"a=1", "b=2; Path=/"}
		h["X-Many"] = []string{"1", "2", ""}
		h["Date"] = []string{"Tue, 01 Jan 2030 00:00:00 GMT"}
		h["Etag"] = []string{`W/"x"`}
		h["Content-Type"] = nil
		_, _ = io.WriteString(w, "<html>not sniffed")
	}, func(t *testing.T, g *gateway, major int) {
		t.Helper()
		got := seen[major]
		req := newRequest(t, http.MethodGet, g.URL+"/", nil)
		req.Header = http.Header{
			"Connection": {"keep-alive, X-Caller-Hop", "x-other-hop"}, "X-Caller-Hop": {"1"}, "X-Other-Hop": {"1"},
			"Keep-Alive": {"timeout=5"}, "Proxy-Connection": {"keep-alive"}, "Proxy-Authorization": {"Basic x"}, "Te": {"trailers, deflate"},
			"Authorization": {"Bearer sg_caller"}, "X-Api-Key": {"sg_caller"}, "Cookie": {"session=caller"},
			"Switchgear-Account": {"default"}, "Switchgear-Anything": {"x"},
			"Forwarded": {"for=10.0.0.1"}, "X-Forwarded-For": {"10.0.0.1"}, "X-Forwarded-Proto": {"http"}, "X-Real-Ip": {"10.0.0.1"}, "Via": {"1.1 inside"},
			"Accept": {"application/json"}, "Accept-Encoding": {"br, gzip"}, "User-Agent": {"app/1"}, "Idempotency-Key": {"k1"}, "If-None-Match": {`"x"`},
			"X-Many": {"1", "2", ""}, "X-Lower": {"é"}, "Origin": {"https://app.test"}, "Traceparent": {"00-1-2-01"},
		}
		resp, body := send(t, g, req)
		r := <-got
		want := http.Header{
			"Accept": {"application/json"}, "Accept-Encoding": {"br, gzip"}, "User-Agent": {"app/1"}, "Idempotency-Key": {"k1"}, "If-None-Match": {`"x"`},
			"X-Many": {"1", "2", ""}, "X-Lower": {"é"}, "Origin": {"https://app.test"}, "Traceparent": {"00-1-2-01"}, "Te": {"trailers"},
		}
		if diff := cmp.Diff(want, r.Header); diff != "" {
			t.Errorf("sent upstream (-want +got):\n%s", diff)
		}
		if r.Host != g.target.BaseURL.Host {
			t.Errorf("Host %q, want %q", r.Host, g.target.BaseURL.Host)
		}
		id := resp.Header.Get("X-Request-Id")
		wantBack := http.Header{
			"Set-Cookie": {"a=1", "b=2; Path=/"}, "X-Many": {"1", "2", ""}, "Date": {"Tue, 01 Jan 2030 00:00:00 GMT"}, "Etag": {`W/"x"`},
			"Content-Length": {"17"}, "X-Request-Id": {id}, "Switchgear-Attempts": {"1"}, "Switchgear-Cache": {"bypass"},
		}
		if diff := cmp.Diff(wantBack, resp.Header); diff != "" {
			t.Errorf("passed back (-want +got):\n%s", diff)
		}
		if !strings.HasPrefix(id, "req_") || string(body) != "<html>not sniffed" {
			t.Errorf("id %q, body %q", id, body)
		}
		if rec := g.records.next(t); rec.ID != id || rec.ResponseBytes != 17 || rec.KeyID != "key_1" || rec.ClientIP != "192.0.2.1" || rec.Version != 7 || rec.Host != r.Host {
			t.Errorf("record %+v", rec)
		}

		// Without a User-Agent and Accept-Encoding of the caller, none is invented.
		req = newRequest(t, http.MethodGet, g.URL+"/", nil)
		req.Header = http.Header{"User-Agent": nil}
		_, _ = send(t, g, req)
		if r := <-got; len(r.Header) != 0 && !cmp.Equal(r.Header, http.Header{"User-Agent": {""}}) {
			t.Errorf("headers out of nowhere: %v", r.Header)
		}
	})
}

func TestBodyLengths(t *testing.T) {
	t.Parallel()
	both(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Length", strconv.FormatInt(r.ContentLength, 10))
		w.Header().Set("X-Encoding", strings.Join(r.TransferEncoding, ","))
		if r.ContentLength >= 0 {
			w.Header().Set("Content-Length", strconv.FormatInt(r.ContentLength, 10))
		}
		_ = http.NewResponseController(w).EnableFullDuplex()
		if r.ContentLength < 0 {
			_ = http.NewResponseController(w).Flush()
		}
		_, _ = io.Copy(w, r.Body)
	}, func(t *testing.T, g *gateway, major int) {
		t.Helper()
		for _, size := range []int64{0, 1, 100, 32 << 10, 32<<10 + 1, 1 << 20} {
			for _, known := range []bool{true, false} {
				if size == 0 && !known {
					continue
				}
				want := bytes.Repeat([]byte("abcdefg\n"), int(size/8)+1)[:size]
				req := newRequest(t, http.MethodPost, g.URL+"/", io.MultiReader(bytes.NewReader(want)))
				req.ContentLength, req.Header["Content-Type"] = -1, []string{"text/plain"}
				if known {
					req.ContentLength = size
				}
				if size == 0 {
					req.Body = http.NoBody
				}
				resp, body := send(t, g, req)
				if !bytes.Equal(body, want) {
					t.Errorf("%d bytes: %d came back, or others", size, len(body))
				}
				wantLength := size
				if !known {
					wantLength = -1
				}
				if got := resp.Header.Get("X-Length"); got != strconv.FormatInt(wantLength, 10) || resp.ContentLength != wantLength {
					t.Errorf("%d bytes, known %v: the upstream saw length %s, we got %d", size, known, got, resp.ContentLength)
				}
				if got := resp.Header.Get("X-Encoding"); major == 1 && (got == "chunked") == known {
					t.Errorf("%d bytes, known %v: sent as %q", size, known, got)
				}
				if rec := g.records.next(t); rec.RequestBytes != size || rec.ResponseBytes != size {
					t.Errorf("record counts %d and %d, want %d", rec.RequestBytes, rec.ResponseBytes, size)
				}
			}
		}
	})
}

func TestTrailers(t *testing.T) {
	t.Parallel()
	both(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Trailer", "X-Sum, Switchgear-Error")
		_, _ = io.Copy(w, r.Body)
		w.Header().Set("X-Sum", "request said "+r.Trailer.Get("X-Request-Sum")+r.Trailer.Get("Authorization"))
		w.Header().Set("Switchgear-Error", "FORGED")
		w.Header().Set(http.TrailerPrefix+"X-Late", "1")
	}, func(t *testing.T, g *gateway, _ int) {
		t.Helper()
		req := newRequest(t, http.MethodPost, g.URL+"/", io.MultiReader(strings.NewReader("body")))
		req.Trailer = http.Header{"X-Request-Sum": {"4"}, "Authorization": {"Bearer sg_caller"}}
		resp, body := send(t, g, req)
		if diff := cmp.Diff(http.Header{"X-Sum": {"request said 4"}, "X-Late": {"1"}}, resp.Trailer); diff != "" || string(body) != "body" {
			t.Errorf("body %q, trailers (-want +got):\n%s", body, diff)
		}
	})
}

func TestInformationalResponses(t *testing.T) {
	t.Parallel()
	both(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Link", "</a.css>; rel=preload")
		w.Header().Set("Switchgear-Error", "FORGED")
		w.WriteHeader(http.StatusEarlyHints)
		w.WriteHeader(http.StatusProcessing)
		w.Header().Del("Link")
		w.Header().Set("X-Final", "1")
		w.WriteHeader(http.StatusOK)
	}, func(t *testing.T, g *gateway, _ int) {
		t.Helper()
		var codes []int
		var hints textproto.MIMEHeader
		req := newRequest(t, http.MethodGet, g.URL+"/", nil)
		req = req.WithContext(httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{Got1xxResponse: func(code int, h textproto.MIMEHeader) error {
			codes = append(codes, code)
			if code == http.StatusEarlyHints {
				hints = h
			}
			return nil
		}}))
		resp, _ := send(t, g, req)
		if diff := cmp.Diff([]int{103, 102}, codes); diff != "" {
			t.Errorf("informational responses (-want +got):\n%s", diff)
		}
		if hints.Get("Link") == "" || hints.Get("Switchgear-Error") != "" {
			t.Errorf("early hints %v", hints)
		}
		if resp.StatusCode != http.StatusOK || resp.Header.Get("X-Final") != "1" || resp.Header.Get("Link") != "" || resp.Header.Get("X-Request-Id") == "" {
			t.Errorf("final response %d %v", resp.StatusCode, resp.Header)
		}
	})
}

func TestExpectContinue(t *testing.T) {
	t.Parallel()
	upstream := newUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/no" {
			w.Header().Set("Connection", "close")
			w.WriteHeader(http.StatusExpectationFailed)
			return
		}
		_, _ = io.Copy(w, r.Body)
	})
	g := newGateway(t, upstream.URL, egress.TransportConfig{ExpectContinueTimeout: 1 << 40})
	for path, want := range map[string]struct {
		status int
		body   string
		read   bool
	}{"/yes": {200, "hello", true}, "/no": {417, "", false}} {
		body := &watchedReader{Reader: strings.NewReader("hello")}
		req := newRequest(t, http.MethodPost, g.URL+path, body)
		req.ContentLength = 5
		req.Header.Set("Expect", "100-continue")
		resp, got := send(t, g, req)
		if resp.StatusCode != want.status || string(got) != want.body || body.read.Load() != want.read {
			t.Errorf("%s: %d %q, body read %v; want %+v", path, resp.StatusCode, got, body.read.Load(), want)
		}
	}
}

type watchedReader struct {
	io.Reader
	read atomic.Bool
}

func (r *watchedReader) Read(p []byte) (int, error) {
	r.read.Store(true)
	return r.Reader.Read(p)
}

func TestGzipIsUntouched(t *testing.T) {
	t.Parallel()
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	_, _ = z.Write(bytes.Repeat([]byte("x"), 1<<20))
	_ = z.Close()
	both(t, func(w http.ResponseWriter, r *http.Request) {
		if got := r.Header.Get("Accept-Encoding"); got != r.URL.Query().Get("want") {
			t.Errorf("Accept-Encoding %q", got)
		}
		w.Header().Set("Content-Encoding", "gzip")
		_, _ = w.Write(packed.Bytes())
	}, func(t *testing.T, g *gateway, _ int) {
		t.Helper()
		for _, accept := range []string{"gzip", ""} {
			req := newRequest(t, http.MethodGet, g.URL+"/?want="+accept, nil)
			if accept != "" {
				req.Header.Set("Accept-Encoding", accept)
			}
			resp, body := send(t, g, req)
			if resp.Header.Get("Content-Encoding") != "gzip" || !bytes.Equal(body, packed.Bytes()) {
				t.Errorf("%d bytes of %q, want the %d that were sent", len(body), resp.Header.Get("Content-Encoding"), packed.Len())
			}
		}
	})
}

func TestRedirectsArePassedBack(t *testing.T) {
	t.Parallel()
	other := newUpstream(t, func(http.ResponseWriter, *http.Request) { t.Error("a redirect was followed") })
	both(t, func(w http.ResponseWriter, r *http.Request) {
		status, _ := strconv.Atoi(r.URL.Path[1:])
		w.Header().Set("Location", other.URL+"/x?code=secret-code&a=b")
		w.WriteHeader(status)
	}, func(t *testing.T, g *gateway, _ int) {
		t.Helper()
		for _, status := range []int{301, 302, 303, 307, 308} {
			resp, _ := send(t, g, newRequest(t, http.MethodPost, fmt.Sprintf("%s/%d", g.URL, status), strings.NewReader("x")))
			if resp.StatusCode != status || resp.Header.Get("Location") != other.URL+"/x?code=secret-code&a=b" {
				t.Errorf("%d: %d %v", status, resp.StatusCode, resp.Header)
			}
			if rec := g.records.next(t); rec.ResponseHeader.Get("Location") != other.URL+"/x?code=[redacted]&a=b" || rec.Outcome != "success" {
				t.Errorf("%d: record %+v", status, rec)
			}
		}
	}, authorize(func(_ context.Context, r *http.Request) error {
		r.Header.Set("Authorization", "Bearer upstream")
		return nil
	}))
}

func TestStatusesWithoutBody(t *testing.T) {
	t.Parallel()
	both(t, func(w http.ResponseWriter, r *http.Request) {
		status, _ := strconv.Atoi(r.URL.Path[1:])
		w.Header().Set("Etag", `"x"`)
		w.WriteHeader(status)
	}, func(t *testing.T, g *gateway, _ int) {
		t.Helper()
		for _, status := range []int{200, 204, 205, 304, 404, 500, 503, 599, 700, 999} {
			resp, body := send(t, g, newRequest(t, http.MethodGet, fmt.Sprintf("%s/%d", g.URL, status), nil))
			if resp.StatusCode != status || len(body) != 0 || resp.Header.Get("Etag") != `"x"` || resp.Header.Get("Switchgear-Error") != "" {
				t.Errorf("%d: %d %q %v", status, resp.StatusCode, body, resp.Header)
			}
		}
	})
}

// An offer of h2c need not be taken up; curl --http2 makes it with every request.
func TestOfferOfH2CIsIgnored(t *testing.T) {
	t.Parallel()
	upstream := newUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		if len(r.Header["Upgrade"])+len(r.Header["Http2-Settings"])+len(r.Header["Connection"]) > 0 {
			t.Errorf("passed on: %v", r.Header)
		}
		_, _ = io.WriteString(w, "plain")
	})
	g := newGateway(t, upstream.URL, egress.TransportConfig{})
	req := newRequest(t, http.MethodGet, g.URL+"/", nil)
	req.Header = http.Header{"Connection": {"Upgrade, HTTP2-Settings"}, "Upgrade": {"h2c"}, "Http2-Settings": {"AAMAAABkAAQCAAAAAAIAAAAA"}}
	if resp, body := send(t, g, req); resp.StatusCode != 200 || string(body) != "plain" {
		t.Errorf("%d %q", resp.StatusCode, body)
	}
}

// A caller over HTTP/1.0 gets a body that ends with the connection, and no informational responses.
func TestOldCaller(t *testing.T) {
	t.Parallel()
	upstream := newUpstream(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusEarlyHints)
		_, _ = io.WriteString(w, "one")
		_ = http.NewResponseController(w).Flush()
		_, _ = io.WriteString(w, "two")
	})
	g := newGateway(t, upstream.URL, egress.TransportConfig{})
	conn := dial(t, g.Listener.Addr().String())
	_, _ = io.WriteString(conn, "GET / HTTP/1.0\r\n\r\n")
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	encoding := resp.TransferEncoding
	answer, body := read(t, resp)
	if string(body) != "onetwo" || answer.StatusCode != 200 || len(encoding) != 0 {
		t.Errorf("%d %q %v", answer.StatusCode, body, encoding)
	}
}

// The gateway itself may be reached over HTTP/2, too.
func TestCallerOverHTTP2(t *testing.T) {
	t.Parallel()
	upstream := newUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		_ = http.NewResponseController(w).EnableFullDuplex()
		_, _ = io.Copy(w, r.Body)
		w.Header().Set(http.TrailerPrefix+"X-End", "1")
	})
	inner := newGateway(t, upstream.URL, egress.TransportConfig{})
	front := httptest.NewUnstartedServer(inner.Config.Handler)
	front.EnableHTTP2 = true
	front.StartTLS()
	t.Cleanup(front.Close)
	resp, err := front.Client().Transport.RoundTrip(newRequest(t, http.MethodPut, front.URL+"/x", zeros(1<<20)))
	if err != nil {
		t.Fatal(err)
	}
	n, err := io.Copy(io.Discard, resp.Body)
	_ = resp.Body.Close()
	if err != nil || n != 1<<20 || resp.ProtoMajor != 2 || resp.Trailer.Get("X-End") != "1" {
		t.Errorf("%d bytes, %s, trailer %v, %v", n, resp.Proto, resp.Trailer, err)
	}
}
