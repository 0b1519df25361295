// Package fault is the product's error vocabulary.
//
// An error is a value with a kind. Features create one where the reason is known, callers wrap it
// with context (fmt.Errorf and %w), and the edges (console, api) turn it into HTTP in one place:
// [Kind.Status] decides the status, [NewEnvelope] the body. Invariants:
//
//   - Message is written for the person who sees it: no secret, no upstream body, no SQL.
//   - An error without a kind is [Internal]: its text is logged, never shown.
//   - Details never carry the value of a secret field.
package fault

import (
	"errors"
	"fmt"
	"time"
)

// Error is a failure with a kind, a stable machine code and a message for a person.
type Error struct {
	// Kind decides how the error is answered.
	Kind Kind
	// Code is a stable, upper-case identifier such as INVALID_EMAIL. Empty means the kind's own code.
	Code string
	// Message says what is wrong, in words that may be shown to whoever made the request.
	Message string
	// Details points at the part of the request that is wrong.
	Details Details
	// RetryAfter, when positive, tells the client how long to wait (Retry-After, whole seconds, rounded up).
	RetryAfter time.Duration

	cause error
}

// Details locates a problem in the request. Value is left empty for secret fields.
type Details struct {
	Field      string `json:"field,omitempty"`
	Value      string `json:"value,omitempty"`
	Suggestion string `json:"suggestion,omitempty"`
}

// New makes an error of a kind. An empty code stands for the kind's own code.
func New(kind Kind, code, message string) *Error {
	return &Error{Kind: kind, Code: code, Message: message}
}

// Newf is New with a formatted message and the kind's own code.
func Newf(kind Kind, format string, args ...any) *Error {
	return &Error{Kind: kind, Message: fmt.Sprintf(format, args...)}
}

// Field makes an Invalid error about one field of the request.
func Field(code, field, message string) *Error {
	return &Error{Kind: Invalid, Code: code, Message: message, Details: Details{Field: field}}
}

// Wrap gives cause a kind and a message to show; the cause itself is only logged.
func Wrap(cause error, kind Kind, code, message string) *Error {
	return &Error{Kind: kind, Code: code, Message: message, cause: cause}
}

// WithSuggestion returns a copy of e that also says what to do.
func (e *Error) WithSuggestion(suggestion string) *Error {
	c := *e
	c.Details.Suggestion = suggestion
	return &c
}

// WithValue returns a copy of e that repeats the offending value. Never use it for a secret.
func (e *Error) WithValue(value string) *Error {
	c := *e
	c.Details.Value = value
	return &c
}

// WithRetryAfter returns a copy of e that asks the client to wait.
func (e *Error) WithRetryAfter(d time.Duration) *Error {
	c := *e
	c.RetryAfter = d
	return &c
}

// Error returns the message followed by the cause, for logs.
func (e *Error) Error() string {
	if e.cause != nil {
		return e.Message + ": " + e.cause.Error()
	}
	return e.Message
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.cause }

// KindOf returns the kind of the first *Error in the chain of err, Internal when there is none.
func KindOf(err error) Kind {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Kind
	}
	return Internal
}

// Is reports whether err carries the kind.
func Is(err error, kind Kind) bool { return err != nil && KindOf(err) == kind }

// CodeOf returns the machine code that err is answered with.
func CodeOf(err error) string {
	if e, ok := errors.AsType[*Error](err); ok && e.Code != "" {
		return e.Code
	}
	return KindOf(err).Code()
}
