package oauth

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"switchgear/internal/credentials/authtype"
)

// styleOf translates a method of the metadata (RFC 7591 2, RFC 8705); empty for one we do not speak.
func styleOf(method string) string {
	switch method {
	case "client_secret_basic":
		return authtype.StyleBasic
	case "client_secret_post", "none":
		return authtype.StylePost
	case "private_key_jwt":
		return authtype.StylePrivateKeyJWT
	case "tls_client_auth", "self_signed_tls_client_auth":
		return authtype.StyleMutualTLS
	}
	return ""
}

// methodOf is the other direction, for registrations: a client that proves itself with a key or a certificate
// has to register it, which is for people to do. An empty style is that of a public client.
func methodOf(style string) (string, bool) {
	switch style {
	case "":
		return "none", true
	case authtype.StyleBasic:
		return "client_secret_basic", true
	case authtype.StylePost:
		return "client_secret_post", true
	}
	return "", false
}

// sameIssuer compares identifiers; a slash at the end is what people forget.
func sameIssuer(a, b string) bool {
	return a != "" && strings.TrimSuffix(a, "/") == strings.TrimSuffix(b, "/")
}

// discoveryLimit bounds a discovery, however many documents it asks for.
const discoveryLimit = 20 * time.Second

// Discover finds the metadata of an authorization server from its issuer, from the address of a metadata
// document, or from that of an API that says who guards it (RFC 9728). Every document is fetched at the
// place that the specifications give it; none may name another issuer than the one asked for.
func (c *Client) Discover(ctx context.Context, text string) (Metadata, error) {
	u, err := url.Parse(strings.TrimSpace(text))
	if err != nil || !webURL(u.String()) {
		return Metadata{}, &Error{Step: StepDiscovery, Code: CodeClientConfig, cause: errors.New("oauth: not a URL")}
	}
	u.RawQuery, u.Fragment = "", ""
	ctx, cancel := context.WithTimeout(ctx, discoveryLimit)
	defer cancel()
	first, err := c.discover(ctx, u)
	if err == nil {
		return first, nil
	}
	for _, issuer := range c.guardians(ctx, u) {
		if m, err := c.discover(ctx, issuer); err == nil {
			return m, nil
		}
	}
	return Metadata{}, err
}

// discover tries the documents of one issuer.
func (c *Client) discover(ctx context.Context, u *url.URL) (Metadata, error) {
	var (
		last  error = &Error{Step: StepDiscovery, Code: CodeBadAnswer}
		other error
	)
	for _, place := range places(u) {
		a, err := c.get(ctx, place.document)
		if err != nil {
			last = err
			continue
		}
		m, ok := metadataOf(a, place.issuer, place.document)
		switch {
		case ok:
			return m, nil
		case a.status != http.StatusOK:
			last = &Error{Step: StepDiscovery, Code: CodeBadAnswer, Status: a.status}
		case m.Issuer != "" && !sameIssuer(m.Issuer, place.issuer):
			other = &Error{Step: StepDiscovery, Code: CodeIssuer, Status: a.status}
		default:
			last = &Error{Step: StepDiscovery, Code: CodeBadAnswer, Status: a.status}
		}
	}
	if other != nil { // It says more than that there was nothing at the other places.
		return Metadata{}, other
	}
	return Metadata{}, last
}

type place struct{ document, issuer string }

// places are where the metadata of an issuer may be: RFC 8414 3.1 puts the well-known part in front of the
// path, OpenID Connect Discovery 4.1 behind it.
func places(u *url.URL) []place {
	origin := u.Scheme + "://" + u.Host
	path := strings.TrimSuffix(u.EscapedPath(), "/")
	const wellKnown = "/.well-known/"
	if before, rest, ok := strings.Cut(path, wellKnown); ok {
		_, after, _ := strings.Cut(rest, "/")
		issuer := origin + before
		if after != "" {
			issuer = origin + "/" + after
		}
		return []place{{u.String(), issuer}}
	}
	issuer := origin + path
	list := []place{
		{origin + wellKnown + "oauth-authorization-server" + path, issuer},
		{issuer + wellKnown + "openid-configuration", issuer},
		{origin + wellKnown + "openid-configuration" + path, issuer},
	}
	if path != "" {
		// Somebody pasted the address of an API: its host may be the issuer.
		list = append(list, place{origin + wellKnown + "oauth-authorization-server", origin}, place{origin + wellKnown + "openid-configuration", origin})
	}
	return slices.CompactFunc(list, func(a, b place) bool { return a.document == b.document })
}

// guardians asks an API which authorization servers it trusts.
func (c *Client) guardians(ctx context.Context, u *url.URL) []*url.URL {
	document := u.Scheme + "://" + u.Host + "/.well-known/oauth-protected-resource" + strings.TrimSuffix(u.EscapedPath(), "/")
	if told := c.challenge(ctx, u); told != nil {
		document = told.String()
	}
	a, err := c.get(ctx, document)
	if err != nil || a.status != http.StatusOK || !guards(a.text("resource"), u) {
		return nil
	}
	var out []*url.URL
	for _, text := range a.list("authorization_servers") {
		if issuer, err := url.Parse(text); err == nil && webURL(text) && !downgrade(u.Scheme, issuer.Scheme) && len(out) < 3 {
			out = append(out, issuer)
		}
	}
	return out
}

// guards reports whether the metadata of a protected resource is about u (RFC 9728 3.3): the resource is u, or
// what u lies below.
func guards(resource string, u *url.URL) bool {
	r, err := url.Parse(resource)
	if err != nil || r.Scheme != u.Scheme || r.Host != u.Host {
		return false
	}
	path := strings.TrimSuffix(r.EscapedPath(), "/")
	rest, below := strings.CutPrefix(u.EscapedPath(), path)
	return below && (rest == "" || strings.HasPrefix(rest, "/"))
}

// downgrade reports whether somebody who was asked safely points to a place that is not safe.
func downgrade(asked, to string) bool { return asked == "https" && to != "https" }

// challenge calls an API without a credential and reads where it says its metadata is: on its own host.
func (c *Client) challenge(ctx context.Context, u *url.URL) *url.URL {
	ctx, cancel := context.WithTimeout(ctx, requestLimit)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), http.NoBody)
	if err != nil {
		return nil
	}
	resp, err := c.plain.RoundTrip(r)
	if err != nil {
		return nil
	}
	_ = resp.Body.Close()
	for _, value := range resp.Header.Values("Www-Authenticate") {
		_, rest, _ := strings.Cut(value, `resource_metadata="`) // RFC 9728 5.1
		text, _, _ := strings.Cut(rest, `"`)
		told, err := url.Parse(text)
		if err == nil && told.Host == u.Host && told.Scheme == u.Scheme {
			return told
		}
	}
	return nil
}

func (c *Client) get(ctx context.Context, document string) (answer, error) {
	return c.send(ctx, c.plain, StepDiscovery, http.MethodGet, document, http.Header{}, nil)
}

// Registration is a client to be registered (RFC 7591 2).
type Registration struct {
	Name string
	// RedirectURI is empty for a grant without one.
	RedirectURI string
	Scopes      []string
	// AuthStyle is basic, post, or empty for a public client.
	AuthStyle string
	Grants    []string
}

// Registered is a client that the server has made.
type Registered struct {
	ClientID, ClientSecret string
	// AuthStyle is the one that the server chose; that of a public client is post.
	AuthStyle string
}

// String shows nothing of the secret.
func (r Registered) String() string { return "client " + strconv.Quote(r.ClientID) }

// Format implements fmt.Formatter for every verb.
func (r Registered) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(r.String())) }

// Register makes a client at a server that offers it.
func (c *Client) Register(ctx context.Context, endpoint string, reg Registration) (Registered, error) {
	method, ok := methodOf(reg.AuthStyle)
	if !ok {
		return Registered{}, &Error{Step: StepRegister, Code: CodeClientConfig}
	}
	document := map[string]any{
		"client_name": reg.Name, "grant_types": reg.Grants, "response_types": []string{}, "token_endpoint_auth_method": method,
	}
	if reg.RedirectURI != "" {
		document["redirect_uris"], document["response_types"] = []string{reg.RedirectURI}, []string{"code"}
	}
	if len(reg.Scopes) > 0 {
		document["scope"] = strings.Join(reg.Scopes, " ")
	}
	body, err := json.Marshal(document)
	if err != nil {
		return Registered{}, &Error{Step: StepRegister, Code: CodeClientConfig}
	}
	a, err := c.send(ctx, c.plain, StepRegister, http.MethodPost, endpoint, http.Header{"Content-Type": {"application/json"}}, body)
	if err != nil {
		return Registered{}, err
	}
	r := Registered{ClientID: a.text("client_id"), ClientSecret: a.text("client_secret"), AuthStyle: either(reg.AuthStyle, authtype.StylePost)}
	if a.status/100 != 2 || r.ClientID == "" {
		return Registered{}, a.failure(StepRegister)
	}
	if style := styleOf(a.text("token_endpoint_auth_method")); style != "" {
		r.AuthStyle = style // RFC 7591 3.2.1: the server may choose another one.
	}
	return r, nil
}
