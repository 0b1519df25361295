package console

import (
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/go-chi/chi/v5"

	"switchgear/internal/access"
	"switchgear/internal/alerts"
	"switchgear/internal/alerts/channels"
	"switchgear/internal/fault"
	"switchgear/internal/telemetry"
	alertsview "switchgear/web/templates/alerts"
)

func (p alertPages) channels(w http.ResponseWriter, r *http.Request) error {
	a := actor(r)
	all, err := p.Alerts.Channels(r.Context(), a)
	if err != nil {
		return err
	}
	rules, err := p.Alerts.Rules(r.Context(), a)
	if err != nil {
		return err
	}
	view := alertsview.ChannelsView{
		Page: p.page(r, "Alert channels", "alerts", alerts.Topic), Now: p.Now(), CanOperate: a.Role.Can(access.PermissionOperate), CanConfigure: a.Role.Can(access.PermissionConfigure),
	}
	if view.Dead, err = p.deadNotifications(r); err != nil {
		return err
	}
	for i := range all {
		view.Channels = append(view.Channels, channelRow(&all[i], rules))
	}
	if isFragment(r) {
		return p.render(w, r, http.StatusOK, alertsview.ChannelsPart(view))
	}
	return p.render(w, r, http.StatusOK, alertsview.Channels(view))
}

func channelRow(c *alerts.Channel, rules []alerts.Rule) alertsview.Channel {
	out := alertsview.Channel{
		ID: c.ID, Name: c.Name, Kind: c.Kind, KindLabel: channelLabel(c.Kind), Target: channelTarget(c), Enabled: c.Enabled, OffWhy: c.DisabledReason,
		Rules: len(tellers(c.ID, rules)), UpdatedAt: c.UpdatedAt,
	}
	switch {
	case c.LastFailedAt.After(c.LastDeliveredAt):
		out.Last = &alertsview.Notification{Status: alertsview.NotificationDead, At: c.LastFailedAt, Error: c.LastError}
	case !c.LastDeliveredAt.IsZero():
		out.Last = &alertsview.Notification{Status: alertsview.NotificationDelivered, At: c.LastDeliveredAt}
	}
	return out
}

// tellers are the rules that tell a channel.
func tellers(channelID string, rules []alerts.Rule) []alertsview.Option {
	var out []alertsview.Option
	for i := range rules {
		if slices.Contains(rules[i].Channels, channelID) {
			out = append(out, alertsview.Option{Value: rules[i].ID, Label: rules[i].Name})
		}
	}
	return out
}

// channelLabel is what a kind of channel is called; one that is gone keeps its name.
func channelLabel(id string) string {
	kind, err := channels.Lookup(id)
	if err != nil {
		return id
	}
	return kind.Info().Label
}

// channelTarget is where a channel leads to; empty where that is secret.
func channelTarget(c *alerts.Channel) string {
	for _, key := range []string{"url", "to"} {
		if value := c.Settings[key]; value != "" {
			return value
		}
	}
	return ""
}

// newChannel asks for the kind first, then for the rest.
func (p alertPages) newChannel(w http.ResponseWriter, r *http.Request) error {
	id := r.URL.Query().Get("kind")
	if id == "" {
		view := alertsview.ChannelKindsView{Page: p.page(r, "New channel", "alerts")}
		for _, k := range channels.All() {
			info := k.Info()
			view.Kinds = append(view.Kinds, alertsview.ChannelKind{ID: info.ID, Label: info.Label, About: info.About})
		}
		return p.render(w, r, http.StatusOK, alertsview.ChannelKinds(view))
	}
	kind, err := channelKind(id)
	if err != nil {
		return err
	}
	form := url.Values{"enabled": {"on"}}
	rules, err := p.Alerts.Rules(r.Context(), actor(r))
	if err != nil {
		return err
	}
	for i := range rules {
		form.Add("rules", rules[i].ID)
	}
	for _, f := range kind.Info().Fields {
		form.Set(channels.FieldPath(f.Key), f.Default)
	}
	return p.channelForm(w, r, http.StatusOK, alerts.Channel{Kind: id}, form, nil)
}

// channelKind is a kind that an address names.
func channelKind(id string) (channels.Kind, error) {
	kind, err := channels.Lookup(id)
	if err != nil {
		return nil, fault.New(fault.NotFound, "", "There is no such kind of channel.")
	}
	return kind, nil
}

// channelForm shows a channel to be changed, or a new one, which has no id.
func (p alertPages) channelForm(w http.ResponseWriter, r *http.Request, status int, c alerts.Channel, form url.Values, problems map[string]string) error {
	kind, err := channelKind(c.Kind)
	if err != nil {
		return err
	}
	info := kind.Info()
	view := alertsview.ChannelFormView{
		ID: c.ID, Kind: alertsview.ChannelKind{ID: info.ID, Label: info.Label, About: info.About}, Name: form.Get("name"), Enabled: form.Get("enabled") != "", Errors: problems,
	}
	title := "Edit a channel"
	if c.ID == "" {
		title, view.Once = "New channel", p.once.issue()
	}
	view.Page = p.page(r, title, "alerts")
	if c.ID == "" {
		names, err := p.ruleNames(r)
		if err != nil {
			return err
		}
		view.Rules, view.Chosen = names.options, form["rules"]
	}
	for _, f := range info.Fields {
		view.Params = append(view.Params, channelParam(f, form, slices.Contains(c.Secrets, f.Key)))
		view.Generates = view.Generates || c.ID == "" && f.Key == channels.SecretField
	}
	return p.render(w, r, status, alertsview.ChannelForm(view))
}

func channelParam(f channels.Field, form url.Values, stored bool) alertsview.Param {
	out := alertsview.Param{Name: channels.FieldPath(f.Key), Label: f.Label, Hint: f.Help, Required: f.Required, Stored: stored}
	switch {
	case f.Secret: // what was entered is not shown again
		out.Type = alertsview.ParamSecret
	case f.Type == channels.FieldSelect:
		out.Type = alertsview.ParamChoice
		for _, o := range f.Options {
			out.Options = append(out.Options, alertsview.Option{Value: o, Label: o})
		}
	}
	if !f.Secret {
		out.Value = form.Get(out.Name)
	}
	return out
}

// channelDraft is the channel that a form holds.
func channelDraft(kind channels.Info, form url.Values) alerts.ChannelDraft {
	d := alerts.ChannelDraft{Name: form.Get("name"), Kind: kind.ID, Enabled: form.Get("enabled") != "", Settings: map[string]string{}}
	for _, f := range kind.Fields {
		d.Settings[f.Key] = form.Get(channels.FieldPath(f.Key))
	}
	return d
}

func (p alertPages) createChannel(w http.ResponseWriter, r *http.Request) error {
	form, err := parseForm(w, r)
	if err != nil {
		return err
	}
	kind, err := channelKind(r.URL.Query().Get("kind"))
	if err != nil {
		return err
	}
	if err := p.once.spend(form.Get("once")); err != nil {
		return err
	}
	c, made, err := p.Alerts.CreateChannel(r.Context(), actor(r), channelDraft(kind.Info(), form))
	if err != nil {
		messages, status, ok := formErrors(r, err)
		if !ok {
			return err
		}
		return p.channelForm(w, r, status, alerts.Channel{Kind: kind.Info().ID}, form, messages)
	}
	p.tellFrom(r, c, form["rules"])
	if !made.IsZero() {
		return p.secret(w, r, http.StatusCreated, c, made, false)
	}
	seeOther(w, r, alertsview.ChannelsPath+"/"+c.ID)
	return nil
}

// tellFrom lets rules tell a new channel, and says on the next page how far that went: the channel stands.
func (p alertPages) tellFrom(r *http.Request, c alerts.Channel, rules []string) {
	a := actor(r)
	for _, id := range rules {
		rule, err := p.Alerts.Rule(r.Context(), a, id)
		if err == nil {
			draft := rule.Draft()
			draft.Channels = append(draft.Channels, c.ID)
			_, err = p.Alerts.EditRule(r.Context(), a, id, draft)
		}
		if err != nil {
			p.Access.PutFlash(r.Context(), "warn", "The channel is added, but not every rule tells it: "+fault.PublicMessage(err))
			return
		}
	}
	p.Access.PutFlash(r.Context(), "ok", "The channel is added. Press Test to see that a message comes through.")
}

// secret shows a signing secret, once.
func (p alertPages) secret(w http.ResponseWriter, r *http.Request, status int, c alerts.Channel, made telemetry.Secret, rotated bool) error {
	return p.render(w, r, status, alertsview.Secret(alertsview.SecretView{
		Page: p.page(r, c.Name, "alerts"), Now: p.Now(), ID: c.ID, Name: c.Name, Secret: made.Reveal(), Rotated: rotated, Until: c.PreviousUntil,
	}))
}

func (p alertPages) channel(w http.ResponseWriter, r *http.Request) error {
	return p.showChannel(w, r, nil)
}

// mostMessages is how many messages the page of a channel shows.
const mostMessages = 20

func (p alertPages) showChannel(w http.ResponseWriter, r *http.Request, test *alertsview.TestResult) error {
	a := actor(r)
	c, err := p.findChannel(r)
	if err != nil {
		return err
	}
	rules, err := p.Alerts.Rules(r.Context(), a)
	if err != nil {
		return err
	}
	sent, err := p.Alerts.Notifications(r.Context(), a, alerts.NotificationQuery{ChannelID: c.ID, Limit: mostMessages})
	if err != nil {
		return err
	}
	view := alertsview.ChannelView{
		Page: p.page(r, c.Name, "alerts", alerts.Topic), Now: p.Now(), Channel: channelRow(&c, rules), PreviousUntil: c.PreviousUntil, Rules: tellers(c.ID, rules),
		Signed: slices.Contains(c.Secrets, channels.SecretField), Test: test, CanOperate: a.Role.Can(access.PermissionOperate),
		CanConfigure: a.Role.Can(access.PermissionConfigure),
	}
	if kind, err := channels.Lookup(c.Kind); err == nil {
		view.Settings = channelSettings(kind.Info(), &c)
	}
	for i := range sent.Notifications {
		view.Notifications = append(view.Notifications, notificationRow(&sent.Notifications[i]))
	}
	if isFragment(r) {
		return p.render(w, r, http.StatusOK, alertsview.ChannelPart(view))
	}
	return p.render(w, r, http.StatusOK, alertsview.ChannelPage(view))
}

func (p alertPages) findChannel(r *http.Request) (alerts.Channel, error) {
	return p.Alerts.Channel(r.Context(), actor(r), chi.URLParam(r, "id"))
}

// channelSettings are what is known of a channel, without its secrets.
func channelSettings(kind channels.Info, c *alerts.Channel) []alertsview.Setting {
	var out []alertsview.Setting
	for _, f := range kind.Fields {
		value := c.Settings[f.Key]
		if f.Secret {
			value = "not set"
			if slices.Contains(c.Secrets, f.Key) {
				value = "stored sealed"
			}
		}
		if value != "" && value != channelTarget(c) {
			out = append(out, alertsview.Setting{Key: f.Label, Value: value})
		}
	}
	return out
}

func (p alertPages) editChannel(w http.ResponseWriter, r *http.Request) error {
	c, err := p.findChannel(r)
	if err != nil {
		return err
	}
	form := url.Values{"name": {c.Name}}
	if c.Enabled {
		form.Set("enabled", "on")
	}
	for key, value := range c.Settings {
		form.Set(channels.FieldPath(key), value)
	}
	return p.channelForm(w, r, http.StatusOK, c, form, nil)
}

func (p alertPages) updateChannel(w http.ResponseWriter, r *http.Request) error {
	form, err := parseForm(w, r)
	if err != nil {
		return err
	}
	c, err := p.findChannel(r)
	if err != nil {
		return err
	}
	kind, err := channelKind(c.Kind)
	if err != nil {
		return err
	}
	if _, err = p.Alerts.EditChannel(r.Context(), actor(r), c.ID, channelDraft(kind.Info(), form)); err != nil {
		messages, status, ok := formErrors(r, err)
		if !ok {
			return err
		}
		return p.channelForm(w, r, status, c, form, messages)
	}
	p.Access.PutFlash(r.Context(), "ok", "Saved. Press Test to see that a message comes through.")
	seeOther(w, r, alertsview.ChannelsPath+"/"+c.ID)
	return nil
}

// testChannel sends a message now and shows how that ended.
func (p alertPages) testChannel(w http.ResponseWriter, r *http.Request) error {
	began := time.Now()
	n, err := p.Alerts.SendTest(r.Context(), actor(r), chi.URLParam(r, "id"))
	if err != nil {
		return err
	}
	return p.showChannel(w, r, &alertsview.TestResult{Sent: n.State == alerts.NotificationDelivered, Error: n.LastError, Took: time.Since(began)})
}

// backToChannel answers who reloads the result of a test by its address.
func (p alertPages) backToChannel(w http.ResponseWriter, r *http.Request) error {
	seeOther(w, r, alertsview.ChannelsPath+"/"+url.PathEscape(chi.URLParam(r, "id")))
	return nil
}

func (p alertPages) askRotation(w http.ResponseWriter, r *http.Request) error {
	return p.askRotationAgain(w, r, http.StatusOK, "24h", nil)
}

func (p alertPages) askRotationAgain(w http.ResponseWriter, r *http.Request, status int, grace string, problems map[string]string) error {
	c, err := p.findChannel(r)
	if err != nil {
		return err
	}
	return p.render(w, r, status, alertsview.Rotate(alertsview.RotateView{
		Page: p.page(r, c.Name, "alerts"), Channel: channelRow(&c, nil), Grace: grace, Once: p.once.issue(), Errors: problems,
	}))
}

func (p alertPages) rotate(w http.ResponseWriter, r *http.Request) error {
	form, err := parseForm(w, r)
	if err != nil {
		return err
	}
	if err := p.once.spend(form.Get("once")); err != nil {
		return err
	}
	grace, err := duration(form, "grace")
	if err != nil {
		return err
	}
	c, made, err := p.Alerts.RotateSecret(r.Context(), actor(r), chi.URLParam(r, "id"), "", grace)
	if err != nil {
		messages, status, ok := formErrors(r, err)
		if !ok {
			return err
		}
		return p.askRotationAgain(w, r, status, form.Get("grace"), messages)
	}
	return p.secret(w, r, http.StatusOK, c, made, true)
}

func (p alertPages) askChannelDeletion(w http.ResponseWriter, r *http.Request) error {
	return p.askChannelDeletionAgain(w, r, http.StatusOK, "", nil)
}

func (p alertPages) askChannelDeletionAgain(w http.ResponseWriter, r *http.Request, status int, reason string, problems map[string]string) error {
	c, err := p.findChannel(r)
	if err != nil {
		return err
	}
	view := channelRow(&c, nil).Deleting(p.page(r, c.Name, "alerts"), reason)
	view.Errors = problems
	return p.render(w, r, status, alertsview.Confirm(view))
}

func (p alertPages) deleteChannel(w http.ResponseWriter, r *http.Request) error {
	form, err := parseForm(w, r)
	if err != nil {
		return err
	}
	why, err := reason(form)
	if err == nil {
		err = p.Alerts.DeleteChannel(r.Context(), actor(r), chi.URLParam(r, "id"), why)
	}
	if err != nil {
		messages, status, ok := formErrors(r, err)
		if !ok {
			return err
		}
		return p.askChannelDeletionAgain(w, r, status, form.Get("reason"), messages)
	}
	p.Access.PutFlash(r.Context(), "ok", "The channel is deleted.")
	seeOther(w, r, alertsview.ChannelsPath)
	return nil
}
