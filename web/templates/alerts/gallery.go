package alerts

import (
	"slices"
	"strings"
	"time"

	"github.com/a-h/templ"

	"switchgear/web/templates/layout"
	"switchgear/web/templates/ui"
)

// Gallery lists the states of every page of this package. All are looked at at one fixed moment.
func Gallery() []ui.State {
	return slices.Concat(listStates(), alertStates(), ruleStates(), channelStates(), muteStates())
}

func page(group, name string, view templ.Component) ui.State {
	return ui.State{Group: group, Name: name, View: view, Page: true}
}

// now is when all states are looked at.
func now() time.Time { return time.Date(2026, 3, 14, 9, 26, 53, 0, time.UTC) }

func ago(d time.Duration) time.Time { return now().Add(-d) }

func ahead(d time.Duration) time.Time { return now().Add(d) }

const (
	longName = "Payments of the Department of Integration and Reconciliation, second floor, <script>alert(1)</script> and subsidiaries"
	longText = "The vendor announced that the old host goes away at the end of the month, and 1,204 of 1,911 calls of the last ten minutes failed with " +
		"server_error; see the incident record for the list of the applications that had to be told."
	longOperation = "retrieveTheBalanceTransactionsOfAConnectedAccountWithTheirSourceAndDestinationExpanded"
	longEmail     = "a.person.with.a.very.long.name.in.the.unusual.department@subsidiary.of.the.holding.with.an.unusually.long.name.example.com"
)

func frame(title string) layout.Page {
	return layout.Page{
		Title: title, Path: Path, Version: "v0.1.0", RequestID: "req_8kd2f9a0c1", Live: []string{Topic},
		User: layout.User{Email: "ada@example.com", Name: "Ada Lovelace", Role: "operator", ProfileHref: "/profile", SignOutAction: "/sign-out"},
		Nav: layout.Nav{{Label: "Operate", Items: []layout.NavItem{
			{Label: "Overview", Href: "/", Icon: "activity"},
			{Label: "Alerts", Href: Path, Icon: "bell", Current: true, Count: "3", CountTone: ui.ToneBad},
			{Label: "Connections", Href: "/connections", Icon: "plug"},
		}}},
	}
}

func sampleMute() Mute {
	return Mute{
		ID: "mute_1", RuleID: "rule_2", Rule: "Held by vendor", Slug: "hubspot", Reason: "their maintenance, ticket 4711", By: "oscar@example.com",
		Since: ago(12 * time.Minute), Until: ahead(48 * time.Minute),
	}
}

// timed fills in how long rows that fired once did so.
func timed(rows ...Row) []Row {
	for i := range rows {
		r := &rows[i]
		end := r.ResolvedAt
		if end.IsZero() {
			end = now()
		}
		r.FiredAt, r.Lasted = r.OpenedAt, end.Sub(r.OpenedAt)
	}
	return rows
}

func sampleRows() []Row {
	mute := sampleMute()
	rows := timed(
		Row{
			ID: "alert_1", RuleID: "rule_1", Rule: "Breaker opened", Severity: SeverityCritical, Status: StatusFiring, Slug: "stripe", Connection: "Stripe live", Operation: "createCharge",
			Why: "38 of 60 calls failed in 60 s: 31× 503, 7× timeout. The breaker refuses calls.", OpenedAt: ago(14 * time.Minute),
		},
		Row{
			ID: "alert_2", RuleID: "rule_3", Rule: "Credential problem", Severity: SeverityCritical, Status: StatusFiring, Slug: "google-ads", Connection: "Google Ads",
			Why: "Refresh was refused (invalid_grant).", OpenedAt: ago(8 * time.Hour), Ack: &Ack{By: "ada@example.com", Note: "asked marketing to sign in again", At: ago(7 * time.Hour)},
		},
		Row{
			ID: "alert_3", RuleID: "rule_2", Rule: "Held by vendor", Severity: SeverityWarning, Status: StatusFiring, Flapping: true, Slug: "hubspot", Connection: "HubSpot CRM",
			Why: "The vendor asks for a pause of 41 s.", OpenedAt: ago(20 * time.Minute), Flaps: 6, Muted: &mute,
		},
		Row{
			ID: "alert_4", RuleID: "rule_4", Rule: "Quota runs low", Severity: SeverityInfo, Status: StatusFiring, Slug: "github", Connection: "GitHub",
			Why: "240 of 5,000 requests are left until 10:00 UTC.", OpenedAt: ago(20 * time.Minute), Flaps: 1,
		},
	)
	rows[3].FiredAt, rows[3].Lasted, rows[3].CarriedBy = ago(2*time.Minute), 5*time.Minute, "alert_1"
	return rows
}

func resolvedRow() Row {
	return timed(Row{
		ID: "alert_5", RuleID: "rule_1", Rule: "Breaker opened", Severity: SeverityCritical, Status: StatusResolved, Slug: "slack", Connection: "Slack",
		Why: "12 of 20 calls failed in 60 s: 12× connection refused.", OpenedAt: ago(26 * time.Hour), ResolvedAt: ago(25*time.Hour + 42*time.Minute), Flaps: 1,
		Ack: &Ack{By: "oscar@example.com", At: ago(25*time.Hour + 50*time.Minute)},
	})[0]
}

func longRow() Row {
	mute := Mute{ID: "mute_9", RuleID: "rule_9", Rule: longName, Slug: strings.Repeat("payments-", 7), Reason: longText, By: longEmail, Since: ago(time.Hour), Until: ahead(400 * 24 * time.Hour)}
	return timed(Row{
		ID: "alert_9", RuleID: "rule_9", Rule: longName, Severity: "of_a_later_version", Status: "of_a_later_version", Slug: strings.Repeat("payments-", 7), Connection: longName,
		Operation: longOperation, Why: longText, OpenedAt: ago(400 * 24 * time.Hour), Flaps: 12345, Ack: &Ack{By: longEmail, Note: longText, At: ago(time.Hour)}, Muted: &mute,
	})[0]
}

func sampleRuleOptions() []Option {
	return []Option{{Value: "rule_1", Label: "Breaker opened"}, {Value: "rule_2", Label: "Held by vendor"}, {Value: "rule_3", Label: "Credential problem"}}
}

func told() Told { return Told{Channels: 2, Rules: 5} }

func listStates() []ui.State {
	const group = "Alerts page"
	rows := sampleRows()
	many := ListView{
		Page: frame("Alerts"), Now: now(), Firing: rows, FiringTotal: 4, Rows: append(slices.Clone(rows), resolvedRow()), Total: 5, Number: 1, Limit: 50,
		Rules: sampleRuleOptions(), Told: told(), CanOperate: true,
	}
	calm := many
	calm.Firing, calm.FiringTotal, calm.Rows, calm.Total = nil, 0, []Row{resolvedRow()}, 1
	empty := calm
	empty.Rows, empty.Total, empty.Told, empty.CanConfigure = nil, 0, Told{Rules: 5}, true
	reader := empty
	reader.CanOperate, reader.CanConfigure, reader.Told = false, false, Told{Rules: 5}
	idle, silent := calm, many
	idle.Told = Told{Channels: 1}
	silent.Told, silent.CanConfigure, silent.CanOperate = Told{Channels: 1, Channel: "Operations", Rules: 5, Silent: 2, Names: []string{"Expires within 14 days", "Expires within a day"}, Dead: 3}, true, false
	more := many
	more.FiringTotal, more.Total, more.Number, more.Limit, more.Status = 1204, 10000, 3, 10, StatusFiring
	searched, wrong, past, long := calm, calm, calm, many
	searched.Rows, searched.Total, searched.Connection = nil, 0, "strype"
	wrong.From, wrong.Errors = "yesterday", Errors{"from": "Write a time as 2026-01-31T13:45 (UTC)."}
	past.Rows, past.Number, past.Total = nil, 9, 60
	long.Firing, long.FiringTotal, long.Rows, long.Total = []Row{longRow()}, 1, []Row{longRow()}, 1
	return []ui.State{
		page(group, "many", List(many)), page(group, "nothing fires", List(calm)), page(group, "empty", List(empty)), page(group, "empty, for a viewer", List(reader)),
		page(group, "nothing is watched", List(idle)), page(group, "rules tell nobody", List(silent)), page(group, "several pages", List(more)),
		page(group, "search without hits", List(searched)), page(group, "error", List(wrong)), page(group, "beyond the last page", List(past)), page(group, "long text", List(long)),
		{Group: group, Name: "what fires", View: Firing(more)},
		{Group: group, Name: "the history", View: History(more)},
	}
}

func sampleNotification(status string) Notification {
	n := Notification{
		ID: "ntf_" + status, Status: status, ChannelID: "ch_1", Channel: "Operations", AlertID: "alert_1", Alert: "Stripe live / createCharge: Breaker opened", Event: "firing",
		At: ago(13 * time.Minute), Attempts: 1,
	}
	switch status {
	case NotificationDelivered + " together":
		n.Status, n.AlertID, n.Alert, n.RuleID, n.Event = NotificationDelivered, "", "Connection down", "rule_1", eventSummary
	case NotificationPending:
		n.Attempts, n.Error, n.NextAt = 3, "The receiver answered 503 Service Unavailable.", ahead(95*time.Second)
	case NotificationDead:
		n.Attempts, n.Error, n.ChannelID, n.Channel = 8, "The receiver answered 404 Not Found.", "ch_2", "Chat of the team"
	case NotificationSuppressed:
		n.Attempts, n.Event, n.Error = 0, "reminder", "It is muted."
	}
	return n
}

func sampleEvents() []Event {
	notified := func(at time.Duration, status string) Event {
		return Event{Kind: EventNotified, At: ago(at), Notification: sampleNotification(status)}
	}
	return []Event{
		{Kind: EventResolved, At: ago(time.Minute), Text: "Its breaker closed."},
		notified(90*time.Second, NotificationSuppressed),
		{Kind: EventMuted, At: ago(2 * time.Minute), By: "oscar@example.com", Text: "their maintenance, ticket 4711"},
		{Kind: EventAcknowledged, At: ago(8 * time.Minute), By: "ada@example.com", Text: "calling them"},
		{Kind: EventFlapped, At: ago(9 * time.Minute), Text: "12 of 20 calls failed in 60 s."},
		{Kind: EventSummarised, At: ago(9 * time.Minute), Text: "Many alerts of the rule changed at once."},
		{Kind: EventResolved, At: ago(580 * time.Second), Text: "It lasted 4 min. Its breaker closed."},
		notified(10*time.Minute, NotificationPending), notified(13*time.Minute, NotificationDelivered), notified(13*time.Minute, NotificationDead),
		{Kind: EventOpened, At: ago(14 * time.Minute), Text: "38 of 60 calls failed in 60 s."},
	}
}

func alertStates() []ui.State {
	const group = "Alert page"
	fires := AlertView{
		Page: frame("Alert"), Now: now(), Row: sampleRows()[0], Kind: "Breaker opened", Environment: "production",
		Timeline: sampleEvents()[7:], Told: told(), CanOperate: true, CanConfigure: true,
	}
	reader, acked, flapping, resolved, wrong, alone, long := fires, fires, fires, fires, fires, fires, fires
	reader.CanOperate, reader.CanConfigure = false, false
	acked.Row, acked.Timeline = sampleRows()[1], sampleEvents()[3:]
	flapping.Row, flapping.Timeline = sampleRows()[2], sampleEvents()[1:]
	resolved.Row, resolved.Timeline = resolvedRow(), sampleEvents()
	resolved.Row.FiredAt, resolved.Row.Lasted = resolved.Row.FiredAt.Add(10*time.Minute), 12*time.Minute
	carried := fires
	carried.Row, carried.Timeline = sampleRows()[3], sampleEvents()[4:]
	wrong.Note, wrong.Errors = longText, Errors{"note": "At most 500 characters."}
	alone.Row = timed(Row{ID: "alert_7", RuleID: "rule_7", Rule: "Records were dropped", Severity: SeverityWarning, Status: StatusFiring, Why: "The call log dropped 12 records.", OpenedAt: ago(time.Minute)})[0]
	alone.Environment, alone.RuleGone, alone.Timeline, alone.Told = "", true, []Event{{Kind: EventOpened, At: ago(time.Minute)}}, Told{Rules: 1}
	long.Row, long.Kind = longRow(), longText
	long.Timeline = []Event{
		{Kind: "of_a_later_version", At: ago(time.Minute), By: longEmail, Text: longText},
		{Kind: EventAcknowledged, At: ago(time.Minute), By: longEmail, Text: longText},
		{Kind: EventNotified, At: ago(time.Hour), Notification: Notification{ID: "ntf_9", Status: "of_a_later_version", Channel: longName, Error: longText}},
		{Kind: EventNotified, At: ago(time.Hour), Notification: Notification{ID: "ntf_8", Status: NotificationDead, Channel: longName, Event: "firing", Attempts: 1, Error: longText}},
	}
	return []ui.State{
		page(group, "fires", Alert(fires)), page(group, "fires, for a viewer", Alert(reader)), page(group, "acknowledged", Alert(acked)), page(group, "flapping and muted", Alert(flapping)),
		page(group, "resolved", Alert(resolved)), page(group, "told by another one", Alert(carried)), page(group, "error", Alert(wrong)), page(group, "of no connection", Alert(alone)), page(group, "long text", Alert(long)),
		{Group: group, Name: "the part that refreshes", View: Part(fires)},
	}
}

func muteStates() []ui.State {
	const group, form = "Mutes page", "Mute form"
	other, everything, ended := sampleMute(), sampleMute(), sampleMute()
	other.ID, other.Slug, other.Until = "mute_2", "", ahead(40*time.Second)
	everything.ID, everything.Rule, everything.RuleID, everything.Slug, everything.Until = "mute_3", "", "", "", ahead(30*24*time.Hour)
	ended.ID, ended.Rule, ended.RuleID, ended.Since, ended.Until = "mute_4", "", "", ago(11*time.Hour), ago(3*time.Hour)
	many := MutesView{Page: frame("Mutes"), Now: now(), Active: []Mute{other, sampleMute(), everything}, Past: []Mute{ended}, CanOperate: true}
	empty, reader, long := many, many, many
	empty.Active, empty.Past = nil, nil
	reader.CanOperate = false
	long.Active, long.Past = []Mute{*longRow().Muted}, []Mute{*longRow().Muted}
	long.Past[0].ID = "mute_10"
	fresh := MuteFormView{Page: frame("Mute"), Now: now(), Rules: sampleRuleOptions()}
	asked, wrong := fresh, fresh
	asked.Alert, asked.Rule, asked.Connection, asked.For = "alert_1", "rule_1", "stripe", "8h"
	wrong.For, wrong.Until, wrong.Reason = MuteUntil, "2026-03-14T09:00", longText
	wrong.Connection = longOperation
	wrong.Errors = Errors{"until": "It must be in the future.", "connection": "There is no such connection.", "reason": "At most 500 characters."}
	return []ui.State{
		page(group, "many", Mutes(many)), page(group, "empty", Mutes(empty)), page(group, "for a viewer", Mutes(reader)), page(group, "long text", Mutes(long)),
		{Group: group, Name: "the part that refreshes", View: MutesPart(many)},
		page(form, "new", MuteForm(fresh)), page(form, "of an alert", MuteForm(asked)), page(form, "errors", MuteForm(wrong)),
	}
}
