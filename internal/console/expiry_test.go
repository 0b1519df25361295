package console

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"switchgear/internal/access"
)

// The end of a secret is entered with it or later, and stands on the account, in its history and in the calendar.
func TestExpiryByThePage(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	owner := s.signedIn(t, access.RoleOwner)
	today := time.Now().UTC() // also when midnight comes meanwhile
	in := func(days int) string { return today.AddDate(0, 0, days).Format(time.DateOnly) }
	status, _, text := s.form(t, owner, "/connections/new", "provider", "generic-rest", "name", "Stripe", "slug", "stripe", "environment", "production", "kind", "rest",
		"base_url", "https://api.example.com", "auth_type", "bearer", "auth.token", "canary-first", "expires_on", in(-2))
	says(t, "a day that has passed", text, "This day has passed.", `value="`+in(-2)+`"`)
	if status != http.StatusBadRequest || strings.Contains(text, "canary-first") {
		t.Errorf("status %d", status)
	}
	put := func(want int, pairs ...string) string {
		t.Helper()
		status, header, text := s.form(t, owner, "/connections/stripe/accounts", append([]string{"account", "default", "auth_type", "bearer"}, pairs...)...)
		if status != want {
			t.Fatalf("%v: %d, want %d\n%s", pairs, status, want, text)
		}
		if want != http.StatusSeeOther {
			return text
		}
		return s.get(t, owner, header.Get("Location"))
	}
	if status, _, text := s.form(t, owner, "/connections/new", "provider", "generic-rest", "name", "Stripe", "slug", "stripe", "environment", "production", "kind", "rest",
		"base_url", "https://api.example.com", "auth_type", "bearer", "auth.token", "canary-first", "expires_on", in(10)); status != http.StatusSeeOther {
		t.Fatalf("create: %d\n%s", status, text)
	}
	says(t, "the accounts", s.get(t, owner, "/connections/stripe/accounts"), "set by owner@example.com", "Expiry set")
	says(t, "the overview of the connection", s.get(t, owner, "/connections/stripe"), "set by owner@example.com")
	says(t, "the form", s.get(t, owner, "/connections/stripe/accounts?account=default"), `name="expires_on"`, `value="`+in(10)+`"`)
	says(t, "the edit", s.get(t, owner, "/connections/stripe/edit"), `value="`+in(10)+`"`)
	says(t, "the calendar", s.get(t, owner, "/credentials?group=14d"), "Secret with a set expiry", "/connections/stripe/accounts/default/rotate")
	if _, _, csv := s.do(t, owner, http.MethodGet, "/credentials/export", nil); !strings.Contains(csv, "stripe,Stripe,production,default,secret,"+in(10)+"T23:59:59Z") {
		t.Errorf("the export: %s", csv)
	}

	says(t, "another day, the same secret", put(http.StatusSeeOther, "auth.token", "", "expires_on", in(40)), "The expiry of the secret is noted.", "set by owner@example.com")
	says(t, "a day that has passed", put(http.StatusBadRequest, "auth.token", "canary-second", "expires_on", in(-2)), "This day has passed.")
	says(t, "not a day", put(http.StatusBadRequest, "expires_on", "soon"), "Write the day as 2027-01-31.")
	// The form shows the day of the secret before; with another secret that is no answer.
	if page := put(http.StatusSeeOther, "auth.token", "canary-second", "expires_on", in(40)); !strings.Contains(page, "of the one before is cleared") || strings.Contains(page, "set by owner@example.com") {
		t.Error("the day stays with another secret")
	}
	says(t, "another secret and its day", put(http.StatusSeeOther, "auth.token", "canary-third", "expires_on", in(90)), "set by owner@example.com")
	if page := put(http.StatusSeeOther, "expires_on", ""); strings.Contains(page, "set by owner@example.com") {
		t.Error("the day is not cleared")
	}
	says(t, "nothing ends", s.get(t, owner, "/credentials"), "Nothing expires.")
	// The certificate of mutual TLS says itself when it ends, and what is not there has no end.
	for _, kind := range []string{"mutual_tls", "none"} {
		status, _, text := s.form(t, owner, "/connections/stripe/accounts", "account", "acme", "auth_type", kind, "change", "auth")
		if status != http.StatusOK || strings.Contains(text, `name="expires_on"`) {
			t.Errorf("%s: %d asks for a day", kind, status)
		}
	}
}
