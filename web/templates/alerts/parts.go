package alerts

import (
	"strconv"
	"strings"
	"time"

	"github.com/a-h/templ"

	"switchgear/web/templates/ui"
)

// The addresses of the pages.
const (
	Path         = "/alerts"
	RulesPath    = "/alerts/rules"
	ChannelsPath = "/alerts/channels"
	MutesPath    = "/alerts/mutes"
)

// Topic is what the pages follow.
const Topic = "alerts"

// parts are the pages of alerting, with the one that is open.
func parts(current string) ui.Tabs {
	t := ui.Tabs{Label: "Alerting"}
	for _, i := range []ui.Tab{
		{Label: "Alerts", Href: Path}, {Label: "Rules", Href: RulesPath}, {Label: "Channels", Href: ChannelsPath}, {Label: "Mutes", Href: MutesPath},
	} {
		i.Current = i.Href == current
		t.Items = append(t.Items, i)
	}
	return t
}

func (r Row) href() string { return Path + "/" + r.ID }

// connection is the name of it, or else its slug.
func (r Row) connection() string {
	if r.Connection == "" {
		return r.Slug
	}
	return r.Connection
}

// about names what an alert concerns.
func (r Row) about() string {
	if r.Operation != "" {
		return r.connection() + " / " + r.Operation
	}
	return r.connection()
}

// Title names an alert: what it concerns and which rule says so.
func (r Row) Title() string {
	if r.about() == "" {
		return r.Rule
	}
	return r.about() + ": " + r.Rule
}

// muteHref asks for a mute of what the alert is about.
func (r Row) muteHref() string {
	return ui.URL(MutesPath+"/new", "alert", r.ID, "rule", r.RuleID, "connection", r.Slug)
}

func (r Row) firing() bool { return r.Status != StatusResolved }

// severityTone is the colour of a severity.
func severityTone(severity string) ui.Tone {
	switch severity {
	case SeverityCritical:
		return ui.ToneBad
	case SeverityWarning:
		return ui.ToneWarn
	case SeverityInfo:
		return ui.ToneAccent
	}
	return ui.ToneNone
}

// severityWord is what a severity is called.
func severityWord(severity string) string {
	switch severity {
	case SeverityCritical:
		return "Critical"
	case SeverityWarning:
		return "Warning"
	case SeverityInfo:
		return "Info"
	}
	return severity
}

func severityChip(severity string) ui.Chip {
	c := ui.Chip{Label: severityWord(severity), Tone: severityTone(severity)}
	if severity == SeverityCritical {
		c.Icon = "alert"
	}
	return c
}

// severities are the choices of a severity, the worst first.
func severities() []ui.Option {
	return []ui.Option{
		{Value: SeverityCritical, Label: "Critical", Hint: "Somebody has to look now."},
		{Value: SeverityWarning, Label: "Warning", Hint: "Somebody has to look today."},
		{Value: SeverityInfo, Label: "Info", Hint: "Good to know."},
	}
}

// statusChip says whether an alert fires.
func (r Row) statusChip() ui.Chip {
	switch r.Status {
	case StatusFiring:
		return ui.Chip{Label: "Firing", Tone: ui.ToneBad, Icon: "bell"}
	case StatusResolved:
		return ui.Chip{Label: "Resolved", Tone: ui.ToneOK}
	}
	return ui.Chip{Label: r.Status}
}

func flappingChip() ui.Chip {
	return ui.Chip{Label: "Flapping", Tone: ui.ToneWarn, Icon: "activity", Title: "It comes and goes. Nobody is told of its turns until it is stable."}
}

// status is whether it fires, and whether that is steady.
func (r Row) status() templ.Component {
	if r.Flapping {
		return ui.Lines(r.statusChip(), flappingChip())
	}
	return r.statusChip()
}

// chips say how bad it is and who knows.
func (r Row) chips(now time.Time) []templ.Component {
	out := []templ.Component{severityChip(r.Severity)}
	if r.Flapping {
		out = append(out, flappingChip())
	}
	if r.Flaps > 0 {
		out = append(out, ui.Badge{Label: "came back " + times(r.Flaps)})
	}
	if r.Ack != nil {
		out = append(out, ui.Chip{Label: "Acknowledged", Icon: "user", Tone: ui.ToneAccent})
	}
	if r.Muted != nil {
		out = append(out, ui.Chip{Label: "Muted for", Tone: ui.ToneHeld, Title: r.Muted.why(), More: ui.Countdown(r.Muted.Until, now)})
	}
	return out
}

// said is who acknowledged it, and the note.
func (a Ack) said() string {
	if a.Note == "" {
		return a.By
	}
	return a.By + ": " + a.Note
}

// why says who muted it, and the reason.
func (m Mute) why() string {
	if m.Reason == "" {
		return m.By
	}
	return m.By + ": " + m.Reason
}

// scope says what a mute holds for.
func (m Mute) scope() string {
	switch {
	case m.Rule != "" && m.Slug != "":
		return m.Rule + " on " + m.Slug
	case m.Rule != "":
		return m.Rule + " everywhere"
	case m.Slug != "":
		return "Everything on " + m.Slug
	}
	return "Everything"
}

// notificationChip says what became of a message.
func notificationChip(status string) ui.Chip {
	switch status {
	case NotificationPending, NotificationSending:
		return ui.Chip{Label: "Waiting", Tone: ui.ToneHeld, Icon: "clock"}
	case NotificationDelivered:
		return ui.Chip{Label: "Delivered", Tone: ui.ToneOK}
	case NotificationDead:
		return ui.Chip{Label: "Not delivered", Tone: ui.ToneBad}
	case NotificationSuppressed:
		return ui.Chip{Label: "Not told", Tone: ui.ToneIdle, Title: "A mute or an acknowledgement kept it from being sent."}
	}
	return ui.Chip{Label: status}
}

// about names the alert that a message is about.
func (n Notification) about() string {
	if n.AlertID == "" && n.Event != eventSummary {
		return "Test"
	}
	return n.Alert
}

// eventSummary is that of a message about many alerts of a rule.
const eventSummary = "summary"

// eventWord is what a message tells, in words.
func eventWord(event string) string {
	switch event {
	case "firing":
		return "it fires"
	case "resolved":
		return "it is over"
	case "reminder":
		return "it still fires"
	case "flapping":
		return "it comes and goes"
	case eventSummary:
		return "many at once"
	case "test":
		return "a test"
	}
	return event
}

// resend sends a notification again that could not be delivered; back is where it leads then.
func (n Notification) resend(back string) ui.PostButton {
	return ui.PostButton{
		Action: "/alerts/notifications/" + n.ID + "/resend", Hidden: map[string]string{"back": back},
		Button: ui.Button{Label: "Send again", Icon: "refresh", Small: true},
	}
}

// Span is a time in its largest whole unit.
func Span(d time.Duration) string {
	switch {
	case d < time.Minute:
		return strconv.Itoa(int(d.Seconds())) + " s"
	case d < time.Hour:
		return strconv.Itoa(int(d.Minutes())) + " min"
	case d < 48*time.Hour:
		return strconv.Itoa(int(d.Hours())) + " h"
	}
	return strconv.Itoa(int(d.Hours()/24)) + " days"
}

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return ui.Thousands(int64(n)) + " " + noun + "s"
}

// verb is the form of "is" for n things.
func verb(n int, one, many string) string {
	if n == 1 {
		return one
	}
	return many
}

func times(n int) string {
	if n == 1 {
		return "once"
	}
	return ui.Thousands(int64(n)) + " times"
}

func choices(options []Option) []ui.Option {
	out := make([]ui.Option, len(options))
	for i, o := range options {
		out[i] = ui.Option{Value: o.Value, Label: o.Label, Hint: o.Hint}
	}
	return out
}

// sentence joins the parts that are there.
func sentence(parts ...string) string {
	var out []string
	for _, p := range parts {
		if p != "" {
			out = append(out, p)
		}
	}
	return strings.Join(out, " ")
}

// confirm is the question of a view.
func (v ConfirmView) confirm() ui.Confirm {
	return ui.Confirm{
		Title: v.Title, Consequence: v.Consequence, Button: v.Button, Subject: v.Subject, Action: v.Action, Cancel: v.Cancel, Danger: v.Danger,
		Reason: true, Value: v.Reason, Errors: v.Errors,
	}
}
