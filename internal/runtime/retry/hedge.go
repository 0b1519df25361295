package retry

import "time"

// HedgeRequest is what is known when a request has gone unanswered for as long as the policy says.
type HedgeRequest struct {
	// Hedges counts those of this call already made.
	Hedges int
	// BreakerClosed says that the breaker is closed, not only that it lets this call through.
	BreakerClosed bool
	// Held says that the upstream asked to be left alone for a while.
	Held bool
	// QuotaLeft is the part of the vendor's quota that is left, from 0 to 1; negative when it is not known.
	QuotaLeft float64
	// Remaining is the time left of the call.
	Remaining time.Duration
}

// HedgeDecision says whether another request is sent beside one that is slow.
type HedgeDecision struct {
	Hedge bool
	// Text says it in words.
	Text string
}

// lowQuota is the part of a quota below which none of it is spent on speed.
const lowQuota = 0.2

// HedgeAfter is how long a request of a call may go unanswered before another one may race it; 0 where none
// may: the policy allows none, or the request may do something, or has a body. declared says that the
// operation is declared idempotent.
func (p *Policy) HedgeAfter(method string, declared, hasBody bool) time.Duration {
	if hasBody || !declared && !readOnly(method) {
		return 0
	}
	return p.cfg.HedgeAfter
}

// Hedge says whether another request may race one that is slow. Take it from the budget ([Call.Repeat])
// before it is sent.
func (p *Policy) Hedge(r HedgeRequest) HedgeDecision {
	no := func(why string) HedgeDecision { return HedgeDecision{Text: "no hedge: " + why} }
	switch {
	case p.cfg.HedgeAfter <= 0:
		return no("it is switched off")
	case r.Hedges >= p.cfg.MaxHedges:
		return no("as many as allowed were sent")
	case !r.BreakerClosed:
		return no("the breaker is not closed")
	case r.Held:
		return no("the upstream asked to be left alone")
	case r.QuotaLeft >= 0 && r.QuotaLeft < lowQuota:
		return no("less than a fifth of the vendor's quota is left")
	case r.Remaining <= 0:
		return no("the call has no time left")
	}
	return HedgeDecision{Hedge: true, Text: "no answer in " + words(p.cfg.HedgeAfter) + ": another request is sent beside it"}
}
