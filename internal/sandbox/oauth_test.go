package sandbox

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"switchgear/internal/telemetry"
)

const (
	redirectURI = "http://127.0.0.1:1/oauth/callback"
	verifier    = "a-verifier-that-is-long-enough-for-anyone-0123456789"
)

func oauthProvider(t *testing.T, rotate bool) *provider {
	t.Helper()
	return serve(t, Config{
		APIs: []API{{Prefix: "/me", Auth: Auth{Kind: AuthOAuth, Scope: "read"}, Collections: map[string]int{"items": 1}}},
		OAuth: OAuth{RotateRefresh: rotate, Scopes: []string{"read", "write"}, Clients: []Client{
			{ID: "app", Secret: telemetry.NewSecret("app secret"), RedirectURIs: []string{redirectURI}},
			{ID: "public", RedirectURIs: []string{redirectURI}},
		}},
	})
}

func authorizeForm(more ...string) url.Values {
	sum := sha256.Sum256([]byte(verifier))
	v := url.Values{
		"response_type": {"code"}, "client_id": {"app"}, "redirect_uri": {redirectURI}, "scope": {"read"}, "state": {"xyz"},
		"code_challenge": {base64.RawURLEncoding.EncodeToString(sum[:])}, "code_challenge_method": {"S256"},
	}
	for i := 0; i+1 < len(more); i += 2 {
		v.Set(more[i], more[i+1])
	}
	return v
}

// decision answers the consent page and returns what the browser carries back.
func (p *provider) decision(form url.Values, decision string) url.Values {
	p.t.Helper()
	form.Set("decision", decision)
	got := p.form(pathAuthorize, form)
	back, err := url.Parse(got.header.Get("Location"))
	if err != nil || got.status != http.StatusSeeOther || !strings.HasPrefix(back.String(), redirectURI) {
		p.t.Fatalf("consent: %d %v %s", got.status, got.header, got.body)
	}
	return back.Query()
}

func (p *provider) code() string {
	p.t.Helper()
	return p.decision(authorizeForm(), "approve").Get("code")
}

// asApp is the client's own authentication, form-encoded as RFC 6749 has it.
func asApp() []string {
	return []string{"Authorization", "Basic " + base64.StdEncoding.EncodeToString([]byte("app:app+secret"))}
}

func (p *provider) exchange(code string) reply {
	p.t.Helper()
	return p.form(pathToken, url.Values{
		"grant_type": {grantCode}, "code": {code}, "redirect_uri": {redirectURI}, "code_verifier": {verifier},
	}, asApp()...)
}

func (p *provider) refresh(token string) reply {
	p.t.Helper()
	return p.form(pathToken, url.Values{"grant_type": {grantRefresh}, "refresh_token": {token}}, asApp()...)
}

func (p *provider) call(token string) int {
	p.t.Helper()
	return p.get("/me/items", "Authorization", "Bearer "+token).status
}

func TestAuthorizationCodeWithPKCE(t *testing.T) {
	t.Parallel()
	p := oauthProvider(t, false)
	page := p.get(pathAuthorize + "?" + authorizeForm("state", `"><script>`).Encode())
	if page.status != http.StatusOK || !strings.Contains(page.body, "Allow") || strings.Contains(page.body, "<script>") {
		t.Fatalf("consent page: %d %s", page.status, page.body)
	}
	back := p.decision(authorizeForm(), "approve")
	if back.Get("state") != "xyz" || back.Get("iss") != p.server.URL || back.Get("code") == "" {
		t.Fatalf("back: %v", back)
	}
	tokens := p.exchange(back.Get("code"))
	if tokens.status != http.StatusOK || tokens.text(t, "token_type") != "Bearer" || tokens.text(t, "scope") != "read" || tokens.header.Get("Cache-Control") != "no-store" {
		t.Fatalf("tokens: %d %s", tokens.status, tokens.body)
	}
	access := tokens.text(t, "access_token")
	if got := p.call(access); got != http.StatusOK {
		t.Errorf("with the token: %d", got)
	}
	// A code is used once; the second use ends what the first brought.
	if again := p.exchange(back.Get("code")); again.status != http.StatusBadRequest || again.text(t, "error") != "invalid_grant" {
		t.Errorf("second use: %d %s", again.status, again.body)
	}
	if got := p.call(access); got != http.StatusUnauthorized {
		t.Errorf("after the second use of the code: %d", got)
	}
	if refused := p.decision(authorizeForm(), "deny"); refused.Get("error") != "access_denied" || refused.Get("code") != "" {
		t.Errorf("refused: %v", refused)
	}
}

func TestAuthorizationRefusesWhatIsWrong(t *testing.T) {
	t.Parallel()
	p := oauthProvider(t, false)
	// Without a client and a redirect URI that are known, the browser is sent nowhere.
	for _, form := range []url.Values{authorizeForm("client_id", "other"), authorizeForm("redirect_uri", redirectURI+"/x")} {
		if got := p.get(pathAuthorize + "?" + form.Encode()); got.status != http.StatusBadRequest || got.header.Get("Location") != "" {
			t.Errorf("%v: %d %v", form, got.status, got.header)
		}
	}
	for want, form := range map[string]url.Values{
		"unsupported_response_type": authorizeForm("response_type", "token"),
		"invalid_request":           authorizeForm("code_challenge_method", "plain"),
		"invalid_scope":             authorizeForm("scope", "read everything"),
	} {
		if got := p.decision(form, "approve"); got.Get("error") != want || got.Get("state") != "xyz" {
			t.Errorf("%s: %v", want, got)
		}
	}
	for name, form := range map[string]url.Values{
		"another verifier":     {"code": {p.code()}, "redirect_uri": {redirectURI}, "code_verifier": {"no"}},
		"no verifier":          {"code": {p.code()}, "redirect_uri": {redirectURI}},
		"another redirect URI": {"code": {p.code()}, "redirect_uri": {"http://127.0.0.1:2/"}, "code_verifier": {verifier}},
		"no such code":         {"code": {"made-up"}, "redirect_uri": {redirectURI}, "code_verifier": {verifier}},
	} {
		form.Set("grant_type", grantCode)
		if got := p.form(pathToken, form, asApp()...); got.status != http.StatusBadRequest || got.text(t, "error") != "invalid_grant" {
			t.Errorf("%s: %d %s", name, got.status, got.body)
		}
	}
	late := p.code()
	p.clock.advance(codeLifetime)
	if got := p.exchange(late); got.status != http.StatusBadRequest {
		t.Errorf("an expired code: %d", got.status)
	}
	for name, header := range map[string][]string{
		"wrong secret": {"Authorization", "Basic YXBwOndyb25n"}, "no client": nil,
	} {
		got := p.form(pathToken, url.Values{"grant_type": {grantCredentials}}, header...)
		if got.status != http.StatusUnauthorized || got.text(t, "error") != "invalid_client" {
			t.Errorf("%s: %d %s", name, got.status, got.body)
		}
	}
}

func TestAccessTokensExpire(t *testing.T) {
	t.Parallel()
	p := oauthProvider(t, false)
	token := p.exchange(p.code()).text(t, "access_token")
	p.clock.advance(defaultTokenLifetime - time.Second)
	if got := p.call(token); got != http.StatusOK {
		t.Errorf("before: %d", got)
	}
	p.clock.advance(time.Second)
	if got := p.call(token); got != http.StatusUnauthorized {
		t.Errorf("after: %d", got)
	}
}

// With rotation, a refresh token that is used twice costs the whole grant.
func TestRefreshRotationPunishesReuse(t *testing.T) {
	t.Parallel()
	p := oauthProvider(t, true)
	first := p.exchange(p.code()).text(t, "refresh_token")
	second := p.refresh(first)
	if second.status != http.StatusOK || second.text(t, "refresh_token") == first {
		t.Fatalf("rotation: %d %s", second.status, second.body)
	}
	if got := p.call(second.text(t, "access_token")); got != http.StatusOK {
		t.Fatalf("after the refresh: %d", got)
	}
	if again := p.refresh(first); again.text(t, "error") != "invalid_grant" {
		t.Errorf("reuse: %s", again.body)
	}
	if got := p.call(second.text(t, "access_token")); got != http.StatusUnauthorized {
		t.Errorf("the access token survives the reuse: %d", got)
	}
	if got := p.refresh(second.text(t, "refresh_token")); got.text(t, "error") != "invalid_grant" {
		t.Errorf("the refresh token survives the reuse: %s", got.body)
	}
}

func TestRefreshWithoutRotation(t *testing.T) {
	t.Parallel()
	p := oauthProvider(t, false)
	token := p.exchange(p.code()).text(t, "refresh_token")
	for range 2 {
		if got := p.refresh(token); got.text(t, "refresh_token") != token {
			t.Errorf("%s", got.body)
		}
	}
	if got := p.form(pathRevoke, url.Values{"token": {token}}, asApp()...); got.status != http.StatusOK {
		t.Errorf("revoke: %d", got.status)
	}
	if got := p.refresh(token); got.text(t, "error") != "invalid_grant" {
		t.Errorf("after the revocation: %s", got.body)
	}
	if got := p.form(pathRevoke, url.Values{"token": {"made-up"}}, asApp()...); got.status != http.StatusOK {
		t.Errorf("revoke of nothing: %d", got.status)
	}
}

func TestClientCredentials(t *testing.T) {
	t.Parallel()
	p := oauthProvider(t, false)
	form := url.Values{"grant_type": {grantCredentials}, "client_id": {"app"}, "client_secret": {"app secret"}, "scope": {"write"}}
	got := p.form(pathToken, form)
	if _, refresh := got.object(t)["refresh_token"]; got.status != http.StatusOK || refresh {
		t.Fatalf("%d %s", got.status, got.body)
	}
	if status := p.call(got.text(t, "access_token")); status != http.StatusForbidden {
		t.Errorf("without the scope: %d", status)
	}
	form.Set("scope", "read")
	token := p.form(pathToken, form).text(t, "access_token")
	if status := p.call(token); status != http.StatusOK {
		t.Errorf("with the scope: %d", status)
	}
	p.form(pathRevoke, url.Values{"token": {token}}, asApp()...)
	if status := p.call(token); status != http.StatusUnauthorized {
		t.Errorf("revoked: %d", status)
	}
	for want, values := range map[string]url.Values{
		"unauthorized_client":    {"grant_type": {grantCredentials}, "client_id": {"public"}},
		"unsupported_grant_type": {"grant_type": {"password"}, "client_id": {"public"}},
	} {
		if got := p.form(pathToken, values); got.text(t, "error") != want {
			t.Errorf("%s: %s", want, got.body)
		}
	}
}

func TestDeviceCode(t *testing.T) {
	t.Parallel()
	p := oauthProvider(t, false)
	begin := func() reply {
		return p.form(pathDeviceAuthorization, url.Values{"client_id": {"public"}, "scope": {"read"}})
	}
	poll := func(device reply) reply {
		return p.form(pathToken, url.Values{"grant_type": {grantDevice}, "client_id": {"public"}, "device_code": {device.text(t, "device_code")}})
	}
	device := begin()
	if got := poll(device); got.text(t, "error") != "authorization_pending" {
		t.Errorf("pending: %s", got.body)
	}
	if got := poll(device); got.text(t, "error") != "slow_down" {
		t.Errorf("too early: %s", got.body)
	}
	p.clock.advance(deviceInterval)
	user := device.text(t, "user_code")
	if got := p.get(pathDevice + "?user_code=" + strings.ToLower(user)); !strings.Contains(got.body, "public asks for access to read") {
		t.Errorf("page: %s", got.body)
	}
	if got := p.form(pathDevice, url.Values{"user_code": {user}, "decision": {"approve"}}); got.status != http.StatusOK {
		t.Errorf("decision: %d", got.status)
	}
	if got := p.call(poll(device).text(t, "access_token")); got != http.StatusOK {
		t.Errorf("with the token: %d", got)
	}
	if got := poll(device); got.text(t, "error") != "invalid_grant" {
		t.Errorf("second use: %s", got.body)
	}
	denied := begin()
	p.form(pathDevice, url.Values{"user_code": {denied.text(t, "user_code")}})
	if got := poll(denied); got.text(t, "error") != "access_denied" {
		t.Errorf("denied: %s", got.body)
	}
	late := begin()
	p.clock.advance(deviceLifetime)
	if got := poll(late); got.text(t, "error") != "expired_token" {
		t.Errorf("expired: %s", got.body)
	}
	if got := p.get(pathDevice + "?user_code=NONE"); got.status != http.StatusNotFound {
		t.Errorf("unknown code: %d", got.status)
	}
}

func TestMetadataNamesTheEndpoints(t *testing.T) {
	t.Parallel()
	p := oauthProvider(t, false)
	var m map[string]any
	if err := json.Unmarshal([]byte(p.get(pathMetadata).body), &m); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"issuer": p.server.URL, "token_endpoint": p.server.URL + pathToken, "authorization_endpoint": p.server.URL + pathAuthorize,
		"revocation_endpoint": p.server.URL + pathRevoke, "device_authorization_endpoint": p.server.URL + pathDeviceAuthorization,
	} {
		if m[name] != want {
			t.Errorf("%s is %v", name, m[name])
		}
	}
}

// The ways in which token endpoints have been seen to misbehave are all a matter of a script.
func TestHostileTokenEndpoint(t *testing.T) {
	t.Parallel()
	p := oauthProvider(t, false)
	ask := func() reply {
		return p.form(pathToken, url.Values{"grant_type": {grantCredentials}}, asApp()...)
	}
	expires := func(value string) Step {
		return Step{Merge: map[string]json.RawMessage{"expires_in": json.RawMessage(value)}}
	}
	for name, c := range map[string]struct {
		step Step
		want func(reply) bool
	}{
		"HTML":             {Step{Body: new("<h1>Down</h1>"), Headers: map[string]string{"Content-Type": "text/html"}}, func(r reply) bool { return r.status == 200 && r.body == "<h1>Down</h1>" }},
		"1 MB":             {Step{PadTo: 1 << 20}, func(r reply) bool { return len(r.body) == 1<<20 }},
		"expires_in text":  {expires(`"3600"`), func(r reply) bool { return strings.Contains(r.body, `"expires_in":"3600"`) }},
		"expires_in zero":  {expires("0"), func(r reply) bool { return strings.Contains(r.body, `"expires_in":0`) }},
		"expires_in minus": {expires("-1"), func(r reply) bool { return strings.Contains(r.body, `"expires_in":-1`) }},
		"expires_in absent": {expires("null"), func(r reply) bool {
			return !strings.Contains(r.body, "expires_in") && strings.Contains(r.body, "access_token")
		}},
		"error with 200": {Step{Body: new(`{"error":"bad_verification_code"}`)}, func(r reply) bool { return r.status == 200 && strings.Contains(r.body, "bad_verification_code") }},
	} {
		if err := p.SetScripts(Script{Path: pathToken, Steps: []Step{c.step}}); err != nil {
			t.Fatal(err)
		}
		if got := ask(); !c.want(got) {
			t.Errorf("%s: %d %.100q", name, got.status, got.body)
		}
	}
}
