package checklist

import (
	"encoding/json"
	"fmt"

	"switchgear/internal/runtime"
)

// rateLimiting: we send no more than the vendor allows.
type rateLimiting struct{}

func (rateLimiting) Info() Info {
	return Info{
		ID: "rate_limiting", Number: 5, Title: "Rate limiting configured", Proof: ProofDrill,
		About: "A limit is set, it is within what the vendor documents, and the vendor seldom refuses for it.",
	}
}

func (rateLimiting) Relevant(f Facts) any {
	return struct {
		Limits []runtime.RateLimit
		Wait   runtime.Duration
		Vendor json.RawMessage
	}{f.Policy.RateLimits, f.Policy.RateLimitWait, f.Provider.Policy}
}

func (rateLimiting) Configured(f Facts) Finding {
	own, ok := tightest(f.Policy.RateLimits)
	if !ok {
		return Finding{
			Verdict: VerdictFail, Measured: "0 limits", Threshold: "1 limit", Fix: PlacePolicy,
			Message: "0 limits are set: a burst of ours reaches the vendor as it is.",
		}
	}
	out := Finding{Verdict: VerdictPass, Measured: limit(own), Threshold: "1 limit", Message: "Limited to " + limit(own) + "; the vendor's documented limit is not known."}
	documented, err := runtime.MergePolicy(runtime.DefaultPolicy(), f.Provider.Policy)
	if err != nil {
		return out
	}
	vendor, ok := tightest(documented.RateLimits)
	if !ok {
		return out
	}
	out.Threshold = limit(vendor)
	if perMinute(own) > perMinute(vendor) {
		out.Verdict, out.Fix = VerdictFail, PlacePolicy
		out.Message = fmt.Sprintf("%s are allowed here, but the vendor documents %s.", limit(own), limit(vendor))
		return out
	}
	out.Message = fmt.Sprintf("Limited to %s; the vendor documents %s.", limit(own), limit(vendor))
	return out
}

// maxThrottled is the part of the calls, in per cent, that the vendor may refuse for its limit.
const maxThrottled = 1

func (rateLimiting) Observed(f Facts) Finding {
	t := f.Traffic
	if out, ok := few(t); ok {
		return out
	}
	throttled := share(t.Outcomes[runtime.OutcomeThrottled], t.Calls)
	out := Finding{Verdict: VerdictPass, Measured: percent(throttled), Threshold: "at most " + percent(maxThrottled)}
	out.Message = fmt.Sprintf("The vendor refused %s of %s for its limit (429); the busiest minute had %s.",
		out.Measured, count(t.Calls, "call"), thousands(t.busiest(1)))
	if least, ok := tightest(f.Policy.RateLimits); ok && perMinute(least) > 0 {
		out.Message = fmt.Sprintf("%s That is %s of the limit.", out.Message, percent(100*float64(t.busiest(1))/perMinute(least)))
	}
	if throttled > maxThrottled {
		out.Verdict, out.Fix = VerdictFail, PlacePolicy
	}
	return out
}
