package console

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/go-chi/chi/v5"

	"switchgear/internal/access"
	"switchgear/internal/connect"
	"switchgear/internal/credentials"
	"switchgear/internal/credentials/authtype"
	"switchgear/internal/credentials/oauth"
	"switchgear/internal/fault"
	connectview "switchgear/web/templates/connect"
	connectionsview "switchgear/web/templates/connections"
)

// connectPages are where people connect accounts by OAuth 2.
type connectPages struct{ *Console }

func (p connectPages) routes() []route {
	configure := needs(access.PermissionConfigure)
	return []route{
		{http.MethodGet, "/connections/{slug}/accounts/{account}/connect", configure, p.start},
		{http.MethodPost, "/connections/{slug}/accounts/{account}/connect", configure, p.begin},
		{http.MethodGet, "/consents/{id}", configure, p.show},
		// The state that the browser brings back says whose it is.
		{http.MethodGet, "/oauth/callback/{provider}", public(), p.callback},

		{http.MethodGet, "/connections/{slug}/links", needs(access.PermissionSystemRead), p.links},
		{http.MethodPost, "/connections/{slug}/links", configure, p.createLink},
		{http.MethodPost, "/connections/{slug}/links/{id}/revoke", configure, p.revokeLink},
		// The link itself is the right to connect one account.
		{http.MethodGet, "/connect/{token}", public(), p.visit},
		{http.MethodPost, "/connect/{token}", public(), p.enter},
		{http.MethodGet, "/connected/{id}", public(), p.visited},
	}
}

// bindingLife is how long a browser is known: longer than any consent takes.
const bindingLife = 2 * time.Hour

func (p connectPages) bindingCookie() string {
	if p.cfg.Secure {
		return "__Host-sg_consent"
	}
	return "sg_consent"
}

// binding is what this browser keeps for its consents; empty when it keeps nothing.
func (p connectPages) binding(r *http.Request) string {
	cookie, err := r.Cookie(p.bindingCookie())
	if err != nil || len(cookie.Value) < 43 {
		return ""
	}
	return cookie.Value
}

// keepBinding has the browser keep what its consents are bound to.
func (p connectPages) keepBinding(w http.ResponseWriter, binding string) {
	//nolint:gosec // G124: secure wherever browsers come over TLS.
	http.SetCookie(w, &http.Cookie{
		Name: p.bindingCookie(), Value: binding, Path: "/", MaxAge: int(bindingLife / time.Second), HttpOnly: true, Secure: p.cfg.Secure,
		SameSite: http.SameSiteLaxMode, // It has to come along when the other site sends the browser back.
	})
}

// accountParam is the one in the address, which is one segment whatever it holds.
func accountParam(r *http.Request) (string, error) {
	account, err := url.PathUnescape(chi.URLParam(r, "account"))
	if err != nil {
		return "", fault.Wrap(err, fault.NotFound, "", "There is no page at this address.")
	}
	return account, nil
}

func (p connectPages) start(w http.ResponseWriter, r *http.Request) error {
	return p.startWith(w, r, http.StatusOK, nil, nil)
}

func (p connectPages) startWith(w http.ResponseWriter, r *http.Request, status int, form url.Values, problems map[string]string) error {
	account, err := accountParam(r)
	if err != nil {
		return err
	}
	client, err := p.Connections.TokenClient(r.Context(), actor(r), chi.URLParam(r, "slug"), account)
	if err != nil {
		return err
	}
	c := client.Connection
	view := connectview.StartView{
		Page: p.page(r, "Connect "+account, "connections"), Slug: c.Slug, Name: c.Name, Account: account, Errors: problems,
		Device: client.Grant == authtype.GrantDeviceCode,
	}
	switch client.Grant {
	case authtype.GrantAuthorizationCode:
		view.Server, view.RedirectURI = hostOf(client.Config.AuthorizeURL), p.Connect.RedirectURI(c)
	case authtype.GrantDeviceCode:
		view.Server = hostOf(client.Config.DeviceURL)
	default:
		return fault.New(fault.Conflict, "NO_CONSENT_NEEDED", "Nobody has to consent to this kind of credential: the token is obtained with the first call.")
	}
	stored, err := p.Connections.Accounts(r.Context(), actor(r), c.Slug)
	if err != nil {
		return err
	}
	var granted []string
	for _, a := range stored {
		if a.Account == account && a.Token != nil && a.Token.Version > 0 {
			view.Reconnect, granted = true, a.Token.Scopes
		}
	}
	for _, s := range client.Config.Scopes {
		view.Scopes = append(view.Scopes, connectview.Scope{
			Name: s, Chosen: form == nil || slices.Contains(form["scope"], s), Granted: slices.Contains(granted, s),
		})
	}
	if form != nil {
		view.More = form.Get("more")
	}
	return p.render(w, r, status, connectview.Start(view))
}

func (p connectPages) begin(w http.ResponseWriter, r *http.Request) error {
	form, err := parseForm(w, r)
	if err != nil {
		return err
	}
	account, err := accountParam(r)
	if err != nil {
		return err
	}
	binding := p.binding(r)
	if binding == "" {
		binding = connect.NewBinding()
	}
	scopes := append(slices.Clone(form["scope"]), strings.Fields(form.Get("more"))...)
	if scopes == nil {
		scopes = []string{}
	}
	f, err := p.Connect.Begin(r.Context(), actor(r), chi.URLParam(r, "slug"), account, scopes, binding)
	if err != nil {
		messages, status, ok := formErrors(r, err)
		if !ok {
			return err
		}
		return p.startWith(w, r, status, form, messages)
	}
	p.keepBinding(w, binding)
	seeOther(w, r, connectview.Path(f.ID))
	return nil
}

func (p connectPages) show(w http.ResponseWriter, r *http.Request) error {
	id, binding := chi.URLParam(r, "id"), p.binding(r)
	f, err := p.Connect.Poll(r.Context(), actor(r), id, binding)
	if err != nil {
		return err
	}
	view, err := p.view(r, f)
	if err != nil {
		return err
	}
	if f.Status == connect.StatusPending && f.Grant == authtype.GrantAuthorizationCode {
		// Another browser gets no address: the answer would not count there.
		if view.Leave, err = p.Connect.Leave(r.Context(), actor(r), id, binding); err != nil && !fault.Is(err, fault.Conflict) {
			return err
		}
	}
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Referrer-Policy", "no-referrer")
	if asksFor(r, connectview.Region) {
		return p.render(w, r, http.StatusOK, connectview.Progress(view))
	}
	return p.render(w, r, http.StatusOK, connectview.Consent(view))
}

func (p connectPages) view(r *http.Request, f connect.Flow) (connectview.View, error) {
	c, err := p.Connections.Find(r.Context(), actor(r), f.Slug)
	if err != nil {
		return connectview.View{}, err
	}
	view := connectview.View{
		Page: p.page(r, "Connect "+f.Account, "connections"), Now: p.Now(), ID: f.ID, Slug: f.Slug, Name: c.Name, Account: f.Account,
		Status: f.Status, Device: f.Grant == authtype.GrantDeviceCode, Server: f.Server, RedirectURI: f.RedirectURI,
		Requested: f.Requested, Granted: f.Granted, Missing: f.Missing(), UserCode: f.UserCode, VerificationURL: f.VerificationURL, CompleteURL: f.CompleteURL,
		Interval: f.Interval, Step: f.Step, Code: f.Code, Problem: f.Problem, ExpiresAt: f.ExpiresAt,
	}
	if f.Status != connect.StatusDone {
		return view, nil
	}
	accounts, err := p.Connections.Accounts(r.Context(), actor(r), f.Slug)
	if err != nil {
		return view, err
	}
	for _, a := range accounts {
		if a.Account == f.Account && a.Token != nil {
			view.TokenExpiresAt, view.Renewable = a.Token.ExpiresAt, a.Token.Renewable
		}
	}
	return view, nil
}

func (p connectPages) callback(w http.ResponseWriter, r *http.Request) error {
	// The address holds a code: nobody else is to learn it, and no copy is kept.
	w.Header().Set("Referrer-Policy", "no-referrer")
	w.Header().Set("Cache-Control", "no-store")
	back, state := oauth.CallbackOf(r.URL.Query())
	f, err := p.Connect.Callback(r.Context(), actor(r), chi.URLParam(r, "provider"), state, p.binding(r), back)
	if err != nil {
		return err
	}
	if f.SessionID != "" {
		p.leaveLink(w, r, f)
		return nil
	}
	seeOther(w, r, connectview.Path(f.ID))
	return nil
}

// tokenView is what the accounts of a connection show about a token.
func tokenView(slug string, c credentials.Credential) *connectionsview.Token {
	t, err := authtype.Lookup(c.AuthType)
	if err != nil {
		return nil
	}
	if _, ok := t.(authtype.Granted); !ok {
		return nil
	}
	view := &connectionsview.Token{}
	if authtype.Interactive(t) {
		view.Connect = connectview.StartPath(slug, c.Account)
	}
	if c.Token == nil {
		return view
	}
	view.Connected = !c.Token.ObtainedAt.IsZero()
	view.Scopes, view.ExpiresAt = c.Token.Scopes, c.Token.ExpiresAt
	view.Renewable = c.Token.Renewable || !authtype.Interactive(t)
	if c.Token.Failures > 0 {
		view.Problem = credentials.Advice(c.AuthType, c.Token.ErrorCode)
	}
	return view
}

// connectNow is where the browser goes after a credential was entered that somebody has to consent to.
func connectNow(slug string, c credentials.Credential) (string, bool) {
	if view := tokenView(slug, c); view != nil && view.Connect != "" && !view.Connected {
		return view.Connect, true
	}
	return "", false
}
