package runtime_test

import (
	"context"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"switchgear/internal/fault"
	"switchgear/internal/runtime"
	"switchgear/internal/runtime/breaker"
	"switchgear/internal/runtime/egress"
)

const (
	slow  = 10 * time.Second
	hedge = 200 * time.Millisecond
)

func ok(after time.Duration) playedAnswer { return playedAnswer{after, http.StatusOK, nil} }

func status(after time.Duration, code int) playedAnswer { return playedAnswer{after, code, nil} }

func TestHedging(t *testing.T) {
	t.Parallel()
	const on = `"hedge":{"after":"200ms"}`
	declared := func(yes string) string {
		return `{` + on + `,"operations":[{"id":"find","method":"POST","path":"/things","idempotent":` + yes + `}]}`
	}
	throttled := playedAnswer{0, http.StatusTooManyRequests, http.Header{"Retry-After": {"1"}}}
	for name, c := range map[string]struct {
		policy  string
		method  string
		body    string
		answers []playedAnswer
		// sends are what the upstream saw, cancels those of them that were called off.
		sends, cancels int
		status         int
		answer         string // which of them was answered
		won            bool
		took           time.Duration
		others         []runtime.Retried
	}{
		"off by default":     {`{}`, "GET", "", []playedAnswer{ok(slow), ok(0)}, 1, 0, 200, "1", false, slow, nil},
		"the first is quick": {`{` + on + `}`, "GET", "", []playedAnswer{ok(hedge / 2), ok(0)}, 1, 0, 200, "1", false, hedge / 2, nil},
		"the first is slow": {
			`{` + on + `}`, "GET", "",
			[]playedAnswer{ok(slow), ok(hedge)},
			2, 1, 200, "2", true, 2 * hedge,
			[]runtime.Retried{{Number: 1, Outcome: "canceled", Took: 2 * hedge}},
		},
		"HEAD": {
			`{` + on + `}`, "HEAD", "",
			[]playedAnswer{ok(slow), ok(hedge)},
			2, 1, 200, "", true, 2 * hedge,
			[]runtime.Retried{{Number: 1, Outcome: "canceled", Took: 2 * hedge}},
		},
		"the first is answered first": {
			`{` + on + `}`, "GET", "",
			[]playedAnswer{ok(2 * hedge), ok(slow)},
			2, 1, 200, "1", false, 2 * hedge,
			[]runtime.Retried{{Number: 2, Hedge: true, Outcome: "canceled", At: hedge, Took: hedge}},
		},
		"a 404 is an answer": {
			`{` + on + `}`, "GET", "",
			[]playedAnswer{ok(slow), status(0, 404)},
			2, 1, 404, "2", true, hedge,
			[]runtime.Retried{{Number: 1, Outcome: "canceled", Took: hedge}},
		},
		"a 503 is none while another is under way": {
			`{` + on + `}`, "GET", "",
			[]playedAnswer{ok(slow), status(0, 503)},
			2, 0, 200, "1", false, slow,
			[]runtime.Retried{{Number: 2, Hedge: true, Outcome: "unavailable", Status: 503, At: hedge}},
		},
		"both fail, and it is tried again": {
			`{` + on + `}`, "GET", "",
			[]playedAnswer{status(2*hedge, 503), status(0, 503), ok(0)},
			3, 0, 200, "3", false, -1,
			[]runtime.Retried{
				{Number: 2, Hedge: true, Outcome: "unavailable", Status: 503, At: hedge},
				{Number: 1, Outcome: "unavailable", Status: 503, Took: 2 * hedge},
			},
		},
		"several": {
			`{"hedge":{"after":"200ms","max":2}}`, "GET", "",
			[]playedAnswer{ok(slow), ok(slow), ok(0)},
			3, 2, 200, "3", true, 2 * hedge,
			[]runtime.Retried{{Number: 1, Outcome: "canceled", Took: 2 * hedge}, {Number: 2, Hedge: true, Outcome: "canceled", At: hedge, Took: hedge}},
		},
		"POST":   {`{` + on + `}`, "POST", "", []playedAnswer{ok(slow), ok(0)}, 1, 0, 200, "1", false, slow, nil},
		"DELETE": {`{` + on + `}`, "DELETE", "", []playedAnswer{ok(slow), ok(0)}, 1, 0, 200, "1", false, slow, nil},
		"POST of an operation that is not declared idempotent": {declared("false"), "POST", "", []playedAnswer{ok(slow), ok(0)}, 1, 0, 200, "1", false, slow, nil},
		"POST of an operation that is declared idempotent": {
			declared("true"), "POST", "",
			[]playedAnswer{ok(slow), ok(0)},
			2, 1, 200, "2", true, hedge,
			[]runtime.Retried{{Number: 1, Outcome: "canceled", Took: hedge}},
		},
		"a body": {declared("true"), "POST", "x", []playedAnswer{ok(slow), ok(0)}, 1, 0, 200, "1", false, slow, nil},
		"switched off for the operation": {
			`{` + on + `,"operations":[{"id":"list","path":"/things","policy":{"hedge":{"after":"0s"}}}]}`, "GET", "", []playedAnswer{ok(slow), ok(0)}, 1, 0, 200, "1", false, slow, nil,
		},
		"for one operation alone": {
			`{"operations":[{"id":"list","path":"/things","policy":{` + on + `}}]}`, "GET", "",
			[]playedAnswer{ok(slow), ok(0)},
			2, 1, 200, "2", true, hedge,
			[]runtime.Retried{{Number: 1, Outcome: "canceled", Took: hedge}},
		},
		"no place in the bulkhead": {`{` + on + `,"bulkhead":{"max_in_flight":1,"max_wait":"1s"}}`, "GET", "", []playedAnswer{ok(slow), ok(0)}, 1, 0, 200, "1", false, slow, nil},
		"no room in a limit": {
			`{` + on + `,"rate_limits":[{"requests":1,"per":"1m"}],"rate_limit_wait":"1m"}`, "GET", "", []playedAnswer{ok(slow), ok(0)}, 1, 0, 200, "1", false, slow, nil,
		},
		"after the wait that the upstream asked for": {
			`{` + on + `,"rate_limits":[]}`, "GET", "", []playedAnswer{throttled, ok(slow), ok(0)}, 2, 0, 200, "2", false, -1, []runtime.Retried{{Number: 1, Outcome: "throttled", Status: 429}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				up := &played{answers: c.answers}
				s := newStage(t, up, written(t, c.policy))
				var body io.Reader
				if c.body != "" {
					body = strings.NewReader(c.body)
				}
				w, rec := s.call(t, c.method, body)
				sends, cancels := up.seen()
				if sends != c.sends || cancels != c.cancels || rec.Attempts != c.sends || w.Header().Get("Switchgear-Attempts") != strconv.Itoa(c.sends) {
					t.Errorf("the upstream saw %d, %d of them called off; %d attempts recorded, %s told", sends, cancels, rec.Attempts, w.Header().Get("Switchgear-Attempts"))
				}
				if w.Code != c.status || w.Body.String() != c.answer || rec.HedgeWon != c.won {
					t.Errorf("answered %d %q, a hedge won: %v", w.Code, w.Body, rec.HedgeWon)
				}
				if c.took >= 0 && rec.Duration != c.took {
					t.Errorf("it took %s, want %s", rec.Duration, c.took)
				}
				for i := range rec.Retried {
					rec.Retried[i].Reason = ""
				}
				if diff := cmp.Diff(c.others, rec.Retried); diff != "" {
					t.Error(diff)
				}
				hedges := 0
				for _, r := range rec.Retried {
					if r.Hedge {
						hedges++
					}
				}
				if c.won {
					hedges++
				}
				if rec.Hedges != hedges {
					t.Errorf("%d hedges recorded, want %d", rec.Hedges, hedges)
				}
				// Whatever became of them, nothing is in use any more, and what was outrun says nothing.
				state, _ := s.protections.State("con_1")
				if state.Bulkhead.InFlight != 0 || state.Retries.InFlight != 0 || state.Retries.Repeating != 0 {
					t.Errorf("still in use: %+v %+v", state.Bulkhead, state.Retries)
				}
				ctx, stop := context.WithCancel(t.Context())
				go func() { _ = s.protections.Breakers().Serve(ctx) }()
				time.Sleep(time.Second) // Until what was counted is published.
				stop()
				synctest.Wait()
				if b, _ := s.protections.Breakers().Snapshot(breaker.Key{Connection: "con_1"}); b.Counts.Excluded < c.cancels || b.Counts.Failures > len(c.answers)-1 || c.cancels > 0 && b.Counts.Failures > 0 {
					t.Errorf("the breaker counts %+v", b.Counts)
				}
			})
		})
	}
}

// Hedges count in the budget of the retries: when that is used up there are none.
func TestHedgeBudget(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		up := &played{answers: []playedAnswer{ok(time.Second)}}
		s := newStage(t, up, written(t, `{"hedge":{"after":"10ms"}}`))
		const calls = 15
		hedged, last := 0, runtime.Record{}
		for range calls { // Each is over before the next, and within ten seconds only so many may be repeated.
			up.answers = []playedAnswer{ok(20 * time.Millisecond)}
			_, last = s.call(t, http.MethodGet, nil)
			hedged += last.Hedges
		}
		sends, _ := up.seen()
		if hedged != 11 || sends != calls+hedged {
			t.Errorf("%d hedges in %d sends; 10 and a tenth of the calls are allowed", hedged, sends)
		}
		if last.Attempts != 1 || !noted(last, "no hedge", "budget used up") {
			t.Errorf("the last: %d attempts, %+v", last.Attempts, last.Steps)
		}
	})
}

func noted(rec runtime.Record, name, text string) bool {
	for _, s := range rec.Steps {
		if s.Name == name && strings.Contains(s.Note, text) {
			return true
		}
	}
	return false
}

// Nothing is spent on speed while the breaker is not closed, the upstream asked for a pause, or its quota is scarce.
func TestNoHedgeWhileTroubled(t *testing.T) {
	t.Parallel()
	header := func(pairs ...string) http.Header {
		h := http.Header{}
		for i := 0; i < len(pairs); i += 2 {
			h.Set(pairs[i], pairs[i+1])
		}
		return h
	}
	for name, c := range map[string]struct {
		before func(t *testing.T, s *stage)
		first  playedAnswer
		why    string
	}{
		"forced closed": {func(t *testing.T, s *stage) {
			t.Helper()
			b, err := s.protections.Breakers().Breaker(breaker.Key{Connection: "con_1"})
			if err == nil {
				err = b.SetMode(breaker.ModeForcedClosed, breaker.Order{Actor: "ada", Reason: "test", Until: time.Now().Add(time.Hour)})
			}
			if err != nil {
				t.Error(err)
			}
		}, ok(0), "the breaker is not closed"},
		"scarce quota": {func(*testing.T, *stage) {}, playedAnswer{0, 200, header("X-RateLimit-Limit", "100", "X-RateLimit-Remaining", "19", "X-RateLimit-Reset", "3600")}, "a fifth"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				up := &played{answers: []playedAnswer{c.first, ok(slow), ok(0)}}
				s := newStage(t, up, written(t, `{"hedge":{"after":"200ms"},"rate_limit_wait":"5m"}`))
				s.call(t, http.MethodGet, nil)
				c.before(t, s)
				_, rec := s.call(t, http.MethodGet, nil)
				if sends, _ := up.seen(); sends != 2 || rec.Attempts != 1 || !noted(rec, "no hedge", c.why) {
					t.Errorf("%d sends, %d attempts, %+v", sends, rec.Attempts, rec.Steps)
				}
			})
		})
	}
	t.Run("a hold that came meanwhile", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			up := &played{answers: []playedAnswer{ok(slow), {hedge / 2, http.StatusTooManyRequests, header("Retry-After", "60")}, ok(0)}}
			s := newStage(t, up, written(t, `{"hedge":{"after":"200ms"},"retry":{"max_attempts":1}}`))
			go s.call(t, http.MethodGet, nil)
			synctest.Wait()
			s.call(t, http.MethodGet, nil)
			time.Sleep(slow)
			synctest.Wait()
			if sends, _ := up.seen(); sends != 2 {
				t.Errorf("%d sends", sends)
			}
		})
	})
}

// A credential that cannot be used any more is no reason to give up what is under way.
func TestHedgeWithoutCredential(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		up, asked := &played{answers: []playedAnswer{ok(slow)}}, 0
		s := newStage(t, up, written(t, `{"hedge":{"after":"200ms"}}`), authorize(func(context.Context, *http.Request) error {
			if asked++; asked > 1 {
				return fault.New(fault.Unavailable, "GONE", "It was revoked.")
			}
			return nil
		}))
		w, rec := s.call(t, http.MethodGet, nil)
		state, _ := s.protections.State("con_1")
		if sends, _ := up.seen(); sends != 1 || w.Code != http.StatusOK || rec.Attempts != 1 || rec.Hedges != 0 || state.Bulkhead.InFlight != 0 || !noted(rec, "no hedge", "revoked") {
			t.Errorf("%d sends, status %d: %+v", sends, w.Code, rec.Steps)
		}
	})
}

// A transport that panics is no reason to lose the process, or a place.
func TestHedgePanic(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		up := &panics{}
		s := newStage(t, up, written(t, `{"hedge":{"after":"200ms"}}`))
		func() {
			defer func() {
				if recover() != "broken" {
					t.Error("the panic went missing")
				}
			}()
			s.call(t, http.MethodGet, nil)
		}()
		state, _ := s.protections.State("con_1")
		if state.Bulkhead.InFlight != 0 || up.done.Load() != 1 {
			t.Errorf("%d in flight, %d called off", state.Bulkhead.InFlight, up.done.Load())
		}
	})
}

// panics in the second request; the first waits for its end.
type panics struct{ n, done atomic.Int64 }

func (p *panics) RoundTrip(r *http.Request) (*http.Response, error) {
	if p.n.Add(1) == 2 {
		panic("broken")
	}
	<-r.Context().Done()
	p.done.Add(1)
	return nil, r.Context().Err()
}

// Over real connections: the upstream sees both, and that the loser is called off. (That no goroutine is left
// behind, the bubbles of the tests above say: they do not end before.)
func TestHedgeOverTheWire(t *testing.T) {
	t.Parallel()
	const calls = 8
	var seen atomic.Int64
	gone := make(chan struct{}, calls)
	upstream := newUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		if seen.Add(1)%2 == 1 {
			<-r.Context().Done() // until it is called off
			gone <- struct{}{}
			return
		}
		_, _ = io.WriteString(w, "quick")
	})
	g := newGateway(t, upstream.URL, egress.TransportConfig{}, written(t, `{"hedge":{"after":"1ms"}}`))
	for range calls {
		resp, body := send(t, g, newRequest(t, http.MethodGet, g.URL+"/things", nil))
		rec := g.records.next(t)
		if resp.StatusCode != http.StatusOK || string(body) != "quick" || resp.Header.Get("Switchgear-Attempts") != "2" || rec.Attempts != 2 || rec.Hedges != 1 {
			t.Fatalf("%d %s, %s attempts; recorded %d", resp.StatusCode, body, resp.Header.Get("Switchgear-Attempts"), rec.Attempts)
		}
	}
	for range calls {
		<-gone
	}
	if seen.Load() != 2*calls {
		t.Errorf("the upstream saw %d", seen.Load())
	}
}
