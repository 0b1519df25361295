package console

import (
	"net/http"
	"slices"
	"strconv"
	"time"

	"switchgear/internal/breakers"
	"switchgear/internal/calls"
	"switchgear/internal/connections"
	"switchgear/internal/runtime"
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
	series, err := p.Calls.Series(r.Context(), calls.RollupQuery{Connection: c.ID, From: now.Add(-whole), To: now, Step: step})
	if err != nil {
		return view, err
	}
	for _, point := range series {
		out := connectionsview.CoursePoint{
			At: point.At, Answered: point.Outcomes[runtime.OutcomeSuccess], Rejected: point.Outcomes[runtime.OutcomeClientError],
			Held: point.Outcomes[runtime.OutcomeRejectedLocal], P50: point.P50, P95: point.P95, P99: point.P99,
		}
		out.Failed = point.Failed() - out.Held
		view.Points = append(view.Points, out)
	}
	if len(view.Points) == 0 {
		return view, nil
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
		note(v.CreatedAt, "v"+strconv.Itoa(v.Version)+" ("+v.Cause+") by "+v.AuthorName)
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

// mostNotes bounds what is told of one point.
const mostNotes = 4
