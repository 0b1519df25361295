package http1

import (
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

const ok = "HTTP/1.1 200 OK\r\n"

// conformance is the table of answers: what becomes of each, and whether its connection is used again.
func conformance() []struct {
	name, method, text string
	want               answer
	reused             bool
} {
	long := strings.Repeat("x", 20_000)
	return []struct {
		name, method, text string
		want               answer
		reused             bool
	}{
		{"length", "GET", ok + "Content-Length: 5\r\n\r\nhello", answer{status: 200, body: "hello"}, true},
		{"longer than the buffer", "GET", ok + "Content-Length: 20000\r\n\r\n" + long, answer{status: 200, body: long}, true},
		{"empty", "GET", ok + "Content-Length: 0\r\n\r\n", answer{status: 200}, true},
		{"length twice, the same", "GET", ok + "Content-Length: 2\r\nContent-Length: 2\r\n\r\nab", answer{status: 200, body: "ab"}, true},
		{"chunks", "GET", ok + "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nA;x=y\r\n0123456789\r\n0\r\n\r\n", answer{status: 200, body: "abc0123456789"}, true},
		{"chunks in capitals", "GET", ok + "transfer-encoding: CHUNKED\r\n\r\n1\r\na\r\n0\r\n\r\n", answer{status: 200, body: "a"}, true},
		{"trailer", "GET", ok + "Transfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n1\r\na\r\n0\r\nX-Sum: 7\r\nX-More: 8\r\n\r\n", answer{status: 200, body: "a", trailer: http.Header{"X-Sum": {"7"}, "X-More": {"8"}}}, true},
		{"HEAD", "HEAD", ok + "Content-Length: 5\r\n\r\n", answer{status: 200}, true},
		{"HEAD of chunks", "HEAD", ok + "Transfer-Encoding: chunked\r\n\r\n", answer{status: 200}, true},
		{"204", "GET", "HTTP/1.1 204 No Content\r\n\r\n", answer{status: 204}, true},
		{"304 with a length", "GET", "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", answer{status: 304}, true},
		{"304 with chunks", "GET", "HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", answer{status: 304}, false},
		{"204 with a body", "GET", "HTTP/1.1 204 No Content\r\nContent-Length: 2\r\n\r\nab", answer{status: 204}, false},
		{"HEAD with a body", "HEAD", ok + "Content-Length: 2\r\n\r\nab", answer{status: 200}, false},
		{"something after it", "GET", ok + "Content-Length: 1\r\n\r\na" + ok + "Content-Length: 5\r\n\r\nstale", answer{status: 200, body: "a"}, false},
		{"something after chunks", "GET", ok + "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", answer{status: 200}, false},
		{"close", "GET", ok + "Connection: close\r\nContent-Length: 1\r\n\r\na", answer{status: 200, body: "a"}, false},
		{"close among others", "GET", ok + "Connection: X-A, Close\r\nContent-Length: 1\r\n\r\na", answer{status: 200, body: "a"}, false},
		{"up to the end", "GET", ok + "\r\nhello", answer{status: 200, body: "hello"}, false},
		{"HTTP/1.0", "GET", "HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\na", answer{status: 200, body: "a"}, false},
		{"HTTP/1.0, kept alive", "GET", "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 1\r\n\r\na", answer{status: 200, body: "a"}, true},
		{"informational before", "GET", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" + ok + "Content-Length: 1\r\n\r\na", answer{status: 200, body: "a"}, true},
		{"another protocol", "GET", "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\nraw", answer{status: 101}, false},
		{"lines without CR", "GET", "HTTP/1.1 200 OK\nContent-Length: 1\n\na", answer{status: 200, body: "a"}, true},
		{"no reason", "GET", "HTTP/1.1 299 \r\nContent-Length: 0\r\n\r\n", answer{status: 299}, true},

		{"short", "GET", ok + "Content-Length: 5\r\n\r\nhel", answer{status: 200, body: "hel", err: io.ErrUnexpectedEOF}, false},
		{"short chunk", "GET", ok + "Transfer-Encoding: chunked\r\n\r\n5\r\nhel", answer{status: 200, body: "hel", err: io.ErrUnexpectedEOF}, false},
		{"no last chunk", "GET", ok + "Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n", answer{status: 200, body: "a", err: io.ErrUnexpectedEOF}, false},
		{"no end of the trailer", "GET", ok + "Transfer-Encoding: chunked\r\n\r\n0\r\nX: 1\r\n", answer{status: 200, err: io.ErrUnexpectedEOF}, false},
		{"nothing", "GET", "", answer{err: io.ErrUnexpectedEOF}, false},
		{"half a header", "GET", ok + "Content-Le", answer{err: io.ErrUnexpectedEOF}, false},

		{"length and chunks", "GET", ok + "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", answer{err: errBoth}, false},
		{"lengths that differ", "GET", ok + "Content-Length: 1\r\nContent-Length: 2\r\n\r\nab", answer{err: errLengths}, false},
		{"lengths in a list", "GET", ok + "Content-Length: 1, 1\r\n\r\na", answer{err: errLength}, false},
		{"negative length", "GET", ok + "Content-Length: -1\r\n\r\n", answer{err: errLength}, false},
		{"length with a sign", "GET", ok + "Content-Length: +1\r\n\r\na", answer{err: errLength}, false},
		{"empty length", "GET", ok + "Content-Length:\r\n\r\n", answer{err: errLength}, false},
		{"length too large", "GET", ok + "Content-Length: 9223372036854775808\r\n\r\n", answer{err: errLength}, false},
		{"another encoding", "GET", ok + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", answer{err: errEncoding}, false},
		{"chunked twice", "GET", ok + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", answer{err: errEncoding}, false},
		{"chunked with more", "GET", ok + "Transfer-Encoding: \vchunked\r\n\r\n0\r\n\r\n", answer{err: errField}, false},
		{"chunks in HTTP/1.0", "GET", "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", answer{err: errOldEncoding}, false},
		{"folded", "GET", ok + "X-A: 1\r\n 2\r\nContent-Length: 0\r\n\r\n", answer{err: errFolded}, false},
		{"folded at once", "GET", ok + " X-A: 1\r\nContent-Length: 0\r\n\r\n", answer{err: errFolded}, false},
		{"space before the colon", "GET", ok + "Content-Length : 5\r\n\r\nhello", answer{err: errField}, false},
		{"no colon", "GET", ok + "nothing\r\n\r\n", answer{err: errField}, false},
		{"no name", "GET", ok + ": 1\r\n\r\n", answer{err: errField}, false},
		{"CR in a value", "GET", ok + "X-A: 1\rX-B: 2\r\n\r\n", answer{err: errField}, false},
		{"NUL in a value", "GET", ok + "X-A: 1\x00\r\n\r\n", answer{err: errField}, false},
		{"another version", "GET", "HTTP/2.0 200 OK\r\n\r\n", answer{err: errVersion}, false},
		{"no version", "GET", "ICY 200 OK\r\n\r\n", answer{err: errVersion}, false},
		{"no status", "GET", "HTTP/1.1\r\n\r\n", answer{err: errStatusLine}, false},
		{"status of two digits", "GET", "HTTP/1.1 20 OK\r\n\r\n", answer{err: errStatusLine}, false},
		{"status with a sign", "GET", "HTTP/1.1 +20 OK\r\n\r\n", answer{err: errStatusLine}, false},
		{"empty line first", "GET", "\r\n" + ok + "\r\n", answer{err: errStatusLine}, false},
		{"long header", "GET", ok + "X: " + strings.Repeat("x", 64<<10) + "\r\n\r\n", answer{err: errTooLong}, false},
		{"endless informational", "GET", strings.Repeat("HTTP/1.1 102 Processing\r\n\r\n", 3000) + ok + "\r\n", answer{err: errTooLong}, false},
		{"many fields", "GET", ok + strings.Repeat("a:b\r\n", 1001) + "\r\n", answer{err: errTooMany}, false},
		{"length in the trailer", "GET", ok + "Transfer-Encoding: chunked\r\n\r\n0\r\nContent-Length: 1\r\n\r\n", answer{status: 200, err: errTrailerField}, false},
		{"length announced as trailer", "GET", ok + "Transfer-Encoding: chunked\r\nTrailer: content-length\r\n\r\n0\r\n\r\n", answer{err: errTrailerName}, false},
		{"trailer without CR", "GET", ok + "Transfer-Encoding: chunked\r\n\r\n0\r\nX: 1\n\r\n", answer{status: 200, err: errField}, false},
		{"long trailer", "GET", ok + "Transfer-Encoding: chunked\r\n\r\n0\r\nX: " + strings.Repeat("x", 4<<10) + "\r\n\r\n", answer{status: 200, err: errTooLong}, false},
		{"bad chunk size", "GET", ok + "Transfer-Encoding: chunked\r\n\r\n0x1\r\na\r\n0\r\n\r\n", answer{status: 200, err: errAny}, false},
		{"negative chunk size", "GET", ok + "Transfer-Encoding: chunked\r\n\r\n-1\r\na\r\n0\r\n\r\n", answer{status: 200, err: errAny}, false},
		{"chunk too long for its size", "GET", ok + "Transfer-Encoding: chunked\r\n\r\n1\r\nab\r\n0\r\n\r\n", answer{status: 200, body: "a", err: errAny}, false},
		{"chunk line without CR", "GET", ok + "Transfer-Encoding: chunked\r\n\r\n1\na\r\n0\r\n\r\n", answer{status: 200, err: errAny}, false},
	}
}

// errAny stands for an error of another package whose text nobody promises.
var errAny = errors.New("any error")

func goodAnswers() (texts []string) {
	for _, c := range conformance() {
		if c.want.err == nil {
			texts = append(texts, c.text)
		}
	}
	return texts
}

func badAnswers() (texts []string) {
	for _, c := range conformance() {
		if c.want.err != nil {
			texts = append(texts, c.text)
		}
	}
	return texts
}

func TestConformance(t *testing.T) {
	t.Parallel()
	for _, c := range conformance() {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			ends := c.want.err != nil || strings.Contains(c.name, "end") // The server has nothing more to say.
			serve := answers(c.text)
			if ends {
				serve = once(c.text)
			}
			s := newRaw(t, serve)
			tr := newTransport(t, Config{})
			for range 2 {
				got := exchange(tr, newRequest(t, c.method, s.url+"/x", nil))
				if !errors.Is(got.err, c.want.err) && (c.want.err != errAny || got.err == nil) { //nolint:errorlint // That very value.
					t.Fatalf("%v, want %v", got.err, c.want.err)
				}
				got.err, got.header = c.want.err, nil
				if diff := cmp.Diff(c.want, got, cmp.AllowUnexported(answer{}), cmpopts.EquateErrors(), cmpopts.EquateEmpty()); diff != "" {
					t.Fatal(diff)
				}
			}
			want := int64(2)
			if c.reused {
				want = 1
			}
			if s.connections.Load() != want || s.requests.Load() != 2 {
				t.Errorf("%d connections and %d requests, want %d and 2", s.connections.Load(), s.requests.Load(), want)
			}
		})
	}
}

// What goes out is what net/http would send.
func TestRequestsAreThoseOfNetHTTP(t *testing.T) {
	t.Parallel()
	for i, r := range []*http.Request{
		newRequest(t, "GET", "http://up.test", nil),
		newRequest(t, "HEAD", "http://up.test:8080/a%2Fb//c;v=1?q=1&q=%20+%2B", nil),
		newRequest(t, "DELETE", "http://up.test/?", nil),
		newRequest(t, "POST", "http://up.test/", nil),
		newRequest(t, "POST", "http://up.test/", strings.NewReader("hello")),
		newRequest(t, "PROPFIND", "http://up.test/", strings.NewReader("hello")),
		newRequest(t, "PUT", "http://[::1]:80/", http.NoBody),
	} {
		for _, agent := range []http.Header{{}, {"User-Agent": nil}, {"User-Agent": {"app"}}} {
			r := r.Clone(t.Context())
			r.Header = agent
			r.Header["X-B"], r.Header["Accept"], r.Header["Te"], r.Header["Content-Length"] = []string{"2", " 1 "}, []string{"*/*"}, []string{"trailers"}, []string{"99"}
			r.Host = map[bool]string{true: "other.test"}[i%2 == 1]
			var want strings.Builder
			if r.GetBody != nil {
				r.Body, _ = r.GetBody()
			}
			if err := r.Write(&want); err != nil {
				t.Fatal(err)
			}
			if r.GetBody != nil {
				r.Body, _ = r.GetBody()
			}
			resp, c, err := received(r, ok+"Content-Length: 0\r\n\r\n", nil)
			if err != nil {
				t.Fatal(err)
			}
			_ = resp.Body.Close()
			if diff := cmp.Diff(want.String(), c.sent.String()); diff != "" {
				t.Error(diff)
			}
		}
	}
}

// What would become something else on the wire is not sent.
func TestUnsendableRequests(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(r *http.Request){
		"line break in a value":   func(r *http.Request) { r.Header["X"] = []string{"a\r\nB: c"} },
		"line break in the agent": func(r *http.Request) { r.Header["User-Agent"] = []string{"a\nB: c"} },
		"line break in a name":    func(r *http.Request) { r.Header["X\r\nB"] = []string{"c"} },
		"empty name":              func(r *http.Request) { r.Header[""] = []string{"c"} },
		"space in the query":      func(r *http.Request) { r.URL.RawQuery = "a HTTP/1.1" },
		"line break in the query": func(r *http.Request) { r.URL.RawQuery = "a\r\nB: c" },
	} {
		r := newRequest(t, "GET", "http://up.test/", nil)
		change(r)
		o := &events{}
		resp, c, err := received(r, ok+"\r\n", o)
		err = failure(resp, err)
		if !errors.Is(err, errUnsendable) || c.sent.Len() > 0 {
			t.Errorf("%s: %v, sent %q", name, err, c.sent.String())
		}
		o.want(t, "asked", "connected")
	}
}

// What is not plain is left to the other transport, whole.
func TestOthers(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(r *http.Request){
		"expects":        func(r *http.Request) { r.Header.Set("Expect", "100-continue") },
		"upgrade":        func(r *http.Request) { r.Header.Set("Upgrade", "websocket") },
		"connection":     func(r *http.Request) { r.Header.Set("Connection", "close") },
		"close":          func(r *http.Request) { r.Close = true },
		"chunked":        func(r *http.Request) { r.Body, r.ContentLength = io.NopCloser(strings.NewReader("x")), -1 },
		"unknown length": func(r *http.Request) { r.Body, r.ContentLength = io.NopCloser(strings.NewReader("x")), 0 },
		"long":           func(r *http.Request) { r.Body, r.ContentLength = io.NopCloser(strings.NewReader("x")), maxBody+1 },
		"no body":        func(r *http.Request) { r.ContentLength = 5 },
		"trailer":        func(r *http.Request) { r.Trailer = http.Header{"X": nil} },
		"CONNECT":        func(r *http.Request) { r.Method = "CONNECT" },
		"method":         func(r *http.Request) { r.Method = "GET /evil HTTP/1.1\r\nX:" },
		"user":           func(r *http.Request) { r.URL.Host = "user@up.test" },
		"host":           func(r *http.Request) { r.Host = "up.test\r\nX: y" },
		"name":           func(r *http.Request) { r.URL.Host = "bücher.test" },
		"scheme":         func(r *http.Request) { r.URL.Scheme = "ftp" },
		"opaque":         func(r *http.Request) { r.URL.Opaque = "//x/y" },
		"no host":        func(r *http.Request) { r.URL.Host = "" },
	} {
		other := &remembering{}
		tr := New(Deps{Other: other, Dial: nil}, Config{})
		r := newRequest(t, "GET", "http://up.test/", nil)
		change(r)
		if got := exchange(tr, r); got.status != 418 || other.n != 1 || other.last != r {
			t.Errorf("%s: %+v after %d exchanges", name, got, other.n)
		}
	}
}

type remembering struct {
	n      int
	last   *http.Request
	called chan struct{} // nil, or closed by the first call
}

func (o *remembering) RoundTrip(r *http.Request) (*http.Response, error) {
	o.n, o.last = o.n+1, r
	if o.called != nil {
		close(o.called)
	}
	body := 0
	if r.Body != nil {
		text, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, err
		}
		body = len(text)
	}
	return &http.Response{StatusCode: 418, ProtoMajor: 1, Header: http.Header{"X-Body": {strconv.Itoa(body)}}, Body: http.NoBody}, nil
}

func (*remembering) CloseIdleConnections() {}
