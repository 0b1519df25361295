package console

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-chi/chi/v5/middleware"

	"switchgear/internal/access"
	"switchgear/internal/alerts"
	"switchgear/internal/audit"
	"switchgear/internal/breakers"
	"switchgear/internal/calls"
	"switchgear/internal/checklist"
	"switchgear/internal/connect"
	"switchgear/internal/connections"
	"switchgear/internal/credentials"
	"switchgear/internal/credentials/vaulttest"
	"switchgear/internal/dbtest"
	"switchgear/internal/fault"
	"switchgear/internal/health"
	"switchgear/internal/live"
	"switchgear/internal/providers"
	"switchgear/internal/rotation"
	"switchgear/internal/runtime"
	"switchgear/internal/runtime/egress"
	"switchgear/internal/telemetry"
	"switchgear/internal/whatif"
	"switchgear/web/static"
	aboutview "switchgear/web/templates/about"
)

const password = "correct horse battery staple nine"

// site is the console on a real database behind a real HTTP server.
type site struct {
	*httptest.Server

	access      *access.Service
	connections *connections.Service
	calls       *calls.Log
	checklist   *checklist.Service
	audit       *audit.Log
	breakers    *breakers.Service
	guards      *runtime.Protections
	alerts      *alerts.Service
	rotation    *rotation.Service
	keyFile     string
	// exec writes rows that nothing else makes in a test.
	exec   func(query string, args ...any)
	health *health.Service
}

// newSite starts a console; rules open addresses to connections.
func newSite(t *testing.T, rules ...string) *site {
	t.Helper()
	open, err := egress.ParseRules(rules)
	if err != nil {
		t.Fatal(err)
	}
	d := dbtest.New(t)
	mac := func(key string) func([]byte) []byte {
		return func(message []byte) []byte {
			m := hmac.New(sha256.New, []byte(key))
			m.Write(message)
			return m.Sum(nil)
		}
	}
	log, err := audit.New(audit.Deps{DB: d, MAC: mac("audit"), Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	hub := live.New(live.Deps{Logger: telemetry.Discard(), Now: time.Now}, live.Config{})
	t.Cleanup(hub.Close)
	svc, err := access.New(access.Deps{
		DB: d, Audit: log, KeyMAC: mac("apikey"), Notify: func(topic string) { hub.Publish(topic) }, Logger: telemetry.Discard(), Now: time.Now,
	}, access.Config{})
	if err != nil {
		t.Fatal(err)
	}
	catalog, err := providers.Load()
	if err != nil {
		t.Fatal(err)
	}
	keyFile := filepath.Join(t.TempDir(), "switchgear.key")
	ring, err := credentials.OpenKeyring(t.Context(), credentials.Deps{
		DB: d, Source: credentials.KeySource{File: keyFile}, Logger: telemetry.Discard(), Now: time.Now,
	})
	if err != nil {
		t.Fatal(err)
	}
	sealer, err := ring.Sealer(credentials.PurposeCredential)
	if err != nil {
		t.Fatal(err)
	}
	vault := vaulttest.Open(t, d, sealer, time.Now)
	inbox := breakers.NewInbox()
	protections, err := runtime.NewProtections(runtime.ProtectionsDeps{
		Logger: telemetry.Discard(), Now: time.Now, Changed: inbox.Changed,
	}, runtime.ProtectionsConfig{})
	if err != nil {
		t.Fatal(err)
	}
	var readiness *checklist.Service
	conns, err := connections.New(t.Context(), connections.Deps{
		Protections: protections,
		Open:        func(ctx context.Context, c connections.Connection) ([]string, error) { return readiness.Open(ctx, c) },
		DB:          d, Audit: log, Vault: vault, Providers: catalog, Egress: egress.New(egress.Config{Rules: open}), Notify: func(topic string) { hub.Publish(topic) },
		Logger: telemetry.Discard(), Now: time.Now,
	})
	if err != nil {
		t.Fatal(err)
	}
	callLog, err := calls.New(t.Context(), calls.Deps{DB: d, Logger: telemetry.Discard(), Notify: func(string) {}, Now: time.Now}, calls.Config{})
	if err != nil {
		t.Fatal(err)
	}
	replays, err := whatif.New(whatif.Deps{Connections: conns, Calls: callLog, Breakers: protections.Breakers(), Now: time.Now}, whatif.Config{})
	if err != nil {
		t.Fatal(err)
	}
	replaying, end := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan error, 1)
	go func() { ended <- replays.Serve(replaying) }()
	t.Cleanup(func() {
		end()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("the replays ended with %v", err)
		}
	})
	conditions, err := health.New(t.Context(), health.Deps{
		DB: d, Connections: conns, Traffic: callLog, Protections: protections, Probe: runtime.Probe, Notify: func(string) {}, Logger: telemetry.Discard(), Now: time.Now,
	}, health.Config{Every: 2 * time.Nanosecond})
	if err != nil {
		t.Fatal(err)
	}
	switches, err := breakers.New(breakers.Deps{
		DB: d, Audit: log, Connections: conns, Inbox: inbox, Breakers: protections.Breakers(), Limiters: protections.Limiters(), Prober: prober{},
		Notify: func(topic string) { hub.Publish(topic) }, Logger: telemetry.Discard(), Now: time.Now,
	}, breakers.Config{})
	if err != nil {
		t.Fatal(err)
	}
	notify := func(topic string) { hub.Publish(topic) }
	sender, err := alerts.NewSender(alerts.SenderDeps{
		DB: d, Sealer: sealer, Guard: egress.New(egress.Config{Rules: open}), Notify: notify, Logger: telemetry.Discard(), Now: time.Now,
	}, alerts.SenderConfig{})
	if err != nil {
		t.Fatal(err)
	}
	warnings, err := alerts.New(t.Context(), alerts.Deps{
		DB: d, Audit: log, Sealer: sealer, Connections: conns, Health: conditions, Breakers: protections.Breakers(), Calls: callLog, Outbox: sender,
		BaseURL: func() string { return "" }, Notify: notify, Logger: telemetry.Discard(), Now: time.Now,
	}, alerts.Config{})
	if err != nil {
		t.Fatal(err)
	}
	readiness, err = checklist.New(checklist.Deps{
		DB: d, Audit: log, Connections: conns, Calls: callLog, Breakers: switches, Providers: catalog, Alerts: told{}, Notify: func(topic string) { hub.Publish(topic) }, Logger: telemetry.Discard(), Now: time.Now,
	}, checklist.Config{})
	if err != nil {
		t.Fatal(err)
	}
	rotator, err := credentials.NewRotator(credentials.RotatorDeps{
		DB: d, Keyring: ring, Progress: func() {}, Logger: telemetry.Discard(), Now: time.Now,
	}, credentials.RotatorConfig{})
	if err != nil {
		t.Fatal(err)
	}
	keys, err := rotation.New(rotation.Deps{DB: d, Audit: log, Keys: rotator, Worker: rotator, Master: ring, Notify: notify})
	if err != nil {
		t.Fatal(err)
	}
	assets, err := static.New()
	if err != nil {
		t.Fatal(err)
	}
	var server *httptest.Server
	authorization := oauthServer(t)
	consents, err := connect.New(connect.Deps{
		DB: d, Audit: log, Sealer: sealer, Accounts: conns, Server: authorization, Registrar: authorization, Teller: noTeller{}, PublicURL: func() string { return server.URL }, Logger: telemetry.Discard(), Now: time.Now,
	})
	if err != nil {
		t.Fatal(err)
	}
	handler, err := New(Deps{
		Connections: conns, Connect: consents, Providers: catalog, Calls: callLog, Checklist: readiness, Demo: &demonstration{}, Rotation: keys,
		Breakers: switches, Protections: protections, Health: conditions, Alerts: warnings,
		Proxy: runtime.NewProxy(runtime.ProxyDeps{
			Logger: telemetry.Discard(), Now: time.Now, Recorder: recorders{callLog, switches}, Protections: protections,
		}, runtime.ProxyConfig{}),
		WhatIf: replays,
		Access: svc, Audit: log, Live: hub, Assets: assets, Logger: telemetry.Discard(), Now: time.Now, SetupDone: func() {},
		About: func(context.Context) (aboutview.View, error) { return aboutview.View{Version: "test"}, nil },
	}, Config{Version: "test", KeyFile: keyFile, BaseURL: func() string { return server.URL }, GatewayURL: func() string { return server.URL }})
	if err != nil {
		t.Fatal(err)
	}
	server = httptest.NewServer(middleware.ClientIPFromRemoteAddr(telemetry.AssignRequestID(handler)))
	t.Cleanup(server.Close)
	return &site{
		Server: server, access: svc, connections: conns, calls: callLog, checklist: readiness, audit: log, breakers: switches, guards: protections, alerts: warnings, health: conditions,
		rotation: keys, keyFile: keyFile,
		exec: func(query string, args ...any) { dbtest.Exec(t, d, query, args...) },
	}
}

// signedIn makes a user with the role and returns a client with their session.
func (s *site) signedIn(t *testing.T, role access.Role) *http.Client {
	t.Helper()
	email := string(role) + "@example.com"
	if _, err := s.access.CreateUser(t.Context(), access.System(), access.NewUser{
		Email: email, Name: string(role), Role: role, Password: telemetry.NewSecret(password),
	}); err != nil {
		t.Fatal(err)
	}
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	form := url.Values{"email": {email}, "password": {password}}
	status, _, _ := s.do(t, client, http.MethodPost, "/sign-in", strings.NewReader(form.Encode()), "Content-Type", "application/x-www-form-urlencoded")
	if status != http.StatusSeeOther {
		t.Fatalf("sign-in as %s: status %d", role, status)
	}
	return client
}

func (s *site) do(t *testing.T, client *http.Client, method, path string, body io.Reader, header ...string) (status int, got http.Header, text string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, s.URL+path, body)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(header); i += 2 {
		if header[i] == "Host" {
			r.Host = header[i+1]
		}
		r.Header.Set(header[i], header[i+1])
	}
	resp, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	content, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, resp.Header, string(content)
}

// Every route is tried by every role and by nobody: the guard decides, whatever the handler does after.
func TestRolesReachWhatTheyMay(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	clients := map[access.Role]*http.Client{}
	for _, role := range access.Roles() {
		clients[role] = s.signedIn(t, role)
	}
	stranger := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	routes := (&Console{}).routes()
	for _, rt := range routes {
		switch rt.pattern {
		case "/sessions/revoke-others", "/profile/password":
			continue // they would end the sessions this test lives on
		case "/sessions/{id}/revoke":
			continue // whose session it is decides, not the role
		}
		if rt.guard.public {
			continue
		}
		path := strings.NewReplacer("{id}", "nothing", "{seq}", "1", "{slug}", "nothing", "{account}", "nothing", "{version}", "1").Replace(rt.pattern)
		form := func() io.Reader {
			if rt.method == http.MethodPost {
				return strings.NewReader("")
			}
			return nil
		}
		contentType := []string{"Content-Type", "application/x-www-form-urlencoded"}
		status, header, _ := s.do(t, stranger, rt.method, path, form(), contentType...)
		if status != http.StatusSeeOther || !strings.HasPrefix(header.Get("Location"), "/sign-in") {
			t.Errorf("nobody: %s %s = %d", rt.method, path, status)
		}
		status, _, body := s.do(t, stranger, rt.method, path, form(), append(contentType, "Accept", "application/json")...)
		if status != http.StatusUnauthorized || !json.Valid([]byte(body)) {
			t.Errorf("nobody, JSON: %s %s = %d %s", rt.method, path, status, body)
		}
		for role, client := range clients {
			may := rt.guard.signedIn || role.Can(rt.guard.permission)
			status, _, _ := s.do(t, client, rt.method, path, form(), contentType...)
			if (status == http.StatusForbidden) == may || status >= http.StatusInternalServerError {
				t.Errorf("%s: %s %s = %d, allowed: %t", role, rt.method, path, status, may)
			}
		}
	}
}

// What the browser says about where a request comes from decides whether it is carried out.
func TestCrossSiteRequestsAreRefused(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	client := s.signedIn(t, access.RoleOwner)
	tests := map[string]struct {
		method string
		header []string
		want   int
	}{
		"same origin":               {http.MethodPost, []string{"Sec-Fetch-Site", "same-origin"}, http.StatusSeeOther},
		"no header (not a browser)": {http.MethodPost, nil, http.StatusSeeOther},
		"typed address":             {http.MethodPost, []string{"Sec-Fetch-Site", "none"}, http.StatusSeeOther},
		"own origin, old browser":   {http.MethodPost, []string{"Origin", s.URL}, http.StatusSeeOther},
		"cross site":                {http.MethodPost, []string{"Sec-Fetch-Site", "cross-site"}, http.StatusForbidden},
		"same site, other host":     {http.MethodPost, []string{"Sec-Fetch-Site", "same-site"}, http.StatusForbidden},
		"other origin, old browser": {http.MethodPost, []string{"Origin", "https://evil.example"}, http.StatusForbidden},
		"own form, plain HTTP":      {http.MethodPost, []string{"Origin", s.URL, "Referer", s.URL + "/profile"}, http.StatusSeeOther},
		"null origin":               {http.MethodPost, []string{"Origin", "null"}, http.StatusForbidden},
		"reading stays possible":    {http.MethodGet, []string{"Sec-Fetch-Site", "cross-site"}, http.StatusOK},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var body io.Reader
			if tt.method == http.MethodPost {
				body = strings.NewReader("name=Olive")
			}
			status, _, text := s.do(t, client, tt.method, "/profile", body, append(tt.header, "Content-Type", "application/x-www-form-urlencoded")...)
			if status != tt.want {
				t.Errorf("status %d, want %d", status, tt.want)
			}
			if tt.want == http.StatusForbidden && !strings.Contains(text, "CROSS_ORIGIN") {
				t.Error("the page does not say what happened")
			}
		})
	}
}

func TestErrorsInEveryShape(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	client := s.signedIn(t, access.RoleOwner)
	tests := map[string]struct {
		path   string
		header []string
		status int
		want   []string
	}{
		"page":     {"/nothing", nil, 404, []string{"<!doctype html>", "NOT_FOUND", "req_"}},
		"fragment": {"/users/nothing", []string{"HX-Request", "true"}, 404, []string{"NOT_FOUND"}},
		"JSON":     {"/nothing", []string{"Accept", "application/json"}, 404, []string{`"code":"NOT_FOUND"`, `"request_id":"req_`}},
		"problem":  {"/nothing", []string{"Accept", "application/problem+json"}, 404, []string{`"status":404`, `"code":"NOT_FOUND"`}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			status, header, body := s.do(t, client, http.MethodGet, tt.path, nil, tt.header...)
			if status != tt.status {
				t.Errorf("status %d, want %d", status, tt.status)
			}
			for _, want := range tt.want {
				if !strings.Contains(body, want) {
					t.Errorf("%q is missing in %s", want, body)
				}
			}
			if header.Get("Content-Security-Policy") == "" || header.Get("Referrer-Policy") != "same-origin" || header.Get("Cache-Control") != "no-store" {
				t.Errorf("headers: %v", header)
			}
			if strings.Contains(body, "<html") == (name == "fragment") && name != "JSON" && name != "problem" {
				t.Error("a fragment is no page, and a page no fragment")
			}
		})
	}
}

func TestTooLargeAndBrokenForms(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	client := s.signedIn(t, access.RoleOwner)
	status, _, _ := s.do(t, client, http.MethodPost, "/profile", strings.NewReader("name="+strings.Repeat("a", maxForm)), "Content-Type", "application/x-www-form-urlencoded")
	if status != http.StatusRequestEntityTooLarge {
		t.Errorf("large form: %d", status)
	}
	status, _, _ = s.do(t, client, http.MethodPost, "/profile", strings.NewReader(`{"name":"x"}`), "Content-Type", "application/json")
	if status != http.StatusUnsupportedMediaType {
		t.Errorf("JSON instead of a form: %d", status)
	}
	status, _, text := s.do(t, client, http.MethodPost, "/profile", strings.NewReader("name="+strings.Repeat("n", 300)),
		"Content-Type", "application/x-www-form-urlencoded", "Accept", "application/json")
	if status != http.StatusBadRequest || !strings.Contains(text, `"field":"name"`) {
		t.Errorf("a program's form error: %d %s", status, text)
	}
	status, header, _ := s.do(t, client, http.MethodPut, "/profile", nil)
	if status != http.StatusMethodNotAllowed || header.Get("Allow") != "GET, HEAD, POST" {
		t.Errorf("another method: %d, Allow %q", status, header.Get("Allow"))
	}
	status, _, _ = s.do(t, client, http.MethodPost, "/profile", strings.NewReader("name=%zz"), "Content-Type", "application/x-www-form-urlencoded")
	if status != http.StatusBadRequest {
		t.Errorf("broken form: %d", status)
	}
	status, _, body := s.do(t, client, http.MethodPost, "/profile", strings.NewReader("name="+url.QueryEscape("<script>alert(1)</script>"+strings.Repeat("n", 200))), "Content-Type", "application/x-www-form-urlencoded")
	if status != http.StatusBadRequest || strings.Contains(body, "<script>alert") {
		t.Errorf("long name: %d", status)
	}
}

// A visitor's session ends while a page is open: the next fragment sends the whole page to sign-in.
func TestFragmentWithoutSession(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.signedIn(t, access.RoleOwner)
	status, header, _ := s.do(t, &http.Client{}, http.MethodGet, "/users", nil, "HX-Request", "true")
	if status != http.StatusUnauthorized || header.Get("HX-Redirect") != "/sign-in?after=ended" {
		t.Errorf("status %d, HX-Redirect %q", status, header.Get("HX-Redirect"))
	}
}

func TestFormErrors(t *testing.T) {
	t.Parallel()
	plain := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", nil)
	if _, _, ok := formErrors(plain, fault.New(fault.Unavailable, "", "try again")); ok {
		t.Error("a 503 is not the visitor's mistake")
	}
	messages, status, ok := formErrors(plain, fault.Field("X", "email", "Wrong.").WithSuggestion("Do this."))
	if !ok || status != http.StatusBadRequest || messages["email"] != "Wrong. Do this." {
		t.Errorf("%v %d %t", messages, status, ok)
	}
}

// Reloading the page that shows a new key sends the form again; that must not make a second key.
func TestReloadMakesNothingTwice(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	client := s.signedIn(t, access.RoleOwner)
	for path, form := range map[string]url.Values{
		"/keys/new":        {"name": {"ci"}, "scope": {"api:read"}, "expiry": {"30"}},
		"/invitations/new": {"email": {"new@example.com"}, "role": {"viewer"}},
	} {
		_, _, page := s.do(t, client, http.MethodGet, path, nil)
		_, after, _ := strings.Cut(page, `name="once" value="`)
		token, _, ok := strings.Cut(after, `"`)
		if !ok || token == "" {
			t.Fatalf("%s: the form has no token", path)
		}
		form.Set("once", token)
		for i, want := range []int{http.StatusCreated, http.StatusConflict} {
			status, _, _ := s.do(t, client, http.MethodPost, path, strings.NewReader(form.Encode()), "Content-Type", "application/x-www-form-urlencoded")
			if status != want {
				t.Errorf("%s, time %d: %d, want %d", path, i+1, status, want)
			}
		}
	}
	keys, err := s.access.Keys(t.Context(), access.System(), access.KeyQuery{})
	if err != nil || keys.Total != 1 {
		t.Errorf("%d keys, %v", keys.Total, err)
	}
}

// told has a rule and a channel for every connection.
type told struct{}

func (told) Coverage(context.Context, connections.Connection) (alerts.Coverage, error) {
	return alerts.Coverage{Rules: []string{"Connection down"}, Channels: []string{"on call"}}, nil
}
