package console

import (
	"cmp"
	"net/http"
	"slices"
	"strings"
	"time"

	"switchgear/internal/calls"
	"switchgear/internal/connections"
	"switchgear/internal/fault"
	overviewview "switchgear/web/templates/overview"
)

// impact is one connection with what decides its place.
type impact struct {
	connections.Standing
	calls.Weight
}

// attention reports whether somebody should look at the connection. A paused one was stopped on purpose.
func (i impact) attention() bool {
	return i.State != connections.StatePaused && (i.Failed > 0 || i.Problem != nil)
}

func (i impact) idle() bool {
	return i.Calls == 0 && !i.attention() && i.State != connections.StatePaused
}

// ranked reports whether the connection has a place by its impact; the others are in the order of names.
func (i impact) ranked() bool { return i.Calls > 0 || i.attention() }

// shown reports whether a choice of the page includes the connection.
func (i impact) shown(choice string) bool {
	switch choice {
	case overviewview.ShowAttention:
		return i.attention()
	case overviewview.ShowIdle:
		return i.idle()
	}
	return true
}

// byImpact puts what needs attention first: the most failing calls, then the most traffic.
func byImpact(a, b impact) int {
	rank := func(i impact) int {
		if i.attention() {
			return 0
		}
		return 1
	}
	return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(b.Failed, a.Failed), cmp.Compare(b.Calls, a.Calls))
}

// impact is the table of connections by impact. The order comes from memory, so that only the rows of the
// page are looked at more closely, however many connections there are.
func (p overviewPages) impact(r *http.Request) (overviewview.Impact, error) {
	q := r.URL.Query()
	view := overviewview.Impact{Now: p.Now(), Show: q.Get("show")}
	view.Number, view.Limit = paging(q)
	all, err := p.Connections.Standings(actor(r))
	if err != nil {
		return view, err
	}
	weights := p.Calls.Weights()
	var first []impact // the few that have a place of their own; the others follow by name
	for _, s := range all {
		i := impact{s, weights[s.ID]}
		view.All++
		if i.attention() {
			view.Attention++
		}
		if i.idle() {
			view.Idle++
		}
		if i.shown(view.Show) {
			view.Total++
			if i.ranked() {
				first = append(first, i)
			}
		}
	}
	slices.SortStableFunc(first, byImpact)
	from := min((view.Number-1)*view.Limit, view.Total)
	page := slices.Clone(first[min(from, len(first)):min(from+view.Limit, len(first))])
	skip := max(0, from-len(first))
	for _, s := range all {
		if len(page) == min(view.Limit, view.Total-from) {
			break
		}
		i := impact{s, weights[s.ID]}
		if i.ranked() || !i.shown(view.Show) {
			continue
		}
		if skip--; skip < 0 {
			page = append(page, i)
		}
	}
	total := p.Calls.Total()
	view.Calls, view.Failed, view.P95 = int64(total.Calls), int64(total.Failed), total.P95
	view.Points, view.FailedPoints, view.LatencyPoints = points(total.PerMinute[:]), points(total.FailedPerMinute[:]), course(total.Latency[:])
	view.Rows, err = p.impactRows(r, page)
	return view, err
}

func (p overviewPages) impactRows(r *http.Request, page []impact) ([]overviewview.Row, error) {
	ids := make([]string, len(page))
	for i, c := range page {
		ids[i] = c.ID
	}
	if err := p.Calls.Remember(r.Context(), ids...); err != nil {
		return nil, err
	}
	rows := make([]overviewview.Row, len(page))
	for i, c := range page {
		traffic := p.Calls.Recent(c.ID)
		row := overviewview.Row{
			Slug: c.Slug, Name: c.Name, Kind: c.Kind, Auth: authLabel(c.AuthType), Version: c.Version, Paused: c.State == connections.StatePaused,
			Calls: int64(traffic.Calls), Failed: int64(traffic.Failed), P50: traffic.P50, P95: traffic.P95, Latency: course(traffic.Latency[:]),
			LastSuccess: traffic.LastSuccess, LastFailure: traffic.LastFailure, LastError: traffic.LastError,
		}
		for m, n := range traffic.PerMinute {
			row.Minutes = append(row.Minutes, overviewview.Minute{Calls: n, Failed: traffic.FailedPerMinute[m]})
		}
		if c.Problem != nil {
			row.Problem, row.Credential = fault.PublicMessage(c.Problem), c.Account != ""
			if c.Account != "" {
				row.Problem = "Account " + c.Account + ": " + row.Problem
			}
		}
		rows[i] = row
	}
	return rows, nil
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
