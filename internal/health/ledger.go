package health

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"switchgear/internal/calls"
	"switchgear/internal/connections"
	"switchgear/internal/runtime"
	"switchgear/internal/runtime/breaker"
	"switchgear/internal/runtime/ratelimit"
)

// ledger is the present status of every connection. Only what may have changed is judged again: connections
// that were changed, called or checked, those that something stops or did, and once a minute those whose
// calls or check grow old. It belongs to the lock of the Service.
type ledger struct {
	standings []*connections.Standing // the list that items are of
	items     []*item                 // by name; an item is never changed
	places    map[string]int          // of items, by the id of their connections
	checked   []int                   // of items: those that are to be asked by ourselves
	order     []int                   // of items, by impact
	states    map[State]int
	at        time.Time // of the last look
	minute    int64
	// shared says that a Board has the lists above, so that they must not be written into.
	shared bool

	stopping map[string][]*breaker.Snapshot
	rejected map[string]runtime.RejectedCredential
	holds    map[string]map[ratelimit.Key]ratelimit.HoldSnapshot

	expiries            expiries
	breakers, notClosed int
	judged              int // how often a connection was judged, since the start
}

// item is one connection.
type item struct {
	standing *connections.Standing
	facts    facts
	status   Status // without its sentence
	trip     *Trip
	since    calls.Sum // since the incident began
	minutes  course
}

// mark is what is remembered of a connection beyond its present status.
type mark struct {
	state State
	since time.Time
	// trip and base are of the present incident: what opened the breaker, and what was counted before.
	trip       *Trip
	base, last calls.Sum
	seen       bool // last was set by this process
	minutes    course
}

// update brings the ledger up to date. The caller holds the lock.
func (s *Service) update(all []*connections.Standing, now time.Time) {
	l := &s.ledger
	s.stale.Store(false)
	dirty := s.dirty(now)
	moved := l.take(all, dirty)
	places := make([]int, 0, len(dirty))
	for id := range dirty {
		if i, ok := l.places[id]; ok {
			places = append(places, i)
		}
	}
	slices.Sort(places) // changes are told in a fixed order
	if len(places) > 0 {
		s.judge(places, now, moved)
		s.fresh = true
	} else if moved {
		l.rankAll()
		s.fresh = true
	}
	l.at, l.minute = now, minuteOf(now)
}

// dirty are the connections that may be another way than they were, as far as the list of them does not tell.
func (s *Service) dirty(now time.Time) map[string]struct{} {
	l := &s.ledger
	dirty := map[string]struct{}{}
	for _, id := range s.deps.Traffic.Touched() {
		dirty[id] = struct{}{}
	}
	for _, id := range s.checks.takeTouched() {
		dirty[id] = struct{}{}
	}
	l.expiries.over(now, dirty)
	l.stopped(dirty)
	registry := s.deps.Protections.Breakers()
	l.stopping, l.notClosed = map[string][]*breaker.Snapshot{}, 0
	registry.EachNotClosed(func(snap *breaker.Snapshot) {
		l.notClosed++
		l.stopping[snap.Key.Connection] = append(l.stopping[snap.Key.Connection], snap)
	})
	l.breakers = registry.Len()
	l.rejected = s.deps.Protections.RejectedCredentials()
	l.holds = s.deps.Protections.Limiters().Holds()
	l.stopped(dirty)
	if minuteOf(now) != l.minute {
		for _, it := range l.items {
			if it.facts.traffic.Calls > 0 || len(it.facts.traffic.Refusals) > 0 {
				dirty[it.standing.ID] = struct{}{}
			}
		}
	}
	return dirty
}

// stopped adds the connections that something stops, in part or whole: how long and how often changes by itself.
func (l *ledger) stopped(dirty map[string]struct{}) {
	for id := range l.stopping {
		dirty[id] = struct{}{}
	}
	for id := range l.rejected {
		dirty[id] = struct{}{}
	}
	for id := range l.holds {
		dirty[id] = struct{}{}
	}
}

// take takes up another list of connections, and adds those that changed with it. It reports whether any came
// or went, or moved.
func (l *ledger) take(all []*connections.Standing, dirty map[string]struct{}) (moved bool) {
	if l.places != nil && sameList(l.standings, all) {
		return false
	}
	moved = len(all) != len(l.items) || l.places == nil
	for i := 0; i < len(all) && !moved; i++ {
		before := l.items[i].standing
		moved = all[i] != before && all[i].ID != before.ID
	}
	items, states := make([]*item, len(all)), map[State]int{}
	l.checked = l.checked[:0]
	for i, standing := range all {
		if standing.Check.Active() {
			l.checked = append(l.checked, i)
		}
		k, known := i, true
		if moved {
			k, known = l.places[standing.ID]
		}
		switch {
		case !known:
			items[i] = &item{standing: standing}
			dirty[standing.ID] = struct{}{}
			continue
		case l.items[k].standing == standing:
			items[i] = l.items[k]
		default:
			next := *l.items[k]
			next.standing = standing
			items[i] = &next
			dirty[standing.ID] = struct{}{}
		}
		states[items[i].status.State]++
	}
	if moved {
		l.places = make(map[string]int, len(all))
		for i, standing := range all {
			l.places[standing.ID] = i
		}
	}
	l.standings, l.items, l.states, l.shared = all, items, states, false
	return moved
}

// sameList reports whether two lists are one: a change of any connection makes another.
func sameList(a, b []*connections.Standing) bool {
	return len(a) == len(b) && (len(a) == 0 || &a[0] == &b[0])
}

// judge looks at the connections in some places, and ranks them; all of them when any may have moved.
func (s *Service) judge(places []int, now time.Time, all bool) {
	l := &s.ledger
	if l.shared {
		l.items, l.states, l.shared = slices.Clone(l.items), maps.Clone(l.states), false
	}
	weight := s.deps.Traffic.Weights()
	moved := places[:0]
	for _, i := range places {
		before, it := l.items[i], s.judged(l.items[i].standing, weight, now)
		l.items[i] = it
		if at := it.facts.checkedUntil(); !at.IsZero() && !at.Equal(before.facts.checkedUntil()) {
			l.expiries.add(at, it.standing.ID)
		}
		if was := before.status.State; was != "" {
			if l.states[was]--; l.states[was] == 0 {
				delete(l.states, was)
			}
		}
		l.states[it.status.State]++
		if before.rank() != it.rank() {
			moved = append(moved, i)
		}
	}
	l.judged += len(places)
	if all || len(moved) > len(l.items)/fewMoves {
		l.rankAll()
	} else if len(moved) > 0 {
		l.rank(moved)
	}
}

// judged is one connection as it is now.
func (s *Service) judged(standing *connections.Standing, weight func(string) calls.Weight, now time.Time) *item {
	l, id := &s.ledger, standing.ID
	it := &item{standing: standing}
	it.facts = facts{
		now: now, told: now, standing: standing, traffic: weight(id), breakers: l.stopping[id], holds: l.holds[id], check: s.checks.of(id),
	}
	slices.SortFunc(it.facts.breakers, worse)
	if r, ok := l.rejected[id]; ok {
		it.facts.rejected = &r
	}
	it.status = it.facts.status()
	s.follow(it)
	return it
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
		m.base = m.last
		if !from.Attention() {
			m.trip = nil
		}
		since := st.Since
		if since.IsZero() || since.After(f.now) {
			since = f.now
		}
		m.state, m.since = st.State, since
		if from != "" || st.State != StateIdle && st.State != StateNotSetUp { // that nothing is known of what never was called is no news
			s.changed, f.words = true, true
			s.pending = append(s.pending, Change{ConnectionID: f.standing.ID, At: since, From: from, To: st.State, Why: f.status().Why, Actor: st.Actor()})
			f.words = false
		}
	}
	if b := st.Breaker; b == nil || b.Actor != "" { // what a person opened was not opened by calls
		m.trip = nil
	} else if l := &b.Last; m.trip == nil && l.Seq > 0 && l.From == breaker.StateClosed && l.To == breaker.StateOpen {
		m.trip = &Trip{At: l.At, Counts: l.Counts, Window: b.Config.Window}
	}
	m.last = f.traffic.Sum
	m.minutes.note(f.now, levelOf(st.State), minuteOf(f.now) == s.ledger.minute)
	st.Since, it.trip, it.minutes = m.since, m.trip, m.minutes
	it.since = minus(m.last, m.base)
}

func minus(a, b calls.Sum) calls.Sum {
	return calls.Sum{Calls: a.Calls - b.Calls, Failed: a.Failed - b.Failed, Refused: a.Refused - b.Refused, Stale: a.Stale - b.Stale}
}

// rank is what the place of a connection depends on, beside its name.
type rank struct {
	urgency       int  // 0 where it needs no attention
	production    bool // only where it does
	failed, calls int
}

func (i *item) rank() rank {
	r := rank{urgency: urgency(i.status.State), failed: i.facts.traffic.Failed + i.facts.traffic.Refused, calls: i.facts.traffic.Calls}
	if r.urgency > 0 {
		r.production = i.facts.standing.Environment == "production"
	}
	return r
}

// urgency orders the states that need attention: what stops every call first, whoever stopped it.
func urgency(s State) int {
	switch s {
	case StateDown:
		return 4
	case StateHeld:
		return 3
	case StateCredential:
		return 2
	case StateDegraded:
		return 1
	case StateHealthy, StateNotSetUp, StateIdle, StatePaused:
	}
	return 0
}

// byImpact puts those that need attention first, the worst state before others, then production, then what it costs;
// then the others by traffic, then by name.
func (l *ledger) byImpact(i, k int) int {
	x, y := l.items[i].rank(), l.items[k].rank()
	if x.urgency == y.urgency && x.production != y.production {
		if x.production {
			return -1
		}
		return 1
	}
	return cmp.Or(cmp.Compare(y.urgency, x.urgency), cmp.Compare(y.failed, x.failed), cmp.Compare(y.calls, x.calls), cmp.Compare(i, k))
}

// fewMoves is the share of the connections up to which those that moved are put into their places one by one.
const fewMoves = 8

// rank puts the connections in order again after some moved. It writes a new list.
func (l *ledger) rank(moved []int) {
	slices.SortFunc(moved, l.byImpact)
	out := make([]bool, len(l.items))
	for _, i := range moved {
		out[i] = true
	}
	rest := make([]int, 0, len(l.items))
	for _, i := range l.order {
		if !out[i] {
			rest = append(rest, i)
		}
	}
	order := make([]int, 0, len(l.items))
	for _, i := range moved {
		place, _ := slices.BinarySearchFunc(rest, i, l.byImpact)
		order = append(append(order, rest[:place]...), i)
		rest = rest[place:]
	}
	order = append(order, rest...)
	l.order = order
}

func (l *ledger) rankAll() {
	order := make([]int, 0, len(l.items))
	var rest []int // they are in the order of their names, and mostly many
	for i, it := range l.items {
		if r := it.rank(); r.urgency > 0 || r.failed > 0 || r.calls > 0 {
			order = append(order, i)
		} else {
			rest = append(rest, i)
		}
	}
	slices.SortFunc(order, l.byImpact)
	order = append(order, rest...)
	l.order = order
}

// board is what the ledger says, to be shared.
func (l *ledger) board(now time.Time) *Board {
	l.shared = true
	b := &Board{At: now, States: l.states, Breakers: l.breakers, NotClosed: l.notClosed, standings: l.standings, items: l.items, places: l.places, order: l.order}
	for _, i := range l.order {
		if !l.items[i].status.State.Attention() {
			break
		}
		if l.items[i].incident() {
			b.incidents = append(b.incidents, i)
		}
	}
	return b
}

// incident reports whether the connection deserves a sentence at the top: it stands still, in part or whole.
// Single calls that failed do not.
func (i *item) incident() bool {
	switch i.status.State {
	case StateDown, StateHeld, StateCredential:
		return true
	case StateDegraded:
		return i.status.Breaker != nil
	case StateHealthy, StateNotSetUp, StateIdle, StatePaused:
	}
	return false
}
