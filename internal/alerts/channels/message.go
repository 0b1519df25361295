package channels

import (
	"strconv"
	"strings"
	"time"
	"unicode"
)

// Event is what a message tells.
type Event string

// The events.
const (
	EventFiring   Event = "firing"   // a condition began to hold, or holds again
	EventResolved Event = "resolved" // it ended
	EventReminder Event = "reminder" // it still holds
	EventFlapping Event = "flapping" // it comes and goes: silence until it is stable
	EventSummary  Event = "summary"  // many alerts of a rule at once
	EventTest     Event = "test"     // somebody pressed the button
	EventConnect  Event = "connect"  // a connect link ended; no alert
)

// Events lists every event.
func Events() []Event {
	return []Event{EventFiring, EventResolved, EventReminder, EventFlapping, EventSummary, EventTest, EventConnect}
}

// Message is what is sent. It holds no secret.
type Message struct {
	// ID is the same over all attempts.
	ID    string    `json:"id"`
	Event Event     `json:"event"`
	At    time.Time `json:"at"`
	// Rest is about the alert; a test has none of it but the sentence.
	AlertID        string    `json:"alert_id,omitempty"`
	Rule           string    `json:"rule,omitempty"`
	RuleKind       string    `json:"rule_kind,omitempty"`
	Severity       string    `json:"severity,omitempty"`
	State          string    `json:"state,omitempty"`
	Connection     string    `json:"connection,omitempty"`
	ConnectionName string    `json:"connection_name,omitempty"`
	Environment    string    `json:"environment,omitempty"`
	Operation      string    `json:"operation,omitempty"`
	Why            string    `json:"why"`
	OpenedAt       time.Time `json:"opened_at,omitzero"`
	// FiredAt is since when it fires this time, or fired last.
	FiredAt    time.Time `json:"fired_at,omitzero"`
	ResolvedAt time.Time `json:"resolved_at,omitzero"`
	Flaps      int       `json:"flaps,omitempty"`
	URL        string    `json:"url,omitempty"`
	// Fired and Ended are how many alerts a summary tells of, Firing how many of its rule fire.
	Fired  int `json:"fired,omitempty"`
	Ended  int `json:"ended,omitempty"`
	Firing int `json:"firing,omitempty"`
	// SessionID, Account, Status and Error are those of a connect link.
	SessionID string `json:"connect_session,omitempty"`
	Account   string `json:"account,omitempty"`
	Status    string `json:"status,omitempty"`
	Error     string `json:"error,omitempty"`
}

// Title is a line that tells what happened to what.
func (m Message) Title() string {
	switch m.Event {
	case EventTest:
		return "Test of an alert channel"
	case EventConnect:
		return oneLine("Connect link of " + m.ConnectionName + ": " + m.Status)
	case EventSummary:
		return oneLine("[SUMMARY] " + m.Rule + ": " + m.counts())
	case EventFiring, EventResolved, EventReminder, EventFlapping:
	}
	what := strings.ToUpper(string(m.Event))
	subject := m.ConnectionName
	if subject == "" {
		subject = m.Connection
	}
	if m.Operation != "" {
		subject += " / " + m.Operation
	}
	return oneLine("[" + what + "] " + m.Rule + ": " + subject)
}

// counts are those of a summary.
func (m Message) counts() string {
	var parts []string
	if m.Fired > 0 {
		parts = append(parts, strconv.Itoa(m.Fired)+" fired")
	}
	if m.Ended > 0 {
		parts = append(parts, strconv.Itoa(m.Ended)+" ended")
	}
	return strings.Join(append(parts, strconv.Itoa(m.Firing)+" firing now"), ", ")
}

// Type is what happened, in the words of a webhook.
func (m Message) Type() string {
	if m.Event == EventConnect {
		return "connect_session." + m.Status
	}
	return "alert." + string(m.Event)
}

// oneLine makes text fit for a header: no line break, no other control character.
func oneLine(s string) string {
	return strings.Join(strings.FieldsFunc(strings.ToValidUTF8(s, "\uFFFD"), func(r rune) bool {
		return unicode.IsControl(r) || r == '\u2028' || r == '\u2029' || r == ' '
	}), " ")
}

// clip bounds text, in characters.
func clip(s string, most int) string {
	if r := []rune(s); len(r) > most {
		return string(r[:most-1]) + "…"
	}
	return s
}

func (m Message) facts() []fact {
	all := []fact{
		{"Severity", m.Severity},
		{"Connection", m.Connection},
		{"Environment", m.Environment},
		{"Operation", m.Operation},
	}
	if !m.OpenedAt.IsZero() {
		all = append(all, fact{"Opened", m.OpenedAt.UTC().Format(time.RFC3339)})
	}
	if m.FiredAt.After(m.OpenedAt) {
		all = append(all, fact{"Came back", m.FiredAt.UTC().Format(time.RFC3339)})
	}
	if !m.ResolvedAt.IsZero() {
		all = append(all, fact{"Resolved", m.ResolvedAt.UTC().Format(time.RFC3339)})
	}
	var out []fact
	for _, f := range all {
		if f.value != "" {
			out = append(out, f)
		}
	}
	return out
}

type fact struct{ name, value string }
