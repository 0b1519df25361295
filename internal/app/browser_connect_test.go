package app

import (
	"net/http"
	"net/url"
	"strings"

	"switchgear/db"
	"switchgear/internal/telemetry"
)

// An account is connected at a certified provider: the form fills itself in from the issuer, the person signs in
// there, and calls go out with a token that the provider knows. Then everything that can go wrong on the way.
func connectJourney(j *journey) {
	i := newIDP(j.T)
	p := start(j.T, map[string]string{"EGRESS_ALLOW": i.egressRule()})
	i.register(p.url("/oauth/callback/connection-idp"))
	b := j.signedIn(p, p.owner(j.T)).inspector()
	key, err := Administer(j.Context(), p.cfg, telemetry.Discard(), CreateKey(), KeyCreate{Name: "shop", Scopes: []string{"call:idp"}})
	if err != nil {
		j.Fatal(err)
	}
	app := p.browser(j.T)
	call := func() page { return app.get("/proxy/idp/me", "Authorization", "Bearer "+key.Key) }

	b.makeIDP(p, i)
	if got := call(); got.status == http.StatusOK {
		j.Error("a call goes out before anybody consented")
	}
	b.inspect("connect-start")

	// The person declines; then agrees.
	i.deny.Store(true)
	b.leave(i)
	b.sees("access_denied")
	b.misses("is connected")
	i.deny.Store(false)
	b.follow("main a", "Start again")
	i.short.Store(true)
	b.leave(i)
	b.signInThere()
	b.sees("is connected")
	b.inspect("connect-done")
	if got := call(); got.status != http.StatusOK || got.body != "hello id1" {
		j.Fatalf("a call with the token: %d %s", got.status, got.body)
	}

	// The token ended at once, so that it is renewed; the provider rotates refresh tokens.
	renewed := b.poll(func() bool { return call().status == http.StatusOK && len(i.asked("refresh_token")) > 0 })
	given, renewals := i.refreshTokens(), i.asked("refresh_token")
	if !renewed || len(renewals) != 1 || len(given) != 2 || renewals[0].Get("refresh_token") != given[0] || given[0] == "" || given[1] == given[0] {
		j.Errorf("%d renewals, %d refresh tokens", len(renewals), len(given))
	}
	b.connectBadly(p, i)
	if strings.Contains(p.logs.String(), idpSecret) || strings.Contains(p.logs.String(), url.QueryEscape(idpSecret)) {
		j.Error("the log holds the client secret")
	}
	// What went wrong did not touch the account.
	if got := call(); got.status != http.StatusOK {
		j.Errorf("a call at the end: %d %s", got.status, got.body)
	}
}

// makeIDP makes the connection from the issuer alone.
func (i inspector) makeIDP(p *process, provider *idp) {
	i.t.Helper()
	i.open("/connections/new?provider=generic-oauth2")
	i.fill("#f-name", "IDP")
	i.fill("#f-slug", "idp")
	i.fill("#f-base_url", provider.api.URL)
	i.fill("#f-server", "http://127.0.0.1:1")
	i.followAs("main button", "Fill in from there", http.StatusUnprocessableEntity)
	i.sees("cannot be reached from here")
	i.fill("#f-server", provider.server.URL)
	i.follow("main button", "Fill in from there")
	i.sees("Filled in from " + provider.server.URL)
	i.sees(p.url("/oauth/callback/connection-idp"))
	i.sees("The server offers: openid")
	i.inspect("connection-form-oauth")
	i.fill(`[name="auth.client_id"]`, idpClient)
	i.fill(`[name="auth.client_secret"]`, idpSecret)
	i.fill(`[name="auth.scopes"]`, "openid profile offline_access")
	i.follow("main button", "Create connection")
	i.at("/connections/idp/accounts/default/connect")
	i.sees("Connect its account now.")
	i.misses(idpSecret)
}

// leave begins a consent on its page, and goes to the provider.
func (i inspector) leave(provider *idp) {
	i.t.Helper()
	i.follow("main button", "Continue")
	i.follow("main a", "Continue to "+strings.TrimPrefix(provider.server.URL, "http://"))
}

// signInThere fills in the provider's own page.
func (i inspector) signInThere() {
	i.t.Helper()
	i.signInThereAs(http.StatusOK)
}

func (i inspector) signInThereAs(status int64) {
	i.t.Helper()
	i.fill("#username", idpUser)
	i.fill("#password", idpPass)
	i.followAs("button", "Login", status)
}

// connectBadly has every answer refused that is none: late, used, of another consent, of another server.
func (i inspector) connectBadly(p *process, provider *idp) {
	i.t.Helper()
	const begin = "/connections/idp/accounts/default/connect"
	used := provider.lastBack()
	i.openAs(used, http.StatusConflict)
	i.sees("belongs to no consent under way")

	i.open(begin)
	i.leave(provider)
	err := p.core.db.InTx(i.t.Context(), func(tx *db.Tx) error {
		_, err := tx.Exec(i.t.Context(), `UPDATE oauth_flows SET expires_at = 1 WHERE status = 'pending'`)
		return err
	})
	if err != nil {
		i.t.Fatal(err)
	}
	i.signInThereAs(http.StatusConflict)
	i.sees("took longer than ten minutes")

	// The code of one consent in another: the provider refuses it.
	i.open(begin)
	i.follow("main button", "Continue")
	link := eval[string](i.tab, locate("main a", "Continue to "+strings.TrimPrefix(provider.server.URL, "http://"))+".href")
	there, err := url.Parse(link)
	if err != nil {
		i.t.Fatal(err)
	}
	old, err := url.Parse(used)
	if err != nil {
		i.t.Fatal(err)
	}
	q := old.Query()
	q.Set("state", there.Query().Get("state"))
	i.open(old.Path + "?" + q.Encode())
	i.sees("invalid_grant")
	i.inspect("connect-failed")

	// Another server answers.
	other := "https://evil.example"
	provider.iss.Store(&other)
	i.open(begin)
	i.leave(provider)
	exchanged := len(provider.asked("authorization_code"))
	i.signInThere()
	i.sees("issuer_mismatch")
	if len(provider.asked("authorization_code")) != exchanged {
		i.fatal("the code went on to the token endpoint")
	}
	provider.iss.Store(nil)
}
