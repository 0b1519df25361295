package cache

import (
	"cmp"
	"context"
	"crypto/rand"
	"log/slog"
	"maps"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"switchgear/internal/fault"
)

// CodeNotCached is the code of the error about a caller that takes an answer from the cache only.
const CodeNotCached = "NOT_CACHED"

// Deps are the collaborators of a [Cache]. All are required.
type Deps struct {
	Logger *slog.Logger
	Now    func() time.Time
}

// Config tunes a [Cache]. A zero field stands for the value in its comment.
type Config struct {
	MaxBytes       int64         // 64 MiB: what is kept in total, headers and an allowance for each entry included
	MaxConnection  int64         // a quarter of MaxBytes: what is kept of one connection
	MaxEntry       int64         // 1 MiB: the longest body that is kept
	MaxCapture     int64         // a quarter of MaxBytes: bodies that are being read in order to keep them
	Workers        int           // 4: refreshes that run at once in the background
	Queue          int           // 64: refreshes that wait
	RefreshTimeout time.Duration // 30s: how long one may take
	RefreshPause   time.Duration // 5s: how long after one that failed the next may begin
	Sweep          time.Duration // 1m: how often what can be of no use any more is dropped
}

func (c Config) withDefaults() Config {
	c.MaxBytes = cmp.Or(c.MaxBytes, 64<<20)
	c.MaxConnection = min(cmp.Or(c.MaxConnection, c.MaxBytes/4), c.MaxBytes)
	c.MaxEntry = min(cmp.Or(c.MaxEntry, 1<<20), c.MaxConnection)
	c.MaxCapture = cmp.Or(c.MaxCapture, c.MaxBytes/4)
	c.Workers = cmp.Or(c.Workers, 4)
	c.Queue = cmp.Or(c.Queue, 64)
	c.RefreshTimeout = cmp.Or(c.RefreshTimeout, 30*time.Second)
	c.RefreshPause = cmp.Or(c.RefreshPause, 5*time.Second)
	c.Sweep = cmp.Or(c.Sweep, time.Minute)
	return c
}

// Refresh fetches an answer anew, for stale-while-revalidate. header is that of the request before the
// credential, with validators; it belongs to the callee. The cache reads and closes the body.
type Refresh func(ctx context.Context, header http.Header) (*http.Response, error)

// Request is a call as the cache sees it.
type Request struct {
	Scope  Scope
	Method string
	// URL is where the call goes, before the credential.
	URL *url.URL
	// Header is what will be sent, before the credential. It is read until Open returns.
	Header  http.Header
	HasBody bool
	// Policy is only read. nil is off.
	Policy *Policy
	// Refresh may be nil: then an answer is never renewed in the background.
	Refresh Refresh
}

// Cache keeps answers. It is safe for concurrent use. [Cache.Serve] must run for answers to be renewed in
// the background and for old ones to be dropped; all else works without.
type Cache struct {
	logger *slog.Logger
	now    func() time.Time
	cfg    Config
	hasher hasher

	serving   atomic.Bool
	capturing atomic.Int64 // bytes of bodies that are being read
	tasks     chan task

	mu      sync.Mutex
	store   store
	flights map[key]*flight
}

// flight is one call that others wait for, because they ask for the same.
type flight struct {
	done   chan struct{}
	result result // once done
	cause  Cause  // of a failure
}

type result int

const (
	resultNotStored result = iota
	resultStored
	resultFailed
)

// New makes a cache.
func New(deps Deps, cfg Config) (*Cache, error) {
	if deps.Logger == nil || deps.Now == nil {
		return nil, fault.New(fault.Internal, "", "cache: a dependency is missing")
	}
	cfg = cfg.withDefaults()
	c := &Cache{
		logger: deps.Logger, now: deps.Now, cfg: cfg, tasks: make(chan task, cfg.Queue),
		store: newStore(cfg.MaxBytes, cfg.MaxConnection), flights: map[key]*flight{},
	}
	_, _ = rand.Read(c.hasher.secret[:]) // It never fails.
	return c, nil
}

// Open begins a call. It returns nil when the policy is off. It may wait, at most as long as the policy
// says, for another call that fetches the same.
func (c *Cache) Open(ctx context.Context, r Request) *Call {
	if r.Policy == nil || r.Policy.Mode == ModeOff {
		return nil
	}
	call := &Call{cache: c, policy: r.Policy, method: r.Method, url: r.URL, connection: r.Scope.Connection}
	call.control = requestControl(r.Header)
	switch {
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		call.write = r.Method != http.MethodOptions && r.Method != http.MethodTrace
		call.bypass(fwdMethod)
		return call
	case r.HasBody, bypassed(r.Header):
		call.bypass(fwdBypass)
		return call
	case call.control.noStore:
		call.bypass(fwdRequest)
		return call
	}
	call.key = c.hasher.key(r.Scope, r.Method, r.URL, r.Header, r.Policy)
	getKey := call.key
	if r.Method == http.MethodHead {
		getKey = c.hasher.key(r.Scope, http.MethodGet, r.URL, r.Header, r.Policy)
	}
	alone := r.Policy.Mode == ModeFallback || call.control.noCache || r.Policy.wait() == 0
	f := c.look(call, &r, getKey, alone)
	if f == nil {
		return call
	}
	call.marks.collapsed = c.await(ctx, f, r.Policy.wait())
	if call.marks.collapsed && f.result == resultFailed && call.kept != nil {
		if res := call.standIn(f.cause); res != nil {
			call.hit = res
			return call
		}
	}
	c.look(call, &r, getKey, true)
	return call
}

// await waits for a flight; false when it took too long.
func (c *Cache) await(ctx context.Context, f *flight, bound time.Duration) bool {
	timer := time.NewTimer(bound)
	defer timer.Stop()
	select {
	case <-f.done:
		return true
	case <-timer.C:
	case <-ctx.Done():
	}
	return false
}

// look answers the call from what is kept, or lets it through, or returns the flight that it should wait for.
func (c *Cache) look(call *Call, r *Request, getKey key, alone bool) *flight {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.now()
	sp := c.store.space(call.connection)
	kept, others := c.store.find(sp, &c.hasher, getKey, r.Header)
	if getKey != call.key && kept == nil {
		kept, others = c.store.find(sp, &c.hasher, call.key, r.Header)
	}
	call.space, call.kept = sp, kept
	decision := useNone
	if kept != nil {
		decision = kept.judge(call.control, call.policy, now)
	}
	if decision == useWhileRevalidating && !c.renew(call, r, now) {
		decision = useNone
	}
	if decision != useNone {
		c.store.touch(kept)
		state := StateHit
		if decision != useFresh {
			state = StateStale
		}
		call.hit = call.respond(kept, r.Header, state, now)
		sp.counts.add(call.hit, call.marks.collapsed)
		return nil
	}
	if call.control.onlyIfCached {
		sp.counts.Misses++
		call.err = fault.New(fault.Timeout, CodeNotCached, "There is no answer in the cache, and the caller takes no other (only-if-cached).")
		return nil
	}
	if !alone && !sp.single.has(call.key, now) {
		if f := c.flights[call.key]; f != nil {
			call.header = r.Header
			return f
		}
		call.flight = &flight{done: make(chan struct{})}
		c.flights[call.key] = call.flight
	}
	call.marks = marks{state: StateMiss, forward: fwdURIMiss}
	switch {
	case kept != nil && call.control.noCache:
		call.marks.forward = fwdRequest
	case kept != nil:
		call.marks.forward = fwdStale
	case others:
		call.marks.forward = fwdVaryMiss
	}
	call.header = maps.Clone(r.Header)
	call.begin(now)
	return nil
}

// renew hands the call over to the workers, and says whether the stale answer may be given meanwhile.
func (c *Cache) renew(call *Call, r *Request, now time.Time) bool {
	switch {
	case r.Refresh == nil || !c.serving.Load():
		return false
	case c.flights[call.key] != nil, call.space.paused.has(call.key, now):
		return true // somebody does already, or has just failed
	}
	background := &Call{
		cache: c, policy: call.policy, method: call.method, url: call.url, connection: call.connection,
		control: emptyControl(), key: call.key, space: call.space, kept: call.kept, header: maps.Clone(r.Header),
		background: true, flight: &flight{done: make(chan struct{})},
	}
	background.begin(now)
	c.flights[call.key] = background.flight
	select {
	case c.tasks <- task{background, r.Refresh}:
	default:
		background.end(resultNotStored, "") // Too many wait: the next call tries again.
	}
	return true
}

// Purge drops what is kept of a connection, and returns how many answers that were. Calls under way do not
// bring back what they fetch.
func (c *Cache) Purge(connection string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	sp, ok := c.store.spaces[connection]
	if !ok {
		return 0
	}
	return c.store.purge(sp)
}
