package breakers

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"switchgear/internal/access"
	"switchgear/internal/runtime/breaker"
)

const (
	// CourseSpan is how far back the slices of a [Course] reach.
	CourseSpan = 24 * time.Hour
	// CourseStep is how long each of them is.
	CourseStep = CourseSpan / courseSlices
	// OpenSpan is how far back Course.OpenTime reaches.
	OpenSpan = 30 * 24 * time.Hour

	courseSlices = 48
)

// Course is how a breaker was lately.
type Course struct {
	// Slices are the worst state of each step of the last [CourseSpan], oldest first; empty where nothing is known.
	Slices [courseSlices]breaker.State
	// OpenTime is how long no call passed within the last [OpenSpan]. It counts from Since: when the history
	// that is looked at begins, if that is later.
	OpenTime time.Duration
	Since    time.Time
}

// Courses returns how breakers were lately, one for each of list. It needs system:read. The history of a
// connection is read again only after one of its breakers changed.
func (s *Service) Courses(ctx context.Context, a access.Actor, list []Breaker) ([]Course, error) {
	if err := a.Require(access.PermissionSystemRead); err != nil {
		return nil, err
	}
	now := s.deps.Now()
	out := make([]Course, len(list))
	for i := range list {
		past, err := s.pasts.find(ctx, s.store, list[i].ConnectionID, now)
		if err != nil {
			return nil, fmt.Errorf("breakers: history of %s: %w", list[i].Connection, err)
		}
		out[i] = past.course(list[i], now)
	}
	return out, nil
}

// Share is how much of a time calls were kept back by a breaker: 0 to 1. Known is how much of it is told by the
// history; the rest is none of the others.
type Share struct{ Open, HalfOpen, Known float64 }

// Shares returns what a breaker was in n steps of a time that begins at from. It needs system:read.
func (s *Service) Shares(ctx context.Context, a access.Actor, b Breaker, from time.Time, step time.Duration, n int) ([]Share, error) {
	if err := a.Require(access.PermissionSystemRead); err != nil {
		return nil, err
	}
	now := s.deps.Now()
	past, err := s.pasts.find(ctx, s.store, b.ConnectionID, now)
	if err != nil {
		return nil, fmt.Errorf("breakers: history of %s: %w", b.Connection, err)
	}
	out := make([]Share, n)
	past.each(b, now, func(state breaker.State, begin, end time.Time) {
		first := max(0, int(begin.Sub(from)/step))
		for i := first; i < n; i++ {
			at := from.Add(time.Duration(i) * step)
			if !at.Before(end) {
				break
			}
			part := float64(earlier(end, at.Add(step)).Sub(later(begin, at))) / float64(step)
			if part <= 0 {
				continue
			}
			out[i].Known += part
			switch {
			case stops(state):
				out[i].Open += part
			case state == breaker.StateHalfOpen:
				out[i].HalfOpen += part
			}
		}
	})
	return out, nil
}

// step is one change, as much of it as a course needs.
type step struct {
	at       time.Time
	from, to breaker.State
}

// past is what the breakers of a connection did, by operation.
type past struct {
	read  time.Time
	since time.Time // nothing older was read
	steps map[string][]step
}

// maxSteps bounds how many changes of a connection are read, the newest.
const maxSteps = 5_000

// pasts keeps what was read of connections that somebody looked at.
type pasts struct {
	mu   sync.Mutex
	byID map[string]*past
	// changed counts the changes that were stored, so that what was read before one is not kept after it.
	changed int
}

// maxPasts and pastAge bound what is kept.
const (
	maxPasts = 1_000
	pastAge  = time.Hour
)

func (p *pasts) find(ctx context.Context, s store, connectionID string, now time.Time) (*past, error) {
	p.mu.Lock()
	known, changed := p.byID[connectionID], p.changed
	p.mu.Unlock()
	if known != nil && now.Sub(known.read) < pastAge && !now.Before(known.read) {
		return known, nil
	}
	read := &past{read: now, since: now.Add(-OpenSpan), steps: map[string][]step{}}
	n, err := s.steps(ctx, connectionID, read.since, maxSteps, func(operation string, st step) {
		read.steps[operation] = append(read.steps[operation], st)
		read.since = st.at
	})
	if err != nil {
		return nil, err
	}
	if n < maxSteps { // all of them
		read.since = now.Add(-OpenSpan)
	}
	for _, list := range read.steps {
		slices.Reverse(list)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.changed == changed {
		if len(p.byID) >= maxPasts {
			p.byID = nil
		}
		if p.byID == nil {
			p.byID = map[string]*past{}
		}
		p.byID[connectionID] = read
	}
	return read, nil
}

// forget drops what changed.
func (p *pasts) forget(connectionIDs map[string]bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.changed++
	for id := range connectionIDs {
		delete(p.byID, id)
	}
}

// course is that of one breaker. What it is now is what it was since its last change.
func (p *past) course(b Breaker, now time.Time) Course {
	out := Course{Since: p.since}
	begin := now.Add(-CourseSpan)
	p.each(b, now, func(state breaker.State, from, to time.Time) {
		if stops(state) {
			out.OpenTime += to.Sub(from)
		}
		if from = later(from, begin); !from.Before(to) {
			return
		}
		first, last := int(from.Sub(begin)/CourseStep), int((to.Sub(begin)-1)/CourseStep)
		for i := first; i <= min(last, courseSlices-1); i++ {
			if severity(state) > severity(out.Slices[i]) {
				out.Slices[i] = state
			}
		}
	})
	return out
}

// each calls fn with the states that a breaker was in, the oldest first, and from when to when it was.
func (p *past) each(b Breaker, now time.Time, fn func(state breaker.State, from, to time.Time)) {
	fill := func(state breaker.State, from, to time.Time) {
		if from = later(later(from, p.since), now.Add(-OpenSpan)); from.Before(to) {
			fn(state, from, to)
		}
	}
	list := p.steps[b.Operation]
	if len(list) == 0 {
		if b.Called {
			fill(b.Snapshot.State, p.since, now)
		}
		return
	}
	fill(list[0].from, p.since, list[0].at)
	for i, st := range list {
		end := now
		if i+1 < len(list) {
			end = list[i+1].at
		}
		fill(st.to, st.at, end)
	}
}

func later(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// stops reports whether no call passes in a state.
func stops(s breaker.State) bool {
	return s == breaker.StateOpen || s == breaker.StateHeld || s == breaker.StateForcedOpen
}

// severity orders states by how much they keep back; nothing known comes last.
func severity(s breaker.State) int {
	switch s {
	case breaker.StateOpen:
		return 7
	case breaker.StateForcedOpen:
		return 6
	case breaker.StateHeld:
		return 5
	case breaker.StateHalfOpen:
		return 4
	case breaker.StateForcedClosed:
		return 3
	case breaker.StateObserve:
		return 2
	case breaker.StateClosed:
		return 1
	}
	return 0
}
