package runtime

import (
	"net/http"
	"time"

	"switchgear/internal/runtime/bodies"
	"switchgear/internal/telemetry"
)

// Recorder takes the record of every call. It must not block: Record runs on the path of the call.
type Recorder interface {
	Record(r Record)
}

// Record is what is known about a call once it is over. It holds no secret: headers and query are
// redacted, and what the credential added is shown as redacted only.
type Record struct {
	ID           string // the request id
	ConnectionID string
	Slug         string
	Account      string
	Version      int
	Operation    string // the id of the operation, empty when the call belongs to none
	Method       string
	Path         string // as the caller wrote it, below the base URL
	Query        string
	Host         string
	// Status is what the caller was answered: the upstream's status, or that of our error. 0 when the
	// caller went away before.
	Status  int
	Outcome Outcome
	// Cache is what the cache did: hit, stale, revalidated. Empty when the upstream answered, or nothing did.
	Cache     string
	Fallback  FallbackRecord
	Attempts  int  // how often the request was sent, or tried to be
	Hedges    int  // those of them that raced another one; they are no retries
	HedgeWon  bool // one of these was answered first
	StartedAt time.Time
	Duration  time.Duration
	Connect   time.Duration // name, connection and TLS; 0 on a pooled connection
	FirstByte time.Duration // from the start to the first byte of the response
	// RequestBytes and ResponseBytes count the bodies as they passed.
	RequestBytes  int64
	ResponseBytes int64
	ErrorCode     string // ours, empty when the upstream's answer was passed on whole
	ErrorText     string
	KeyID         string
	KeyName       string
	UserID        string // of a person who sent it from the console; then there is no key
	UserName      string
	ClientIP      string
	// RequestHeader is what was sent upstream, ResponseHeader what came back. Read only.
	RequestHeader  http.Header
	ResponseHeader http.Header
	Steps          []Step
	// SentAt is when the last attempt began, from the start of the call.
	SentAt time.Duration
	// LimitWait is how long its attempts waited for their turn in a rate limit; a millisecond is no wait.
	LimitWait time.Duration
	// Number is that of the last attempt, from 1 in the order in which they were sent; 0 without one.
	Number int
	Trace  telemetry.TraceContext
	// Retried are the attempts beside the one that decided, nil mostly: those before it, and those that it
	// outran.
	Retried []Retried
	// Bodies is nil where the connection does not record them, or the call did not come as far.
	Bodies *Bodies
}

// Bodies is what is kept of the bodies of a call: redacted and cut.
type Bodies struct{ Request, Response bodies.Body }

// Retried is an attempt after which the call was tried again, or that another one outran: then its outcome is
// [OutcomeCanceled], which says nothing about the upstream. What the last attempt was like is told by the record
// itself.
type Retried struct {
	Number  int  // in the order in which they were sent, from 1
	Hedge   bool // it was sent beside another one
	Outcome Outcome
	Status  int           // of the answer; 0 when there was none
	At      time.Duration // when it was sent, from the start of the call
	Took    time.Duration
	Reason  string // why it was tried again, or given up
}

// Step is one part of a call: when it began, counted from the start, and how long it took.
type Step struct {
	Name string
	At   time.Duration
	Took time.Duration
	Note string
}
