package health

import (
	"cmp"
	"slices"
	"time"

	"switchgear/internal/access"
	"switchgear/internal/calls"
	"switchgear/internal/connections"
	"switchgear/internal/runtime/breaker"
)

// Minutes is how many minutes of states are remembered.
const Minutes = 15

// Board is every connection at one moment, by impact. It is never changed once it is published.
type Board struct {
	At time.Time
	// States counts the connections in each state.
	States map[State]int
	// Breakers counts those that were asked, NotClosed those of them that are not closed.
	Breakers, NotClosed int

	standings []connections.Standing
	items     []item // by name
	order     []int  // of items, by impact
	incidents []int  // of items, by impact
}

// item is one connection.
type item struct {
	facts  facts
	status Status // without its sentence
	trip   *Trip
	since  calls.Sum // since the incident began
	states [Minutes]State
}

// Trip is what a breaker was opened by.
type Trip struct {
	At     time.Time
	Counts breaker.Counts
	Window time.Duration
}

// Item is one connection with its status.
type Item struct {
	*connections.Standing
	Status  Status
	Traffic calls.Weight
	// States are the worst of each of the last minutes, oldest first; empty where none is known.
	States [Minutes]State
	// Trip is what opened the breaker of Status first, nil where that is not known.
	Trip *Trip
	// Since counts the calls since the status began to need attention.
	Since calls.Sum
	// Breakers is how many breakers of the connection do not let every call pass.
	Breakers int
}

// mark is what is remembered of a connection from one Board to the next.
type mark struct {
	state State
	since time.Time
	// attention is since when it needs some, zero while it does not; base is what was counted before.
	trip       *Trip
	base, last calls.Sum
	seen       bool // last was set by this process
	ring       [Minutes]moment
}

type moment struct {
	minute int64
	state  State
}

// Board returns every connection with its status. It needs system:read, and reads memory only.
func (s *Service) Board(a access.Actor) (*Board, error) {
	if err := a.Require(access.PermissionSystemRead); err != nil {
		return nil, err
	}
	return s.board()
}

// good reports whether a Board may still be shown.
func (s *Service) good(b *Board, all []connections.Standing, now time.Time) bool {
	if b == nil {
		return false
	}
	age := now.Sub(b.At)
	switch {
	case age < 0, age >= s.cfg.Every, len(b.standings) != len(all), len(all) > 0 && &b.standings[0] != &all[0]:
		return false
	}
	return age < s.cfg.Least || !s.stale.Load()
}

func (s *Service) board() (*Board, error) {
	all, err := s.deps.Connections.Standings(access.System())
	if err != nil {
		return nil, err
	}
	if b := s.published.Load(); s.good(b, all, s.deps.Now()) {
		return b, nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.deps.Now()
	if b := s.published.Load(); s.good(b, all, now) { // somebody else was faster
		return b, nil
	}
	s.stale.Store(false)
	b := s.make(all, now)
	s.published.Store(b)
	return b, nil
}

// make looks at everything once. The caller holds the lock.
func (s *Service) make(all []connections.Standing, now time.Time) *Board {
	b := &Board{At: now, standings: all, items: make([]item, len(all)), States: map[State]int{}}
	stopping := map[string][]*breaker.Snapshot{}
	s.deps.Protections.Breakers().Each(func(snap *breaker.Snapshot) {
		b.Breakers++
		if snap.State != breaker.StateClosed {
			b.NotClosed++
			stopping[snap.Key.Connection] = append(stopping[snap.Key.Connection], snap)
		}
	})
	rejected := s.deps.Protections.RejectedCredentials()
	weight := s.deps.Traffic.Weights()
	for i := range all {
		standing := &all[i]
		it := &b.items[i]
		it.facts = facts{now: now, standing: standing, traffic: weight(standing.ID), breakers: stopping[standing.ID], check: s.checks.of(standing.ID)}
		slices.SortFunc(it.facts.breakers, worse)
		if r, ok := rejected[standing.ID]; ok {
			it.facts.rejected = &r
		}
		if limiter, ok := s.deps.Protections.Limiters().Get(standing.ID); ok {
			it.facts.holds = limiter.Holds()
		}
		it.status = it.facts.status()
		s.follow(it)
		b.States[it.status.State]++
	}
	b.rank()
	return b
}

// worse puts a connection's own breaker first, then those that refuse most.
func worse(a, b *breaker.Snapshot) int {
	if (a.Key.Operation == "") != (b.Key.Operation == "") {
		return cmp.Compare(a.Key.Operation, b.Key.Operation)
	}
	return cmp.Or(cmp.Compare(b.Refused, a.Refused), cmp.Compare(a.Key.Operation, b.Key.Operation))
}

// follow compares a connection with what it was like, and notes what changed. The caller holds the lock.
func (s *Service) follow(it *item) {
	f, st := &it.facts, &it.status
	m := s.marks[f.standing.ID]
	if m == nil {
		m = &mark{}
		s.marks[f.standing.ID] = m
	}
	if !m.seen {
		m.seen, m.last = true, f.traffic.Sum
		m.base = m.last
	}
	if m.state != st.State {
		from := m.state
		if !from.Attention() {
			m.base, m.trip = m.last, nil
		}
		since := st.Since
		if since.IsZero() || since.After(f.now) {
			since = f.now
		}
		m.state, m.since = st.State, since
		if from != "" || st.State != StateIdle { // that nothing is known of what never was called is no news
			s.changed, f.words = true, true
			s.pending = append(s.pending, Change{ConnectionID: f.standing.ID, At: since, From: from, To: st.State, Why: f.status().Why})
			f.words = false
		}
	}
	if b := st.Breaker; b == nil {
		m.trip = nil
	} else if l := &b.Last; m.trip == nil && l.Seq > 0 && l.From == breaker.StateClosed && l.To == breaker.StateOpen {
		m.trip = &Trip{At: l.At, Counts: l.Counts, Window: b.Config.Window}
	}
	m.last = f.traffic.Sum
	minute := f.now.Unix() / 60
	if at := &m.ring[minute%Minutes]; at.minute != minute || rank(st.State) < rank(at.state) {
		*at = moment{minute, st.State}
	}
	for i := range Minutes {
		then := minute - int64(Minutes-1-i)
		if at := m.ring[then%Minutes]; at.minute == then {
			it.states[i] = at.state
		}
	}
	st.Since, it.trip = m.since, m.trip
	it.since = minus(m.last, m.base)
}

func minus(a, b calls.Sum) calls.Sum {
	return calls.Sum{Calls: a.Calls - b.Calls, Failed: a.Failed - b.Failed, Refused: a.Refused - b.Refused, Stale: a.Stale - b.Stale}
}

func rank(s State) int { return slices.Index(States(), s) }

// rank puts the connections in order: those that need attention by what it costs, then the others by traffic,
// then by name.
func (b *Board) rank() {
	b.order = make([]int, 0, len(b.items))
	var rest []int
	for i := range b.items {
		it := &b.items[i]
		if it.status.State.Attention() || it.facts.traffic.Calls > 0 {
			b.order = append(b.order, i)
		} else {
			rest = append(rest, i)
		}
		if it.incident() {
			b.incidents = append(b.incidents, i)
		}
	}
	slices.SortFunc(b.order, b.byImpact)
	slices.SortFunc(b.incidents, b.byImpact)
	b.order = append(b.order, rest...)
}

func (b *Board) byImpact(i, k int) int {
	x, y := &b.items[i], &b.items[k]
	if x.status.State.Attention() != y.status.State.Attention() {
		if x.status.State.Attention() {
			return -1
		}
		return 1
	}
	return cmp.Or(
		cmp.Compare(y.facts.traffic.Failed, x.facts.traffic.Failed), cmp.Compare(y.facts.traffic.Calls, x.facts.traffic.Calls), cmp.Compare(i, k),
	)
}

// incident reports whether the connection deserves a sentence at the top: it stands still, in part or whole.
// Single calls that failed do not.
func (i *item) incident() bool {
	switch i.status.State {
	case StateDown, StateHeld, StateCredential:
		return true
	case StateDegraded:
		return i.status.Breaker != nil
	case StateHealthy, StateIdle, StatePaused:
	}
	return false
}

func (b *Board) item(i int) Item {
	it := &b.items[i]
	f := it.facts
	f.words = true
	out := Item{
		Standing: f.standing, Status: it.status, Traffic: f.traffic, States: it.states, Trip: it.trip, Since: it.since, Breakers: len(f.breakers),
	}
	out.Status.Why = f.status().Why
	return out
}

// Len is the number of connections.
func (b *Board) Len() int { return len(b.items) }

// Attention is how many of them somebody should look at.
func (b *Board) Attention() int {
	n := 0
	for s, count := range b.States {
		if s.Attention() {
			n += count
		}
	}
	return n
}

// Page returns the connections from one on, at most limit, by impact, and how many there are in all. keep
// selects by state; nil selects all.
func (b *Board) Page(keep func(State) bool, from, limit int) (page []Item, total int) {
	for _, i := range b.order {
		if keep != nil && !keep(b.items[i].status.State) {
			continue
		}
		if total >= from && len(page) < limit {
			page = append(page, b.item(i))
		}
		total++
	}
	return page, total
}

// Incidents returns the connections that stand still, in part or whole, the worst first: at most limit, and
// how many there are in all.
func (b *Board) Incidents(limit int) (worst []Item, total int) {
	for _, i := range b.incidents[:min(limit, len(b.incidents))] {
		worst = append(worst, b.item(i))
	}
	return worst, len(b.incidents)
}

// Of returns one connection by its id; false when there is none.
func (b *Board) Of(connectionID string) (Item, bool) {
	for i := range b.items {
		if b.items[i].facts.standing.ID == connectionID {
			return b.item(i), true
		}
	}
	return Item{}, false
}
