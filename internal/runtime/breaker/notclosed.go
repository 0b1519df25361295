package breaker

import (
	"maps"
	"slices"
	"sync"
)

// notClosed are the breakers that are not closed, so that whoever looks for those need not look at all. Each
// tells when it changes.
type notClosed struct {
	mu       sync.Mutex
	breakers map[*Breaker]struct{}
}

func newNotClosed() *notClosed { return &notClosed{breakers: map[*Breaker]struct{}{}} }

func (n *notClosed) add(b *Breaker) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.breakers[b] = struct{}{}
}

func (n *notClosed) remove(b *Breaker) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.breakers, b)
}

func (n *notClosed) list() []*Breaker {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Collect(maps.Keys(n.breakers))
}
