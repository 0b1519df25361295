package ratelimit

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"
)

// TestWindowAgainstAList compares the log with a plain list of times, over random traffic with refunds.
func TestWindowAgainstAList(t *testing.T) {
	t.Parallel()
	for seed := range uint64(40) {
		rng := rand.New(rand.NewPCG(seed, 1))
		limit := []int{1, 2, 7, 40, maxExact, maxExact + 1, 1000, 3000}[rng.IntN(8)]
		per := time.Duration(1+rng.IntN(1000)) * time.Second
		w := newWindow(Limit{Requests: limit, Per: per}, 0)
		var kept []int64
		now := int64(0)
		for range 6000 {
			now += int64(rng.ExpFloat64() * float64(per) / float64(limit) * 0.5)
			if rng.IntN(500) == 0 {
				now += int64(per) * int64(rng.IntN(3))
			}
			if len(kept) > 0 && rng.IntN(10) == 0 {
				i := len(kept) - 1 - rng.IntN(min(len(kept), 20))
				w.giveBack(kept[i], now)
				if w.usedAt(now) < 0 {
					t.Fatalf("seed %d: %d used", seed, w.usedAt(now))
				}
				kept = append(kept[:i], kept[i+1:]...)
				continue
			}
			want := 0
			for i := len(kept) - 1; i >= 0 && kept[i]+int64(per) > now; i-- {
				want++
			}
			room := w.room(now)
			if room && want >= limit {
				t.Fatalf("seed %d: %d of %d in the window, and one more was let in", seed, want, limit)
			}
			if !room {
				// Sharing an entry may hold one back for as long as an entry spans, not longer.
				late := 0
				for i := len(kept) - 1; i >= 0 && kept[i]+int64(per)+w.span > now; i-- {
					late++
				}
				if late < limit {
					t.Fatalf("seed %d: %d of %d, and none was let in", seed, late, limit)
				}
				if at := w.earliest(now, 0); at <= now {
					t.Fatalf("seed %d: no room, but room at once", seed)
				}
				continue
			}
			w.take(now)
			kept = append(kept, now)
		}
		if w.span == 0 {
			w.expire(now)
			if w.count > limit {
				t.Errorf("seed %d: %d entries for a limit of %d", seed, w.count, limit)
			}
		}
		if len(w.ring) > 4*maxExact {
			t.Errorf("seed %d: the log grew to %d entries", seed, len(w.ring))
		}
	}
}

func TestWindowEarliestBehindOthers(t *testing.T) {
	t.Parallel()
	w := newWindow(Limit{Requests: 3, Per: 10 * time.Second}, 0)
	for i := range int64(3) {
		w.take(i * int64(time.Second))
	}
	now := int64(5 * time.Second)
	for ahead, want := range []int{10, 11, 12, 20, 21, 22, 30} {
		if got := w.earliest(now, int64(ahead)); got != int64(want)*int64(time.Second) {
			t.Errorf("behind %d: at %s, not %ds", ahead, time.Duration(got), want)
		}
	}
	if got := w.earliest(now, 1<<60); got < now {
		t.Errorf("far behind: at %d, before now", got)
	}
	if got := w.usedAt(int64(11 * time.Second)); got != 1 {
		t.Errorf("%d used at 11 s", got)
	}
	if w.used != 3 {
		t.Error("looking changed the log")
	}
}

// TestNobodyOvertakes: room has come, and the timer for the one that waits for it has not fired yet.
func TestNobodyOvertakes(t *testing.T) {
	t.Parallel()
	l, err := New(Config{Limits: []Limit{{Requests: 9, Per: time.Hour}}})
	if err != nil {
		t.Fatal(err)
	}
	l.mu.Lock()
	w := &waiter{route: l.routeOf(Key{}), ready: make(chan struct{})}
	l.enqueue(w)
	l.mu.Unlock()
	if _, err := l.Reserve(t.Context(), Key{}, 0); err == nil {
		t.Error("one that does not wait overtook one that does")
	}
	if _, err := l.Reserve(t.Context(), Key{}, time.Hour); err != nil || w.queued {
		t.Errorf("%v, and the first still waits: %t", err, w.queued)
	}
}

func TestWords(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]string{
		0: "0 ms", 1500 * time.Microsecond: "2 ms", 1500 * time.Millisecond: "1.5 s", 20 * time.Second: "20 s",
		90 * time.Second: "90 s", 200 * time.Second: "3 min 20 s", 2 * time.Hour: "2 h", 49 * time.Hour: "2 days 1 h",
	} {
		if got := words(d); got != want {
			t.Errorf("%s: %q, not %q", d, got, want)
		}
	}
	for rate, want := range map[float64]string{12: "12/s", 1.44: "1.4/s", 0.5: "30/min", 1.0 / 720: "5/h", 1.0 / 86400: "1/day"} {
		if got := perTime(rate); got != want {
			t.Errorf("%g: %q, not %q", rate, got, want)
		}
	}
	got := fmt.Sprint(Limit{90, time.Second}, Limit{5, time.Minute}, Limit{5, time.Hour}, Limit{5, day}, Limit{100, 10 * time.Second}, Limit{})
	if want := "90/s 5/min 5/h 5/day 100 per 10 s no limit"; got != want {
		t.Errorf("%q, not %q", got, want)
	}
}
