package console

import (
	"net/http"
	"net/url"
	"time"

	"github.com/go-chi/chi/v5"

	"switchgear/internal/access"
	"switchgear/internal/alerts"
	"switchgear/internal/fault"
	alertsview "switchgear/web/templates/alerts"
)

func (p alertPages) mutes(w http.ResponseWriter, r *http.Request) error {
	all, err := p.Alerts.Mutes(r.Context(), actor(r))
	if err != nil {
		return err
	}
	names, err := p.ruleNames(r)
	if err != nil {
		return err
	}
	view := alertsview.MutesView{Page: p.page(r, "Mutes", "alerts", alerts.Topic), Now: p.Now(), CanOperate: actor(r).Role.Can(access.PermissionOperate)}
	for i := range all {
		if all[i].Active(view.Now) {
			view.Active = append(view.Active, muteRow(&all[i], names))
		} else {
			view.Past = append([]alertsview.Mute{muteRow(&all[i], names)}, view.Past...)
		}
	}
	if isFragment(r) {
		return p.render(w, r, http.StatusOK, alertsview.MutesPart(view))
	}
	return p.render(w, r, http.StatusOK, alertsview.Mutes(view))
}

func (p alertPages) muteForm(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	return p.muteFormWith(w, r, http.StatusOK, url.Values{"rule": {q.Get("rule")}, "connection": {q.Get("connection")}}, nil)
}

func (p alertPages) muteFormWith(w http.ResponseWriter, r *http.Request, status int, form url.Values, problems map[string]string) error {
	names, err := p.ruleNames(r)
	if err != nil {
		return err
	}
	return p.render(w, r, status, alertsview.MuteForm(alertsview.MuteFormView{
		Page: p.page(r, "Mute", "alerts"), Now: p.Now(), Alert: r.URL.Query().Get("alert"), Rule: form.Get("rule"), Connection: form.Get("connection"), Rules: names.options,
		For: form.Get("for"), Until: form.Get("until"), Reason: form.Get("reason"), Errors: problems,
	}))
}

func (p alertPages) mute(w http.ResponseWriter, r *http.Request) error {
	form, err := parseForm(w, r)
	if err != nil {
		return err
	}
	m, err := p.makeMute(r, form)
	if err != nil {
		messages, status, ok := formErrors(r, err)
		if !ok {
			return err
		}
		return p.muteFormWith(w, r, status, form, messages)
	}
	p.Access.PutFlash(r.Context(), "ok", "Muted until "+m.Until.UTC().Format("2 Jan 15:04")+" UTC. What happens meanwhile is kept.")
	to := alertsview.MutesPath
	if id := r.URL.Query().Get("alert"); id != "" {
		to = alertsview.Path + "/" + url.PathEscape(id)
	}
	seeOther(w, r, to)
	return nil
}

func (p alertPages) makeMute(r *http.Request, form url.Values) (alerts.Mute, error) {
	until, err := muteEnd(form, p.Now())
	if err != nil {
		return alerts.Mute{}, err
	}
	why, err := reason(form)
	if err != nil {
		return alerts.Mute{}, err
	}
	m, err := p.Alerts.CreateMute(r.Context(), actor(r), alerts.MuteDraft{RuleID: form.Get("rule"), Connection: form.Get("connection"), Until: until, Reason: why})
	switch fault.CodeOf(err) {
	case "CONNECTION_NOT_FOUND":
		return m, fault.Field(fault.CodeOf(err), "connection", fault.PublicMessage(err))
	case "RULE_NOT_FOUND":
		return m, fault.Field(fault.CodeOf(err), "rule", fault.PublicMessage(err))
	}
	return m, err
}

// muteEnd reads when a mute ends.
func muteEnd(form url.Values, now time.Time) (time.Time, error) {
	switch choice := form.Get("for"); choice {
	case alertsview.MuteTomorrow:
		return alertsview.Tomorrow(now), nil
	case alertsview.MuteUntil:
		problems := map[string]string{}
		end := minute(form.Get("until"), "until", problems)
		if problem := problems["until"]; problem != "" || end.IsZero() {
			return end, fault.Field("INVALID_UNTIL", "until", "Write a time as 2026-01-31T13:45 (UTC).")
		}
		return end, nil
	default:
		d, err := time.ParseDuration(choice)
		if err != nil || d <= 0 {
			return time.Time{}, fault.Field("INVALID_UNTIL", "for", "Choose how long it is muted.").WithValue(choice)
		}
		return now.Add(d), nil
	}
}

func (p alertPages) unmute(w http.ResponseWriter, r *http.Request) error {
	form, err := parseForm(w, r)
	if err != nil {
		return err
	}
	if err := p.Alerts.EndMute(r.Context(), actor(r), chi.URLParam(r, "id")); err != nil {
		return err
	}
	p.Access.PutFlash(r.Context(), "ok", "The mute has ended. What fires is told again.")
	seeOther(w, r, back(form, alertsview.MutesPath))
	return nil
}
