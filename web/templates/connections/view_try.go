package connections

import (
	"time"

	"switchgear/web/templates/calls"
	"switchgear/web/templates/layout"
)

// TryView is the tab that sends a request by hand. Its form posts to /connections/{slug}/try: method, path,
// account, query, headers, body.
type TryView struct {
	Page    layout.Page
	Now     time.Time
	Head    Header
	BaseURL string
	// LogBodies says that the call log keeps the bodies of what is sent.
	LogBodies         bool
	Methods, Accounts []Option

	// Query is one name=value a line, Headers one "Name: value" a line.
	Method, Path, Account, Query, Headers, Body string
	// Note says where what is filled in comes from.
	Note string
	// Recent are calls that can be sent again.
	Recent []calls.Row
	// Result is nil before anything was sent.
	Result *TryResult
	Errors Errors
}

// TryResult is what became of a request.
type TryResult struct {
	// Call has no id when the request did not become a call: it was refused before.
	Call calls.CallView
	// URL is where it was sent, with what is secret in the query replaced.
	URL, Account string
	// Problem is what the gateway answered instead of the upstream; nil when the upstream's answer came.
	Problem *TryProblem
}

// TryProblem is an error of the gateway, as an application gets it.
type TryProblem struct{ Code, Message, Suggestion string }
