package throttle

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"switchgear/internal/fault"
)

const (
	ada  = "ada@example.com"
	home = "192.0.2.10"
)

// reserve asks for an attempt that must not have to queue.
func reserve(t *testing.T, th *Throttle, account, ip string) (*Attempt, time.Duration) {
	t.Helper()
	a, wait, err := th.Reserve(t.Context(), account, ip)
	if err != nil {
		t.Fatal(err)
	}
	return a, wait
}

// try makes an attempt that fails, and returns how long it has to wait if it may not be made.
func try(t *testing.T, th *Throttle, account, ip string) time.Duration {
	t.Helper()
	a, wait := reserve(t, th, account, ip)
	if wait == 0 {
		a.Failed()
	}
	return wait
}

// fail makes attempts on ada from home that fail until one has to wait, and returns how long that is.
func fail(t *testing.T, th *Throttle) (made int, wait time.Duration) {
	t.Helper()
	for made := range 1000 {
		if wait := waitOf(t, th); wait > 0 {
			return made, wait
		}
	}
	t.Fatal("nothing slowed the attempts down")
	return 0, 0
}

func TestDelaysDouble(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		th := New(Config{}, time.Now)
		if made, wait := fail(t, th); made != 5 || wait != time.Second {
			t.Fatalf("%d free attempts, then %v", made, wait)
		}
		for _, seconds := range []int{2, 4, 8, 16, 32, 64, 128, 256, 300, 300} {
			time.Sleep(waitOf(t, th))
			made, wait := fail(t, th)
			if want := time.Duration(seconds) * time.Second; made != 1 || wait != want {
				t.Fatalf("%d attempts, then %v, want one and %v", made, wait, want)
			}
		}
		// Never a lock: after the longest delay the next attempt is let through.
		time.Sleep(5 * time.Minute)
		if wait := try(t, th, ada, home); wait != 0 {
			t.Errorf("still %v to wait", wait)
		}
		time.Sleep(5*time.Minute + time.Hour)
		if made, _ := fail(t, th); made != 5 {
			t.Errorf("%d attempts after everything was forgotten", made)
		}
	})
}

func waitOf(t *testing.T, th *Throttle) time.Duration {
	t.Helper()
	return try(t, th, ada, home)
}

func TestWhoIsSlowedDown(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name, account, ip string
		free              bool
	}{
		{"same", ada, home, false},
		{"neighbour in the network", ada, "192.0.2.99", false},
		{"mapped form of the same", ada, "::ffff:192.0.2.10", false},
		{"other network", ada, "198.51.100.1", true},
		{"other account", "bob@example.com", home, true},
		{"no address", ada, "", true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				th := New(Config{}, time.Now)
				fail(t, th)
				if wait := try(t, th, tc.account, tc.ip); (wait == 0) != tc.free {
					t.Errorf("wait %v", wait)
				}
			})
		})
	}
}

func TestAddressAcrossAccounts(t *testing.T) {
	t.Parallel()
	for name, ip := range map[string][2]string{
		"IPv4": {"192.0.2.10", "192.0.2.11"},
		"IPv6": {"2001:db8:1:1::1", "2001:db8:1:2::1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				th := New(Config{}, time.Now)
				for i := range 20 {
					if wait := try(t, th, fmt.Sprintf("user%d@example.com", i), ip[0]); wait > 0 {
						t.Fatalf("attempt %d has to wait %v", i, wait)
					}
				}
				if wait := try(t, th, "another@example.com", ip[0]); wait != time.Second {
					t.Error("one address may try any number of accounts")
				}
				if wait := try(t, th, "another@example.com", ip[1]); wait > 0 {
					t.Error("another address has to wait")
				}
				// However long somebody goes on, it gets no worse than one attempt a second.
				for i := range 1000 {
					time.Sleep(time.Second)
					if wait := try(t, th, fmt.Sprintf("later%d@example.com", i), ip[0]); wait > 0 {
						t.Fatalf("attempt %d has to wait %v", i, wait)
					}
				}
			})
		})
	}
}

// All hosts of an IPv6 /64 are one address: whoever has one has them all.
func TestIPv6Hosts(t *testing.T) {
	t.Parallel()
	th := New(Config{}, time.Now)
	blocked := false
	for i := range 100 {
		wait := try(t, th, fmt.Sprintf("u%d@example.com", i), fmt.Sprintf("2001:db8::%x", i+1))
		blocked = blocked || wait > 0
	}
	if !blocked {
		t.Error("changing the host part of the address evades the throttle")
	}
}

func TestSuccessClears(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		th := New(Config{}, time.Now)
		for range 4 {
			waitOf(t, th)
		}
		a, _ := reserve(t, th, ada, home)
		a.Succeeded()
		a.Failed() // too late
		if made, _ := fail(t, th); made != 5 {
			t.Errorf("%d attempts after a success", made)
		}
	})
}

// Twenty people behind one address sign in all day.
func TestSuccessesOfAnAddressAreFree(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		th := New(Config{}, time.Now)
		for i := range 200 {
			a, wait := reserve(t, th, fmt.Sprintf("user%d@example.com", i), home)
			if wait > 0 {
				t.Fatalf("sign-in %d has to wait %v", i, wait)
			}
			a.Succeeded()
		}
		if n := len(th.pairs.values); n != 0 {
			t.Errorf("%d pairs are left", n)
		}
	})
}

func TestCancel(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		th := New(Config{}, time.Now)
		for range 50 {
			a, wait := reserve(t, th, ada, home)
			if wait > 0 {
				t.Fatalf("wait %v", wait)
			}
			a.Cancel()
		}
	})
}

// Attempts that run at the same time count before their outcome is known.
func TestParallelAttempts(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		th := New(Config{}, time.Now)
		var through atomic.Int64
		var wg sync.WaitGroup
		for range 500 {
			wg.Go(func() {
				if a, wait, err := th.Reserve(t.Context(), ada, home); err == nil && wait == 0 {
					through.Add(1)
					time.Sleep(30 * time.Millisecond) // hashing
					a.Failed()
				}
			})
		}
		wg.Wait()
		if n := through.Load(); n != 5 {
			t.Errorf("%d parallel attempts went through", n)
		}
	})
}

func TestMemoryIsBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		th := New(Config{MaxEntries: 100}, time.Now)
		for i := range 5000 {
			try(t, th, fmt.Sprintf("u%d@example.com", i), fmt.Sprintf("2001:db8:%x::1", i))
			a, _ := reserve(t, th, fmt.Sprintf("known%d@example.com", i), fmt.Sprintf("2001:db8:%x::1", i))
			a.Succeeded()
		}
		// The last success made room for its pair and then needed none.
		if n := th.Len(); n != 299 || th.pairs.recent.Len() != 99 || th.addresses.recent.Len() != 100 || th.familiar.recent.Len() != 100 {
			t.Errorf("%d entries", n)
		}
		time.Sleep(2 * time.Hour)
		th.Prune()
		if n := th.Len(); n != 100 {
			t.Errorf("%d entries after two hours", n)
		}
		time.Sleep(30 * 24 * time.Hour)
		th.Prune()
		if n := th.Len(); n != 0 || th.pairs.recent.Len()+th.addresses.recent.Len()+th.familiar.recent.Len() != 0 {
			t.Errorf("%d entries after a month", n)
		}
	})
}

// A stranger who uses up the address holds back nobody who has signed in from there before.
func TestKnownPairsPassTheAddress(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		th := New(Config{}, time.Now)
		a, _ := reserve(t, th, ada, home)
		a.Succeeded()
		flood := func() {
			for i := range 100 {
				try(t, th, fmt.Sprintf("nobody%d@example.com", i), home)
			}
		}
		flood()
		for range 20 {
			a, wait := reserve(t, th, ada, home)
			if wait > 0 {
				t.Fatalf("somebody known has to wait %v", wait)
			}
			a.Succeeded()
		}
		if wait := try(t, th, "new@example.com", home); wait == 0 || wait > time.Second {
			t.Errorf("somebody new waits %v", wait)
		}
		// Being known makes no guess easier.
		if made, wait := fail(t, th); made != 5 || wait != time.Second {
			t.Errorf("%d guesses, then %v", made, wait)
		}
		time.Sleep(30 * 24 * time.Hour)
		flood()
		if wait := try(t, th, ada, home); wait == 0 {
			t.Error("a month later they are still known")
		}
	})
}

// A known pair has a rate of its own: attempts that are never decided against it end there, too.
func TestKnownPairsHaveARate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		th := New(Config{AccountFree: 1000}, time.Now)
		a, _ := reserve(t, th, ada, home)
		a.Succeeded()
		if made, wait := fail(t, th); made != 10 || wait != time.Second {
			t.Errorf("%d attempts, then %v", made, wait)
		}
	})
}

// Right passwords at the same moment queue; none of them is told that it failed.
func TestParallelSuccessesQueue(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		th := New(Config{}, time.Now)
		var through, running, most atomic.Int64
		var wg sync.WaitGroup
		for range 60 {
			wg.Go(func() {
				a, wait, err := th.Reserve(t.Context(), ada, home)
				if err != nil || wait > 0 {
					t.Errorf("wait %v, %v", wait, err)
					return
				}
				n := running.Add(1)
				for old := most.Load(); n > old && !most.CompareAndSwap(old, n); old = most.Load() {
				}
				time.Sleep(30 * time.Millisecond) // hashing
				running.Add(-1)
				through.Add(1)
				a.Succeeded()
			})
		}
		wg.Wait()
		if through.Load() != 60 || most.Load() != 5 {
			t.Errorf("%d went through, %d at a time", through.Load(), most.Load())
		}
	})
}

// The queue is bounded in length and time, and a client that goes away leaves it.
func TestQueueIsBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		th := New(Config{}, time.Now)
		for range 5 {
			reserve(t, th, ada, home) // never decided
		}
		leaving, cancel := context.WithCancel(t.Context())
		contexts := []context.Context{t.Context(), leaving}
		var full, late, gone atomic.Int64
		start := time.Now()
		var wg sync.WaitGroup
		for i := range 100 {
			wg.Go(func() {
				_, _, err := th.Reserve(contexts[i%2], ada, home)
				switch {
				case errors.Is(err, context.Canceled):
					gone.Add(1)
				case !fault.Is(err, fault.RateLimited) || fault.CodeOf(err) != "BUSY":
					t.Errorf("%v", err)
				case time.Since(start) == 0:
					full.Add(1)
				default:
					late.Add(1)
				}
			})
		}
		synctest.Wait()
		cancel()
		wg.Wait()
		if full.Load() != 36 || gone.Load()+late.Load() != 64 || time.Since(start) > 30*time.Second || late.Load() == 0 {
			t.Errorf("%d at once, %d late, %d gone after %v", full.Load(), late.Load(), gone.Load(), time.Since(start))
		}
	})
}
