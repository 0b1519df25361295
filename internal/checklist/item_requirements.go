package checklist

import (
	"fmt"
	"time"

	"switchgear/internal/connections"
	"switchgear/internal/runtime"
)

// requirements: what is expected is written down, fits the policy, and traffic keeps to it.
type requirements struct{}

func (requirements) Info() Info {
	return Info{
		ID: "requirements", Number: 1, Title: "Requirements defined", Proof: ProofComputed,
		About: "Owner, purpose, data, criticality, objectives and expected volume are written down and fit the policy.",
	}
}

func (requirements) Relevant(f Facts) any {
	return struct {
		Requirements connections.Requirements
		Timeout      runtime.Duration
		RateLimits   []runtime.RateLimit
	}{f.Connection.Requirements, f.Policy.Timeout, f.Policy.RateLimits}
}

func (requirements) Configured(f Facts) Finding {
	r := f.Connection.Requirements
	present, missing := filled([]part{
		{"owner", r.Owner != ""},
		{"purpose", r.Purpose != ""},
		{"data", r.DataClass != ""},
		{"criticality", r.Criticality != ""},
		{"availability", r.SLO.Availability > 0},
		{"latency", r.SLO.P95 > 0},
		{"expected volume", r.ExpectedVolume.Calls > 0},
	})
	const all = 7
	out := Finding{Verdict: VerdictFail, Measured: fmt.Sprintf("%d of %d", present, all), Threshold: fmt.Sprintf("%d of %d", all, all), Fix: PlaceRequirements}
	if present < all {
		out.Message = fmt.Sprintf("%d of %d are filled in; missing: %s.", present, all, list(missing))
		return out
	}
	if r.SLO.P95 > f.Policy.Timeout {
		out.Measured, out.Threshold = r.SLO.P95.String(), "at most the timeout of "+f.Policy.Timeout.String()
		out.Message = fmt.Sprintf("A latency of %s is promised, but calls are ended after %s.", r.SLO.P95, f.Policy.Timeout)
		return out
	}
	if least, ok := tightest(f.Policy.RateLimits); ok && perMinute(least) < r.ExpectedVolume.PerMinute() {
		out.Measured, out.Threshold = number(r.ExpectedVolume.PerMinute())+" a minute", number(perMinute(least))+" a minute"
		out.Message = fmt.Sprintf("%s calls a minute are expected; the rate limit of %s lets %s through.",
			number(r.ExpectedVolume.PerMinute()), limit(least), number(perMinute(least)))
		return out
	}
	out.Verdict = VerdictPass
	out.Message = fmt.Sprintf("%d of %d: owner %s, %s of calls, 95 of 100 within %s, %s calls a minute expected; the policy allows it.",
		present, all, r.Owner, percent(r.SLO.Availability), r.SLO.P95, number(r.ExpectedVolume.PerMinute()))
	return out
}

// part is something that should be there.
type part struct {
	name    string
	present bool
}

func filled(parts []part) (present int, missing []string) {
	for _, p := range parts {
		if p.present {
			present++
		} else {
			missing = append(missing, p.name)
		}
	}
	return present, missing
}

// overrun is how many times the declared volume is still taken for it.
const overrun = 2

func (requirements) Observed(f Facts) Finding {
	r, t := f.Connection.Requirements, f.Traffic
	if out, ok := few(t); ok {
		return out
	}
	fail := func(measured, threshold, message string) Finding {
		return Finding{Verdict: VerdictFail, Measured: measured, Threshold: threshold, Message: message, Fix: PlaceRequirements}
	}
	if declared := r.ExpectedVolume.PerMinute(); declared > 0 {
		actual := float64(t.busiest(1))
		if r.ExpectedVolume.Per.Std() > time.Minute {
			actual = float64(t.Calls) / max(r.ExpectedVolume.Per.Std(), f.Now.Sub(t.Since)).Minutes()
		}
		if actual > overrun*declared {
			return fail(number(actual)+" a minute", number(declared)+" a minute declared",
				fmt.Sprintf("%s calls a minute were seen, more than twice the %s that are declared.", number(actual), number(declared)))
		}
	}
	if working := 100 - share(t.Failed(), t.Calls); r.SLO.Availability > 0 && working < r.SLO.Availability {
		return fail(percent(working), percent(r.SLO.Availability),
			fmt.Sprintf("%s of %s did not fail; %s are promised.", percent(working), count(t.Calls, "call"), percent(r.SLO.Availability)))
	}
	if p95 := runtime.Duration(t.P95.Round(time.Millisecond)); r.SLO.P95 > 0 && p95 > r.SLO.P95 {
		return fail(p95.String(), r.SLO.P95.String(), fmt.Sprintf("95 of 100 calls took up to %s; %s are promised.", p95, r.SLO.P95))
	}
	working := percent(100 - share(t.Failed(), t.Calls))
	return Finding{
		Verdict: VerdictPass, Measured: working, Threshold: percent(r.SLO.Availability),
		Message: fmt.Sprintf("%s of %s did not fail, 95 of 100 within %s, at most %s a minute.",
			working, count(t.Calls, "call"), runtime.Duration(t.P95.Round(time.Millisecond)), thousands(t.busiest(1))),
	}
}
