package runtime

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"switchgear/internal/runtime/egress"
	"switchgear/internal/runtime/ratelimit"
)

// Outcome is how one attempt ended. Breaker, retry and limiter decide by it, through its [Rule].
type Outcome string

// The outcomes. Each attempt has exactly one.
const (
	OutcomeSuccess         Outcome = "success"         // 2xx, 3xx
	OutcomeClientError     Outcome = "client_error"    // 4xx without a row of its own: the upstream is alive
	OutcomeUnauthenticated Outcome = "unauthenticated" // 401: our credential is not accepted
	OutcomeForbidden       Outcome = "forbidden"       // 403 that is not a rate limit
	OutcomeThrottled       Outcome = "throttled"       // 429, or a 403 that says it is a rate limit
	OutcomeTimeoutStatus   Outcome = "timeout_status"  // 408, 425
	OutcomeServerError     Outcome = "server_error"    // 5xx without a row of its own
	OutcomeNotImplemented  Outcome = "not_implemented" // 501, 505
	OutcomeUnavailable     Outcome = "unavailable"     // 502, 503, 504
	OutcomeConnectFailed   Outcome = "connect_failed"  // DNS, refused, unreachable: nothing was sent
	OutcomeTLSFailed       Outcome = "tls_failed"      // certificate or handshake: nothing was sent
	OutcomeReset           Outcome = "reset"           // broken off or unreadable after the request was sent
	OutcomeTimeout         Outcome = "timeout"         // no answer, or no end of it, in time
	OutcomeCanceled        Outcome = "canceled"        // the caller went away
	OutcomeRejectedLocal   Outcome = "rejected_local"  // we did not let it out: egress, credential, limits
)

// Verdict is what an outcome means to a circuit breaker.
type Verdict string

// The verdicts.
const (
	VerdictSuccess  Verdict = "success"  // the upstream is alive
	VerdictFailure  Verdict = "failure"  // it counts against the upstream
	VerdictExcluded Verdict = "excluded" // it says nothing about the upstream; it still frees a half-open slot
)

// RetryRule says when an attempt with this outcome may be repeated.
type RetryRule string

// The retry rules. Safe means an idempotent method, or an operation that honours an idempotency key.
const (
	RetryNever        RetryRule = "never"
	RetryAny          RetryRule = "any"           // nothing was sent: any method
	RetrySafe         RetryRule = "safe"          // only what is safe to repeat
	RetryAfterDelay   RetryRule = "after_delay"   // once the upstream's own delay has passed
	RetryAfterRefresh RetryRule = "after_refresh" // once, after the credential was refreshed
)

// LimitRule says what an outcome means to the rate limiter.
type LimitRule string

// The limiter rules.
const (
	LimitLearn  LimitRule = "learn"  // read the limit headers
	LimitHold   LimitRule = "hold"   // stop the whole connection for as long as the upstream asks
	LimitRefund LimitRule = "refund" // nothing was sent: give the token back
	LimitNone   LimitRule = "none"
)

// Rule is the row of an outcome in the table that all protections share.
type Rule struct {
	Outcome Outcome
	Label   string // for people
	Breaker Verdict
	Retry   RetryRule
	Limiter LimitRule
	// Local is true when the upstream never saw the request, or had no say in the outcome.
	Local bool
}

// Rules returns the whole table, in the order in which it is shown.
func Rules() []Rule {
	outcomes := []Outcome{
		OutcomeSuccess, OutcomeClientError, OutcomeUnauthenticated, OutcomeForbidden,
		OutcomeThrottled, OutcomeTimeoutStatus, OutcomeServerError, OutcomeNotImplemented,
		OutcomeUnavailable, OutcomeConnectFailed, OutcomeTLSFailed, OutcomeReset,
		OutcomeTimeout, OutcomeCanceled, OutcomeRejectedLocal,
	}
	rules := make([]Rule, len(outcomes))
	for i, o := range outcomes {
		rules[i], _ = o.Rule()
	}
	return rules
}

// Rule returns the row of o; false when there is no such outcome. Every call asks several times, so the
// table is code and not a list that is made to be searched.
func (o Outcome) Rule() (Rule, bool) {
	switch o {
	case OutcomeSuccess:
		return Rule{o, "Success", VerdictSuccess, RetryNever, LimitLearn, false}, true
	case OutcomeClientError:
		return Rule{o, "Client error", VerdictSuccess, RetryNever, LimitLearn, false}, true
	case OutcomeUnauthenticated:
		return Rule{o, "Credential not accepted", VerdictExcluded, RetryAfterRefresh, LimitLearn, false}, true
	case OutcomeForbidden:
		return Rule{o, "Forbidden", VerdictExcluded, RetryNever, LimitLearn, false}, true
	case OutcomeThrottled:
		return Rule{o, "Throttled", VerdictExcluded, RetryAfterDelay, LimitHold, false}, true
	case OutcomeTimeoutStatus:
		return Rule{o, "Timed out upstream", VerdictFailure, RetrySafe, LimitLearn, false}, true
	case OutcomeServerError:
		return Rule{o, "Server error", VerdictFailure, RetrySafe, LimitLearn, false}, true
	case OutcomeNotImplemented:
		return Rule{o, "Not implemented", VerdictExcluded, RetryNever, LimitLearn, false}, true
	case OutcomeUnavailable:
		return Rule{o, "Unavailable", VerdictFailure, RetrySafe, LimitHold, false}, true
	case OutcomeConnectFailed:
		return Rule{o, "Could not connect", VerdictFailure, RetryAny, LimitRefund, true}, true
	case OutcomeTLSFailed:
		return Rule{o, "TLS failed", VerdictFailure, RetryNever, LimitRefund, true}, true
	case OutcomeReset:
		return Rule{o, "Connection broken", VerdictFailure, RetrySafe, LimitNone, false}, true
	case OutcomeTimeout:
		return Rule{o, "Timed out", VerdictFailure, RetrySafe, LimitNone, false}, true
	case OutcomeCanceled:
		return Rule{o, "Cancelled by the caller", VerdictExcluded, RetryNever, LimitNone, true}, true
	case OutcomeRejectedLocal:
		return Rule{o, "Rejected here", VerdictExcluded, RetryNever, LimitRefund, true}, true
	}
	return Rule{}, false
}

// Label is the outcome in words. An unknown outcome is shown as it is.
func (o Outcome) Label() string {
	if r, ok := o.Rule(); ok {
		return r.Label
	}
	return string(o)
}

// Failure reports whether o counts against the upstream.
func (o Outcome) Failure() bool {
	r, ok := o.Rule()
	return ok && r.Breaker == VerdictFailure
}

// ParseOutcome returns the outcome of that name; false when there is none.
func ParseOutcome(name string) (Outcome, bool) {
	_, ok := Outcome(name).Rule()
	return Outcome(name), ok
}

// Classify names the outcome of one attempt from what the transport returned: a response, or an error.
// wrote says whether any of the request may have reached the upstream; without that, an unknown error is
// a failure to connect, with it the connection broke.
func Classify(resp *http.Response, err error, wrote bool) Outcome {
	if err != nil {
		return classifyError(err, wrote)
	}
	if resp == nil {
		return OutcomeRejectedLocal
	}
	throttled := false
	if resp.StatusCode == http.StatusForbidden {
		// No dialect is named, so what several upstreams share is read; that one is known.
		reading, _ := ratelimit.Read("", resp.StatusCode, resp.Header, time.Now())
		throttled = reading.Throttled
	}
	return classifyStatus(resp.StatusCode, throttled)
}

// classifyStatus names the outcome of an answer. throttled says that its headers are those of a refusal for
// a limit (see [ratelimit.Reading]): vendors send it as 403 too.
func classifyStatus(s int, throttled bool) Outcome {
	switch {
	case s == http.StatusUnauthorized:
		return OutcomeUnauthenticated
	case s == http.StatusForbidden && throttled:
		return OutcomeThrottled
	case s == http.StatusForbidden:
		return OutcomeForbidden
	case s == http.StatusRequestTimeout, s == http.StatusTooEarly:
		return OutcomeTimeoutStatus
	case s == http.StatusTooManyRequests:
		return OutcomeThrottled
	case s == http.StatusNotImplemented, s == http.StatusHTTPVersionNotSupported:
		return OutcomeNotImplemented
	case s == http.StatusBadGateway, s == http.StatusServiceUnavailable, s == http.StatusGatewayTimeout:
		return OutcomeUnavailable
	case s >= 500:
		return OutcomeServerError
	case s >= 400:
		return OutcomeClientError
	}
	return OutcomeSuccess
}

func classifyError(err error, wrote bool) Outcome {
	var timeout net.Error
	switch {
	case errors.Is(err, egress.ErrDenied):
		return OutcomeRejectedLocal
	case errors.Is(err, context.Canceled):
		return OutcomeCanceled
	case errors.Is(err, errAttemptTimeout), errors.Is(err, errTotalTimeout):
		return OutcomeTimeout
	case isTLS(err):
		return OutcomeTLSFailed
	case isDial(err):
		return OutcomeConnectFailed
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded):
		return OutcomeTimeout
	case errors.As(err, &timeout) && timeout.Timeout():
		return OutcomeTimeout
	case !wrote:
		return OutcomeConnectFailed
	}
	return OutcomeReset
}

func isDial(err error) bool {
	if op, ok := errors.AsType[*net.OpError](err); ok && op.Op == "dial" {
		return true
	}
	_, ok := errors.AsType[*net.DNSError](err)
	return ok
}

func isTLS(err error) bool {
	if errors.Is(err, errHandshake) {
		return true
	}
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return true
	}
	if _, ok := errors.AsType[tls.RecordHeaderError](err); ok {
		return true
	}
	if _, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		return true
	}
	if _, ok := errors.AsType[x509.HostnameError](err); ok {
		return true
	}
	if op, ok := errors.AsType[*net.OpError](err); ok && op.Op == "remote error" {
		// A server refuses our certificate by an alert. With TLS 1.3 that comes after the request was written,
		// which the server does not read then.
		return strings.Contains(op.Err.Error(), "certificate")
	}
	_, ok := errors.AsType[x509.CertificateInvalidError](err)
	return ok
}
