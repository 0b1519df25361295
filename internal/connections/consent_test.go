package connections

import (
	"testing"

	"switchgear/internal/access"
	"switchgear/internal/fault"
)

// The client of an account is for whoever has the right now, not when they began: links last for days.
func TestTokenClientNeedsTheRightNow(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d := draft("stripe")
	d.Auth = Auth{Type: "oauth2_authorization_code", Fields: map[string]string{
		"authorize_url": "https://as.example.com/authorize", "token_url": "https://as.example.com/token", "client_id": "c", "client_secret": "s",
	}}
	must(t, only(w.Create(t.Context(), admin(), d, "")))
	user := w.user(access.RoleAdmin)
	w.exec(`INSERT INTO api_keys (id, name, mac, scopes, created_by, created_at, search) VALUES ('key_1', 'k', 'm', '[]', '', 0, '')`)
	key := access.Key{ID: "key_1", Name: "k", Scopes: []access.Scope{access.ScopeAPIWrite}}.Actor("192.0.2.1")
	for _, a := range []access.Actor{user, key} {
		must(t, only(w.TokenClient(t.Context(), a, "stripe", "default")))
	}
	want := func(a access.Actor, kind fault.Kind) {
		t.Helper()
		if client, err := w.TokenClient(t.Context(), a, "stripe", "default"); !fault.Is(err, kind) || client.Config.ClientSecret != "" {
			t.Errorf("%s: got %v, want %v", a.Kind, err, kind)
		}
	}
	w.exec(`UPDATE users SET role = 'operator' WHERE id = $1`, user.ID)
	want(user, fault.Forbidden)
	w.exec(`UPDATE users SET role = 'admin', disabled_at = 1 WHERE id = $1`, user.ID)
	want(user, fault.Unauthenticated)
	w.exec(`UPDATE api_keys SET expires_at = 1 WHERE id = 'key_1'`)
	want(key, fault.Unauthenticated)
	w.exec(`UPDATE api_keys SET expires_at = NULL, revoked_at = 1 WHERE id = 'key_1'`)
	want(key, fault.Unauthenticated)
}
