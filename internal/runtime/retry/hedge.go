package retry

import "time"

// HedgeRequest is what is known when a request is sent that a second one might race.
type HedgeRequest struct {
	Method string
	// P95 is the latency that 95 of 100 calls of this operation stay under, 0 when it is not known yet.
	P95 time.Duration
	// Hedges counts those of this call already made.
	Hedges int
	// BreakerClosed says that the breaker is closed, not only that it lets this call through.
	BreakerClosed bool
	// QuotaLeft is the part of the vendor's quota that is left, from 0 to 1; negative when it is not known.
	QuotaLeft float64
	// Remaining is the time left of the call.
	Remaining time.Duration
}

// HedgeDecision says whether a second request is sent when there is no answer after some time.
type HedgeDecision struct {
	Hedge bool
	// After is how long to wait for the first.
	After time.Duration
	// Text says it in words.
	Text string
}

// lowQuota is the part of a quota below which none of it is spent on speed.
const lowQuota = 0.2

// Hedge says whether and when a second request may race the first. Once that time has passed without an
// answer, take the request from the budget ([Call.Repeat]) before it is sent.
func (p *Policy) Hedge(r HedgeRequest) HedgeDecision {
	no := func(why string) HedgeDecision { return HedgeDecision{Text: "no hedge: " + why} }
	switch {
	case !p.cfg.Hedge:
		return no("it is switched off")
	case !readOnly(r.Method):
		return no(r.Method + " is not a safe method")
	case r.Hedges > 0:
		return no("one was sent already")
	case !r.BreakerClosed:
		return no("the breaker is not closed")
	case r.QuotaLeft >= 0 && r.QuotaLeft < lowQuota:
		return no("less than a fifth of the vendor's quota is left")
	case r.P95 <= 0:
		return no("the usual latency is not known yet")
	case r.P95 >= r.Remaining:
		return no("the call has too little time left")
	}
	return HedgeDecision{Hedge: true, After: r.P95, Text: "a second request is sent after " + words(r.P95)}
}
