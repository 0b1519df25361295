package sandbox

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"switchgear/internal/fault"
	"switchgear/internal/telemetry"
)

// The endpoints of the OAuth server.
const (
	pathMetadata            = "/.well-known/oauth-authorization-server"
	pathAuthorize           = "/oauth/authorize"
	pathToken               = "/oauth/token" //nolint:gosec // a path, not a secret.
	pathRevoke              = "/oauth/revoke"
	pathDeviceAuthorization = "/oauth/device_authorization"
	pathDevice              = "/oauth/device"
)

const (
	grantCode        = "authorization_code"
	grantRefresh     = "refresh_token"
	grantCredentials = "client_credentials"
	grantDevice      = "urn:ietf:params:oauth:grant-type:device_code"
)

const (
	defaultTokenLifetime = time.Hour
	codeLifetime         = time.Minute
	deviceLifetime       = 10 * time.Minute
	deviceInterval       = 5 * time.Second
	// maxGrants bounds what is kept; the oldest that are over are dropped first.
	maxGrants = 10_000
)

// OAuth configures the OAuth server. The zero value is a server without clients.
type OAuth struct {
	Clients []Client
	// Scopes are those that can be granted. Empty: whatever is asked for.
	Scopes []string
	// TokenLifetime is how long an access token lives. 0 = 1h.
	TokenLifetime time.Duration
	// RotateRefresh gives a new refresh token at each refresh. One that is used a second time ends every
	// token of its grant.
	RotateRefresh bool
}

// Client is an application known to the OAuth server.
type Client struct {
	ID string
	// Secret is zero for a public client, which shows none.
	Secret telemetry.Secret
	// RedirectURIs are compared exactly.
	RedirectURIs []string
}

func (o OAuth) check() error {
	for _, c := range o.Clients {
		if c.ID == "" {
			return fault.New(fault.Invalid, "", "sandbox: a client has no id")
		}
	}
	return nil
}

func (o OAuth) client(id string) (Client, bool) {
	i := slices.IndexFunc(o.Clients, func(c Client) bool { return c.ID == id })
	if i < 0 {
		return Client{}, false
	}
	return o.Clients[i], true
}

// grant is one consent; its tokens end together.
type grant struct {
	client, scope string
	ended         bool
}

type oauthState struct {
	codes   map[string]*code
	access  map[string]access
	refresh map[string]*refresh
	devices map[string]*device // by device code
}

type code struct {
	grant                  *grant
	redirectURI, challenge string
	expires                time.Time
	used                   bool
}

type access struct {
	grant   *grant
	expires time.Time
}

type refresh struct {
	grant *grant
	used  bool
}

type device struct {
	grant    *grant
	userCode string
	// decision is approve, deny, or empty while nobody has decided.
	decision string
	asked    time.Time
	expires  time.Time
}

func newOAuthState() *oauthState {
	return &oauthState{
		codes: map[string]*code{}, access: map[string]access{}, refresh: map[string]*refresh{}, devices: map[string]*device{},
	}
}

// authorize checks an access token for an API.
func (o *oauthState) authorize(token, scope string, now time.Time) error {
	a, ok := o.access[token]
	switch {
	case !ok || a.grant.ended || !now.Before(a.expires):
		return fault.New(fault.Unauthenticated, "invalid_token", "The access token is not valid.")
	case scope != "" && !slices.Contains(strings.Fields(a.grant.scope), scope):
		return fault.New(fault.Forbidden, "insufficient_scope", "The access token lacks the scope "+scope+".")
	}
	return nil
}

// prune forgets what is over, once there is much of it.
func (o *oauthState) prune(now time.Time) {
	if len(o.access)+len(o.codes)+len(o.devices)+len(o.refresh) < maxGrants {
		return
	}
	for k, v := range o.access {
		if v.grant.ended || !now.Before(v.expires) {
			delete(o.access, k)
		}
	}
	for k, v := range o.codes {
		if !now.Before(v.expires) {
			delete(o.codes, k)
		}
	}
	for k, v := range o.devices {
		if !now.Before(v.expires) {
			delete(o.devices, k)
		}
	}
	for k, v := range o.refresh {
		if v.grant.ended {
			delete(o.refresh, k)
		}
	}
}

// oauthError is an error of RFC 6749 5.2.
func oauthError(status int, code, description string) answer {
	a := jsonAnswer(status, map[string]string{"error": code, "error_description": description})
	a.header.Set("Cache-Control", "no-store")
	return a
}

// answerOAuth answers the paths of the OAuth server; false for any other.
func (s *Sandbox) answerOAuth(r *http.Request, body []byte) (answer, bool) {
	handlers := map[string]func(r *http.Request, form url.Values) answer{
		http.MethodGet + pathMetadata:             s.metadata,
		http.MethodGet + pathAuthorize:            s.askConsent,
		http.MethodPost + pathAuthorize:           s.decide,
		http.MethodPost + pathToken:               s.token,
		http.MethodPost + pathRevoke:              s.revoke,
		http.MethodPost + pathDeviceAuthorization: s.authorizeDevice,
		http.MethodGet + pathDevice:               s.askDevice,
		http.MethodPost + pathDevice:              s.decideDevice,
	}
	h, ok := handlers[r.Method+r.URL.Path]
	if !ok {
		return answer{}, false
	}
	s.oauth.prune(s.now())
	form := r.URL.Query()
	if r.Method == http.MethodPost {
		var err error
		if form, err = url.ParseQuery(string(body)); err != nil {
			return oauthError(http.StatusBadRequest, "invalid_request", "The body is not a form."), true
		}
	}
	return h(r, form), true
}

// issuer is the URL by which the client reached the sandbox.
func issuer(r *http.Request) string {
	if r.TLS != nil {
		return "https://" + r.Host
	}
	return "http://" + r.Host
}

func (s *Sandbox) metadata(r *http.Request, _ url.Values) answer {
	at := issuer(r)
	return jsonAnswer(http.StatusOK, map[string]any{
		"issuer": at, "authorization_endpoint": at + pathAuthorize, "token_endpoint": at + pathToken,
		"revocation_endpoint": at + pathRevoke, "device_authorization_endpoint": at + pathDeviceAuthorization,
		"response_types_supported":                       []string{"code"},
		"grant_types_supported":                          []string{grantCode, grantRefresh, grantCredentials, grantDevice},
		"token_endpoint_auth_methods_supported":          []string{"client_secret_basic", "client_secret_post", "none"},
		"code_challenge_methods_supported":               []string{"S256"},
		"authorization_response_iss_parameter_supported": true,
		"scopes_supported":                               s.cfg.OAuth.Scopes,
	})
}

// granted is what is granted of the scopes that were asked for; false when one does not exist.
func (s *Sandbox) granted(asked string) (string, bool) {
	scopes := strings.Fields(asked)
	for _, scope := range scopes {
		if len(s.cfg.OAuth.Scopes) > 0 && !slices.Contains(s.cfg.OAuth.Scopes, scope) {
			return "", false
		}
	}
	return strings.Join(scopes, " "), true
}

// consent is what somebody is asked to agree to. An answer that is set refuses it.
func (s *Sandbox) consent(form url.Values) (Client, string, *answer) {
	refuse := func(description string) *answer {
		a := oauthError(http.StatusBadRequest, "invalid_request", description)
		return &a
	}
	c, ok := s.cfg.OAuth.client(form.Get("client_id"))
	if !ok {
		return c, "", refuse("There is no such client.")
	}
	if !slices.Contains(c.RedirectURIs, form.Get("redirect_uri")) {
		return c, "", refuse("The redirect URI is not registered.") // Never redirect there.
	}
	fail := func(code string) *answer {
		a := redirect(form, url.Values{"error": {code}})
		return &a
	}
	scope, known := s.granted(form.Get("scope"))
	switch {
	case form.Get("response_type") != "code":
		return c, "", fail("unsupported_response_type")
	case form.Get("code_challenge") == "" || form.Get("code_challenge_method") != "S256":
		return c, "", fail("invalid_request")
	case !known:
		return c, "", fail("invalid_scope")
	}
	return c, scope, nil
}

// redirect sends the browser back to the client.
func redirect(form, values url.Values) answer {
	to, err := url.Parse(form.Get("redirect_uri"))
	if err != nil {
		return oauthError(http.StatusBadRequest, "invalid_request", "The redirect URI is not valid.")
	}
	q := to.Query()
	for name := range values {
		q.Set(name, values.Get(name))
	}
	if state := form.Get("state"); state != "" {
		q.Set("state", state)
	}
	to.RawQuery = q.Encode()
	return answer{status: http.StatusSeeOther, header: http.Header{"Location": {to.String()}, "Cache-Control": {"no-store"}}}
}

func (s *Sandbox) askConsent(_ *http.Request, form url.Values) answer {
	c, scope, refused := s.consent(form)
	if refused != nil {
		return *refused
	}
	return consentPage(consentView{Client: c.ID, Scope: scope, Action: pathAuthorize, Fields: flatten(form)})
}

func (s *Sandbox) decide(r *http.Request, form url.Values) answer {
	c, scope, refused := s.consent(form)
	if refused != nil {
		return *refused
	}
	if form.Get("decision") != "approve" {
		return redirect(form, url.Values{"error": {"access_denied"}, "iss": {issuer(r)}})
	}
	made := rand.Text()
	s.oauth.codes[made] = &code{
		grant: &grant{client: c.ID, scope: scope}, redirectURI: form.Get("redirect_uri"),
		challenge: form.Get("code_challenge"), expires: s.now().Add(codeLifetime),
	}
	return redirect(form, url.Values{"code": {made}, "iss": {issuer(r)}})
}

func verifies(verifier, challenge string) bool {
	sum := sha256.Sum256([]byte(verifier))
	return verifier != "" && same(base64.RawURLEncoding.EncodeToString(sum[:]), challenge)
}
