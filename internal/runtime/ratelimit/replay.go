package ratelimit

import (
	"container/heap"
	"time"
)

// past is the clock of a limiter that goes through the past, and what its timer and its waiters would have
// been told.
type past struct {
	now    time.Time
	next   int64 // when somebody in the queue may go; 0 when nobody waits
	served []*waiter
}

// Replay takes a limiter through the past, to tell what its limits would have done: it decides as the limiter
// does, but nobody really waits. Times never go backwards. One goroutine uses it. T is what the caller calls a
// request.
type Replay[T any] struct {
	limiter *Limiter
	waits   waits[T]
	of      map[*waiter]*wait[T]
}

// Turn is what became of a request.
type Turn[T any] struct {
	Of T
	// Asked and At are when it asked, and when it could go or was refused.
	Asked, At time.Time
	Grant     Grant
	// Rejected is nil when it could go.
	Rejected *RejectedError
}

// wait is a request in the queue.
type wait[T any] struct {
	waiter   *waiter
	of       T
	asked    time.Time
	deadline time.Time
}

// NewReplay makes a limiter that nothing was asked of before from. The configuration must be valid.
func NewReplay[T any](cfg Config, from time.Time) (*Replay[T], error) {
	l := &Limiter{origin: from.Add(-time.Hour), sweepAt: 1024, past: &past{now: from}}
	if err := l.Configure(cfg); err != nil {
		return nil, err
	}
	return &Replay[T]{limiter: l, of: map[*waiter]*wait[T]{}}, nil
}

// Ask asks for one request, as [Limiter.Reserve] does. It reports false when the request waits for its turn,
// which [Replay.Advance] tells.
func (r *Replay[T]) Ask(at time.Time, key Key, maxWait time.Duration, of T) (Turn[T], bool) {
	l := r.limiter
	l.past.now = at
	now := l.now()
	turn := Turn[T]{Of: of, Asked: at, At: at}
	route := l.routeOf(key)
	v, free := l.ask(route, now)
	if free {
		turn.Grant = l.take(route, now)
		return turn, true
	}
	w, rejected := l.line(route, v, maxWait, now)
	if rejected != nil {
		turn.Rejected = rejected
		return turn, true
	}
	waiting := &wait[T]{waiter: w, of: of, asked: at, deadline: at.Add(maxWait)}
	r.of[w] = waiting
	heap.Push(&r.waits, waiting)
	return turn, false
}

// Refund gives a permission back: nothing was sent.
func (r *Replay[T]) Refund(at time.Time, g *Grant) {
	r.limiter.past.now = at
	g.Refund()
}

// Waiting is how many requests wait for their turn.
func (r *Replay[T]) Waiting() int { return len(r.of) }

// Next is when the next wait may end; zero when nobody waits.
func (r *Replay[T]) Next() time.Time {
	for len(r.waits) > 0 && !r.waits[0].waiter.queued && r.of[r.waits[0].waiter] == nil {
		heap.Pop(&r.waits)
	}
	p := r.limiter.past
	if len(p.served) > 0 {
		return p.now
	}
	var next time.Time
	if p.next > 0 {
		next = r.limiter.origin.Add(time.Duration(p.next))
	}
	if len(r.waits) > 0 && (next.IsZero() || r.waits[0].deadline.Before(next)) {
		next = r.waits[0].deadline
	}
	return next
}

// Advance moves to a time, not beyond [Replay.Next], and returns the requests whose wait ended.
func (r *Replay[T]) Advance(at time.Time) []Turn[T] {
	l := r.limiter
	l.past.now = at
	now := l.now()
	if l.past.next > 0 && l.past.next <= now {
		l.serve(now)
	}
	turns := r.served(nil)
	for len(r.waits) > 0 && !r.waits[0].deadline.After(at) {
		w, _ := heap.Pop(&r.waits).(*wait[T])
		if r.of[w.waiter] == nil {
			continue // It had its turn.
		}
		rejected := l.conclude(w.waiter, now)
		if rejected != nil {
			delete(r.of, w.waiter)
			turns = append(turns, Turn[T]{Of: w.of, Asked: w.asked, At: at, Rejected: rejected})
		}
		turns = r.served(turns)
	}
	return turns
}

// served collects those that were let out.
func (r *Replay[T]) served(turns []Turn[T]) []Turn[T] {
	p := r.limiter.past
	for _, w := range p.served {
		if waiting := r.of[w]; waiting != nil {
			delete(r.of, w)
			turns = append(turns, Turn[T]{Of: waiting.of, Asked: waiting.asked, At: p.now, Grant: w.grant})
		}
	}
	clear(p.served)
	p.served = p.served[:0]
	return turns
}

// waits is a heap, the earliest deadline first.
type waits[T any] []*wait[T]

func (h waits[T]) Len() int           { return len(h) }
func (h waits[T]) Less(i, j int) bool { return h[i].deadline.Before(h[j].deadline) }
func (h waits[T]) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }

// Push is of container/heap.
func (h *waits[T]) Push(x any) {
	w, _ := x.(*wait[T])
	*h = append(*h, w)
}

// Pop is of container/heap.
func (h *waits[T]) Pop() any {
	old := *h
	last := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	return last
}
