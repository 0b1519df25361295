package observability

import (
	"sync"

	"github.com/prometheus/client_golang/prometheus"

	"switchgear/internal/runtime/breaker"
)

// Transitions counts the changes of breakers. The zero value is ready.
type Transitions struct {
	mu     sync.Mutex
	counts map[transition]int
}

type transition struct {
	key breaker.Key
	to  breaker.State
}

// Count takes note of changes.
func (t *Transitions) Count(events []breaker.Event) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.counts == nil {
		t.counts = map[transition]int{}
	}
	for _, e := range events {
		if e.From != e.To {
			t.counts[transition{e.Key, e.To}]++
		}
	}
}

// collect hands out the counts of connections that exist, and forgets the others.
func (t *Transitions) collect(ch chan<- prometheus.Metric, desc *prometheus.Desc, slugs map[string]string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for what, n := range t.counts {
		slug, ok := slugs[what.key.Connection]
		if !ok {
			delete(t.counts, what)
			continue
		}
		ch <- prometheus.MustNewConstMetric(desc, prometheus.CounterValue, float64(n), slug, what.key.Operation, string(what.to))
	}
}
