// Package rotation holds the pages about the keys that everything secret is encrypted with. No key is in any
// of its views.
package rotation

import (
	"time"

	"switchgear/web/templates/layout"
)

// Path is where the page is. The questions of its buttons are below it.
const Path = "/settings/keys"

// View is the page about the keys.
type View struct {
	Page   layout.Page
	Now    time.Time
	Master Master
	Keys   []Key
	// Destroyed is how many data keys were destroyed so far.
	Destroyed int
	// Rotation is the rotation of the data key under way, or the last one; nil when there was none.
	Rotation *Rotation
	Kinds    []Kind
	// Done of Total values are sealed with the present data key.
	Done, Total int64
}

// Master is the master key.
type Master struct {
	Fingerprint string
	// File is empty when the key comes from the environment.
	File string
	// Since is when it wrapped the keysets.
	Since time.Time
	// Previous are the fingerprints of the earlier ones that the process can read.
	Previous []string
}

// Key is one data key.
type Key struct {
	ID string
	// State is seals, opens or disabled.
	State                             string
	CreatedAt, ReplacedAt, DisabledAt time.Time
	Values                            int64
}

// Rotation is a rotation of the data key.
type Rotation struct {
	// State is running, paused or done.
	State                 string
	StartedAt, FinishedAt time.Time
	StartedBy             string
	// Failed is how many values did not open.
	Failed int64
	// Left is about how long it still takes; 0 when that is not known.
	Left time.Duration
}

// Kind is one kind of sealed values.
type Kind struct {
	Label, Table string
	Done, Total  int64
}

// AskView asks before something is done: why, and for the password once more.
type AskView struct {
	Page layout.Page
	// Title is the question, Consequence what happens, Confirm the word on the button.
	Title, Consequence, Confirm string
	Action                      string
	Danger                      bool
	// Retentions are offered for how long a key must have been disabled; none for other questions.
	Retentions []Option
	Retention  string
	Reason     string
	Errors     map[string]string
}

// Option is one choice.
type Option struct{ Value, Label string }
