// Package credentials holds the calendar of what ends: tokens that nothing can renew, certificates, secrets with
// a set end, accounts that need the consent of a person, and old credentials that are kept after a rotation.
package credentials

import (
	"time"

	"switchgear/web/templates/layout"
)

// Path is the address of the calendar.
const Path = "/credentials"

// What ends.
const (
	KindToken       = "token"
	KindCertificate = "certificate"
	KindConsent     = "consent"
	KindSecret      = "secret"
	KindOld         = "old" // the old credential of a rotation, which is destroyed by itself
)

// The groups, by when something ends.
const (
	GroupOverdue   = "overdue"
	GroupThreeDays = "3d"
	GroupTwoWeeks  = "14d"
	GroupLater     = "later"
)

// GroupOf is the group of what ends at a time.
func GroupOf(at, now time.Time) string {
	const day = 24 * time.Hour
	switch left := at.Sub(now); {
	case left <= 0:
		return GroupOverdue
	case left <= 3*day:
		return GroupThreeDays
	case left <= 14*day:
		return GroupTwoWeeks
	}
	return GroupLater
}

// CalendarView is the list of what ends, the first to end first.
type CalendarView struct {
	Page                 layout.Page
	Now                  time.Time
	Rows                 []Row
	Total, Number, Limit int
	// Search is part of a connection or an account, Group one of the groups; both may be empty.
	Search, Group string
	CanConfigure  bool
}

// Row is one thing that ends, or that has ended.
type Row struct {
	Slug, Name, Environment, Account string
	// Kind is one of the kinds above.
	Kind string
	At   time.Time
	// Rotatable says that the credential can be rotated with overlap.
	Rotatable bool
}
