package console

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"switchgear/internal/access"
	"switchgear/internal/connections"
)

// A token from elsewhere goes in by the page and is never shown again, also when something is wrong with it.
func TestTokenImportByThePage(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	owner := s.signedIn(t, access.RoleOwner)
	_, err := s.connections.Create(t.Context(), access.System(), connections.Draft{
		Name: "Sheets", Slug: "sheets", BaseURL: "https://api.example.com", Auth: connections.Auth{Type: "oauth2_authorization_code", Fields: map[string]string{
			"authorize_url": "https://as.example.com/a", "token_url": "https://as.example.com/t", "client_id": "app", "client_secret": "s",
		}},
	}, "")
	if err != nil {
		t.Fatal(err)
	}
	s.create(t, "stripe", "Stripe")
	const path, secret = "/connections/sheets/accounts/import", "canary-imported-4711"
	says(t, "the accounts", s.get(t, owner, "/connections/sheets/accounts"), "I have a token already", `action="`+path+`"`)
	says(t, "the form", s.get(t, owner, path), `name="token.access"`)
	if page := s.get(t, owner, "/connections/stripe/accounts"); strings.Contains(page, "I have a token already") {
		t.Error("a key is offered as a token")
	}
	if status, _, _ := s.do(t, owner, http.MethodGet, "/connections/stripe/accounts/import", nil); status != http.StatusNotFound {
		t.Errorf("the form of a key: %d", status)
	}
	ago := time.Now().UTC().Add(-time.Hour).Format("2006-01-02T15:04")
	for name, c := range map[string]struct {
		want  string
		pairs []string
	}{
		"no token":        {"Enter the access token.", nil},
		"with its scheme": {"without Bearer", []string{"token.access", "Bearer " + secret}},
		"over two lines":  {"This is no token", []string{"token.access", secret, "token.refresh", secret + "\n" + secret}},
		"ended for good":  {"there is no refresh token", []string{"token.access", secret, "token.ends", ago}},
		"no time":         {"Write the time as", []string{"token.access", secret, "token.ends", "tomorrow"}},
		"no scope":        {"A scope has a character", []string{"token.access", secret, "token.scopes", "réad"}},
		"no type":         {"This is no type of token", []string{"token.access", secret, "token.type", "Be arer"}},
		"no name":         {"token.account-error", []string{"token.access", secret, "token.account", "Acme GmbH"}},
	} {
		status, _, text := s.form(t, owner, path, c.pairs...)
		if status != http.StatusBadRequest || !strings.Contains(text, c.want) || strings.Contains(text, secret) {
			t.Errorf("%s: %d, %q is not said, or the token is", name, status, c.want)
		}
	}
	says(t, "nothing was stored", s.get(t, owner, "/connections/sheets/accounts"), "Not connected")

	status, header, _ := s.form(t, owner, path, "token.account", "acme", "token.access", " "+secret+"\n", "token.refresh", secret+"-r", "token.scopes", "read write", "token.ends", ago)
	if status != http.StatusSeeOther || header.Get("Location") != "/connections/sheets/accounts" {
		t.Fatalf("%d to %s", status, header.Get("Location"))
	}
	page := s.get(t, owner, "/connections/sheets/accounts")
	says(t, "afterwards", page, "nobody else must use its refresh token", "account-acme", "renewed by itself", "Imported", "owner@example.com", "Imported by the page.")
	if strings.Contains(page, secret) {
		t.Error("the page shows the token")
	}
	s.form(t, owner, path, "token.account", "default", "token.access", secret)
	says(t, "without a refresh token", s.get(t, owner, "/connections/sheets/accounts"), "no known expiry")
	viewer := s.signedIn(t, access.RoleViewer)
	if page := s.get(t, viewer, "/connections/sheets/accounts"); strings.Contains(page, "I have a token already") {
		t.Error("who may not configure is offered an import")
	}
}
