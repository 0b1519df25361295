package connections

import (
	"time"

	"switchgear/web/templates/layout"
)

// RequirementsView is the tab that says what a connection is for, and what to do when it fails.
type RequirementsView struct {
	Page layout.Page
	Now  time.Time
	Head Header
	// Requirements are in words; an empty value is shown as not said yet.
	Requirements []Fact
	// Runbook and Notes are Markdown.
	Runbook, Notes string
	Contacts       []Contact
	// Links lead out of the console; those without an address are not said yet.
	Links     []Link
	UpdatedAt time.Time
}

// Contact is somebody to ask.
type Contact struct{ Name, Reach string }

// Link is an address with what is found there.
type Link struct{ Label, Href string }

// RequirementsForm edits what the tab shows. It posts to /connections/{slug}/requirements/edit; the names
// of its controls are those of the fields in the definition: requirements.owner, documentation.runbook.
type RequirementsForm struct {
	Page layout.Page
	Head Header
	// Version is what the edit starts from, sent back as "version".
	Version int

	Owner, Purpose, DataClass, Criticality string
	Availability, P95                      string
	VolumeCalls, VolumePer                 string
	DataClasses, Criticalities             []Option

	Runbook, Notes string
	// Contacts has one a line: "Name: how to reach them".
	Contacts                       string
	StatusURL, DocsURL, OpenAPIURL string

	Reason string
	Errors Errors
}
