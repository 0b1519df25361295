package retry

import (
	"fmt"
	"net/http"
	"strconv"
	"time"
)

// Rule says when an attempt that ended in some way may be made again.
type Rule string

// The rules.
const (
	Never        Rule = "never"
	Any          Rule = "any"           // nothing was sent: any method
	Safe         Rule = "safe"          // only what is safe to repeat
	AfterDelay   Rule = "after_delay"   // refused unseen: any method, once the upstream's delay has passed
	AfterRefresh Rule = "after_refresh" // refused unseen: once, after the credential was refreshed
)

// Attempt is how an attempt ended, and what is known about the call.
type Attempt struct {
	// Number counts the attempts made, this one included.
	Number int
	Rule   Rule
	Method string
	// Declared says that the operation is declared idempotent, whatever its method.
	Declared bool
	// Sent says that any of the request may have reached the upstream.
	Sent bool
	// KeyHonoured says that the operation honours idempotency keys, HasKey that the request carries one.
	KeyHonoured, HasKey bool
	// Delay is how long the upstream asks to wait, if DelayKnown.
	Delay      time.Duration
	DelayKnown bool
	// Refreshed says that the credential was refreshed since, RefreshedBefore that this is not the first time
	// in this call.
	Refreshed, RefreshedBefore bool
	// BodyLost says why the body cannot be sent again; empty when it can.
	BodyLost string
	// BreakerOpen is how long the breaker stays open, 0 when it lets calls through.
	BreakerOpen time.Duration
	// Remaining is the time left of the call.
	Remaining time.Duration
}

// Reason is why an attempt is made again or not.
type Reason string

// The reasons.
const (
	Repeat        Reason = "repeat"
	NotEligible   Reason = "not_eligible"   // the outcome is final
	AttemptsUsed  Reason = "attempts_used"  // as many as allowed were made
	NotIdempotent Reason = "not_idempotent" // the upstream may have acted on it
	NotRefreshed  Reason = "not_refreshed"  // no new credential, or it was refused as well
	BodyNotKept   Reason = "body_not_kept"  // it cannot be sent again
	BreakerOpen   Reason = "breaker_open"   // for longer than the call has left
	DelayTooLong  Reason = "delay_too_long" // the upstream asks for more than is waited for
	NoTimeLeft    Reason = "no_time_left"   // the wait would outlast the call
	BudgetUsed    Reason = "budget_used"    // too many repeats on this connection already
)

// Decision says whether an attempt is made again.
type Decision struct {
	Reason Reason
	// Wait is how long to wait first; only with Repeat.
	Wait time.Duration
	// RetryAfter, when positive, is what the caller is told about when to come back.
	RetryAfter time.Duration
	// Text says it in words: "not repeated: POST without an idempotency key".
	Text string
}

// Repeat reports whether the attempt is made again.
func (d Decision) Repeat() bool { return d.Reason == Repeat }

// Decide says whether the attempt is made again, and takes that from the budget of the call; the one with a
// new credential is free. It never takes anything for an attempt that is not made.
func (p *Policy) Decide(a Attempt, call *Call) Decision {
	if d := p.eligible(a); d.Reason != Repeat {
		return d
	}
	d := p.wait(a)
	if d.Reason != Repeat {
		return d
	}
	if a.Rule != AfterRefresh { // Which happens once for a call, and only with a credential that is new.
		if why := call.Repeat(); why != "" {
			return not(BudgetUsed, "%s", why)
		}
	}
	d.Text = fmt.Sprintf("repeated after %s: attempt %d of %d", words(d.Wait), a.Number+1, p.cfg.MaxAttempts)
	return d
}

func not(reason Reason, format string, args ...any) Decision {
	return Decision{Reason: reason, Text: "not repeated: " + fmt.Sprintf(format, args...)}
}

// eligible asks whether repeating is allowed at all.
func (p *Policy) eligible(a Attempt) Decision {
	switch a.Rule {
	case Never:
		return Decision{Reason: NotEligible, Text: "not repeated: this outcome is final"}
	case Any, Safe:
		if d := safe(a); d.Reason != Repeat {
			return d
		}
	case AfterDelay:
	case AfterRefresh:
		switch {
		case a.RefreshedBefore:
			return not(NotRefreshed, "the refreshed credential was not accepted either")
		case !a.Refreshed:
			return not(NotRefreshed, "the credential could not be refreshed")
		}
	default:
		return not(NotEligible, "there is no rule %q", string(a.Rule))
	}
	switch {
	case a.Number >= p.cfg.MaxAttempts:
		return not(AttemptsUsed, "it was attempt %d of %d", a.Number, p.cfg.MaxAttempts)
	case a.BodyLost != "":
		return not(BodyNotKept, "%s", a.BodyLost)
	}
	return Decision{Reason: Repeat}
}

// safe asks whether the upstream cannot have acted on the request, or may act on it twice.
func safe(a Attempt) Decision {
	switch {
	case !a.Sent, Idempotent(a.Method), a.Declared, a.KeyHonoured && a.HasKey:
		return Decision{Reason: Repeat}
	case !a.HasKey:
		return not(NotIdempotent, "%s without an idempotency key", a.Method)
	}
	return not(NotIdempotent, "%s, and the operation is not known to honour idempotency keys", a.Method)
}

// Idempotent reports whether a method may be repeated by definition (RFC 9110, section 9.2.2).
func Idempotent(method string) bool {
	return readOnly(method) || method == http.MethodPut || method == http.MethodDelete
}

// readOnly reports whether a method is safe (RFC 9110, section 9.2.1).
func readOnly(method string) bool {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace:
		return true
	}
	return false
}

// wait finds out when. What the upstream asks for comes before our own backoff.
func (p *Policy) wait(a Attempt) Decision {
	var wait time.Duration
	switch {
	case a.DelayKnown && a.Delay > 0:
		d := a.Delay
		if d > p.cfg.MaxDelay {
			out := not(DelayTooLong, "the upstream asks for %s, and at most %s are waited for", words(d), words(p.cfg.MaxDelay))
			out.RetryAfter = d
			return out
		}
		if d >= a.Remaining {
			out := not(NoTimeLeft, "the upstream asks for %s, and the call has %s left", words(d), words(a.Remaining))
			out.RetryAfter = d
			return out
		}
		// Up to half as long again, so that not all come back at once; half of what is left stays for the attempt.
		wait = min(d+time.Duration(p.cfg.Random()*float64(d)/2), d+(a.Remaining-d)/2)
	case a.Rule == AfterRefresh:
	default:
		wait = p.cfg.backoff(a.Number)
	}
	if a.BreakerOpen > wait {
		if a.BreakerOpen >= a.Remaining {
			out := not(BreakerOpen, "the breaker is open for another %s", words(a.BreakerOpen))
			out.RetryAfter = a.BreakerOpen
			return out
		}
		wait = a.BreakerOpen
	}
	if wait >= a.Remaining {
		return not(NoTimeLeft, "the call has %s left, and the wait would be %s", words(a.Remaining), words(wait))
	}
	return Decision{Reason: Repeat, Wait: wait}
}

// words writes a duration in a unit that fits it.
func words(d time.Duration) string {
	switch {
	case d < time.Millisecond:
		return "0 ms"
	case d < time.Second:
		return strconv.FormatInt(d.Milliseconds(), 10) + " ms"
	case d < time.Minute:
		return strconv.FormatFloat(d.Round(100*time.Millisecond).Seconds(), 'f', -1, 64) + " s"
	}
	return d.Round(time.Second).String()
}
