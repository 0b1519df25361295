package breakers

import (
	"time"

	"github.com/a-h/templ"

	"switchgear/web/templates/ui"
)

// row is a breaker as a row of a table; title and sub name it there.
func (r Row) row(now time.Time, title, sub string) ui.Row {
	return ui.Row{
		ID: r.Slug + "-" + r.Operation, Tone: r.edge(), Cells: []templ.Component{
			ui.Name(title, r.href(), sub), r.Status.Chip(now), ui.RelTime(r.Status.Since, now), r.past(), r.failed(), r.refused(), r.limit(), r.inFlight(), r.open(now),
		},
	}
}

// edge marks what keeps calls back.
func (r Row) edge() ui.Tone {
	if passes(r.Status.State) {
		return ui.ToneNone
	}
	return tone(r.Status.State)
}

func (r Row) href() string { return ui.URL(Address(r.Slug), "operation", r.Operation) }

func (r Row) failed() templ.Component {
	if r.Judged == 0 {
		return ui.Muted("no calls in " + Span(r.Window))
	}
	t := ui.ToneAccent
	if r.Failures > 0 {
		t = ui.ToneWarn
	}
	if r.Failures*2 >= r.Judged {
		t = ui.ToneBad
	}
	return ui.Meter{
		Value: float64(r.Failures), Max: float64(r.Judged), Label: "Failed calls", Tone: t,
		Text: ui.Thousands(int64(r.Failures)) + " of " + ui.Thousands(int64(r.Judged)) + " · " + Percent(ratio(r.Failures, r.Judged)),
	}
}

// refused is how many calls were rejected; none is no news.
func (r Row) refused() templ.Component {
	if r.Refused == 0 {
		return ui.Text("")
	}
	return ui.Number(r.Refused)
}

func (r Row) limit() templ.Component {
	if r.Limit.Label == "" {
		return ui.Text("")
	}
	return ui.Meter{Value: r.Limit.Value, Max: r.Limit.Max, Label: r.Limit.Label, Text: r.Limit.Text}
}

func (r Row) inFlight() templ.Component {
	if r.MaxInFlight == 0 {
		return ui.Number(int64(r.InFlight))
	}
	return ui.Meter{
		Value: float64(r.InFlight), Max: float64(r.MaxInFlight), Label: "Calls under way",
		Text: ui.Thousands(int64(r.InFlight)) + " of " + ui.Thousands(int64(r.MaxInFlight)),
	}
}
