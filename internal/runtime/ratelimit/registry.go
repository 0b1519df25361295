package ratelimit

import (
	"maps"
	"slices"
	"sync"
)

// Registry holds the limiters of all connections. It is safe for concurrent use.
type Registry struct {
	mu       sync.RWMutex
	limiters map[string]*Limiter

	holding sync.Mutex // of held, which is told of holds under the locks of limiters
	held    map[string]*Limiter
}

// NewRegistry makes an empty registry.
func NewRegistry() *Registry {
	return &Registry{limiters: map[string]*Limiter{}, held: map[string]*Limiter{}}
}

// Configure gives a connection its limits: a new limiter, or new limits for the one it has.
func (r *Registry) Configure(connection string, cfg Config) (*Limiter, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if l, ok := r.limiters[connection]; ok {
		return l, l.Configure(cfg)
	}
	l, err := New(cfg)
	if err != nil {
		return nil, err
	}
	l.onHold = func() {
		r.holding.Lock()
		defer r.holding.Unlock()
		r.held[connection] = l
	}
	r.limiters[connection] = l
	return l, nil
}

// Holds are those of [Limiter.Holds] by connection, of those that have any: it looks at no others.
func (r *Registry) Holds() map[string]map[Key]HoldSnapshot {
	r.holding.Lock()
	held := maps.Clone(r.held)
	r.holding.Unlock()
	out := make(map[string]map[Key]HoldSnapshot, len(held))
	for connection, l := range held {
		known, _ := r.Get(connection)
		holds := l.Holds()
		if known == l && holds != nil {
			out[connection] = holds
			continue
		}
		r.holding.Lock()
		// It may have begun another hold by now.
		if r.held[connection] == l && (known != l || !l.holding.Load()) {
			delete(r.held, connection)
		}
		r.holding.Unlock()
	}
	return out
}

// Get returns the limiter of a connection; false when none was configured.
func (r *Registry) Get(connection string) (*Limiter, bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	l, ok := r.limiters[connection]
	return l, ok
}

// Remove forgets a connection. Requests that wait in its queue still get out as its limits allow.
func (r *Registry) Remove(connection string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.limiters, connection)
}

// Connections lists the connections that have a limiter, in order.
func (r *Registry) Connections() []string {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return slices.Sorted(maps.Keys(r.limiters))
}

// Export returns the state of every connection that has something to remember.
func (r *Registry) Export() map[string]State {
	out := map[string]State{}
	for _, connection := range r.Connections() {
		if l, ok := r.Get(connection); ok {
			if state := l.Export(); len(state.Scopes) > 0 {
				out[connection] = state
			}
		}
	}
	return out
}

// Import adds the state of connections that are configured; that of others is left out.
func (r *Registry) Import(states map[string]State) {
	for connection, state := range states {
		if l, ok := r.Get(connection); ok {
			l.Import(state)
		}
	}
}
