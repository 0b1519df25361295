// Package calls holds the pages of the call log: the list with its filters, and one call with its
// timeline. View models are plain values; they know no domain package.
package calls

import (
	"time"

	"switchgear/web/templates/layout"
)

// Errors maps a filter to what is wrong with it.
type Errors map[string]string

// Option is one choice of a select.
type Option struct{ Value, Label string }

// ListView is the call log, newest first. Its filters are named like its fields, in the address:
// connection, outcome, class, status, method, path, request_id, from, to, cursor, limit.
type ListView struct {
	Page layout.Page
	Now  time.Time
	Rows []Row
	// Address is the page that holds the list; empty is /calls. A list at the address of a connection
	// has no filter and no column for it.
	Address string
	// Filters as they were asked for. Class is "2" to "5"; From and To are UTC, as 2006-01-02T15:04.
	Connection, Outcome, Class, Status, Method, Path, RequestID, From, To string
	// Outcomes are the choices of the filter, with their labels.
	Outcomes []Option
	// Cursor is where this page starts, empty for the newest; Next is where the next one does, empty on
	// the last.
	Cursor, Next string
	// SearchedTo is set when the filter has not looked at older calls yet: Next goes on there.
	SearchedTo time.Time
	Limit      int
	// Dropped counts calls that were made but not recorded since the start, because the log was full;
	// DroppedBodies those that were recorded without their bodies.
	Dropped, DroppedBodies int64
	// CanConfigure adds the button that makes a connection to the list without any call.
	CanConfigure bool
	Errors       Errors
}

// Row is one call.
type Row struct {
	// ID is the request id.
	ID string
	At time.Time
	// Connection is the slug.
	Connection, Account string
	Method, Path        string
	// Status is what the caller was answered; 0 when the caller was gone before.
	Status int
	// Outcome is its machine name, OutcomeLabel what is shown.
	Outcome, OutcomeLabel       string
	Took                        time.Duration
	RequestBytes, ResponseBytes int64
	Attempts                    int
	// Operation is the id of the operation whose policy it had, Cache what the cache did; both may be empty.
	Operation, Cache string
	// Key is the name of the API key that was used. User is who sent it from the console instead.
	Key, User string
	// Refusal is the code of our error when the call was rejected here.
	Refusal string
}

// CallView is one call on its own page.
type CallView struct {
	Page layout.Page
	Now  time.Time
	Call Row
	// Query is redacted. Host is where it was sent.
	Query, Host string
	// Version is the version of the connection that was active.
	Version            int
	Connect, FirstByte time.Duration
	// Fallback is what stood in for the upstream: "static" or "connection=slug"; empty for nothing.
	Fallback string
	// Gone says that the connection does not exist any more.
	Gone             bool
	ErrorCode, Error string
	KeyID, ClientIP  string
	RequestHeader    []Header
	ResponseHeader   []Header
	RequestBody      Body
	ResponseBody     Body
	Steps            []Step
	// TryHref leads to the form that sends it again; empty when the visitor may not.
	TryHref string
	// Curl repeats the call through the gateway; it holds no key.
	Curl string
}

// Header is one line of a request or response. Secrets are redacted before they come here.
type Header struct{ Name, Value string }

// Body is the recorded part of a body, redacted. Note says why there is none, or how much is missing.
type Body struct{ Text, Note string }

// NotRecorded is the note of a body of a connection that does not record them.
const NotRecorded = "The body is not recorded: the connection does not ask for it."

// Step is one part of a call: when it began, counted from the start, and how long it took.
type Step struct {
	Name     string
	At, Took time.Duration
	Note     string
	// Failed marks the step at which the call ended.
	Failed bool
}
