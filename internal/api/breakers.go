package api

import (
	"context"
	"net/http"
	"time"

	"switchgear/internal/access"
	"switchgear/internal/breakers"
	"switchgear/internal/fault"
	"switchgear/internal/runtime/breaker"
)

// circuitBreakers shows and commands breakers; *breakers.Service is one.
type circuitBreakers interface {
	List(ctx context.Context, a access.Actor, q breakers.Query) (breakers.Page, error)
	Get(ctx context.Context, a access.Actor, slug string) (breakers.Detail, error)
	Command(ctx context.Context, a access.Actor, slug, operation string, verb breakers.Verb, o breakers.Order) (breakers.Done, error)
	History(ctx context.Context, a access.Actor, q breakers.HistoryQuery) (breakers.History, error)
}

// Breaker is the circuit breaker of a connection, or of an operation of it.
type Breaker struct {
	Connection string `json:"connection" example:"stripe"`
	Operation  string `json:"operation,omitempty" doc:"Left out: the breaker of the connection."`
	State      string `json:"state" enum:"closed,open,half_open,forced_open,forced_closed,observe,held" doc:"What calls meet; held also when it is the vendor who asked for a pause."`
	Mode       string `json:"mode" enum:"auto,forced_open,forced_closed,observe" doc:"Who decides: the breaker, or an override."`
	WouldBe    string `json:"would_be" enum:"closed,open,half_open,held" doc:"What the state would be without an override."`
	Why        string `json:"why" doc:"Why calls pass or do not, in words."`
	Called     bool   `json:"called" doc:"False while no call has asked the breaker."`
	// Times that are not known are left out.
	Since         time.Time          `json:"since,omitzero" doc:"When the state began."`
	NextProbe     time.Time          `json:"next_probe_at,omitzero" doc:"When calls are tried again."`
	Override      *BreakerLease      `json:"override,omitempty"`
	Hold          *BreakerLease      `json:"hold,omitempty"`
	VendorHolds   []BreakerHold      `json:"vendor_holds" nullable:"false" doc:"Pauses that the vendor asked for."`
	Counts        breaker.Counts     `json:"counts" doc:"Calls within the window of the breaker."`
	FailureRatio  float64            `json:"failure_ratio"`
	SlowRatio     float64            `json:"slow_ratio"`
	AdmittedShare float64            `json:"admitted_share" doc:"Below 1 while calls come back after a recovery."`
	Refused       int                `json:"refused" doc:"Calls that were refused since the state began."`
	Reopens       int                `json:"reopens" doc:"Failed recoveries since it was closed last."`
	LastCommand   *BreakerAfterwards `json:"last_command,omitempty" doc:"The last command since the start, and what became of the calls after it."`
}

// BreakerLease is an intervention with its end.
type BreakerLease struct {
	Reason string    `json:"reason"`
	Actor  string    `json:"actor,omitempty" doc:"Left out: the upstream asked for it."`
	Since  time.Time `json:"since"`
	Until  time.Time `json:"until,omitzero" doc:"Left out: until somebody takes it back."`
}

// BreakerHold is a pause that the vendor asked for.
type BreakerHold struct {
	Reason  string    `json:"reason"`
	Since   time.Time `json:"since"`
	Until   time.Time `json:"until"`
	Account string    `json:"account,omitempty" doc:"Whose calls wait; left out: everybody's."`
	Group   string    `json:"group,omitempty" doc:"The group of limits whose calls wait; left out: all."`
}

// BreakerAfterwards tells whether a command worked.
type BreakerAfterwards struct {
	Command  string         `json:"command" example:"reset"`
	Actor    string         `json:"actor"`
	Reason   string         `json:"reason"`
	At       time.Time      `json:"at"`
	Calls    int            `json:"calls" doc:"Calls that began after the command, as far as they are counted."`
	Of       int            `json:"of" doc:"How many are counted."`
	Refused  int            `json:"refused"`
	Failed   int            `json:"failed"`
	Outcomes map[string]int `json:"outcomes" example:"{\"success\":20}"`
}

// BreakersOfConnection are the breaker of a connection and those of its operations.
type BreakersOfConnection struct {
	Breaker

	Operations []Breaker `json:"operations" nullable:"false"`
}

// BreakerCommand says why somebody gives a command, and for how long.
type BreakerCommand struct {
	Reason    string    `json:"reason,omitempty" doc:"Required: for the history and the audit log; at most 500 bytes."`
	For       string    `json:"for,omitempty" example:"30m" doc:"How long it lasts, 24h at most. Forced modes and holds last 30m when neither this nor until is given; reset, auto and probe do not last."`
	Until     time.Time `json:"until,omitzero" example:"2026-01-31T18:00:00Z" doc:"When it ends, instead of for: at most 24 hours ahead."`
	Operation string    `json:"operation,omitempty" doc:"The id of an operation; left out: the breaker of the connection."`
}

func (c *BreakerCommand) order() (breakers.Order, error) {
	o := breakers.Order{Reason: c.Reason, Until: c.Until}
	if c.For == "" {
		return o, nil
	}
	var err error
	if o.For, err = time.ParseDuration(c.For); err != nil || o.For <= 0 {
		return o, fault.Field("INVALID_END", "for", "It must be a duration such as 90s, 30m or 1h30m.").WithValue(clip(c.For))
	}
	return o, nil
}

// BreakerCommanded is what a command led to.
type BreakerCommanded struct {
	Breaker Breaker `json:"breaker"`
	// Consequence is for people: a program reads the state.
	Consequence string        `json:"consequence" doc:"What was ordered, in words."`
	Probe       *BreakerProbe `json:"probe,omitempty" doc:"The request that a probe has sent."`
}

// BreakerProbe is a request to the health path of a connection.
type BreakerProbe struct {
	RequestID  string  `json:"request_id,omitempty"`
	Method     string  `json:"method,omitempty"`
	Path       string  `json:"path,omitempty"`
	Status     int     `json:"status" doc:"0 without an answer."`
	Outcome    string  `json:"outcome,omitempty" example:"success"`
	DurationMS float64 `json:"duration_ms"`
	Error      string  `json:"error,omitempty" doc:"Why nothing was sent, or there was no answer."`
}

// BreakerChange is one change of a breaker.
type BreakerChange struct {
	At          time.Time      `json:"at"`
	Operation   string         `json:"operation,omitempty" doc:"Left out: the breaker of the connection."`
	From        string         `json:"from"`
	To          string         `json:"to"`
	Mode        string         `json:"mode"`
	Cause       string         `json:"cause" enum:"auto,manual,hold,reset,config,watchdog,lease_expired,drill,restore"`
	Actor       string         `json:"actor,omitempty"`
	Reason      string         `json:"reason"`
	Counts      breaker.Counts `json:"counts" doc:"What it was judged by."`
	LastOutcome string         `json:"last_outcome,omitempty"`
	Requests    []string       `json:"requests" nullable:"false" doc:"Calls that failed last."`
	Until       time.Time      `json:"next_probe_at,omitzero"`
	LeaseUntil  time.Time      `json:"override_until,omitzero"`
	Version     int            `json:"version" doc:"Of the connection; 0 when it is not known."`
	Number      uint64         `json:"number" doc:"Changes of a breaker are numbered; a gap means that one is lost."`
}

func breakerOf(b breakers.Breaker) Breaker {
	s := b.Snapshot
	out := Breaker{
		Connection: b.Connection, Operation: b.Operation, State: string(b.State), Mode: string(s.Mode), WouldBe: string(s.WouldBe), Why: b.Why,
		Called: b.Called, Since: s.Since.UTC(), NextProbe: s.Until.UTC(), Override: leaseOf(s.Lease), Hold: leaseOf(s.Hold), Counts: s.Counts,
		FailureRatio: s.Counts.FailureRatio(), SlowRatio: s.Counts.SlowRatio(), AdmittedShare: s.RampShare, Refused: s.Refused, Reopens: s.Reopens,
	}
	out.VendorHolds = each(b.Vendor, func(h breakers.VendorHold) BreakerHold {
		return BreakerHold{Reason: h.Reason, Since: h.Since.UTC(), Until: h.Until.UTC(), Account: h.Account, Group: h.Group}
	})
	return out
}

func leaseOf(l breaker.Lease) *BreakerLease {
	if l == (breaker.Lease{}) {
		return nil
	}
	return &BreakerLease{Reason: l.Reason, Actor: l.Actor, Since: l.Since.UTC(), Until: l.Until.UTC()}
}

func shownBreaker(s breakers.Shown) Breaker {
	out := breakerOf(s.Breaker)
	if w := s.Watch; w != nil {
		out.LastCommand = &BreakerAfterwards{
			Command: string(w.Given.Verb), Actor: w.Given.Actor, Reason: w.Given.Reason, At: w.Given.At.UTC(),
			Calls: w.Calls, Of: w.Of, Refused: w.Refused, Failed: w.Failed, Outcomes: map[string]int{},
		}
		for o, n := range w.Outcomes {
			out.LastCommand.Outcomes[string(o)] = n
		}
	}
	return out
}

func breakerChangeOf(c breakers.Change) BreakerChange {
	e := c.Event
	out := BreakerChange{
		At: e.At.UTC(), Operation: e.Key.Operation, From: string(e.From), To: string(e.To), Mode: string(e.Mode), Cause: string(e.Cause),
		Actor: e.Actor, Reason: e.Reason, Counts: e.Counts, LastOutcome: e.LastOutcome, Requests: e.Samples,
		Until: e.Until.UTC(), LeaseUntil: e.LeaseUntil.UTC(), Version: c.Version, Number: e.Seq,
	}
	if out.Requests == nil {
		out.Requests = []string{}
	}
	return out
}

type listBreakers struct {
	Paging

	Connection string `query:"filter[connection]" doc:"The slug of a connection."`
	State      string `query:"filter[state]" doc:"closed, open, half_open, forced_open, forced_closed, observe or held."`
}

type breakerList struct {
	Body struct {
		Data []Breaker `json:"data" nullable:"false"`
		Meta Meta      `json:"meta"`
	}
}

type breakerHistory struct {
	BySlug
	Paging

	Operation string    `query:"filter[operation]" doc:"The id of an operation."`
	Cause     string    `query:"filter[cause]" doc:"auto, manual, hold, reset, config, watchdog, lease_expired, drill or restore."`
	From      time.Time `query:"filter[from]" doc:"Changes at that time or later."`
	To        time.Time `query:"filter[to]" doc:"Changes before that time."`
}

type breakerChanges struct {
	Body struct {
		Data []BreakerChange `json:"data" nullable:"false"`
		Meta Meta            `json:"meta"`
	}
}

// breakerRoutes serve circuit breakers.
func (v *version) breakerRoutes() {
	const tag = "Breakers"
	register(v, route{
		method: http.MethodGet, path: "/breakers", id: "list-breakers", tag: tag, summary: "List breakers",
		description: "Those of all connections, and of the operations that were called. Sorted by connection, operation, state or since.",
	}, v.listBreakers)
	register(v, route{
		method: http.MethodGet, path: "/connections/{slug}/breaker", id: "get-breaker", tag: tag, summary: "Read the breakers of a connection and its operations",
	}, func(ctx context.Context, in *struct{ BySlug }) (*struct{ Body BreakersOfConnection }, error) {
		d, err := v.deps.Breakers.Get(ctx, actor(ctx), in.Slug)
		return &struct{ Body BreakersOfConnection }{BreakersOfConnection{shownBreaker(d.Connection), each(d.Operations, shownBreaker)}}, err
	})
	for _, c := range []struct {
		verb                 breakers.Verb
		summary, description string
	}{
		{breakers.Trip, "Open a breaker now", "It recovers by itself: after its open time, or the given one."},
		{breakers.Reset, "Close a breaker and forget what was counted", "An override stays in force."},
		{breakers.ForceOpen, "Refuse every call for a time", ""},
		{breakers.ForceClosed, "Let every call pass for a time", "Nothing holds calls back then from an upstream that is down."},
		{breakers.Observe, "Let every call pass and count what would be refused", "Until somebody takes it back, unless a time is given."},
		{breakers.Auto, "Take an override back", ""},
		{breakers.Hold, "Refuse every call for a time, then probe", ""},
		{breakers.Probe, "Probe a breaker now that is open, held or half-open", "The next calls go out as probes, and one request is sent to the health path as one of them."},
	} {
		register(v, route{
			method: http.MethodPost, path: "/connections/{slug}/breaker/" + string(c.verb), id: string(c.verb) + "-breaker", tag: tag,
			summary: c.summary, description: c.description,
		}, func(ctx context.Context, in *struct {
			BySlug

			Body BreakerCommand
		},
		) (*struct{ Body BreakerCommanded }, error) {
			return v.commandBreaker(ctx, in.Slug, c.verb, in.Body)
		})
	}
	register(v, route{
		method: http.MethodGet, path: "/connections/{slug}/breaker/history", id: "list-breaker-changes", tag: tag, summary: "List the changes of a connection's breakers",
		description: "The newest first; at is the one field to sort by. A change appears a moment after it happened, and is kept for 90 days.",
	}, v.breakerHistory)
}

func (v *version) listBreakers(ctx context.Context, in *listBreakers) (*breakerList, error) {
	if err := checkSort(in.Sort, breakers.Sorts()...); err != nil {
		return nil, err
	}
	states := each(breaker.States(), func(s breaker.State) string { return string(s) })
	if err := oneOf("filter[state]", in.State, states); err != nil {
		return nil, err
	}
	page, err := v.deps.Breakers.List(ctx, actor(ctx), breakers.Query{
		Connection: in.Connection, State: in.State, Sort: in.Sort, Page: in.Page, Limit: in.Limit,
	})
	if err != nil {
		return nil, err
	}
	out := &breakerList{}
	out.Body.Meta, out.Body.Data = in.meta(page.Total), each(page.Breakers, breakerOf)
	return out, nil
}

func (v *version) commandBreaker(ctx context.Context, slug string, verb breakers.Verb, c BreakerCommand) (*struct{ Body BreakerCommanded }, error) {
	order, err := c.order()
	if err != nil {
		return nil, err
	}
	done, err := v.deps.Breakers.Command(ctx, actor(ctx), slug, c.Operation, verb, order)
	if err != nil {
		return nil, err
	}
	out := &struct{ Body BreakerCommanded }{BreakerCommanded{Breaker: breakerOf(done.Breaker), Consequence: done.Consequence}}
	if p := done.Probe; p != nil {
		out.Body.Probe = &BreakerProbe{
			RequestID: p.RequestID, Method: p.Method, Path: p.Path, Status: p.Status, Outcome: string(p.Outcome), DurationMS: milliseconds(p.Duration), Error: p.Error,
		}
	}
	return out, nil
}

func (v *version) breakerHistory(ctx context.Context, in *breakerHistory) (*breakerChanges, error) {
	if err := checkSort(in.Sort, "at"); err != nil {
		return nil, err
	}
	if err := oneOf("filter[cause]", in.Cause, breakers.Causes()); err != nil {
		return nil, err
	}
	if !in.From.IsZero() && !in.To.IsZero() && in.To.Before(in.From) {
		return nil, fault.Field("INVALID_PARAMETER", "filter[to]", "The end lies before the beginning.")
	}
	h, err := v.deps.Breakers.History(ctx, actor(ctx), breakers.HistoryQuery{
		Connection: in.Slug, Operation: in.Operation, Cause: in.Cause, From: in.From, To: in.To, Page: in.Page, Limit: in.Limit, Oldest: in.Sort == "at",
	})
	if err != nil {
		return nil, err
	}
	out := &breakerChanges{}
	out.Body.Meta, out.Body.Data = in.meta(h.Total), each(h.Changes, breakerChangeOf)
	return out, nil
}
