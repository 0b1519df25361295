package breaker

import (
	"fmt"
	"sync/atomic"
	"time"

	"switchgear/internal/fault"
)

// Codes of the errors that a breaker answers with.
const (
	CodeOpen  = "BREAKER_OPEN"
	CodeState = "BREAKER_STATE"
)

// soon is the advice to a caller who was rejected although the breaker lets some calls through.
const soon = time.Second

// Permit is the leave to make one call. It is finished by Done or Cancel, whichever comes first.
type Permit struct {
	finished        atomic.Bool
	of              *Breaker
	connection, own ticket
}

// ticket is one breaker's part of a permit. It is empty when the breaker does not observe the call.
type ticket struct {
	breaker    *Breaker
	done       func(error)
	generation uint64
	step       int64
}

func (t *ticket) report(r Result) {
	if t.breaker != nil {
		t.breaker.report(t, r)
	}
}

// Allow asks for one call: the connection's breaker first, then the operation's. The error is a
// [*RejectedError]; the call must not be made then. Otherwise the permit must be finished, also when the
// call panics or is given up: defer permit.Cancel().
func (b *Breaker) Allow() (*Permit, error) {
	p := &Permit{of: b}
	if b.parent != nil {
		if rejected := b.parent.admit(&p.connection); rejected != nil {
			rejected.Operation = b.key.Operation
			return nil, rejected
		}
	}
	if rejected := b.admit(&p.own); rejected != nil {
		rejected.Operation = b.key.Operation
		p.connection.report(Result{Verdict: Excluded})
		return nil, rejected
	}
	return p, nil
}

// Stands reports whether the leave still holds. Whoever waits for something between Allow and the call asks
// before the call: a breaker that opened or was commanded meanwhile stops it, too. A permit that does not
// stand has to be finished like any other.
func (p *Permit) Stands() bool {
	return (p.of.parent == nil || p.of.parent.stands(&p.connection)) && p.of.stands(&p.own)
}

// Done says how the call ended. Only the first finish of a permit counts.
func (p *Permit) Done(r Result) {
	if !p.finished.CompareAndSwap(false, true) {
		return
	}
	p.connection.report(r)
	if r.Local && r.Verdict == Failure && p.own.breaker != nil && p.own.breaker.parent != nil {
		r.Verdict = Excluded
	}
	p.own.report(r)
}

// Cancel gives the permit back without a word about the upstream: for local rejections, cancellation and
// panics. After Done it does nothing.
func (p *Permit) Cancel() { p.Done(Result{Verdict: Excluded}) }

// RejectedError says that a breaker did not let a call out.
type RejectedError struct {
	// Key names the breaker that rejected the call. It is the connection's although an operation was called
	// when the whole connection is stopped.
	Key Key
	// Operation is what was called, empty for a call without one.
	Operation string
	Mode      Mode
	State     State
	// Reason and Actor say why: the actor's words in a forced or manual state, the breaker's own otherwise.
	Reason string
	Actor  string
	// Until is when the state ends by itself; zero when that is not a matter of time.
	Until time.Time
	// RetryAfter is how long it is worth to wait.
	RetryAfter time.Duration
}

// Error implements error.
func (e *RejectedError) Error() string {
	return fmt.Sprintf("breaker %s is %s: %s", e.Key, e.State, e.Reason)
}

// BecauseOfConnection reports whether an operation's call was rejected by the breaker of the connection.
func (e *RejectedError) BecauseOfConnection() bool { return e.Operation != "" && e.Key.Operation == "" }

// Unwrap is the error in the vocabulary of the product. Its message names nobody and repeats no reason.
func (e *RejectedError) Unwrap() error {
	what := "connection"
	if e.Key.Operation != "" {
		what = "operation"
	}
	message := fmt.Sprintf("The circuit breaker of the %s is %s; nothing was sent.", what, e.State.words())
	if e.State == StateClosed {
		message = fmt.Sprintf("The %s recovers, and its circuit breaker lets only some calls through; nothing was sent.", what)
	}
	return fault.New(fault.Unavailable, CodeOpen, message).WithRetryAfter(e.RetryAfter).WithSuggestion(e.advice())
}

// advice is what whoever called can do.
func (e *RejectedError) advice() string {
	switch e.State {
	case StateForcedOpen:
		return "A person stopped these calls. The tab Breaker & limits of the connection says who, why and until when."
	case StateHalfOpen, StateClosed:
		return "Send it again in a moment: some calls go first, and the others follow when they succeed."
	case StateOpen, StateHeld, StateForcedClosed, StateObserve:
	}
	return "Send it again once the time of Retry-After has passed. The tab Breaker & limits of the connection says why it is stopped."
}

// words is the state in a sentence.
func (s State) words() string {
	switch s {
	case StateHalfOpen:
		return "half-open"
	case StateForcedOpen:
		return "forced open"
	case StateForcedClosed:
		return "forced closed"
	case StateObserve:
		return "only observed"
	case StateClosed, StateOpen, StateHeld:
	}
	return string(s)
}
