package console

import (
	"net/http"
	"net/url"

	"github.com/go-chi/chi/v5"

	"switchgear/internal/access"
	"switchgear/internal/alerts"
	"switchgear/internal/fault"
	alertsview "switchgear/web/templates/alerts"
)

type alertPages struct{ *Console }

func (p alertPages) routes() []route {
	read, operate, configure := needs(access.PermissionSystemRead), needs(access.PermissionOperate), needs(access.PermissionConfigure)
	return []route{
		{http.MethodGet, "/alerts", read, p.list},
		{http.MethodGet, "/alerts/{id}", read, p.show},
		{http.MethodPost, "/alerts/{id}/acknowledge", operate, p.acknowledge},
		{http.MethodPost, "/alerts/notifications/{id}/resend", operate, p.resend},
		{http.MethodGet, "/alerts/mutes", read, p.mutes},
		{http.MethodGet, "/alerts/mutes/new", operate, p.muteForm},
		{http.MethodPost, "/alerts/mutes/new", operate, p.mute},
		{http.MethodPost, "/alerts/mutes/{id}/end", operate, p.unmute},
		{http.MethodGet, "/alerts/rules", read, p.rules},
		{http.MethodGet, "/alerts/rules/new", configure, p.newRule},
		{http.MethodPost, "/alerts/rules/new", configure, p.createRule},
		{http.MethodPost, "/alerts/rules/tell", configure, p.tellSilent},
		{http.MethodGet, "/alerts/rules/{id}/edit", configure, p.editRule},
		{http.MethodPost, "/alerts/rules/{id}/edit", configure, p.updateRule},
		{http.MethodPost, "/alerts/rules/{id}/enable", configure, p.enableRule},
		{http.MethodGet, "/alerts/rules/{id}/disable", configure, p.askRule(alertsview.Rule.Disabling)},
		{http.MethodPost, "/alerts/rules/{id}/disable", configure, p.disableRule},
		{http.MethodGet, "/alerts/rules/{id}/delete", configure, p.askRule(alertsview.Rule.Deleting)},
		{http.MethodPost, "/alerts/rules/{id}/delete", configure, p.deleteRule},
		{http.MethodGet, "/alerts/channels", read, p.channels},
		{http.MethodGet, "/alerts/channels/new", configure, p.newChannel},
		{http.MethodPost, "/alerts/channels/new", configure, p.createChannel},
		{http.MethodGet, "/alerts/channels/{id}", read, p.channel},
		{http.MethodGet, "/alerts/channels/{id}/edit", configure, p.editChannel},
		{http.MethodPost, "/alerts/channels/{id}/edit", configure, p.updateChannel},
		{http.MethodGet, "/alerts/channels/{id}/test", configure, p.backToChannel},
		{http.MethodPost, "/alerts/channels/{id}/test", configure, p.testChannel},
		{http.MethodGet, "/alerts/channels/{id}/rotate", configure, p.askRotation},
		{http.MethodPost, "/alerts/channels/{id}/rotate", configure, p.rotate},
		{http.MethodGet, "/alerts/channels/{id}/delete", configure, p.askChannelDeletion},
		{http.MethodPost, "/alerts/channels/{id}/delete", configure, p.deleteChannel},
	}
}

// mostFiring is how many alerts the page shows in full above the history.
const mostFiring = 50

func (p alertPages) list(w http.ResponseWriter, r *http.Request) error {
	view, err := p.listView(r, !asksFor(r, alertsview.RegionHistory), !asksFor(r, alertsview.RegionFiring))
	if err != nil {
		return err
	}
	switch {
	case asksFor(r, alertsview.RegionFiring):
		return p.render(w, r, http.StatusOK, alertsview.Firing(view))
	case isFragment(r):
		return p.render(w, r, http.StatusOK, alertsview.History(view))
	}
	return p.render(w, r, http.StatusOK, alertsview.List(view))
}

// listView is the page of alerts, as far as firing and history are wanted.
func (p alertPages) listView(r *http.Request, firing, history bool) (alertsview.ListView, error) {
	a, q := actor(r), r.URL.Query()
	view := alertsview.ListView{
		Page: p.page(r, "Alerts", "alerts", alerts.Topic), Now: p.Now(), Status: q.Get("status"), Severity: q.Get("severity"), Connection: q.Get("connection"),
		Rule: q.Get("rule"), From: q.Get("from"), To: q.Get("to"), CanOperate: a.Role.Can(access.PermissionOperate),
		CanConfigure: a.Role.Can(access.PermissionConfigure), Errors: alertsview.Errors{},
	}
	view.Number, view.Limit = paging(q)
	mutes, err := p.Alerts.Mutes(r.Context(), a)
	if err != nil {
		return view, err
	}
	names, err := p.ruleNames(r)
	if err != nil {
		return view, err
	}
	view.Rules = names.options
	if firing {
		page, err := p.Alerts.List(r.Context(), a, alerts.Query{State: alerts.StateFiring, Sort: alerts.SortUrgency, Limit: mostFiring})
		if err != nil {
			return view, err
		}
		view.FiringTotal = page.Total
		for i := range page.Alerts {
			view.Firing = append(view.Firing, alertRow(&page.Alerts[i], mutes, names, view.Now))
		}
		if view.Told, err = p.told(r); err != nil {
			return view, err
		}
	}
	if !history {
		return view, nil
	}
	page, err := p.Alerts.List(r.Context(), a, p.historyQuery(&view))
	if err != nil {
		return view, err
	}
	view.Total = page.Total
	for i := range page.Alerts {
		view.Rows = append(view.Rows, alertRow(&page.Alerts[i], mutes, names, view.Now))
	}
	return view, nil
}

// historyQuery reads the filters. A value that cannot be read is told and does not filter.
func (p alertPages) historyQuery(view *alertsview.ListView) alerts.Query {
	problems := map[string]string{}
	query := alerts.Query{
		Severity: alerts.Severity(view.Severity), Connection: view.Connection, RuleID: view.Rule, Sort: "-opened_at", Page: view.Number, Limit: view.Limit,
		From: minute(view.From, "from", problems), To: minute(view.To, "to", problems),
	}
	switch view.Status {
	case "acknowledged":
		query.Acknowledged = true
	default:
		query.State = alerts.State(view.Status)
	}
	view.Errors = problems
	return query
}

func (p alertPages) show(w http.ResponseWriter, r *http.Request) error {
	view, err := p.alertView(r)
	if err != nil {
		return err
	}
	if isFragment(r) {
		return p.render(w, r, http.StatusOK, alertsview.Part(view))
	}
	return p.render(w, r, http.StatusOK, alertsview.Alert(view))
}

// mostTold is how many messages about an alert its page shows.
const mostTold = 100

func (p alertPages) alertView(r *http.Request) (alertsview.AlertView, error) {
	a := actor(r)
	alert, err := p.Alerts.Get(r.Context(), a, chi.URLParam(r, "id"))
	if err != nil {
		return alertsview.AlertView{}, err
	}
	mutes, err := p.Alerts.Mutes(r.Context(), a)
	if err != nil {
		return alertsview.AlertView{}, err
	}
	names, err := p.ruleNames(r)
	if err != nil {
		return alertsview.AlertView{}, err
	}
	sent, err := p.Alerts.Notifications(r.Context(), a, alerts.NotificationQuery{AlertID: alert.ID, Limit: mostTold})
	if err != nil {
		return alertsview.AlertView{}, err
	}
	view := alertsview.AlertView{
		Now: p.Now(), Kind: kindTitle(alert.RuleKind), Environment: alert.Environment, CanOperate: a.Role.Can(access.PermissionOperate),
		CanConfigure: a.Role.Can(access.PermissionConfigure),
	}
	view.Row = alertRow(&alert, mutes, names, view.Now)
	view.Page = p.page(r, view.Row.Title(), "alerts", alerts.Topic)
	_, known := names.byID[alert.RuleID]
	view.RuleGone = !known
	view.Timeline = timeline(&alert, view.Row.Muted, sent.Notifications)
	if view.Told, err = p.told(r); err != nil {
		return view, err
	}
	return view, nil
}

func (p alertPages) acknowledge(w http.ResponseWriter, r *http.Request) error {
	form, err := parseForm(w, r)
	if err != nil {
		return err
	}
	id := chi.URLParam(r, "id")
	_, err = p.Alerts.Acknowledge(r.Context(), actor(r), id, form.Get("note"))
	switch {
	case fault.Is(err, fault.Conflict) && !fault.WantsJSON(r): // it ended meanwhile
		p.Access.PutFlash(r.Context(), "info", fault.PublicMessage(err))
	case err != nil:
		messages, status, ok := formErrors(r, err)
		if !ok {
			return err
		}
		view, err := p.alertView(r)
		if err != nil {
			return err
		}
		view.Note, view.Errors = form.Get("note"), messages
		return p.render(w, r, status, alertsview.Alert(view))
	default:
		p.Access.PutFlash(r.Context(), "ok", "Acknowledged. No reminder is sent until it comes back.")
	}
	seeOther(w, r, back(form, alertsview.Path+"/"+id))
	return nil
}

// back is where a form asks to be led to, or else fallback.
func back(form url.Values, fallback string) string {
	if to := form.Get("back"); to != "" {
		return to
	}
	return fallback
}

// resend sends a message again that was given up.
func (p alertPages) resend(w http.ResponseWriter, r *http.Request) error {
	form, err := parseForm(w, r)
	if err != nil {
		return err
	}
	n, err := p.Alerts.Resend(r.Context(), actor(r), chi.URLParam(r, "id"))
	if err != nil {
		return err
	}
	switch n.State {
	case alerts.NotificationDelivered:
		p.Access.PutFlash(r.Context(), "ok", n.ChannelName+" was told.")
	case alerts.NotificationSuppressed:
		p.Access.PutFlash(r.Context(), "warn", n.ChannelName+" was not told: "+n.Reason)
	case alerts.NotificationDead:
		p.Access.PutFlash(r.Context(), "warn", n.ChannelName+" could not be told: "+n.LastError)
	case alerts.NotificationPending, alerts.NotificationSending:
		p.Access.PutFlash(r.Context(), "warn", n.ChannelName+" could not be told yet, and is tried again: "+n.LastError)
	}
	seeOther(w, r, back(form, alertsview.ChannelsPath))
	return nil
}
