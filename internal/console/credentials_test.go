package console

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"switchgear/internal/access"
	"switchgear/internal/connections"
	"switchgear/internal/credentials"
	"switchgear/internal/credentials/oauth"
)

// The calendar names what a person has to see to, and nothing that is renewed by itself.
func TestCalendarOfCredentials(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	admin := s.signedIn(t, access.RoleOwner)
	says(t, "empty", s.get(t, admin, "/credentials"), "Nothing expires.")
	for slug, token := range map[string]oauth.Token{
		"ends": {Access: "a", ExpiresIn: 48 * time.Hour}, "renewed": {Access: "a", Refresh: "r", ExpiresIn: time.Hour}, "later": {Access: "a", ExpiresIn: 1000 * time.Hour},
	} {
		_, err := s.connections.Create(t.Context(), access.System(), connections.Draft{
			Name: slug, Slug: slug, BaseURL: "https://api.example.com", Auth: connections.Auth{Type: "oauth2_authorization_code", Fields: map[string]string{
				"authorize_url": "https://as.example.com/a", "token_url": "https://as.example.com/t", "client_id": "app", "client_secret": "s",
			}},
		}, "")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.connections.ConnectAccount(t.Context(), access.System(), slug, "default", connections.Consented{Token: token, Event: credentials.EventConnected}); err != nil {
			t.Fatal(err)
		}
	}
	page := s.get(t, admin, "/credentials")
	says(t, "the calendar", page, "Within 3 days", "/connections/ends/accounts/default/connect", "Later")
	if strings.Contains(page, "/connections/renewed/accounts/default/connect") {
		t.Error("a token that is renewed by itself is in the calendar")
	}
	if page := s.get(t, admin, "/credentials?group=later&q=LAT"); strings.Contains(page, "/connections/ends/") || !strings.Contains(page, "/connections/later/") {
		t.Error("the filters do not hold")
	}
	for slug, auth := range map[string]connections.Auth{
		"key":    {Type: "bearer", Fields: map[string]string{"token": "t"}, ExpiresOn: new("2099-01-31")},
		"client": {Type: "oauth2_authorization_code", Fields: map[string]string{"authorize_url": "https://as.example.com/a", "token_url": "https://as.example.com/t", "client_id": "app", "client_secret": "s"}, ExpiresOn: new("2099-01-31")},
	} {
		if _, err := s.connections.Create(t.Context(), access.System(), connections.Draft{Name: slug, Slug: slug, BaseURL: "https://api.example.com", Auth: auth}, ""); err != nil {
			t.Fatal(err)
		}
	}
	page = s.get(t, admin, "/credentials?group=later")
	says(t, "a key is rotated, a client is replaced", page, "/connections/key/accounts/default/rotate", "Rotate", "/connections/client/accounts?account=default#account", "Replace")
	if strings.Contains(page, "/connections/client/accounts/default/rotate") || strings.Contains(page, "/connections/key/accounts?account=default") {
		t.Error("a key is replaced, or a client rotated")
	}
	says(t, "the history", s.get(t, admin, "/connections/ends/accounts"), "History of the credentials", "Connected", "Stored")
	status, header, body := s.do(t, admin, http.MethodGet, "/credentials/export?group=3d", nil)
	if lines := strings.Split(strings.TrimSpace(body), "\n"); status != http.StatusOK || len(lines) != 2 || !strings.HasPrefix(lines[1], "ends,ends,") ||
		header.Get("Content-Type") != "text/csv; charset=utf-8" {
		t.Errorf("%d %v %q", status, header, body)
	}
}
