package bulkhead_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"switchgear/internal/fault"
	"switchgear/internal/runtime/bulkhead"
)

func newBulkhead(tb testing.TB, cfg bulkhead.Config) *bulkhead.Bulkhead {
	tb.Helper()
	b, err := bulkhead.New(cfg)
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

func enter(tb testing.TB, b *bulkhead.Bulkhead, group string) bulkhead.Permit {
	tb.Helper()
	p, err := b.Acquire(tb.Context(), group, 0)
	if err != nil {
		tb.Fatal(err)
	}
	return p
}

func rejected(tb testing.TB, b *bulkhead.Bulkhead, group string, wait time.Duration) *bulkhead.RejectedError {
	tb.Helper()
	_, err := b.Acquire(tb.Context(), group, wait)
	e, ok := errors.AsType[*bulkhead.RejectedError](err)
	if !ok {
		tb.Fatalf("not rejected: %v", err)
	}
	return e
}

func TestAcquire(t *testing.T) {
	t.Parallel()
	b := newBulkhead(t, bulkhead.Config{MaxInFlight: 3, Groups: map[string]int{"search": 1}})
	search := enter(t, b, "search")
	e := rejected(t, b, "search", 0)
	if d := cmp.Diff(&bulkhead.RejectedError{Group: "search", InFlight: 1, Limit: 1}, e); d != "" {
		t.Error(d)
	}
	if want := "1 of 1 calls of the operations of search are under way already."; e.Error() != want {
		t.Errorf("%q", e)
	}
	if f, ok := errors.AsType[*fault.Error](error(e)); !ok || f.Kind != fault.Unavailable || f.Code != bulkhead.CodeFull || f.RetryAfter != time.Second {
		t.Errorf("%+v", f)
	}
	enter(t, b, "")
	other := enter(t, b, "other")
	if e := rejected(t, b, "other", 0); e.Error() != "3 of 3 calls of this connection are under way already." {
		t.Errorf("%q", e)
	}
	for range 3 {
		search.Release()
	}
	again := enter(t, b, "search")
	search.Release() // Its place is another's now.
	other.Release()
	want := bulkhead.Snapshot{
		CompartmentSnapshot: bulkhead.CompartmentSnapshot{InFlight: 2, Limit: 3, Peak: 3, Rejected: 2},
		Groups:              map[string]bulkhead.CompartmentSnapshot{"search": {InFlight: 1, Limit: 1, Peak: 1, Rejected: 1}},
		MaxWaiting:          1000,
	}
	if d := cmp.Diff(want, b.Snapshot()); d != "" {
		t.Error(d)
	}
	again.Release()
	var none bulkhead.Permit
	none.Release()
}

func TestInOrder(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBulkhead(t, bulkhead.Config{MaxInFlight: 1, MaxWaiting: 5})
		first := enter(t, b, "")
		order := make(chan int, 5)
		var wg sync.WaitGroup
		for i := range 5 {
			wg.Go(func() {
				p, err := b.Acquire(t.Context(), "", time.Minute)
				if err != nil {
					t.Error(err)
				}
				order <- i
				time.Sleep(time.Second)
				p.Release()
			})
			synctest.Wait()
		}
		if e := rejected(t, b, "", time.Minute); !e.QueueFull || e.Error() != "1 of 1 calls of this connection are under way already, and too many wait." {
			t.Errorf("%+v", e)
		}
		if s := b.Snapshot(); s.Waiting != 5 || s.InFlight != 1 {
			t.Errorf("%+v", s)
		}
		first.Release()
		// One that does not wait overtakes nobody.
		if _, err := b.Acquire(t.Context(), "", 0); err == nil {
			t.Error("it overtook those that wait")
		}
		wg.Wait()
		for i := range 5 {
			if got := <-order; got != i {
				t.Errorf("%d came in at %d", got, i)
			}
		}
		if s := b.Snapshot(); s.Waiting != 0 || s.InFlight != 0 || s.PeakWaiting != 5 || s.Peak != 1 {
			t.Errorf("%+v", s)
		}
	})
}

func TestWaitIsBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBulkhead(t, bulkhead.Config{MaxInFlight: 1})
		enter(t, b, "")
		start := time.Now()
		e := rejected(t, b, "", 1500*time.Millisecond)
		if time.Since(start) != 1500*time.Millisecond || e.Waited != 1500*time.Millisecond {
			t.Errorf("%+v after %s", e, time.Since(start))
		}
		if want := "1 of 1 calls of this connection are under way already; none ended within 1.5s."; e.Error() != want {
			t.Errorf("%q", e)
		}
		gone := errors.New("gone")
		ctx, cancel := context.WithCancelCause(t.Context())
		result := make(chan error, 1)
		go func() {
			_, err := b.Acquire(ctx, "", time.Hour)
			result <- err
		}()
		synctest.Wait()
		cancel(gone)
		if err := <-result; !errors.Is(err, gone) {
			t.Error(err)
		}
		if _, err := b.Acquire(ctx, "", time.Hour); !errors.Is(err, gone) {
			t.Error(err)
		}
		if s := b.Snapshot(); s.Waiting != 0 || s.InFlight != 1 {
			t.Errorf("%+v", s)
		}
	})
}

// TestAGroupHoldsUpItsOwn: those that wait for a full group are passed by others.
func TestAGroupHoldsUpItsOwn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBulkhead(t, bulkhead.Config{MaxInFlight: 10, Groups: map[string]int{"slow": 1}})
		slow := enter(t, b, "slow")
		in := make(chan bulkhead.Permit, 2)
		for range 2 {
			go func() {
				p, err := b.Acquire(t.Context(), "slow", time.Hour)
				if err != nil {
					t.Error(err)
				}
				in <- p
			}()
		}
		synctest.Wait()
		enter(t, b, "quick").Release()
		slow.Release()
		(<-in).Release()
		(<-in).Release()
		if s := b.Snapshot(); s.InFlight != 0 || s.Groups["slow"].Peak != 1 {
			t.Errorf("%+v", s)
		}
	})
}

func TestConfigure(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBulkhead(t, bulkhead.Config{MaxInFlight: 2, Groups: map[string]int{"g": 1}})
		permits := append(make([]bulkhead.Permit, 0, 5), enter(t, b, "g"), enter(t, b, ""))
		in := make(chan bulkhead.Permit, 3)
		for range 3 {
			go func() {
				p, err := b.Acquire(t.Context(), "g", time.Hour)
				if err != nil {
					t.Error(err)
				}
				in <- p
			}()
		}
		synctest.Wait()
		configure := func(cfg bulkhead.Config) {
			t.Helper()
			if err := b.Configure(cfg); err != nil {
				t.Fatal(err)
			}
		}
		configure(bulkhead.Config{MaxInFlight: 9, Groups: map[string]int{"g": 2}})
		permits = append(permits, <-in)
		synctest.Wait()
		if len(in) != 0 {
			t.Error("more than the group allows")
		}
		configure(bulkhead.Config{MaxInFlight: 9}) // The group has no limit any more.
		permits = append(permits, <-in, <-in)
		configure(bulkhead.Config{MaxInFlight: 1, Groups: map[string]int{"g": 1}})
		// The group that came back still counts those that are in it.
		if s := b.Snapshot(); s.InFlight != 5 || s.Limit != 1 || s.Groups["g"].InFlight == 0 {
			t.Errorf("%+v", s)
		}
		for _, p := range permits {
			if _, err := b.Acquire(t.Context(), "", 0); err == nil {
				t.Error("let in above the lower limit")
			}
			p.Release()
		}
		configure(bulkhead.Config{})
		for range 200 {
			enter(t, b, "g")
		}
		if err := b.Configure(bulkhead.Config{MaxInFlight: -1}); !fault.Is(err, fault.Invalid) {
			t.Error(err)
		}
	})
}

// TestNeverAbove sends random traffic and checks both limits from outside.
func TestNeverAbove(t *testing.T) {
	t.Parallel()
	for seed := range uint64(10) {
		synctest.Test(t, func(t *testing.T) {
			b := newBulkhead(t, bulkhead.Config{MaxInFlight: 7, Groups: map[string]int{"a": 3, "b": 5}})
			rng := rand.New(rand.NewPCG(seed, 7))
			var total, served atomic.Int64
			groups := map[string]*atomic.Int64{"a": {}, "b": {}, "c": {}}
			most := map[string]int64{"a": 3, "b": 5, "c": 7}
			var wg sync.WaitGroup
			for range 1000 {
				name := string(rune('a' + rng.IntN(3)))
				wait, work := time.Duration(rng.IntN(30))*time.Millisecond, time.Duration(rng.IntN(20))*time.Millisecond
				wg.Go(func() {
					p, err := b.Acquire(t.Context(), name, wait)
					if err != nil {
						return
					}
					served.Add(1)
					if n, g := total.Add(1), groups[name].Add(1); n > 7 || g > most[name] {
						t.Errorf("%d in flight, %d of %s", n, g, name)
					}
					time.Sleep(work)
					total.Add(-1)
					groups[name].Add(-1)
					p.Release()
					p.Release()
				})
				time.Sleep(time.Duration(rng.IntN(3)) * time.Millisecond)
			}
			wg.Wait()
			if s := b.Snapshot(); s.InFlight != 0 || s.Waiting != 0 || s.Peak != 7 || s.Rejected+served.Load() != 1000 {
				t.Errorf("%+v, %d served", s, served.Load())
			}
		})
	}
}

func TestThousandGoroutines(t *testing.T) {
	t.Parallel()
	b := newBulkhead(t, bulkhead.Config{MaxInFlight: 20, Groups: map[string]int{"g": 5}, MaxWaiting: 2000})
	var in atomic.Int64
	var wg sync.WaitGroup
	for i := range 1000 {
		wg.Go(func() {
			group := ""
			if i%3 == 0 {
				group = "g"
			}
			p, err := b.Acquire(t.Context(), group, time.Minute)
			if err != nil {
				t.Error(err)
				return
			}
			if n := in.Add(1); n > 20 {
				t.Errorf("%d in flight", n)
			}
			b.Snapshot()
			in.Add(-1)
			var both sync.WaitGroup
			both.Go(p.Release)
			both.Go(p.Release)
			both.Wait()
		})
	}
	wg.Wait()
	if s := b.Snapshot(); s.InFlight != 0 || s.Waiting != 0 || s.Groups["g"].InFlight != 0 || s.Peak > 20 {
		t.Errorf("%+v", s)
	}
}

func TestValidate(t *testing.T) {
	t.Parallel()
	for field, cfg := range map[string]bulkhead.Config{
		"policy.bulkhead.max_in_flight": {MaxInFlight: 200_000},
		"policy.bulkhead.groups.search": {Groups: map[string]int{"search": 0}},
		"policy.bulkhead.max_waiting":   {MaxWaiting: -1},
	} {
		_, err := bulkhead.New(cfg)
		if f, ok := errors.AsType[*fault.Error](err); !ok || f.Kind != fault.Invalid || f.Details.Field != field {
			t.Errorf("%s: %v", field, err)
		}
	}
}

func TestRegistry(t *testing.T) {
	t.Parallel()
	r := bulkhead.NewRegistry()
	a, err := r.Configure("a", bulkhead.Config{MaxInFlight: 1})
	if err != nil {
		t.Fatal(err)
	}
	p := enter(t, a, "")
	if again, err := r.Configure("a", bulkhead.Config{MaxInFlight: 2}); err != nil || again != a || a.Snapshot().InFlight != 1 {
		t.Error("not the same bulkhead", err)
	}
	if _, err := r.Configure("b", bulkhead.Config{MaxInFlight: -1}); err == nil {
		t.Error("-1 in flight")
	}
	if _, ok := r.Get("b"); ok {
		t.Error("b exists")
	}
	r.Remove("a")
	if _, ok := r.Get("a"); ok {
		t.Error("a is still there")
	}
	p.Release()
}

func BenchmarkAcquire(b *testing.B) {
	bh := newBulkhead(b, bulkhead.Config{MaxInFlight: 100, Groups: map[string]int{"g": 50}})
	b.ReportAllocs()
	for b.Loop() {
		p, err := bh.Acquire(b.Context(), "g", 0)
		if err != nil {
			b.Fatal(err)
		}
		p.Release()
	}
}

func BenchmarkAcquireParallel(b *testing.B) {
	bh := newBulkhead(b, bulkhead.Config{MaxInFlight: 100, Groups: map[string]int{"g": 50}})
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if p, err := bh.Acquire(b.Context(), "g", 0); err == nil {
				p.Release()
			}
		}
	})
}
