package access

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// The handlers read these names and no others.
func TestFormsSendWhatHandlersRead(t *testing.T) {
	t.Parallel()
	user, key, invitation := "/users/"+grace().ID, "/keys/"+galleryKeys()[0].ID, "/invitations/"+galleryInvitations()[0].ID
	for _, tt := range []struct{ group, state, action, want string }{
		{"Set-up page", "empty", "/setup", "demo email key_saved name password repeat token"},
		{"Sign-in page", "empty", "/sign-in", "email next password"},
		{"Join page", "empty", "/accept", "email name password repeat token"},
		{"Users page", "many", "/users", "limit q role sort status"},
		{"User page", "active", user + "/role", "reason role"},
		{"User page", "active", user + "/disable", "reason"},
		{"User page", "disabled, no sessions", "/users/" + alan().ID + "/enable", "reason"},
		{"User page", "active", "/sessions/" + gallerySessions()[1].ID + "/revoke", "from"},
		{"Confirmation page", "disable", user + "/disable", "reason"},
		{"Confirmation page", "no reason, long text", invitation + "/revoke", "from"},
		{"Invite page", "empty", "/invitations/new", "email once role"},
		{"Invitations page", "one", invitation + "/revoke", ""},
		{"Sessions page", "many, long text", "/sessions/revoke-others", ""},
		{"Sessions page", "many, long text", "/sessions/" + gallerySessions()[2].ID + "/revoke", "from"},
		{"Profile page", "plain", "/profile", "name"},
		{"Profile page", "plain", "/profile/password", "current password repeat"},
		{"API keys page", "several pages", "/keys", "limit q sort status"},
		{"API keys page", "many", key + "/revoke", "reason"},
		{"Confirmation page", "revoke a key", key + "/revoke", "reason"},
		{"New API key page", "empty", "/keys/new", "connections expiry name once scope"},
	} {
		d := parse(t, find(t, tt.group, tt.state))
		if diff := cmp.Diff(tt.want, strings.Join(d.controls(tt.action), " ")); diff != "" {
			t.Errorf("%s, %s, %s (-want +got):\n%s", tt.group, tt.state, tt.action, diff)
		}
	}
}

// Who may only read is offered nothing but reading.
func TestReadersSeeNoActions(t *testing.T) {
	t.Parallel()
	for _, s := range Gallery() {
		if !strings.Contains(s.Name, "read-only") {
			continue
		}
		for _, n := range parse(t, render(t, s)).elements {
			if n.Data == "form" && value(n, "method") == "post" && value(n, "action") != "/sign-out" {
				t.Errorf("%s, %s: form to %s", s.Group, s.Name, value(n, "action"))
			}
			if _, opens := attribute(n, "data-open"); opens || strings.HasSuffix(value(n, "href"), "/new") {
				t.Errorf("%s, %s: button %q", s.Group, s.Name, text(n))
			}
		}
	}
}

// A button that opens a dialog is a link to the page with the same question, and the dialog posts there.
func TestDialogsHaveAPage(t *testing.T) {
	t.Parallel()
	found := 0
	for _, s := range Gallery() {
		d := parse(t, render(t, s))
		actions := map[string]string{}
		for _, n := range d.elements {
			if dialog := within(n, "dialog"); n.Data == "form" && dialog != nil {
				actions[value(dialog, "id")] = value(n, "action")
			}
		}
		for _, n := range d.elements {
			if opens := value(n, "data-open"); opens != "" {
				found++
				if n.Data != "a" || value(n, "href") != actions[opens] {
					t.Errorf("%s, %s: <%s href=%q> opens %s, which posts to %q", s.Group, s.Name, n.Data, value(n, "href"), opens, actions[opens])
				}
			}
		}
	}
	if found == 0 {
		t.Error("no dialog in the gallery")
	}
}

// A fragment is one live region that asks for the list as it is shown.
func TestRegionsAskForThemselves(t *testing.T) {
	t.Parallel()
	users := UsersView{Number: 3, Limit: 20, Total: 90, Search: "a b&c", Role: "admin", Status: "active", Sort: "-email"}
	for name, tt := range map[string]struct {
		page          string
		id, url, live string
	}{
		"users":       {find(t, "Users page", "the part that refreshes"), usersRegion, "/users?limit=12&page=2&sort=-created_at", "users invitations"},
		"invitations": {find(t, "Invitations page", "the part that refreshes"), invitationsRegion, "/invitations", "invitations"},
		"sessions":    {find(t, "Sessions page", "the part that refreshes"), sessionsRegion, "/sessions", "sessions"},
		"keys":        {find(t, "API keys page", "the part that refreshes"), keysRegion, "/keys", "keys"},
	} {
		var got []string
		for _, n := range parse(t, tt.page).elements {
			if address, ok := attribute(n, "hx-get"); ok {
				got = append(got, value(n, "id"), address, value(n, "data-live"))
			}
		}
		if diff := cmp.Diff([]string{tt.id, tt.url, tt.live}, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	if got, want := users.url(), "/users?limit=20&page=3&q=a+b%26c&role=admin&sort=-email&status=active"; got != want {
		t.Errorf("url = %s, want %s", got, want)
	}
}

func TestKeyState(t *testing.T) {
	t.Parallel()
	now := galleryNow()
	for name, tt := range map[string]struct {
		key  KeyRow
		want string
	}{
		"no end":              {KeyRow{Status: "active"}, "Active"},
		"a week and a second": {KeyRow{Status: "active", ExpiresAt: now.Add(7*24*time.Hour + time.Second)}, "Active"},
		"a week":              {KeyRow{Status: "active", ExpiresAt: now.Add(7 * 24 * time.Hour)}, "Expires soon"},
		"expired":             {KeyRow{Status: "expired", ExpiresAt: now.Add(-time.Second)}, "Expired"},
		"revoked before":      {KeyRow{Status: "revoked", ExpiresAt: now.Add(time.Hour), RevokedAt: now}, "Revoked"},
		"unknown":             {KeyRow{Status: "odd"}, "odd"},
	} {
		if got := tt.key.state(now); got.Label != tt.want {
			t.Errorf("%s: %q, want %q", name, got.Label, tt.want)
		}
	}
}

func TestTexts(t *testing.T) {
	t.Parallel()
	for want, got := range map[string]string{
		"1 session":      count(1, "session"),
		"0 sessions":     count(0, "session"),
		"1,200 sessions": count(1200, "session"),
		"äöü…":           shorten("äöüß", 3),
		"äöüß":           shorten("äöüß", 4),
		"At least 12 characters. Four or five unrelated words make a good one.": passwordRules(12),
	} {
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
