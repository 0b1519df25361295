package console

import (
	"errors"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"switchgear/internal/connect"
	"switchgear/internal/connections"
	"switchgear/internal/credentials/authtype"
	"switchgear/internal/credentials/oauth"
	"switchgear/internal/fault"
	"switchgear/internal/providers"
	connectionsview "switchgear/web/templates/connections"
)

// What the buttons of the form ask for beside another auth type.
const (
	changeDiscover = "discover" // fill in from the server
	changeRegister = "register" // and make a client there
)

// grantOf is the grant of an auth type; false for one without an authorization server.
func grantOf(kind string) (string, bool) {
	t, err := authtype.Lookup(kind)
	if err != nil {
		return "", false
	}
	granted, ok := t.(authtype.Granted)
	if !ok {
		return "", false
	}
	return granted.Grant(), true
}

// consented reports whether a person consents to accounts of an auth type.
func consented(kind string) bool {
	t, err := authtype.Lookup(kind)
	return err == nil && authtype.Interactive(t)
}

// completeOAuth fills in what the form shows of an authorization server beside what was entered.
func (p connectionPages) completeOAuth(view *connectionsview.FormView, provider string) {
	grant, ok := grantOf(view.AuthType)
	if !ok {
		view.OAuth = nil
		return
	}
	o := view.OAuth
	if o == nil {
		o = &connectionsview.OAuthForm{}
	}
	o.CanRegister = grant != authtype.GrantJWTBearer
	o.Consented = consented(view.AuthType) && view.Mode == connectionsview.ModeEdit
	o.RedirectURI, o.RedirectOpen = "", false
	if grant == authtype.GrantAuthorizationCode {
		c := connections.Connection{Provider: provider}
		// A slug that will be refused makes no address to register anywhere.
		if connections.SlugOf(view.Slug) == view.Slug {
			c.Slug = view.Slug
		}
		o.RedirectURI = p.Connect.RedirectURI(c)
		o.RedirectOpen = strings.HasSuffix(o.RedirectURI, connect.CallbackPrefix)
	}
	view.OAuth = o
}

// changed shows the form again after one of its buttons: with the fields of another auth type, or with what an
// authorization server says about itself. stored are the secrets that have a value already.
func (p connectionPages) changed(w http.ResponseWriter, r *http.Request, form url.Values, view connectionsview.FormView, provider providers.Provider, values map[string]string, stored []string) error {
	if view.Slug == "" {
		view.Slug = connections.SlugOf(view.Name)
	}
	what := form.Get("change")
	if asksFor(r, connectionsview.RegionAuth) {
		return p.render(w, r, http.StatusOK, connectionsview.FormAuth(p.complete(r, view, provider, values, stored)))
	}
	if view.OAuth == nil || what != changeDiscover && what != changeRegister {
		return p.render(w, r, http.StatusOK, connectionsview.Form(p.complete(r, view, provider, values, stored)))
	}
	var (
		scopes []string
		err    error
	)
	if what == changeDiscover {
		scopes, err = p.fillIn(r, &view, values)
	} else {
		scopes, err = p.register(r, &view, provider, values)
	}
	status := http.StatusOK
	if err != nil {
		messages, _, ok := formErrors(r, beside(err))
		if !ok {
			return err
		}
		view.Errors, status = messages, http.StatusUnprocessableEntity
	}
	view = p.complete(r, view, provider, values, stored)
	for i := range view.Auth {
		if view.Auth[i].Name == "scopes" && len(scopes) > 0 {
			view.Auth[i].Help += " The server offers: " + offered(scopes)
		}
	}
	return p.render(w, r, status, connectionsview.Form(view))
}

// beside puts what went wrong at a server beside the field with its address.
func beside(err error) error {
	e, ok := errors.AsType[*fault.Error](err)
	if !ok || e.Details.Field != "" && e.Details.Field != "url" || !slices.Contains([]fault.Kind{fault.Invalid, fault.Conflict, fault.BadGateway}, e.Kind) {
		return err
	}
	return fault.Field(e.Code, "server", e.Message)
}

// offered lists scopes for a hint; some servers have hundreds.
func offered(scopes []string) string {
	const most = 40
	if len(scopes) > most {
		return strings.Join(scopes[:most], " ") + " …"
	}
	return strings.Join(scopes, " ") + "."
}

// fillIn lays what a server publishes over what was entered, and returns the scopes that it offers.
func (p connectionPages) fillIn(r *http.Request, view *connectionsview.FormView, values map[string]string) ([]string, error) {
	m, err := p.Connect.Discover(r.Context(), actor(r), firstOf(view.OAuth.Server, values["issuer"]))
	if err != nil {
		return nil, err
	}
	return m.Scopes, publish(view, values, m)
}

// register makes a client at the server. What it publishes is filled in as well.
func (p connectionPages) register(r *http.Request, view *connectionsview.FormView, provider providers.Provider, values map[string]string) ([]string, error) {
	grant, _ := grantOf(view.AuthType)
	if view.Slug == "" || connections.SlugOf(view.Slug) != view.Slug {
		return nil, fault.Field("INVALID_SLUG", "slug", "Enter the slug first: the redirect URI that is registered may end in it.")
	}
	if view.Mode == connectionsview.ModeNew {
		if _, err := p.Connections.Find(r.Context(), actor(r), view.Slug); err == nil {
			return nil, fault.Field("SLUG_TAKEN", "slug", "Another connection has this slug.")
		}
	}
	made, err := p.Connect.Register(r.Context(), actor(r), connect.NewClient{
		Server: firstOf(view.OAuth.Server, values["issuer"]), Connection: connections.Connection{Provider: provider.Slug, Slug: view.Slug},
		Grant: grant, Scopes: strings.Fields(values["scopes"]),
	})
	if err != nil {
		return nil, err
	}
	if err := publish(view, values, made.Metadata); err != nil {
		return nil, err
	}
	values["client_id"], values["auth_style"] = made.ID, made.AuthStyle
	delete(values, "client_secret")
	view.OAuth.Registered = made.Sealed
	view.OAuth.Found = "The client " + made.ID + " is registered. It is stored when you save."
	return made.Metadata.Scopes, nil
}

// publish lays the metadata of a server over the fields of the auth type.
func publish(view *connectionsview.FormView, values map[string]string, m oauth.Metadata) error {
	t, err := authtype.Lookup(view.AuthType)
	if err != nil {
		return err
	}
	told := map[string]string{
		"authorize_url": m.AuthorizeURL, "token_url": m.TokenURL, "revoke_url": m.RevokeURL, "device_authorization_url": m.DeviceURL, "issuer": m.Issuer,
	}
	var missing []string
	for _, key := range slices.Sorted(maps.Keys(told)) {
		f, ok := authtype.Find(t, key)
		if !ok {
			continue
		}
		values[key] = told[key]
		if told[key] == "" && f.Required {
			missing = append(missing, f.Label)
		}
	}
	if _, ok := authtype.Find(t, "auth_style"); ok && len(m.AuthStyles) > 0 && !slices.Contains(m.AuthStyles, firstOf(values["auth_style"], authtype.StyleBasic)) {
		values["auth_style"] = m.AuthStyles[0]
	}
	view.OAuth.Found = "Filled in from " + m.Source + "."
	if len(missing) > 0 {
		view.OAuth.Warning = "The server does not publish: " + strings.Join(missing, ", ") + ". It may not offer this kind of grant."
	}
	return nil
}

// afterCreate is where the browser goes when somebody has to consent before a new connection can be called;
// empty when nobody has to.
func (p connectionPages) afterCreate(r *http.Request, slug string) (string, error) {
	accounts, err := p.Connections.Accounts(r.Context(), actor(r), slug)
	if err != nil {
		return "", err
	}
	for _, a := range accounts {
		if next, ok := connectNow(slug, a); ok {
			return next, nil
		}
	}
	return "", nil
}

// registered opens the secret of a client that a button of the form made, unless another one was entered.
func (p connectionPages) registered(r *http.Request, view *connectionsview.FormView, values map[string]string) error {
	if view.OAuth == nil || view.OAuth.Registered == "" || values["client_secret"] != "" {
		return nil
	}
	secret, ok := p.Connect.RegisteredSecret(actor(r), values["client_id"], view.OAuth.Registered)
	if !ok {
		view.OAuth.Registered = ""
		return fault.Field("REGISTRATION_UNKNOWN", "auth.client_secret", "The secret that was registered belongs to another client ID. Enter the secret, or register a client again.")
	}
	values["client_secret"] = secret
	return nil
}
