package ratelimit_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"switchgear/internal/fault"
	"switchgear/internal/runtime/ratelimit"
)

// answer lets one request out and answers it.
func answer(tb testing.TB, l *ratelimit.Limiter, key ratelimit.Key, status int, h http.Header) ratelimit.Reading {
	tb.Helper()
	g, err := l.Reserve(tb.Context(), key, 0)
	if err != nil {
		tb.Fatal(err)
	}
	return g.Answered(status, h)
}

func TestTheSentence(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(t, ratelimit.Config{Limits: limits(50, time.Second)})
		s := scopeOf(t, l, ratelimit.Key{})
		if s.Why != "configured 50/s, not slowed down" || s.Effective != 50 {
			t.Errorf("%q, %g", s.Why, s.Effective)
		}
		answer(t, l, ratelimit.Key{}, 200, header("RateLimit", `"permin";r=240;t=20`))
		s = scopeOf(t, l, ratelimit.Key{})
		if want := "configured 50/s, effective 12/s because the vendor says 240 left for 20 s"; s.Why != want || s.Effective != 12 {
			t.Errorf("%q, %g", s.Why, s.Effective)
		}
		answer(t, l, ratelimit.Key{}, 200, header("RateLimit", `"permin";r=2400;t=20`))
		s = scopeOf(t, l, ratelimit.Key{})
		if want := "configured 50/s, not slowed down; the vendor says 2400 left for 20 s"; s.Why != want || s.Effective != 50 {
			t.Errorf("%q, %g", s.Why, s.Effective)
		}
		answer(t, l, ratelimit.Key{}, 200, header("RateLimit", `"permin";r=0;t=20`))
		s = scopeOf(t, l, ratelimit.Key{})
		if want := "configured 50/s, nothing for 20 s because the vendor says 0 left for 20 s"; s.Why != want || s.Effective != 0 {
			t.Errorf("%q, %g", s.Why, s.Effective)
		}
		time.Sleep(20 * time.Second)
		if s = scopeOf(t, l, ratelimit.Key{}); s.Why != "configured 50/s, not slowed down" || len(s.Quotas) != 0 {
			t.Errorf("%q", s.Why)
		}
	})
}

// TestPaced: what the vendor says is left is dealt out until the reset, and never more than that.
func TestPaced(t *testing.T) {
	t.Parallel()
	for _, configured := range [][]ratelimit.Limit{nil, limits(50, time.Second), limits(10_000, 24*time.Hour)} {
		synctest.Test(t, func(t *testing.T) {
			l := newLimiter(t, ratelimit.Config{Limits: configured})
			answer(t, l, ratelimit.Key{}, 200, header("RateLimit", `"permin";r=240;t=20`))
			start, sent, half := time.Now(), 0, 0
			for time.Since(start) < 20*time.Second-time.Millisecond {
				if _, ok := try(t, l, ratelimit.Key{}); ok {
					sent++
				}
				if time.Since(start) < 10*time.Second {
					half = sent
				}
				time.Sleep(5 * time.Millisecond)
			}
			if sent > 240 || sent < 230 {
				t.Errorf("%d of 240 were sent", sent)
			}
			if half > 160 {
				t.Errorf("%d in the first half", half)
			}
		})
	}
}

// TestPlentyIsNotDealtOut: a tenth of what is left may go at once.
func TestPlentyIsNotDealtOut(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(t, ratelimit.Config{Dialect: "github"})
		answer(t, l, ratelimit.Key{}, 200, header("X-RateLimit-Limit", "5000", "X-RateLimit-Remaining", "4000", "X-RateLimit-Reset", "3600"))
		if n := drain(t, l, ratelimit.Key{}); n != 400 {
			t.Errorf("%d at once of 4000 left for an hour", n)
		}
	})
}

// TestRetryAfterWins over the reset that the same answer tells.
func TestRetryAfterWins(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(t, ratelimit.Config{Limits: limits(50, time.Second)})
		answer(t, l, ratelimit.Key{}, 429, header("Retry-After", "5", "RateLimit", `"a";r=0;t=600`))
		time.Sleep(5 * time.Second)
		g, ok := try(t, l, ratelimit.Key{})
		if !ok || !g.Probe() {
			t.Error("nobody goes first after 5 s")
		}
	})
}

func TestReserveForOthers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(t, ratelimit.Config{Reserve: 40, Floor: 0.5, Limits: limits(50, time.Second)})
		answer(t, l, ratelimit.Key{}, 200, header("RateLimit", `"a";r=240;t=20`))
		if s := scopeOf(t, l, ratelimit.Key{}); s.Effective != 10 {
			t.Errorf("%g", s.Effective)
		}
		answer(t, l, ratelimit.Key{}, 200, header("RateLimit", `"a";r=40;t=20`))
		if s := scopeOf(t, l, ratelimit.Key{}); s.Effective != 0.5 || !strings.Contains(s.Why, "effective 30/min because the vendor says 40 left for 20 s") {
			t.Errorf("%g %q", s.Effective, s.Why)
		}
	})
}

func TestHoldThenOneGoesFirst(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(t, ratelimit.Config{Limits: limits(100, time.Second)})
		key, other := ratelimit.Key{Credential: "a"}, ratelimit.Key{Credential: "b"}
		r := answer(t, l, key, 429, header("Retry-After", "41"))
		if !r.Throttled || r.Delay != 41*time.Second {
			t.Errorf("%+v", r)
		}
		e := rejected(t, l, other) // The whole connection is held.
		if e.Cause != ratelimit.CauseHold || e.RetryAfter != 41*time.Second || fault.CodeOf(e) != ratelimit.CodeHeld {
			t.Errorf("%+v", e)
		}
		if want := "The connection is held for 41 s: the vendor answered 429 with Retry-After 41 s."; e.Error() != want {
			t.Errorf("%q", e)
		}
		start := time.Now()
		type let struct {
			after time.Duration
			probe bool
		}
		results := make(chan let, 10)
		grants := make(chan ratelimit.Grant, 10)
		for range 3 {
			go func() {
				g, err := l.Reserve(t.Context(), key, 2*time.Minute)
				if err != nil {
					t.Error(err)
				}
				results <- let{time.Since(start), g.Probe()}
				grants <- g
			}()
		}
		first, probe := <-results, <-grants
		if first != (let{41 * time.Second, true}) {
			t.Errorf("%+v", first)
		}
		synctest.Wait()
		if len(results) != 0 {
			t.Error("more than one went first")
		}
		if snap := l.Snapshot(); !snap.Scopes[0].Hold.Probing || snap.Waiting != 2 || snap.LastThrottled.Status != 429 || snap.LastThrottled.Asked != 41*time.Second {
			t.Errorf("%+v", snap)
		}
		if e := rejected(t, l, other); e.Cause != ratelimit.CauseProbe {
			t.Errorf("%+v", e)
		}
		// It is refused as well: a new hold.
		probe.Answered(503, header("Retry-After", "9"))
		second, probe := <-results, <-grants
		if second != (let{50 * time.Second, true}) {
			t.Errorf("%+v", second)
		}
		time.Sleep(time.Second)
		probe.Unanswered() // Nothing is known, so the next goes first.
		third, probe := <-results, <-grants
		if third != (let{51 * time.Second, true}) {
			t.Errorf("%+v", third)
		}
		probe.Answered(200, nil)
		if _, ok := try(t, l, other); !ok {
			t.Error("still held")
		}
		if h := scopeOf(t, l, ratelimit.Key{}).Hold; h != (ratelimit.HoldSnapshot{}) {
			t.Errorf("%+v", h)
		}
	})
}

// TestLostProbe: one that is never settled does not keep the connection held for good.
func TestLostProbe(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(t, ratelimit.Config{})
		answer(t, l, ratelimit.Key{}, 429, header("Retry-After", "1"))
		time.Sleep(time.Second)
		if g, ok := try(t, l, ratelimit.Key{}); !ok || !g.Probe() {
			t.Fatal("nobody goes first")
		}
		start := time.Now()
		if _, err := l.Reserve(t.Context(), ratelimit.Key{}, time.Minute); err != nil || time.Since(start) != 30*time.Second {
			t.Errorf("%v after %s", err, time.Since(start))
		}
		if _, err := l.Reserve(t.Context(), ratelimit.Key{}, time.Second); err == nil {
			t.Error("a second one went before the answer")
		}
	})
}

func TestHoldPerCredential(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(t, ratelimit.Config{HoldCredential: true})
		answer(t, l, ratelimit.Key{Credential: "a"}, 429, header("Retry-After", "5"))
		if e := rejected(t, l, ratelimit.Key{Credential: "a"}); e.Scope.Credential != "a" {
			t.Errorf("%+v", e)
		}
		if _, ok := try(t, l, ratelimit.Key{Credential: "b"}); !ok {
			t.Error("b is held")
		}
	})
}

func TestHalvesAndRecovers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(t, ratelimit.Config{Limits: limits(50, time.Second)})
		rate := func() float64 { return math.Round(scopeOf(t, l, ratelimit.Key{}).Effective*100) / 100 }
		flying := make([]ratelimit.Grant, 0, 5)
		for range 5 {
			g, _ := try(t, l, ratelimit.Key{})
			flying = append(flying, g)
		}
		time.Sleep(10 * time.Millisecond)
		for i := range flying { // All were under way: that is one refusal, not five.
			flying[i].Answered(429, header("Retry-After", "2"))
		}
		if s := scopeOf(t, l, ratelimit.Key{}); s.Effective != 0 || !strings.HasPrefix(s.Why, "configured 50/s, nothing for 2 s because the vendor answered 429") {
			t.Errorf("%g %q", s.Effective, s.Why)
		}
		time.Sleep(2 * time.Second)
		answer(t, l, ratelimit.Key{}, 200, nil)
		if got := rate(); got != 25 {
			t.Errorf("%g", got)
		}
		if why := scopeOf(t, l, ratelimit.Key{}).Why; !strings.Contains(why, "effective 25/s because the vendor refused at") || !strings.Contains(why, "the full rate is back in 5 s") {
			t.Errorf("%q", why)
		}
		for _, want := range []float64{30, 35, 40, 45, 50, 50} {
			time.Sleep(time.Second)
			if got := rate(); got != want {
				t.Errorf("%g, not %g", got, want)
			}
		}
		// Refused again and again: never below the floor.
		for range 12 {
			answer(t, l, ratelimit.Key{}, 429, header("Retry-After", "1"))
			time.Sleep(time.Second)
		}
		answer(t, l, ratelimit.Key{}, 200, nil)
		if got := rate(); got < 1 || got > 6 {
			t.Errorf("%g", got)
		}
	})
}

// TestBackoffWithoutAWord: a 429 that says nothing holds for a second, then twice as long each time.
func TestBackoffWithoutAWord(t *testing.T) {
	t.Parallel()
	for dialect, want := range map[string][]int{"none": {1, 2, 4, 8, 16, 32, 60, 60}, "github": {60, 60}} {
		synctest.Test(t, func(t *testing.T) {
			l := newLimiter(t, ratelimit.Config{Dialect: dialect})
			for i, want := range want {
				answer(t, l, ratelimit.Key{}, 429, nil)
				e := rejected(t, l, ratelimit.Key{})
				if e.RetryAfter != time.Duration(want)*time.Second {
					t.Errorf("%s, refusal %d: %s", dialect, i, e.RetryAfter)
				}
				time.Sleep(e.RetryAfter)
			}
			answer(t, l, ratelimit.Key{}, 200, nil)
		})
	}
}

func TestAbsurdRetryAfter(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(t, ratelimit.Config{MaxHold: 10 * time.Minute})
		r := answer(t, l, ratelimit.Key{}, 429, header("Retry-After", "864000"))
		if r.Delay != 240*time.Hour {
			t.Errorf("%+v", r)
		}
		e := rejected(t, l, ratelimit.Key{})
		if e.RetryAfter != 10*time.Minute || !strings.Contains(e.Error(), "with Retry-After 10 days, cut to 10 min") {
			t.Errorf("%s %q", e.RetryAfter, e)
		}
		time.Sleep(10 * time.Minute)
		if g, ok := try(t, l, ratelimit.Key{}); !ok || !g.Probe() {
			t.Error("nobody tries")
		}
	})
}

// TestUnlimitedIsSlowedDown: without a configured rate, a refusal halves what was sent lately.
func TestUnlimitedIsSlowedDown(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(t, ratelimit.Config{Limits: limits(100_000, 24*time.Hour)})
		for range 20 * 30 {
			try(t, l, ratelimit.Key{})
			time.Sleep(50 * time.Millisecond)
		}
		answer(t, l, ratelimit.Key{}, 429, header("Retry-After", "1"))
		time.Sleep(time.Second)
		answer(t, l, ratelimit.Key{}, 200, nil)
		s := scopeOf(t, l, ratelimit.Key{})
		if s.Effective < 8 || s.Effective > 12 {
			t.Errorf("%g after 20/s", s.Effective)
		}
		time.Sleep(2 * time.Minute)
		if s := scopeOf(t, l, ratelimit.Key{}); !strings.HasSuffix(s.Why, "not slowed down") {
			t.Errorf("%q", s.Why)
		}
	})
}

// TestNeverAboveConfigured: whatever upstreams say, the effective rate stays within the configured one and
// above the floor, and the windows hold.
func TestNeverAboveConfigured(t *testing.T) {
	t.Parallel()
	for seed := range uint64(8) {
		synctest.Test(t, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(seed, 3))
			limit := ratelimit.Limit{Requests: 1 + rng.IntN(80), Per: time.Second}
			l := newLimiter(t, ratelimit.Config{Limits: []ratelimit.Limit{limit}, MaxHold: time.Minute})
			var times []time.Time
			for range 2000 {
				time.Sleep(time.Duration(rng.IntN(100)) * time.Millisecond)
				g, err := l.Reserve(t.Context(), ratelimit.Key{Credential: "a"}, 0)
				if err != nil {
					continue
				}
				times = append(times, time.Now())
				h := header("RateLimit", fmt.Sprintf(`"q";r=%d;t=%d`, rng.IntN(3000), rng.IntN(30)))
				switch rng.IntN(40) {
				case 0:
					g.Answered(429, header("Retry-After", strconv.Itoa(rng.IntN(5))))
				case 1:
					g.Answered(429, h)
				case 2:
					g.Unanswered()
				default:
					g.Answered(200, h)
				}
				for _, s := range l.Snapshot().Scopes {
					if s.Effective > float64(limit.Requests) || s.Effective != 0 && s.Effective < min(1, float64(limit.Requests)/10) {
						t.Fatalf("effective %g, configured %s", s.Effective, limit)
					}
				}
			}
			checkSpans(t, "all", times, limit)
			if len(times) < 100 {
				t.Errorf("only %d were let out", len(times))
			}
		})
	}
}

// TestGroupQuota: a quota that is about a route says nothing about the others.
func TestGroupQuota(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(t, ratelimit.Config{Dialect: "discord"})
		a, b := ratelimit.Key{Group: "a", Credential: "x"}, ratelimit.Key{Group: "b", Credential: "x"}
		used := header("X-RateLimit-Limit", "5", "X-RateLimit-Remaining", "0", "X-RateLimit-Reset-After", "2.5", "X-RateLimit-Bucket", "abcd")
		answer(t, l, a, 200, used)
		if e := rejected(t, l, a); e.Cause != ratelimit.CauseQuota || e.RetryAfter != 2500*time.Millisecond || e.Scope != a {
			t.Errorf("%+v", e)
		}
		answer(t, l, b, 200, nil)
		answer(t, l, ratelimit.Key{Credential: "x"}, 200, used) // About which route?
		answer(t, l, b, 429, header("Retry-After", "1", "X-RateLimit-Scope", "user"))
		if e := rejected(t, l, b); e.Scope != b {
			t.Errorf("%+v", e)
		}
		time.Sleep(2500 * time.Millisecond)
		answer(t, l, a, 429, header("Retry-After", "7", "X-RateLimit-Global", "true"))
		if e := rejected(t, l, ratelimit.Key{}); e.RetryAfter != 7*time.Second || e.Scope != (ratelimit.Key{}) {
			t.Errorf("global: %+v", e)
		}
		// A group without a credential is kept apart from its configured limits.
		l = newLimiter(t, ratelimit.Config{Dialect: "discord", Groups: map[string][]ratelimit.Limit{"a": limits(1, time.Hour)}})
		answer(t, l, ratelimit.Key{Group: "a"}, 200, used)
		if e := rejected(t, l, ratelimit.Key{Group: "a"}); e.RetryAfter != time.Hour {
			t.Errorf("%+v", e)
		}
	})
}

func TestLeakyBucket(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(t, ratelimit.Config{Dialect: "shopify"})
		answer(t, l, ratelimit.Key{}, 200, header("X-Shopify-Shop-Api-Call-Limit", "39/40"))
		if _, ok := try(t, l, ratelimit.Key{}); !ok {
			t.Error("one was left")
		}
		e := rejected(t, l, ratelimit.Key{})
		if e.Cause != ratelimit.CauseQuota || e.RetryAfter != 500*time.Millisecond {
			t.Errorf("%+v", e)
		}
		start := time.Now()
		for range 6 {
			if _, err := l.Reserve(t.Context(), ratelimit.Key{}, time.Minute); err != nil {
				t.Fatal(err)
			}
		}
		if took := time.Since(start).Round(time.Millisecond); took != 3*time.Second {
			t.Errorf("6 with 2/s took %s", took)
		}
		if why := scopeOf(t, l, ratelimit.Key{}).Why; !strings.Contains(why, "the vendor says 0 of 40 left, refilled with 2/s") {
			t.Errorf("%q", why)
		}
	})
}

func TestLongWindowWithoutReset(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(t, ratelimit.Config{Dialect: "salesforce", Limits: limits(25, time.Second)})
		answer(t, l, ratelimit.Key{}, 200, header("Sforce-Limit-Info", "api-usage=18/5000"))
		if s := scopeOf(t, l, ratelimit.Key{}); s.Effective != 25 {
			t.Errorf("%g %q", s.Effective, s.Why)
		}
		time.Sleep(time.Second)
		answer(t, l, ratelimit.Key{}, 200, header("Sforce-Limit-Info", "api-usage=4990/5000"))
		if s := scopeOf(t, l, ratelimit.Key{}); s.Effective != 1 || !strings.Contains(s.Why, "the vendor says 10 of 5000 left of a window of 24 h") {
			t.Errorf("%g %q", s.Effective, s.Why)
		}
	})
}

// TestTokensOnlyStop: how many tokens a request costs is not known, so they slow nothing down.
func TestTokensOnlyStop(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(t, ratelimit.Config{Dialect: "openai", Limits: limits(100, time.Second)})
		answer(t, l, ratelimit.Key{}, 200, header("X-Ratelimit-Limit-Tokens", "90000", "X-Ratelimit-Remaining-Tokens", "10", "X-Ratelimit-Reset-Tokens", "6m0s"))
		if s := scopeOf(t, l, ratelimit.Key{}); s.Effective != 100 || s.Quotas[0].Left != 10 {
			t.Errorf("%+v", s)
		}
		answer(t, l, ratelimit.Key{}, 200, header("X-Ratelimit-Limit-Tokens", "90000", "X-Ratelimit-Remaining-Tokens", "0", "X-Ratelimit-Reset-Tokens", "1s"))
		if e := rejected(t, l, ratelimit.Key{}); e.Cause != ratelimit.CauseQuota || e.RetryAfter != time.Second {
			t.Errorf("%+v", e)
		}
	})
}

// TestRestart: a restart forgets neither the day's count, nor a hold, nor what was learned.
func TestRestart(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		cfg := ratelimit.Config{
			Limits: limits(2000, 24*time.Hour, 50, time.Second), Credential: limits(3, time.Hour),
			Groups: map[string][]ratelimit.Limit{"g": limits(4, 31*24*time.Hour)},
		}
		key := ratelimit.Key{Group: "g", Credential: "a"}
		l := newLimiter(t, cfg)
		drain(t, l, key)
		drain(t, l, ratelimit.Key{Group: "g"})
		time.Sleep(90 * time.Minute)
		for range 60 {
			drain(t, l, ratelimit.Key{})
			time.Sleep(time.Second)
		}
		raw, err := json.Marshal(l.Export())
		if err != nil {
			t.Fatal(err)
		}
		if len(raw) > 40_000 {
			t.Errorf("%d bytes of state", len(raw))
		}
		time.Sleep(time.Minute) // until it runs again

		restart := func() *ratelimit.Limiter {
			t.Helper()
			var state ratelimit.State
			if err := json.Unmarshal(raw, &state); err != nil {
				t.Fatal(err)
			}
			l := newLimiter(t, cfg)
			l.Import(state)
			return l
		}
		l = restart()
		if n := scopeOf(t, l, ratelimit.Key{}).Windows[0].Used; n != 2000 {
			t.Errorf("%d used of the day", n)
		}
		e := rejected(t, l, ratelimit.Key{})
		if e.RetryAfter < 22*time.Hour || e.RetryAfter > 22*time.Hour+30*time.Minute {
			t.Errorf("%s", e.RetryAfter)
		}
		if e := rejected(t, l, key); e.Scope != (ratelimit.Key{Group: "g"}) {
			t.Errorf("%+v", e)
		}
		time.Sleep(23 * time.Hour)
		if n := drain(t, l, ratelimit.Key{Credential: "a"}); n != 3 {
			t.Errorf("%d of the hour", n)
		}
		time.Sleep(23 * time.Hour)
		answer(t, l, ratelimit.Key{Credential: "a"}, 200, header("RateLimit", `"q";r=30;t=3600`))
		answer(t, l, ratelimit.Key{}, 429, header("Retry-After", "600"))
		raw, _ = json.Marshal(l.Export())
		time.Sleep(5 * time.Minute)
		l = restart()
		if e := rejected(t, l, ratelimit.Key{}); e.Cause != ratelimit.CauseHold || e.RetryAfter.Round(time.Second) != 5*time.Minute {
			t.Errorf("%+v", e)
		}
		s := scopeOf(t, l, ratelimit.Key{Credential: "a"})
		if len(s.Quotas) != 1 || s.Quotas[0].Left != 30 || !strings.HasSuffix(s.Why, "the vendor says 30 left for 55 min") {
			t.Errorf("%+v", s)
		}
		time.Sleep(5*time.Minute + time.Millisecond)
		answer(t, l, ratelimit.Key{}, 200, nil)
		if s := scopeOf(t, l, ratelimit.Key{}); s.Effective != 25 || !strings.Contains(s.Why, "because the vendor refused") {
			t.Errorf("the cut is forgotten: %q", s.Why)
		}
	})
}

func TestImportIsCareful(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(t, ratelimit.Config{Limits: limits(10, time.Hour), MaxHold: time.Minute})
		far := time.Now().Add(1000 * time.Hour).UnixMilli()
		l.Import(ratelimit.State{Scopes: []ratelimit.ScopeState{
			{
				Windows:   []ratelimit.WindowState{{PerMillis: 3_600_000, Log: [][2]int64{{far, 4}, {0, 5}, {far, -3}, {math.MinInt64, 1}}}, {PerMillis: 7, Log: [][2]int64{{far, 1 << 60}}}},
				Quotas:    []ratelimit.QuotaState{{Unit: "requests", Left: math.NaN()}, {Unit: "", Left: 1}, {Unit: "requests", Left: 5, ResetAt: 1}, {Unit: "requests", Left: 5, Limit: 10, Window: math.MaxInt64, LearnedAt: far}},
				HoldUntil: far, CutRate: math.NaN(), CutFull: 1,
			},
			{Group: "gone", Windows: []ratelimit.WindowState{{PerMillis: 1}}},
		}})
		if e := rejected(t, l, ratelimit.Key{}); e.RetryAfter != time.Minute {
			t.Errorf("%+v", e)
		}
		s := scopeOf(t, l, ratelimit.Key{})
		if s.Windows[0].Used != 4 || len(s.Quotas) != 1 {
			t.Errorf("%+v", s)
		}
		time.Sleep(time.Minute)
		answer(t, l, ratelimit.Key{}, 200, nil)
	})
}

// TestLookingChangesNothing compares two limiters with the same traffic, of which one is looked at.
func TestLookingChangesNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		cfg := ratelimit.Config{Limits: limits(5, time.Second, 700, time.Minute)}
		a, b := newLimiter(t, cfg), newLimiter(t, cfg)
		rng := rand.New(rand.NewPCG(1, 4))
		for range 2000 {
			time.Sleep(time.Duration(rng.IntN(200)) * time.Millisecond)
			one, two := a.Snapshot(), a.Snapshot()
			if d := cmp.Diff(one, two); d != "" {
				t.Fatal(d)
			}
			a.WriteHeaders(http.Header{}, ratelimit.Key{})
			ga, oka := try(t, a, ratelimit.Key{})
			gb, okb := try(t, b, ratelimit.Key{})
			if oka != okb {
				t.Fatal("looking changed it")
			}
			if oka {
				h := header("RateLimit", fmt.Sprintf(`"q";r=%d;t=3`, rng.IntN(20)))
				ga.Answered(200, h)
				gb.Answered(200, h)
			}
		}
	})
}

func TestWriteHeaders(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(t, ratelimit.Config{Limits: limits(50, time.Second, 1000, time.Hour), Credential: limits(40, time.Minute)})
		key := ratelimit.Key{Credential: "a"}
		answer(t, l, key, 200, header("RateLimit", `"per\"min";r=30;t=20`, "RateLimit-Policy", `"per\"min";q=60;w=60`))
		h := header("RateLimit", "from upstream", "RateLimit-Policy", "x", "X-RateLimit-Limit", "9999", "X-RateLimit-Reset", "1")
		l.WriteHeaders(h, key)
		want := http.Header{
			"Ratelimit":             {`"connection-1s";r=49;t=1, "connection-1h";r=999;t=3600, "account-1m";r=39;t=60, "vendor-per-min";r=30;t=20`},
			"Ratelimit-Policy":      {`"connection-1s";q=50;w=1, "connection-1h";q=1000;w=3600, "account-1m";q=40;w=60, "vendor-per-min";q=60;w=60`},
			"X-Ratelimit-Limit":     {"60"},
			"X-Ratelimit-Remaining": {"30"},
			"X-Ratelimit-Reset":     {"20"},
		}
		if d := cmp.Diff(want, h); d != "" {
			t.Error(d)
		}
		// What we write, we can read, and it is not more than the upstream gave.
		r, err := ratelimit.Read("ratelimit-draft", 200, h, time.Now())
		if err != nil || len(r.Quotas) != 4 || r.Quotas[3].Remaining != 30 || r.Quotas[3].Window != time.Minute {
			t.Errorf("%+v %v", r, err)
		}
		answer(t, l, key, 429, header("Retry-After", "7"))
		l.WriteHeaders(h, key)
		if h.Get("X-RateLimit-Remaining") != "0" || h.Get("X-RateLimit-Reset") != "7" || !strings.HasSuffix(h.Get("RateLimit"), `"hold";r=0;t=7`) {
			t.Errorf("%v", h)
		}
		l = newLimiter(t, ratelimit.Config{})
		l.WriteHeaders(h, key)
		if len(h) != 0 {
			t.Errorf("%v without any limit", h)
		}
	})
}

func TestQuotaLeft(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(t, ratelimit.Config{Limits: limits(50, time.Second)})
		a, b := ratelimit.Key{Credential: "a"}, ratelimit.Key{Credential: "b"}
		if got := l.QuotaLeft(a); got != ratelimit.Unknown {
			t.Errorf("%g", got)
		}
		answer(t, l, a, 200, header("RateLimit", `"m";r=30;t=20, "h";r=100;t=3000, "x";r=1`, "RateLimit-Policy", `"m";q=60;w=60, "h";q=1000;w=3600`))
		if got := l.QuotaLeft(a); got != 0.1 {
			t.Errorf("%g", got)
		}
		if got := l.QuotaLeft(b); got != ratelimit.Unknown {
			t.Errorf("%g for another account", got)
		}
		try(t, l, a)
		if got := l.QuotaLeft(a); got != 0.099 {
			t.Errorf("%g after one more", got)
		}
		time.Sleep(3000 * time.Second)
		if got := l.QuotaLeft(a); got != ratelimit.Unknown {
			t.Errorf("%g after the reset", got)
		}
	})
}

// FuzzImport: what is in the database may be anything; the limits hold all the same.
func FuzzImport(f *testing.F) {
	f.Add([]byte(`{"scopes":[{"windows":[{"per":3600000,"log":[[1772366400000,4],[0,-5]]}],"quotas":[{"unit":"requests","limit":-1,"left":3,"learned_at":1,"refill":1e-300}],"hold_until":1772366400000,"cut_rate":1,"cut_full":1e-300,"cut_step":1}]}`))
	f.Add([]byte(`{"scopes":[{"group":"g","credential":"\u0000","quotas":[{"unit":"x","limit":9223372036854775807,"left":1e15,"reset_at":9223372036854775807}]},{"credential":"c","windows":[{"per":60000,"log":[[1,1000000000],[2,9223372036854775807]]}]}]}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		var state ratelimit.State
		if json.Unmarshal(raw, &state) != nil {
			return
		}
		l := newLimiter(t, ratelimit.Config{Limits: limits(5, time.Hour, 1000, 24*time.Hour), Credential: limits(3, time.Minute)})
		l.Import(state)
		for range 2 {
			for _, key := range []ratelimit.Key{{}, {Group: "g"}, {Group: "g", Credential: "c"}} {
				if n := drain(t, l, key); n > 5 {
					t.Errorf("%d let out", n)
				}
				l.WriteHeaders(http.Header{}, key)
				if left := l.QuotaLeft(key); !(left == ratelimit.Unknown || left >= 0 && left <= 1) {
					t.Errorf("%g left", left)
				}
			}
			l.Snapshot()
			l.Import(l.Export())
		}
	})
}

func TestRejectionsSayWhy(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(t, ratelimit.Config{Limits: limits(50, time.Second)})
		answer(t, l, ratelimit.Key{}, 200, header("RateLimit", `"q";r=20;t=20`))
		drain(t, l, ratelimit.Key{})
		e := rejected(t, l, ratelimit.Key{})
		if e.Cause != ratelimit.CausePace || !strings.Contains(e.Error(), "configured 50/s, effective ") || e.RetryAfter <= 0 || e.RetryAfter > 2*time.Second {
			t.Errorf("%+v %q", e, e)
		}
		if f, ok := errors.AsType[*fault.Error](error(e)); !ok || f.Message != e.Error() {
			t.Error(f)
		}
	})
}
