package app

import (
	"net/http"
	"strings"
	"time"

	"switchgear/internal/connections"
	"switchgear/internal/telemetry"
)

// The life of credentials as people see to it: the end of a key is set, told of in the calendar and cleared by
// another key; a token that was obtained elsewhere is imported and used.
func credentialsJourney(j *journey) {
	up := newUpstream(j.T)
	p := start(j.T, map[string]string{"EGRESS_ALLOW": up.egressRule(j.T)})
	b := j.signedIn(p, p.owner(j.T)).inspector()
	key, err := Administer(j.Context(), p.cfg, telemetry.Discard(), CreateKey(), KeyCreate{Name: "shop", Scopes: []string{"call:orders", "call:sheets"}})
	if err != nil {
		j.Fatal(err)
	}
	app := p.browser(j.T)
	call := func(slug string, status int) {
		j.Helper()
		if got := app.get("/proxy/"+slug+"/items", "Authorization", "Bearer "+key.Key); got.status != status {
			j.Errorf("call of %s: %d, want %d", slug, got.status, status)
		}
	}
	for slug, auth := range map[string]connections.Auth{
		"orders": {Type: "bearer", Fields: map[string]string{"token": "old-" + upstreamSecret}},
		"sheets": {Type: "oauth2_authorization_code", Fields: map[string]string{
			"authorize_url": "https://as.example.com/a", "token_url": "https://as.example.com/t", "client_id": "app", "client_secret": "s",
		}},
	} {
		_, err := p.core.connections.Create(j.Context(), admin(), connections.Draft{Name: slug, Slug: slug, BaseURL: up.URL, Environment: "production", Auth: auth}, "")
		if err != nil {
			j.Fatal(err)
		}
	}

	soon := time.Now().UTC().AddDate(0, 0, 2)
	b.open("/connections/orders/accounts?account=default")
	b.fillDay("#f-expires_on", time.Now().UTC().AddDate(0, 0, -3))
	b.followAs("main button", "Replace credential", http.StatusBadRequest)
	b.sees("This day has passed.")
	b.inspect("account-expiry-error")
	b.fillDay("#f-expires_on", soon)
	b.follow("main button", "Replace credential")
	b.sees("The expiry of the secret is noted.")
	b.sees("set by")
	b.inspect("account-expiry")
	b.open("/credentials")
	b.sees("Secret with a set expiry")
	b.sees("Within 3 days")
	b.inspect("calendar")
	call("orders", http.StatusUnauthorized)
	b.follow("main a", "Rotate")
	b.sees("That of the one in use is " + soon.Format(time.DateOnly))
	b.open("/connections/orders/accounts?account=default")
	b.fill(`[name="auth.token"]`, upstreamSecret)
	b.follow("main button", "Replace credential")
	b.sees("of the one before is cleared")
	call("orders", http.StatusOK)
	b.open("/credentials")
	b.sees("Nothing expires.")

	b.importToken(call)
	if strings.Contains(p.logs.String(), upstreamSecret) {
		j.Error("the log holds a secret")
	}
}

// importToken brings a token along, at first with its scheme.
func (i inspector) importToken(call func(slug string, status int)) {
	i.t.Helper()
	i.open("/connections/sheets/accounts")
	i.sees("Not connected")
	call("sheets", http.StatusServiceUnavailable)
	i.click("main summary", "Enter the token")
	i.fill(`[name="token.access"]`, "Bearer "+upstreamSecret)
	i.fill(`[name="token.scopes"]`, "read write")
	i.followAs("main button", "Import token", http.StatusBadRequest)
	i.sees("without Bearer")
	if value := eval[string](i.tab, `document.querySelector("[name='token.access']").value + document.documentElement.outerHTML`); strings.Contains(value, upstreamSecret) {
		i.fatal("the token is on the page")
	}
	i.inspect("token-import-error")
	i.fill(`[name="token.access"]`, upstreamSecret)
	i.follow("main button", "Import token")
	i.at("/connections/sheets/accounts")
	i.sees("Its expiry is not known.")
	i.sees("Imported by the page.")
	i.inspect("token-imported")
	call("sheets", http.StatusOK)
}

// fillDay enters a day, as a person who chooses it in the calendar of the browser.
func (b *tab) fillDay(selector string, day time.Time) {
	b.t.Helper()
	b.wait("the field "+selector, `document.querySelector("`+selector+`")`)
	eval[bool](b, `(() => { document.querySelector("`+selector+`").value = "`+day.Format(time.DateOnly)+`"; return true })()`)
}
