package api

import (
	"context"
	"net/http"
	"time"

	"switchgear/internal/alerts"
	"switchgear/internal/fault"
)

// Alert is one incident: a condition of a rule that holds, or held.
type Alert struct {
	ID         string `json:"id" example:"alr_01k8"`
	Status     string `json:"status" enum:"firing,resolved"`
	Severity   string `json:"severity" enum:"critical,warning,info"`
	Rule       string `json:"rule" doc:"The name of the rule."`
	RuleID     string `json:"rule_id"`
	Kind       string `json:"kind" example:"breaker_opened" doc:"The kind of the rule."`
	Connection string `json:"connection" example:"stripe"`
	Operation  string `json:"operation,omitempty" doc:"Left out: the connection as a whole."`
	// Environment is that of the connection when the alert was opened.
	Environment string    `json:"environment"`
	Why         string    `json:"why" doc:"Why it fires, in words."`
	ResolvedWhy string    `json:"resolved_why,omitempty" doc:"How it is since it ended, in words."`
	OpenedAt    time.Time `json:"opened_at"`
	ChangedAt   time.Time `json:"changed_at" doc:"Since when it has this status."`
	FiredAt     time.Time `json:"fired_at" doc:"Since when it fires this time, or fired last."`
	ResolvedAt  time.Time `json:"resolved_at,omitzero"`
	Seconds     float64   `json:"seconds" doc:"How long it fired until now, without the times in between."`
	Flaps       int       `json:"flaps" doc:"How often it came back soon after it had ended."`
	Flapping    bool      `json:"flapping" doc:"It comes and goes: nothing is sent until it is stable."`

	CarriedBy    string    `json:"carried_by,omitempty" doc:"The id of the alert that tells of the same incident, in place of this one."`
	SummarisedAt time.Time `json:"summarised_at,omitzero" doc:"When it was told together with others last."`

	Acknowledged *AlertAcknowledgement `json:"acknowledged,omitempty"`
	Episodes     []AlertEpisode        `json:"episodes,omitempty" doc:"The times that it fired, the oldest first; left out in lists."`
}

// AlertEpisode is one of the times that an alert fired.
type AlertEpisode struct {
	FiredAt     time.Time `json:"fired_at"`
	ResolvedAt  time.Time `json:"resolved_at,omitzero" doc:"Left out while it fires."`
	Why         string    `json:"why"`
	ResolvedWhy string    `json:"resolved_why,omitempty"`
}

// AlertAcknowledgement is who looks after an alert.
type AlertAcknowledgement struct {
	At   time.Time `json:"at"`
	By   string    `json:"by"`
	Note string    `json:"note,omitempty"`
}

// AlertNote is what somebody says who looks after an alert.
type AlertNote struct {
	Note string `json:"note,omitempty" doc:"For the others; at most 500 characters."`
}

// AlertNotification is a message about an alert for one channel.
type AlertNotification struct {
	ID          string    `json:"id" example:"ant_01k8" doc:"The same over all attempts; webhooks carry it as webhook-id."`
	AlertID     string    `json:"alert_id,omitempty" doc:"Left out: a test, or a summary of many."`
	Channel     string    `json:"channel" doc:"The name of the channel."`
	ChannelID   string    `json:"channel_id"`
	ChannelKind string    `json:"channel_kind"`
	Event       string    `json:"event" enum:"firing,resolved,reminder,flapping,summary,test,connect"`
	Status      string    `json:"status" enum:"pending,sending,delivered,dead,suppressed"`
	Reason      string    `json:"reason,omitempty" doc:"Why it was suppressed."`
	Attempts    int       `json:"attempts" doc:"Attempts that began."`
	NextAt      time.Time `json:"next_attempt_at,omitzero"`
	LastError   string    `json:"last_error,omitempty"`
	CreatedAt   time.Time `json:"created_at"`
	FinishedAt  time.Time `json:"finished_at,omitzero"`
}

func alertOf(a alerts.Alert, now time.Time) Alert {
	out := Alert{
		ID: a.ID, Status: string(a.State), Severity: string(a.Severity), Rule: a.RuleName, RuleID: a.RuleID, Kind: a.RuleKind, Connection: a.Connection,
		Operation: a.Operation, Environment: a.Environment, Why: a.Why, ResolvedWhy: a.ResolvedWhy, OpenedAt: a.OpenedAt, ChangedAt: a.ChangedAt,
		FiredAt: a.FiredAt, ResolvedAt: a.ResolvedAt, Seconds: a.Lasted(now).Seconds(), Flaps: a.Flaps, Flapping: a.Flapping,
		CarriedBy: a.CarriedBy, SummarisedAt: a.SummarisedAt,
	}
	for _, e := range a.Episodes {
		out.Episodes = append(out.Episodes, AlertEpisode(e))
	}
	if ack := a.Acknowledged; !ack.At.IsZero() {
		out.Acknowledged = &AlertAcknowledgement{At: ack.At, By: ack.By, Note: ack.Note}
	}
	return out
}

func notificationOf(n alerts.Notification) AlertNotification {
	out := AlertNotification{
		ID: n.ID, AlertID: n.AlertID, Channel: n.ChannelName, ChannelID: n.ChannelID, ChannelKind: n.ChannelKind, Event: string(n.Event),
		Status: string(n.State), Reason: n.Reason, Attempts: n.Attempts, LastError: n.LastError, CreatedAt: n.CreatedAt, FinishedAt: n.FinishedAt,
	}
	if n.State == alerts.NotificationPending {
		out.NextAt = n.RunAt
	}
	return out
}

// ByID is the part of an input that names something by its id.
type ByID struct {
	ID string `path:"id" doc:"The id."`
}

type listAlerts struct {
	Paging

	Status     string `query:"filter[status]" doc:"firing or resolved."`
	Connection string `query:"filter[connection]" doc:"The slug of a connection."`
	Severity   string `query:"filter[severity]" doc:"critical, warning or info."`
	Rule       string `query:"filter[rule]" doc:"The id of a rule."`
}

type alertList struct {
	Body struct {
		Data []Alert `json:"data" nullable:"false"`
		Meta Meta    `json:"meta"`
	}
}

type alertOutput struct{ Body Alert }

type listNotifications struct {
	ByID
	Paging

	Status string `query:"filter[status]" doc:"pending, sending, delivered, dead or suppressed."`
}

type notificationList struct {
	Body struct {
		Data []AlertNotification `json:"data" nullable:"false"`
		Meta Meta                `json:"meta"`
	}
}

// alertRoutes serve alerts and what decides about them.
func (v *version) alertRoutes() {
	const tag = "Alerts"
	register(v, route{
		method: http.MethodGet, path: "/alerts", id: "list-alerts", tag: tag, summary: "List alerts",
		description: "Those that fire come first, then the newest; opened_at is the one field to sort by.",
	}, v.listAlerts)
	register(v, route{
		method: http.MethodGet, path: "/alerts/{id}", id: "get-alert", tag: tag, summary: "Read an alert",
	}, func(ctx context.Context, in *struct{ ByID }) (*alertOutput, error) {
		a, err := v.deps.Alerts.Get(ctx, actor(ctx), in.ID)
		return &alertOutput{alertOf(a, v.deps.Now())}, err
	})
	register(v, route{
		method: http.MethodPost, path: "/alerts/{id}/acknowledge", id: "acknowledge-alert", tag: tag, summary: "Say that somebody looks after an alert",
		description: "No reminder is sent until it comes back.",
	}, func(ctx context.Context, in *struct {
		ByID

		Body AlertNote
	},
	) (*alertOutput, error) {
		a, err := v.deps.Alerts.Acknowledge(ctx, actor(ctx), in.ID, in.Body.Note)
		return &alertOutput{alertOf(a, v.deps.Now())}, err
	})
	register(v, route{
		method: http.MethodGet, path: "/alerts/{id}/notifications", id: "list-alert-notifications", tag: tag, summary: "List what was sent about an alert",
		description: "The newest first, what was suppressed included.",
	}, func(ctx context.Context, in *listNotifications) (*notificationList, error) {
		if _, err := v.deps.Alerts.Get(ctx, actor(ctx), in.ID); err != nil {
			return nil, err
		}
		return v.notifications(ctx, in, alerts.NotificationQuery{AlertID: in.ID})
	})
	v.alertRuleRoutes(tag)
	v.alertChannelRoutes(tag)
	v.alertMuteRoutes(tag)
}

func (v *version) listAlerts(ctx context.Context, in *listAlerts) (*alertList, error) {
	for _, check := range []error{
		checkSort(in.Sort, alerts.Sorts()...), oneOf("filter[status]", in.Status, texts(alerts.States())),
		oneOf("filter[severity]", in.Severity, texts(alerts.Severities())),
	} {
		if check != nil {
			return nil, check
		}
	}
	page, err := v.deps.Alerts.List(ctx, actor(ctx), alerts.Query{
		State: alerts.State(in.Status), Severity: alerts.Severity(in.Severity), Connection: in.Connection, RuleID: in.Rule,
		Sort: in.Sort, Page: in.Page, Limit: in.Limit,
	})
	if err != nil {
		return nil, err
	}
	out := &alertList{}
	now := v.deps.Now()
	out.Body.Meta, out.Body.Data = in.meta(page.Total), each(page.Alerts, func(a alerts.Alert) Alert { return alertOf(a, now) })
	return out, nil
}

func (v *version) notifications(ctx context.Context, in *listNotifications, q alerts.NotificationQuery) (*notificationList, error) {
	for _, check := range []error{checkSort(in.Sort), oneOf("filter[status]", in.Status, texts(alerts.NotificationStates()))} {
		if check != nil {
			return nil, check
		}
	}
	q.State, q.Page, q.Limit = alerts.NotificationState(in.Status), in.Page, in.Limit
	page, err := v.deps.Alerts.Notifications(ctx, actor(ctx), q)
	if err != nil {
		return nil, err
	}
	out := &notificationList{}
	out.Body.Meta, out.Body.Data = in.meta(page.Total), each(page.Notifications, notificationOf)
	return out, nil
}

// texts are the names of values.
func texts[T ~string](all []T) []string {
	return each(all, func(v T) string { return string(v) })
}

// duration reads a duration of a body; empty is none.
func duration(field, text string) (time.Duration, error) {
	if text == "" {
		return 0, nil
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		return 0, fault.Field("INVALID_DURATION", field, "It must be a duration such as 90s, 30m or 1h30m.").WithValue(clip(text))
	}
	return d, nil
}
