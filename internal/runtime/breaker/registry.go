package breaker

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"switchgear/internal/fault"
)

// Deps are what a Registry works with; all are required.
type Deps struct {
	// Config returns the thresholds of a breaker as they are now; an error of kind fault.NotFound when there
	// is no such connection or operation. It must answer from memory: a call waits for it.
	Config func(Key) (Config, error)
	// Record takes events in order, as many as have gathered, on the worker's goroutine. Breakers do not
	// wait for it; events that come in the meantime gather up to a limit.
	Record func(ctx context.Context, events []Event)
}

// Settings tunes a Registry. A zero field stands for the value in its comment.
type Settings struct {
	Tick time.Duration // 500ms: how often time-driven changes and snapshots are made when no call makes them
	// Now replaces the clock, for breakers that go through the past: calls on one goroutine, with
	// [Registry.Visit] in the place of Serve.
	Now func() time.Time
}

// Registry holds the breakers of all connections and operations. Make one with [NewRegistry]; Serve must run
// for events to be recorded.
type Registry struct {
	deps      Deps
	tick      time.Duration
	clock     clock
	queue     *queue
	notClosed *notClosed

	// refresh orders configuration changes, so that an older one never lands last.
	refresh sync.Mutex

	mu       sync.RWMutex
	breakers map[Key]*Breaker
}

// NewRegistry makes an empty Registry.
func NewRegistry(deps Deps, settings Settings) (*Registry, error) {
	if deps.Config == nil || deps.Record == nil {
		return nil, fault.New(fault.Internal, "", "breaker: a dependency is missing")
	}
	return &Registry{
		deps: deps, tick: cmp.Or(settings.Tick, 500*time.Millisecond), clock: newClock(settings.Now), queue: newQueue(), notClosed: newNotClosed(), breakers: map[Key]*Breaker{},
	}, nil
}

// Breaker returns the breaker of that name and makes it when it does not exist, that of the connection
// included.
func (r *Registry) Breaker(key Key) (*Breaker, error) {
	r.mu.RLock()
	b := r.breakers[key]
	r.mu.RUnlock()
	if b != nil {
		return b, nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.make(key)
}

// make runs under mu, and so does its question for the configuration: a change that is made later finds the
// breaker in the map.
func (r *Registry) make(key Key) (*Breaker, error) {
	if b := r.breakers[key]; b != nil {
		return b, nil
	}
	var parent *Breaker
	if key.Operation != "" {
		var err error
		if parent, err = r.make(Key{Connection: key.Connection}); err != nil {
			return nil, err
		}
	}
	cfg, err := r.config(key)
	if err != nil {
		return nil, err
	}
	b := newBreaker(key, parent, cfg, r.queue, r.notClosed, r.clock)
	r.breakers[key] = b
	return b, nil
}

func (r *Registry) config(key Key) (Config, error) {
	cfg, err := r.deps.Config(key)
	if err != nil {
		return Config{}, err
	}
	return cfg, cfg.Validate("")
}

// Allow asks for one call; see [Breaker.Allow]. An error that is no [*RejectedError] means that there is no
// such breaker.
func (r *Registry) Allow(key Key) (*Permit, error) {
	b, err := r.Breaker(key)
	if err != nil {
		return nil, err
	}
	return b.Allow()
}

// Snapshot returns what was published last about a breaker; false when there is none, which it does not
// change.
func (r *Registry) Snapshot(key Key) (Snapshot, bool) {
	r.mu.RLock()
	b := r.breakers[key]
	r.mu.RUnlock()
	if b == nil {
		return Snapshot{}, false
	}
	return b.Snapshot(), true
}

// Snapshots returns what was published last about every breaker, a connection's before those of its
// operations.
func (r *Registry) Snapshots() []Snapshot {
	breakers := r.sorted()
	snapshots := make([]Snapshot, len(breakers))
	for i, b := range breakers {
		snapshots[i] = b.Snapshot()
	}
	return snapshots
}

// Each calls f with what was published last about every breaker, in no order. It copies nothing, for whoever
// looks at many: f must not change what it is given.
func (r *Registry) Each(f func(s *Snapshot)) {
	for _, b := range r.all() {
		f(b.published.Load())
	}
}

// EachNotClosed calls f as [Registry.Each] does, with those that are not closed: it looks at no others.
func (r *Registry) EachNotClosed(f func(s *Snapshot)) {
	for _, b := range r.notClosed.list() {
		r.mu.RLock()
		known := r.breakers[b.key] == b
		r.mu.RUnlock()
		if !known { // removed, and a call that was under way had it change once more
			r.notClosed.remove(b)
			continue
		}
		if s := b.published.Load(); s.State != StateClosed {
			f(s)
		}
	}
}

// Len is the number of breakers.
func (r *Registry) Len() int {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return len(r.breakers)
}

// all lists the breakers in no order.
func (r *Registry) all() []*Breaker {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return slices.Collect(maps.Values(r.breakers))
}

// sorted lists the breakers in order of their keys.
func (r *Registry) sorted() []*Breaker {
	breakers := r.all()
	slices.SortFunc(breakers, func(a, b *Breaker) int {
		return cmp.Or(strings.Compare(a.key.Connection, b.key.Connection), strings.Compare(a.key.Operation, b.key.Operation))
	})
	return breakers
}

// Refresh reads the configuration of a connection's breakers again. Call it after a change. A breaker whose
// connection or operation is gone is removed; one whose configuration cannot be used keeps the old one, and
// the error says so.
func (r *Registry) Refresh(connection string) error {
	r.refresh.Lock()
	defer r.refresh.Unlock()
	var errs []error
	for _, b := range r.all() {
		if b.key.Connection != connection {
			continue
		}
		cfg, err := r.config(b.key)
		switch {
		case err == nil:
			b.configure(cfg)
		case fault.Is(err, fault.NotFound):
			r.mu.Lock()
			delete(r.breakers, b.key)
			r.mu.Unlock()
		default:
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// Remove forgets the breakers of a connection. Permits that are out may still be finished.
func (r *Registry) Remove(connection string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for key := range r.breakers {
		if key.Connection == connection {
			delete(r.breakers, key)
		}
	}
}

// RemovePrefix forgets the breakers of all connections whose name begins so, as Remove does.
func (r *Registry) RemovePrefix(prefix string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for key := range r.breakers {
		if strings.HasPrefix(key.Connection, prefix) {
			delete(r.breakers, key)
		}
	}
}

// Export returns the durable state of every breaker. The same is in the last event of each, except for the
// last seconds of a hold that was extended.
func (r *Registry) Export() []Durable {
	breakers := r.sorted()
	states := make([]Durable, len(breakers))
	for i, b := range breakers {
		states[i] = b.Durable()
	}
	return states
}

// Restore takes up stored states, before the first call. It returns the keys whose connection or operation
// no longer exists, so that the store can forget them; an error names what could not be taken up, and does
// not keep the others from it.
func (r *Registry) Restore(states []Durable) (gone []Key, err error) {
	var errs []error
	for _, d := range states {
		if err := d.Validate(); err != nil {
			errs = append(errs, err)
			continue
		}
		b, err := r.Breaker(d.Key)
		switch {
		case err == nil:
			b.restore(d)
		case fault.Is(err, fault.NotFound):
			gone = append(gone, d.Key)
		default:
			errs = append(errs, err)
		}
	}
	return gone, errors.Join(errs...)
}

// Dropped is how many events were lost since the start because nobody took them in time.
func (r *Registry) Dropped() int { return r.queue.dropped() }

// Serve makes what time changes happen in time, publishes fresh snapshots, and records events until ctx
// ends; then it records those that are left. It is a supervised worker.
func (r *Registry) Serve(ctx context.Context) error {
	ticker := time.NewTicker(r.tick)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			r.record(context.WithoutCancel(ctx))
			return ctx.Err()
		case <-ticker.C:
			for _, b := range r.all() {
				b.tick()
			}
		case <-r.queue.wake:
			r.record(ctx)
		}
	}
}

// Visit makes what time has changed happen, and records events: what Serve does, without fresh snapshots. It
// returns when time alone changes something next; zero when it does not.
func (r *Registry) Visit(ctx context.Context) (next time.Time) {
	r.mu.RLock()
	for _, b := range r.breakers {
		if due := b.lapse(); !due.IsZero() && (next.IsZero() || due.Before(next)) {
			next = due
		}
	}
	r.mu.RUnlock()
	r.record(ctx)
	return next
}

func (r *Registry) record(ctx context.Context) {
	if events := r.queue.take(); len(events) > 0 {
		r.deps.Record(ctx, events)
	}
}
