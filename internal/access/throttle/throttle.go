// Package throttle slows down guessing of passwords without ever locking anybody out.
//
// Two things are counted. Failures on one account from one network (/24 or /64, together a pair): the
// first are free, each further one doubles the time until the next attempt is let through, up to a
// cap. And attempts of one client address (a /64 for IPv6, of which every host has many), whatever the
// account: they share a steady rate. A pair that has signed in before does not need the address: it
// has a rate of its own. So nobody's failures delay the owner of an account who signs in from another
// network, nor one who signs in from where they did before, even when a stranger shares the address.
//
//	            ┌─ too early ──▶ wait
//	Reserve ────┼─ too many undecided of the pair ──▶ queue until one is decided
//	            └─ let through (undecided) ──Succeeded──▶ failures forgotten, nothing charged
//	                                       ──Failed─────▶ one failure more
//	                                       ──Cancel─────▶ as if it had never been
//
// Invariants: no more attempts of a pair are undecided at a time than could all fail for free, and one
// after that, so that parallel guesses cannot slip through together, while right passwords only queue;
// the number of remembered entries and of those who queue is bounded; the state is in memory and
// starts empty.
package throttle

import (
	"context"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"switchgear/internal/fault"
)

// Config are the tunables; zero values mean the defaults.
type Config struct {
	AccountFree     int           // failures of a pair before delays start (5)
	First           time.Duration // the first delay (1s)
	Cap             time.Duration // the longest delay (5m)
	Forget          time.Duration // failures are forgotten this long after their delay is over (1h)
	AddressBurst    int           // attempts of one address at once (20)
	AddressInterval time.Duration // time until it has one more (1s)
	KnownBurst      int           // attempts at once of a pair that signed in before (10)
	KnownInterval   time.Duration // time until it has one more (1s)
	KnownFor        time.Duration // how long a sign-in is remembered (30 days)
	MaxEntries      int           // pairs with failures, addresses and known pairs, of each (20,000)
	MaxQueue        int           // attempts of one pair that queue (64)
	MaxWait         time.Duration // how long they do (30s)
}

// Throttle remembers recent attempts. It is safe for concurrent use.
type Throttle struct {
	cfg            Config
	address, known rate
	now            func() time.Time

	mu        sync.Mutex
	pairs     *lru[*pair]
	addresses *lru[*bucket]
	familiar  *lru[*familiar] // separate, so that strangers cannot push anybody out
}

// key is an account within a network, or (without an account) a client address.
type key struct {
	account string
	network netip.Prefix
}

// pair is an account within a network that has failed or is trying.
type pair struct {
	failures  int
	next      time.Time // no attempt is let through before
	undecided int
	queued    int
	decided   chan struct{} // closed when an attempt is decided; nil while nobody queues
}

func (p *pair) busy() bool { return p.undecided > 0 || p.queued > 0 }

// familiar is a pair that has signed in.
type familiar struct {
	bucket
	last time.Time
}

// New returns an empty Throttle that reads the time from now.
func New(cfg Config, now func() time.Time) *Throttle {
	set(&cfg.AccountFree, 5)
	set(&cfg.First, time.Second)
	set(&cfg.Cap, 5*time.Minute)
	set(&cfg.Forget, time.Hour)
	set(&cfg.AddressBurst, 20)
	set(&cfg.AddressInterval, time.Second)
	set(&cfg.KnownBurst, 10)
	set(&cfg.KnownInterval, time.Second)
	set(&cfg.KnownFor, 30*24*time.Hour)
	set(&cfg.MaxEntries, 20_000)
	set(&cfg.MaxQueue, 64)
	set(&cfg.MaxWait, 30*time.Second)
	return &Throttle{
		cfg: cfg, now: now,
		address: rate{cfg.AddressBurst, cfg.AddressInterval}, known: rate{cfg.KnownBurst, cfg.KnownInterval},
		pairs: newLRU[*pair](cfg.MaxEntries), addresses: newLRU[*bucket](cfg.MaxEntries), familiar: newLRU[*familiar](cfg.MaxEntries),
	}
}

func set[T int | time.Duration](field *T, value T) {
	if *field <= 0 {
		*field = value
	}
}

// Attempt is an attempt that was let through. Its outcome has to be told, once; later tellings do
// nothing, so that Failed can be deferred.
type Attempt struct {
	throttle *Throttle
	key      key
	pair     *pair
	charged  *bucket
	decided  bool
}

// Reserve asks to make an attempt on the account from the client address. When it comes too early,
// nothing is counted and wait says how long to hold off. It queues while other attempts of the same
// pair are undecided; that ends with ctx, and with fault.RateLimited BUSY when too many queue or it
// takes too long.
func (t *Throttle) Reserve(ctx context.Context, account, ip string) (a *Attempt, wait time.Duration, err error) {
	k, host := keys(account, ip)
	timeout, cancel := context.WithTimeout(ctx, t.cfg.MaxWait)
	defer cancel()
	t.mu.Lock()
	defer t.mu.Unlock()
	for {
		now := t.now()
		p, wait := t.pair(k, now)
		if wait > 0 {
			return nil, wait, nil
		}
		if p.undecided == 0 || p.failures+p.undecided < t.cfg.AccountFree {
			return t.admit(k, host, p, now)
		}
		if p.queued >= t.cfg.MaxQueue {
			return nil, 0, busy()
		}
		if err := t.queue(timeout, p); err != nil {
			if ctx.Err() == nil {
				return nil, 0, busy()
			}
			return nil, 0, fmt.Errorf("throttle: wait for another attempt: %w", ctx.Err())
		}
	}
}

// pair returns what is known about a pair, and how long it has to hold off.
func (t *Throttle) pair(k key, now time.Time) (*pair, time.Duration) {
	p, ok := t.pairs.get(k)
	if !ok {
		return &pair{}, 0
	}
	if t.forgotten(p, now) {
		t.pairs.drop(k)
		return &pair{}, 0
	}
	return p, p.next.Sub(now)
}

func (t *Throttle) forgotten(p *pair, now time.Time) bool {
	return !p.busy() && now.Sub(p.next) >= t.cfg.Forget
}

// admit lets an attempt through if there is a token for it.
func (t *Throttle) admit(k, host key, p *pair, now time.Time) (*Attempt, time.Duration, error) {
	b, wait := t.charge(k, host, now)
	if wait > 0 {
		return nil, wait, nil
	}
	if _, ok := t.pairs.get(k); !ok {
		t.pairs.put(k, p, (*pair).busy)
	}
	p.undecided++
	return &Attempt{throttle: t, key: k, pair: p, charged: b}, 0, nil
}

// charge takes a token of a familiar pair, or else of the address.
func (t *Throttle) charge(k, host key, now time.Time) (*bucket, time.Duration) {
	if f, ok := t.familiar.get(k); ok && now.Sub(f.last) < t.cfg.KnownFor {
		return &f.bucket, f.take(t.known, now)
	}
	b, ok := t.addresses.get(host)
	if !ok {
		b = &bucket{tokens: float64(t.cfg.AddressBurst), at: now}
		t.addresses.put(host, b, never)
	}
	return b, b.take(t.address, now)
}

func never[V any](V) bool { return false }

// queue waits, without the lock, until an attempt of the pair is decided.
func (t *Throttle) queue(ctx context.Context, p *pair) error {
	if p.decided == nil {
		p.decided = make(chan struct{})
	}
	decided := p.decided
	p.queued++
	t.mu.Unlock()
	defer func() {
		t.mu.Lock()
		p.queued--
	}()
	select {
	case <-decided:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func busy() error {
	return fault.New(fault.RateLimited, "BUSY", "Too many attempts are running right now. Try again in a moment.").
		WithRetryAfter(5 * time.Second)
}

// Succeeded forgets the failures of the pair, remembers that it signed in and gives the token back.
// Failures of the address on other accounts stay: a guesser may own one account.
func (a *Attempt) Succeeded() {
	a.decide(func(t *Throttle, now time.Time) {
		a.charged.tokens++
		a.pair.failures, a.pair.next = 0, time.Time{}
		f, ok := t.familiar.get(a.key)
		if !ok {
			f = &familiar{bucket: bucket{tokens: float64(t.cfg.KnownBurst), at: now}}
			t.familiar.put(a.key, f, never)
		}
		f.last = now
	})
}

// Failed counts a failure of the pair.
func (a *Attempt) Failed() {
	a.decide(func(t *Throttle, now time.Time) {
		a.pair.failures++
		a.pair.next = now.Add(t.delay(a.pair.failures - t.cfg.AccountFree))
	})
}

// Cancel takes back an attempt that was never decided, because of a fault of ours.
func (a *Attempt) Cancel() {
	a.decide(func(*Throttle, time.Time) { a.charged.tokens++ })
}

func (a *Attempt) decide(outcome func(t *Throttle, now time.Time)) {
	t := a.throttle
	t.mu.Lock()
	defer t.mu.Unlock()
	if a.decided {
		return
	}
	a.decided = true
	outcome(t, t.now())
	p := a.pair
	p.undecided--
	if p.decided != nil {
		close(p.decided)
		p.decided = nil
	}
	if p.failures == 0 && !p.busy() {
		t.pairs.drop(a.key)
	}
}

// delay is the wait after the n-th failure beyond the free ones.
func (t *Throttle) delay(n int) time.Duration {
	if n < 0 {
		return 0
	}
	if n >= 30 { // beyond any sensible cap, and before the shift overflows
		return t.cfg.Cap
	}
	return min(t.cfg.First<<n, t.cfg.Cap)
}

// Prune forgets what is old.
func (t *Throttle) Prune() {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.now()
	t.pairs.prune(func(p *pair) bool { return t.forgotten(p, now) })
	t.addresses.prune(func(b *bucket) bool { return b.full(t.address, now) })
	t.familiar.prune(func(f *familiar) bool { return now.Sub(f.last) >= t.cfg.KnownFor })
}

// Len is how many pairs with failures, addresses and known pairs are remembered.
func (t *Throttle) Len() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.pairs.values) + len(t.addresses.values) + len(t.familiar.values)
}

// maxAccount bounds the memory of one entry: the longest e-mail address there is.
const maxAccount = 254

// keys returns the pair and the address that an attempt belongs to.
func keys(account, ip string) (pair, address key) {
	if len(account) > maxAccount {
		account = account[:maxAccount]
	}
	// An address that cannot be read shares one entry with all others like it.
	addr, _ := netip.ParseAddr(ip)
	addr = addr.Unmap().WithZone("")
	return key{account, prefix(addr, 24, 64)}, key{"", prefix(addr, 32, 64)}
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
