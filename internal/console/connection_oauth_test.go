package console

import (
	"encoding/json"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"switchgear/internal/access"
	"switchgear/internal/audit"
	"switchgear/internal/credentials"
)

const madeSecret = "canary-made-secret"

// metadataServer publishes itself, and registers clients.
func metadataServer(t *testing.T) *httptest.Server {
	t.Helper()
	var s *httptest.Server
	s = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/.well-known/openid-configuration":
			_, _ = fmt.Fprintf(w, `{"issuer":%q,"authorization_endpoint":"%[2]s/authorize","token_endpoint":"%[2]s/token","revocation_endpoint":"%[2]s/revoke",
				"registration_endpoint":"%[2]s/register","scopes_supported":["read","write"],"token_endpoint_auth_methods_supported":["client_secret_post"]}`, s.URL, s.URL)
		case "/register":
			var asked struct {
				RedirectURIs []string `json:"redirect_uris"`
				Method       string   `json:"token_endpoint_auth_method"`
			}
			if json.NewDecoder(r.Body).Decode(&asked) != nil || len(asked.RedirectURIs) != 1 || !strings.HasSuffix(asked.RedirectURIs[0], "/oauth/callback/connection-acme") || asked.Method != "client_secret_post" {
				http.Error(w, `{"error":"invalid_redirect_uri"}`, http.StatusBadRequest)
				return
			}
			w.WriteHeader(http.StatusCreated)
			_, _ = io.WriteString(w, `{"client_id":"made-4711","client_secret":"`+madeSecret+`"}`)
		default:
			http.NotFound(w, r)
		}
	}))
	t.Cleanup(s.Close)
	return s
}

// value is what a control of a page holds.
func value(page, name string) string {
	found := regexp.MustCompile(`<input[^>]*name="` + regexp.QuoteMeta(name) + `"[^>]*>`).FindString(page)
	text := regexp.MustCompile(`value="([^"]*)"`).FindStringSubmatch(found)
	if text == nil {
		return ""
	}
	return html.UnescapeString(text[1])
}

// consentForm are the fields of a new connection whose account is consented to.
func consentForm(more ...string) []string {
	return append([]string{
		"provider", "generic-oauth2", "name", "Acme", "environment", "development", "kind", "rest", "base_url", "https://api.example.com",
		"auth_type", "oauth2_authorization_code",
	}, more...)
}

// The form is filled in from what a server publishes about itself, also without JavaScript.
func TestFormIsFilledInFromTheServer(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	server := metadataServer(t)
	client := s.signedIn(t, access.RoleOwner)
	_, _, blank := s.do(t, client, http.MethodGet, "/connections/new?provider=generic-oauth2", nil)
	if !strings.Contains(blank, "/oauth/callback/connection-…") || !strings.Contains(blank, "Fill in from there") {
		t.Error("the blank form does not say how the redirect URI is made")
	}
	_, _, github := s.do(t, client, http.MethodGet, "/connections/new?provider=github", nil)
	if strings.Contains(github, `value="oauth2_authorization_code" selected`) && !strings.Contains(github, s.URL+"/oauth/callback/github") {
		t.Error("a provider of the catalogue has a redirect URI before anything is entered")
	}
	status, _, page := s.form(t, client, "/connections/new", consentForm("change", "discover", "server", server.URL, "auth.client_id", "app", "auth.revoke_url", "https://old.example/revoke")...)
	if status != http.StatusOK {
		t.Fatalf("discover: %d", status)
	}
	for name, want := range map[string]string{
		"auth.authorize_url": server.URL + "/authorize", "auth.token_url": server.URL + "/token", "auth.revoke_url": server.URL + "/revoke",
		"auth.issuer": server.URL, "auth.client_id": "app", "name": "Acme", "slug": "acme", "server": server.URL,
	} {
		if got := value(page, name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	for _, want := range []string{
		"Filled in from " + server.URL, "The server offers: read write.", `value="post" selected`, s.URL + "/oauth/callback/connection-acme",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	for address, want := range map[string]string{
		server.URL + "/nothing": "", // its host is the issuer
		"http://127.0.0.1:1":    "cannot be reached",
		"nonsense":              "Begin it with https://",
		"":                      "Begin it with https://",
	} {
		status, _, page := s.form(t, client, "/connections/new", consentForm("change", "discover", "server", address)...)
		if want == "" {
			if status != http.StatusOK {
				t.Errorf("%q: %d", address, status)
			}
			continue
		}
		if status != http.StatusUnprocessableEntity || !strings.Contains(page, want) || !strings.Contains(page, `href="#f-server"`) || value(page, "name") != "Acme" {
			t.Errorf("%q: %d, or no message beside the field", address, status)
		}
	}
	// A type without a server has no such field, and the button does nothing.
	if status, _, page := s.form(t, client, "/connections/new", "provider", "generic-rest", "auth_type", "bearer", "change", "discover"); status != http.StatusOK || strings.Contains(page, `name="server"`) {
		t.Errorf("bearer: %d", status)
	}
}

// A client is registered with our redirect URI, its secret goes into the sealed credential and never to a page,
// and the browser goes on to the consent.
func TestClientIsRegisteredFromTheForm(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	server := metadataServer(t)
	client := s.signedIn(t, access.RoleOwner)
	status, _, page := s.form(t, client, "/connections/new", consentForm("change", "register", "server", server.URL, "slug", "acme")...)
	sealed := value(page, "registered")
	if status != http.StatusOK || value(page, "auth.client_id") != "made-4711" || sealed == "" || !strings.Contains(page, "stored; leave empty to keep") {
		t.Fatalf("register: %d", status)
	}
	fields := func(more ...string) []string {
		return consentForm(append([]string{
			"slug", "acme", "server", server.URL, "registered", sealed, "auth.authorize_url", value(page, "auth.authorize_url"),
			"auth.token_url", value(page, "auth.token_url"), "auth.auth_style", "post",
		}, more...)...)
	}
	// With another client id the secret is of no use; a mistake elsewhere does not lose it.
	status, _, wrong := s.form(t, client, "/connections/new", fields("auth.client_id", "other")...)
	if status != http.StatusBadRequest || !strings.Contains(wrong, "belongs to another client ID") {
		t.Errorf("another client: %d", status)
	}
	status, _, mistake := s.form(t, client, "/connections/new", fields("auth.client_id", "made-4711", "policy.timeout", "soon")...)
	if status != http.StatusBadRequest || value(mistake, "registered") != sealed {
		t.Errorf("a mistake: %d", status)
	}
	status, header, made := s.form(t, client, "/connections/new", fields("auth.client_id", "made-4711")...)
	if status != http.StatusSeeOther || header.Get("Location") != "/connections/acme/accounts/default/connect" {
		t.Fatalf("create: %d to %s", status, header.Get("Location"))
	}
	stored, err := s.connections.TokenClient(t.Context(), access.System(), "acme", credentials.DefaultAccount)
	if err != nil || stored.Config.ClientSecret != madeSecret || stored.Config.AuthStyle != "post" {
		t.Errorf("the client is not stored: %v, %v", stored.Config, err)
	}
	_, _, edit := s.do(t, client, http.MethodGet, "/connections/acme/edit", nil)
	_, _, log := s.do(t, client, http.MethodGet, "/audit", nil)
	if strings.Contains(page+wrong+mistake+made+edit+log, madeSecret) {
		t.Error("a page holds the secret")
	}
	if found, err := s.audit.Search(t.Context(), audit.Query{Action: "oauth_client.register", Page: 1, Limit: 5}); err != nil || len(found.Entries) != 1 {
		t.Errorf("audit: %+v, %v", found, err)
	}
	// A slug that is taken, or none, registers nothing.
	for slug, want := range map[string]string{"acme": "has this slug", "No Slug": "Enter the slug first"} {
		status, _, text := s.form(t, client, "/connections/new", consentForm("change", "register", "server", server.URL, "slug", slug)...)
		if status != http.StatusUnprocessableEntity || !strings.Contains(text, want) {
			t.Errorf("%s: %d", slug, status)
		}
	}
	if status, _, _ := s.form(t, s.signedIn(t, access.RoleOperator), "/connections/new", consentForm("change", "register", "server", server.URL, "slug", "b")...); status != http.StatusForbidden {
		t.Errorf("an operator: %d", status)
	}
}

// Another auth type brings its fields: in a part of the page where scripts ask for it, by a button elsewhere. What was
// entered in fields of the same name is there again, unless it is secret; secrets of another type are not said to be
// stored.
func TestAnotherAuthType(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.consentAt(t)
	owner := s.signedIn(t, access.RoleOwner)
	ask := func(path string, fragment bool, pairs ...string) string {
		t.Helper()
		form := url.Values{"change": {"auth"}, "version": {"1"}}
		for i := 0; i+1 < len(pairs); i += 2 {
			form.Set(pairs[i], pairs[i+1])
		}
		header := []string{"Content-Type", "application/x-www-form-urlencoded"}
		if fragment {
			header = append(header, "HX-Request", "true", "HX-Target", "auth-part")
		}
		status, _, page := s.do(t, owner, http.MethodPost, path, strings.NewReader(form.Encode()), header...)
		if status != http.StatusOK || strings.Contains(page, "<html") == fragment || strings.Contains(page, "canary-typed") {
			t.Fatalf("%s: %d %s", path, status, page)
		}
		return page
	}
	entered := []string{"auth_type", "oauth2_client_credentials", "auth.client_id", "typed", "auth.client_secret", "canary-typed"}
	for path, more := range map[string][]string{
		"/connections/new":           {"provider", "generic-rest", "name", "New"},
		"/connections/acme/edit":     {"name", "Acme"},
		"/connections/acme/accounts": {"account", "other"},
	} {
		for _, fragment := range []bool{true, false} {
			page := ask(path, fragment, append(more, entered...)...)
			for _, want := range []string{`name="auth.client_id"`, `value="typed"`, `name="auth.token_url"`} {
				if !strings.Contains(page, want) {
					t.Errorf("%s (part %v): no %s", path, fragment, want)
				}
			}
			for _, other := range []string{`name="auth.authorize_url"`, "leave empty to keep"} {
				if strings.Contains(page, other) {
					t.Errorf("%s (part %v): %s", path, fragment, other)
				}
			}
			if told := strings.Contains(page, "are shown.</p>"); told != fragment {
				t.Errorf("%s (part %v): a screen reader is told: %v", path, fragment, told)
			}
			if button := strings.Contains(page, `<noscript><div class="actions"><button type="submit" class="btn btn-small" name="change" value="auth"`); button == fragment {
				t.Errorf("%s (part %v): the button for a browser without scripts: %v", path, fragment, button)
			}
		}
	}
	if page := ask("/connections/acme/edit", true, "name", "Acme", "auth_type", "oauth2_authorization_code"); !strings.Contains(page, "leave empty to keep") {
		t.Error("back at its own type, the secret is not said to be stored")
	}
	// What is said above the fields is about them, too.
	for kind, shares := range map[string]bool{"oauth2_authorization_code": true, "bearer": false} {
		for _, fragment := range []bool{true, false} {
			page := ask("/connections/acme/accounts", fragment, "account", "other", "auth_type", kind)
			if said := strings.Contains(page, "The OAuth client of the account default is used."); said != shares {
				t.Errorf("an account with %s (part %v) is said to share the client: %v", kind, fragment, said)
			}
		}
	}
}
