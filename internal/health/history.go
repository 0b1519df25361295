package health

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"switchgear/internal/access"
	"switchgear/internal/connections"
	"switchgear/internal/fault"
)

// Change is one change of the status of a connection.
type Change struct {
	ConnectionID string
	At           time.Time // since when it is so
	From, To     State     // From is empty when nothing was known
	Why          string
	// Actor is the person who made it so; empty when nobody did.
	Actor string
	// Until is when the next change came; zero while it is so.
	Until time.Time
}

// Lasted is how long it was so, seen from now.
func (c *Change) Lasted(now time.Time) time.Duration {
	if !c.Until.IsZero() {
		now = c.Until
	}
	return max(0, now.Sub(c.At))
}

// HistoryQuery selects changes of a connection; zero fields select all.
type HistoryQuery struct {
	From, To time.Time // those that began from From until before To
	State    State     // that it changed to
	Oldest   bool      // begin with the oldest
	Page     int       // from 1
	Limit    int       // 50 when zero, 200 at most
}

// History is one page of changes, and how many there are in all.
type History struct {
	Changes []Change
	Total   int
}

const (
	usualHistory = 50
	maxHistory   = 200
	maxPage      = 1_000_000
)

// History returns the changes of a connection, the newest first. It needs system:read. A change appears a
// moment after it happened.
func (s *Service) History(ctx context.Context, a access.Actor, connectionID string, q HistoryQuery) (History, error) {
	if err := a.Require(access.PermissionSystemRead); err != nil {
		return History{}, err
	}
	if !q.From.IsZero() && !q.To.IsZero() && q.To.Before(q.From) {
		return History{}, fault.Field("INVALID_RANGE", "to", "The end lies before the beginning.")
	}
	if q.State != "" && !slices.Contains(States(), q.State) {
		return History{}, fault.Field("UNKNOWN_STATE", "state", "There is no such state of a connection.")
	}
	if q.Limit <= 0 {
		q.Limit = usualHistory
	}
	q.Limit, q.Page = min(q.Limit, maxHistory), min(max(q.Page, 1), maxPage)
	h, err := s.store.history(ctx, connectionID, q)
	if err != nil {
		return History{}, fmt.Errorf("health: history: %w", err)
	}
	return h, s.namePausers(ctx, a, connectionID, h.Changes)
}

// namePausers fills in who paused and resumed a connection, which its versions know.
func (s *Service) namePausers(ctx context.Context, a access.Actor, connectionID string, changes []Change) error {
	if !slices.ContainsFunc(changes, func(c Change) bool { return c.From == StatePaused || c.To == StatePaused }) {
		return nil
	}
	all, err := s.deps.Connections.Standings(a)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(all, func(c *connections.Standing) bool { return c.ID == connectionID })
	if i < 0 {
		return nil
	}
	versions, err := s.deps.Connections.Versions(ctx, a, all[i].Slug)
	if fault.Is(err, fault.NotFound) { // deleted a moment ago
		return nil
	}
	if err != nil {
		return err
	}
	for i := range changes {
		c, cause := &changes[i], connections.CausePause
		if c.To != StatePaused {
			cause = connections.CauseResume
		}
		if c.To != StatePaused && c.From != StatePaused {
			continue
		}
		newest := 0
		for _, v := range versions {
			if v.Cause != cause || v.CreatedAt.After(c.At) || v.Version < newest {
				continue
			}
			newest, c.Actor = v.Version, v.AuthorName
			if v.Reason != "" && c.To == StatePaused {
				c.Why = "It is paused: " + strings.TrimSuffix(v.Reason, ".") + "."
			}
		}
	}
	return nil
}

// Course is how a connection was over a time.
type Course struct {
	// States are the worst of each step, oldest first; empty where nothing is known.
	States []State
	// Up is how long calls could get what they wanted, of Known in which that is known: it is not while the
	// connection is idle, paused or not set up. What takes part counts as up: degraded is, held and a credential problem
	// are not.
	Up, Known time.Duration
	// Outages are when calls could not, to the microsecond, the oldest first; the state does not change within one.
	Outages []Outage
}

// Outage is a time in which calls could not get what they wanted.
type Outage struct {
	State    State
	From, To time.Time
}

// Course returns how a connection was for a time until now, in so many steps. It needs system:read. While
// the process did not run, what was known before counts on.
func (s *Service) Course(ctx context.Context, a access.Actor, connectionID string, span time.Duration, steps int) (Course, error) {
	if err := a.Require(access.PermissionSystemRead); err != nil {
		return Course{}, err
	}
	if span <= 0 || steps <= 0 {
		return Course{}, fault.New(fault.Internal, "", "health: a course needs a time and steps")
	}
	now := s.deps.Now()
	begin := now.Add(-span)
	changes, err := s.store.course(ctx, connectionID, begin)
	if err != nil {
		return Course{}, fmt.Errorf("health: course: %w", err)
	}
	c := Course{States: make([]State, steps)}
	fill := func(state State, from, to time.Time) {
		if from.Before(begin) {
			from = begin
		}
		if state == "" || !from.Before(to) {
			return
		}
		switch state {
		case StateHealthy, StateDegraded:
			c.Up += to.Sub(from)
			c.Known += to.Sub(from)
		case StateDown, StateHeld, StateCredential:
			c.Known += to.Sub(from)
			c.Outages = append(c.Outages, Outage{state, from, to})
		case StateNotSetUp, StateIdle, StatePaused:
		}
		step := span / time.Duration(steps)
		for i := int(from.Sub(begin) / step); i <= min(int((to.Sub(begin)-1)/step), steps-1); i++ {
			if c.States[i] == "" || levelOf(state) < levelOf(c.States[i]) {
				c.States[i] = state
			}
		}
	}
	// What is not read because there are too many changes is not known.
	if len(changes) > 0 && len(changes) < maxCourse {
		fill(changes[0].From, begin, changes[0].At)
	}
	for i, change := range changes {
		end := now
		if i+1 < len(changes) {
			end = changes[i+1].At
		}
		fill(change.To, change.At, end)
	}
	return c, nil
}
