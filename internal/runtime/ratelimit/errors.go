package ratelimit

import (
	"time"

	"switchgear/internal/fault"
)

// Codes of the errors that callers are answered with.
const (
	CodeLimited = "CONNECTION_RATE_LIMITED"
	CodeHeld    = "CONNECTION_HELD"
)

// Cause says what kept a request from going out.
type Cause string

// The causes.
const (
	CauseWindow    Cause = "window"     // as many as configured went out
	CauseQuota     Cause = "quota"      // the vendor's own count says that nothing is left
	CausePace      Cause = "pace"       // slowed down by what was learned
	CauseHold      Cause = "hold"       // the vendor asked to be left alone
	CauseProbe     Cause = "probe"      // another request goes first after a hold
	CauseQueueFull Cause = "queue_full" // too many wait already
)

// RejectedError says that a request was not let out, and took nothing. It unwraps to a fault of kind
// RateLimited with the time to wait.
type RejectedError struct {
	Cause Cause
	// Scope is the key of the limits that refused: the zero Key for those of the whole connection.
	Scope Key
	// Window is the limit that is used up, for CauseWindow.
	Window Limit
	// RetryAfter is when one more could go out, as it looks now.
	RetryAfter time.Duration

	message string
}

// Error says it in a sentence that may be shown.
func (e *RejectedError) Error() string { return e.message }

// Unwrap returns the fault that the caller is answered with.
func (e *RejectedError) Unwrap() error {
	code, advice := CodeLimited, "Send it again once the time of Retry-After has passed, and fewer at once. The tab Breaker & limits of the connection shows every limit."
	if e.Cause == CauseHold || e.Cause == CauseProbe {
		code, advice = CodeHeld, "Send it again once the time of Retry-After has passed: the upstream asked for the pause."
	}
	return fault.New(fault.RateLimited, code, e.message).WithRetryAfter(e.RetryAfter).WithSuggestion(advice)
}

// reject words a refusal.
func (l *Limiter) reject(v verdict, now int64) *RejectedError {
	l.stats.Rejected++
	key := v.scope.key
	if key.Credential == noCredential {
		key.Credential = ""
	}
	e := &RejectedError{Scope: key, RetryAfter: max(time.Duration(v.at-now), time.Millisecond)}
	switch v.by {
	case byNothing:
		e.Cause, e.message = CauseQueueFull, "Others wait for this connection already."
	case byWindow:
		e.Cause, e.Window = CauseWindow, v.window
		e.message = "The limit of " + v.window.String() + key.of() + " is used up; the next request can go in " + words(e.RetryAfter) + "."
	case byQuota:
		e.Cause = CauseQuota
		e.message = "The vendor says that nothing is left" + key.of() + "; the next request can go in " + words(e.RetryAfter) + "."
	case byPace:
		e.Cause = CausePace
		e.message = "Requests" + key.of() + " are slowed down: " + v.scope.why(&l.cfg, now, l.wall) + "."
	case byHold:
		e.Cause = CauseHold
		held := "The connection"
		if key.Credential != "" {
			held = "The account " + key.Credential
		}
		e.message = held + " is held for " + words(e.RetryAfter) + ": " + v.scope.hold.reason + "."
	case byProbe:
		e.Cause, e.RetryAfter = CauseProbe, time.Second
		e.message = "After a hold one request goes first; its answer is not here yet."
	}
	return e
}

// of names the scope in a sentence.
func (k Key) of() string {
	switch {
	case k.Group != "" && k.Credential != "":
		return " of the group " + k.Group + " with the account " + k.Credential
	case k.Group != "":
		return " of the group " + k.Group
	case k.Credential != "":
		return " of the account " + k.Credential
	}
	return ""
}
