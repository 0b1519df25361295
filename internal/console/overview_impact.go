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

// impact is one connection with what decides its place. It is small, as there are many to put in order.
type impact struct {
	calls.Weight

	place     int // by name
	attention bool
	paused    bool
}

// impactOf weighs a connection. A paused one needs no attention: it was stopped on purpose.
func impactOf(s connections.Standing, place int, w calls.Weight) impact {
	i := impact{Weight: w, place: place, paused: s.State == connections.StatePaused}
	i.attention = !i.paused && (w.Failed > 0 || s.Problem != nil)
	return i
}

func (i impact) idle() bool { return i.Calls == 0 && !i.attention && !i.paused }

// ranked reports whether the connection has a place by its impact; the others are in the order of names.
func (i impact) ranked() bool { return i.Calls > 0 || i.attention }

// shown reports whether a choice of the page includes the connection.
func (i impact) shown(choice string) bool {
	switch choice {
	case overviewview.ShowAttention:
		return i.attention
	case overviewview.ShowIdle:
		return i.idle()
	}
	return true
}

// byImpact puts what needs attention first: the most failing calls, then the most traffic, then the name.
func byImpact(a, b impact) int {
	if a.attention != b.attention {
		if a.attention {
			return -1
		}
		return 1
	}
	return cmp.Or(cmp.Compare(b.Failed, a.Failed), cmp.Compare(b.Calls, a.Calls), cmp.Compare(a.place, b.place))
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
	view.All = len(all)
	weight := p.Calls.Weights()
	var first, rest []impact
	for place, s := range all {
		i := impactOf(s, place, weight(s.ID))
		if i.attention {
			view.Attention++
		}
		if i.idle() {
			view.Idle++
		}
		switch {
		case !i.shown(view.Show):
		case i.ranked():
			first = append(first, i)
		default:
			rest = append(rest, i)
		}
	}
	slices.SortFunc(first, byImpact)
	view.Total = len(first) + len(rest)
	from := min((view.Number-1)*view.Limit, view.Total)
	page := slices.Concat(first, rest)[from:min(from+view.Limit, view.Total)]
	total := p.Calls.Total()
	view.Calls, view.Failed, view.P95 = int64(total.Calls), int64(total.Failed), total.P95
	view.Points, view.FailedPoints, view.LatencyPoints = points(total.PerMinute[:]), points(total.FailedPerMinute[:]), course(total.Latency[:])
	view.Rows, err = p.impactRows(r, all, page)
	return view, err
}

func (p overviewPages) impactRows(r *http.Request, all []connections.Standing, page []impact) ([]overviewview.Row, error) {
	ids := make([]string, len(page))
	for i, c := range page {
		ids[i] = all[c.place].ID
	}
	if err := p.Calls.Remember(r.Context(), ids...); err != nil {
		return nil, err
	}
	rows := make([]overviewview.Row, len(page))
	for i, at := range page {
		c := all[at.place]
		traffic := p.Calls.Recent(c.ID)
		row := overviewview.Row{
			Slug: c.Slug, Name: c.Name, Kind: c.Kind, Auth: authLabel(c.AuthType), Version: c.Version, Paused: c.State == connections.StatePaused,
			Calls: int64(traffic.Calls), Failed: int64(traffic.Failed), P50: traffic.P50, P95: traffic.P95, Latency: course(traffic.Latency[:]),
			LastSuccess: traffic.LastSuccess, LastFailure: traffic.LastFailure, LastError: traffic.LastError,
		}
		row.Done, row.Items = p.badge(c.ID)
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
