package bulkhead

import "sync"

// Registry holds the bulkheads of all connections. It is safe for concurrent use.
type Registry struct {
	mu        sync.RWMutex
	bulkheads map[string]*Bulkhead
}

// NewRegistry makes an empty registry.
func NewRegistry() *Registry { return &Registry{bulkheads: map[string]*Bulkhead{}} }

// Configure gives a connection its limits: a new bulkhead, or new limits for the one it has.
func (r *Registry) Configure(connection string, cfg Config) (*Bulkhead, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if b, ok := r.bulkheads[connection]; ok {
		return b, b.Configure(cfg)
	}
	b, err := New(cfg)
	if err != nil {
		return nil, err
	}
	r.bulkheads[connection] = b
	return b, nil
}

// Get returns the bulkhead of a connection; false when none was configured.
func (r *Registry) Get(connection string) (*Bulkhead, bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	b, ok := r.bulkheads[connection]
	return b, ok
}

// Remove forgets a connection. Permits that were given stay good, and waiters get in as others leave.
func (r *Registry) Remove(connection string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.bulkheads, connection)
}
