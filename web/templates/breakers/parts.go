package breakers

import (
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/a-h/templ"

	"switchgear/web/templates/ui"
)

// Address is the tab of a connection's breakers, or a command of it.
func Address(slug string, parts ...string) string {
	return strings.Join(append([]string{"/connections/" + slug + "/breaker"}, parts...), "/")
}

// Chip is the sign of a breaker's state: an icon, the word, and what comes next.
func (s Status) Chip(now time.Time) ui.Chip {
	c := ui.Chip{Label: StateWord(s.State), Tone: tone(s.State), Icon: icon(s.State)}
	switch s.State {
	case StateClosed:
		switch {
		case s.Off:
			return ui.Chip{Label: "Off", Tone: ui.ToneIdle, Title: "The policy switches the breaker off: calls pass whatever happens."}
		case s.Admitted > 0 && s.Admitted < 1:
			c.Label, c.Tone = "Closed · "+Percent(s.Admitted)+" admitted", ui.ToneWarn
			c.Title = "It recovered a moment ago. The share of calls that pass grows to all of them."
		case s.Quiet:
			c.Label, c.Tone, c.Icon = "Closed · no calls", ui.ToneIdle, "minus"
			c.Title = "No call was judged within its window, so nothing is known of the upstream."
		}
	case StateOpen, StateHeld:
		if s.Until.After(now) {
			c.Label, c.More = c.Label+" · probe in", ui.Countdown(s.Until, now)
		} else {
			c.Label += " · next call is a probe"
		}
	case StateHalfOpen:
		c.Label += " · " + strconv.Itoa(s.Probes) + " of " + strconv.Itoa(s.ProbesWanted) + " probes"
	case StateForcedOpen, StateForcedClosed:
		c.Label, c.More = c.Label+" · ends in", ui.Countdown(s.Until, now)
	case StateObserve:
		c.Label += " · would be " + stateInText(s.WouldBe)
		if s.WouldBe == StateOpen || s.WouldBe == StateHeld {
			c.Tone = ui.ToneWarn
		}
	}
	return c
}

// StateWord is the name of a state, as a title.
func StateWord(state string) string {
	switch state {
	case StateClosed:
		return "Closed"
	case StateOpen:
		return "Open"
	case StateHalfOpen:
		return "Half-open"
	case StateHeld:
		return "Held"
	case StateForcedOpen:
		return "Forced open"
	case StateForcedClosed:
		return "Forced closed"
	case StateObserve:
		return "Observing"
	}
	return state
}

// stateInText is the name of a state within a sentence.
func stateInText(state string) string {
	switch state {
	case StateClosed:
		return "closed"
	case StateOpen:
		return "open"
	case StateHalfOpen:
		return "half-open"
	case StateHeld:
		return "held"
	case StateForcedOpen:
		return "forced open"
	case StateForcedClosed:
		return "forced closed"
	case StateObserve:
		return "observing"
	}
	return state
}

func tone(state string) ui.Tone {
	switch state {
	case StateClosed:
		return ui.ToneOK
	case StateOpen:
		return ui.ToneBad
	case StateHalfOpen:
		return ui.ToneWarn
	case StateHeld, StateForcedOpen, StateForcedClosed:
		return ui.ToneHeld
	case StateObserve:
		return ui.ToneAccent
	}
	return ui.ToneIdle
}

func icon(state string) string {
	switch state {
	case StateHalfOpen:
		return "drill"
	case StateForcedOpen, StateForcedClosed:
		return "lock"
	case StateObserve:
		return "eye"
	}
	return ""
}

// passes reports whether a state lets all calls through.
func passes(state string) bool {
	return state == StateClosed || state == StateForcedClosed || state == StateObserve
}

// Calm reports whether there is nothing to tell: the breaker decides, and all calls pass.
func (s Status) Calm() bool {
	return s.State == StateClosed && (s.Admitted == 0 || s.Admitted >= 1)
}

// overridden reports whether a person decides, and not the breaker.
func (s Status) overridden() bool {
	return s.State == StateForcedOpen || s.State == StateForcedClosed || s.State == StateObserve
}

// automatic is the state without an override.
func (s Status) automatic() string {
	if s.overridden() {
		return s.WouldBe
	}
	return s.State
}

// Percent writes a share rounded down, so that what is below a threshold never looks as if it had reached it.
func Percent(share float64) string {
	return strconv.FormatFloat(math.Floor(share*100+1e-9), 'f', 0, 64) + " %"
}

// fine is a share with one decimal, rounded down.
func fine(share float64) string {
	return strconv.FormatFloat(math.Floor(share*1000+1e-9)/10, 'f', -1, 64) + " %"
}

// Span writes a duration as people do: 300 ms, 22 s, 3 min 20 s, 2 h.
func Span(d time.Duration) string {
	two := func(big time.Duration, bigUnit string, small time.Duration, smallUnit string) string {
		text := strconv.Itoa(int(d/big)) + " " + bigUnit
		if rest := d % big / small; rest > 0 {
			text += " " + strconv.Itoa(int(rest)) + " " + smallUnit
		}
		return text
	}
	switch {
	case d == 0:
		return "0 s"
	case d < time.Second:
		return strconv.Itoa(int(d/time.Millisecond)) + " ms"
	case d < time.Minute:
		return strconv.FormatFloat(math.Round(d.Seconds()*10)/10, 'f', -1, 64) + " s"
	case d < time.Hour:
		return two(time.Minute, "min", time.Second, "s")
	case d < 48*time.Hour:
		return two(time.Hour, "h", time.Minute, "min")
	}
	return two(24*time.Hour, "d", time.Hour, "h")
}

func ratio(part, whole int) float64 {
	if whole <= 0 {
		return 0
	}
	return float64(part) / float64(whole)
}

// count is a number with its noun: "1 call", "3 calls".
func count(n int64, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return ui.Thousands(n) + " " + noun + "s"
}

// subject names a breaker in a sentence: "Stripe live", "Stripe live / createCharge".
func subject(name, operation string) string {
	if operation == "" {
		return name
	}
	return name + " / " + operation
}

// whole is what a breaker without an operation is called in a choice.
const whole = "The connection as a whole"

// callLink leads to a call.
func callLink(id string) templ.Component {
	return ui.MonoID{ID: id, Href: "/calls/" + id, Short: 16, What: "call id"}
}

// verdictChip says what an outcome means to the breaker.
func verdictChip(verdict string) templ.Component {
	switch verdict {
	case VerdictSuccess:
		return ui.Chip{Label: "Success", Tone: ui.ToneOK}
	case VerdictFailure:
		return ui.Chip{Label: "Failure", Tone: ui.ToneBad}
	case VerdictRefused:
		return ui.Chip{Label: "Refused here", Tone: ui.ToneHeld, Icon: "ban"}
	}
	return ui.Chip{Label: "Does not count", Tone: ui.ToneIdle}
}

func number(n int) string { return strconv.Itoa(n) }

func version(n int) string { return "v" + strconv.Itoa(n) }

// size writes bytes in the largest unit that fits.
func size(n int64) string {
	switch {
	case n < 1<<10:
		return strconv.FormatInt(n, 10) + " B"
	case n < 1<<20:
		return strconv.FormatFloat(float64(n)/(1<<10), 'f', 1, 64) + " KiB"
	}
	return strconv.FormatFloat(float64(n)/(1<<20), 'f', 1, 64) + " MiB"
}
