package console

import (
	"net/http"
	"slices"
	"strings"
	"time"

	"switchgear/internal/alerts"
	"switchgear/internal/alerts/channels"
	alertsview "switchgear/web/templates/alerts"
)

// ruleNames are what rules are called, by id and as choices.
type ruleNames struct {
	byID    map[string]string
	options []alertsview.Option
}

func (p alertPages) ruleNames(r *http.Request) (ruleNames, error) {
	rules, err := p.Alerts.Rules(r.Context(), actor(r))
	if err != nil {
		return ruleNames{}, err
	}
	out := ruleNames{byID: map[string]string{}}
	for i := range rules {
		out.byID[rules[i].ID] = rules[i].Name
		out.options = append(out.options, alertsview.Option{Value: rules[i].ID, Label: rules[i].Name})
	}
	return out, nil
}

func alertRow(a *alerts.Alert, mutes []alerts.Mute, names ruleNames, now time.Time) alertsview.Row {
	row := alertsview.Row{
		ID: a.ID, RuleID: a.RuleID, Rule: a.RuleName, Severity: string(a.Severity), Status: string(a.State), Slug: a.Connection, Connection: a.ConnectionName,
		Operation: a.Operation, Why: a.Why, OpenedAt: a.OpenedAt, FiredAt: a.FiredAt, ResolvedAt: a.ResolvedAt, Lasted: a.Lasted(now),
		Flaps: a.Flaps, Flapping: a.Flapping, CarriedBy: a.CarriedBy,
	}
	if !a.Acknowledged.At.IsZero() {
		row.Ack = &alertsview.Ack{By: a.Acknowledged.By, Note: a.Acknowledged.Note, At: a.Acknowledged.At}
	}
	for i := range mutes {
		m := &mutes[i]
		if m.Active(now) && m.Covers(a) && (row.Muted == nil || m.Until.After(row.Muted.Until)) {
			mute := muteRow(m, names)
			row.Muted = &mute
		}
	}
	return row
}

func muteRow(m *alerts.Mute, names ruleNames) alertsview.Mute {
	out := alertsview.Mute{ID: m.ID, RuleID: m.RuleID, Rule: names.byID[m.RuleID], Slug: m.Connection, Reason: m.Reason, By: m.By, Since: m.CreatedAt, Until: m.Until}
	if out.Rule == "" {
		out.Rule = m.RuleID
	}
	return out
}

// firingFor are the alerts that fire for a connection, the worst first.
func (p alertPages) firingFor(r *http.Request, slug string) ([]alertsview.Row, error) {
	a := actor(r)
	page, err := p.Alerts.List(r.Context(), a, alerts.Query{State: alerts.StateFiring, Connection: slug, Sort: alerts.SortUrgency, Limit: mostFiring})
	if err != nil || len(page.Alerts) == 0 {
		return nil, err
	}
	mutes, err := p.Alerts.Mutes(r.Context(), a)
	if err != nil {
		return nil, err
	}
	names, err := p.ruleNames(r)
	if err != nil {
		return nil, err
	}
	var out []alertsview.Row
	for i := range page.Alerts {
		out = append(out, alertRow(&page.Alerts[i], mutes, names, p.Now()))
	}
	return out, nil
}

// about finds the alert that fires for one of some connections, of the operation if there is one, by its id; empty
// without any.
func (p alertPages) about(r *http.Request, slugs ...string) (func(slug, operation string) string, error) {
	firing, err := p.Alerts.FiringFor(r.Context(), actor(r), slugs...)
	return func(slug, operation string) (id string) {
		for i := range firing {
			switch a := &firing[i]; {
			case a.Connection != slug:
			case a.Operation == operation && a.CarriedBy == "":
				return a.ID
			case id == "":
				id = a.ID
			}
		}
		return id
	}, err
}

// told says whether anybody would hear of an alert.
func (p alertPages) told(r *http.Request) (alertsview.Told, error) {
	var out alertsview.Told
	a := actor(r)
	rules, err := p.Alerts.Rules(r.Context(), a)
	if err != nil {
		return out, err
	}
	channels, err := p.Alerts.Channels(r.Context(), a)
	if err != nil {
		return out, err
	}
	on := map[string]bool{}
	for i := range channels {
		on[channels[i].ID] = channels[i].Enabled
		if channels[i].Enabled {
			out.Channels++
			out.Channel = channels[i].Name
		}
	}
	for i := range rules {
		if !rules[i].Enabled {
			continue
		}
		out.Rules++
		if !slices.ContainsFunc(rules[i].Channels, func(id string) bool { return on[id] }) {
			out.Silent++
			out.Names = append(out.Names, rules[i].Name)
			if len(rules[i].Channels) > 0 {
				out.Off++
			}
		}
	}
	dead, err := p.deadNotifications(r)
	if err != nil {
		return out, err
	}
	for _, n := range dead {
		if p.Now().Sub(n.At) < 24*time.Hour {
			out.Dead++
		}
	}
	return out, nil
}

// mostDead is how many notifications that were given up are looked at.
const mostDead = 50

// deadNotifications are the newest messages about alerts that could not be delivered.
func (p alertPages) deadNotifications(r *http.Request) ([]alertsview.Notification, error) {
	page, err := p.Alerts.Notifications(r.Context(), actor(r), alerts.NotificationQuery{State: alerts.NotificationDead, Limit: mostDead})
	if err != nil {
		return nil, err
	}
	var out []alertsview.Notification
	for i := range page.Notifications {
		if n := &page.Notifications[i]; n.AlertID != "" || n.Event == channels.EventSummary { // a test concerns whoever pressed the button
			out = append(out, notificationRow(&page.Notifications[i]))
		}
	}
	return out, nil
}

func notificationRow(n *alerts.Notification) alertsview.Notification {
	out := alertsview.Notification{
		ID: n.ID, Status: string(n.State), ChannelID: n.ChannelID, Channel: n.ChannelName, AlertID: n.AlertID, RuleID: n.RuleID, Event: string(n.Event), At: n.CreatedAt,
		NextAt: n.RunAt, Attempts: n.Attempts, Error: n.LastError,
	}
	out.Alert = alertsview.Row{Slug: n.Message.Connection, Connection: n.Message.ConnectionName, Operation: n.Message.Operation, Rule: n.Message.Rule}.Title()
	switch n.State {
	case alerts.NotificationSuppressed:
		out.Error = n.Reason
	case alerts.NotificationDelivered:
		out.Error = "" // an attempt before may have failed
	case alerts.NotificationPending, alerts.NotificationSending, alerts.NotificationDead:
	}
	return out
}

// timeline is what happened to an alert, the newest first.
func timeline(a *alerts.Alert, muted *alertsview.Mute, sent []alerts.Notification) []alertsview.Event {
	var out []alertsview.Event
	add := func(kind alertsview.EventKind, at time.Time, by, text string) {
		out = append(out, alertsview.Event{Kind: kind, At: at, By: by, Text: text})
	}
	for i, e := range a.Episodes {
		kind := alertsview.EventFlapped
		if i == 0 && a.OpenedAt.Equal(e.FiredAt) {
			kind = alertsview.EventOpened
		}
		add(kind, e.FiredAt, "", e.Why)
		if !e.ResolvedAt.IsZero() {
			add(alertsview.EventResolved, e.ResolvedAt, "", "It lasted "+alertsview.Span(e.ResolvedAt.Sub(e.FiredAt))+". "+e.ResolvedWhy)
		}
	}
	if !a.SummarisedAt.IsZero() {
		add(alertsview.EventSummarised, a.SummarisedAt, "", "Many alerts of the rule changed within a short time: one message told of all of them.")
	}
	if !a.Acknowledged.At.IsZero() {
		add(alertsview.EventAcknowledged, a.Acknowledged.At, a.Acknowledged.By, a.Acknowledged.Note)
	}
	if muted != nil && a.Firing() {
		add(alertsview.EventMuted, muted.Since, muted.By, muted.Reason)
	}
	for i := range sent {
		n := notificationRow(&sent[i])
		at := n.At
		if !sent[i].FinishedAt.IsZero() {
			at = sent[i].FinishedAt
		}
		out = append(out, alertsview.Event{Kind: alertsview.EventNotified, At: at, Notification: n})
	}
	slices.SortStableFunc(out, func(x, y alertsview.Event) int { return y.At.Compare(x.At) })
	return out
}

// kindTitle is what a kind of rule is called; one that is gone keeps its name.
func kindTitle(id string) string {
	kind, err := alerts.LookupKind(id)
	if err != nil {
		return id
	}
	return kind.Info().Title
}

// durationText writes a duration as people do: 5m, not 5m0s. None is empty.
func durationText(d time.Duration) string {
	if d == 0 {
		return ""
	}
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}
