package checklist

import (
	"fmt"
	"math"
	"strconv"
	"time"
)

// circuitBreaker: it is on, and real traffic is enough for it to open at all.
type circuitBreaker struct{}

func (circuitBreaker) Info() Info {
	return Info{
		ID: "circuit_breaker", Number: 7, Title: "Circuit breaker implemented", Proof: ProofDrill,
		About: "The breaker is on, the traffic reaches the number of calls from which it may open, and where it opened it recovered.",
	}
}

func (circuitBreaker) Relevant(f Facts) any { return f.Policy.Breaker }

func (circuitBreaker) Configured(f Facts) Finding {
	b := f.Policy.Breaker
	threshold := fmt.Sprintf("%s in %s", count(int64(b.MinCalls), "call"), b.Window)
	if !b.Enabled {
		return Finding{
			Verdict: VerdictFail, Measured: "off", Threshold: "on", Fix: PlacePolicy,
			Message: "The breaker is off: every call goes to an upstream that fails.",
		}
	}
	rule := fmt.Sprintf("Opens at %s failures of %s", percent(100*b.FailureRatio), threshold)
	if b.ConsecutiveFailures > 0 {
		return Finding{
			Verdict: VerdictPass, Measured: count(int64(b.ConsecutiveFailures), "failure") + " in a row", Threshold: threshold,
			Message: fmt.Sprintf("%s, and at %s in a row, whatever the traffic.", rule, count(int64(b.ConsecutiveFailures), "failure")),
		}
	}
	expected := f.Connection.Requirements.ExpectedVolume
	inWindow := expected.PerMinute() * b.Window.Std().Minutes()
	switch {
	case expected.Calls == 0:
		return Finding{Verdict: VerdictPass, Measured: threshold, Threshold: "on", Message: rule + "; no expected volume says whether that is ever reached."}
	case inWindow < float64(b.MinCalls):
		return Finding{
			Verdict: VerdictFail, Measured: number(inWindow) + " in " + b.Window.String(), Threshold: threshold, Fix: PlacePolicy,
			Message: fmt.Sprintf("min_calls %d in %s is never reached at the %s calls/min that are expected: the breaker cannot open.",
				b.MinCalls, b.Window, number(expected.PerMinute())),
		}
	}
	return Finding{
		Verdict: VerdictPass, Measured: number(inWindow) + " in " + b.Window.String(), Threshold: threshold,
		Message: fmt.Sprintf("%s; %s are expected in that time.", rule, number(inWindow)),
	}
}

// watched is how long traffic has to be known before it can be called too little.
const watched = time.Hour

func (c circuitBreaker) Observed(f Facts) Finding {
	if f.Policy.Breaker.Enabled && f.Transitions.Opened+f.Transitions.Stuck > 0 {
		return c.worked(f.Transitions)
	}
	return c.reachable(f)
}

// worked judges what breakers really did.
func (circuitBreaker) worked(t Transitions) Finding {
	since := day(t.Since)
	if t.Stuck > 0 {
		return Finding{
			Verdict: VerdictFail, Measured: strconv.Itoa(t.Stuck), Threshold: "0", Fix: PlaceCalls,
			Message: fmt.Sprintf("Probes did not end in their time: %d since %s. A call outlived the time that it may take.", t.Stuck, since),
		}
	}
	out := Finding{
		Verdict: VerdictPass, Measured: fmt.Sprintf("opened %d, recovered %d", t.Opened, t.Recovered), Threshold: "opens and recovers",
		Message: fmt.Sprintf("Since %s it opened %d and recovered %d; opened last on %s", since, t.Opened, t.Recovered, minute(t.LastOpened)),
	}
	if t.Recovered == 0 {
		out.Verdict, out.Fix = VerdictUnknown, PlaceCalls
		out.Message += " and has not been seen to recover yet."
		return out
	}
	out.Message += fmt.Sprintf(", recovered last on %s.", minute(t.LastRecovered))
	return out
}

// reachable judges whether the traffic is enough for the breaker to open.
func (circuitBreaker) reachable(f Facts) Finding {
	b, t := f.Policy.Breaker, f.Traffic
	if !b.Enabled || t.Calls == 0 {
		out, _ := few(Traffic{Since: t.Since})
		return out
	}
	// A minute that does not hold enough calls holds no shorter time that does.
	minutes := int(math.Ceil(b.Window.Std().Minutes()))
	most := t.busiest(minutes)
	out := Finding{
		Verdict: VerdictPass, Measured: thousands(most) + " in " + b.Window.String(), Threshold: fmt.Sprintf("%s in %s", count(int64(b.MinCalls), "call"), b.Window),
		Message: fmt.Sprintf("The busiest %s had %s; the breaker may open from %d.", b.Window, count(most, "call"), b.MinCalls),
	}
	switch {
	case b.ConsecutiveFailures > 0:
		out.Message += fmt.Sprintf(" %s in a row open it at any traffic.", sentence(count(int64(b.ConsecutiveFailures), "failure")))
	case most >= int64(b.MinCalls):
	case f.Now.Sub(t.Since) < watched:
		out.Verdict, out.Fix = VerdictUnknown, PlaceCalls
	default:
		out.Verdict, out.Fix = VerdictFail, PlacePolicy
		out.Message = fmt.Sprintf("min_calls %d in %s is never reached at %s calls/min, the most that was seen: the breaker cannot open.",
			b.MinCalls, b.Window, number(float64(most)/float64(minutes)))
	}
	return out
}
