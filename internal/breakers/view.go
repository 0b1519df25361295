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
	slices.SortFunc(rows, func(a, b listed) int {
		if descending {
			a, b = b, a
		}
		return a.compare(&b, order)
	})
	limit := q.Limit
	if limit <= 0 {
		limit = defaultLimit
	}
	limit = min(limit, maxLimit)
	from := min((min(max(q.Page, 1), maxPage)-1)*limit, len(rows))
	page := Page{Total: len(rows)}
	for _, r := range rows[from:min(from+limit, len(rows))] {
		page.Breakers = append(page.Breakers, r.show())
	}
	return page, nil
}

// listed is as much of a breaker as lists select and sort by: there may be many thousands.
type listed struct {
	connection *connections.Connection
	operation  string
	snapshot   *breaker.Snapshot // nil when no call has asked it
	state      breaker.State
	holds      []VendorHold // its own
}

// list makes an entry; groups are the limit groups of operations, nil where no hold is on a group.
func list(c *connections.Connection, operation string, snap *breaker.Snapshot, holds []VendorHold, groups map[string]string) listed {
	l := listed{connection: c, operation: operation, snapshot: snap, state: breaker.StateClosed}
	if snap != nil {
		l.state = snap.State
	}
	for _, h := range holds {
		if h.Group == "" || operation != "" && h.Group == groups[operation] {
			l.holds = append(l.holds, h)
		}
	}
	passes := l.state == breaker.StateClosed || l.state == breaker.StateHalfOpen
	if passes && slices.ContainsFunc(l.holds, func(h VendorHold) bool { return !h.Probing }) {
		l.state = breaker.StateHeld
	}
	return l
}

func (l *listed) since() time.Time {
	if l.snapshot == nil {
		return time.Time{}
	}
	return l.snapshot.Since
}

func (l *listed) compare(o *listed, order string) int {
	first := 0
	switch order {
	case "operation":
		first = cmp.Compare(l.operation, o.operation)
	case "state":
		first = cmp.Compare(l.state, o.state)
	case "since":
		first = l.since().Compare(o.since())
	}
	if first != 0 {
		return first
	}
	return cmp.Or(cmp.Compare(l.connection.Slug, o.connection.Slug), cmp.Compare(l.operation, o.operation))
}

// show is the whole of an entry.
func (l *listed) show() Breaker {
	c := l.connection
	b := Breaker{
		ConnectionID: c.ID, Connection: c.Slug, Name: c.Name, Environment: c.Environment, Operation: l.operation,
		Called: l.snapshot != nil, State: l.state, Vendor: l.holds,
	}
	if b.Called {
		b.Snapshot = *l.snapshot
		b.Why = b.Snapshot.Why()
	} else {
		b.Snapshot = breaker.Snapshot{
			Key:  breaker.Key{Connection: c.ID, Operation: l.operation},
			Mode: breaker.ModeAuto, State: breaker.StateClosed, WouldBe: breaker.StateClosed, RampShare: 1,
		}
		b.Why = "No calls yet: nothing to judge."
	}
	if b.State == b.Snapshot.State {
		return b
	}
	for _, h := range b.Vendor {
		if !h.Probing {
			b.Why = h.sentence() + " " + b.Why
			break
		}
	}
	return b
}

// rows are the breakers that a query selects, in no order.
func (s *Service) rows(all []*connections.Standing, q Query) []listed {
	own, operations := make(map[string]*breaker.Snapshot, len(all)), map[string][]*breaker.Snapshot{}
	s.deps.Breakers.Each(func(snap *breaker.Snapshot) {
		if id := snap.Key.Connection; snap.Key.Operation == "" {
			own[id] = snap
		} else {
			operations[id] = append(operations[id], snap)
		}
	})
	rows := make([]listed, 0, len(all))
	add := func(l listed) {
		if q.State == "" || string(l.state) == q.State {
			rows = append(rows, l)
		}
	}
	for _, c := range all {
		if q.Connection != "" && c.Slug != q.Connection {
			continue
		}
		holds := s.holds(c.ID)
		add(list(c.Connection, "", own[c.ID], holds, nil))
		if len(operations[c.ID]) == 0 {
			continue
		}
		groups := s.groups(c.Connection, holds)
		for _, snap := range operations[c.ID] {
			add(list(c.Connection, snap.Key.Operation, snap, holds, groups))
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

// Own returns the breaker of a connection without those of its operations. It needs system:read.
func (s *Service) Own(a access.Actor, slug string) (Breaker, error) {
	c, err := s.find(a, slug)
	if err != nil {
		return Breaker{}, err
	}
	if _, err := s.deps.Connections.EffectivePolicy(c); err != nil {
		return Breaker{}, err
	}
	return s.row(c, ""), nil
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
	var snap *breaker.Snapshot
	if found, called := s.deps.Breakers.Snapshot(breaker.Key{Connection: c.ID, Operation: operation}); called {
		snap = &found
	}
	holds, groups := s.holds(c.ID), map[string]string(nil)
	if operation != "" {
		groups = s.groups(&c, holds)
	}
	l := list(&c, operation, snap, holds, groups)
	return l.show()
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
	for key, h := range limiter.Holds() {
		out = append(out, VendorHold{Since: h.Since, Until: h.Until, Reason: h.Reason, Account: key.Credential, Group: key.Group, Probing: h.Probing})
	}
	slices.SortFunc(out, func(a, b VendorHold) int {
		return cmp.Or(b.Until.Compare(a.Until), cmp.Compare(a.Group, b.Group), cmp.Compare(a.Account, b.Account))
	})
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

// groups are the limit groups of the operations: nil where no hold is on a group, or the policy cannot be
// read.
func (s *Service) groups(c *connections.Connection, holds []VendorHold) map[string]string {
	if !slices.ContainsFunc(holds, func(h VendorHold) bool { return h.Group != "" }) {
		return nil
	}
	operations, err := s.operations(*c)
	if err != nil {
		return nil
	}
	out := map[string]string{}
	for _, o := range operations {
		out[o.id] = o.group
	}
	return out
}

// Counts are what the breaker of a connection judges by now; false when no call has asked it. It reads memory
// only, and checks no permission: it is for who may see the connection.
func (s *Service) Counts(connectionID string) (breaker.Counts, bool) {
	snap, called := s.deps.Breakers.Snapshot(breaker.Key{Connection: connectionID})
	return snap.Counts, called
}
