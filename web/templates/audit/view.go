// Package audit holds the pages of the audit log: the list with its search, one entry, and the result
// of a verification.
package audit

import (
	"time"

	"switchgear/web/templates/layout"
)

// ListView is the audit log, newest first.
type ListView struct {
	Page                 layout.Page
	Now                  time.Time
	Rows                 []Row
	Total, Number, Limit int
	Search, Action       string
	Actor, Target        string
	// From and To are dates as typed (2006-01-02).
	From, To string
	Actions  []string
	Errors   map[string]string
	// Verified is set right after a verification.
	Verified *Verification
}

// Row is one entry.
type Row struct {
	Seq                           int64
	At                            time.Time
	ActorKind, ActorID, ActorName string
	Action                        string
	TargetKind, TargetID, Target  string
	Reason, RequestID, IP, MAC    string
	Details                       []Detail
}

// Detail is one fact of an entry.
type Detail struct{ Key, Value string }

// EntryView is one entry on its own page.
type EntryView struct {
	Page layout.Page
	Now  time.Time
	Row  Row
	// HasNext is true when a newer entry exists; without it the page has no link to the next one.
	HasNext bool
}

// Verification is what a check of the chain found.
type Verification struct {
	Entries int64
	LastSeq int64
	LastMAC string
	Took    time.Duration
	// Problems names the rows that do not hold; the chain is intact when it is empty.
	Problems []Problem
}

// Problem is one row that does not hold.
type Problem struct {
	Seq  int64
	What string
}
