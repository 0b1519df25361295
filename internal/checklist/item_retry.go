package checklist

import (
	"fmt"

	"switchgear/internal/runtime"
)

// retry: what fails by chance is tried again, within bounds.
type retry struct{}

func (retry) Info() Info {
	return Info{
		ID: "retry", Number: 8, Title: "Retry logic works", Proof: ProofDrill,
		About: "There is a second attempt, time for it, and a budget that keeps retries from becoming a flood.",
	}
}

func (retry) Relevant(f Facts) any {
	return struct {
		Retry                   runtime.Retry
		Timeout, AttemptTimeout runtime.Duration
	}{f.Policy.Retry, f.Policy.Timeout, f.Policy.AttemptTimeout}
}

// maxBudget is the largest part of the calls under way that may be retries.
const maxBudget = 0.5

func (retry) Configured(f Facts) Finding {
	r := f.Policy.Retry
	out := Finding{Verdict: VerdictFail, Fix: PlacePolicy}
	switch {
	case r.MaxAttempts < 2:
		out.Measured, out.Threshold = count(int64(r.MaxAttempts), "attempt"), "2 attempts"
		out.Message = fmt.Sprintf("max_attempts is %d: nothing is tried again.", r.MaxAttempts)
	case r.BudgetRatio <= 0 || r.BudgetRatio > maxBudget:
		out.Measured, out.Threshold = percent(100*r.BudgetRatio), "over 0 %, at most "+percent(100*maxBudget)
		out.Message = fmt.Sprintf("The retry budget is %s of the calls under way; it has to be over 0 %% and at most %s.", out.Measured, percent(100*maxBudget))
	case 2*f.Policy.AttemptTimeout > f.Policy.Timeout:
		out.Measured, out.Threshold = f.Policy.AttemptTimeout.String(), "at most half of "+f.Policy.Timeout.String()
		out.Message = fmt.Sprintf("One attempt may take %s of the %s that a call has: no time is left for a second.", f.Policy.AttemptTimeout, f.Policy.Timeout)
	case r.BaseDelay >= f.Policy.Timeout:
		out.Measured, out.Threshold = r.BaseDelay.String(), "less than "+f.Policy.Timeout.String()
		out.Message = fmt.Sprintf("The wait before the second attempt is up to %s, and a call has %s.", r.BaseDelay, f.Policy.Timeout)
	default:
		out.Verdict, out.Fix = VerdictPass, PlaceNone
		out.Measured, out.Threshold = count(int64(r.MaxAttempts), "attempt"), "2 attempts"
		what := "methods that are not idempotent are sent once"
		if r.IdempotencyKey != "" {
			what = r.IdempotencyKey + " makes every method safe to repeat"
		}
		bound := "of " + f.Policy.AttemptTimeout.String() + " each"
		if f.Policy.AttemptTimeout == 0 {
			// The total deadline bounds them. Refusals and broken connections leave time; a hang does not.
			bound = "share " + f.Policy.Timeout.String() + "; one that hangs leaves no time for another, as no attempt_timeout is set"
		}
		out.Message = fmt.Sprintf("%s %s; budget %s; %s.", count(int64(r.MaxAttempts), "attempt"), bound, percent(100*r.BudgetRatio), what)
	}
	return out
}

func (retry) Observed(f Facts) Finding {
	t := f.Traffic
	if out, ok := few(t); ok {
		return out
	}
	amplification, most := float64(t.Attempts)/float64(t.Calls), 1+f.Policy.Retry.BudgetRatio
	out := Finding{Verdict: VerdictPass, Measured: number(amplification), Threshold: "at most " + number(most)}
	out.Message = fmt.Sprintf("%s attempts for %s: %s each.", thousands(t.Attempts), count(t.Calls, "call"), out.Measured)
	if amplification > most {
		out.Verdict, out.Fix = VerdictFail, PlacePolicy
	}
	return out
}
