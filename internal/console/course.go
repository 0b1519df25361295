package console

import (
	"net/http"
	"slices"
	"strconv"
	"time"

	"switchgear/internal/breakers"
	"switchgear/internal/calls"
	"switchgear/internal/connections"
	"switchgear/internal/credentials"
	"switchgear/internal/health"
	"switchgear/internal/runtime"
	"switchgear/internal/runtime/breaker"
	"switchgear/internal/runtime/bulkhead"
	"switchgear/internal/runtime/ratelimit"
	breakersview "switchgear/web/templates/breakers"
	connectionsview "switchgear/web/templates/connections"
)

// span is how long a choice of the charts is, and how long a point of it.
func span(choice string) (whole, step time.Duration) {
	switch choice {
	case "15m":
		return 15 * time.Minute, time.Minute
	case "6h":
		return 6 * time.Hour, 5 * time.Minute
	case "24h":
		return 24 * time.Hour, 30 * time.Minute
	case "7d":
		return 7 * 24 * time.Hour, 3 * time.Hour
	case "30d":
		return 30 * 24 * time.Hour, 12 * time.Hour
	}
	return time.Hour, time.Minute
}

// course is the traffic of a connection over the time that is asked for, with what changed meanwhile.
func (p connectionPages) course(r *http.Request, c connections.Connection) (connectionsview.Course, error) {
	view := connectionsview.Course{Slug: c.Slug, Range: r.URL.Query().Get("range")}
	if !slices.Contains(connectionsview.Ranges(), view.Range) {
		view.Range = connectionsview.Ranges()[0]
	}
	whole, step := span(view.Range)
	now := p.Now()
	var err error
	if view.Operations, err = p.operations(r, c); err != nil {
		return view, err
	}
	if chosen := r.URL.Query().Get("operation"); slices.Contains(view.Operations, chosen) {
		view.Operation = chosen
	}
	series, err := p.Calls.Series(r.Context(), calls.RollupQuery{Connection: c.ID, Operation: view.Operation, From: now.Add(-whole), To: now, Step: step})
	if err != nil {
		return view, err
	}
	for _, point := range series {
		out := connectionsview.CoursePoint{
			At: point.At, Answered: point.Outcomes[runtime.OutcomeSuccess], Rejected: point.Outcomes[runtime.OutcomeClientError],
			Held: point.Outcomes[runtime.OutcomeRejectedLocal], P50: point.P50, P95: point.P95, P99: point.P99,
		}
		out.Failed = point.Failed() - out.Held
		out.Throttled, out.Waits = point.Outcomes[runtime.OutcomeThrottled], point.Waits
		if point.Waits > 0 {
			out.Waited = point.Waited / time.Duration(point.Waits)
		}
		out.Limited = point.Refused[ratelimit.CodeLimited] + point.Refused[ratelimit.CodeHeld]
		out.Full, out.Stopped = point.Refused[bulkhead.CodeFull], point.Refused[breaker.CodeOpen]
		view.Points = append(view.Points, out)
	}
	if len(view.Points) == 0 {
		return view, nil
	}
	if err := p.breakerShares(r, c, &view, step); err != nil {
		return view, err
	}
	note := func(at time.Time, text string) {
		i := int(at.Sub(view.Points[0].At) / step)
		if at.Before(view.Points[0].At) || i >= len(view.Points) || len(view.Points[i].Notes) > mostNotes {
			return
		}
		if len(view.Points[i].Notes) == mostNotes {
			text = "and more"
		}
		view.Points[i].Notes = append(view.Points[i].Notes, text)
	}
	versions, err := p.Connections.Versions(r.Context(), actor(r), c.Slug)
	if err != nil {
		return view, err
	}
	for _, v := range slices.Backward(versions) {
		what := v.Cause
		switch v.Cause {
		case connections.CauseCredential:
			what = "credential replaced"
		case connections.CauseRotationSwitch:
			what = "rotation: switched"
		case connections.CauseRotationRollback:
			what = "rotation: rolled back"
		}
		note(v.CreatedAt, "v"+strconv.Itoa(v.Version)+" ("+what+") by "+v.AuthorName)
	}
	if err := p.credentialNotes(r, c, view.Points[0].At, note); err != nil {
		return view, err
	}
	changes, err := p.Breakers.History(r.Context(), actor(r), breakers.HistoryQuery{Connection: c.Slug, From: view.Points[0].At, Limit: 200})
	if err != nil {
		return view, err
	}
	for _, change := range slices.Backward(changes.Changes) {
		e := &change.Event
		name := "breaker"
		if e.Key.Operation != "" {
			name += " of " + e.Key.Operation
		}
		note(e.At, name+" "+breakersview.StateWord(string(e.From))+" → "+breakersview.StateWord(string(e.To)))
	}
	return view, nil
}

// breakerShares tells for how much of each step the breaker kept calls back: that of the operation which is
// looked at, where it has one, and else that of the connection.
func (p connectionPages) breakerShares(r *http.Request, c connections.Connection, view *connectionsview.Course, step time.Duration) error {
	detail, err := p.Breakers.Get(r.Context(), actor(r), c.Slug)
	if err != nil {
		return err
	}
	b := detail.Connection
	for _, o := range detail.Operations {
		if view.Operation != "" && o.Operation == view.Operation {
			b, view.Breaker = o, o.Operation
		}
	}
	shares, err := p.Breakers.Shares(r.Context(), actor(r), b.Breaker, view.Points[0].At, step, len(view.Points))
	if err != nil {
		return err
	}
	for i, s := range shares {
		at := &view.Points[i]
		at.Open, at.HalfOpen, at.Unknown = s.Open, s.HalfOpen, s.Known == 0
	}
	return nil
}

// operations are those whose traffic can be looked at: of the policy, and those that were called.
func (p connectionPages) operations(r *http.Request, c connections.Connection) ([]string, error) {
	names, err := p.Calls.Operations(r.Context(), c.ID)
	if err != nil {
		return nil, err
	}
	if policy, err := p.Connections.EffectivePolicy(c); err == nil { // one that cannot be read is told elsewhere
		for _, o := range policy.Operations {
			names = append(names, o.ID)
		}
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}

// credentialNotes tell when the credential of an account was set last, and when it was not accepted and was
// again.
func (p connectionPages) credentialNotes(r *http.Request, c connections.Connection, from time.Time, note func(at time.Time, text string)) error {
	accounts, err := p.Connections.Accounts(r.Context(), actor(r), c.Slug)
	if err != nil {
		return err
	}
	for _, a := range accounts {
		if a.Account != credentials.DefaultAccount { // that of the default account makes a version
			note(a.UpdatedAt, "credential of the account "+a.Account+" set")
		}
	}
	for _, state := range []health.State{health.StateCredential, ""} {
		h, err := p.Health.History(r.Context(), actor(r), c.ID, health.HistoryQuery{State: state, From: from, Limit: 200})
		if err != nil {
			return err
		}
		for i := range h.Changes {
			switch change := &h.Changes[i]; {
			case state != "":
				note(change.At, "credential failed: "+change.Why)
			case change.From == health.StateCredential:
				note(change.At, "credential usable again")
			}
		}
	}
	return nil
}

// mostNotes bounds what is told of one point.
const mostNotes = 4
