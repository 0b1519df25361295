package alerts

import (
	"time"

	"switchgear/web/templates/layout"
)

// ChannelsView is every channel, and the notifications that could not be delivered.
type ChannelsView struct {
	Page     layout.Page
	Now      time.Time
	Channels []Channel
	// Dead are the newest notifications that could not be delivered.
	Dead         []Notification
	CanOperate   bool
	CanConfigure bool
}

// Channel is one way to tell people.
type Channel struct {
	ID, Name string
	// Kind is its machine name, KindLabel what it is called.
	Kind, KindLabel string
	// Target is where it leads to; empty where that is secret.
	Target  string
	Enabled bool
	// OffWhy says why the program switched it off; empty otherwise.
	OffWhy string
	// Rules counts the rules that tell it.
	Rules int
	// Last is the last notification that was tried, nil before the first.
	Last      *Notification
	UpdatedAt time.Time
}

// ChannelView is one channel.
type ChannelView struct {
	Page    layout.Page
	Now     time.Time
	Channel Channel
	// Settings are the values that are not secret; PreviousUntil is until when the secret before a rotation
	// signs as well, zero without one.
	Settings      []Setting
	PreviousUntil time.Time
	// Rules are those that tell it.
	Rules         []Option
	Notifications []Notification
	// Signed says that a secret of ours signs what is sent, which can be rotated.
	Signed bool
	// Test is how the test that was just sent ended, nil when none was.
	Test         *TestResult
	CanOperate   bool
	CanConfigure bool
}

// Setting is one value of a channel.
type Setting struct{ Key, Value string }

// TestResult is how a test message ended.
type TestResult struct {
	Sent bool
	// Error says how it failed.
	Error string
	Took  time.Duration
}

// ChannelKind is a way to tell people.
type ChannelKind struct{ ID, Label, About string }

// ChannelKindsView asks for the kind of a new channel.
type ChannelKindsView struct {
	Page  layout.Page
	Kinds []ChannelKind
}

// ChannelFormView makes or changes a channel. It posts name, enabled, rules, once and the settings.
type ChannelFormView struct {
	Page layout.Page
	// ID is empty for a new channel.
	ID      string
	Kind    ChannelKind
	Name    string
	Enabled bool
	Params  []Param
	// Generates says that the secret is made here, and shown once.
	Generates bool
	// Rules can be chosen to tell a new channel; Chosen are their ids.
	Rules  []Option
	Chosen []string
	Once   string
	Errors Errors
}

// RotateView asks before the signing secret of a channel is replaced. It posts grace and once.
type RotateView struct {
	Page    layout.Page
	Channel Channel
	// Grace is how long the secret before signs as well: one of the choices.
	Grace, Once string
	Errors      Errors
}

// SecretView shows a secret, once.
type SecretView struct {
	Page layout.Page
	// ID and Name are those of the channel.
	ID, Name string
	Secret   string
	// Rotated says that it replaces another, which stays valid until Until; zero when it does not.
	Rotated bool
	Now     time.Time
	Until   time.Time
}
