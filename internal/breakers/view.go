package breakers

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"switchgear/internal/access"
	"switchgear/internal/connections"
	"switchgear/internal/fault"
	"switchgear/internal/runtime/breaker"
)

// Breaker shows the breaker of a connection, or of an operation of it.
type Breaker struct {
	ConnectionID string
	Connection   string // slug
	Name         string // of the connection
	Environment  string
	Operation    string // empty: the connection's own
	// Called is false when no call has asked it since the start: then Snapshot holds nothing but the state.
	Called bool
	// State is what calls meet: that of the breaker, or held where it would let them through and the vendor
	// asked for a pause.
	State breaker.State
	// Why says in a sentence or two why calls pass or do not.
	Why      string
	Snapshot breaker.Snapshot
	// Vendor are the pauses that the vendor asked for; see [VendorHold].
	Vendor []VendorHold
}

// VendorHold is a pause that the vendor asked for, which the rate limiter keeps.
type VendorHold struct {
	Since, Until time.Time
	Reason       string
	// Account is the one whose calls wait, empty for all; Group those of which operations, empty for all.
	Account, Group string
	// Probing says that the time is over, and one request goes first.
	Probing bool
}

// Refuses reports whether no call passes.
func (b Breaker) Refuses() bool {
	switch b.State {
	case breaker.StateOpen, breaker.StateHeld, breaker.StateForcedOpen:
		return true
	case breaker.StateClosed, breaker.StateHalfOpen, breaker.StateForcedClosed, breaker.StateObserve:
	}
	return false
}

// Detail is everything about the breakers of a connection.
type Detail struct {
	Connection Shown
	// Operations are those of the policy, in its order.
	Operations []Shown
}

// Shown is a breaker with the last command to it.
type Shown struct {
	Breaker
	// Watch tells what became of the calls after the last command; nil when none was given since the start.
	Watch *Watch
}

// Choice is a command that may be given.
type Choice struct {
	Verb Verb
	// Consequence says what it would do, given for the default time where it has an end.
	Consequence string
	// TakesTime and NeedsTime say whether it has an end. Without a wish, DefaultFor is taken where it needs one.
	TakesTime, NeedsTime bool
	// Unavailable says why it would change nothing at present; empty when it may be given.
	Unavailable string
}

// Query selects breakers; zero fields select all.
type Query struct {
	Connection string // slug
	State      string
	Sort       string // connection, operation, state or since; a leading minus reverses
	Page       int    // from 1
	Limit      int    // 50 when zero, 200 at most
}

// Page is one page of breakers, and how many there are in all.
type Page struct {
	Breakers []Breaker
	Total    int
}

const (
	defaultLimit = 50
	maxLimit     = 200
	maxPage      = 1_000_000
)

// Sorts are what [Service.List] sorts by.
func Sorts() []string { return []string{"connection", "operation", "state", "since"} }

// List lists the breakers of connections and those of operations that were called. It needs system:read,
// and reads memory only.
func (s *Service) List(_ context.Context, a access.Actor, q Query) (Page, error) {
	all, err := s.deps.Connections.Standings(a)
	if err != nil {
		return Page{}, err
	}
	if q.State != "" && !slices.Contains(breaker.States(), breaker.State(q.State)) {
		return Page{}, fault.Field("UNKNOWN_STATE", "state", "There is no such state of a breaker.").
			WithSuggestion("Use one of closed, open, half_open, held, forced_open, forced_closed, observe.")
	}
	order, descending := strings.CutPrefix(q.Sort, "-")
	if order != "" && !slices.Contains(Sorts(), order) {
		return Page{}, fault.Field("UNKNOWN_SORT", "sort", "There is no such sort.").
			WithSuggestion("Use one of " + strings.Join(Sorts(), ", ") + ".")
	}
	rows := s.rows(all, q)
	slices.SortStableFunc(rows, func(a, b Breaker) int {
		if descending {
			return compareBy(order, b, a)
		}
		return compareBy(order, a, b)
	})
	limit := q.Limit
	if limit <= 0 {
		limit = defaultLimit
	}
	limit = min(limit, maxLimit)
	from := min((min(max(q.Page, 1), maxPage)-1)*limit, len(rows))
	return Page{Breakers: rows[from:min(from+limit, len(rows))], Total: len(rows)}, nil
}

func compareBy(order string, a, b Breaker) int {
	name := cmp.Or(cmp.Compare(a.Connection, b.Connection), cmp.Compare(a.Operation, b.Operation))
	switch order {
	case "operation":
		return cmp.Or(cmp.Compare(a.Operation, b.Operation), name)
	case "state":
		return cmp.Or(cmp.Compare(a.State, b.State), name)
	case "since":
		return cmp.Or(a.Snapshot.Since.Compare(b.Snapshot.Since), name)
	}
	return name
}

// rows are the breakers that a query selects.
func (s *Service) rows(all []connections.Standing, q Query) []Breaker {
	byConnection := map[string][]breaker.Snapshot{}
	for _, snap := range s.deps.Breakers.Snapshots() {
		byConnection[snap.Key.Connection] = append(byConnection[snap.Key.Connection], snap)
	}
	rows := make([]Breaker, 0, len(all))
	add := func(b Breaker) {
		if q.State == "" || string(b.State) == q.State {
			rows = append(rows, b)
		}
	}
	for _, c := range all {
		if q.Connection != "" && c.Slug != q.Connection {
			continue
		}
		holds, groups := s.holds(c.ID), map[string]string(nil)
		if slices.ContainsFunc(holds, func(h VendorHold) bool { return h.Group != "" }) {
			groups = s.groups(*c.Connection)
		}
		snaps := byConnection[c.ID]
		if len(snaps) == 0 || snaps[0].Key.Operation != "" {
			add(show(*c.Connection, breaker.Snapshot{Key: breaker.Key{Connection: c.ID}}, false, holds, groups))
		}
		for _, snap := range snaps {
			add(show(*c.Connection, snap, true, holds, groups))
		}
	}
	return rows
}

// Get returns the breakers of a connection and of all its operations. It needs system:read.
func (s *Service) Get(_ context.Context, a access.Actor, slug string) (Detail, error) {
	c, err := s.find(a, slug)
	if err != nil {
		return Detail{}, err
	}
	operations, err := s.operations(c)
	if err != nil {
		return Detail{}, err
	}
	d := Detail{Connection: s.shown(c, ""), Operations: make([]Shown, len(operations))}
	for i, o := range operations {
		d.Operations[i] = s.shown(c, o.id)
	}
	return d, nil
}

// Choices are the commands that may be given to the breaker of a connection or operation now, in the order
// in which they are shown. It needs system:read; giving them needs more.
func (s *Service) Choices(_ context.Context, a access.Actor, slug, operation string) ([]Choice, error) {
	c, err := s.find(a, slug)
	if err != nil {
		return nil, err
	}
	key := breaker.Key{Connection: c.ID, Operation: operation}
	// A breaker that no call has asked is rehearsed as a closed one.
	snap, called := s.deps.Breakers.Snapshot(key)
	var live *breaker.Breaker
	if called {
		if live, err = s.breaker(c, operation); err != nil {
			return nil, err
		}
	} else if live, err = closedBreaker(key); err != nil {
		return nil, err
	}
	now := s.deps.Now()
	out := make([]Choice, 0, len(Verbs()))
	for _, v := range Verbs() {
		choice := Choice{Verb: v}
		choice.TakesTime, choice.NeedsTime = v.term()
		var until time.Time
		if choice.NeedsTime {
			until = now.Add(DefaultFor)
		}
		choice.Consequence = v.Consequence(snap, until)
		trial := command{key: key, verb: v, actor: "rehearsal", reason: "rehearsal", until: until}
		if err := trial.rehearse(live); err != nil {
			choice.Unavailable = fault.PublicMessage(s.explain(err, v, c.ID))
		}
		out = append(out, choice)
	}
	return out, nil
}

// closedBreaker is one that nothing has happened to.
func closedBreaker(key breaker.Key) (*breaker.Breaker, error) {
	registry, err := breaker.NewRegistry(breaker.Deps{
		Config: func(breaker.Key) (breaker.Config, error) { return breaker.Config{}, nil }, Record: discard,
	}, breaker.Settings{})
	if err != nil {
		return nil, err
	}
	return registry.Breaker(key)
}

func (s *Service) shown(c connections.Connection, operation string) Shown {
	return Shown{Breaker: s.row(c, operation), Watch: s.watches.find(breaker.Key{Connection: c.ID, Operation: operation})}
}

// row shows one breaker.
func (s *Service) row(c connections.Connection, operation string) Breaker {
	key := breaker.Key{Connection: c.ID, Operation: operation}
	snap, called := s.deps.Breakers.Snapshot(key)
	if !called {
		snap.Key = key
	}
	holds, groups := s.holds(c.ID), map[string]string(nil)
	if operation != "" && len(holds) > 0 {
		groups = s.groups(c)
	}
	return show(c, snap, called, holds, groups)
}

// show makes what is shown of a breaker. groups are the limit groups of operations; holds of other groups
// are not its own.
func show(c connections.Connection, snap breaker.Snapshot, called bool, holds []VendorHold, groups map[string]string) Breaker {
	b := Breaker{
		ConnectionID: c.ID, Connection: c.Slug, Name: c.Name, Environment: c.Environment, Operation: snap.Key.Operation, Called: called,
	}
	if !called {
		snap.Mode, snap.State, snap.WouldBe, snap.RampShare = breaker.ModeAuto, breaker.StateClosed, breaker.StateClosed, 1
		b.Why = "No calls yet: nothing to judge."
	} else {
		b.Why = snap.Why()
	}
	b.Snapshot, b.State = snap, snap.State
	for _, h := range holds {
		if h.Group == "" || b.Operation != "" && h.Group == groups[b.Operation] {
			b.Vendor = append(b.Vendor, h)
		}
	}
	if snap.State != breaker.StateClosed && snap.State != breaker.StateHalfOpen {
		return b
	}
	for _, h := range b.Vendor {
		if !h.Probing {
			b.State = breaker.StateHeld
			b.Why = h.sentence() + " " + b.Why
			break
		}
	}
	return b
}

func (h VendorHold) sentence() string {
	whose := "Calls"
	if h.Account != "" {
		whose = "Calls of the account " + h.Account
	}
	return fmt.Sprintf("%s wait until %s because the vendor asked for it: %s.", whose, moment(h.Until), strings.TrimSuffix(h.Reason, "."))
}

// holds are the pauses in force for a connection, the longest first.
func (s *Service) holds(connectionID string) []VendorHold {
	limiter, ok := s.deps.Limiters.Get(connectionID)
	if !ok {
		return nil
	}
	var out []VendorHold
	for _, scope := range limiter.Snapshot().Scopes {
		if h := scope.Hold; !h.Until.IsZero() {
			out = append(out, VendorHold{
				Since: h.Since, Until: h.Until, Reason: h.Reason, Account: scope.Key.Credential, Group: scope.Key.Group, Probing: h.Probing,
			})
		}
	}
	slices.SortStableFunc(out, func(a, b VendorHold) int { return b.Until.Compare(a.Until) })
	return out
}

// declaredOperation is an operation of a policy, with the group of its rate limits.
type declaredOperation struct{ id, group string }

func (s *Service) operations(c connections.Connection) ([]declaredOperation, error) {
	policy, err := s.deps.Connections.EffectivePolicy(c)
	if err != nil {
		return nil, err
	}
	resolved, err := policy.Resolve()
	if err != nil {
		return nil, err
	}
	out := make([]declaredOperation, len(resolved))
	for i := range resolved {
		out[i] = declaredOperation{id: resolved[i].ID, group: resolved[i].LimitGroup()}
	}
	return out, nil
}

// groups are the limit groups of the operations, empty when the policy cannot be read.
func (s *Service) groups(c connections.Connection) map[string]string {
	out := map[string]string{}
	operations, err := s.operations(c)
	if err != nil {
		return out
	}
	for _, o := range operations {
		out[o.id] = o.group
	}
	return out
}
