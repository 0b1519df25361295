package health

import (
	"time"

	"switchgear/internal/calls"
	"switchgear/internal/connections"
	"switchgear/internal/runtime/breaker"
)

// Board is every connection at one moment, by impact. It is never changed once it is published.
type Board struct {
	At time.Time
	// States counts the connections in each state.
	States map[State]int
	// Breakers counts those that were asked, NotClosed those of them that are not closed.
	Breakers, NotClosed int

	standings []*connections.Standing // the list that it is of
	items     []*item                 // by name
	places    map[string]int          // of items, by the id of their connections
	order     []int                   // of items, by impact
	incidents []int                   // of items, by impact
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
	// Spans are when within each minute it was so; several such times are one.
	Spans [Minutes]Span
	// Trip is what opened the breaker of Status first, nil where that is not known.
	Trip *Trip
	// Since counts the calls since Status.Since.
	Since calls.Sum
	// Breakers is how many breakers of the connection do not let every call pass.
	Breakers int
}

func (b *Board) item(i int) Item {
	it := b.items[i]
	f := it.facts
	f.words, f.told = true, b.At
	out := Item{
		Standing: it.standing, Status: it.status, Traffic: f.traffic, Trip: it.trip, Since: it.since, Breakers: len(f.breakers),
	}
	out.Status.Why = f.status().Why
	out.States, out.Spans = it.minutes.until(minuteOf(b.At))
	return out
}

// Len is the number of connections.
func (b *Board) Len() int { return len(b.items) }

// Attention is how many of them somebody should look at.
func (b *Board) Attention() int { return b.count(State.Attention) }

// count is how many connections are in the states that keep selects; nil selects all.
func (b *Board) count(keep func(State) bool) int {
	n := 0
	for s, count := range b.States {
		if keep == nil || keep(s) {
			n += count
		}
	}
	return n
}

// Page returns the connections from one on, at most limit, by impact, and how many there are in all. keep
// selects by state; nil selects all.
func (b *Board) Page(keep func(State) bool, from, limit int) (page []Item, total int) {
	total = b.count(keep)
	if keep == nil {
		for _, i := range b.order[min(from, total):min(from+limit, total)] {
			page = append(page, b.item(i))
		}
		return page, total
	}
	seen := 0
	page = make([]Item, 0, max(0, min(limit, total-from)))
	for _, i := range b.order {
		if len(page) == limit || seen == total {
			break
		}
		if !keep(b.items[i].status.State) {
			continue
		}
		if seen >= from {
			page = append(page, b.item(i))
		}
		seen++
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

// Has reports whether there is a connection with an id.
func (b *Board) Has(connectionID string) bool {
	_, ok := b.places[connectionID]
	return ok
}

// Of returns one connection by its id; false when there is none.
func (b *Board) Of(connectionID string) (Item, bool) {
	i, ok := b.places[connectionID]
	if !ok {
		return Item{}, false
	}
	return b.item(i), true
}
