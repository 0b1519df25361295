package console

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"switchgear/internal/access"
	"switchgear/internal/breakers"
	"switchgear/internal/calls"
	"switchgear/internal/connections"
	"switchgear/internal/fault"
	"switchgear/internal/health"
	"switchgear/internal/runtime"
	"switchgear/internal/runtime/breaker"
	breakersview "switchgear/web/templates/breakers"
	overviewview "switchgear/web/templates/overview"
)

const (
	// mostIncidents is how many sentences stand at the top; the others are in the list.
	mostIncidents = 8
	// lately is how long before an incident a change of the connection may be the cause of it.
	lately = 24 * time.Hour
)

// chosen selects the states that a choice of the page includes; nil includes all.
func chosen(choice string) func(health.State) bool {
	switch choice {
	case overviewview.ShowAttention:
		return health.State.Attention
	case overviewview.ShowNotSetUp:
		return func(s health.State) bool { return s == health.StateNotSetUp }
	case overviewview.ShowIdle:
		return func(s health.State) bool { return s == health.StateIdle }
	}
	return nil
}

// impactPart answers with the table of connections alone, as it is fetched again and again: what is computed
// and drawn for one visitor is good for all with the same rights until the next look at the connections.
func (p overviewPages) impactPart(w http.ResponseWriter, r *http.Request) error {
	board, err := p.Health.Board(actor(r))
	if err != nil {
		return err
	}
	q, role := r.URL.Query(), actor(r).Role
	number, limit := paging(q)
	key := strings.Join([]string{
		q.Get("show"), strconv.Itoa(number), strconv.Itoa(limit),
		strconv.FormatBool(role.Can(access.PermissionOperate)), strconv.FormatBool(role.Can(access.PermissionConfigure)),
	}, "|")
	return p.shared.serve(w, r, board, key, func() (component, error) {
		view, err := p.impact(r, board)
		return overviewview.Connections(view), err
	})
}

// impact is the table of connections by impact, with the incidents above it. The order comes from memory, so
// that only the rows of the page are looked at more closely, however many connections there are.
func (p overviewPages) impact(r *http.Request, board *health.Board) (overviewview.Impact, error) {
	q := r.URL.Query()
	view := overviewview.Impact{
		Now: p.Now(), Show: q.Get("show"), All: board.Len(), Attention: board.Attention(), Idle: board.States[health.StateIdle], NotSetUp: board.States[health.StateNotSetUp],
		NotClosed: board.NotClosed, Breakers: board.Breakers,
	}
	view.Number, view.Limit = paging(q)
	page, found := board.Page(chosen(view.Show), (view.Number-1)*view.Limit, view.Limit)
	view.Total = found
	total := p.Calls.Total(board.Has)
	view.Calls, view.Failed, view.Refused, view.P95 = int64(total.Calls), int64(total.Failed), int64(total.Refused), total.P95
	view.Points, view.FailedPoints, view.LatencyPoints = points(total.PerMinute[:]), points(total.FailedPerMinute[:]), course(total.Latency[:])
	ids := make([]string, len(page))
	for i := range page {
		ids[i] = page[i].ID
	}
	if err := p.Calls.Remember(r.Context(), ids...); err != nil {
		return view, err
	}
	for i := range page {
		view.Rows = append(view.Rows, p.impactRow(r, &page[i]))
	}
	worst, troubled := board.Incidents(mostIncidents)
	view.Troubled = troubled
	slugs := make([]string, len(worst))
	for i := range worst {
		slugs[i] = worst[i].Slug
	}
	alert, err := alertPages(p).about(r, slugs...)
	if err != nil {
		return view, err
	}
	for i := range worst {
		incident, err := p.incident(r, &worst[i])
		if err != nil {
			return view, err
		}
		incident.Alert = alert(incident.Slug, incident.Operation)
		view.Incidents = append(view.Incidents, incident)
	}
	return view, nil
}

func (p overviewPages) impactRow(r *http.Request, c *health.Item) overviewview.Row {
	traffic := p.Calls.Recent(c.ID)
	row := overviewview.Row{
		Slug: c.Slug, Name: c.Name, Kind: c.Kind, Auth: authLabel(c.AuthType), Version: c.Version,
		State: overviewview.State(c.Status.State), Why: c.Status.Why, Since: c.Status.Since, Until: c.Status.Until,
		Calls: int64(traffic.Calls), Failed: int64(traffic.Failed), Refused: int64(traffic.Refused), P50: traffic.P50, P95: traffic.P95, P99: traffic.P99,
		LastSuccess: traffic.LastSuccess, LastFailure: traffic.LastFailure, LastError: traffic.LastError,
	}
	if c.Status.State == health.StateNotSetUp && actor(r).Role.Can(access.PermissionConfigure) {
		row.Mend = mendNew(c)
	}
	row.Done, row.Items = p.badge(c.ID)
	row.Breaker, row.Operation = healthBreaker(&c.Status)
	if counts, ok := p.Breakers.Counts(c.ID); ok {
		row.Slow, row.Judged = counts.Slow, counts.Judged()
	}
	for m, n := range traffic.PerMinute {
		row.Minutes = append(row.Minutes, overviewview.Minute{Calls: n, Failed: traffic.FailedPerMinute[m], Refused: traffic.RefusedPerMinute[m]})
	}
	for i, s := range c.States {
		row.States = append(row.States, overviewview.State(s))
		row.Spans = append(row.Spans, overviewview.Span(c.Spans[i]))
	}
	state, ok := p.Protections.State(c.ID)
	if !ok {
		return row
	}
	row.Limit = breakerRow(breakers.Breaker{}, nil, state).Limit
	row.InFlight, row.MaxInFlight = state.Bulkhead.InFlight, state.Bulkhead.Limit
	row.Repeats, row.MostRepeats, row.Stale = state.Retries.Repeats, state.Retries.MostRepeats, state.Cache.Stale
	row.Pace, row.Quota = pace(state)
	return row
}

// pace says what slows calls down beyond the configured limits, and what the vendor says is left: of the
// scope where it is least.
func pace(state runtime.ProtectionState) (effective, quota string) {
	least := 2.0
	for _, scope := range state.Limits.Scopes {
		if c := scope.Configured; c.Per > 0 && scope.Effective < float64(c.Requests)/c.Per.Seconds() {
			effective = "effective " + strconv.FormatFloat(scope.Effective, 'g', 3, 64) + "/s"
		}
		for _, q := range scope.Quotas {
			if q.Limit <= 0 || q.Left < 0 {
				continue
			}
			if share := float64(q.Left) / float64(q.Limit); share < least {
				least, quota = share, strconv.FormatInt(q.Left, 10)+" of "+strconv.FormatInt(q.Limit, 10)+" left"
			}
		}
	}
	return effective, quota
}

// healthBreaker is the breaker that decided a status.
func healthBreaker(s *health.Status) (status *breakersview.Status, operation string) {
	b := s.Breaker
	if b == nil {
		return nil, ""
	}
	out := breakerStatus(breakers.Breaker{State: b.State, Snapshot: *b, Called: true}, false)
	return &out, b.Key.Operation
}

// incident is the sentence of a connection that stands still.
func (p overviewPages) incident(r *http.Request, c *health.Item) (overviewview.Incident, error) {
	role := actor(r).Role
	out := overviewview.Incident{
		Slug: c.Slug, Name: c.Name, State: overviewview.State(c.Status.State), Account: c.Status.Account, Why: c.Status.Why,
		Since: c.Status.Since, Until: c.Status.Until, Refused: c.Since.Refused + c.Since.Stale, Stale: c.Since.Stale, Lost: c.Since.Refused,
		More: max(0, c.Breakers-1), MayOperate: role.Can(access.PermissionOperate), MayConfigure: role.Can(access.PermissionConfigure),
	}
	if out.State == overviewview.StateCredential && out.MayConfigure {
		var err error
		if out.Mend, err = p.mend(r, c); err != nil {
			return out, err
		}
	}
	out.Breaker, out.Operation = healthBreaker(&c.Status)
	if c.Since.Stale > 0 {
		if state, ok := p.Protections.State(c.ID); ok {
			out.Oldest = state.Cache.OldestStale
		}
	}
	if t := c.Trip; t != nil && (c.Status.Breaker.State == breaker.StateOpen || c.Status.Breaker.State == breaker.StateHalfOpen) {
		out.Failures, out.Judged, out.Window = t.Counts.Failures, t.Counts.Judged(), t.Window
		around, err := p.Calls.Totals(r.Context(), calls.RollupQuery{Connection: c.ID, From: t.At.Add(-t.Window), To: t.At.Add(time.Second)})
		if err != nil {
			return out, err
		}
		out.Outcomes = failures(around)
	}
	var err error
	if out.Changed, err = p.changedBefore(r, c); err != nil {
		return out, err
	}
	return out, nil
}

// failures are the outcomes that count against an upstream, the most frequent first.
func failures(f calls.Figures) []overviewview.Outcome {
	var out []overviewview.Outcome
	for o, n := range f.Outcomes {
		if rule, ok := o.Rule(); ok && rule.Breaker == runtime.VerdictFailure {
			out = append(out, overviewview.Outcome{Label: rule.Label, N: n})
		}
	}
	slices.SortFunc(out, func(a, b overviewview.Outcome) int {
		if a.N != b.N {
			return int(b.N - a.N)
		}
		return strings.Compare(a.Label, b.Label)
	})
	return out
}

// changedBefore is the last change of a connection before its incident, if there was one lately. What the
// incident itself is about, such as a pause, is none; nor is there one where a person made the breaker what it is.
func (p overviewPages) changedBefore(r *http.Request, c *health.Item) (*overviewview.Changed, error) {
	if c.Version < 2 || c.Status.Since.Sub(c.CreatedAt) < 0 || c.Status.Since.Sub(c.UpdatedAt) > lately || c.Status.Actor() != "" {
		return nil, nil //nolint:nilnil // No change is no error.
	}
	versions, err := p.Connections.Versions(r.Context(), actor(r), c.Slug)
	if fault.Is(err, fault.NotFound) { // deleted a moment ago
		return nil, nil //nolint:nilnil // As above.
	}
	if err != nil {
		return nil, err
	}
	for _, v := range versions {
		if v.CreatedAt.After(c.Status.Since) {
			continue
		}
		if v.Version < 2 || c.Status.Since.Sub(v.CreatedAt) > lately || v.Cause == connections.CausePause || v.Cause == connections.CauseResume {
			return nil, nil //nolint:nilnil // As above.
		}
		out := &overviewview.Changed{Version: v.Version, Author: v.AuthorName, At: v.CreatedAt}
		if v.Active {
			out.Before = v.Version - 1
		}
		return out, nil
	}
	return nil, nil //nolint:nilnil // As above.
}

// course are durations as the points of a line. A minute without calls has no latency: the line goes on as
// it was.
func course(durations []time.Duration) []float64 {
	out := make([]float64, len(durations))
	known := slices.IndexFunc(durations, func(d time.Duration) bool { return d > 0 })
	if known < 0 {
		return out
	}
	last := durations[known]
	for i, d := range durations {
		if d > 0 {
			last = d
		}
		out[i] = float64(last)
	}
	return out
}

// asksFor reports whether htmx asks for one part of a page, by the id of the part.
func asksFor(r *http.Request, region string) bool {
	return isFragment(r) && strings.TrimPrefix(r.Header.Get("HX-Target"), "#") == region
}
