package connections

import (
	"time"

	"switchgear/web/templates/layout"
)

// RotateRegion is the id of the part of the page of a rotation that its test replaces.
const RotateRegion = "rotation"

// RotateView is the page of the rotation of the credential of an account. Its forms send "revision" and
//
//	rotate           stages: "auth.<field>", "expires_on", "reason"
//	rotate/test      "path"
//	rotate/switch    "keep" (a duration), "anyway", "reason"
//	rotate/rollback
//	rotate/destroy   "reason"
//	rotate/discard   "reason"
type RotateView struct {
	Page    layout.Page
	Now     time.Time
	Head    Header
	Account string
	// Auth is the label of the auth type, Refused why such a credential is not rotated like this.
	Auth, Refused string
	InUse         Credential
	Rotation      *Rotation // nil when there was none yet
	Fields        []AuthField
	Expiry        *Expiry // the last day of the new secret; nil for a kind without one
	Ends          string  // the last day of the secret in use, as 2027-01-31; empty when none is known
	Form          RotateForm
}

// RotateForm is what was entered in the forms of a rotation, with what is wrong.
type RotateForm struct {
	Path, Keep, Reason, ExpiresOn string
	Anyway                        bool
	// Of is the form that the errors belong to.
	Of     RotateStep
	Errors Errors
}

// RotateStep is one of the forms of a rotation.
type RotateStep string

// The forms.
const (
	RotateStage   RotateStep = "stage"
	RotateTest    RotateStep = "test"
	RotateSwitch  RotateStep = "switch"
	RotateDestroy RotateStep = "destroy"
	RotateDiscard RotateStep = "discard"
	// RotateBack is the button that rolls back.
	RotateBack RotateStep = "rollback"
)

// Rotation is how far the rotation of a credential is.
type Rotation struct {
	// State is staged, switched or done.
	State    string
	Revision int64
	StagedAt time.Time
	StagedBy string
	// ExpiresOn is the last day of the new secret, zero when none is known.
	ExpiresOn time.Time
	Test      *RotationTest // nil when there was none
	// SwitchedAt is zero before; KeptUntil is zero when the old one is kept until somebody destroys it.
	SwitchedAt, KeptUntil, RolledBackAt, DestroyedAt time.Time
	// RolledBackBy is empty when an older version of the connection was brought back.
	SwitchedBy, Reason, RolledBackBy, DestroyedBy string
}

// RotationTest is the last test of the staged credential.
type RotationTest struct {
	Passed bool
	// Request is method and path, Answer the status or why there was none, Message what that means and Hint
	// what to do about it.
	Request, Answer, Message, Hint string
	At                             time.Time
	By                             string
}

// DefaultKeep is for how long the old credential is kept unless somebody chooses otherwise.
const DefaultKeep = "168h"

// Keeps are the times that may be chosen.
func Keeps() []Option {
	return []Option{
		{Value: "24h", Label: "for a day"},
		{Value: DefaultKeep, Label: "for 7 days"},
		{Value: "720h", Label: "for 30 days"},
		{Value: "0s", Label: "until somebody destroys it"},
	}
}
