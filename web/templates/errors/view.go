// Package errors holds the pages and fragments that say what went wrong.
package errors

import (
	"time"

	"switchgear/web/templates/layout"
)

// View is an error for a person.
type View struct {
	// Page frames the error for someone who is signed in, Bare for everyone else; exactly one is set.
	Page *layout.Page
	Bare *layout.Bare

	Status               int
	Code, Title, Message string
	Field, Suggestion    string
	RequestID            string
	At                   time.Time
	// RetryAfter is how long to wait, when waiting helps.
	RetryAfter time.Duration
	// BackHref and BackLabel are the way on.
	BackHref, BackLabel string
}

// SealedView explains that the master key is missing or wrong.
type SealedView struct {
	Bare          layout.Bare
	Reason        string
	Expected, Got string
	KeyFile       string
	RequestID     string
}
