package runtime_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"switchgear/internal/fault"
	"switchgear/internal/runtime"
	"switchgear/internal/runtime/breaker"
)

// pair is a connection and the one that may stand in for it.
type pair struct {
	*stage
	up, other *played
	alternate runtime.Target
	caller    runtime.Caller
	asked     []string // of the alternate: slug/account
}

func newPair(t *testing.T, policy, otherPolicy string, up, other []playedAnswer) *pair {
	t.Helper()
	p := &pair{up: &played{answers: up}, other: &played{answers: other}}
	p.stage = newStage(t, p.up, written(t, policy))
	p.alternate = runtime.Target{ConnectionID: "con_2", Slug: "other", Account: "default", Version: 1, BaseURL: &url.URL{Scheme: "http", Host: "other.test", Path: "/v2"}}
	written(t, otherPolicy)(&p.alternate)
	p.alternate.Transport = p.other
	p.caller.Alternate = func(slug, account string) (runtime.Target, error) {
		p.asked = append(p.asked, slug+"/"+account)
		return p.alternate, nil
	}
	return p
}

func (p *pair) call(t *testing.T, method, body string) (*httptest.ResponseRecorder, runtime.Record) {
	t.Helper()
	w := httptest.NewRecorder()
	var from io.Reader
	if body != "" {
		from = strings.NewReader(body)
	}
	r := httptest.NewRequestWithContext(runtime.WithCaller(t.Context(), p.caller), method, "/things?a=1", from)
	if err := p.proxy.Serve(w, r, p.target, "things"); err != nil {
		fault.WriteJSON(w, r, err, "req_1")
	}
	return w, p.records.next(t)
}

const (
	once   = `"retry":{"max_attempts":1}`
	static = `"fallback":{"static":{"status":203,"content_type":"application/json","body":"[]"}}`
	toB    = `"fallback":{"connection":"other"}`
)

func TestFallback(t *testing.T) {
	t.Parallel()
	trip := func(t *testing.T, p *pair) {
		t.Helper()
		p.call(t, http.MethodGet, "") // Now there is a breaker.
		b, err := p.protections.Breakers().Breaker(breaker.Key{Connection: "con_1"})
		if err == nil {
			err = b.Trip(breaker.Order{Actor: "ada", Reason: "test"})
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	down := []playedAnswer{status(0, http.StatusServiceUnavailable)}
	fine := []playedAnswer{ok(0)}
	declared := `"operations":[{"id":"find","method":"POST","path":"/things","idempotent":true}]`
	for name, c := range map[string]struct {
		policy, other string
		up, second    []playedAnswer
		method, body  string
		before        func(t *testing.T, p *pair)

		status   int
		answer   string
		fallback string // the header
		attempts string
		cache    string
		outcome  runtime.Outcome
		asked    int // how often the other one was sent something
	}{
		"none by default":    {`{` + once + `}`, `{}`, down, fine, "GET", "", nil, 503, "1", "", "1", "bypass", "unavailable", 0},
		"static after a 503": {`{` + once + `,` + static + `}`, `{}`, down, fine, "GET", "", nil, 203, "[]", "static", "1", "static", "unavailable", 0},
		"static after all attempts": {
			`{"retry":{"max_attempts":2,"base_delay":"1ms","max_delay":"1ms"},` + static + `}`, `{}`, down, fine, "GET", "", nil, 203, "[]", "static", "2", "static", "unavailable", 0,
		},
		"no fallback after a retry that worked": {
			`{"retry":{"max_attempts":2,"base_delay":"1ms","max_delay":"1ms"},` + static + `}`, `{}`, append(down, ok(0)), fine, "GET", "", nil, 200, "2", "", "2", "bypass", "success", 0,
		},
		"static after a timeout":           {`{"timeout":"1s",` + once + `,` + static + `}`, `{}`, []playedAnswer{ok(slow)}, fine, "GET", "", nil, 203, "[]", "static", "1", "static", "timeout", 0},
		"static while the breaker is open": {`{` + once + `,` + static + `}`, `{}`, fine, fine, "GET", "", trip, 203, "[]", "static", "0", "static", "rejected_local", 0},
		"static while held": {
			`{` + once + `,"rate_limit_wait":"0s",` + static + `}`, `{}`,
			[]playedAnswer{{0, 429, http.Header{"Retry-After": {"60"}}}},
			fine, "GET", "",
			func(t *testing.T, p *pair) { t.Helper(); p.call(t, http.MethodGet, "") }, 203, "[]", "static", "0", "static", "rejected_local", 0,
		},
		"a limit that is configured is no outage": {
			`{` + once + `,"rate_limits":[{"requests":1,"per":"1h"}],"rate_limit_wait":"0s","fallback":{"static":{"status":203},"connection":"other"}}`, `{}`, fine, fine, "GET", "",
			func(t *testing.T, p *pair) { t.Helper(); p.call(t, http.MethodGet, "") }, 429, "", "", "0", "", "rejected_local", 0,
		},
		"a 404 stands":                       {`{` + once + `,` + static + `}`, `{}`, []playedAnswer{status(0, 404)}, fine, "GET", "", nil, 404, "1", "", "1", "bypass", "client_error", 0},
		"a 429 stands":                       {`{` + once + `,` + static + `}`, `{}`, []playedAnswer{status(0, 429)}, fine, "GET", "", nil, 429, "1", "", "1", "bypass", "throttled", 0},
		"a 403 stands":                       {`{` + once + `,` + toB + `}`, `{}`, []playedAnswer{status(0, 403)}, fine, "GET", "", nil, 403, "1", "", "1", "bypass", "forbidden", 0},
		"never for a POST":                   {`{` + once + `,` + static + `}`, `{}`, down, fine, "POST", "", nil, 503, "1", "", "1", "bypass", "unavailable", 0},
		"never for a PUT":                    {`{` + once + `,` + toB + `}`, `{}`, down, fine, "PUT", "x", nil, 503, "1", "", "1", "bypass", "unavailable", 0},
		"a POST that is declared idempotent": {`{` + once + `,` + static + `,` + declared + `}`, `{}`, down, fine, "POST", "", nil, 203, "[]", "static", "1", "static", "unavailable", 0},
		"for one operation alone": {
			`{` + once + `,"operations":[{"id":"list","path":"/things","policy":{` + static + `}}]}`, `{}`, down, fine, "GET", "", nil, 203, "[]", "static", "1", "static", "unavailable", 0,
		},
		"another connection after a 503":               {`{` + once + `,` + toB + `}`, `{` + once + `}`, down, fine, "GET", "", nil, 200, "1", "connection=other", "2", "bypass", "unavailable", 1},
		"another connection while the breaker is open": {`{` + once + `,` + toB + `}`, `{}`, fine, fine, "GET", "", trip, 200, "1", "connection=other", "1", "bypass", "rejected_local", 1},
		"its own retries": {
			`{` + once + `,` + toB + `}`, `{"retry":{"max_attempts":2,"base_delay":"1ms","max_delay":"1ms"}}`, down, append(down, ok(0)), "GET", "", nil, 200, "2", "connection=other", "3", "bypass", "unavailable", 2,
		},
		"a 404 of the other one is an answer":          {`{` + once + `,` + toB + `}`, `{` + once + `}`, down, []playedAnswer{status(0, 404)}, "GET", "", nil, 404, "1", "connection=other", "2", "bypass", "unavailable", 1},
		"both are down: the first failure stands":      {`{` + once + `,` + toB + `}`, `{` + once + `}`, down, []playedAnswer{status(0, 500)}, "GET", "", nil, 503, "1", "", "2", "bypass", "unavailable", 1},
		"the other one does not accept our credential": {`{` + once + `,` + toB + `}`, `{` + once + `}`, down, []playedAnswer{status(0, 401)}, "GET", "", nil, 503, "1", "", "2", "bypass", "unavailable", 1},
		"no second step": {`{` + once + `,` + toB + `}`, `{` + once + `,` + static + `}`, down, []playedAnswer{status(0, 500)}, "GET", "", nil, 503, "1", "", "2", "bypass", "unavailable", 1},
		"its own limits": {
			`{` + once + `,` + toB + `}`, `{` + once + `,"rate_limits":[{"requests":1,"per":"1h"}],"rate_limit_wait":"0s"}`, down, fine, "GET", "",
			func(t *testing.T, p *pair) { t.Helper(); p.call(t, http.MethodGet, "") }, 503, "2", "", "1", "bypass", "unavailable", 1,
		},
		"no time left": {`{"timeout":"1s",` + once + `,` + toB + `}`, `{}`, []playedAnswer{ok(slow)}, fine, "GET", "", nil, 504, "", "", "1", "", "timeout", 0},
		"within the time of the call": {
			`{"timeout":"3s","attempt_timeout":"1s",` + once + `,` + toB + `}`, `{"timeout":"1m",` + once + `}`, []playedAnswer{ok(slow)}, []playedAnswer{ok(slow)}, "GET", "", nil, 504, "", "", "2", "", "timeout", 1,
		},
		"a body that is kept": {`{` + once + `,` + toB + `,` + declared + `}`, `{` + once + `}`, down, fine, "POST", "x", nil, 200, "1", "connection=other", "2", "bypass", "unavailable", 1},
		"not for who wants the truth": {
			`{` + once + `,"fallback":{"static":{"status":203},"connection":"other"}}`, `{}`, down, fine, "GET", "", func(_ *testing.T, p *pair) { p.caller.Plain = true }, 503, "1", "", "1", "bypass", "unavailable", 0,
		},
		"the caller may not": {
			`{` + once + `,` + toB + `}`, `{}`, down, fine, "GET", "", func(_ *testing.T, p *pair) {
				p.caller.Alternate = func(string, string) (runtime.Target, error) {
					return runtime.Target{}, fault.New(fault.Forbidden, "", "no scope")
				}
			}, 503, "1", "", "1", "bypass", "unavailable", 0,
		},
		"itself": {`{` + once + `,` + toB + `}`, `{}`, down, fine, "GET", "", func(_ *testing.T, p *pair) { p.alternate = p.target }, 503, "1", "", "1", "bypass", "unavailable", 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				p := newPair(t, c.policy, c.other, c.up, c.second)
				if c.before != nil {
					c.before(t, p)
				}
				w, rec := p.call(t, c.method, c.body)
				got := w.Header()
				answer := w.Body.String()
				if w.Code >= 400 && got.Get(runtime.ErrorHeader) != "" {
					answer = "" // An error of ours.
				}
				type told struct {
					Status                            int
					Answer, Fallback, Attempts, Cache string
					Outcome                           runtime.Outcome
				}
				if diff := cmp.Diff(told{c.status, c.answer, c.fallback, c.attempts, c.cache, c.outcome},
					told{w.Code, answer, got.Get("Switchgear-Fallback"), got.Get("Switchgear-Attempts"), got.Get("Switchgear-Cache"), rec.Outcome}); diff != "" {
					t.Errorf("%s\n%+v", diff, rec.Steps)
				}
				if sends, _ := p.other.seen(); sends != c.asked {
					t.Errorf("the other one was sent %d, want %d", sends, c.asked)
				}
				if rec.Fallback.String() != c.fallback || rec.Status != c.status {
					t.Errorf("recorded %+v, status %d", rec.Fallback, rec.Status)
				}
				if c.fallback != "" && !noted(rec, "fallback", "") {
					t.Errorf("the timeline does not say it: %+v", rec.Steps)
				}
				for _, id := range []string{"con_1", "con_2"} {
					if s, known := p.protections.State(id); known && (s.Bulkhead.InFlight != 0 || s.Retries.InFlight != 0) {
						t.Errorf("%s: %d in flight, %d calls", id, s.Bulkhead.InFlight, s.Retries.InFlight)
					}
				}
			})
		})
	}
}

// The configured answer says what the cache has to do with it, and is a whole answer.
func TestStaticFallbackHeaders(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t, `{`+once+`,`+static+`}`, `{}`, []playedAnswer{status(0, 502)}, nil)
		w, _ := p.call(t, http.MethodGet, "")
		if h := w.Header(); h.Get("Content-Type") != "application/json" || h.Get("Content-Length") != "2" || strings.Join(h["Cache-Status"], "|") != "switchgear; fwd=miss; fwd-status=502; detail=status_502" {
			t.Errorf("%v", h)
		}
		w, _ = p.call(t, http.MethodHead, "")
		if w.Code != 203 || w.Body.Len() != 0 {
			t.Errorf("HEAD: %d %q", w.Code, w.Body)
		}
		b, err := p.protections.Breakers().Breaker(breaker.Key{Connection: "con_1"})
		if err == nil {
			err = b.Trip(breaker.Order{Actor: "ada", Reason: "test"})
		}
		if err != nil {
			t.Fatal(err)
		}
		w, _ = p.call(t, http.MethodGet, "")
		if got := strings.Join(w.Header()["Cache-Status"], "|"); got != "switchgear; detail=breaker_open" {
			t.Errorf("not asked: %q", got)
		}
	})
}

// An answer from the cache says once what the cache did.
func TestCachedAnswerIsMarkedOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t, &played{answers: []playedAnswer{ok(0)}}, policy(func(p *runtime.Policy) { p.Cache.TTL = runtime.Duration(time.Minute) }))
		s.call(t, http.MethodGet, nil)
		w, rec := s.call(t, http.MethodGet, nil)
		if got := w.Header()["Cache-Status"]; len(got) != 1 || rec.Cache != "hit" {
			t.Errorf("%s: %q", rec.Cache, got)
		}
	})
}

// The other connection gets the same request at its own address, with its own credential of the same account.
func TestAlternateIsAskedAsItself(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t, `{`+once+`,`+toB+`}`, `{`+once+`}`, []playedAnswer{status(0, 503)}, []playedAnswer{ok(0)})
		p.target.Account = "acme"
		credential := func(value string) func(context.Context, *http.Request) error {
			return func(_ context.Context, r *http.Request) error {
				r.Header.Set("Authorization", value)
				return nil
			}
		}
		p.target.Authorize, p.alternate.Authorize = credential("first"), credential("second")
		var seen []string
		p.alternate.Transport = roundTrip(func(r *http.Request) (*http.Response, error) {
			seen = append(seen, r.Method+" "+r.URL.String()+" "+r.Header.Get("Authorization"))
			return p.other.RoundTrip(r)
		})
		_, rec := p.call(t, http.MethodGet, "")
		if diff := cmp.Diff([]string{"GET http://other.test/v2/things?a=1 second"}, seen); diff != "" {
			t.Error(diff)
		}
		if diff := cmp.Diff([]string{"other/acme"}, p.asked); diff != "" {
			t.Error(diff)
		}
		want := runtime.FallbackRecord{Kind: runtime.FallbackConnection, Connection: "other", Attempts: 1, Outcome: runtime.OutcomeSuccess}
		if diff := cmp.Diff(want, rec.Fallback); diff != "" {
			t.Error(diff)
		}
		if rec.ConnectionID != "con_1" || rec.Attempts != 2 || rec.ErrorCode != "" || rec.ResponseBytes != 1 {
			t.Errorf("%+v", rec)
		}
	})
}

// The cache comes first: a fallback is for when it has nothing.
func TestStaleComesBeforeFallback(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t, `{`+once+`,`+static+`,"cache":{"stale_if_error":"1h"}}`, `{}`, []playedAnswer{{0, 200, http.Header{"Cache-Control": {"max-age=1"}}}, status(0, 503)}, nil)
		p.call(t, http.MethodGet, "")
		time.Sleep(time.Minute)
		w, rec := p.call(t, http.MethodGet, "")
		if w.Code != http.StatusOK || w.Header().Get("Switchgear-Cache") != "stale" || w.Header().Get("Switchgear-Fallback") != "" || rec.Fallback.Kind != "" {
			t.Errorf("%d %v", w.Code, w.Header())
		}
	})
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
