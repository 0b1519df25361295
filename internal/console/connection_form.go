package console

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/go-chi/chi/v5"

	"switchgear/internal/connections"
	"switchgear/internal/credentials/authtype"
	"switchgear/internal/fault"
	"switchgear/internal/providers"
	"switchgear/internal/runtime"
	connectionsview "switchgear/web/templates/connections"
)

// choose shows the catalogue, and the form once a provider is chosen.
func (p connectionPages) choose(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	if slug := q.Get("provider"); slug != "" {
		provider, err := p.Providers.Find(slug)
		if err != nil {
			return err
		}
		view := p.newForm(r, provider)
		return p.render(w, r, http.StatusOK, connectionsview.Form(view))
	}
	view := connectionsview.ChooseView{
		Page: p.frame(r, "New connection"), Search: q.Get("q"), Category: q.Get("category"), All: len(p.Providers.All()),
		Categories: plainOptions(p.Providers.Categories()),
	}
	for _, provider := range p.Providers.Search(view.Search, view.Category) {
		// What is not HTTP cannot be called yet, so it is not offered.
		if provider.Kind == connections.KindREST && len(usableAuth(provider)) > 0 {
			view.Providers = append(view.Providers, providerEntry(provider))
		}
	}
	if isFragment(r) {
		return p.render(w, r, http.StatusOK, connectionsview.Providers(view))
	}
	return p.render(w, r, http.StatusOK, connectionsview.Choose(view))
}

// usableAuth are the auth types of a provider that exist in this release, the recommended first.
func usableAuth(provider providers.Provider) []providers.Auth {
	var out []providers.Auth
	for _, a := range provider.Auth {
		if _, err := authtype.Lookup(a.Type); err == nil {
			out = append(out, a)
		}
	}
	return out
}

func providerEntry(provider providers.Provider) connectionsview.Provider {
	entry := connectionsview.Provider{
		Slug: provider.Slug, Name: provider.Name, Category: provider.Category, Summary: provider.Summary, Kind: provider.Kind, Docs: provider.Docs,
	}
	for _, a := range usableAuth(provider) {
		entry.Auth = append(entry.Auth, a.Label)
	}
	return entry
}

func (p connectionPages) newForm(r *http.Request, provider providers.Provider) connectionsview.FormView {
	view := connectionsview.FormView{
		Mode: connectionsview.ModeNew, Name: provider.Name, Environment: "development", Kind: provider.Kind, BaseURL: provider.BaseURL,
	}
	if usable := usableAuth(provider); len(usable) > 0 {
		view.AuthType = usable[0].Type
	}
	return p.complete(r, view, provider, nil, nil)
}

// complete fills in what the form shows beside what was entered: choices, defaults, the fields of the
// auth type. stored names the secret fields that have a value already.
func (p connectionPages) complete(r *http.Request, view connectionsview.FormView, provider providers.Provider, values map[string]string, stored []string) connectionsview.FormView {
	title := "New connection"
	if view.Mode == connectionsview.ModeEdit {
		title = "Edit " + view.Name
	}
	view.Page = p.frame(r, title)
	view.Provider = providerEntry(provider)
	view.Environments, view.Kinds = plainOptions(connections.Environments()), plainOptions([]string{connections.KindREST})
	view.AuthTypes = authOptions(provider)
	if strings.Contains(provider.BaseURL, "{") {
		view.BaseURLHint = "Replace what stands in braces."
	}
	p.completeOAuth(&view, provider.Slug)
	if view.OAuth != nil && view.OAuth.Registered != "" {
		stored = append(slices.Clone(stored), "client_secret")
	}
	view.Auth = authFields(view.AuthType, provider, values, stored)
	view.Expiry = expiryField(view.AuthType, view.Expiry)
	policy, err := connections.ProviderPolicy(provider)
	if err != nil { // no connection of this provider can be made, which saving says
		policy = runtime.DefaultPolicy()
	}
	view.Health.Defaults, view.Health.Now = healthDefaults(provider), p.Now()
	view.DefaultTimeout, view.DefaultAttemptTimeout = policy.Timeout.String(), "not set"
	if policy.AttemptTimeout > 0 {
		view.DefaultAttemptTimeout = policy.AttemptTimeout.String()
	}
	view.DefaultMaxAttempts = strconv.Itoa(policy.Retry.MaxAttempts)
	return view
}

// authOptions are the auth types to choose from: those of the provider first, then the others.
func authOptions(provider providers.Provider) []connectionsview.Option {
	var out []connectionsview.Option
	known := func(kind string) bool {
		return slices.ContainsFunc(out, func(o connectionsview.Option) bool { return o.Value == kind })
	}
	for _, a := range usableAuth(provider) {
		if !known(a.Type) {
			out = append(out, connectionsview.Option{Value: a.Type, Label: a.Label})
		}
	}
	for _, t := range authtype.All() {
		if !known(t.Kind()) {
			out = append(out, connectionsview.Option{Value: t.Kind(), Label: t.Label()})
		}
	}
	return out
}

func authFields(kind string, provider providers.Provider, values map[string]string, stored []string) []connectionsview.AuthField {
	t, err := authtype.Lookup(kind)
	if err != nil {
		return nil // the select offers known types only; an unknown one is reported when it is sent
	}
	preset := map[string]string{}
	for _, a := range usableAuth(provider) {
		if a.Type == kind {
			preset = a.Fields
			break
		}
	}
	var out []connectionsview.AuthField
	for _, f := range t.Fields() {
		field := connectionsview.AuthField{
			Name: f.Key, Label: f.Label, Type: f.Type, Help: f.Help, Required: f.Required, Secret: f.Secret, Set: slices.Contains(stored, f.Key),
			Options: plainOptions(f.Options), Rare: f.Rare,
		}
		if !f.Secret {
			field.Value = firstOf(values[f.Key], preset[f.Key], f.Default)
		}
		out = append(out, field)
	}
	return out
}

func firstOf(values ...string) string {
	for _, v := range values {
		if v != "" {
			return v
		}
	}
	return ""
}

// entered reads the form into the view it is shown again with, and into what is to be saved.
func (p connectionPages) entered(r *http.Request, form url.Values, view *connectionsview.FormView) (map[string]string, connections.Draft, error) {
	view.Name, view.Slug, view.Environment, view.Kind = form.Get("name"), form.Get("slug"), form.Get("environment"), form.Get("kind")
	view.BaseURL, view.AuthType, view.Policy = form.Get("base_url"), form.Get("auth_type"), strings.TrimSpace(form.Get("policy"))
	view.Timeout, view.AttemptTimeout, view.MaxAttempts = form.Get("policy.timeout"), form.Get("policy.attempt_timeout"), form.Get("policy.retry.max_attempts")
	view.HedgeAfter, view.FallbackConnection = form.Get("policy.hedge.after"), form.Get("policy.fallback.connection")
	view.Health = enteredHealth(form)
	view.LogBodies, view.RequireChecklist, view.Reason = form.Get("log_bodies") != "", form.Get("require_checklist") != "", form.Get("reason")
	if _, ok := grantOf(view.AuthType); ok {
		view.OAuth = &connectionsview.OAuthForm{Server: strings.TrimSpace(form.Get("server")), Registered: form.Get("registered")}
	}
	view.Expiry = &connectionsview.Expiry{Day: form.Get("expires_on")}
	values := authValues(form)
	policy, err := policyOf(*view)
	if err == nil {
		err = p.registered(r, view, values)
	}
	return values, connections.Draft{
		Name: view.Name, Slug: view.Slug, Kind: view.Kind, Provider: form.Get("provider"), Environment: view.Environment, BaseURL: view.BaseURL,
		Auth: connections.Auth{Type: view.AuthType, Fields: values, ExpiresOn: expiresOn(form, "")}, Policy: policy, LogBodies: view.LogBodies, RequireChecklist: view.RequireChecklist,
	}, err
}

// authValues are the fields of the auth type: what is called auth.<key>. An empty field is left out, so
// that a stored secret stays.
func authValues(form url.Values) map[string]string {
	values := map[string]string{}
	for name := range form {
		if key, ok := strings.CutPrefix(name, "auth."); ok && form.Get(name) != "" {
			values[key] = form.Get(name)
		}
	}
	return values
}

// policyOf lays the common settings over the rest of the policy.
func policyOf(view connectionsview.FormView) (json.RawMessage, error) {
	policy := map[string]any{}
	if view.Policy != "" {
		if err := json.Unmarshal([]byte(view.Policy), &policy); err != nil {
			message := "This is not a JSON object."
			if syntax, ok := errors.AsType[*json.SyntaxError](err); ok {
				message = "This is not JSON: see character " + strconv.FormatInt(syntax.Offset, 10) + "."
			}
			return nil, fault.Field("INVALID_POLICY", "policy", message)
		}
	}
	if view.Timeout != "" {
		policy["timeout"] = view.Timeout
	}
	if view.AttemptTimeout != "" {
		policy["attempt_timeout"] = view.AttemptTimeout
	}
	putText(policy, "hedge", "after", view.HedgeAfter)
	putText(policy, "fallback", "connection", view.FallbackConnection)
	if view.MaxAttempts != "" {
		n, err := strconv.Atoi(view.MaxAttempts)
		if err != nil {
			return nil, fault.Field("INVALID_POLICY", "policy.retry.max_attempts", "Write a whole number.")
		}
		retry, ok := policy["retry"].(map[string]any)
		if !ok {
			retry = map[string]any{}
		}
		retry["max_attempts"] = n
		policy["retry"] = retry
	}
	if err := putHealth(view.Health, policy); err != nil {
		return nil, err
	}
	return json.Marshal(policy)
}

func (p connectionPages) create(w http.ResponseWriter, r *http.Request) error {
	form, err := parseForm(w, r)
	if err != nil {
		return err
	}
	provider, err := p.Providers.Find(firstOf(form.Get("provider"), connections.GenericProvider))
	if err != nil {
		return err
	}
	view := connectionsview.FormView{Mode: connectionsview.ModeNew}
	values, draft, err := p.entered(r, form, &view)
	if form.Get("change") != "" {
		return p.changed(w, r, form, view, provider, values, nil)
	}
	var c connections.Connection
	if err == nil {
		c, err = p.Connections.Create(r.Context(), actor(r), draft, "created in the console")
	}
	if err != nil {
		messages, status, ok := formErrors(r, err)
		if !ok {
			return err
		}
		view.Errors = messages
		return p.render(w, r, status, connectionsview.Form(p.complete(r, view, provider, values, nil)))
	}
	done := "The connection is ready. Applications call it with a key that has the scope call:" + c.Slug + "."
	if c.State == connections.StatePaused {
		done = "The connection is made, and paused: it requires a complete checklist. Resume it once that is so."
	}
	next, err := p.afterCreate(r, c.Slug)
	if err != nil {
		return err
	}
	if next != "" {
		done = "The connection is stored. Connect its account now."
	}
	p.Access.PutFlash(r.Context(), "ok", done)
	seeOther(w, r, firstOf(next, "/connections/"+c.Slug))
	return nil
}

func (p connectionPages) edit(w http.ResponseWriter, r *http.Request) error {
	c, err := p.Connections.Find(r.Context(), actor(r), chi.URLParam(r, "slug"))
	if err != nil {
		return err
	}
	provider, err := p.Providers.Find(c.Provider)
	if err != nil {
		return err
	}
	view := connectionsview.FormView{
		Mode: connectionsview.ModeEdit, From: c.Slug, Version: c.Version, Name: c.Name, Slug: c.Slug, Environment: c.Environment, Kind: c.Kind,
		BaseURL: c.BaseURL, AuthType: c.AuthType, LogBodies: c.LogBodies, RequireChecklist: c.RequireChecklist,
	}
	if view.Expiry, err = p.expiryOf(r, c.Slug); err != nil {
		return err
	}
	if view.BoundTo, err = p.boundTo(r, c); err != nil {
		return err
	}
	splitPolicy(&view, c.Policy)
	view.Health.Checkable, view.Health.Check = true, healthPages(p).lastCheck(c.ID)
	return p.render(w, r, http.StatusOK, connectionsview.Form(p.complete(r, view, provider, c.AuthFields, c.AuthSecrets)))
}

func (p connectionPages) update(w http.ResponseWriter, r *http.Request) error {
	form, err := parseForm(w, r)
	if err != nil {
		return err
	}
	c, err := p.Connections.Find(r.Context(), actor(r), chi.URLParam(r, "slug"))
	if err != nil {
		return err
	}
	provider, err := p.Providers.Find(c.Provider)
	if err != nil {
		return err
	}
	view := connectionsview.FormView{Mode: connectionsview.ModeEdit, From: c.Slug}
	if view.BoundTo, err = p.boundTo(r, c); err != nil {
		return err
	}
	values, draft, err := p.entered(r, form, &view)
	stored := c.AuthSecrets
	if view.AuthType != c.AuthType {
		stored = nil // They are those of another kind of credential.
	}
	view.Slug, draft.Slug, draft.Provider = c.Slug, c.Slug, c.Provider
	before, readErr := p.expiryOf(r, c.Slug)
	if readErr != nil {
		return readErr
	}
	draft.Auth.ExpiresOn = expiresOn(form, before.Day)
	// What was entered builds on the version that the page showed, not on the newest.
	var unknown error
	if view.Version, unknown = seen(form); unknown != nil {
		return unknown
	}
	view.Health.Checkable, view.Health.Check = true, healthPages(p).lastCheck(c.ID)
	if form.Get("change") == "check" {
		return p.checkSaved(w, r, c, p.complete(r, view, provider, values, stored))
	}
	if form.Get("change") != "" {
		return p.changed(w, r, form, view, provider, values, stored)
	}
	if err == nil {
		view.Move, err = p.unagreed(r, c, draft, form.Get("moves"))
	}
	if err == nil && len(view.Move.Refused) > 0 {
		return p.render(w, r, http.StatusUnprocessableEntity, connectionsview.Form(p.complete(r, view, provider, values, stored)))
	}
	if err == nil {
		_, err = p.Connections.Update(r.Context(), actor(r), c.Slug, draft, view.Reason, view.Version)
	}
	if fault.Is(err, fault.PreconditionFailed) {
		err = fault.New(fault.Conflict, fault.CodeOf(err), "Somebody saved another version in the meantime. Open the page again and repeat your change.")
	}
	if err != nil {
		messages, status, ok := formErrors(r, err)
		if !ok {
			return err
		}
		view.Errors = messages
		return p.render(w, r, status, connectionsview.Form(p.complete(r, view, provider, values, stored)))
	}
	p.Access.PutFlash(r.Context(), "ok", "The change is saved and in force.")
	seeOther(w, r, "/connections/"+c.Slug)
	return nil
}

func (p connectionPages) duplicateForm(w http.ResponseWriter, r *http.Request) error {
	return p.duplicateWith(w, r, http.StatusOK, nil, nil)
}

func (p connectionPages) duplicateWith(w http.ResponseWriter, r *http.Request, status int, form url.Values, problems map[string]string) error {
	c, err := p.Connections.Find(r.Context(), actor(r), chi.URLParam(r, "slug"))
	if err != nil {
		return err
	}
	view := connectionsview.FormView{
		Page: p.frame(r, "Duplicate "+c.Name), Mode: connectionsview.ModeDuplicate, From: c.Slug, Name: c.Name + " copy", Slug: c.Slug + "-copy",
		CopiesCredentials: true, Errors: problems,
	}
	if form != nil {
		view.Name, view.Slug = form.Get("name"), form.Get("slug")
	}
	return p.render(w, r, status, connectionsview.Form(view))
}

func (p connectionPages) duplicate(w http.ResponseWriter, r *http.Request) error {
	form, err := parseForm(w, r)
	if err != nil {
		return err
	}
	c, err := p.Connections.Duplicate(r.Context(), actor(r), chi.URLParam(r, "slug"), form.Get("slug"), form.Get("name"))
	if err != nil {
		messages, status, ok := formErrors(r, err)
		if !ok {
			return err
		}
		return p.duplicateWith(w, r, status, form, messages)
	}
	p.Access.PutFlash(r.Context(), "ok", "The copy is ready.")
	seeOther(w, r, "/connections/"+c.Slug)
	return nil
}
