package api

import (
	"net/http"
	"strings"
	"testing"
)

// A token from elsewhere goes in and never comes out; what is known about it does.
func TestImportedTokens(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const path = "/api/v1/connections/sheets/accounts/"
	made := w.do(http.MethodPost, "/api/v1/connections", `{"name":"Sheets","slug":"sheets","kind":"rest","base_url":"https://api.example.com","auth":{"type":"oauth2_authorization_code",
		"fields":{"authorize_url":"https://as.example.com/a","token_url":"https://as.example.com/t","client_id":"app","client_secret":"`+canary+`"}}}`)
	if made.status != http.StatusCreated {
		t.Fatal(made.body)
	}
	got := w.do(http.MethodPost, path+"acme/token", `{"access_token":"`+canary+`","refresh_token":"`+canary+`-r","expires_at":"2126-01-02T03:04:05Z","scopes":["read"]}`)
	var a Account
	got.decode(t, &a)
	if got.status != http.StatusOK || a.Name != "acme" || a.State != "active" || a.Token == nil || !a.Token.Renewable || a.Token.ExpiresAt == nil || strings.Join(a.Token.Scopes, " ") != "read" {
		t.Errorf("%d %s", got.status, got.body)
	}
	for body, code := range map[string]string{
		`{"access_token":"` + canary + `","expires_at":"2001-01-01T00:00:00Z"}`: "TOKEN_EXPIRED",
		`{"access_token":"` + canary + `","expires_at":"9999-12-31T23:59:59Z"}`: "INVALID_EXPIRY",
		`{"access_token":""}`: "",
	} {
		got := w.do(http.MethodPost, path+"acme/token", body)
		if f := got.failure(t); got.status != http.StatusBadRequest || code != "" && f.Code != code {
			t.Errorf("%s: %d %s", body, got.status, got.body)
		}
	}
	var events struct {
		Data []CredentialEvent
		Meta Meta
	}
	w.do(http.MethodGet, path+"acme/events?limit=1", "").decode(t, &events)
	if events.Meta.Total != 1 || len(events.Data) != 1 || events.Data[0].Kind != "imported" {
		t.Errorf("events: %+v", events)
	}
	var revoked Revocation
	w.do(http.MethodPost, path+"acme/revoke", "").decode(t, &revoked)
	if revoked.Result != "not_supported" {
		t.Errorf("revoked: %+v", revoked)
	}
	w.do(http.MethodGet, path+"acme", "").decode(t, &a)
	if a.State != "revoked" {
		t.Errorf("afterwards: %+v", a)
	}
	if all := w.all.String(); strings.Contains(all, canary) {
		t.Error("a secret came out")
	}
}
