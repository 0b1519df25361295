package ratelimit

import (
	"context"
	"math"
	"sync"
	"sync/atomic"
	"time"
)

// Limiter keeps the limits of one connection. It is safe for concurrent use.
type Limiter struct {
	origin time.Time
	// holding says that there may be a hold; onHold is told when that begins.
	holding atomic.Bool
	onHold  func()

	mu      sync.Mutex
	cfg     Config
	dialect *dialect
	scopes  map[Key]*scope
	routes  map[Key]*route
	sweepAt int

	first, last *waiter
	waiting     int
	pass        uint64
	timer       *time.Timer
	past        *past // nil for what happens now

	stats         Stats
	lastThrottled Throttling
}

// route is the scopes that the requests of one key are under; the connection's own is the first.
type route struct {
	key    Key
	scopes [4]*scope
	n      int
}

// Stats count what became of requests since the limiter was made.
type Stats struct {
	Granted, Waited, Rejected, Refunded, Throttled int64
	// PeakWaiting is the longest that the queue has been.
	PeakWaiting int
}

// waiter is a request in the queue. The limiter's lock guards it until ready is closed.
type waiter struct {
	route      *route
	heldUp     *scope // counted in its waiting
	prev, next *waiter
	ready      chan struct{}
	grant      Grant
	queued     bool
}

// New makes a limiter. The configuration must be valid.
func New(cfg Config) (*Limiter, error) {
	// An hour back, so that no moment of this clock is 0.
	l := &Limiter{origin: time.Now().Add(-time.Hour), sweepAt: 1024}
	if err := l.Configure(cfg); err != nil {
		return nil, err
	}
	return l, nil
}

// now is the limiter's clock: monotonic, in nanoseconds.
func (l *Limiter) now() int64 {
	if l.past != nil {
		return int64(l.past.now.Sub(l.origin))
	}
	return int64(time.Since(l.origin))
}

// wall is the time of day of a moment on this clock, as it is known now: it may have been set since.
func (l *Limiter) wall(at int64) time.Time { return time.Now().Add(time.Duration(at - l.now())) }

// Configure replaces the configuration. What was let out and what was learned stays: a window of the same
// length keeps its log, and a new one begins with what the longest of the others knows. Requests in the
// queue go by the new limits.
func (l *Limiter) Configure(cfg Config) error {
	if err := cfg.Validate("policy"); err != nil {
		return err
	}
	cfg = cfg.filled()
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	l.cfg = cfg
	d, _ := dialectOf(cfg.Dialect) // Validate knows it.
	l.dialect = &d
	if l.scopes == nil {
		l.scopes = map[Key]*scope{{}: {}}
	}
	for key, s := range l.scopes {
		if limits, keep := l.limitsOf(key); keep {
			l.setWindows(s, limits, now)
		} else {
			delete(l.scopes, key)
		}
	}
	l.reroute()
	l.serve(now)
	return nil
}

// limitsOf are the configured limits of a scope. keep is false when no request can be under it any more.
func (l *Limiter) limitsOf(key Key) (limits []Limit, keep bool) {
	switch {
	case key == Key{}:
		return l.cfg.Limits, true
	case key.Credential == "":
		limits, keep = l.cfg.Groups[key.Group]
		return limits, keep
	case key.Group == "":
		return l.cfg.Credential, true
	}
	return l.cfg.GroupCredential[key.Group], true // Or only what was learned about a group and credential.
}

func (l *Limiter) setWindows(s *scope, limits []Limit, now int64) {
	windows := make([]window, 0, len(limits))
	var longest *window
	for i := range s.windows {
		if w := &s.windows[i]; longest == nil || w.per > longest.per {
			longest = w
		}
	}
	for _, limit := range limits {
		w := newWindow(limit, now)
		from := longest
		for i := range s.windows {
			if s.windows[i].per == w.per {
				from = &s.windows[i]
			}
		}
		if from != nil {
			w.since = from.since
			w.merge(from.entries(), now)
		}
		windows = append(windows, w)
	}
	s.windows = windows
	s.base = peak(limits)
	if s.key != (Key{}) {
		s.base = slower(s.base, peak(l.cfg.Limits))
		s.base = slower(s.base, peak(l.cfg.Groups[s.key.Group]))
	}
	if s.key.Credential != "" {
		s.base = slower(s.base, peak(l.cfg.Credential))
		s.base = slower(s.base, peak(l.cfg.GroupCredential[s.key.Group]))
	}
}

// routeOf finds the scopes of a key.
func (l *Limiter) routeOf(key Key) *route {
	if r, ok := l.routes[key]; ok {
		return r
	}
	if len(l.routes) >= l.sweepAt {
		l.sweep(l.now())
	}
	r := &route{key: key}
	r.add(l.scopes[Key{}])
	if _, limited := l.cfg.Groups[key.Group]; limited {
		r.add(l.scopeOf(Key{Group: key.Group}))
	}
	if key.Credential != "" {
		r.add(l.scopeOf(Key{Credential: key.Credential}))
	}
	if _, limited := l.cfg.GroupCredential[key.Group]; limited && key.Credential != "" {
		r.add(l.scopeOf(key))
	} else if s, ok := l.scopes[partition(key)]; ok && key.Group != "" {
		r.add(s)
	}
	l.routes[key] = r
	return r
}

func (r *route) add(s *scope) { r.scopes[r.n], r.n = s, r.n+1 }

// reroute makes the routes anew after scopes came or went. A grant keeps the route that it was taken by,
// so that it gives back where it took.
func (l *Limiter) reroute() {
	l.routes = map[Key]*route{}
	for w := l.first; w != nil; w = w.next {
		w.route = l.routeOf(w.route.key)
	}
}

// partition is where what is learned about one group stands. The mark keeps it apart from the configured
// limits of the group when there is no credential.
func partition(key Key) Key {
	if key.Credential == "" {
		key.Credential = noCredential
	}
	return key
}

const noCredential = "\x00"

func (l *Limiter) scopeOf(key Key) *scope {
	s, ok := l.scopes[key]
	if !ok {
		s = &scope{key: key}
		limits, _ := l.limitsOf(key)
		l.setWindows(s, limits, l.now())
		l.scopes[key] = s
	}
	return s
}

// sweep forgets keys about which there is nothing to remember, so that names that come and go do not
// gather.
func (l *Limiter) sweep(now int64) {
	for key, s := range l.scopes {
		if key != (Key{}) && s.idle(now) {
			delete(l.scopes, key)
		}
	}
	l.sweepAt = max(1024, 2*len(l.scopes))
	l.reroute()
}

// idle reports whether nothing is lost by forgetting the scope.
func (s *scope) idle(now int64) bool {
	if s.waiting > 0 || s.hold.on || s.cut.rate > 0 {
		return false
	}
	for i := range s.windows {
		if s.windows[i].expire(now); s.windows[i].used > 0 {
			return false
		}
	}
	for i := range s.quotas {
		if !s.quotas[i].over(now) {
			return false
		}
	}
	return true
}

// Forget drops what is known about a credential that was removed.
func (l *Limiter) Forget(credential string) {
	if credential == "" {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for key := range l.scopes {
		if key.Credential == credential {
			delete(l.scopes, key)
		}
	}
	l.reroute()
	l.serve(l.now())
}

// Reserve lets one request out: at once, or within maxWait in the order of arrival. It takes from every
// limit that the key is under or from none. When the wait would be longer than maxWait or than the deadline
// of ctx, it does not begin to wait and returns a [*RejectedError] that says how long it would have been;
// so it does when the queue is full. When ctx ends first, its cause is returned.
//
// The grant has to be settled once the outcome of the request is known.
func (l *Limiter) Reserve(ctx context.Context, key Key, maxWait time.Duration) (Grant, error) {
	l.mu.Lock()
	now := l.now()
	r := l.routeOf(key)
	v, free := l.ask(r, now)
	if free {
		g := l.take(r, now)
		l.mu.Unlock()
		return g, nil
	}
	if err := context.Cause(ctx); err != nil {
		l.mu.Unlock()
		return Grant{}, err
	}
	if deadline, ok := ctx.Deadline(); ok {
		maxWait = min(maxWait, time.Until(deadline))
	}
	w, rejected := l.line(r, v, maxWait, now)
	l.mu.Unlock()
	if rejected != nil {
		return Grant{}, rejected
	}
	return l.await(ctx, w, maxWait)
}

// ask finds out whether a request can go now; if not, v says when and what it waits for.
func (l *Limiter) ask(r *route, now int64) (v verdict, free bool) {
	v, free = verdict{at: now}, true
	for _, s := range r.scopes[:r.n] {
		if s.waiting > 0 {
			free = false // Others were here first.
		}
		s.fit(&l.cfg, now, int64(s.waiting), &v)
	}
	if free && v.at <= now {
		return v, true
	}
	if v.scope == nil {
		v.scope = r.scopes[0]
	}
	return v, false
}

// line puts a request into the queue, if waiting is of any use.
func (l *Limiter) line(r *route, v verdict, maxWait time.Duration, now int64) (*waiter, *RejectedError) {
	// Behind a request that goes first nobody knows how long it takes, so it is worth a try.
	if maxWait <= 0 || v.by != byProbe && v.at-now > int64(maxWait) {
		return nil, l.reject(v, now)
	}
	if l.waiting >= l.cfg.MaxWaiting {
		err := l.reject(v, now)
		err.Cause = CauseQueueFull
		return nil, err
	}
	w := &waiter{route: r}
	if l.past == nil {
		w.ready = make(chan struct{})
	}
	l.enqueue(w)
	l.serve(now)
	return w, nil
}

func (l *Limiter) await(ctx context.Context, w *waiter, maxWait time.Duration) (Grant, error) {
	timer := time.NewTimer(maxWait)
	defer timer.Stop()
	canceled := false
	select {
	case <-w.ready:
	case <-timer.C:
	case <-ctx.Done():
		canceled = true
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case !canceled:
		if rejected := l.conclude(w, l.now()); rejected != nil {
			return Grant{}, rejected
		}
		return w.grant, nil
	case w.queued:
		l.dequeue(w)
		l.serve(l.now())
	default:
		w.grant.refund() // It came too late.
	}
	return Grant{}, context.Cause(ctx)
}

// conclude ends a wait: with the grant that the waiter has or gets just now, or with a refusal.
func (l *Limiter) conclude(w *waiter, now int64) *RejectedError {
	if w.queued {
		l.serve(now)
	}
	if !w.queued {
		return nil
	}
	v := verdict{at: now, scope: w.route.scopes[0]}
	for _, s := range w.route.scopes[:w.route.n] {
		s.fit(&l.cfg, now, 0, &v)
	}
	l.dequeue(w)
	l.serve(now)
	return l.reject(v, now)
}

func (l *Limiter) take(r *route, now int64) Grant {
	g := Grant{limiter: l, dialect: l.dialect, route: r, at: now}
	for _, s := range r.scopes[:r.n] {
		if s.take(now) {
			g.probe = true
		}
	}
	l.stats.Granted++
	return g
}

func (l *Limiter) enqueue(w *waiter) {
	w.queued, w.prev = true, l.last
	if l.last == nil {
		l.first = w
	} else {
		l.last.next = w
	}
	l.last = w
	l.waiting++
	l.stats.PeakWaiting = max(l.stats.PeakWaiting, l.waiting)
	w.heldUp = w.route.scopes[0]
	w.heldUp.waiting++
}

func (l *Limiter) dequeue(w *waiter) {
	if w.prev == nil {
		l.first = w.next
	} else {
		w.prev.next = w.next
	}
	if w.next == nil {
		l.last = w.prev
	} else {
		w.next.prev = w.prev
	}
	w.queued = false
	l.waiting--
	w.heldUp.waiting--
}

// serve lets out whoever can go, in order, and sets the timer for the next. A scope that holds one up holds
// up those behind it that are under it too; others may pass.
func (l *Limiter) serve(now int64) {
	if l.past != nil {
		l.past.next = 0
	}
	if l.first == nil {
		return
	}
	l.pass++
	next := int64(math.MaxInt64)
	for w := l.first; w != nil; {
		after := w.next
		if !l.behind(w) {
			v := verdict{at: now}
			for _, s := range w.route.scopes[:w.route.n] {
				s.fit(&l.cfg, now, 0, &v)
			}
			if v.at <= now {
				l.dequeue(w)
				w.grant = l.take(w.route, now)
				w.grant.waited = true
				l.stats.Waited++
				l.tell(w)
			} else {
				v.scope.pass = l.pass
				next = min(next, v.at)
				l.holdUp(w, v.scope)
			}
		}
		if l.scopes[Key{}].pass == l.pass {
			break // Everybody is under the connection's own limits.
		}
		w = after
	}
	if l.first == nil {
		return
	}
	wait := time.Duration(max(next-now, int64(time.Microsecond)))
	switch {
	case l.past != nil:
		l.past.next = now + int64(wait)
	case l.timer == nil:
		l.timer = time.AfterFunc(wait, l.tick)
	default:
		l.timer.Reset(wait)
	}
}

// tell lets a waiter know that it has its grant.
func (l *Limiter) tell(w *waiter) {
	if l.past != nil {
		l.past.served = append(l.past.served, w)
		return
	}
	close(w.ready)
}

// behind reports whether somebody before w in this pass is held up by a scope that w is under.
func (l *Limiter) behind(w *waiter) bool {
	for _, s := range w.route.scopes[:w.route.n] {
		if s.pass == l.pass {
			l.holdUp(w, s)
			return true
		}
	}
	return false
}

func (l *Limiter) holdUp(w *waiter, s *scope) {
	w.heldUp.waiting--
	w.heldUp = s
	s.waiting++
}

// tick runs when the first in the queue may go. It holds no goroutine while it waits.
func (l *Limiter) tick() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.serve(l.now())
}
