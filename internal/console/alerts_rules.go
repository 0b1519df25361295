package console

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/go-chi/chi/v5"

	"switchgear/internal/access"
	"switchgear/internal/alerts"
	"switchgear/internal/connections"
	"switchgear/internal/fault"
	alertsview "switchgear/web/templates/alerts"
	"switchgear/web/templates/layout"
)

func (p alertPages) rules(w http.ResponseWriter, r *http.Request) error {
	a := actor(r)
	all, err := p.Alerts.Rules(r.Context(), a)
	if err != nil {
		return err
	}
	channels, err := p.channelNames(r)
	if err != nil {
		return err
	}
	firing, err := p.Alerts.List(r.Context(), a, alerts.Query{State: alerts.StateFiring, Limit: maxLimit})
	if err != nil {
		return err
	}
	counts := map[string]int{}
	for i := range firing.Alerts {
		counts[firing.Alerts[i].RuleID]++
	}
	view := alertsview.RulesView{Page: p.page(r, "Alert rules", "alerts", alerts.Topic), Now: p.Now(), CanConfigure: a.Role.Can(access.PermissionConfigure)}
	if view.Told, err = p.told(r); err != nil {
		return err
	}
	for i := range all {
		row := ruleRow(&all[i], channels)
		row.Firing = counts[row.ID]
		view.Rules = append(view.Rules, row)
	}
	if isFragment(r) {
		return p.render(w, r, http.StatusOK, alertsview.RulesPart(view))
	}
	return p.render(w, r, http.StatusOK, alertsview.Rules(view))
}

// channelNames are the names of channels by id.
func (p alertPages) channelNames(r *http.Request) (map[string]string, error) {
	all, err := p.Alerts.Channels(r.Context(), actor(r))
	if err != nil {
		return nil, err
	}
	out := map[string]string{}
	for i := range all {
		out[all[i].ID] = all[i].Name
		if !all[i].Enabled {
			out[all[i].ID] += " (off)"
		}
	}
	return out, nil
}

func ruleRow(r *alerts.Rule, channels map[string]string) alertsview.Rule {
	out := alertsview.Rule{
		ID: r.ID, Name: r.Name, Kind: kindTitle(r.Kind), Severity: string(r.Severity), Enabled: r.Enabled, Scope: scopeText(r.Scope), Settings: paramsText(r), For: r.For,
		UpdatedAt: r.UpdatedAt,
	}
	for _, id := range r.Channels {
		out.Channels = append(out.Channels, channels[id])
	}
	return out
}

// scopeText says for which connections a rule holds.
func scopeText(s alerts.Scope) string {
	slugs := strings.Join(s.Connections, ", ")
	switch {
	case slugs == "" && s.Environment == "":
		return "every connection"
	case slugs == "":
		return "every connection in " + s.Environment
	case s.Environment == "":
		return slugs
	}
	return slugs + ", if in " + s.Environment
}

// paramsText are the settings of a rule in words.
func paramsText(r *alerts.Rule) string {
	kind, err := alerts.LookupKind(r.Kind)
	if err != nil {
		return ""
	}
	var out []string
	for _, f := range kind.Info().Params {
		value := r.Params[f.Key]
		switch f.Type {
		case alerts.ParamPercent:
			value += " %"
		case alerts.ParamDuration:
			value = spanText(r.Params.Duration(f.Key))
		}
		out = append(out, strings.ToLower(f.Label[:1])+f.Label[1:]+": "+value)
	}
	return strings.Join(out, ", ")
}

// spanText is a time that somebody set, exactly, in the largest unit that it is a multiple of.
func spanText(d time.Duration) string {
	const day = 24 * time.Hour
	switch {
	case d == day:
		return "1 day"
	case d >= day && d%day == 0:
		return strconv.Itoa(int(d/day)) + " days"
	case d >= time.Hour && d%time.Hour == 0:
		return strconv.Itoa(int(d/time.Hour)) + " h"
	case d >= time.Minute && d%time.Minute == 0:
		return strconv.Itoa(int(d/time.Minute)) + " min"
	}
	return d.String()
}

// newRule asks for the kind first, then for the rest.
func (p alertPages) newRule(w http.ResponseWriter, r *http.Request) error {
	id := r.URL.Query().Get("kind")
	if id == "" {
		view := alertsview.RuleKindsView{Page: p.page(r, "New rule", "alerts")}
		for _, k := range alerts.All() {
			info := k.Info()
			view.Kinds = append(view.Kinds, alertsview.RuleKind{ID: info.ID, Label: info.Title, About: info.About})
		}
		return p.render(w, r, http.StatusOK, alertsview.RuleKinds(view))
	}
	kind, err := ruleKind(id)
	if err != nil {
		return err
	}
	info := kind.Info()
	draft := alerts.RuleDraft{Name: info.Title, Kind: info.ID, Enabled: true, Severity: info.Severity, For: info.For, Repeat: info.Repeat, NotifyResolved: true}
	channels, err := p.Alerts.Channels(r.Context(), actor(r))
	if err != nil {
		return err
	}
	for i := range channels {
		if channels[i].Enabled {
			draft.Channels = append(draft.Channels, channels[i].ID)
		}
	}
	return p.ruleForm(w, r, http.StatusOK, "", ruleValues(draft), nil)
}

// ruleKind is a kind that an address names.
func ruleKind(id string) (alerts.Kind, error) {
	kind, err := alerts.LookupKind(id)
	if err != nil {
		return nil, fault.New(fault.NotFound, "", "There is no such kind of rule.")
	}
	return kind, nil
}

// ruleValues are the fields of a form that hold a rule.
func ruleValues(d alerts.RuleDraft) url.Values {
	form := url.Values{
		"kind": {d.Kind}, "name": {d.Name}, "severity": {string(d.Severity)}, "scope.environment": {d.Scope.Environment}, "scope.connections": {strings.Join(d.Scope.Connections, ", ")},
		"for": {durationText(d.For)}, "repeat": {durationText(d.Repeat)}, "channels": d.Channels,
	}
	for name, set := range map[string]bool{"enabled": d.Enabled, "notify_resolved": d.NotifyResolved} {
		if set {
			form.Set(name, "on")
		}
	}
	for key, value := range d.Params {
		form.Set(paramPrefix+key, value)
	}
	return form
}

// paramPrefix begins the names of the parameters of a kind, as errors name them.
const paramPrefix = "params."

// ruleDraft is the rule that a form holds.
func ruleDraft(kind alerts.KindInfo, form url.Values) (alerts.RuleDraft, error) {
	d := alerts.RuleDraft{
		Name: form.Get("name"), Kind: kind.ID, Enabled: form.Get("enabled") != "", Severity: alerts.Severity(form.Get("severity")),
		Scope: alerts.Scope{
			Environment: form.Get("scope.environment"),
			Connections: strings.FieldsFunc(form.Get("scope.connections"), func(r rune) bool { return r == ',' || r == ' ' || r == '\t' }),
		},
		Params: map[string]string{}, Channels: form["channels"], NotifyResolved: form.Get("notify_resolved") != "",
	}
	for _, f := range kind.Params {
		d.Params[f.Key] = form.Get(paramPrefix + f.Key)
	}
	var err error
	if d.For, err = duration(form, "for"); err != nil {
		return d, err
	}
	d.Repeat, err = duration(form, "repeat")
	return d, err
}

// duration reads a time like 30m; an empty one is none.
func duration(form url.Values, field string) (time.Duration, error) {
	text := strings.TrimSpace(form.Get(field))
	if text == "" {
		return 0, nil
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < 0 {
		return 0, fault.Field("INVALID_DURATION", field, "Write a time like 30m or 2h.").WithValue(text)
	}
	return d, nil
}

func (p alertPages) ruleForm(w http.ResponseWriter, r *http.Request, status int, id string, form url.Values, problems map[string]string) error {
	kind, err := ruleKind(form.Get("kind"))
	if err != nil {
		return err
	}
	info := kind.Info()
	view := alertsview.RuleFormView{
		ID: id, Kind: alertsview.RuleKind{ID: info.ID, Label: info.Title, About: info.About}, Name: form.Get("name"), Severity: form.Get("severity"),
		Enabled: form.Get("enabled") != "", Environment: form.Get("scope.environment"), Connections: form.Get("scope.connections"), For: form.Get("for"),
		Repeat: form.Get("repeat"), Chosen: form["channels"], NotifyResolved: form.Get("notify_resolved") != "", Errors: problems,
	}
	title := "New rule"
	if id != "" {
		title = "Edit a rule"
	}
	view.Page = p.page(r, title, "alerts")
	for _, name := range connections.Environments() {
		view.Environments = append(view.Environments, alertsview.Option{Value: name, Label: name})
	}
	for _, f := range info.Params {
		param := alertsview.Param{Name: paramPrefix + f.Key, Label: f.Label, Hint: f.Help, Placeholder: f.Default, Value: form.Get(paramPrefix + f.Key)}
		if f.Type == alerts.ParamCount {
			param.Type = alertsview.ParamNumber
		}
		view.Params = append(view.Params, param)
	}
	channels, err := p.Alerts.Channels(r.Context(), actor(r))
	if err != nil {
		return err
	}
	for i := range channels {
		option := alertsview.Option{Value: channels[i].ID, Label: channels[i].Name, Hint: channelLabel(channels[i].Kind)}
		if !channels[i].Enabled {
			option.Hint += ", switched off"
		}
		view.Channels = append(view.Channels, option)
	}
	return p.render(w, r, status, alertsview.RuleForm(view))
}

func (p alertPages) createRule(w http.ResponseWriter, r *http.Request) error {
	form, err := parseForm(w, r)
	if err != nil {
		return err
	}
	form.Set("kind", r.URL.Query().Get("kind"))
	kind, err := ruleKind(form.Get("kind"))
	if err != nil {
		return err
	}
	draft, err := ruleDraft(kind.Info(), form)
	if err == nil {
		_, err = p.Alerts.CreateRule(r.Context(), actor(r), draft)
	}
	if err != nil {
		messages, status, ok := formErrors(r, err)
		if !ok {
			return err
		}
		return p.ruleForm(w, r, status, "", form, messages)
	}
	p.Access.PutFlash(r.Context(), "ok", "The rule is made.")
	seeOther(w, r, alertsview.RulesPath)
	return nil
}

func (p alertPages) editRule(w http.ResponseWriter, r *http.Request) error {
	rule, err := p.Alerts.Rule(r.Context(), actor(r), chi.URLParam(r, "id"))
	if err != nil {
		return err
	}
	return p.ruleForm(w, r, http.StatusOK, rule.ID, ruleValues(rule.Draft()), nil)
}

func (p alertPages) updateRule(w http.ResponseWriter, r *http.Request) error {
	form, err := parseForm(w, r)
	if err != nil {
		return err
	}
	rule, err := p.Alerts.Rule(r.Context(), actor(r), chi.URLParam(r, "id"))
	if err != nil {
		return err
	}
	form.Set("kind", rule.Kind)
	kind, err := ruleKind(rule.Kind)
	if err != nil {
		return err
	}
	draft, err := ruleDraft(kind.Info(), form)
	if err == nil {
		_, err = p.Alerts.EditRule(r.Context(), actor(r), rule.ID, draft)
	}
	if err != nil {
		messages, status, ok := formErrors(r, err)
		if !ok {
			return err
		}
		return p.ruleForm(w, r, status, rule.ID, form, messages)
	}
	p.Access.PutFlash(r.Context(), "ok", "Saved. The rule watches by what it says now.")
	seeOther(w, r, alertsview.RulesPath)
	return nil
}

// tellSilent lets the rules that tell nobody tell every channel that is switched on.
func (p alertPages) tellSilent(w http.ResponseWriter, r *http.Request) error {
	if _, err := parseForm(w, r); err != nil {
		return err
	}
	n, err := p.Alerts.TellSilent(r.Context(), actor(r))
	if err != nil {
		return err
	}
	text := strconv.Itoa(n) + " rules tell somebody now."
	switch n {
	case 0:
		text = "No rule had to be changed."
	case 1:
		text = "1 rule tells somebody now."
	}
	p.Access.PutFlash(r.Context(), "ok", text)
	seeOther(w, r, alertsview.RulesPath)
	return nil
}

func (p alertPages) enableRule(w http.ResponseWriter, r *http.Request) error {
	if err := p.Alerts.SwitchRule(r.Context(), actor(r), chi.URLParam(r, "id"), true, ""); err != nil {
		return err
	}
	p.Access.PutFlash(r.Context(), "ok", "The rule is switched on.")
	seeOther(w, r, alertsview.RulesPath)
	return nil
}

// ruleQuestion asks before something is done to a rule.
type ruleQuestion func(alertsview.Rule, layout.Page, string) alertsview.ConfirmView

func (p alertPages) askRule(question ruleQuestion) handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		return p.askRuleAgain(w, r, http.StatusOK, question, "", nil)
	}
}

func (p alertPages) askRuleAgain(w http.ResponseWriter, r *http.Request, status int, question ruleQuestion, reason string, problems map[string]string) error {
	rule, err := p.Alerts.Rule(r.Context(), actor(r), chi.URLParam(r, "id"))
	if err != nil {
		return err
	}
	view := question(ruleRow(&rule, nil), p.page(r, rule.Name, "alerts"), reason)
	view.Errors = problems
	return p.render(w, r, status, alertsview.Confirm(view))
}

func (p alertPages) disableRule(w http.ResponseWriter, r *http.Request) error {
	return p.endRule(w, r, alertsview.Rule.Disabling, "The rule is switched off and watches nothing.", func(id, why string) error {
		return p.Alerts.SwitchRule(r.Context(), actor(r), id, false, why)
	})
}

func (p alertPages) deleteRule(w http.ResponseWriter, r *http.Request) error {
	return p.endRule(w, r, alertsview.Rule.Deleting, "The rule is deleted.", func(id, why string) error {
		return p.Alerts.DeleteRule(r.Context(), actor(r), id, why)
	})
}

// endRule does what was asked for with a reason, or asks again.
func (p alertPages) endRule(w http.ResponseWriter, r *http.Request, question ruleQuestion, done string, do func(id, why string) error) error {
	form, err := parseForm(w, r)
	if err != nil {
		return err
	}
	why, err := reason(form)
	if err == nil {
		err = do(chi.URLParam(r, "id"), why)
	}
	if err != nil {
		messages, status, ok := formErrors(r, err)
		if !ok {
			return err
		}
		return p.askRuleAgain(w, r, status, question, form.Get("reason"), messages)
	}
	p.Access.PutFlash(r.Context(), "ok", done)
	seeOther(w, r, alertsview.RulesPath)
	return nil
}
