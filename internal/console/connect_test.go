package console

import (
	"context"
	"crypto/tls"
	"html"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"switchgear/internal/access"
	"switchgear/internal/connect"
	"switchgear/internal/connections"
	"switchgear/internal/credentials/oauth"
	"switchgear/internal/sandbox"
	"switchgear/internal/telemetry"
)

// oauthServer asks authorization servers that tests run on this machine.
func oauthServer(t *testing.T) *oauth.Client {
	t.Helper()
	client, err := oauth.New(oauth.Deps{
		Transport: func(*tls.Certificate) http.RoundTripper {
			transport := &http.Transport{}
			t.Cleanup(transport.CloseIdleConnections)
			return transport
		},
		Now: time.Now,
	})
	if err != nil {
		t.Fatal(err)
	}
	return client
}

const clientSecret = "canary-client-secret"

// consentAt makes a connection whose server is the sandbox, and returns the server's address.
func (s *site) consentAt(t *testing.T) string {
	t.Helper()
	provider, err := sandbox.New(sandbox.Deps{Logger: telemetry.Discard(), Now: time.Now}, sandbox.Config{OAuth: sandbox.OAuth{
		Scopes: []string{"read", "write"},
		Clients: []sandbox.Client{{
			ID: "app", Secret: telemetry.NewSecret(clientSecret), RedirectURIs: []string{s.URL + "/oauth/callback/connection-acme"},
		}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(provider)
	t.Cleanup(func() { provider.Close(); server.Close() })
	_, err = s.connections.Create(t.Context(), access.System(), connections.Draft{
		Name: "Acme", Slug: "acme", BaseURL: "https://api.example.com", Provider: "generic-oauth2",
		Auth: connections.Auth{Type: "oauth2_authorization_code", Fields: map[string]string{
			"authorize_url": server.URL + "/oauth/authorize", "token_url": server.URL + "/oauth/token", "client_id": "app",
			"client_secret": clientSecret, "scopes": "read write",
		}},
	}, "")
	if err != nil {
		t.Fatal(err)
	}
	return server.URL
}

// form posts a form.
func (s *site) form(t *testing.T, client *http.Client, path string, pairs ...string) (int, http.Header, string) {
	t.Helper()
	values := url.Values{}
	for i := 0; i+1 < len(pairs); i += 2 {
		values.Add(pairs[i], pairs[i+1])
	}
	return s.do(t, client, http.MethodPost, path, strings.NewReader(values.Encode()), "Content-Type", "application/x-www-form-urlencoded")
}

// decide answers the consent page of the sandbox, and returns where it sends the browser.
func decide(t *testing.T, client *http.Client, leave, decision string) string {
	t.Helper()
	u, err := url.Parse(leave)
	if err != nil {
		t.Fatal(err)
	}
	form := u.Query()
	form.Set("decision", decision)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, u.Scheme+"://"+u.Host+u.Path, strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	text, _ := io.ReadAll(resp.Body)
	if resp.StatusCode != http.StatusSeeOther {
		t.Fatalf("the server answered %d %s", resp.StatusCode, text)
	}
	back, err := url.Parse(resp.Header.Get("Location"))
	if err != nil {
		t.Fatal(err)
	}
	return back.RequestURI()
}

var leaveLink = regexp.MustCompile(`href="(http://[^"]+/oauth/authorize[^"]*)"`)

// The whole way through the pages: asked for, consented, connected, and seen on the accounts.
func TestConnectAnAccount(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	server := s.consentAt(t)
	client := s.signedIn(t, access.RoleOwner)
	_, _, accounts := s.do(t, client, http.MethodGet, "/connections/acme/accounts", nil)
	if !strings.Contains(accounts, "Not connected") || !strings.Contains(accounts, "/connections/acme/accounts/default/connect") {
		t.Fatal("the accounts do not say that nobody has connected it")
	}
	status, _, start := s.do(t, client, http.MethodGet, "/connections/acme/accounts/default/connect", nil)
	if status != http.StatusOK || !strings.Contains(start, s.URL+"/oauth/callback/connection-acme") {
		t.Fatalf("start: %d", status)
	}
	begin := func(scopes ...string) (string, string) {
		t.Helper()
		pairs := make([]string, 0, 2*len(scopes))
		for _, scope := range scopes {
			pairs = append(pairs, "scope", scope)
		}
		status, header, text := s.form(t, client, "/connections/acme/accounts/default/connect", pairs...)
		if status != http.StatusSeeOther {
			t.Fatalf("begin: %d %s", status, text)
		}
		consent := header.Get("Location")
		_, header, page := s.do(t, client, http.MethodGet, consent, nil)
		found := leaveLink.FindStringSubmatch(page)
		if found == nil || header.Get("Cache-Control") != "no-store" {
			t.Fatal("the page does not lead on, or is kept")
		}
		leave := html.UnescapeString(found[1])
		if !strings.HasPrefix(leave, server) {
			t.Fatalf("it leads to %s", leave)
		}
		return consent, leave
	}
	// Denied first.
	consent, leave := begin("read")
	status, header, _ := s.do(t, client, http.MethodGet, decide(t, client, leave, "deny"), nil)
	if status != http.StatusSeeOther || header.Get("Location") != consent || header.Get("Referrer-Policy") != "no-referrer" {
		t.Fatalf("callback: %d %v", status, header)
	}
	_, _, page := s.do(t, client, http.MethodGet, consent, nil)
	if !strings.Contains(page, "access_denied") || !strings.Contains(page, "Start again") {
		t.Error("a denied consent does not say so")
	}
	// Then granted; the same answer again is of no use.
	consent, leave = begin("read", "write")
	back := decide(t, client, leave, "approve")
	if status, _, text := s.do(t, client, http.MethodGet, back, nil); status != http.StatusSeeOther {
		t.Fatalf("callback: %d %s", status, text)
	}
	_, _, page = s.do(t, client, http.MethodGet, consent, nil)
	if !strings.Contains(page, "is connected") {
		t.Error("the consent does not say that it worked")
	}
	if status, _, text := s.do(t, client, http.MethodGet, back, nil); status != http.StatusConflict || !strings.Contains(text, "belongs to no consent") {
		t.Errorf("the answer a second time: %d", status)
	}
	_, _, accounts = s.do(t, client, http.MethodGet, "/connections/acme/accounts", nil)
	if !strings.Contains(accounts, "Connected") || !strings.Contains(accounts, "Reconnect") {
		t.Error("the accounts do not show the account as connected")
	}
	if strings.Contains(accounts+page+start, clientSecret) {
		t.Error("a page holds the client secret")
	}
	if _, err := s.connections.Target("acme", ""); err != nil {
		t.Errorf("calls are refused: %v", err)
	}
}

func TestConnectIsForWhoMayConfigure(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.consentAt(t)
	s.create(t, "static", "Static")
	admin := s.signedIn(t, access.RoleOwner)
	operator := s.signedIn(t, access.RoleOperator)
	for _, method := range []string{http.MethodGet, http.MethodPost} {
		if status, _, _ := s.do(t, operator, method, "/connections/acme/accounts/default/connect", nil); status != http.StatusForbidden {
			t.Errorf("%s as an operator: %d", method, status)
		}
	}
	for path, want := range map[string]int{
		"/connections/static/accounts/default/connect": http.StatusConflict, // it has no token
		"/connections/none/accounts/default/connect":   http.StatusNotFound,
		"/consents/oaf_none":                           http.StatusNotFound,
		"/oauth/callback/connection-acme?state=x":      http.StatusConflict,
		"/oauth/callback/connection-acme":              http.StatusConflict,
	} {
		if status, _, _ := s.do(t, admin, http.MethodGet, path, nil); status != want {
			t.Errorf("%s: %d, want %d", path, status, want)
		}
	}
	status, _, page := s.form(t, admin, "/connections/acme/accounts/default/connect", "more", `re"ad`)
	if status < 400 || !strings.Contains(page, "no scope may have") {
		t.Errorf("a scope that is none: %d", status)
	}
	// The consent of one browser is of no use in another.
	_, header, _ := s.form(t, admin, "/connections/acme/accounts/default/connect", "scope", "read")
	other := &http.Client{CheckRedirect: admin.CheckRedirect}
	if status, _, _ := s.do(t, other, http.MethodGet, header.Get("Location"), nil); status != http.StatusSeeOther && status != http.StatusUnauthorized {
		t.Errorf("somebody else sees a consent: %d", status)
	}
}

// A secret that an account has of its own is not taken to another server by a change of the client that it shares the
// rest with: the pages say so, and what to do.
func TestConnectKeepsTheSecretOfAnAccountAtItsServer(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	server := s.consentAt(t)
	owner := s.signedIn(t, access.RoleOwner)
	own := []string{"account", "own", "auth_type", "oauth2_authorization_code", "auth.client_secret", "canary-own"}
	if status, _, page := s.form(t, owner, "/connections/acme/accounts", own...); status != http.StatusSeeOther {
		t.Fatalf("the account: %d %s", status, page)
	}
	move := func(to string) {
		t.Helper()
		_, err := s.connections.PutAccount(t.Context(), access.System(), "acme", "default", connections.Auth{Fields: map[string]string{
			"authorize_url": to + "/oauth/authorize", "token_url": to + "/oauth/token", "client_id": "app", "client_secret": clientSecret, "scopes": "read write",
		}}, "")
		if err != nil {
			t.Fatal(err)
		}
	}
	const path = "/connections/acme/accounts/own/connect"
	_, header, _ := s.form(t, owner, path, "scope", "read") // before the change
	begun := header.Get("Location")
	_, _, links := s.form(t, owner, "/connections/acme/links", "account", "own", "life", "1h")
	link := madeLink.FindStringSubmatch(links)
	if link == nil {
		t.Fatal("no link was made")
	}
	move("https://collect.example.net")
	for name, ask := range map[string]func() (int, http.Header, string){
		"the page":      func() (int, http.Header, string) { return s.do(t, owner, http.MethodGet, path, nil) },
		"its button":    func() (int, http.Header, string) { return s.form(t, owner, path, "scope", "read") },
		"one under way": func() (int, http.Header, string) { return s.do(t, owner, http.MethodGet, begun, nil) },
	} {
		status, _, page := ask()
		if status != http.StatusBadRequest || strings.Contains(page, "canary-own") {
			t.Errorf("%s: %d", name, status)
		}
		for _, want := range []string{"Token URL leads to another server now. Client secret was entered for the one before", "take the client of the connection back"} {
			if !strings.Contains(page, want) {
				t.Errorf("%s does not say %q", name, want)
			}
		}
	}
	// Who came by a link can do nothing about it, and is told so in their words, with the code for who sent it.
	for _, method := range []string{http.MethodGet, http.MethodPost} {
		status, header, page := s.form(t, &http.Client{CheckRedirect: owner.CheckRedirect}, link[1])
		if method == http.MethodGet {
			status, header, page = s.do(t, &http.Client{CheckRedirect: owner.CheckRedirect}, method, link[1], nil)
		}
		if status != http.StatusBadRequest || header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s of the link: %d %v", method, status, header)
		}
		says(t, method+" of the link", page, "The account is not connected.", "you cannot mend it", "Code: client_other_server", "can be used again")
		silent(t, method+" of the link", page, "Sign in", "<nav", "Client secret", "canary-own")
	}
	if status, _, _ := s.do(t, owner, http.MethodGet, "/connections/acme/accounts/default/connect", nil); status != http.StatusOK {
		t.Errorf("the account with the client itself: %d", status)
	}
	move(server)
	if status, _, _ := s.do(t, owner, http.MethodGet, path, nil); status != http.StatusOK {
		t.Errorf("back at the server: %d", status)
	}
}

// noTeller tells nobody.
type noTeller struct{}

func (noTeller) Check(context.Context, access.Actor, string) error { return nil }

func (noTeller) Ended(context.Context, connect.Session) error { return nil }

var shownOrigin = regexp.MustCompile(`name="origin" value="([^"]+)"`)

var madeLink = regexp.MustCompile(`value="http://[^"]+(/connect/[A-Za-z0-9_-]{43})"`)

// Somebody without access to the console connects an account by a link, and enters a key by another one.
func TestConnectLinks(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.consentAt(t)
	s.create(t, "static", "Static")
	owner := s.signedIn(t, access.RoleOwner)
	newPerson := func() *http.Client {
		jar, err := cookiejar.New(nil)
		if err != nil {
			t.Fatal(err)
		}
		return &http.Client{Jar: jar, CheckRedirect: owner.CheckRedirect}
	}
	link := func(slug, account string) string {
		t.Helper()
		status, header, page := s.form(t, owner, "/connections/"+slug+"/links", "account", account, "label", "For Acme", "life", "1h")
		found := madeLink.FindStringSubmatch(page)
		if status != http.StatusOK || found == nil || header.Get("Cache-Control") != "no-store" {
			t.Fatalf("making a link: %d", status)
		}
		return found[1]
	}
	person, path := newPerson(), link("acme", "acme")
	status, _, page := s.do(t, person, http.MethodGet, path, nil)
	if status != http.StatusOK || !strings.Contains(page, "For Acme") {
		t.Fatalf("the link: %d", status)
	}
	status, _, page = s.form(t, person, path)
	found := leaveLink.FindStringSubmatch(page)
	if status != http.StatusOK || found == nil {
		t.Fatalf("begin: %d %s", status, page)
	}
	status, header, _ := s.do(t, person, http.MethodGet, decide(t, person, html.UnescapeString(found[1]), "approve"), nil)
	if status != http.StatusSeeOther || !strings.HasPrefix(header.Get("Location"), "/connected/") {
		t.Fatalf("callback: %d %v", status, header)
	}
	if _, _, page := s.do(t, person, http.MethodGet, header.Get("Location"), nil); !strings.Contains(page, "is connected") || strings.Contains(page, "Sign out") {
		t.Error("the person does not see that it worked")
	}
	if status, _, _ := s.do(t, newPerson(), http.MethodGet, header.Get("Location"), nil); status != http.StatusNotFound {
		t.Errorf("somebody else sees it: %d", status)
	}
	if _, err := s.connections.Target("acme", "acme"); err != nil {
		t.Errorf("calls of the account are refused: %v", err)
	}
	// A link that has ended says so to whoever follows it, and does not ask them to sign in to the console.
	for _, method := range []string{http.MethodGet, http.MethodPost} {
		status, _, page := s.form(t, newPerson(), path)
		if method == http.MethodGet {
			status, _, page = s.do(t, newPerson(), method, path, nil)
		}
		if status != http.StatusNotFound || !strings.Contains(page, "This link has ended") || strings.Contains(page, "Sign in") || strings.Contains(page, "<nav") {
			t.Errorf("%s of the link a second time: %d", method, status)
		}
	}
	// A key is entered where nobody has to consent.
	path = link("static", "acme")
	shownFor := func() string {
		t.Helper()
		_, _, page := s.do(t, person, http.MethodGet, path, nil)
		found := shownOrigin.FindStringSubmatch(page)
		if found == nil || !strings.Contains(page, `name="auth.token"`) {
			t.Fatalf("the key is not asked for: %s", page)
		}
		return found[1]
	}
	shown := shownFor()
	if status, _, page := s.form(t, person, path); status != http.StatusBadRequest || !strings.Contains(page, "Nothing was entered") {
		t.Errorf("nothing entered: %d", status)
	}
	// The address is changed while the page is open: what was entered was for the old one.
	if _, err := s.connections.Update(t.Context(), access.System(), "static", connections.Draft{BaseURL: "https://moved.example.com"}, "", 0); err != nil {
		t.Fatal(err)
	}
	if status, _, page := s.form(t, person, path, "auth.token", "k", "origin", shown); status != http.StatusConflict || !strings.Contains(page, "goes to another address by now") || !strings.Contains(page, "moved.example.com") {
		t.Errorf("entered for another address: %d %s", status, page)
	}
	if status, _, _ := s.form(t, person, path, "auth.token", "k"); status != http.StatusConflict {
		t.Errorf("entered for no address: %d", status)
	}
	if accounts, err := s.connections.Accounts(t.Context(), access.System(), "static"); err != nil || len(accounts) != 1 {
		t.Errorf("stored: %v, %v", accounts, err)
	}
	if status, _, page := s.form(t, person, path, "auth.token", "k", "origin", shownFor()); status != http.StatusOK || !strings.Contains(page, "is connected") {
		t.Errorf("entered: %d", status)
	}
	_, _, page = s.do(t, owner, http.MethodGet, "/connections/static/links", nil)
	if !strings.Contains(page, "Connected") || strings.Contains(page, path) {
		t.Error("the list does not say what became of the link, or shows it")
	}
	if status, _, page := s.form(t, owner, "/connections/static/links", "account", "third", "life", "1h"); status != http.StatusOK || strings.Contains(page, "older link") {
		t.Errorf("the first link of an account: %d", status)
	}
	if status, _, page := s.form(t, owner, "/connections/static/links", "account", "third", "life", "1h"); status != http.StatusOK || !strings.Contains(page, "An older link for third is still open.") {
		t.Errorf("an older link is not told of: %d", status)
	}
	path = link("static", "other")
	id := regexp.MustCompile(`/links/(cns_[a-z0-9]+)/revoke`).FindStringSubmatch(func() string {
		_, _, page := s.do(t, owner, http.MethodGet, "/connections/static/links", nil)
		return page
	}())
	if id == nil {
		t.Fatal("an open link cannot be withdrawn")
	}
	if status, _, _ := s.form(t, owner, "/connections/static/links/"+id[1]+"/revoke"); status != http.StatusSeeOther {
		t.Errorf("withdraw: %d", status)
	}
	if status, _, _ := s.do(t, person, http.MethodGet, path, nil); status != http.StatusNotFound {
		t.Errorf("a withdrawn link: %d", status)
	}
}

// A test of an account that only a person can bring back leads there, instead of an error page.
func TestCredentialTestLeadsToReconnect(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.consentAt(t)
	s.create(t, "static", "Static")
	owner := s.signedIn(t, access.RoleOwner)
	_, page := s.post(t, owner, "/connections/acme/test", url.Values{}, http.StatusOK)
	says(t, "the test of an account that nobody connected", page, "The credential cannot be used.", "not connected yet", "Reconnect", "/connections/acme/accounts/default/connect")
	if _, err := s.connections.Update(t.Context(), access.System(), "static", connections.Draft{BaseURL: "https://other.example.net"}, "", 0); err != nil {
		t.Fatal(err)
	}
	_, page = s.post(t, owner, "/connections/static/test", url.Values{}, http.StatusOK)
	says(t, "the test of a secret for another address", page, "The credential cannot be used.", "https://api.example.com", "https://other.example.net")
	silent(t, "it", page, ">Reconnect<")
	// The account form of a kind whose client is shared says so.
	says(t, "the form of another account", s.get(t, owner, "/connections/acme/accounts"), "The OAuth client of the account default is used.", "As the account default", "as default")
}
