package throttle

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

const (
	ada  = "ada@example.com"
	home = "192.0.2.10"
)

// fail makes attempts on ada from home that fail until one has to wait, and returns how long that is.
func fail(t *testing.T, th *Throttle) (made int, wait time.Duration) {
	t.Helper()
	for made := range 1000 {
		if wait := waitOf(th); wait > 0 {
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
			time.Sleep(waitOf(th))
			made, wait := fail(t, th)
			if want := time.Duration(seconds) * time.Second; made != 1 || wait != want {
				t.Fatalf("%d attempts, then %v, want one and %v", made, wait, want)
			}
		}
		// Never a lock: after the longest delay the next attempt is let through.
		time.Sleep(5 * time.Minute)
		if _, wait := th.Reserve(ada, home); wait != 0 {
			t.Errorf("still %v to wait", wait)
		}
		time.Sleep(5*time.Minute + time.Hour)
		if made, _ := fail(t, th); made != 5 {
			t.Errorf("%d attempts after everything was forgotten", made)
		}
	})
}

func waitOf(th *Throttle) time.Duration {
	_, wait := th.Reserve(ada, home)
	return wait
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
				if _, wait := th.Reserve(tc.account, tc.ip); (wait == 0) != tc.free {
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
					if _, wait := th.Reserve(fmt.Sprintf("user%d@example.com", i), ip[0]); wait > 0 {
						t.Fatalf("attempt %d has to wait %v", i, wait)
					}
				}
				if _, wait := th.Reserve("another@example.com", ip[0]); wait == 0 {
					t.Error("one address may try any number of accounts")
				}
				if _, wait := th.Reserve("another@example.com", ip[1]); wait > 0 {
					t.Error("another address has to wait")
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
		_, wait := th.Reserve(fmt.Sprintf("u%d@example.com", i), fmt.Sprintf("2001:db8::%x", i+1))
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
			th.Reserve(ada, home)
		}
		a, _ := th.Reserve(ada, home)
		th.Succeeded(a)
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
			a, wait := th.Reserve(fmt.Sprintf("user%d@example.com", i), home)
			if wait > 0 {
				t.Fatalf("sign-in %d has to wait %v", i, wait)
			}
			th.Succeeded(a)
		}
		if th.Len() != 0 {
			t.Errorf("%d entries are left", th.Len())
		}
	})
}

func TestCancel(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		th := New(Config{}, time.Now)
		for range 50 {
			a, wait := th.Reserve(ada, home)
			if wait > 0 {
				t.Fatalf("wait %v", wait)
			}
			th.Cancel(a)
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
				if _, wait := th.Reserve(ada, home); wait == 0 {
					through.Add(1)
					time.Sleep(30 * time.Millisecond) // hashing
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
			th.Reserve(fmt.Sprintf("u%d@example.com", i), fmt.Sprintf("2001:db8:%x::1", i))
		}
		if n := th.Len(); n != 100 || len(th.entries) != 100 {
			t.Errorf("%d entries in the list, %d in the map", n, len(th.entries))
		}
		time.Sleep(2 * time.Hour)
		th.Prune()
		if n := th.Len(); n != 0 || len(th.entries) != 0 {
			t.Errorf("%d entries after pruning", n)
		}
	})
}
