package alerts

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"switchgear/db"
	"switchgear/internal/alerts/channels"
)

// teller decides what is told of a change, at one moment. It changes copies: an alert is what it was until the
// copy is stored.
type teller struct {
	set  *settings
	cfg  Config
	now  time.Time
	link func(alertID string) string
	// others are the alerts that may tell of the incident of another one, by connection.
	others map[string][]*Alert
	// holds are the conditions that say what they are about, by fingerprint.
	holds map[string]Condition
}

// opened makes an alert of a condition, or takes up the one that ended lately.
func (t teller) opened(before *Alert, rule Rule, c Condition, key string, since time.Time) change {
	var a Alert
	if before != nil && (before.Flapping || t.now.Sub(before.ChangedAt) <= t.cfg.Quiet) {
		a = before.clone()
		a.Flaps++
		a.FiredBefore = before.Lasted(t.now)
		since = laterOf(since, before.ResolvedAt)
		a.Acknowledged, a.ResolvedAt, a.ResolvedWhy = Acknowledgement{}, time.Time{}, ""
	} else {
		a = Alert{ID: db.NewID("alr"), Fingerprint: key, OpenedAt: since}
	}
	a.RuleID, a.RuleName, a.RuleKind, a.Severity = rule.ID, rule.Name, rule.Kind, rule.Severity
	a.ConnectionID, a.Connection, a.ConnectionName, a.Environment = c.Connection.ID, c.Connection.Slug, c.Connection.Name, c.Connection.Environment
	a.Operation, a.State, a.Why, a.ChangedAt, a.FiredAt = c.Operation, StateFiring, c.Why, t.now, since
	return change{&a, t.tell(&a, rule, channels.EventFiring)}
}

// resolved ends an alert. Of a rule that is gone nobody knows whom to tell.
func (t teller) resolved(before *Alert, rule Rule, exists bool, why string) change {
	a := before.clone()
	a.State, a.ResolvedWhy, a.ChangedAt, a.ResolvedAt, a.owed = StateResolved, why, t.now, t.now, false
	if !exists {
		a.Flapping, a.announced = false, false
		return change{&a, nil}
	}
	return change{&a, t.tell(&a, rule, channels.EventResolved)}
}

// later is what becomes due of an alert that did not change: it is stable again, a mute ended, somebody has to
// be reminded.
func (t teller) later(before *Alert, rule Rule, exists bool) (change, bool) {
	a := before.clone()
	if !exists {
		return change{}, false
	}
	_, muted := t.mute(&a)
	by, taken := t.takenOver(&a, rule)
	switch {
	case a.Flapping && t.now.Sub(a.ChangedAt) >= t.cfg.Quiet:
		a.Flapping, a.told = false, nil
		event := channels.EventResolved
		if a.Firing() {
			event = channels.EventFiring
		}
		return change{&a, t.tell(&a, rule, event)}, true
	case !a.Firing() || a.Flapping:
		return change{}, false
	case muted:
		if a.owed {
			return change{}, false
		}
		// Nothing is told now. Once the mute is over, it is.
		a.owed = true
		return change{&a, nil}, true
	case taken:
		a.CarriedBy, a.announced, a.owed = by, false, false
		return change{&a, nil}, true
	case a.CarriedBy != "" && t.carried(&a, rule):
		return change{}, false
	case a.CarriedBy != "" && !t.tellable(rule):
		a.CarriedBy = ""
		return change{&a, nil}, true
	case !a.Acknowledged.At.IsZero():
		return change{}, false
	case (a.owed || !a.announced) && t.tellable(rule):
		if c, ok := t.holds[a.Fingerprint]; ok { // What ends may be another one since it was opened.
			a.Why = c.Why
		}
		return change{&a, t.tell(&a, rule, channels.EventFiring)}, true
	case rule.Repeat > 0 && a.announced && t.now.Sub(a.remindedAt) >= rule.Repeat:
		a.remindedAt = t.now
		return change{&a, t.notifications(&a, rule, channels.EventReminder, "")}, true
	}
	return change{}, false
}

// tell decides what is sent about a change of the state.
func (t teller) tell(a *Alert, rule Rule, event channels.Event) []Notification {
	firing := event == channels.EventFiring
	if !firing && (!a.announced || !rule.NotifyResolved) {
		a.announced = a.announced && a.Flapping
		return nil
	}
	if a.Flapping {
		return nil
	}
	if m, muted := t.mute(a); muted {
		a.owed = firing
		a.announced = a.announced && firing
		return t.notifications(a, rule, event, fmt.Sprintf("Muted by %s until %s: %s", m.By, m.Until.UTC().Format("2006-01-02 15:04 UTC"), m.Reason))
	}
	if firing {
		a.CarriedBy = ""
		if other := t.carrier(a, rule); other != nil {
			a.CarriedBy, a.announced, a.owed = other.ID, false, false
			return nil
		}
	}
	if !t.tellable(rule) { // whoever can be told later hears of it then
		a.announced = false
		return t.notifications(a, rule, event, "")
	}
	a.told = slices.DeleteFunc(a.told, func(at time.Time) bool { return t.now.Sub(at) >= t.cfg.FlapWindow })
	if len(a.told) >= t.cfg.MostTold {
		a.Flapping, a.announced, a.owed = true, true, false
		return t.notifications(a, rule, channels.EventFlapping, "")
	}
	a.told = append(a.told, t.now)
	a.announced, a.owed = firing, false
	if firing {
		a.remindedAt = t.now
	}
	return t.notifications(a, rule, event, "")
}

// tellable reports whether there is anybody to tell.
func (t teller) tellable(rule Rule) bool {
	return slices.ContainsFunc(rule.Channels, func(id string) bool {
		c, ok := t.set.channel(id)
		return ok && c.Enabled
	})
}

// mute returns the one that covers an alert for longest.
func (t teller) mute(a *Alert) (longest Mute, muted bool) {
	for _, m := range t.set.mutes {
		if m.Active(t.now) && m.covers(a.RuleID, a.ConnectionID) && m.Until.After(longest.Until) {
			longest, muted = m, true
		}
	}
	return longest, muted
}

// notifications makes one for each channel of a rule. With a reason they are noted and not sent.
func (t teller) notifications(a *Alert, rule Rule, event channels.Event, suppressed string) []Notification {
	var out []Notification
	for _, id := range rule.Channels {
		c, ok := t.set.channel(id)
		if !ok {
			continue
		}
		n := Notification{
			ID: db.NewID("ant"), AlertID: a.ID, RuleID: rule.ID, ChannelID: c.ID, ChannelName: c.Name, ChannelKind: c.Kind, Event: event,
			State: NotificationPending, Reason: suppressed, CreatedAt: t.now, RunAt: t.now,
		}
		if !c.Enabled && n.Reason == "" {
			n.Reason = "The channel is disabled."
		}
		if n.Reason != "" {
			n.State, n.FinishedAt = NotificationSuppressed, t.now
		}
		n.Message = t.message(a, n.ID, event)
		out = append(out, n)
	}
	return out
}

func (t teller) message(a *Alert, id string, event channels.Event) channels.Message {
	m := channels.Message{
		ID: id, Event: event, At: t.now, AlertID: a.ID, Rule: a.RuleName, RuleKind: a.RuleKind, Severity: string(a.Severity), State: string(a.State),
		Connection: a.Connection, ConnectionName: a.ConnectionName, Environment: a.Environment, Operation: a.Operation, Why: a.Why,
		OpenedAt: a.OpenedAt, FiredAt: a.FiredAt, ResolvedAt: a.ResolvedAt, Flaps: a.Flaps, URL: t.link(a.ID),
	}
	switch event {
	case channels.EventResolved:
		m.Why = a.ResolvedWhy
	case channels.EventReminder:
		m.Why = fmt.Sprintf("It still holds, since %s. %s", a.FiredAt.UTC().Format("2006-01-02 15:04 UTC"), a.Why)
	case channels.EventFlapping:
		m.Why = fmt.Sprintf("It comes and goes: nothing more is sent until it kept its state for %s. %s", short(t.cfg.Quiet), strings.TrimSpace(a.Why))
	case channels.EventFiring, channels.EventSummary, channels.EventTest, channels.EventConnect:
	}
	return m
}

// clone is a copy that shares nothing.
func (a *Alert) clone() Alert {
	out := *a
	out.told = slices.Clone(a.told)
	return out
}

// ruleOf is the rule in a fingerprint.
func ruleOf(key string) string {
	id, _, _ := strings.Cut(key, "|")
	return id
}
