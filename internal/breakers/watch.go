package breakers

import (
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"switchgear/internal/runtime"
	"switchgear/internal/runtime/breaker"
)

const (
	// watched is how many calls after a command tell whether it worked.
	watched = 20
	// maxWatches bounds how many commands are remembered with the calls after them.
	maxWatches = 1000
)

// Given is a command that was given.
type Given struct {
	Verb   Verb
	Actor  string
	Reason string
	At     time.Time
	Until  time.Time // zero without an end
}

// Watch tells whether a command worked: what became of the first calls that began after it.
type Watch struct {
	Given Given
	// Calls of Of were counted: Refused by us, Failed upstream, the others were answered.
	Calls, Of       int
	Refused, Failed int
	Outcomes        map[runtime.Outcome]int
	// First and Last are when the first and the last of them ended; zero without any.
	First, Last time.Time
}

// Complete reports whether all calls that are counted are there.
func (w Watch) Complete() bool { return w.Calls >= w.Of }

// watches count the calls after commands. Calls that no command waits for cost one look at a number.
type watches struct {
	open atomic.Int64 // those that are not complete

	mu    sync.Mutex
	byKey map[breaker.Key]*Watch
	order []breaker.Key // the oldest first
}

// begin follows the calls after a command, instead of those after the one before.
func (w *watches) begin(key breaker.Key, given Given) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.byKey == nil {
		w.byKey = map[breaker.Key]*Watch{}
	}
	w.drop(key)
	if len(w.order) >= maxWatches {
		w.drop(w.order[0])
	}
	w.byKey[key] = &Watch{Given: given, Of: watched, Outcomes: map[runtime.Outcome]int{}}
	w.order = append(w.order, key)
	w.open.Add(1)
}

func (w *watches) drop(key breaker.Key) {
	old, ok := w.byKey[key]
	if !ok {
		return
	}
	if !old.Complete() {
		w.open.Add(-1)
	}
	delete(w.byKey, key)
	for i, k := range w.order {
		if k == key {
			w.order = append(w.order[:i:i], w.order[i+1:]...)
			return
		}
	}
}

// find returns a copy; nil when no command was given since the start.
func (w *watches) find(key breaker.Key) *Watch {
	w.mu.Lock()
	defer w.mu.Unlock()
	watch, ok := w.byKey[key]
	if !ok {
		return nil
	}
	out := *watch
	out.Outcomes = maps.Clone(watch.Outcomes)
	return &out
}

// count adds a call to those after the last command to a breaker, and reports whether there was one.
func (w *watches) count(key breaker.Key, r *runtime.Record) bool {
	watch, ok := w.byKey[key]
	if !ok || watch.Complete() || r.StartedAt.Before(watch.Given.At) {
		return false
	}
	ended := r.StartedAt.Add(r.Duration)
	if watch.Calls == 0 {
		watch.First = ended
	}
	watch.Calls++
	watch.Last = ended
	watch.Outcomes[r.Outcome]++
	if r.Outcome == runtime.OutcomeRejectedLocal {
		watch.Refused++
	} else if r.Outcome.Failure() {
		watch.Failed++
	}
	if watch.Complete() {
		w.open.Add(-1)
	}
	return true
}

// Record takes note of a finished call. It implements runtime.Recorder.
func (s *Service) Record(r runtime.Record) {
	if s.watches.open.Load() == 0 {
		return
	}
	s.watches.mu.Lock()
	counted := s.watches.count(breaker.Key{Connection: r.ConnectionID}, &r)
	if r.Operation != "" {
		counted = s.watches.count(breaker.Key{Connection: r.ConnectionID, Operation: r.Operation}, &r) || counted
	}
	s.watches.mu.Unlock()
	if counted {
		s.deps.Notify(TopicOf(r.ConnectionID))
	}
}
