package cache

import (
	"context"
	"errors"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"switchgear/internal/fault"
	"switchgear/internal/telemetry"
)

func newCache(tb testing.TB, cfg Config) *Cache {
	tb.Helper()
	c, err := New(Deps{Logger: telemetry.Discard(), Now: time.Now}, cfg)
	if err != nil {
		tb.Fatal(err)
	}
	return c
}

// caller makes calls as the gateway does: it looks, asks the upstream if need be, and answers.
type caller struct {
	cache    *Cache
	scope    Scope
	policy   *Policy
	upstream func(r *http.Request) (*reply, error)
	refresh  bool
	failure  Cause // of an error of the upstream; empty: connect_failed
	fallback Fallback
}

func (c *caller) call(tb testing.TB, method, path string, lines ...string) *httptest.ResponseRecorder {
	tb.Helper()
	u, err := url.Parse("https://api.example.com" + path)
	if err != nil {
		tb.Fatal(err)
	}
	h := header(lines...)
	w := httptest.NewRecorder()
	request := Request{Scope: c.scope, Method: method, URL: u, Header: h, Policy: c.policy}
	if c.refresh {
		request.Refresh = func(ctx context.Context, h http.Header) (*http.Response, error) {
			answer, err := c.upstream((&http.Request{Method: method, URL: u, Header: h}).WithContext(ctx))
			if err != nil {
				return nil, err
			}
			return answer.response(), nil
		}
	}
	call := c.cache.Open(tb.Context(), request)
	defer call.Close()
	if err := call.Err(); err != nil {
		w.WriteHeader(fault.KindOf(err).Status())
		return w
	}
	write := func(res *Response) *httptest.ResponseRecorder {
		res.SetHeader(w.Header())
		if _, err := res.Write(w, method); err != nil {
			tb.Error(err)
		}
		return w
	}
	if res := call.Hit(); res != nil {
		return write(res)
	}
	call.Condition(h)
	answer, err := c.upstream(&http.Request{Method: method, URL: u, Header: h})
	if err != nil {
		cause := c.failure
		if cause == "" {
			cause = CauseConnectFailed
		}
		for _, step := range PlanFor(method, false, cause, call.Stale(), c.fallback).Steps {
			switch step {
			case StepStale:
				return write(call.Failed(cause))
			case StepStatic:
				call.Failed(cause)
				return write(c.fallback.Static.Response(cause, true))
			case StepAlternate, StepError:
			}
		}
		call.Failed(cause)
		w.WriteHeader(http.StatusBadGateway)
		return w
	}
	resp := answer.response()
	defer func() { _ = resp.Body.Close() }() // The one that is there by then.
	if res := call.Answered(resp); res != nil {
		return write(res)
	}
	maps.Copy(w.Header(), resp.Header)
	call.Mark(w.Header())
	w.WriteHeader(resp.StatusCode)
	_, _ = io.Copy(w, resp.Body)
	return w
}

// reply is what an upstream answers.
type reply struct {
	status int
	header http.Header
	body   io.Reader
	length int64
}

func answers(status int, body string, lines ...string) *reply {
	h := header(lines...)
	h.Set("Date", time.Now().UTC().Format(http.TimeFormat))
	return &reply{status, h, strings.NewReader(body), int64(len(body))}
}

func (r *reply) response() *http.Response {
	return &http.Response{StatusCode: r.status, Header: r.header, Body: io.NopCloser(r.body), ContentLength: r.length}
}

// counting answers with the number of the call.
func counting(n *atomic.Int64, lines ...string) func(*http.Request) (*reply, error) {
	return func(*http.Request) (*reply, error) {
		return answers(200, strconv.FormatInt(n.Add(1), 10), lines...), nil
	}
}

func respect() *Policy { return &Policy{Mode: ModeRespect} }

func newCaller(tb testing.TB, p *Policy, upstream func(*http.Request) (*reply, error)) *caller {
	tb.Helper()
	return &caller{
		cache: newCache(tb, Config{}), policy: p, upstream: upstream,
		scope: Scope{Connection: "con_1", Account: "default", Credential: "cred_1", CredentialVersion: 1},
	}
}

func serve(t *testing.T, c *Cache) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- c.Serve(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
	synctest.Wait()
}

func expect(t *testing.T, w *httptest.ResponseRecorder, body, state, status string) {
	t.Helper()
	if w.Body.String() != body || w.Header().Get(StateHeader) != state || w.Header().Get(StatusHeader) != status {
		t.Errorf("%d %q, %q, %q; want %q, %q, %q", w.Code, w.Body, w.Header().Get(StateHeader), w.Header().Get(StatusHeader), body, state, status)
	}
}

func TestMissHitStaleAndRevalidated(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var conditions []string
		c := newCaller(t, respect(), nil)
		c.upstream = func(r *http.Request) (*reply, error) {
			conditions = append(conditions, r.Header.Get("If-None-Match"))
			if r.Header.Get("If-None-Match") == `"1"` {
				return answers(304, "", `Etag: "1"`, "Cache-Control: max-age=30", "X-Rev: 2"), nil
			}
			return answers(200, "one", `Etag: "1"`, "Cache-Control: max-age=60", "Set-Cookie: s=1", "X-Rev: 1"), nil
		}
		w := c.call(t, "GET", "/a")
		expect(t, w, "one", "miss", "switchgear; fwd=uri-miss")
		if w.Header().Get("Set-Cookie") == "" {
			t.Error("the first caller misses its cookie")
		}
		time.Sleep(10 * time.Second)
		w = c.call(t, "GET", "/a")
		expect(t, w, "one", "hit", "switchgear; hit; ttl=50")
		if w.Header().Get("Age") != "10" || w.Header().Get("Set-Cookie") != "" || w.Header().Get("Content-Length") != "3" {
			t.Errorf("header of a hit: %v", w.Header())
		}
		time.Sleep(50 * time.Second)
		w = c.call(t, "GET", "/a")
		expect(t, w, "one", "revalidated", "switchgear; fwd=stale; fwd-status=304; ttl=30")
		if w.Code != 200 || w.Header().Get("X-Rev") != "2" || w.Header().Get("Age") != "0" {
			t.Errorf("%d %v", w.Code, w.Header())
		}
		time.Sleep(29 * time.Second)
		expect(t, c.call(t, "GET", "/a"), "one", "hit", "switchgear; hit; ttl=1")
		if diff := cmp.Diff([]string{"", `"1"`}, conditions); diff != "" {
			t.Error(diff)
		}
		s := c.cache.Stats("con_1")
		if diff := cmp.Diff(Counts{Hits: 2, Misses: 1, Revalidated: 1, Stored: 1}, s.Counts); diff != "" || s.Entries != 1 {
			t.Errorf("%d entries, (-want +got):\n%s", s.Entries, diff)
		}
	})
}

func TestRFC9111Section4_3_2CallersOwnCondition(t *testing.T) {
	t.Parallel()
	var n atomic.Int64
	c := newCaller(t, respect(), counting(&n, `Etag: "1"`, "Cache-Control: max-age=60"))
	c.call(t, "GET", "/a")
	w := c.call(t, "GET", "/a", `If-None-Match: "1"`)
	if w.Code != 304 || w.Body.Len() != 0 || w.Header().Get("Etag") != `"1"` || w.Header().Get("Content-Length") != "" || w.Header().Get(StateHeader) != "hit" {
		t.Errorf("%d %q %v", w.Code, w.Body, w.Header())
	}
	if w := c.call(t, "GET", "/a", `If-None-Match: "2"`); w.Code != 200 || w.Body.String() != "1" {
		t.Errorf("%d %q", w.Code, w.Body)
	}
	// With nothing kept the condition is the caller's, and so is the 304.
	c.upstream = func(r *http.Request) (*reply, error) {
		if r.Header.Get("If-None-Match") != `"9"` {
			t.Errorf("the caller's condition became %q", r.Header.Get("If-None-Match"))
		}
		return answers(304, "", `Etag: "9"`), nil
	}
	if w := c.call(t, "GET", "/b", `If-None-Match: "9"`); w.Code != 304 || w.Header().Get(StateHeader) != "miss" {
		t.Errorf("%d %v", w.Code, w.Header())
	}
}

// Our validators must not be taken for the caller's when it is answered.
func TestRFC9111Section4_3_3RevalidationAnswersInFull(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newCaller(t, respect(), func(r *http.Request) (*reply, error) {
			if r.Header.Get("If-None-Match") != "" {
				return answers(304, "", "Cache-Control: max-age=60"), nil
			}
			return answers(200, "one", `Etag: "1"`, "Cache-Control: max-age=1"), nil
		})
		c.call(t, "GET", "/a")
		time.Sleep(time.Minute)
		if w := c.call(t, "GET", "/a"); w.Code != 200 || w.Body.String() != "one" {
			t.Errorf("%d %q", w.Code, w.Body)
		}
		time.Sleep(2 * time.Minute)
		if w := c.call(t, "GET", "/a", `If-None-Match: "1"`); w.Code != 304 {
			t.Errorf("a caller that has it got %d", w.Code)
		}
	})
}

func TestRFC9111Section4_3_4ForeignETagIsNotMerged(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var n atomic.Int64
		c := newCaller(t, respect(), func(r *http.Request) (*reply, error) {
			if n.Add(1) == 2 {
				return answers(304, "", `Etag: "2"`, "Cache-Control: max-age=600"), nil
			}
			return answers(200, "one", `Etag: "1"`, "Cache-Control: max-age=1"), nil
		})
		c.call(t, "GET", "/a")
		time.Sleep(time.Minute)
		c.call(t, "GET", "/a")
		if w := c.call(t, "GET", "/a"); w.Header().Get(StateHeader) != "miss" || n.Load() != 3 {
			t.Errorf("kept under a foreign ETag: %v", w.Header())
		}
	})
}

func TestRFC9111Section4_4Invalidation(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		method string
		path   string
		status int
		lines  []string
		want   string // the state of the next GET /a
	}{
		"POST":                        {"POST", "/a", 201, nil, "miss"},
		"PUT":                         {"PUT", "/a", 204, nil, "miss"},
		"PATCH":                       {"PATCH", "/a", 200, nil, "miss"},
		"DELETE":                      {"DELETE", "/a", 204, nil, "miss"},
		"a method nobody knows":       {"FROB", "/a", 200, nil, "miss"},
		"redirected":                  {"POST", "/a", 303, nil, "miss"},
		"a failed one":                {"POST", "/a", 409, nil, "hit"},
		"a broken one":                {"POST", "/a", 500, nil, "hit"},
		"another URL":                 {"POST", "/b", 200, nil, "hit"},
		"OPTIONS is safe":             {"OPTIONS", "/a", 200, nil, "hit"},
		"Location":                    {"POST", "/b", 201, []string{"Location: /a"}, "miss"},
		"Content-Location":            {"POST", "/b", 200, []string{"Content-Location: https://api.example.com/a"}, "miss"},
		"Location of somewhere else":  {"POST", "/b", 201, []string{"Location: https://other.example.com/a"}, "hit"},
		"Location that is not an URL": {"POST", "/b", 201, []string{"Location: ://"}, "hit"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var n atomic.Int64
			c := newCaller(t, respect(), counting(&n, "Cache-Control: max-age=60"))
			other := *c
			other.scope.Account = "eu"
			for _, who := range []*caller{c, &other} {
				who.call(t, "GET", "/a")
			}
			read := c.upstream
			c.upstream = func(*http.Request) (*reply, error) { return answers(tt.status, "", tt.lines...), nil }
			if w := c.call(t, tt.method, tt.path); w.Header().Get(StatusHeader) != "switchgear; fwd=method" || w.Header().Get(StateHeader) != "bypass" {
				t.Errorf("marks of the write: %v", w.Header())
			}
			c.upstream = read
			for _, who := range []*caller{c, &other} { // Also what another account keeps.
				if got := who.call(t, "GET", "/a").Header().Get(StateHeader); got != tt.want {
					t.Errorf("%s, want %s", got, tt.want)
				}
			}
		})
	}
}

// A read that began before a write may have seen the old state: its answer is not kept.
func TestReadAcrossAWriteIsNotKept(t *testing.T) {
	t.Parallel()
	for name, between := range map[string]func(t *testing.T, c *caller){
		"write": func(t *testing.T, c *caller) { t.Helper(); c.call(t, "POST", "/a") },
		"purge": func(t *testing.T, c *caller) { t.Helper(); c.cache.Purge("con_1") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var n atomic.Int64
			c := newCaller(t, respect(), nil)
			writer := *c
			writer.upstream = func(*http.Request) (*reply, error) { return answers(204, ""), nil }
			c.upstream = func(*http.Request) (*reply, error) {
				if n.Add(1) == 1 {
					between(t, &writer)
				}
				return answers(200, "x", "Cache-Control: max-age=60"), nil
			}
			for want := range 2 {
				if c.call(t, "GET", "/a"); n.Load() != int64(want+1) {
					t.Errorf("%d calls, want %d", n.Load(), want+1)
				}
			}
			if c.call(t, "GET", "/a"); n.Load() != 2 {
				t.Error("the second answer was not kept")
			}
		})
	}
}

func TestRFC9110Section9_3_2Head(t *testing.T) {
	t.Parallel()
	var n atomic.Int64
	c := newCaller(t, respect(), counting(&n, "Cache-Control: max-age=60", `Etag: "1"`))
	c.call(t, "GET", "/a")
	w := c.call(t, "HEAD", "/a")
	if w.Header().Get(StateHeader) != "hit" || w.Body.Len() != 0 || w.Header().Get("Content-Length") != "1" || n.Load() != 1 {
		t.Errorf("HEAD from a GET: %q %v", w.Body, w.Header())
	}
	head := func(*http.Request) (*reply, error) {
		n.Add(1)
		resp := answers(200, "", "Cache-Control: max-age=60", `Etag: "2"`, "Content-Length: 77")
		resp.length = 77
		return resp, nil
	}
	c.upstream = head
	expect(t, c.call(t, "HEAD", "/b"), "", "miss", "switchgear; fwd=uri-miss; stored")
	if w := c.call(t, "HEAD", "/b"); w.Header().Get(StateHeader) != "hit" || w.Header().Get("Content-Length") != "77" {
		t.Errorf("HEAD from a HEAD: %v", w.Header())
	}
	c.upstream = counting(&n, "Cache-Control: max-age=60")
	if w := c.call(t, "GET", "/b"); w.Header().Get(StateHeader) != "miss" {
		t.Error("a GET was answered from a HEAD")
	}
	// 9111 4.3.5: a HEAD that shows another ETag makes the kept GET useless.
	c.upstream = head
	c.call(t, "HEAD", "/a", "Cache-Control: no-cache")
	c.upstream = counting(&n, "Cache-Control: max-age=60")
	if w := c.call(t, "GET", "/a"); w.Header().Get(StateHeader) != "miss" {
		t.Error("a contradicted GET was given")
	}
}

func TestRFC9111Section5_2_1_7OnlyIfCached(t *testing.T) {
	t.Parallel()
	var n atomic.Int64
	c := newCaller(t, respect(), counting(&n, "Cache-Control: max-age=60"))
	if w := c.call(t, "GET", "/a", "Cache-Control: only-if-cached"); w.Code != 504 || n.Load() != 0 {
		t.Errorf("%d after %d calls", w.Code, n.Load())
	}
	c.call(t, "GET", "/a")
	if w := c.call(t, "GET", "/a", "Cache-Control: only-if-cached"); w.Code != 200 || n.Load() != 1 {
		t.Errorf("%d after %d calls", w.Code, n.Load())
	}
	if s := c.cache.Stats("con_1"); s.Misses != 2 || s.Hits != 1 {
		t.Errorf("%+v", s)
	}
}

func TestBypass(t *testing.T) {
	t.Parallel()
	for name, line := range map[string]string{
		"Range": "Range: bytes=0-1", "If-Match": `If-Match: "1"`, "If-Unmodified-Since": "If-Unmodified-Since: " + date(0),
		"If-Range": `If-Range: "1"`, "no-store": "Cache-Control: no-store",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var n atomic.Int64
			c := newCaller(t, respect(), counting(&n, "Cache-Control: max-age=60"))
			for range 2 {
				if w := c.call(t, "GET", "/a", line); w.Header().Get(StateHeader) != "bypass" {
					t.Errorf("%v", w.Header())
				}
			}
			if s := c.cache.Stats("con_1"); n.Load() != 2 || s.Entries != 0 || s.Bypassed != 2 {
				t.Errorf("%d calls, %+v", n.Load(), s)
			}
		})
	}
	c := newCaller(t, respect(), nil)
	if call := c.cache.Open(t.Context(), Request{Scope: c.scope, Method: "GET", URL: &url.URL{Path: "/"}, HasBody: true, Policy: c.policy}); !call.bypassed {
		t.Error("a GET with a body was looked up")
	}
}

func TestOffDoesNothing(t *testing.T) {
	t.Parallel()
	for name, p := range map[string]*Policy{"nil": nil, "zero": {}} {
		var n atomic.Int64
		c := newCaller(t, p, counting(&n, "Cache-Control: max-age=60"))
		for range 2 {
			if w := c.call(t, "GET", "/a"); w.Header().Get(StateHeader) != "" || w.Header().Get(StatusHeader) != "" {
				t.Errorf("%s: %v", name, w.Header())
			}
		}
		if n.Load() != 2 || len(c.cache.Snapshot().Connections) != 0 {
			t.Errorf("%s: %d calls", name, n.Load())
		}
	}
}

// Nobody is answered with what was fetched for somebody else.
func TestScopesAreApart(t *testing.T) {
	t.Parallel()
	var n atomic.Int64
	c := newCaller(t, &Policy{Mode: ModeOverride, TTL: time.Hour, StaleIfError: time.Hour}, counting(&n))
	c.call(t, "GET", "/a")
	for name, change := range map[string]func(*Scope){
		"connection": func(s *Scope) { s.Connection = "con_2" }, "account": func(s *Scope) { s.Account = "eu" },
		"credential": func(s *Scope) { s.Credential = "cred_2" }, "version": func(s *Scope) { s.CredentialVersion = 2 },
	} {
		other := *c
		change(&other.scope)
		other.upstream = func(*http.Request) (*reply, error) { return answers(503, "down"), nil }
		if w := other.call(t, "GET", "/a"); w.Code != 503 || w.Body.String() != "down" {
			t.Errorf("another %s: %d %q", name, w.Code, w.Body)
		}
	}
}

func TestVariants(t *testing.T) {
	t.Parallel()
	var n atomic.Int64
	c := newCaller(t, respect(), counting(&n, "Cache-Control: max-age=60", "Vary: User-Agent"))
	expect(t, c.call(t, "GET", "/a", "User-Agent: x"), "1", "miss", "switchgear; fwd=uri-miss")
	expect(t, c.call(t, "GET", "/a", "User-Agent: y"), "2", "miss", "switchgear; fwd=vary-miss")
	if got := c.call(t, "GET", "/a", "User-Agent: x").Body.String() + c.call(t, "GET", "/a", "User-Agent: y").Body.String(); got != "12" {
		t.Errorf("variants %q", got)
	}
	for i := range 3 * maxVariants {
		c.call(t, "GET", "/a", "User-Agent: "+strconv.Itoa(i))
	}
	if s := c.cache.Stats("con_1"); s.Entries != maxVariants {
		t.Errorf("%d variants of one URL", s.Entries)
	}
}

func TestRFC5861StaleIfErrorOutcomes(t *testing.T) {
	t.Parallel()
	const reset Cause = "reset"
	statuses := map[int]Cause{500: CauseStatus500, 502: CauseStatus502, 503: CauseStatus503, 504: CauseStatus504, 429: CauseThrottled}
	for status := range 600 {
		if cause, ok := CauseOfStatus(status); ok != (statuses[status] != "") || cause != statuses[status] {
			t.Errorf("%d is %q", status, cause)
		}
	}
	for name, tt := range map[string]struct {
		status int
		cause  Cause
		method string
		want   string // Cache-Status; empty: it fails
	}{
		"500":              {status: 500, want: "switchgear; fwd=stale; fwd-status=500; ttl=-60; detail=status_500"},
		"503":              {status: 503, want: "switchgear; fwd=stale; fwd-status=503; ttl=-60; detail=status_503"},
		"throttled":        {status: 429, want: "switchgear; fwd=stale; ttl=-60; detail=throttled"},
		"breaker":          {cause: CauseBreakerOpen, want: "switchgear; hit; ttl=-60; detail=breaker_open"},
		"bulkhead":         {cause: CauseBulkheadFull, want: "switchgear; hit; ttl=-60; detail=bulkhead_full"},
		"timeout":          {cause: CauseTimeout, want: "switchgear; fwd=stale; ttl=-60; detail=timeout"},
		"connect":          {cause: CauseConnectFailed, want: "switchgear; fwd=stale; ttl=-60; detail=connect_failed"},
		"not one of them":  {cause: reset},
		"501":              {status: 501},
		"404":              {status: 404},
		"401":              {status: 401},
		"never for a POST": {cause: CauseTimeout, method: "POST"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var n atomic.Int64
				c := newCaller(t, &Policy{Mode: ModeRespect, StaleIfError: time.Hour}, counting(&n, "Cache-Control: max-age=60"))
				c.call(t, "GET", "/a")
				time.Sleep(2 * time.Minute)
				c.failure = tt.cause
				c.upstream = func(*http.Request) (*reply, error) {
					if tt.status == 0 {
						return nil, errors.New("broken")
					}
					return answers(tt.status, "failed"), nil
				}
				method := tt.method
				if method == "" {
					method = "GET"
				}
				w := c.call(t, method, "/a")
				if tt.want == "" {
					if w.Code < 400 {
						t.Errorf("%d %q %v", w.Code, w.Body, w.Header())
					}
					return
				}
				expect(t, w, "1", "stale", tt.want)
				if w.Code != 200 || w.Header().Get("Age") != "120" {
					t.Errorf("%d, Age %s", w.Code, w.Header().Get("Age"))
				}
				s := c.cache.Snapshot()
				if s.Total.Stale != 1 || s.Total.OldestStale != time.Minute {
					t.Errorf("%+v", s.Total)
				}
				time.Sleep(time.Hour)
				if w := c.call(t, method, "/a"); w.Code < 400 {
					t.Errorf("too old, and yet %d", w.Code)
				}
			})
		})
	}
}

// An answer that says the resource is gone, or the credential no longer good, ends the use of what is kept.
func TestOutdatedAnswerIsDropped(t *testing.T) {
	t.Parallel()
	for status, keeps := range map[int]bool{404: false, 401: false, 403: false, 410: false, 302: false, 501: true, 408: true, 425: true} {
		synctest.Test(t, func(t *testing.T) {
			var n atomic.Int64
			c := newCaller(t, &Policy{Mode: ModeFallback, StaleIfError: time.Hour}, counting(&n))
			c.call(t, "GET", "/a")
			for _, s := range []int{status, 503} {
				c.upstream = func(*http.Request) (*reply, error) { return answers(s, ""), nil }
				if w := c.call(t, "GET", "/a"); s == 503 && (w.Code == 200) != keeps {
					t.Errorf("after %d: %d", status, w.Code)
				}
			}
		})
	}
}

func TestFallbackModeAlwaysAsks(t *testing.T) {
	t.Parallel()
	var n atomic.Int64
	c := newCaller(t, &Policy{Mode: ModeFallback, StaleIfError: time.Hour}, counting(&n, "Cache-Control: max-age=60"))
	expect(t, c.call(t, "GET", "/a"), "1", "miss", "switchgear; fwd=uri-miss")
	expect(t, c.call(t, "GET", "/a"), "2", "miss", "switchgear; fwd=stale")
	c.upstream = func(*http.Request) (*reply, error) { return nil, errors.New("refused") }
	if w := c.call(t, "GET", "/a"); w.Body.String() != "2" || w.Header().Get(StateHeader) != "stale" {
		t.Errorf("%q %v", w.Body, w.Header())
	}
}

func TestMarksFollowThoseOfOthers(t *testing.T) {
	t.Parallel()
	shared := make([]string, 1, 4)
	shared[0] = "cdn; hit"
	h := http.Header{StatusHeader: shared}
	m := marks{state: StateMiss, forward: fwdMiss}
	m.set(h)
	if diff := cmp.Diff([]string{"cdn; hit", "switchgear; fwd=miss"}, h[StatusHeader]); diff != "" {
		t.Error(diff)
	}
	if shared[:2][1] != "" {
		t.Error("the upstream's header was changed in place")
	}
}

func TestNilCall(t *testing.T) {
	t.Parallel()
	var call *Call
	call.Condition(http.Header{})
	call.Mark(http.Header{})
	call.Close()
	resp := answers(200, "").response()
	defer func() { _ = resp.Body.Close() }()
	if call.Hit() != nil || call.Err() != nil || call.Answered(resp) != nil || call.Failed(CauseTimeout) != nil || call.Stale().Usable {
		t.Error("a nil call did something")
	}
}
