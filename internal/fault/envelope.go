package fault

import (
	"encoding/json"
	"errors"
	"math"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Envelope is the JSON body of every error of ours.
type Envelope struct {
	Error     Body      `json:"error"`
	RequestID string    `json:"request_id"`
	Timestamp time.Time `json:"timestamp"`
}

// Body is the inner part of an Envelope.
type Body struct {
	Code    string  `json:"code"`
	Message string  `json:"message"`
	Details Details `json:"details"`
}

// Problem carries the same facts as an Envelope in the form of RFC 9457.
type Problem struct {
	Type      string    `json:"type"`
	Title     string    `json:"title"`
	Status    int       `json:"status"`
	Detail    string    `json:"detail"`
	Code      string    `json:"code"`
	Details   Details   `json:"details"`
	RequestID string    `json:"request_id"`
	Timestamp time.Time `json:"timestamp"`
}

// NewEnvelope describes err for the client that made request id. An Internal error gives away
// nothing but the id to quote: its text stays in the log.
func NewEnvelope(err error, requestID string, now time.Time) Envelope {
	body := Body{Code: CodeOf(err), Message: PublicMessage(err)}
	if e, ok := errors.AsType[*Error](err); ok && e.Kind != Internal {
		body.Details = e.Details
	}
	return Envelope{Error: body, RequestID: requestID, Timestamp: now.UTC()}
}

// PublicMessage is the text of err that may be shown: the message of the first *Error in its chain,
// or a fixed sentence for an Internal one.
func PublicMessage(err error) string {
	e, ok := errors.AsType[*Error](err)
	if !ok || e.Kind == Internal {
		return "Something went wrong on our side. Quote the request id when you report it."
	}
	return e.Message
}

// WriteJSON answers err as our envelope, or as application/problem+json when the request asks for
// that. It sets the status, Retry-After and Cache-Control; nothing may have been written before.
func WriteJSON(w http.ResponseWriter, r *http.Request, err error, requestID string) {
	kind := KindOf(err)
	env := NewEnvelope(err, requestID, time.Now())
	var body any = env
	contentType := "application/json; charset=utf-8"
	if WantsProblem(r) {
		contentType = "application/problem+json; charset=utf-8"
		body = Problem{
			Type: "about:blank", Title: kind.Title(), Status: kind.Status(), Detail: env.Error.Message,
			Code: env.Error.Code, Details: env.Error.Details, RequestID: env.RequestID, Timestamp: env.Timestamp,
		}
	}
	SetHeaders(w.Header(), err)
	w.Header().Set("Content-Type", contentType)
	w.WriteHeader(kind.Status())
	if r.Method == http.MethodHead {
		return
	}
	// The client is gone if this fails; there is nobody left to tell.
	_ = json.NewEncoder(w).Encode(body)
}

// SetHeaders sets what every representation of err shares: Retry-After, Vary and Cache-Control.
func SetHeaders(h http.Header, err error) {
	h.Set("Cache-Control", "no-store")
	if !slices.Contains(h.Values("Vary"), "Accept") {
		h.Add("Vary", "Accept")
	}
	if e, ok := errors.AsType[*Error](err); ok && e.RetryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(int(math.Ceil(e.RetryAfter.Seconds()))))
	}
	if KindOf(err) == Unauthenticated && h.Get("WWW-Authenticate") == "" {
		h.Set("WWW-Authenticate", `Bearer realm="switchgear"`)
	}
}

// WantsProblem reports whether the request names application/problem+json in Accept.
func WantsProblem(r *http.Request) bool { return accepts(r, "application/problem+json") }

// WantsJSON reports whether the request names a JSON media type in Accept, as programs do and
// browsers do not.
func WantsJSON(r *http.Request) bool {
	return accepts(r, "application/json") || WantsProblem(r)
}

func accepts(r *http.Request, mediaType string) bool {
	for _, line := range r.Header.Values("Accept") {
		for part := range strings.SplitSeq(line, ",") {
			// A malformed parameter still names its media type.
			got, _, err := mime.ParseMediaType(part)
			if (err == nil || errors.Is(err, mime.ErrInvalidMediaParameter)) && got == mediaType {
				return true
			}
		}
	}
	return false
}

// FromEnvelope restores the error that a peer of ours answered with, so that a command shows what the
// server would have said. A status that no kind has becomes Internal.
func FromEnvelope(status int, env Envelope) *Error {
	kind := Internal
	for k := Internal; k <= Timeout; k++ {
		if k.Status() == status {
			kind = k
		}
	}
	return &Error{Kind: kind, Code: env.Error.Code, Message: env.Error.Message, Details: env.Error.Details}
}
