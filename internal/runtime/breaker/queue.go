package breaker

import "sync"

// maxQueued is how many events may wait for the worker. Events are rare; so many at once mean that nobody
// takes them.
const maxQueued = 8192

// queue keeps events in order until the worker takes them. Pushing never blocks: when the queue is full the
// oldest is lost, which the numbers of a breaker's events show.
type queue struct {
	wake chan struct{} // holds at most one signal

	mu     sync.Mutex
	events []Event
	lost   int
}

func newQueue() *queue { return &queue{wake: make(chan struct{}, 1)} }

func (q *queue) push(e Event) {
	q.mu.Lock()
	if len(q.events) >= maxQueued {
		q.events = q.events[1:]
		q.lost++
	}
	q.events = append(q.events, e)
	q.mu.Unlock()
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

func (q *queue) take() []Event {
	q.mu.Lock()
	defer q.mu.Unlock()
	events := q.events
	q.events = nil
	return events
}

func (q *queue) dropped() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.lost
}
