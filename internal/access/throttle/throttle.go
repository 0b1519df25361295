// Package throttle slows down guessing of passwords without ever locking anybody out.
//
// Attempts are counted twice: per e-mail address and network (/24 or /64), and per client address (a
// /64 for IPv6, of which every host has many). The first attempts are free; each further one doubles
// the time until the next is let through, up to a cap. Somebody else's failures, from another network,
// never delay the owner of an account.
//
// Invariants: an attempt is counted before it is made ([Throttle.Reserve]), so that parallel attempts
// cannot slip through together; the number of remembered entries is bounded, and the least recently
// used one goes first; the state is in memory and starts empty.
package throttle

import (
	"container/list"
	"net/netip"
	"sync"
	"time"
)

// Config are the tunables; zero values mean the defaults.
type Config struct {
	AccountFree int           // attempts on one account before delays start (5)
	AddressFree int           // attempts of one address before delays start (20)
	First       time.Duration // the first delay (1s)
	Cap         time.Duration // the longest delay (5m)
	Forget      time.Duration // an entry is forgotten this long after its delay is over (1h)
	MaxEntries  int           // 20,000
}

// Throttle remembers recent attempts. It is safe for concurrent use.
type Throttle struct {
	cfg Config
	now func() time.Time

	mu      sync.Mutex
	entries map[key]*list.Element
	recent  *list.List // of *entry, the most recently used first
}

// key is an account within a network, or (without an account) a client address.
type key struct {
	account string
	network netip.Prefix
}

type entry struct {
	key   key
	count int
	next  time.Time // no attempt is let through before
}

// New returns an empty Throttle that reads the time from now.
func New(cfg Config, now func() time.Time) *Throttle {
	set(&cfg.AccountFree, 5)
	set(&cfg.AddressFree, 20)
	set(&cfg.First, time.Second)
	set(&cfg.Cap, 5*time.Minute)
	set(&cfg.Forget, time.Hour)
	set(&cfg.MaxEntries, 20_000)
	return &Throttle{cfg: cfg, now: now, entries: map[key]*list.Element{}, recent: list.New()}
}

func set[T int | time.Duration](field *T, value T) {
	if *field <= 0 {
		*field = value
	}
}

// Attempt is a counted attempt whose outcome is not known yet.
type Attempt struct{ account, address key }

// Reserve counts an attempt on the account from the client address and returns it. When it comes too
// early, nothing is counted and wait says how long to hold off.
func (t *Throttle) Reserve(account, ip string) (a Attempt, wait time.Duration) {
	a = attempt(account, ip)
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.now()
	wait = max(t.wait(a.account, now), t.wait(a.address, now))
	if wait > 0 {
		return Attempt{}, wait
	}
	t.count(a.account, t.cfg.AccountFree, now)
	t.count(a.address, t.cfg.AddressFree, now)
	return a, 0
}

// Succeeded forgets the failures on the account from this network and takes back the count of the
// address. Failures of the address on other accounts stay: a guesser may own one account.
func (t *Throttle) Succeeded(a Attempt) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.drop(a.account)
	t.takeBack(a.address)
}

// Cancel takes back an attempt that was never decided, because of a fault of ours.
func (t *Throttle) Cancel(a Attempt) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.takeBack(a.account)
	t.takeBack(a.address)
}

// Prune forgets what is old.
func (t *Throttle) Prune() {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.now()
	for el := t.recent.Back(); el != nil; {
		previous := el.Prev()
		if e := el.Value.(*entry); t.forgotten(e, now) {
			t.drop(e.key)
		}
		el = previous
	}
}

// Len is how many entries are remembered.
func (t *Throttle) Len() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.recent.Len()
}

func (t *Throttle) wait(k key, now time.Time) time.Duration {
	el, ok := t.entries[k]
	if !ok {
		return 0
	}
	e := el.Value.(*entry)
	if t.forgotten(e, now) {
		t.drop(k)
		return 0
	}
	return e.next.Sub(now)
}

func (t *Throttle) forgotten(e *entry, now time.Time) bool { return now.Sub(e.next) >= t.cfg.Forget }

func (t *Throttle) count(k key, free int, now time.Time) {
	el, ok := t.entries[k]
	if !ok {
		if t.recent.Len() >= t.cfg.MaxEntries {
			t.drop(t.recent.Back().Value.(*entry).key)
		}
		el = t.recent.PushFront(&entry{key: k})
		t.entries[k] = el
	}
	t.recent.MoveToFront(el)
	e := el.Value.(*entry)
	e.count++
	e.next = now.Add(t.delay(e.count - free))
}

// delay is the wait after the n-th attempt beyond the free ones.
func (t *Throttle) delay(n int) time.Duration {
	if n < 0 {
		return 0
	}
	if n >= 30 { // beyond any sensible cap, and before the shift overflows
		return t.cfg.Cap
	}
	return min(t.cfg.First<<n, t.cfg.Cap)
}

// takeBack undoes one count. Nothing was waited for when it was counted, so nothing is afterwards.
func (t *Throttle) takeBack(k key) {
	el, ok := t.entries[k]
	if !ok {
		return
	}
	e := el.Value.(*entry)
	e.count--
	if e.count <= 0 {
		t.drop(k)
		return
	}
	e.next = t.now()
}

func (t *Throttle) drop(k key) {
	if el, ok := t.entries[k]; ok {
		t.recent.Remove(el)
		delete(t.entries, k)
	}
}

// maxAccount bounds the memory of one entry: the longest e-mail address there is.
const maxAccount = 254

func attempt(account, ip string) Attempt {
	if len(account) > maxAccount {
		account = account[:maxAccount]
	}
	// An address that cannot be read shares one entry with all others like it.
	addr, _ := netip.ParseAddr(ip)
	addr = addr.Unmap().WithZone("")
	network, host := prefix(addr, 24, 64), prefix(addr, 32, 64)
	return Attempt{account: key{account, network}, address: key{"", host}}
}

func prefix(addr netip.Addr, v4, v6 int) netip.Prefix {
	bits := v6
	if addr.Is4() {
		bits = v4
	}
	// The zero address has no prefix; the zero Prefix stands for it.
	p, _ := addr.Prefix(bits)
	return p
}
