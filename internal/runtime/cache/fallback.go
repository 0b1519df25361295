package cache

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"switchgear/internal/fault"
)

// Cause is a failure of the upstream for which something else may be answered.
type Cause string

// The causes. An outcome that is none of them is answered as it is.
const (
	CauseStatus500     Cause = "status_500"
	CauseStatus502     Cause = "status_502"
	CauseStatus503     Cause = "status_503"
	CauseStatus504     Cause = "status_504"
	CauseBreakerOpen   Cause = "breaker_open"
	CauseTimeout       Cause = "timeout"
	CauseThrottled     Cause = "throttled"
	CauseConnectFailed Cause = "connect_failed"
	CauseBulkheadFull  Cause = "bulkhead_full"
	// CauseUnavailable is an answer that counts as a failure and has another status than those above.
	CauseUnavailable Cause = "unavailable"
)

// Causes returns all causes.
func Causes() []Cause {
	return []Cause{
		CauseStatus500, CauseStatus502, CauseStatus503, CauseStatus504,
		CauseBreakerOpen, CauseTimeout, CauseThrottled, CauseConnectFailed, CauseBulkheadFull, CauseUnavailable,
	}
}

// CauseOfStatus is the cause that a status stands for; false when it stands for none.
func CauseOfStatus(status int) (Cause, bool) {
	switch status {
	case http.StatusInternalServerError:
		return CauseStatus500, true
	case http.StatusBadGateway:
		return CauseStatus502, true
	case http.StatusServiceUnavailable:
		return CauseStatus503, true
	case http.StatusGatewayTimeout:
		return CauseStatus504, true
	case http.StatusTooManyRequests:
		return CauseThrottled, true
	}
	return "", false
}

// status is the status of the cause, 0 for one that is no answer of the upstream.
func (c Cause) status() int {
	switch c {
	case CauseStatus500:
		return http.StatusInternalServerError
	case CauseStatus502:
		return http.StatusBadGateway
	case CauseStatus503:
		return http.StatusServiceUnavailable
	case CauseStatus504:
		return http.StatusGatewayTimeout
	case CauseBreakerOpen, CauseTimeout, CauseThrottled, CauseConnectFailed, CauseBulkheadFull, CauseUnavailable:
	}
	return 0
}

// Step is one way to answer a call whose upstream failed.
type Step string

// The steps, in the order in which they are taken.
const (
	StepStale     Step = "stale"     // the answer kept, past its time
	StepStatic    Step = "static"    // an answer that was configured
	StepAlternate Step = "alternate" // another connection is asked
	StepError     Step = "error"     // the failure itself
)

// Fallback is what a connection, or one of its operations, has in store for a failure.
type Fallback struct {
	// Static is the answer that is given; nil for none.
	Static *Static
	// Alternate is the slug of the connection that is asked instead; empty for none.
	Alternate string
}

// Skipped is a step that is not taken, and why, in words for a person.
type Skipped struct {
	Step Step
	Why  string
}

// Plan is the way of a failed call: Steps are tried in order, the last is always StepError.
type Plan struct {
	Cause   Cause
	Steps   []Step
	Skipped []Skipped
}

// PlanFor decides what is tried after a failure. stale is what [Call.Stale] says, declared whether the operation
// is declared idempotent: then it has a fallback whatever its method.
func PlanFor(method string, declared bool, cause Cause, stale Stale, f Fallback) Plan {
	p := Plan{Cause: cause}
	skip := func(s Step, why string) { p.Skipped = append(p.Skipped, Skipped{s, why}) }
	if declared {
		method = http.MethodGet
	}
	if why := unfit(method, cause); why != "" {
		for _, s := range []Step{StepStale, StepStatic, StepAlternate} {
			skip(s, why)
		}
		p.Steps = []Step{StepError}
		return p
	}
	if stale.Usable {
		p.Steps = append(p.Steps, StepStale)
	} else {
		skip(StepStale, stale.Why)
	}
	if f.Static != nil {
		p.Steps = append(p.Steps, StepStatic)
	} else {
		skip(StepStatic, "no answer is configured")
	}
	if f.Alternate != "" {
		p.Steps = append(p.Steps, StepAlternate)
	} else {
		skip(StepAlternate, "no other connection is configured")
	}
	p.Steps = append(p.Steps, StepError)
	return p
}

func unfit(method string, cause Cause) string {
	switch {
	case method != http.MethodGet && method != http.MethodHead:
		return "only reads have a fallback"
	case !slices.Contains(Causes(), cause):
		return "the failure is not one that a fallback is for"
	}
	return ""
}

// Static is a configured answer.
type Static struct {
	Status int
	Header http.Header
	Body   []byte
}

const maxStatic = 64 << 10

// Validate reports the first field that is wrong, as fault.Invalid.
func (s *Static) Validate() error {
	const code = "INVALID_FALLBACK"
	if s.Status < 200 || s.Status > 599 {
		return fault.Field(code, "static.status", "It must be between 200 and 599.").WithValue(strconv.Itoa(s.Status))
	}
	if len(s.Body) > maxStatic {
		return fault.Field(code, "static.body", fmt.Sprintf("It must be at most %d bytes long.", maxStatic))
	}
	if len(s.Body) > 0 && (s.Status == http.StatusNoContent || s.Status == http.StatusNotModified) {
		return fault.Field(code, "static.body", "An answer with this status has no body.")
	}
	for _, name := range slices.Sorted(maps.Keys(s.Header)) {
		if !isToken(name) || http.CanonicalHeaderKey(name) != name {
			return fault.Field(code, "static.header", "The name of a header is not valid.").WithValue(name)
		}
		if notStored(name) || name == "Content-Length" {
			return fault.Field(code, "static.header", "This header cannot be set.").WithValue(name)
		}
		for _, v := range s.Header[name] {
			if strings.ContainsFunc(v, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }) {
				return fault.Field(code, "static.header", "The value of a header is not valid.").WithValue(name)
			}
		}
	}
	return nil
}

// Response is the configured answer, marked with the cause. sent says that the upstream was asked.
func (s *Static) Response(cause Cause, sent bool) *Response {
	m := marks{state: StateStatic, detail: string(cause)}
	if sent {
		m.forward, m.forwardStatus = fwdMiss, cause.status()
	}
	return &Response{Status: s.Status, header: s.Header, body: s.Body, marks: m}
}

func isToken(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		return r <= ' ' || r >= 0x7f || strings.ContainsRune(`"(),/:;<=>?@[\]{}`, r)
	})
}
