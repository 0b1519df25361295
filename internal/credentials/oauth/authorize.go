package oauth

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"maps"
	"net/url"
	"strconv"
	"strings"
)

// NewVerifier returns a code verifier of 256 random bits (RFC 7636 4.1).
func NewVerifier() string {
	raw := make([]byte, 32)
	_, _ = rand.Read(raw) // It never fails.
	return base64.RawURLEncoding.EncodeToString(raw)
}

// AuthorizationURL is where the browser goes for consent (RFC 6749 4.1.1, RFC 7636 4.3).
func AuthorizationURL(cfg Config, state, verifier, redirectURI string) (string, error) {
	u, err := url.Parse(cfg.AuthorizeURL)
	if err != nil {
		return "", &Error{Step: StepAuthorize, Code: CodeClientConfig}
	}
	q := u.Query()
	maps.Copy(q, cfg.AuthorizeParams)
	digest := sha256.Sum256([]byte(verifier))
	for name, value := range map[string]string{
		"response_type": "code", "client_id": cfg.ClientID, "redirect_uri": redirectURI, "state": state,
		"code_challenge": base64.RawURLEncoding.EncodeToString(digest[:]), "code_challenge_method": "S256",
		"scope": strings.Join(cfg.Scopes, " "),
	} {
		if value != "" {
			q.Set(name, value)
		}
	}
	u.RawQuery = q.Encode()
	return u.String(), nil
}

// Callback is what the browser brought back, once its state is known to be ours.
type Callback struct {
	Code, Issuer, Error string
	// Repeated says that a parameter came more than once, which makes the answer void (RFC 6749 3.1).
	Repeated bool
}

// CallbackOf reads the query that the browser brought to the redirect URI, and its state.
func CallbackOf(query url.Values) (b Callback, state string) {
	one := func(name string) string {
		values := query[name]
		b.Repeated = b.Repeated || len(values) > 1
		if len(values) == 0 {
			return ""
		}
		return values[0]
	}
	b.Code, b.Issuer, b.Error = one("code"), one("iss"), one("error")
	return b, one("state")
}

// Check refuses an answer of another server and an answer without a code (RFC 9207 2.4, RFC 6749 4.1.2).
// requireIssuer says that the server announced to name itself.
func (b Callback) Check(cfg Config, requireIssuer bool) error {
	switch {
	case b.Repeated:
		return &Error{Step: StepAuthorize, Code: CodeBadAnswer}
	case b.Issuer != "" && cfg.Issuer != "" && b.Issuer != cfg.Issuer, b.Issuer == "" && requireIssuer:
		return &Error{Step: StepAuthorize, Code: CodeIssuer}
	case b.Error != "":
		return &Error{Step: StepAuthorize, Code: registered(b.Error)}
	case b.Code == "":
		return &Error{Step: StepAuthorize, Code: CodeBadAnswer}
	}
	return nil
}

// String shows nothing of the code.
func (b Callback) String() string { return "callback of " + strconv.Quote(b.Issuer) }

// Format implements fmt.Formatter for every verb.
func (b Callback) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(b.String())) }
