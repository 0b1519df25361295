package alerts

import (
	"time"

	"switchgear/internal/alerts/channels"
)

// State is how an alert is.
type State string

// The states.
const (
	StateFiring   State = "firing"
	StateResolved State = "resolved"
)

// States lists every state.
func States() []State { return []State{StateFiring, StateResolved} }

// Alert is one incident: a condition of a rule that holds, or held, for a connection or one of its operations.
type Alert struct {
	ID, Fingerprint            string
	RuleID, RuleName, RuleKind string
	Severity                   Severity
	// The connection as it was when the alert was opened; its id is never used again.
	ConnectionID, Connection, ConnectionName, Environment string
	// Operation is empty for the connection as a whole.
	Operation string
	State     State
	// Why is a sentence or two, ResolvedWhy how it is since it ended.
	Why, ResolvedWhy string
	// OpenedAt is when it was seen first, ChangedAt since when its state is what it is. FiredAt is since when it
	// fires, or fired last.
	OpenedAt, ChangedAt, FiredAt time.Time
	// FiredBefore is how long it fired the times before that.
	FiredBefore time.Duration
	// ResolvedAt is zero while it fires.
	ResolvedAt time.Time
	// Acknowledged is zero while nobody did; it stops reminders, and ends when the alert comes back.
	Acknowledged Acknowledgement
	// Flaps counts how often it came back soon after it had ended.
	Flaps int
	// Flapping alerts are silent until they are stable.
	Flapping bool
	// CarriedBy is the id of the alert that tells of the same incident, empty where it is told by itself.
	CarriedBy string
	// SummarisedAt is when it was told together with others last; zero when it never was.
	SummarisedAt time.Time
	// Episodes are the times that it fired, the oldest first. Only [Service.Get] reads them.
	Episodes []Episode

	// gathered says that a change waits to be told together with others.
	announced, owed, gathered bool
	told                      []time.Time
	remindedAt                time.Time
}

// Acknowledgement is who looks after an alert.
type Acknowledgement struct {
	At       time.Time
	By, Note string
}

// Episode is one of the times that an alert fired. ResolvedAt is zero while it does.
type Episode struct {
	FiredAt, ResolvedAt time.Time
	Why, ResolvedWhy    string
}

// Lasted is how long it fired until now, without the times in between.
func (a *Alert) Lasted(now time.Time) time.Duration {
	if !a.Firing() {
		now = a.ResolvedAt
	}
	return a.FiredBefore + max(0, now.Sub(a.FiredAt))
}

// Firing reports whether the condition holds.
func (a *Alert) Firing() bool { return a.State == StateFiring }

// fingerprint is what makes two incidents the same.
func fingerprint(ruleID, connectionID, operation string) string {
	return ruleID + "|" + connectionID + "|" + operation
}

// NotificationState is how far a notification got.
type NotificationState string

// The states of a notification.
const (
	NotificationPending    NotificationState = "pending"    // waits for its time
	NotificationSending    NotificationState = "sending"    // an attempt is under way
	NotificationDelivered  NotificationState = "delivered"  // the other end took it
	NotificationDead       NotificationState = "dead"       // given up
	NotificationSuppressed NotificationState = "suppressed" // not to be sent
)

// NotificationStates lists every state.
func NotificationStates() []NotificationState {
	return []NotificationState{NotificationPending, NotificationSending, NotificationDelivered, NotificationDead, NotificationSuppressed}
}

// Notification is a message for one channel.
type Notification struct {
	// ID stays the same over all attempts.
	ID string
	// AlertID and RuleID are empty for a test.
	AlertID, RuleID string
	// ChannelName and ChannelKind are those at the time.
	ChannelID, ChannelName, ChannelKind string
	Event                               channels.Event
	State                               NotificationState
	// Reason says why it was suppressed.
	Reason  string
	Message channels.Message
	// Attempts counts those that began.
	Attempts int
	// RunAt is when the next attempt is due.
	RunAt     time.Time
	LastError string
	CreatedAt time.Time
	// FinishedAt is zero until it is delivered, given up or suppressed.
	FinishedAt time.Time
}

// Mute keeps notifications from being sent for a while.
type Mute struct {
	ID string
	// RuleID and ConnectionID select alerts; empty for all. Connection is the slug.
	RuleID, ConnectionID, Connection string
	Until                            time.Time
	Reason                           string
	// By is who made it.
	By        string
	CreatedAt time.Time
}

// Active reports whether it is in force.
func (m Mute) Active(now time.Time) bool { return now.Before(m.Until) }

// Covers reports whether it is about an alert, whether in force or not.
func (m Mute) Covers(a *Alert) bool { return m.covers(a.RuleID, a.ConnectionID) }

func (m Mute) covers(ruleID, connectionID string) bool {
	return (m.RuleID == "" || m.RuleID == ruleID) && (m.ConnectionID == "" || m.ConnectionID == connectionID)
}

// MaxMute is how long a mute may last.
const MaxMute = 30 * 24 * time.Hour
