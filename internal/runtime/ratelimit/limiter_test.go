package ratelimit_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"switchgear/internal/fault"
	"switchgear/internal/runtime/ratelimit"
)

func limits(pairs ...any) []ratelimit.Limit {
	var list []ratelimit.Limit
	for i := 0; i < len(pairs); i += 2 {
		list = append(list, ratelimit.Limit{Requests: pairs[i].(int), Per: pairs[i+1].(time.Duration)})
	}
	return list
}

func newLimiter(tb testing.TB, cfg ratelimit.Config) *ratelimit.Limiter {
	tb.Helper()
	l, err := ratelimit.New(cfg)
	if err != nil {
		tb.Fatal(err)
	}
	return l
}

func try(tb testing.TB, l *ratelimit.Limiter, key ratelimit.Key) (ratelimit.Grant, bool) {
	tb.Helper()
	g, err := l.Reserve(tb.Context(), key, 0)
	if err == nil {
		return g, true
	}
	if _, ok := errors.AsType[*ratelimit.RejectedError](err); !ok {
		tb.Fatal(err)
	}
	return g, false
}

func rejected(tb testing.TB, l *ratelimit.Limiter, key ratelimit.Key) *ratelimit.RejectedError {
	tb.Helper()
	_, err := l.Reserve(tb.Context(), key, 0)
	e, ok := errors.AsType[*ratelimit.RejectedError](err)
	if !ok {
		tb.Fatalf("not rejected: %v", err)
	}
	return e
}

func drain(tb testing.TB, l *ratelimit.Limiter, key ratelimit.Key) int {
	tb.Helper()
	for n := 0; ; n++ {
		if _, ok := try(tb, l, key); !ok || n == 10_000 {
			return n
		}
	}
}

func header(pairs ...string) http.Header {
	h := http.Header{}
	for i := 0; i < len(pairs); i += 2 {
		h.Add(pairs[i], pairs[i+1])
	}
	return h
}

func scopeOf(tb testing.TB, l *ratelimit.Limiter, key ratelimit.Key) ratelimit.ScopeSnapshot {
	tb.Helper()
	for _, s := range l.Snapshot().Scopes {
		if s.Key == key {
			return s
		}
	}
	tb.Fatalf("no scope %+v", key)
	return ratelimit.ScopeSnapshot{}
}

// TestEverySlidingWindow is the promise: whatever the traffic, in every span [t, t+Per) at most Requests
// were let out, in each window of each scope.
func TestEverySlidingWindow(t *testing.T) {
	t.Parallel()
	sets := [][]ratelimit.Limit{
		limits(5, time.Second),
		limits(1, 50*time.Millisecond),
		limits(10, time.Second, 40, 10*time.Second, 150, time.Minute),
		limits(700, time.Second, 2000, 10*time.Second),
		limits(3, time.Second, 100, 24*time.Hour),
	}
	for i, set := range sets {
		for seed := range uint64(4) {
			t.Run(fmt.Sprintf("%d/%d", i, seed), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					credential := limits(max(1, set[0].Requests/2), set[0].Per)
					l := newLimiter(t, ratelimit.Config{Limits: set, Credential: credential})
					all, byKey := traffic(t, l, seed, set[0])
					for _, limit := range set {
						checkSpans(t, "connection", all, limit)
					}
					for key, times := range byKey {
						checkSpans(t, key, times, credential[0])
					}
					if len(all) < 50 {
						t.Errorf("only %d were let out", len(all))
					}
				})
			})
		}
	}
}

// traffic sends in bursts and pauses, waits sometimes, and gives some back.
func traffic(t *testing.T, l *ratelimit.Limiter, seed uint64, base ratelimit.Limit) (all []time.Time, byKey map[string][]time.Time) {
	t.Helper()
	rng := rand.New(rand.NewPCG(seed, 2))
	byKey = map[string][]time.Time{}
	var mu sync.Mutex
	var wg sync.WaitGroup
	gap := base.Per / time.Duration(base.Requests)
	for range 3000 {
		switch rng.IntN(40) {
		case 0:
			time.Sleep(base.Per + time.Duration(rng.Int64N(int64(base.Per))))
		case 1, 2, 3:
			time.Sleep(time.Duration(rng.Int64N(int64(gap)*8 + 1)))
		}
		key := string(rune('a' + rng.IntN(3)))
		wait := time.Duration(rng.Int64N(int64(base.Per)))
		if rng.IntN(3) > 0 {
			wait = 0
		}
		refund := rng.IntN(12) == 0
		send := func() {
			g, err := l.Reserve(t.Context(), ratelimit.Key{Credential: key}, wait)
			if err != nil {
				return
			}
			if refund {
				g.Refund()
				g.Refund() // The second time does nothing.
				return
			}
			mu.Lock()
			defer mu.Unlock()
			now := time.Now()
			all, byKey[key] = append(all, now), append(byKey[key], now)
		}
		if wait == 0 {
			send()
		} else {
			wg.Go(send)
		}
	}
	wg.Wait()
	return all, byKey
}

func checkSpans(t *testing.T, what string, times []time.Time, limit ratelimit.Limit) {
	t.Helper()
	slices.SortFunc(times, time.Time.Compare)
	for i := limit.Requests; i < len(times); i++ {
		if span := times[i].Sub(times[i-limit.Requests]); span < limit.Per {
			t.Fatalf("%s: %d requests in %s, the limit is %s", what, limit.Requests+1, span, limit)
		}
	}
}

// TestSaturated shows what the promise costs: nothing for a small limit, a five-hundredth for a large one.
func TestSaturated(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ limit, atLeast int }{{50, 500}, {5000, 49_800}} {
		synctest.Test(t, func(t *testing.T) {
			l := newLimiter(t, ratelimit.Config{Limits: limits(c.limit, time.Second)})
			end, sent := time.Now().Add(10*time.Second-1), 0
			for time.Now().Before(end) {
				if _, ok := try(t, l, ratelimit.Key{}); ok {
					sent++
					continue
				}
				time.Sleep(100 * time.Microsecond)
			}
			if sent < c.atLeast || sent > 10*c.limit {
				t.Errorf("%d in 10 s with a limit of %d/s", sent, c.limit)
			}
		})
	}
}

func TestAllOrNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(t, ratelimit.Config{
			Limits: limits(10, time.Second, 100, time.Hour), Groups: map[string][]ratelimit.Limit{"search": limits(2, time.Minute)},
			Credential: limits(5, time.Second),
		})
		search := ratelimit.Key{Group: "search", Credential: "a"}
		if n := drain(t, l, search); n != 2 {
			t.Fatalf("%d searches", n)
		}
		e := rejected(t, l, search)
		if e.Cause != ratelimit.CauseWindow || e.Scope != (ratelimit.Key{Group: "search"}) || e.RetryAfter != time.Minute ||
			e.Window != (ratelimit.Limit{Requests: 2, Per: time.Minute}) {
			t.Errorf("%+v", e)
		}
		if f, ok := errors.AsType[*fault.Error](error(e)); !ok || f.Kind != fault.RateLimited || f.RetryAfter != time.Minute || f.Code != ratelimit.CodeLimited {
			t.Errorf("%+v", f)
		}
		if want := "The limit of 2/min of the group search is used up; the next request can go in 60 s."; e.Error() != want {
			t.Errorf("%q", e.Error())
		}
		for key, want := range map[ratelimit.Key]int{{}: 2, {Group: "search"}: 2, {Credential: "a"}: 2} {
			if got := scopeOf(t, l, key).Windows[0].Used; got != want {
				t.Errorf("%+v: %d used, not %d", key, got, want)
			}
		}
		if n := drain(t, l, ratelimit.Key{Group: "other", Credential: "a"}); n != 3 {
			t.Errorf("%d more for a", n)
		}
		if n := drain(t, l, ratelimit.Key{Credential: "b"}); n != 5 {
			t.Errorf("%d more for b", n)
		}
	})
}

func TestRefund(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(t, ratelimit.Config{Limits: limits(1, time.Hour)})
		g, _ := try(t, l, ratelimit.Key{})
		time.Sleep(time.Minute)
		if _, ok := try(t, l, ratelimit.Key{}); ok {
			t.Fatal("two")
		}
		waiting := make(chan error)
		go func() {
			_, err := l.Reserve(t.Context(), ratelimit.Key{}, 2*time.Hour)
			waiting <- err
		}()
		synctest.Wait()
		if snap := l.Snapshot(); snap.Waiting != 1 || snap.Scopes[0].Waiting != 1 {
			t.Errorf("%d in the queue, %d held up", snap.Waiting, snap.Scopes[0].Waiting)
		}
		before := time.Now()
		g.Refund()
		if err := <-waiting; err != nil || time.Since(before) != 0 {
			t.Errorf("%v after %s", err, time.Since(before))
		}
		g.Refund()
		g.Unanswered()
		g.Answered(429, nil)
		if _, ok := try(t, l, ratelimit.Key{}); ok {
			t.Error("settled twice")
		}
		snap := l.Snapshot()
		want := ratelimit.Stats{Granted: 2, Waited: 1, Rejected: 2, Refunded: 1, PeakWaiting: 1}
		if d := cmp.Diff(want, snap.Stats); d != "" {
			t.Error(d)
		}
		var none ratelimit.Grant
		none.Refund()
		none.Unanswered()
		none.Answered(200, nil)
	})
}

func TestInOrder(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(t, ratelimit.Config{Limits: limits(2, time.Second)})
		drain(t, l, ratelimit.Key{})
		var mu sync.Mutex
		var order []int
		var at []time.Duration
		start := time.Now()
		var wg sync.WaitGroup
		for i := range 8 {
			wg.Go(func() {
				if _, err := l.Reserve(t.Context(), ratelimit.Key{}, time.Minute); err != nil {
					t.Error(err)
				}
				mu.Lock()
				defer mu.Unlock()
				order, at = append(order, i), append(at, time.Since(start))
			})
			synctest.Wait()
			time.Sleep(time.Millisecond)
		}
		wg.Wait()
		// Two of a pair are let out in the same moment.
		for i := range order {
			if order[i]/2 != i/2 {
				t.Errorf("order %v", order)
				break
			}
		}
		for i, want := range []float64{1, 1, 2, 2, 3, 3, 4, 4} {
			if at[i].Seconds() != want {
				t.Errorf("let out at %v", at)
				break
			}
		}
	})
}

func TestTooLongAWaitDoesNotBegin(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(t, ratelimit.Config{Limits: limits(1, 10*time.Second), MaxWaiting: 2})
		drain(t, l, ratelimit.Key{})
		start := time.Now()
		_, err := l.Reserve(t.Context(), ratelimit.Key{}, 9*time.Second)
		if e, ok := errors.AsType[*ratelimit.RejectedError](err); !ok || e.RetryAfter != 10*time.Second || time.Since(start) != 0 {
			t.Errorf("%v after %s", err, time.Since(start))
		}
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		if _, err := l.Reserve(ctx, ratelimit.Key{}, time.Hour); err == nil || time.Since(start) != 0 {
			t.Errorf("the deadline: %v after %s", err, time.Since(start))
		}
		var wg sync.WaitGroup
		for range 2 {
			wg.Go(func() {
				if _, err := l.Reserve(t.Context(), ratelimit.Key{}, 20*time.Second); err != nil {
					t.Error(err)
				}
			})
		}
		synctest.Wait()
		// The third would be let out after 30 s.
		_, err = l.Reserve(t.Context(), ratelimit.Key{}, 29*time.Second)
		if e, ok := errors.AsType[*ratelimit.RejectedError](err); !ok || e.RetryAfter != 30*time.Second {
			t.Errorf("behind two: %v", err)
		}
		_, err = l.Reserve(t.Context(), ratelimit.Key{}, time.Hour)
		if e, ok := errors.AsType[*ratelimit.RejectedError](err); !ok || e.Cause != ratelimit.CauseQueueFull {
			t.Errorf("a full queue: %v", err)
		}
		wg.Wait()
	})
}

func TestCancelWhileWaiting(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(t, ratelimit.Config{Limits: limits(1, 10*time.Second)})
		drain(t, l, ratelimit.Key{})
		gone := errors.New("gone")
		ctx, cancel := context.WithCancelCause(t.Context())
		result := make(chan error)
		go func() {
			_, err := l.Reserve(ctx, ratelimit.Key{}, time.Minute)
			result <- err
		}()
		synctest.Wait()
		cancel(gone)
		if err := <-result; !errors.Is(err, gone) {
			t.Error(err)
		}
		if n := l.Snapshot().Waiting; n != 0 {
			t.Errorf("%d in the queue", n)
		}
		if _, err := l.Reserve(ctx, ratelimit.Key{}, time.Minute); !errors.Is(err, gone) {
			t.Error(err)
		}
		time.Sleep(10 * time.Second)
		if n := drain(t, l, ratelimit.Key{}); n != 1 {
			t.Errorf("%d let out after the one that left", n)
		}
	})
}

func TestOthersPassAQueue(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(t, ratelimit.Config{Limits: limits(100, time.Second), Credential: limits(1, time.Minute)})
		drain(t, l, ratelimit.Key{Credential: "a"})
		done := make(chan error)
		go func() {
			_, err := l.Reserve(t.Context(), ratelimit.Key{Credential: "a"}, time.Hour)
			done <- err
		}()
		synctest.Wait()
		if _, ok := try(t, l, ratelimit.Key{Credential: "b"}); !ok {
			t.Error("b waits for a")
		}
		// One that waits for nothing does not overtake one that does.
		if e := rejected(t, l, ratelimit.Key{Credential: "a"}); e.RetryAfter != 2*time.Minute {
			t.Errorf("%+v", e)
		}
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func TestThousandGoroutines(t *testing.T) {
	t.Parallel()
	l := newLimiter(t, ratelimit.Config{Limits: limits(300, time.Hour), Credential: limits(100, time.Hour), MaxWaiting: 10_000})
	var mu sync.Mutex
	granted := map[string]int{}
	var wg sync.WaitGroup
	for i := range 1000 {
		wg.Go(func() {
			key := ratelimit.Key{Credential: string(rune('a' + i%10)), Group: "g"}
			for range 3 {
				g, err := l.Reserve(t.Context(), key, 0)
				if err != nil {
					continue
				}
				switch i % 7 {
				case 0:
					g.Refund()
					continue
				case 1:
					g.Answered(200, header("RateLimit", `"x";r=900;t=1`))
				default:
					g.Answered(200, nil)
				}
				mu.Lock()
				granted[key.Credential]++
				mu.Unlock()
			}
			l.Snapshot()
		})
	}
	wg.Wait()
	total := 0
	for key, n := range granted {
		if total += n; n > 100 {
			t.Errorf("%s: %d", key, n)
		}
	}
	if total > 300 {
		t.Errorf("%d let out", total)
	}
	if used := scopeOf(t, l, ratelimit.Key{}).Windows[0].Used; used != total {
		t.Errorf("%d let out, %d counted", total, used)
	}
}

func TestConfigure(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(t, ratelimit.Config{Limits: limits(10, time.Minute)})
		drain(t, l, ratelimit.Key{})
		waiting := make(chan error)
		go func() {
			_, err := l.Reserve(t.Context(), ratelimit.Key{Group: "g"}, time.Minute)
			waiting <- err
		}()
		synctest.Wait()
		start := time.Now()
		configure := func(cfg ratelimit.Config) {
			t.Helper()
			if err := l.Configure(cfg); err != nil {
				t.Fatal(err)
			}
		}
		configure(ratelimit.Config{Limits: limits(12, time.Minute), Groups: map[string][]ratelimit.Limit{"g": limits(5, time.Second)}})
		if err := <-waiting; err != nil || time.Since(start) != 0 {
			t.Errorf("%v after %s", err, time.Since(start))
		}
		if n := drain(t, l, ratelimit.Key{}); n != 1 {
			t.Errorf("%d more after the limit was raised by two", n)
		}
		configure(ratelimit.Config{Limits: limits(5, time.Minute)})
		if e := rejected(t, l, ratelimit.Key{}); e.RetryAfter != time.Minute {
			t.Errorf("lowered: %v", e)
		}
		// Another window begins with what the old one knows.
		configure(ratelimit.Config{Limits: limits(15, time.Hour)})
		if n := drain(t, l, ratelimit.Key{}); n != 3 {
			t.Errorf("%d more in the hour", n)
		}
		configure(ratelimit.Config{})
		if n := drain(t, l, ratelimit.Key{}); n != 10_000 {
			t.Errorf("%d without a limit", n)
		}
		if err := l.Configure(ratelimit.Config{Limits: limits(0, time.Hour)}); !fault.Is(err, fault.Invalid) {
			t.Error(err)
		}
	})
}

// TestRefundAfterConfigure gives back only where it was taken.
func TestRefundAfterConfigure(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(t, ratelimit.Config{})
		old, _ := try(t, l, ratelimit.Key{Group: "g"})
		time.Sleep(time.Millisecond)
		if err := l.Configure(ratelimit.Config{Limits: limits(600, time.Minute), Groups: map[string][]ratelimit.Limit{"g": limits(700, time.Hour)}}); err != nil {
			t.Fatal(err)
		}
		if n := drain(t, l, ratelimit.Key{Group: "g"}); n != 600 {
			t.Fatal(n)
		}
		old.Refund()
		if n := drain(t, l, ratelimit.Key{Group: "g"}); n != 0 {
			t.Errorf("%d more", n)
		}
	})
}

func TestForgetAndSweep(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(t, ratelimit.Config{Limits: limits(1_000_000, time.Second), Credential: limits(2, time.Minute)})
		for i := range 5000 {
			try(t, l, ratelimit.Key{Credential: strconv.Itoa(i)})
		}
		if n := len(l.Snapshot().Scopes); n != 5001 {
			t.Errorf("%d scopes; none could be forgotten", n)
		}
		time.Sleep(time.Minute)
		for i := range 8000 {
			try(t, l, ratelimit.Key{Group: strconv.Itoa(i)})
		}
		if n := len(l.Snapshot().Scopes); n != 1 {
			t.Errorf("%d scopes after all were idle", n)
		}
		drain(t, l, ratelimit.Key{Credential: "a"})
		l.Forget("a")
		l.Forget("")
		if n := drain(t, l, ratelimit.Key{Credential: "a"}); n != 2 {
			t.Errorf("%d for an account made anew", n)
		}
	})
}

func TestValidate(t *testing.T) {
	t.Parallel()
	for field, cfg := range map[string]ratelimit.Config{
		"policy.rate_limits[0].requests":            {Limits: limits(0, time.Second)},
		"policy.rate_limits[1].per":                 {Limits: limits(1, time.Second, 1, 32*24*time.Hour)},
		"policy.rate_limits[2].per":                 {Limits: limits(1, time.Second, 1, time.Minute, 2, time.Second)},
		"policy.rate_limits":                        {Limits: make([]ratelimit.Limit, 9)},
		"policy.rate_limit_groups.search[0].per":    {Groups: map[string][]ratelimit.Limit{"search": limits(1, time.Microsecond)}},
		"policy.credential_rate_limits[0].requests": {Credential: limits(2_000_000_000, time.Second)},
		"policy.rate_limit_dialect":                 {Dialect: "klingon"},
		"policy.rate_limit_reserve":                 {Reserve: -1},
		"policy.rate_limit_floor":                   {Floor: math.NaN()},
		"policy.rate_limit_max_hold":                {MaxHold: -1},
		"policy.rate_limit_max_waiting":             {MaxWaiting: -1},
	} {
		err := cfg.Validate("policy")
		f, ok := errors.AsType[*fault.Error](err)
		if !ok || f.Kind != fault.Invalid || f.Details.Field != field {
			t.Errorf("%s: %v", field, err)
		}
		if _, err := ratelimit.New(cfg); err == nil {
			t.Errorf("%s: a limiter was made", field)
		}
	}
	if err := (ratelimit.Config{Limits: limits(1, time.Millisecond, 1_000_000_000, 744*time.Hour)}).Validate("policy"); err != nil {
		t.Error(err)
	}
}

func TestRegistry(t *testing.T) {
	t.Parallel()
	r := ratelimit.NewRegistry()
	a, err := r.Configure("a", ratelimit.Config{Limits: limits(1, time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	drain(t, a, ratelimit.Key{})
	if again, err := r.Configure("a", ratelimit.Config{Limits: limits(2, time.Hour)}); err != nil || again != a {
		t.Error("another limiter for the same connection", err)
	}
	if _, err := r.Configure("b", ratelimit.Config{Dialect: "klingon"}); err == nil {
		t.Error("an unknown dialect passed")
	}
	if _, ok := r.Get("b"); ok {
		t.Error("b exists")
	}
	state := r.Export()
	r.Remove("a")
	if _, ok := r.Get("a"); ok || len(r.Connections()) != 0 {
		t.Error("a is still there")
	}
	a, _ = r.Configure("a", ratelimit.Config{Limits: limits(2, time.Hour)})
	r.Import(state)
	if n := drain(t, a, ratelimit.Key{}); n != 1 {
		t.Errorf("%d after a restart", n)
	}
	if got := strings.Join(r.Connections(), " "); got != "a" {
		t.Error(got)
	}
}

// Who looks for holds finds each, from when it begins until a request was answered after it, and no limiter
// without one is looked at.
func TestRegistryKnowsItsHolds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := ratelimit.NewRegistry()
		of := map[string]*ratelimit.Limiter{}
		for _, connection := range []string{"a", "b", "c"} {
			var err error
			if of[connection], err = r.Configure(connection, ratelimit.Config{HoldCredential: connection == "b"}); err != nil {
				t.Fatal(err)
			}
		}
		held := func(want ...string) {
			t.Helper()
			for range 2 {
				var got []string
				for connection, holds := range r.Holds() {
					for key := range holds {
						got = append(got, connection+key.Credential)
					}
				}
				slices.Sort(got)
				if !slices.Equal(got, want) {
					t.Errorf("held are %q, want %q", got, want)
				}
			}
		}
		held()
		answer(t, of["a"], ratelimit.Key{}, 429, header("Retry-After", "5"))
		answer(t, of["b"], ratelimit.Key{Credential: "x"}, 429, header("Retry-After", "60"))
		answer(t, of["b"], ratelimit.Key{Credential: "y"}, 429, header("Retry-After", "60"))
		answer(t, of["c"], ratelimit.Key{}, 200, nil)
		held("a", "bx", "by")
		time.Sleep(6 * time.Second)
		held("a", "bx", "by") // one goes first
		answer(t, of["a"], ratelimit.Key{}, 200, nil)
		held("bx", "by")
		answer(t, of["a"], ratelimit.Key{}, 429, header("Retry-After", "5"))
		of["b"].Forget("x")
		held("a", "by")
		state := r.Export()
		r.Remove("a")
		held("by")
		if _, err := r.Configure("a", ratelimit.Config{}); err != nil {
			t.Fatal(err)
		}
		held("by")
		r.Import(state)
		held("a", "by")
	})
}
