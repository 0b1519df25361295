package authtype

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"switchgear/internal/fault"
	"switchgear/internal/webaddress"
)

// The ways in which a client authenticates to an authorization server. A public client has no secret and
// sends its id alone, whatever the style.
const (
	StyleBasic         = "basic" // RFC 6749 2.3.1, in the header
	StylePost          = "post"  // RFC 6749 2.3.1, in the body
	StylePrivateKeyJWT = "private_key_jwt"
	StyleMutualTLS     = "mutual_tls" // RFC 8705 2
)

// oauth2Fields are the fields that the kinds of OAuth 2 have in common, first those of the kind itself.
func oauth2Fields(own ...Field) []Field {
	return slices.Concat(own, []Field{
		{Key: "token_url", Label: "Token URL", Type: FieldText, Required: true},
		{Key: "revoke_url", Label: "Revocation URL", Type: FieldText, Help: "RFC 7009. Tokens are revoked there when the account is deleted."},
		{
			Key: "issuer", Label: "Issuer", Type: FieldText,
			Help: "The identifier of the authorization server. When it is set, answers of another one are refused.",
		},
		{Key: "client_id", Label: "Client ID", Type: FieldText, Required: true},
		{Key: "client_secret", Label: "Client secret", Type: FieldSecret, Secret: true, Help: "Leave it empty for a public client."},
		{
			Key: "auth_style", Label: "Client authentication", Type: FieldSelect, Required: true,
			Options: []string{StyleBasic, StylePost, StylePrivateKeyJWT, StyleMutualTLS}, Default: StyleBasic,
			Help: "How the client proves itself at the token URL.",
		},
		{Key: "scopes", Label: "Scopes", Type: FieldText, Help: "Separated by spaces."},
		{
			Key: "token_params", Label: "Extra token parameters", Type: FieldText, Rare: true,
			Help: "Sent with every request to the token URL, such as audience=https://api.example.com&resource=x.",
		},
	}, answerFields(), rare(keyFields("Of private_key_jwt.")), []Field{
		{Key: "client_certificate", Label: "Client certificate", Type: FieldPEM, Rare: true, Help: "Of mutual_tls. PEM, with the chain."},
		{Key: "client_key", Label: "Client certificate key", Type: FieldPEM, Secret: true, Rare: true, Help: "Of mutual_tls. PEM."},
	})
}

// answerFields say what the answers of a token URL do not, or where they say it.
func answerFields() []Field {
	return []Field{
		{
			Key: "token_lifetime", Label: "Token lifetime in seconds", Type: FieldText, Rare: true,
			Help: "Of an access token, where it ends although the answer does not say when.",
		},
		{
			Key: "token_path", Label: "Place of the token", Type: FieldText, Rare: true,
			Help: "In the answer, where it is not access_token at the top, such as authed_user.access_token. What belongs to it is beside it.",
		},
	}
}

// maxTokenLifetime is longer than any access token lives.
const maxTokenLifetime = 10 * 365 * 24 * 60 * 60

// checkAnswerFields refuses what is no lifetime and no place.
func checkAnswerFields(t Type, values map[string]string) error {
	if text := values["token_lifetime"]; text != "" {
		if n, err := strconv.Atoi(text); err != nil || n < 60 || n > maxTokenLifetime {
			return field(t, "token_lifetime").invalid("must be a number of seconds, from 60 to ten years.")
		}
	}
	if text := values["token_path"]; text != "" {
		parts := strings.Split(text, ".")
		for _, part := range parts {
			if part == "" || len(part) > 64 || len(parts) > 8 || strings.ContainsFunc(part, func(r rune) bool { return r <= ' ' || r > '~' }) {
				return field(t, "token_path").invalid("must be names, joined by dots, such as authed_user.access_token.")
			}
		}
	}
	return nil
}

func rare(fields []Field) []Field {
	for i := range fields {
		fields[i].Rare = true
	}
	return fields
}

// keyFields are those of a key that signs assertions.
func keyFields(what string) []Field {
	return []Field{
		{Key: "private_key", Label: "Private key", Type: FieldPEM, Secret: true, Help: what + " PEM."},
		{Key: "key_id", Label: "Key ID", Type: FieldText, Help: what + " The kid that the service knows the key by."},
		{
			Key: "algorithm", Label: "Signature algorithm", Type: FieldSelect, Help: what,
			Options: signatureAlgorithms(), Default: "RS256",
		},
	}
}

// oauth2URLs are the fields that hold the address of an endpoint.
func oauth2URLs() []string {
	return []string{"authorize_url", "device_authorization_url", "token_url", "revoke_url", "issuer"}
}

// checkOAuth2 holds for every kind of OAuth 2.
func checkOAuth2(t Type, values map[string]string) error {
	for _, key := range oauth2URLs() {
		if _, ok := Find(t, key); ok && values[key] != "" {
			if err := checkEndpoint(field(t, key), values[key]); err != nil {
				return err
			}
		}
	}
	for _, key := range []string{"authorize_params", "token_params"} {
		if _, ok := Find(t, key); ok && values[key] != "" {
			if err := checkParams(field(t, key), values[key]); err != nil {
				return err
			}
		}
	}
	if err := checkScopes(field(t, "scopes"), values["scopes"]); err != nil {
		return err
	}
	if err := checkAnswerFields(t, values); err != nil {
		return err
	}
	for _, p := range []struct{ style, key string }{
		{StylePrivateKeyJWT, "private_key"}, {StyleMutualTLS, "client_certificate"}, {StyleMutualTLS, "client_key"},
	} {
		if values["auth_style"] == p.style && values[p.key] == "" {
			f, _ := Find(t, p.key)
			return fault.Field("AUTH_FIELD_REQUIRED", FieldPath(p.key), f.Label+" is missing: "+p.style+" needs it.")
		}
	}
	if values["private_key"] != "" {
		if err := checkSigningKey(field(t, "private_key"), values["private_key"], values["algorithm"]); err != nil {
			return err
		}
	}
	if values["client_certificate"] == "" && values["client_key"] == "" {
		return nil
	}
	_, err := keyPair(field(t, "client_certificate"), field(t, "client_key"), values["client_certificate"], values["client_key"])
	return err
}

// checkEndpoint refuses what is no URL of an endpoint. Where it may lead is decided when it is dialled.
func checkEndpoint(f ref, text string) error {
	u, err := url.Parse(text)
	switch {
	case strings.ContainsAny(text, "{}"):
		return f.invalid("still has a place to be filled in: replace what stands in braces.")
	case err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http":
		return f.invalid("is not a URL. Begin it with https://.")
	case !webaddress.ValidPort(u):
		return f.invalid("has no port that can be dialled. It is a number from 1 to 65535 without leading zeros, or left out with its colon.")
	case u.User != nil:
		return f.invalid("holds a user name. Enter it in the fields of the client.")
	case strings.ContainsFunc(u.Host, func(r rune) bool { return r > unicode.MaxASCII }):
		return f.invalid("has a host with letters of other scripts. Write it in its ASCII form (xn--…).")
	case u.Fragment != "" || strings.Contains(text, "#"):
		return f.invalid("has a fragment, which RFC 6749 3.1 rules out.")
	}
	return nil
}

// checkParams refuses parameters that the protocol fills in itself.
func checkParams(f ref, text string) error {
	parsed, err := url.ParseQuery(text)
	if err != nil {
		return f.invalid("are not parameters. Write them as name=value&name=value.")
	}
	for name := range parsed {
		switch strings.ToLower(name) {
		case "client_id", "client_secret", "client_assertion", "client_assertion_type", "code", "code_verifier", "code_challenge",
			"code_challenge_method", "redirect_uri", "state", "response_type", "grant_type", "refresh_token", "assertion", "scope",
			"device_code":
			return f.invalid("name a parameter that is filled in by itself, such as state or scope.")
		case "":
			return f.invalid("are not parameters. Write them as name=value&name=value.")
		}
	}
	return nil
}

// ValidScope reports whether a text is one scope: the characters of RFC 6749 3.3.
func ValidScope(scope string) bool {
	return scope != "" && !strings.ContainsFunc(scope, func(r rune) bool { return r <= ' ' || r > '~' || r == '"' || r == '\\' })
}

// checkScopes holds scopes to the characters of RFC 6749 3.3.
func checkScopes(f ref, text string) error {
	for scope := range strings.FieldsSeq(text) {
		if !ValidScope(scope) {
			return f.invalid("contain a character that no scope may have.")
		}
	}
	return nil
}

// applyToken puts the token of a granted or minted credential on a request.
func applyToken(r *http.Request, token Token) error {
	if token.Access == "" {
		return fault.New(fault.Unavailable, "CREDENTIAL_NOT_CONNECTED", "There is no access token yet.")
	}
	if strings.ContainsFunc(token.Access, func(c rune) bool { return c <= ' ' || c > '~' }) {
		return fault.New(fault.Unavailable, "CREDENTIAL_UNUSABLE", "The access token contains a character that a header cannot carry.")
	}
	if err := begin(none{}, r, nil); err != nil {
		return err
	}
	scheme := "Bearer"
	if token.Type != "" && !strings.EqualFold(token.Type, scheme) {
		if !isToken(token.Type) {
			return fault.New(fault.Unavailable, "CREDENTIAL_UNUSABLE", "The type of the access token is not one that a header can carry.")
		}
		scheme = token.Type
	}
	set(r.Header, "Authorization", scheme+" "+token.Access)
	return nil
}
