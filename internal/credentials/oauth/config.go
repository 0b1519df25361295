package oauth

import (
	"encoding/json"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Config is a client at an authorization server, as the fields of an auth type say it.
type Config struct {
	AuthorizeURL, DeviceURL, TokenURL, RevokeURL string
	// Issuer is empty when it is not known; otherwise answers of another one are refused (RFC 9207).
	Issuer   string
	ClientID string
	// ClientSecret is empty for a public client.
	ClientSecret string
	// AuthStyle is basic, post, private_key_jwt or mutual_tls.
	AuthStyle string
	Scopes    []string
	// AuthorizeParams and TokenParams are sent beside those of the protocol.
	AuthorizeParams, TokenParams url.Values
	// TokenLifetime is how long an access token lives whose answer does not say it; 0 is not known.
	TokenLifetime time.Duration
	// TokenPath is where the access token is in an answer; nil is at the top.
	TokenPath []string
	// PrivateKey, KeyID and Algorithm sign assertions: of the client, or of the grant.
	PrivateKey, KeyID, Algorithm string
	// Subject, Audience and Claims are those of the assertion of a JWT bearer grant. Claims is a JSON object.
	Subject, Audience, Claims string
	// ClientCertificate and ClientKey are PEM, for mutual TLS at the token URL.
	ClientCertificate, ClientKey string
}

// ConfigOf reads the fields of a credential, which its auth type has checked.
func ConfigOf(values map[string]string) Config {
	params := func(key string) url.Values {
		parsed, _ := url.ParseQuery(values[key]) // Checked before it was stored.
		return parsed
	}
	lifetime, _ := strconv.Atoi(values["token_lifetime"]) // Likewise.
	var path []string
	if values["token_path"] != "" {
		path = strings.Split(values["token_path"], ".")
	}
	return Config{
		AuthorizeURL: values["authorize_url"], DeviceURL: values["device_authorization_url"],
		TokenURL: values["token_url"], RevokeURL: values["revoke_url"], Issuer: values["issuer"],
		ClientID: values["client_id"], ClientSecret: values["client_secret"], AuthStyle: values["auth_style"],
		Scopes:          strings.Fields(values["scopes"]),
		AuthorizeParams: params("authorize_params"), TokenParams: params("token_params"),
		TokenLifetime: time.Duration(lifetime) * time.Second, TokenPath: path,
		PrivateKey: values["private_key"], KeyID: values["key_id"], Algorithm: values["algorithm"],
		Subject: values["subject"], Audience: values["audience"], Claims: values["claims"],
		ClientCertificate: values["client_certificate"], ClientKey: values["client_key"],
	}
}

// String names the client and its server, never a secret.
func (c Config) String() string {
	return "client " + strconv.Quote(c.ClientID) + " of " + strconv.Quote(either(c.Issuer, c.TokenURL))
}

// Format implements fmt.Formatter for every verb.
func (c Config) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(c.String())) }

// MarshalJSON writes what String says.
func (c Config) MarshalJSON() ([]byte, error) { return json.Marshal(c.String()) }

// Token is what a token endpoint answered.
type Token struct {
	Access string
	// Refresh is empty when none came with it: the one before stays in use then (RFC 6749 6).
	Refresh string
	// Type is empty for Bearer.
	Type string
	// Scopes are those that were granted; nil means the ones that were asked for (RFC 6749 5.1).
	Scopes []string
	// ExpiresIn is 0 when the server did not say, or not in a way that can be read.
	ExpiresIn time.Duration
	// TokenURL and RevokeURL are those of the client that it was asked for with; empty when it came in another way.
	TokenURL, RevokeURL string
}

// String says what a token is good for, never the token.
func (t Token) String() string {
	return fmt.Sprintf("token for %v, valid for %s", t.Scopes, t.ExpiresIn)
}

// Format implements fmt.Formatter for every verb.
func (t Token) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(t.String())) }

// MarshalJSON writes what String says.
func (t Token) MarshalJSON() ([]byte, error) { return json.Marshal(t.String()) }
