package oauth

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// A token that is not at the top of the answer is found where the path leads, with what belongs to it; one at the top
// is somebody else's, unless it answers a renewal.
func TestTokenBelowTheTop(t *testing.T) {
	t.Parallel()
	path := []string{"authed_user", "access_token"}
	both := `{"ok":true,"access_token":"bot","scope":"chat:write","expires_in":60,"refresh_token":"bot-r","authed_user":{"id":"U1","access_token":"user","scope":"search:read","token_type":"user","refresh_token":"user-r","expires_in":43200}}`
	for name, c := range map[string]struct {
		path     []string
		renewing bool
		body     string
		want     parts
		code     string
	}{
		"no path":                 {nil, false, both, parts{"bot", "bot-r", "", []string{"chat:write"}, time.Minute}, ""},
		"the nested one":          {path, false, both, parts{"user", "user-r", "user", []string{"search:read"}, 12 * time.Hour}, ""},
		"the nested one, renewed": {path, true, both, parts{"user", "user-r", "user", []string{"search:read"}, 12 * time.Hour}, ""},
		"renewed at the top":      {path, true, `{"ok":true,"access_token":"user2","refresh_token":"user-r2","expires_in":60}`, parts{"user2", "user-r2", "", nil, time.Minute}, ""},
		"only that of the bot":    {path, false, `{"ok":true,"access_token":"bot","authed_user":{"id":"U1"}}`, parts{}, CodeBadAnswer},
		"no object there":         {path, false, `{"ok":true,"access_token":"bot","authed_user":"U1"}`, parts{}, CodeBadAnswer},
		"no text there":           {path, false, `{"ok":true,"access_token":"bot","authed_user":{"access_token":{"a":"b"}}}`, parts{}, CodeBadAnswer},
		"an error at the top":     {path, false, `{"ok":false,"error":"invalid_client"}`, parts{}, "invalid_client"},
		"another name":            {[]string{"data", "session", "key"}, false, `{"data":{"session":{"key":"k","expires_in":"60"}}}`, parts{"k", "", "", nil, time.Minute}, ""},
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			_, _ = io.WriteString(w, c.body)
		}))
		asks, cfg := client(t, nil), Config{TokenURL: server.URL, ClientID: "app", TokenPath: c.path}
		var (
			got Token
			err error
		)
		if c.renewing {
			got, err = asks.Refresh(t.Context(), cfg, "r")
		} else {
			got, err = asks.Exchange(t.Context(), cfg, "code", "verifier", "https://console.example.com/")
		}
		server.Close()
		if diff := cmp.Diff(c.want, parts{got.Access, got.Refresh, got.Type, got.Scopes, got.ExpiresIn}); diff != "" || c.code == "" && err != nil || c.code != "" && (err == nil || failed(t, err).Code != c.code) {
			t.Errorf("%s: %v %s", name, err, diff)
		}
	}
}

// The lifetime that is declared counts where the answer says none, and nowhere else.
func TestDeclaredLifetime(t *testing.T) {
	t.Parallel()
	cfg := ConfigOf(map[string]string{"token_lifetime": "2592000", "token_path": "a.b"})
	if diff := cmp.Diff([]string{"a", "b"}, cfg.TokenPath); diff != "" || cfg.TokenLifetime != 30*24*time.Hour {
		t.Errorf("%s %s", cfg.TokenLifetime, diff)
	}
	for body, want := range map[string]time.Duration{
		`{"access_token":"a","expires_at":"2126-01-01T00:00:00Z"}`: 30 * 24 * time.Hour,
		`{"access_token":"a","expires_in":3600}`:                   time.Hour,
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, body) }))
		got, err := client(t, nil).Refresh(t.Context(), Config{TokenURL: server.URL, ClientID: "app", TokenLifetime: 30 * 24 * time.Hour}, "r")
		server.Close()
		if err != nil || got.ExpiresIn != want {
			t.Errorf("%s: %v, %v", body, got, err)
		}
	}
}
