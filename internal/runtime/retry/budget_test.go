package retry_test

import (
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"switchgear/internal/runtime/retry"
)

// TestAmplification is the promise: when everything fails and everybody wants to repeat, the upstream sees
// at most 1.2 times the traffic.
func TestAmplification(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		perSecond int
		took      time.Duration
	}{
		"fast failures": {100, time.Millisecond},
		"slow failures": {100, 2 * time.Second},
		"little load":   {25, 500 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				p := newPolicy(t, usual())
				b := newBudget(t, retry.BudgetConfig{Ratio: 0.2})
				var mu sync.Mutex
				calls, sends := 0, 0
				var wg sync.WaitGroup
				one := func() {
					call := b.Begin()
					defer call.End()
					deadline := time.Now().Add(30 * time.Second)
					for number := 1; ; number++ {
						mu.Lock()
						sends++
						mu.Unlock()
						time.Sleep(c.took)
						d := p.Decide(retry.Attempt{Number: number, Rule: retry.Safe, Method: "GET", Sent: true, Remaining: time.Until(deadline)}, &call)
						if !d.Repeat() {
							return
						}
						time.Sleep(d.Wait)
					}
				}
				for range 40 * c.perSecond {
					calls++
					wg.Go(one)
					time.Sleep(time.Second / time.Duration(c.perSecond))
				}
				wg.Wait()
				if ratio := float64(sends) / float64(calls); ratio > 1.2 || ratio < 1.05 {
					t.Errorf("%d sends for %d calls: %.2f", sends, calls, ratio)
				}
				if s := b.Snapshot(); s.InFlight != 0 || s.Repeating != 0 || s.Refused == 0 {
					t.Errorf("%+v", s)
				}
			})
		})
	}
}

func TestBudgetAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBudget(t, retry.BudgetConfig{Ratio: 0.2, MinimumTokens: 1000})
		calls := make([]retry.Call, 0, 100)
		for range 10 {
			calls = append(calls, b.Begin())
		}
		for i := range 3 {
			if why := calls[i].Repeat(); why != "" {
				t.Errorf("%d: %s", i, why)
			}
		}
		if why := calls[3].Repeat(); why != "budget used up: 3 of 3 calls being repeated" {
			t.Errorf("%q", why)
		}
		if why := calls[0].Repeat(); why != "" { // It is counted already.
			t.Errorf("%q", why)
		}
		want := retry.BudgetSnapshot{InFlight: 10, Repeating: 3, MostRepeating: 3, Repeats: 4, MostRepeats: 1001, Calls: 10, Refused: 1}
		if d := cmp.Diff(want, b.Snapshot()); d != "" {
			t.Error(d)
		}
		calls[0].End()
		calls[0].End()
		if why := calls[0].Repeat(); why == "" {
			t.Error("repeated after its end")
		}
		if why := calls[3].Repeat(); why != "" {
			t.Errorf("%q", why)
		}
		for range 90 {
			calls = append(calls, b.Begin())
		}
		if s := b.Snapshot(); s.InFlight != 99 || s.MostRepeating != 19 {
			t.Errorf("%+v", s)
		}
		for i := range calls {
			calls[i].End()
		}
		if s := b.Snapshot(); s.InFlight != 0 || s.Repeating != 0 {
			t.Errorf("%+v", s)
		}
		var none retry.Call
		if none.End(); none.Repeat() == "" {
			t.Error("a call of no budget")
		}
	})
}

func TestBudgetTokensLiveTenSeconds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBudget(t, retry.BudgetConfig{Ratio: 0.2, Minimum: 1000})
		take := func() (n int) {
			for {
				call := b.Begin()
				if call.Repeat() != "" {
					call.End()
					return n
				}
				call.End()
				n++
			}
		}
		if n := take(); n != 11 { // 10, and a tenth of the calls made meanwhile
			t.Errorf("%d at first", n)
		}
		time.Sleep(9 * time.Second)
		if n := take(); n != 0 {
			t.Errorf("%d after 9 s", n)
		}
		time.Sleep(time.Second)
		if n := take(); n != 11 {
			t.Errorf("%d after 10 s", n)
		}
		time.Sleep(time.Hour)
		if s := b.Snapshot(); s.Calls != 0 || s.Repeats != 0 || s.MostRepeats != 10 {
			t.Errorf("%+v", s)
		}
	})
}

func TestBudgets(t *testing.T) {
	t.Parallel()
	r := retry.NewBudgets()
	a, err := r.Configure("a", retry.BudgetConfig{Ratio: 0.2})
	if err != nil {
		t.Fatal(err)
	}
	if again, err := r.Configure("a", retry.BudgetConfig{Minimum: 7}); err != nil || again != a || a.Snapshot().MostRepeating != 7 {
		t.Error("not the same budget, or not the new minimum", err)
	}
	if _, err := r.Configure("a", retry.BudgetConfig{Ratio: 7}); err == nil {
		t.Error("a ratio of 7")
	}
	if _, err := r.Configure("b", retry.BudgetConfig{Ratio: 7}); err == nil {
		t.Error("a ratio of 7")
	}
	if _, ok := r.Get("b"); ok {
		t.Error("b exists")
	}
	r.Remove("a")
	if _, ok := r.Get("a"); ok {
		t.Error("a is still there")
	}
}

func TestThousandGoroutines(t *testing.T) {
	t.Parallel()
	b := newBudget(t, retry.BudgetConfig{Ratio: 0.2})
	p := newPolicy(t, usual())
	var wg sync.WaitGroup
	for range 1000 {
		wg.Go(func() {
			for range 5 {
				call := b.Begin()
				p.Decide(retry.Attempt{Number: 1, Rule: retry.Safe, Method: "GET", Remaining: time.Minute}, &call)
				call.End()
				b.Snapshot()
			}
		})
	}
	wg.Wait()
	if s := b.Snapshot(); s.InFlight != 0 || s.Repeating != 0 {
		t.Errorf("%+v", s)
	}
}

func BenchmarkCall(b *testing.B) {
	budget := newBudget(b, retry.BudgetConfig{Ratio: 0.2})
	b.ReportAllocs()
	for b.Loop() {
		call := budget.Begin()
		call.End()
	}
}

func BenchmarkDecide(b *testing.B) {
	p := newPolicy(b, usual())
	budget := newBudget(b, retry.BudgetConfig{Ratio: 0.2})
	for name, a := range map[string]retry.Attempt{
		"repeat": {Number: 1, Rule: retry.Safe, Method: "GET", Remaining: time.Minute},
		"final":  {Number: 1, Rule: retry.Never, Method: "GET", Remaining: time.Minute},
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				call := budget.Begin()
				p.Decide(a, &call)
				call.End()
			}
		})
	}
}

func BenchmarkKey(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		retry.NewKey()
	}
}
