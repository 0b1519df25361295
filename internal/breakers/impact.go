package breakers

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"switchgear/internal/access"
	"switchgear/internal/runtime/breaker"
)

// What [Service.ByImpact] can be narrowed to beside a state.
const (
	ShowAttention  = "attention"  // those that let no calls through, or only some
	ShowOverridden = "overridden" // those under an override
)

// ImpactQuery selects breakers for people; zero fields select all.
type ImpactQuery struct {
	Search string // part of the name or slug of the connection, or of the operation
	Show   string // ShowAttention, ShowOverridden or a state; anything else selects none
	Page   int    // from 1
	Limit  int    // 50 when zero, 200 at most
}

// Impact is one page of breakers, what hurts most first, and how many there are of each kind. All,
// Attention and Overridden count whatever the query selects.
type Impact struct {
	Breakers                          []Breaker
	Total, All, Attention, Overridden int
}

// ByImpact lists the breakers of connections and those of operations that were called: first those that
// keep calls back, by how many calls were refused or failed. It needs system:read, and reads memory only.
func (s *Service) ByImpact(_ context.Context, a access.Actor, q ImpactQuery) (Impact, error) {
	all, err := s.deps.Connections.Standings(a)
	if err != nil {
		return Impact{}, err
	}
	rows := s.rows(all, Query{})
	out := Impact{All: len(rows)}
	search := strings.ToLower(strings.TrimSpace(q.Search))
	selected := rows[:0]
	for _, l := range rows {
		if attention(l.state) {
			out.Attention++
		}
		if l.overridden() {
			out.Overridden++
		}
		if l.shown(q.Show) && l.matches(search) {
			selected = append(selected, l)
		}
	}
	slices.SortFunc(selected, byImpact)
	limit := min(cmp.Or(max(q.Limit, 0), defaultLimit), maxLimit)
	out.Total = len(selected)
	from := min((min(max(q.Page, 1), maxPage)-1)*limit, out.Total)
	for _, l := range selected[from:min(from+limit, out.Total)] {
		out.Breakers = append(out.Breakers, l.show())
	}
	return out, nil
}

// Attention reports whether calls are kept back, all or some of them.
func (b Breaker) Attention() bool { return attention(b.State) }

func attention(s breaker.State) bool {
	switch s {
	case breaker.StateOpen, breaker.StateHeld, breaker.StateForcedOpen, breaker.StateHalfOpen:
		return true
	case breaker.StateClosed, breaker.StateForcedClosed, breaker.StateObserve:
	}
	return false
}

// Overridden reports whether a person decides, and not the breaker.
func (b Breaker) Overridden() bool { return b.Snapshot.Mode != breaker.ModeAuto }

func (l *listed) overridden() bool { return l.snapshot != nil && l.snapshot.Mode != breaker.ModeAuto }

func (l *listed) shown(show string) bool {
	switch show {
	case "":
		return true
	case ShowAttention:
		return attention(l.state)
	case ShowOverridden:
		return l.overridden()
	}
	return string(l.state) == show
}

func (l *listed) matches(search string) bool {
	return search == "" || strings.Contains(strings.ToLower(l.connection.Name), search) || strings.Contains(l.connection.Slug, search) ||
		strings.Contains(strings.ToLower(l.operation), search)
}

// impact is how many calls did not get what they wanted.
func (l *listed) impact() int {
	if l.snapshot == nil {
		return 0
	}
	return l.snapshot.Refused + l.snapshot.Counts.Failures
}

func byImpact(a, b listed) int {
	if first := attention(a.state); first != attention(b.state) {
		if first {
			return -1
		}
		return 1
	}
	return cmp.Or(cmp.Compare(b.impact(), a.impact()), cmp.Compare(a.connection.Name, b.connection.Name),
		cmp.Compare(a.connection.Slug, b.connection.Slug), cmp.Compare(a.operation, b.operation))
}
