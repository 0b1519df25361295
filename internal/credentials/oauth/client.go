package oauth

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"mime"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
	"unicode"

	"switchgear/internal/credentials/authtype"
)

const (
	// maxAnswer bounds what is read of an answer, in bytes.
	maxAnswer = 256 << 10
	// requestLimit bounds one request with its answer.
	requestLimit = 15 * time.Second
	// assertionLife is how long an assertion of ours is valid.
	assertionLife = 5 * time.Minute
)

// Deps are what a Client works with; all are required.
type Deps struct {
	// Transport makes the transport of a client, with a certificate to present or nil. It decides where
	// requests may go.
	Transport func(certificate *tls.Certificate) http.RoundTripper
	Now       func() time.Time
}

// Client asks authorization servers. It is safe for concurrent use.
type Client struct {
	transport func(*tls.Certificate) http.RoundTripper
	plain     http.RoundTripper
	now       func() time.Time
}

// New returns a Client. It fails when a dependency is missing.
func New(d Deps) (*Client, error) {
	if d.Transport == nil || d.Now == nil {
		return nil, errors.New("oauth: every dependency is required")
	}
	return &Client{transport: d.Transport, plain: d.Transport(nil), now: d.Now}, nil
}

// Exchange turns an authorization code into a token (RFC 6749 4.1.3, RFC 7636 4.5).
func (c *Client) Exchange(ctx context.Context, cfg Config, code, verifier, redirectURI string) (Token, error) {
	return c.token(ctx, cfg, url.Values{
		"grant_type": {"authorization_code"}, "code": {code}, "code_verifier": {verifier}, "redirect_uri": {redirectURI},
	})
}

// Refresh asks for a new token (RFC 6749 6). A server that rotates may have used up the refresh token when
// the error is Unknown.
func (c *Client) Refresh(ctx context.Context, cfg Config, refreshToken string) (Token, error) {
	return c.token(ctx, cfg, url.Values{"grant_type": {"refresh_token"}, "refresh_token": {refreshToken}})
}

// ClientCredentials asks for a token of the client itself (RFC 6749 4.4).
func (c *Client) ClientCredentials(ctx context.Context, cfg Config) (Token, error) {
	form := url.Values{"grant_type": {"client_credentials"}}
	addScopes(form, cfg.Scopes)
	return c.token(ctx, cfg, form)
}

// JWTBearer exchanges an assertion that is signed here for a token (RFC 7523 2.1).
func (c *Client) JWTBearer(ctx context.Context, cfg Config) (Token, error) {
	claims := map[string]any{}
	if cfg.Claims != "" {
		decoder := json.NewDecoder(strings.NewReader(cfg.Claims))
		decoder.UseNumber()
		if decoder.Decode(&claims) != nil {
			return Token{}, &Error{Step: StepToken, Code: CodeClientConfig}
		}
	}
	now := c.now()
	set := func(name string, value any) {
		if _, given := claims[name]; !given {
			claims[name] = value
		}
	}
	set("iss", cfg.ClientID)
	set("sub", either(cfg.Subject, cfg.ClientID))
	set("aud", either(cfg.Audience, cfg.TokenURL))
	set("iat", authtype.Numeric(now))
	set("exp", authtype.Numeric(now.Add(assertionLife)))
	set("jti", rand.Text())
	if len(cfg.Scopes) > 0 {
		set("scope", strings.Join(cfg.Scopes, " "))
	}
	assertion, err := authtype.Assertion{Key: cfg.PrivateKey, KeyID: cfg.KeyID, Algorithm: cfg.Algorithm, Claims: claims}.Sign()
	if err != nil {
		return Token{}, &Error{Step: StepToken, Code: CodeClientConfig, cause: err}
	}
	form := url.Values{"grant_type": {"urn:ietf:params:oauth:grant-type:jwt-bearer"}, "assertion": {assertion}}
	addScopes(form, cfg.Scopes)
	// The assertion itself says who asks.
	cfg.AuthStyle, cfg.ClientID = "", ""
	return c.token(ctx, cfg, form)
}

// Revoke tells the server that a token is not used any more (RFC 7009). hint is access_token or
// refresh_token. A token that the server does not know is revoked already.
func (c *Client) Revoke(ctx context.Context, cfg Config, token, hint string) error {
	answer, err := c.post(ctx, cfg, StepRevoke, cfg.RevokeURL, url.Values{"token": {token}, "token_type_hint": {hint}})
	if err != nil {
		return err
	}
	if answer.status/100 == 2 && answer.text("error") == "" {
		return nil
	}
	return answer.failure(StepRevoke)
}

func either(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

func addScopes(form url.Values, scopes []string) {
	if len(scopes) > 0 {
		form.Set("scope", strings.Join(scopes, " "))
	}
}

// token asks the token endpoint.
func (c *Client) token(ctx context.Context, cfg Config, form url.Values) (Token, error) {
	answer, err := c.post(ctx, cfg, StepToken, cfg.TokenURL, form)
	if err != nil {
		return Token{}, err
	}
	token, err := answer.below(cfg.TokenPath, form.Get("grant_type") == "refresh_token").token(StepToken)
	if err == nil && token.ExpiresIn == 0 {
		token.ExpiresIn = cfg.TokenLifetime
	}
	if err == nil {
		token.TokenURL, token.RevokeURL = cfg.TokenURL, cfg.RevokeURL
	}
	return token, err
}

// below is the part of an answer that the path to an access token leads to, with the token where it mostly is. An
// answer that has no such part holds no token, because one at the top would be somebody else's; except when a token is
// renewed: the refresh token says whose it is, and then servers answer with that one alone. Errors are at the top.
func (a answer) below(path []string, renewing bool) answer {
	if len(path) == 0 || a.status/100 != 2 {
		return a
	}
	fields, last := a.fields, path[len(path)-1]
	for _, name := range path[:len(path)-1] {
		fields, _ = fields[name].(map[string]any)
	}
	if text, _ := fields[last].(string); text != "" {
		inner := maps.Clone(fields)
		inner["access_token"] = text
		return answer{status: a.status, fields: inner}
	}
	if renewing {
		return a
	}
	outer := maps.Clone(a.fields)
	delete(outer, "access_token")
	return answer{status: a.status, fields: outer}
}

// answer is what came back: a status and the fields of a JSON object or a form.
type answer struct {
	status int
	fields map[string]any
}

// post sends a form as the client of cfg.
func (c *Client) post(ctx context.Context, cfg Config, step, endpoint string, form url.Values) (answer, error) {
	for name, values := range cfg.TokenParams {
		if _, own := form[name]; !own && step == StepToken {
			form[name] = values
		}
	}
	header := http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}
	transport, err := c.authenticate(cfg, form, header)
	if err != nil {
		return answer{}, &Error{Step: step, Code: CodeClientConfig, cause: err}
	}
	return c.send(ctx, transport, step, http.MethodPost, endpoint, header, []byte(form.Encode()))
}

// authenticate puts the client's proof on a request and returns the transport that carries it.
func (c *Client) authenticate(cfg Config, form url.Values, header http.Header) (http.RoundTripper, error) {
	switch {
	case cfg.ClientID == "": // The grant says who asks.
		return c.plain, nil
	case cfg.AuthStyle == authtype.StylePrivateKeyJWT:
		now := c.now()
		assertion, err := authtype.Assertion{Key: cfg.PrivateKey, KeyID: cfg.KeyID, Algorithm: cfg.Algorithm, Claims: map[string]any{
			"iss": cfg.ClientID, "sub": cfg.ClientID, "aud": cfg.TokenURL, "jti": rand.Text(),
			"iat": authtype.Numeric(now), "exp": authtype.Numeric(now.Add(assertionLife)),
		}}.Sign()
		if err != nil {
			return nil, err
		}
		form.Set("client_id", cfg.ClientID)
		form.Set("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer")
		form.Set("client_assertion", assertion)
	case cfg.AuthStyle == authtype.StyleMutualTLS:
		pair, err := tls.X509KeyPair([]byte(cfg.ClientCertificate), []byte(cfg.ClientKey))
		if err != nil {
			return nil, errors.New("oauth: the client certificate and its key do not parse")
		}
		form.Set("client_id", cfg.ClientID)
		return c.transport(&pair), nil
	case cfg.ClientSecret == "": // A public client.
		form.Set("client_id", cfg.ClientID)
	case cfg.AuthStyle == authtype.StyleBasic:
		// Both parts are form-encoded before they are joined (RFC 6749 2.3.1).
		r := &http.Request{Header: header}
		r.SetBasicAuth(url.QueryEscape(cfg.ClientID), url.QueryEscape(cfg.ClientSecret))
	case cfg.AuthStyle == authtype.StylePost:
		form.Set("client_id", cfg.ClientID)
		form.Set("client_secret", cfg.ClientSecret)
	default:
		return nil, fmt.Errorf("oauth: unknown client authentication %q", cfg.AuthStyle)
	}
	return c.plain, nil
}

// send makes one request. Nothing is repeated: whether that is safe is the caller's to know.
func (c *Client) send(ctx context.Context, transport http.RoundTripper, step, method, endpoint string, header http.Header, body []byte) (answer, error) {
	ctx, cancel := context.WithTimeout(ctx, requestLimit)
	defer cancel()
	var wrote atomic.Bool
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		// Before the first byte, and before a transport tries again what it knows that nobody received.
		GetConn: func(string) { wrote.Store(false) },
		GotConn: func(httptrace.GotConnInfo) { wrote.Store(true) },
	})
	r, err := http.NewRequestWithContext(ctx, method, endpoint, requestBody(body))
	if err != nil {
		return answer{}, &Error{Step: step, Code: CodeUnreachable, cause: errors.New("oauth: not a URL")}
	}
	r.ContentLength = int64(len(body))
	// A connection of its own: one that was kept and has died looks like an answer that never came, and what was
	// sent on it must not be sent again.
	r.Close = true
	r.Header = header
	r.Header.Set("Accept", "application/json")
	r.Header.Set("User-Agent", "switchgear")
	resp, err := transport.RoundTrip(r)
	if err != nil {
		if wrote.Load() {
			return answer{}, &Error{Step: step, Code: CodeNoAnswer, Unknown: true, cause: broken(err)}
		}
		return answer{}, &Error{Step: step, Code: CodeUnreachable, cause: err}
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	switch {
	case err != nil:
		return answer{}, &Error{Step: step, Code: CodeNoAnswer, Status: resp.StatusCode, Unknown: mayHaveActed(resp.StatusCode), cause: broken(err)}
	case len(text) > maxAnswer:
		return answer{}, &Error{Step: step, Code: CodeBadAnswer, Status: resp.StatusCode, Unknown: mayHaveActed(resp.StatusCode)}
	}
	a := answer{status: resp.StatusCode, fields: parse(resp.Header.Get("Content-Type"), text)}
	clear(text)
	return a, nil
}

// broken is why there is no answer. The text of a transport can quote what came instead of one, so nothing of
// it is kept but that it was too late.
func broken(err error) error {
	for _, known := range []error{context.DeadlineExceeded, context.Canceled} {
		if errors.Is(err, known) {
			return known
		}
	}
	return errors.New("oauth: the connection broke off")
}

// mayHaveActed reports whether a server that answers with this status may have done what it was asked to: a
// gateway in front of one that has answers 5xx, too.
func mayHaveActed(status int) bool {
	return status/100 == 2 || status >= http.StatusInternalServerError
}

// requestBody has no way to be read twice: the transport must not send it again.
func requestBody(body []byte) io.Reader {
	if len(body) == 0 {
		return http.NoBody
	}
	return io.NopCloser(bytes.NewReader(body))
}

// parse reads a JSON object, or a form, which some servers answer instead. Anything else has no fields.
func parse(contentType string, text []byte) map[string]any {
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	var fields map[string]any
	if decoder.Decode(&fields) == nil && fields != nil {
		return fields
	}
	media, _, _ := mime.ParseMediaType(contentType)
	if media != "application/x-www-form-urlencoded" && media != "text/plain" {
		return nil
	}
	form, err := url.ParseQuery(strings.TrimSpace(string(text)))
	if err != nil {
		return nil
	}
	fields = map[string]any{}
	for name, values := range form {
		fields[name] = values[0]
	}
	return fields
}

func (a answer) text(name string) string {
	text, _ := a.fields[name].(string)
	return text
}

// failure is the error that an answer tells.
func (a answer) failure(step string) *Error {
	e := &Error{Step: step, Code: CodeRefused, Status: a.status}
	code := a.text("error")
	switch {
	case a.status >= 500 || a.status == http.StatusTooManyRequests:
		e.Code, e.Unknown = CodeServerError, mayHaveActed(a.status)
	case code != "":
		e.Code = registered(code)
	case a.status/100 == 2 || a.status/100 == 3:
		e.Code, e.Unknown = CodeBadAnswer, mayHaveActed(a.status)
	}
	return e
}

// token reads the answer of a token endpoint (RFC 6749 5.1). Servers differ: some answer errors with 200,
// some write numbers as text. A token that came is never thrown away because of what is around it.
func (a answer) token(step string) (Token, error) {
	t := Token{Access: a.text("access_token"), Refresh: a.text("refresh_token"), Type: a.text("token_type")}
	if a.status/100 != 2 || t.Access == "" {
		return Token{}, a.failure(step)
	}
	if strings.ContainsFunc(t.Access, func(r rune) bool { return r <= ' ' || r > '~' }) || strings.ContainsFunc(t.Type, unicode.IsControl) {
		// No header can carry it: it would be kept, and refused at every call (RFC 6749 A.12).
		return Token{}, &Error{Step: step, Code: CodeBadAnswer, Status: a.status, Unknown: true}
	}
	switch scope := a.fields["scope"].(type) {
	case string:
		// Separated by spaces, or by commas at some servers.
		t.Scopes = strings.FieldsFunc(scope, func(r rune) bool { return r == ' ' || r == ',' })
	case []any:
		for _, s := range scope {
			if text, ok := s.(string); ok {
				t.Scopes = append(t.Scopes, text)
			}
		}
	}
	t.ExpiresIn = seconds(a.fields["expires_in"])
	return t, nil
}

// seconds reads a duration that is a number or a text of one. What is not positive, or longer than ten
// years, says nothing.
func seconds(v any) time.Duration {
	var text string
	switch v := v.(type) {
	case json.Number:
		text = v.String()
	case string:
		text = strings.TrimSpace(v)
	}
	if strings.Trim(text, "0123456789.+eE-") != "" { // No hexadecimal numbers, no "Inf".
		return 0
	}
	n, err := strconv.ParseFloat(text, 64)
	const longest = 10 * 365 * 24 * time.Hour
	if err != nil || n < 1 || n > longest.Seconds() {
		return 0
	}
	return time.Duration(n) * time.Second
}
