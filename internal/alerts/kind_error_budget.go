package alerts

import (
	"context"
	"fmt"
	"time"

	"switchgear/internal/calls"
	"switchgear/internal/connections"
)

// errorBudget: too many calls of a window failed.
type errorBudget struct{}

// The parameters of an error budget.
const (
	paramWindow   = "window"
	paramShare    = "max_error_share"
	paramMinCalls = "min_calls"
)

func (errorBudget) Info() KindInfo {
	return KindInfo{
		ID: "error_budget", Title: "Error budget", Severity: SeverityWarning, Windowed: true,
		About: "Of the calls of a connection within a window, a larger share failed than is allowed.",
		Params: []Param{
			{Key: paramWindow, Label: "Window", Type: ParamDuration, Default: "1h", Min: 5 * time.Minute, Max: 24 * time.Hour, Help: "How far back calls are counted, in whole minutes."},
			{Key: paramShare, Label: "Failed calls allowed", Type: ParamPercent, Default: "5", Help: "In per cent. More than that is an alert."},
			{Key: paramMinCalls, Label: "At least so many calls", Type: ParamCount, Default: "50", Help: "With fewer calls in the window nothing is judged."},
		},
	}
}

func (errorBudget) Judge(ctx context.Context, f *Facts, p Params, in func(*connections.Connection) bool) ([]Condition, error) {
	window, share, fewest := p.Duration(paramWindow), p.Percent(paramShare), p.Count(paramMinCalls)
	var out []Condition
	for _, id := range f.Called {
		c := f.Connections[id]
		if c == nil || !in(c) {
			continue
		}
		// The minute under way is counted as far as it is stored.
		figures, err := f.Totals(ctx, calls.RollupQuery{Connection: id, From: f.Now.Add(-window), To: f.Now})
		if err != nil {
			return nil, err
		}
		failed := figures.Failed()
		if figures.Calls < fewest || float64(failed) <= share*float64(figures.Calls) {
			continue
		}
		out = append(out, Condition{Connection: c, Why: fmt.Sprintf("%d of %d calls in the last %s failed, %.1f %%; %s %% are allowed.",
			failed, figures.Calls, short(window), 100*float64(failed)/float64(figures.Calls), p[paramShare])})
	}
	return out, nil
}

// short writes a duration without what is zero: 1h in place of 1h0m0s.
func short(d time.Duration) string {
	switch {
	case d >= time.Hour && d%time.Hour == 0:
		return fmt.Sprintf("%dh", d/time.Hour)
	case d >= time.Minute && d%time.Minute == 0:
		return fmt.Sprintf("%dm", d/time.Minute)
	}
	return d.String()
}
