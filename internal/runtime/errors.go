package runtime

import (
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"os"
	"syscall"
	"time"

	"switchgear/internal/fault"
	"switchgear/internal/runtime/egress"
	"switchgear/internal/runtime/egress/http1"
)

// Codes of the errors that the gateway itself answers with, in the envelope and in Switchgear-Error.
const (
	CodeConnectFailed      = "UPSTREAM_CONNECT_FAILED"
	CodeTLSFailed          = "UPSTREAM_TLS_FAILED"
	CodeTimeout            = "UPSTREAM_TIMEOUT"
	CodeReset              = "UPSTREAM_RESET"
	CodeBadResponse        = "UPSTREAM_BAD_RESPONSE"
	CodeEgressDenied       = "EGRESS_DENIED"
	CodeUpgradeUnsupported = "UPGRADE_UNSUPPORTED"
	CodeMethodUnsupported  = "METHOD_UNSUPPORTED"
	CodeInvalidPath        = "INVALID_PATH"
	CodeCallerCanceled     = "CALLER_CANCELED"
	CodeCallerBody         = "CALLER_BODY_FAILED"
	CodeCallerSlow         = "CALLER_TOO_SLOW"
	CodeBodyUnsignable     = "BODY_TOO_LARGE_TO_SIGN"
	CodeSigningFull        = "SIGNING_MEMORY_FULL"
	CodeCredential         = "CREDENTIAL_FAILED"   //nolint:gosec // The name of an error, not a credential.
	CodeCredentialRejected = "CREDENTIAL_REJECTED" //nolint:gosec // The name of an error, not a credential.
	CodeCredentialTimeout  = "CREDENTIAL_TIMEOUT"  //nolint:gosec // The name of an error, not a credential.
)

// ErrorHeader marks an answer as ours and names its code; an upstream cannot set it.
const ErrorHeader = "Switchgear-Error"

// SetErrorHeader marks the answer about err as ours. [Proxy.Serve] does so itself; call it for what is
// refused before a call reaches the proxy.
func SetErrorHeader(h http.Header, err error) { h.Set(ErrorHeader, fault.CodeOf(err)) }

var (
	errAttemptTimeout = errors.New("the upstream did not answer within the attempt timeout")
	errTotalTimeout   = errors.New("the call did not finish within its timeout")
	errTokenTimeout   = errors.New("the new token of the account did not come within the timeout of the call")
	errHandshake      = errors.New("TLS handshake failed")
	errReplay         = errors.New("the connection broke after the request was sent; it was not sent again")
	errAttempts       = errors.New("the upstream refused the request too often")
)

// failure is why a call did not end with the upstream's whole answer.
type failure struct {
	outcome Outcome
	err     error  // for the caller: a fault value
	text    string // for the record
}

// reject is a failure of our own making, before anything was sent.
func reject(err error) *failure {
	return &failure{outcome: OutcomeRejectedLocal, err: err, text: err.Error()}
}

// upstreamFailure words a transport error. Texts that can repeat bytes of the upstream stay out.
func upstreamFailure(outcome Outcome, cause error) *failure {
	f := &failure{outcome: outcome, text: describe(cause)}
	switch outcome {
	case OutcomeConnectFailed:
		f.err = fault.Wrap(cause, fault.BadGateway, CodeConnectFailed, "The upstream could not be reached; nothing was sent.")
	case OutcomeTLSFailed:
		f.err = fault.Wrap(cause, fault.BadGateway, CodeTLSFailed, "No trusted TLS connection to the upstream could be made; nothing was sent.")
	case OutcomeTimeout:
		f.err = fault.Wrap(cause, fault.Timeout, CodeTimeout, "The upstream did not answer in time. Whether it acted on the request is unknown.")
	case OutcomeCanceled:
		f.err = fault.Wrap(cause, fault.Unavailable, CodeCallerCanceled, "The caller ended the request.")
	case OutcomeRejectedLocal:
		f.err = fault.Wrap(cause, fault.Forbidden, CodeEgressDenied, "The egress rules do not allow this destination.").
			WithSuggestion("An operator can allow it with SWITCHGEAR_EGRESS_ALLOW.")
	case OutcomeSuccess, OutcomeClientError, OutcomeUnauthenticated, OutcomeForbidden, OutcomeThrottled,
		OutcomeTimeoutStatus, OutcomeServerError, OutcomeNotImplemented, OutcomeUnavailable, OutcomeReset:
		f.err = fault.Wrap(cause, fault.BadGateway, CodeReset, "The connection to the upstream broke. Whether it acted on the request is unknown.")
	}
	return f
}

// unauthorized is a call whose credential cannot be put on. The record is told no more than the caller: the
// cause may know too much.
func unauthorized(err error) *failure {
	if fault.Is(err, fault.Internal) {
		err = fault.Wrap(err, fault.Unavailable, CodeCredential, "The credential of this account cannot be used right now.")
	}
	f := reject(err)
	f.text = fault.PublicMessage(err)
	return f
}

// tokenLate is a call whose time ran out while its token was renewed. outcome is that of what was sent so far.
func tokenLate(outcome Outcome) *failure {
	message := "The time for the call ran out while its account got a new token; nothing was sent. The renewal goes on."
	if outcome != OutcomeRejectedLocal {
		message = "The upstream did not accept the token, and the time for the call ran out while its account got a new one. The renewal goes on."
	}
	return &failure{
		outcome: outcome, text: errTokenTimeout.Error(),
		err: fault.Wrap(errTokenTimeout, fault.Timeout, CodeCredentialTimeout, message).
			WithSuggestion("Send it again: the next call finds the new token. A token endpoint that stays slow needs a longer timeout in the policy."),
	}
}

// badResponse is an answer that cannot be passed on.
func badResponse(text string) *failure {
	return &failure{
		outcome: OutcomeReset, text: text,
		err: fault.New(fault.BadGateway, CodeBadResponse, "The upstream's answer cannot be passed on."),
	}
}

const notHTTP = "what came back is not valid HTTP"

// malformed is an answer that is not HTTP. That it came shows that the request left.
func malformed(cause error) *failure {
	text := notHTTP
	if _, ok := http1.Malformed(cause); ok {
		text = describe(cause)
	}
	return &failure{
		outcome: OutcomeReset, text: text,
		err: fault.Wrap(cause, fault.BadGateway, CodeBadResponse, "What the upstream answered is not valid HTTP. Whether it acted on the request is unknown."),
	}
}

// callerBody is a request body that could not be read to its end.
func callerBody(cause error) *failure {
	f := &failure{outcome: OutcomeCanceled, text: "the request body could not be read"}
	if _, ok := errors.AsType[*http.MaxBytesError](cause); ok {
		f.outcome = OutcomeRejectedLocal
		f.err = fault.Wrap(cause, fault.TooLarge, "", "The request body is too large.")
		return f
	}
	f.err = fault.Wrap(cause, fault.Invalid, CodeCallerBody, "The request body could not be read to its end.")
	return f
}

// callerSlow is a call whose time ran out while we waited for the caller. It says nothing about the
// upstream.
func callerSlow(text string) *failure {
	return &failure{
		outcome: OutcomeCanceled, text: text,
		err: fault.New(fault.Timeout, CodeCallerSlow, "The time for the call ran out while the gateway waited for the caller."),
	}
}

// describe words an error for the record. net/http quotes what it could not parse, and that can be
// anything; so only errors whose text we know are repeated.
func describe(err error) string {
	for _, known := range []error{errAttemptTimeout, errTotalTimeout, errTokenTimeout, errReplay, errAttempts} {
		if errors.Is(err, known) {
			return known.Error()
		}
	}
	if denied, ok := errors.AsType[*egress.DeniedError](err); ok {
		return denied.Error()
	}
	if why, ok := http1.Malformed(err); ok {
		return notHTTP + ": " + why
	}
	if op, ok := errors.AsType[*net.OpError](err); ok {
		return op.Error()
	}
	if dns, ok := errors.AsType[*net.DNSError](err); ok {
		return dns.Error()
	}
	if errors.Is(err, errHandshake) || isTLS(err) {
		return err.Error()
	}
	if errno, ok := errors.AsType[syscall.Errno](err); ok {
		return errno.Error()
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return "i/o timeout"
	}
	return "the connection ended before the answer did"
}

// writeNotImplemented answers err with 501. It is the one status that no kind of fault has: everything
// else the gateway refuses fits one.
func writeNotImplemented(w http.ResponseWriter, r *http.Request, err error, requestID string, now time.Time) {
	const status = http.StatusNotImplemented
	env := fault.NewEnvelope(err, requestID, now)
	var body any = env
	contentType := "application/json; charset=utf-8"
	if fault.WantsProblem(r) {
		contentType = "application/problem+json; charset=utf-8"
		body = fault.Problem{
			Type: "about:blank", Title: http.StatusText(status), Status: status, Detail: env.Error.Message,
			Code: env.Error.Code, Details: env.Error.Details, RequestID: env.RequestID, Timestamp: env.Timestamp,
		}
	}
	fault.SetHeaders(w.Header(), err)
	w.Header().Set("Content-Type", contentType)
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		// The client is gone if this fails; there is nobody left to tell.
		_ = json.NewEncoder(w).Encode(body)
	}
}
