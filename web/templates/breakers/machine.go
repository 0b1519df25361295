package breakers

import (
	"strings"
	"time"

	"github.com/a-h/templ"

	"switchgear/web/templates/ui"
)

// machine is the drawing of the states and what leads from one to the next.
func (b Breaker) machine(now time.Time) ui.Machine {
	s, t := b.Status, b.Thresholds
	at := s.automatic()
	closed := ui.MachineNode{Title: "Closed", Text: "calls pass", Tone: ui.ToneOK}
	open := ui.MachineNode{Title: "Open", Text: "calls are refused", Tone: ui.ToneBad}
	half := ui.MachineNode{Title: "Half-open", Text: count(int64(t.HalfOpenCalls), "probe"), Tone: ui.ToneWarn}
	mark := func(n *ui.MachineNode) { n.Current, n.Would = !s.overridden(), s.overridden() }
	switch at {
	case StateClosed:
		mark(&closed)
		if s.Admitted > 0 && s.Admitted < 1 {
			closed.Text = Percent(s.Admitted) + " admitted"
		}
	case StateHalfOpen:
		mark(&half)
		half.Text = number(s.Probes) + " of " + number(t.HalfOpenCalls) + " succeeded"
	case StateOpen, StateHeld:
		mark(&open)
		if at == StateHeld {
			open.Title, open.Tone = "Held", ui.ToneHeld
		}
		switch {
		case s.overridden():
			open.Text = "would refuse calls"
		case s.Until.After(now):
			open.Text, open.Until, open.Now = "next probe in ", s.Until, now
		default:
			open.Text = "next call is a probe"
		}
	}
	m := ui.Machine{
		Nodes:   [3]ui.MachineNode{closed, open, half},
		Forward: [2]string{"≥ " + Percent(t.FailureRatio) + " fail", "after " + Span(t.OpenFor)},
		Back:    "any failure", Return: number(t.HalfOpenCalls) + " successes",
		Label: "States of the breaker: closed, open, half-open. It is " + stateInText(s.State) + ".",
	}
	if s.overridden() {
		m.Label += " Without the override it would be " + stateInText(at) + "."
	}
	return m
}

// gauge compares what was counted with every threshold.
func (b Breaker) gauge() []ui.MeterLine {
	t, judged := b.Thresholds, b.Successes+b.Failures
	out := []ui.MeterLine{
		{
			Label: "Judged calls", Value: float64(judged), Max: max(float64(judged), 1.25*float64(t.MinCalls)), Mark: float64(t.MinCalls), Tone: ui.ToneAccent,
			Text: ui.Thousands(int64(judged)) + " of " + ui.Thousands(int64(t.MinCalls)) + " minimum",
		},
		share("Failures", ratio(b.Failures, judged), t.FailureRatio),
	}
	if t.InARow > 0 {
		out = append(out, ui.MeterLine{
			Label: "Failures in a row", Value: float64(b.InARow), Max: max(float64(b.InARow), 1.25*float64(t.InARow)), Mark: float64(t.InARow),
			Text: number(b.InARow) + " of " + number(t.InARow),
		})
	}
	if t.SlowRatio > 0 {
		out = append(out, share("Slow calls", ratio(b.Slow, judged), t.SlowRatio))
	}
	return out
}

func share(label string, value, threshold float64) ui.MeterLine {
	return ui.MeterLine{Label: label, Value: value, Max: 1, Mark: threshold, Text: Percent(value) + " of " + Percent(threshold)}
}

// counts is what the gauge leaves out.
func (b Breaker) counts() string {
	parts := []string{ui.Thousands(int64(b.Successes)) + " succeeded", ui.Thousands(int64(b.Failures)) + " failed"}
	if b.Slow > 0 {
		parts = append(parts, ui.Thousands(int64(b.Slow))+" slow")
	}
	if b.Excluded > 0 {
		parts = append(parts, ui.Thousands(int64(b.Excluded))+" that say nothing about the upstream")
	}
	text := "In the last " + Span(b.Thresholds.Window) + ": " + strings.Join(parts, ", ") + "."
	if b.Successes+b.Failures > 0 {
		text += " A call that is tried again counts each time."
	}
	if b.Reopened > 0 {
		text += " Recovery failed " + count(int64(b.Reopened), "time") + "."
	}
	if b.OpenTotal >= time.Second {
		text += " No call passed for " + Span(b.OpenTotal.Truncate(time.Second)) + " in all."
	}
	return text
}

// actions are the commands that would change something in the state it is in.
func (v TabView) actions() templ.Component {
	if !v.CanOperate {
		return ui.Muted("Commands are for operators and above.")
	}
	verbs := v.Breaker.Status.commands()
	out := make([]templ.Component, len(verbs))
	for i, verb := range verbs {
		b := ui.Button{Label: verb.Label() + "…", Href: v.command(verb).address(), Opens: dialog(verb)}
		switch {
		case i == 0 && (verb == VerbProbe || verb == VerbAuto):
			b.Kind = ui.ButtonPrimary
		case verb == VerbReset:
			b.Kind = ui.ButtonDanger
		}
		out[i] = b
	}
	return ui.Actions(out...)
}

// commands lists what can be done: first the way back to normal, if it is not.
func (s Status) commands() []Verb {
	var out []Verb
	forced := s.State == StateForcedOpen || s.State == StateForcedClosed
	if s.overridden() {
		out = append(out, VerbAuto)
	}
	if !forced {
		switch s.automatic() {
		case StateOpen, StateHeld:
			out = append(out, VerbProbe)
		case StateHalfOpen:
			out = append(out, VerbProbe, VerbTrip)
		case StateClosed:
			out = append(out, VerbTrip)
		}
	}
	return append(out, VerbForceOpen, VerbForceClosed, VerbHold, VerbObserve, VerbReset)
}

func dialog(verb Verb) string { return "d-breaker-" + string(verb) }
