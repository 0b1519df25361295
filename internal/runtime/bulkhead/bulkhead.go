// Package bulkhead bounds how many attempts are under way at once, for a connection and for each of its
// operation groups, so that one slow upstream cannot take everything.
//
// Invariants:
//
//   - Never more than the limit are in flight, in the connection and in the group; a permit is for both or
//     for none.
//   - A permit is released exactly once, however often and from wherever Release is called.
//   - Who waits is served in the order of arrival; those that a group holds up do not hold up others.
//   - A lower limit takes nothing away from who is in flight, and a higher one lets waiters in at once.
//
// Sources: the bulkhead of resilience4j and Polly, the connection pools' circuit breakers of Envoy.
//
// The count is that of this process. Acquire, Release and Snapshot are the surface that a shared one has to
// offer.
package bulkhead

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"sync"
	"time"

	"switchgear/internal/fault"
)

// Config says how many attempts may be in flight.
type Config struct {
	// MaxInFlight is for the whole connection. 0 = no limit.
	MaxInFlight int
	// Groups are the limits of operation groups; one that is not listed has none of its own.
	Groups map[string]int
	// MaxWaiting bounds the queue. 0 = 1000.
	MaxWaiting int
}

const (
	codeInvalidPolicy = "INVALID_POLICY"
	// CodeFull is the code of the error that callers are answered with.
	CodeFull = "BULKHEAD_FULL"

	maxInFlight       = 100_000
	maxWaiting        = 1_000_000
	defaultMaxWaiting = 1000
)

// Validate reports the first field that is wrong as fault.Invalid. path is where the policy stands in the
// request: "policy" makes "policy.bulkhead.max_in_flight".
func (c Config) Validate(path string) error {
	path += ".bulkhead"
	if c.MaxInFlight < 0 || c.MaxInFlight > maxInFlight {
		return invalid(path+".max_in_flight", c.MaxInFlight, fmt.Sprintf("It must be between 0 and %d.", maxInFlight))
	}
	for _, name := range slices.Sorted(maps.Keys(c.Groups)) {
		if n := c.Groups[name]; n < 1 || n > maxInFlight {
			return invalid(path+".groups."+name, n, fmt.Sprintf("It must be between 1 and %d.", maxInFlight))
		}
	}
	if c.MaxWaiting < 0 || c.MaxWaiting > maxWaiting {
		return invalid(path+".max_waiting", c.MaxWaiting, fmt.Sprintf("It must be between 0 and %d.", maxWaiting))
	}
	return nil
}

func invalid(field string, value int, message string) error {
	return fault.Field(codeInvalidPolicy, field, message).WithValue(strconv.Itoa(value))
}

// Bulkhead bounds the attempts of one connection. It is safe for concurrent use.
type Bulkhead struct {
	mu         sync.Mutex
	total      compartment
	groups     map[string]*compartment
	maxWaiting int

	// permits are the ones given out and, linked by next, those that can be.
	permits []permit
	free    int32 // -1 for none

	first, last *waiter
	waiting     int
	peakWaiting int
	rejected    int64
	pass        uint64
}

// compartment is the connection or a group.
type compartment struct {
	limit    int // 0 for none
	inFlight int
	peak     int
	rejected int64
	pass     uint64 // the last pass through the queue in which it was full
}

func (c *compartment) full() bool { return c.limit > 0 && c.inFlight >= c.limit }

func (c *compartment) enter() {
	c.inFlight++
	c.peak = max(c.peak, c.inFlight)
}

// permit is what a Permit points at. Its generation tells whether the Permit is still good.
type permit struct {
	group      *compartment
	generation uint32
	next       int32
}

// waiter is in the queue. The bulkhead's lock guards it until ready is closed.
type waiter struct {
	name       string
	group      *compartment
	prev, next *waiter
	ready      chan struct{}
	permit     Permit
	queued     bool
}

// New makes a bulkhead. The configuration must be valid.
func New(cfg Config) (*Bulkhead, error) {
	b := &Bulkhead{groups: map[string]*compartment{}, free: -1}
	if err := b.Configure(cfg); err != nil {
		return nil, err
	}
	return b, nil
}

// Configure replaces the limits. Who is in flight stays so; waiters get in as the new limits allow.
func (b *Bulkhead) Configure(cfg Config) error {
	if err := cfg.Validate("policy"); err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.total.limit = cfg.MaxInFlight
	if b.maxWaiting = cfg.MaxWaiting; b.maxWaiting == 0 {
		b.maxWaiting = defaultMaxWaiting
	}
	for name, c := range b.groups {
		if _, ok := cfg.Groups[name]; !ok {
			// While permits point at it, it goes on counting: its limit may come back.
			if c.limit = 0; c.inFlight == 0 {
				delete(b.groups, name)
			}
		}
	}
	for name, limit := range cfg.Groups {
		if c, ok := b.groups[name]; ok {
			c.limit = limit
		} else {
			b.groups[name] = &compartment{limit: limit}
		}
	}
	for w := b.first; w != nil; w = w.next {
		w.group = b.groups[w.name]
	}
	b.serve()
	return nil
}

// Permit is the right to have one attempt in flight. It can be copied; all copies are the same permit.
type Permit struct {
	bulkhead   *Bulkhead
	index      int32
	generation uint32
	waited     bool
}

// Waited reports whether there was no room at first.
func (p Permit) Waited() bool { return p.waited }

// Release ends the attempt. Releasing again does nothing.
func (p Permit) Release() {
	b := p.bulkhead
	if b == nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	own := &b.permits[p.index]
	if own.generation != p.generation {
		return
	}
	own.generation++
	b.total.inFlight--
	if own.group != nil {
		own.group.inFlight--
		own.group = nil
	}
	own.next, b.free = b.free, p.index
	b.serve()
}

// RejectedError says that there was no room. It unwraps to a fault of kind Unavailable.
type RejectedError struct {
	// Group is the operation group that is full; empty when the connection is.
	Group           string
	InFlight, Limit int
	// Waited is how long it waited for room.
	Waited time.Duration
	// QueueFull says that too many wait already.
	QueueFull bool
}

// Error says it in a sentence that may be shown.
func (e *RejectedError) Error() string {
	what := "this connection"
	if e.Group != "" {
		what = "the operations of " + e.Group
	}
	text := fmt.Sprintf("%d of %d calls of %s are under way already", e.InFlight, e.Limit, what)
	switch {
	case e.QueueFull:
		return text + ", and too many wait."
	case e.Waited > 0:
		return text + "; none ended within " + e.Waited.Round(time.Millisecond).String() + "."
	}
	return text + "."
}

// Unwrap returns the fault that the caller is answered with.
func (e *RejectedError) Unwrap() error {
	return fault.New(fault.Unavailable, CodeFull, e.Error()).WithRetryAfter(time.Second).
		WithSuggestion("Send it again in a moment. If that lasts, the upstream is slow, or bulkhead.max_in_flight of the policy is too small.")
}

// Acquire lets one attempt in: at once, or within maxWait in the order of arrival. 0 does not wait. It
// returns a [*RejectedError] when there is no room in time, and the cause of ctx when that ends first. The
// permit has to be released.
func (b *Bulkhead) Acquire(ctx context.Context, group string, maxWait time.Duration) (Permit, error) {
	b.mu.Lock()
	c := b.groups[group]
	// Room that somebody waits for is given away the moment it appears, so where there is some, nobody waits.
	if !b.total.full() && (c == nil || !c.full()) {
		p := b.take(c)
		b.mu.Unlock()
		return p, nil
	}
	if err := context.Cause(ctx); err != nil {
		b.mu.Unlock()
		return Permit{}, err
	}
	if maxWait <= 0 || b.waiting >= b.maxWaiting {
		err := b.reject(c, group, 0)
		err.QueueFull = maxWait > 0
		b.mu.Unlock()
		return Permit{}, err
	}
	w := &waiter{name: group, group: c, ready: make(chan struct{})}
	b.enqueue(w)
	b.serve()
	b.mu.Unlock()
	return b.await(ctx, w, maxWait)
}

func (b *Bulkhead) await(ctx context.Context, w *waiter, maxWait time.Duration) (Permit, error) {
	timer := time.NewTimer(maxWait)
	defer timer.Stop()
	canceled := false
	select {
	case <-w.ready:
	case <-timer.C:
	case <-ctx.Done():
		canceled = true
	}
	b.mu.Lock()
	if !w.queued {
		b.mu.Unlock()
		if !canceled {
			w.permit.waited = true
			return w.permit, nil
		}
		w.permit.Release() // It came too late.
		return Permit{}, context.Cause(ctx)
	}
	defer b.mu.Unlock()
	b.dequeue(w)
	b.serve()
	if canceled {
		return Permit{}, context.Cause(ctx)
	}
	return Permit{}, b.reject(w.group, w.name, maxWait)
}

func (b *Bulkhead) take(c *compartment) Permit {
	b.total.enter()
	if c != nil {
		c.enter()
	}
	i := b.free
	if i < 0 {
		i = int32(len(b.permits)) //nolint:gosec // As many as are in flight at once.
		b.permits = append(b.permits, permit{})
	} else {
		b.free = b.permits[i].next
	}
	b.permits[i].group = c
	return Permit{bulkhead: b, index: i, generation: b.permits[i].generation}
}

func (b *Bulkhead) reject(c *compartment, group string, waited time.Duration) *RejectedError {
	b.rejected++
	at := &b.total
	if c != nil {
		c.rejected++
		if c.full() && !b.total.full() {
			at = c
		}
	}
	if at == &b.total {
		group = ""
		b.total.rejected++
	}
	return &RejectedError{Group: group, InFlight: at.inFlight, Limit: at.limit, Waited: waited}
}

func (b *Bulkhead) enqueue(w *waiter) {
	w.queued, w.prev = true, b.last
	if b.last == nil {
		b.first = w
	} else {
		b.last.next = w
	}
	b.last = w
	b.waiting++
	b.peakWaiting = max(b.peakWaiting, b.waiting)
}

func (b *Bulkhead) dequeue(w *waiter) {
	if w.prev == nil {
		b.first = w.next
	} else {
		w.prev.next = w.next
	}
	if w.next == nil {
		b.last = w.prev
	} else {
		w.next.prev = w.prev
	}
	w.queued = false
	b.waiting--
}

// serve lets waiters in, in order. A full group holds up those behind it in the same group only.
func (b *Bulkhead) serve() {
	b.pass++
	for w := b.first; w != nil; {
		after := w.next
		if b.total.full() {
			return // And with it everybody.
		}
		if c := w.group; c != nil && (c.pass == b.pass || c.full()) {
			c.pass = b.pass
		} else {
			b.dequeue(w)
			w.permit = b.take(c)
			close(w.ready)
		}
		w = after
	}
}

// Snapshot shows a bulkhead at one moment.
type Snapshot struct {
	CompartmentSnapshot

	// Groups are the operation groups with a limit of their own.
	Groups map[string]CompartmentSnapshot
	// Waiting is how many are in the queue, PeakWaiting the most that ever were.
	Waiting, PeakWaiting, MaxWaiting int
}

// CompartmentSnapshot shows the connection or one group.
type CompartmentSnapshot struct {
	// InFlight of Limit are under way; a Limit of 0 is none. Peak is the most that ever were.
	InFlight, Limit, Peak int
	// Rejected counts those that found no room.
	Rejected int64
}

func (c *compartment) show() CompartmentSnapshot {
	return CompartmentSnapshot{InFlight: c.inFlight, Limit: c.limit, Peak: c.peak, Rejected: c.rejected}
}

// Snapshot shows the bulkhead now. Rejected of the whole counts all rejections, those of groups included.
func (b *Bulkhead) Snapshot() Snapshot {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := Snapshot{
		CompartmentSnapshot: b.total.show(), Groups: make(map[string]CompartmentSnapshot, len(b.groups)),
		Waiting: b.waiting, PeakWaiting: b.peakWaiting, MaxWaiting: b.maxWaiting,
	}
	s.Rejected = b.rejected
	for name, c := range b.groups {
		if c.limit > 0 {
			s.Groups[name] = c.show()
		}
	}
	return s
}
