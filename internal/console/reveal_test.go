package console

import (
	"net/http"
	"strings"
	"testing"

	"switchgear/internal/access"
	"switchgear/internal/audit"
	"switchgear/internal/connections"
)

const revealed = "canary-revealed-4711"

// revealSite has connections with keys and with OAuth, and an owner.
func revealSite(t *testing.T) (*site, *http.Client) {
	t.Helper()
	s := newSite(t)
	for slug, auth := range map[string]connections.Auth{
		"stripe": {Type: "basic", Fields: map[string]string{"username": "user-of-it", "password": revealed}},
		"sheets": {Type: "oauth2_authorization_code", Fields: map[string]string{
			"authorize_url": "https://as.example.com/a", "token_url": "https://as.example.com/t", "client_id": "app", "client_secret": revealed,
		}},
		"plurk": {Type: "oauth1", Fields: map[string]string{"consumer_key": "k", "consumer_secret": revealed, "token": "t", "token_secret": revealed}},
		"open":  {Type: "none"},
	} {
		if _, err := s.connections.Create(t.Context(), access.System(), connections.Draft{Name: slug, Slug: slug, BaseURL: "https://api.example.com", Auth: auth}, ""); err != nil {
			t.Fatal(err)
		}
	}
	return s, s.signedIn(t, access.RoleOwner)
}

const revealPath = "/connections/stripe/accounts/default/reveal"

// reveal sends a whole answer to the page that shows a secret.
func (s *site) reveal(t *testing.T, client *http.Client, pairs ...string) (int, http.Header, string) {
	t.Helper()
	return s.form(t, client, revealPath, append(pairs, "field", "password", "password", password, "reason", "moved")...)
}

// Until an owner allows it, nothing answers with a secret, whoever asks in whatever way.
func TestRevealIsOff(t *testing.T) {
	t.Parallel()
	s, owner := revealSite(t)
	off := func(when string) {
		t.Helper()
		if status, _, text := s.do(t, owner, http.MethodGet, revealPath, nil); status != http.StatusNotFound {
			t.Errorf("%s, the question: %d\n%s", when, status, text)
		}
		if status, _, text := s.reveal(t, owner); status != http.StatusNotFound || strings.Contains(text, revealed) {
			t.Errorf("%s, the answer: %d", when, status)
		}
		if page := s.get(t, owner, "/connections/stripe/accounts"); strings.Contains(page, revealPath) {
			t.Errorf("%s, the page is offered", when)
		}
	}
	off("from the start")
	// To allow it takes the password and a reason.
	for name, pairs := range map[string][]string{
		"no password": {"reason", "why"}, "another password": {"reason", "why", "password", "something else entirely"}, "no reason": {"password", password},
	} {
		if status, _, _ := s.form(t, owner, "/settings/reveal/allow", pairs...); status != http.StatusBadRequest && status != http.StatusTooManyRequests {
			t.Errorf("%s: %d", name, status)
		}
	}
	off("after attempts")
	says(t, "the setting", s.get(t, owner, "/settings/reveal"), "There is no page that shows a secret.")
	for _, role := range []access.Role{access.RoleAdmin, access.RoleOperator, access.RoleViewer, access.RoleAuditor} {
		client := s.signedIn(t, role)
		for _, path := range []string{"/settings/reveal/allow", "/settings/reveal/forbid", revealPath} {
			if status, _, text := s.form(t, client, path, "reason", "why", "password", password, "field", "password"); status != http.StatusForbidden || strings.Contains(text, revealed) {
				t.Errorf("%s at %s: %d", role, path, status)
			}
		}
	}
	off("after others")
}

// An owner who proves it is shown one field, once; who, what and why are on record, and the secret is not.
func TestRevealToAnOwner(t *testing.T) {
	t.Parallel()
	s, owner := revealSite(t)
	s.allowReveal(t, owner)
	says(t, "the setting", s.get(t, owner, "/settings/reveal"), "Allowed", "owner@example.com")
	says(t, "the account", s.get(t, owner, "/connections/stripe/accounts"), `href="`+revealPath+`"`)
	question := s.get(t, owner, revealPath)
	says(t, "the question", question, "Show it once", `value="password"`, `name="password"`, `name="reason"`)
	if strings.Contains(question, revealed) {
		t.Error("the question holds the secret")
	}
	once := found(question, `name="once" value="([A-Z2-7]+)"`)[0]

	for name, pairs := range map[string][]string{
		"no password":      {"field", "password", "reason", "moved"},
		"another password": {"field", "password", "reason", "moved", "password", revealed},
		"no reason":        {"field", "password", "password", password},
		"no field":         {"reason", "moved", "password", password},
		"no secret":        {"field", "username", "reason", "moved", "password", "nothing like it"},
	} {
		if status, _, text := s.form(t, owner, revealPath, pairs...); status == http.StatusOK || strings.Contains(text, revealed) {
			t.Errorf("%s: %d", name, status)
		}
	}
	status, header, page := s.reveal(t, owner, "once", once)
	if status != http.StatusOK || header.Get("Cache-Control") != "no-store" || !strings.Contains(page, revealed) || strings.Contains(page, "user-of-it") {
		t.Fatalf("%d %v", status, header)
	}
	if status, _, text := s.reveal(t, owner, "once", once); status != http.StatusConflict || strings.Contains(text, revealed) ||
		!strings.Contains(text, "ask for it anew below") || strings.Contains(text, "revoke it") {
		t.Errorf("the same form again: %d %s", status, text)
	}
	accounts := s.get(t, owner, "/connections/stripe/accounts")
	says(t, "the history", accounts, "Revealed", "The field password was shown. moved", "owner@example.com")
	record, err := s.audit.Search(t.Context(), audit.Query{Action: "credential.reveal"})
	if err != nil || record.Total != 1 {
		t.Fatalf("%d entries, %v", record.Total, err)
	}
	if e := record.Entries[0]; e.Actor.Name != "owner@example.com" || e.Reason != "moved" || e.Details["account"] != "default" || e.Details["field"] != "password" || e.Target.Name != "stripe" {
		t.Errorf("%+v", e)
	}
	for _, path := range []string{"/connections/stripe/accounts", "/connections/stripe", "/audit", "/settings/reveal", revealPath} {
		if strings.Contains(s.get(t, owner, path), revealed) {
			t.Errorf("%s holds the secret", path)
		}
	}
	// Nothing of OAuth, and nothing where there is nothing.
	for _, path := range []string{"/connections/sheets/accounts/default/reveal", "/connections/plurk/accounts/default/reveal", "/connections/open/accounts/default/reveal", "/connections/stripe/accounts/nobody/reveal", "/connections/nothing/accounts/default/reveal"} {
		if status, _, text := s.form(t, owner, path, "field", "client_secret", "password", password, "reason", "moved"); status != http.StatusNotFound || strings.Contains(text, revealed) {
			t.Errorf("%s: %d", path, status)
		}
	}

	s.post(t, owner, "/settings/reveal/forbid", map[string][]string{"reason": {"done"}}, http.StatusSeeOther)
	if status, _, text := s.reveal(t, owner); status != http.StatusNotFound || strings.Contains(text, revealed) {
		t.Errorf("switched off again: %d", status)
	}
}

// Guessing the password is slowed down as at sign-in.
func TestRevealIsThrottled(t *testing.T) {
	t.Parallel()
	s, owner := revealSite(t)
	s.allowReveal(t, owner)
	for range 50 {
		status, header, _ := s.form(t, owner, revealPath, "field", "password", "reason", "moved", "password", "another guess")
		if status == http.StatusTooManyRequests {
			if header.Get("Retry-After") == "" {
				t.Error("no Retry-After")
			}
			if status, _, text := s.reveal(t, owner); status != http.StatusTooManyRequests || strings.Contains(text, revealed) {
				t.Errorf("with the right password while it is slowed down: %d", status)
			}
			return
		}
	}
	t.Error("it is not slowed down")
}

func (s *site) allowReveal(t *testing.T, owner *http.Client) {
	t.Helper()
	s.post(t, owner, "/settings/reveal/allow", map[string][]string{"reason": {"we move"}, "password": {password}}, http.StatusSeeOther)
}
