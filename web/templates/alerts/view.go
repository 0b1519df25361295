// Package alerts holds the pages of what went wrong and who is told: alerts, the rules that make them, the
// channels they are told through, and mutes. View models are plain values; they know no domain package.
package alerts

import (
	"time"

	"switchgear/web/templates/layout"
)

// Errors maps the name of a field to what is wrong with it; the empty key concerns no one field.
type Errors map[string]string

// Option is one choice of a select.
type Option struct{ Value, Label, Hint string }

// The severities, as the API names them. One that is not here is shown as it is.
const (
	SeverityCritical = "critical"
	SeverityWarning  = "warning"
	SeverityInfo     = "info"
)

// The states of an alert, as the API names them. One that is not here is shown as it is.
const (
	StatusFiring   = "firing"
	StatusResolved = "resolved"
)

// Row is one alert: one incident of a rule on a connection or an operation of it.
type Row struct {
	ID           string
	RuleID, Rule string
	Severity     string
	Status       string
	// Slug and Connection are empty for what concerns no one connection.
	Slug, Connection, Operation string
	// Why is the sentence that says what is wrong.
	Why string
	// OpenedAt is when it fired first, FiredAt when it did this time, or last.
	OpenedAt, FiredAt, ResolvedAt time.Time
	// Lasted is how long it fired until now, without the times in between.
	Lasted time.Duration
	// Flaps is how often it came back soon after it had ended; Flapping that it is not told until it is stable.
	Flaps    int
	Flapping bool
	// CarriedBy is the id of the alert that tells of the same incident, empty where it is told by itself.
	CarriedBy string
	// Ack and Muted are nil when nobody acknowledged or muted it.
	Ack   *Ack
	Muted *Mute
}

// Ack is who took an alert on.
type Ack struct {
	By, Note string
	At       time.Time
}

// Mute keeps a rule, a connection, a rule on a connection, or everything from being told.
type Mute struct {
	ID           string
	RuleID, Rule string
	Slug         string
	Reason, By   string
	Since, Until time.Time
}

// Told says whether anybody would hear of an alert.
type Told struct {
	// Channels counts those that are switched on, Rules the rules that are, and Silent those of them that tell
	// none of these channels; of those, Off name only channels that are switched off.
	Channels, Rules, Silent, Off int
	// Channel is the name of the one that is switched on, where there is one. Names are those of silent rules.
	Channel string
	Names   []string
	// Dead counts the notifications of the last day that could not be delivered.
	Dead int
}

// ListView is what fires, and everything that did, newest first. The filters of the history are status,
// severity, connection, rule, from and to.
type ListView struct {
	Page layout.Page
	Now  time.Time
	// Firing are the worst of what fires, by severity, then age; FiringTotal counts all.
	Firing               []Row
	FiringTotal          int
	Rows                 []Row
	Total, Number, Limit int
	Status, Severity     string
	Connection, Rule     string
	From, To             string
	Rules                []Option
	Told                 Told
	CanOperate           bool
	CanConfigure         bool
	Errors               Errors
}

// AlertView is one alert.
type AlertView struct {
	Page layout.Page
	Now  time.Time
	Row  Row
	// Kind is what the rule watches, in words.
	Kind string
	// RuleGone says that the rule was deleted.
	RuleGone    bool
	Environment string
	Timeline    []Event
	Told        Told
	CanOperate  bool
	// CanConfigure leads to rules and channels.
	CanConfigure bool
	// Note is what was entered.
	Note   string
	Errors Errors
}

// EventKind is what an event of a timeline is about.
type EventKind string

// The kinds of event.
const (
	EventOpened       EventKind = "opened"
	EventFlapped      EventKind = "flapped"
	EventAcknowledged EventKind = "acknowledged"
	EventMuted        EventKind = "muted"
	EventResolved     EventKind = "resolved"
	EventNotified     EventKind = "notified"
	EventSummarised   EventKind = "summarised"
)

// Event is something that happened to an alert.
type Event struct {
	Kind EventKind
	At   time.Time
	// By and Text are who did it, and the note or reason.
	By, Text string
	// Notification is set for EventNotified.
	Notification Notification
}

// The states of a notification, as the API names them. One that is not here is shown as it is.
const (
	NotificationPending    = "pending"
	NotificationSending    = "sending"
	NotificationDelivered  = "delivered"
	NotificationDead       = "dead"
	NotificationSuppressed = "suppressed"
)

// Notification is one message to one channel.
type Notification struct {
	ID, Status         string
	ChannelID, Channel string
	AlertID, Alert     string
	// RuleID is that of the rule that many alerts were of, where it is about many.
	RuleID string
	// Event is what it tells, as the API names it.
	Event string
	// At is when it was made, NextAt when it is tried next.
	At, NextAt time.Time
	Attempts   int
	// Error is how the last attempt failed, or why it was not sent.
	Error string
}

// MutesView is what is muted, and what was within the last day.
type MutesView struct {
	Page       layout.Page
	Now        time.Time
	Active     []Mute
	Past       []Mute
	CanOperate bool
}

// MuteFormView mutes something. It posts rule, connection, for, until and reason to /alerts/mutes/new.
type MuteFormView struct {
	Page layout.Page
	Now  time.Time
	// Alert is the id of the alert that it was asked for, where the way back leads; empty otherwise.
	Alert            string
	Rule, Connection string
	Rules            []Option
	// For is one of the choices of [MuteEnds]; Until is read for MuteUntil.
	For, Until, Reason string
	Errors             Errors
}

// The choices of when a mute ends, beside durations.
const (
	// MuteTomorrow ends it at 9:00 of the next day, UTC.
	MuteTomorrow = "tomorrow"
	// MuteUntil ends it at a time that is entered.
	MuteUntil = "until"
)

// Tomorrow is 9:00 of the day after now, UTC.
func Tomorrow(now time.Time) time.Time {
	y, m, d := now.UTC().Date()
	return time.Date(y, m, d+1, 9, 0, 0, 0, time.UTC)
}

// ConfirmView asks for a reason before something with consequences is done. It is the page behind every
// dialog, so that the same action works without JavaScript.
type ConfirmView struct {
	Page                                layout.Page
	Title, Consequence, Button, Subject string
	Action, Cancel                      string
	Danger                              bool
	Reason                              string
	Errors                              Errors
}
