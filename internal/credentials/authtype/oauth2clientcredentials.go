package authtype

import (
	"net/http"

	"switchgear/internal/fault"
)

// oauth2ClientCredentials acts as the client itself, without a person (RFC 6749 4.4).
type oauth2ClientCredentials struct{}

// Kind implements Type.
func (oauth2ClientCredentials) Kind() string { return "oauth2_client_credentials" }

// Label implements Type.
func (oauth2ClientCredentials) Label() string { return "OAuth 2, client credentials" }

// Grant implements Granted.
func (oauth2ClientCredentials) Grant() string { return GrantClientCredentials }

// Fields implements Type.
func (oauth2ClientCredentials) Fields() []Field { return oauth2Fields() }

func (t oauth2ClientCredentials) check(values map[string]string) error {
	if style := values["auth_style"]; values["client_secret"] == "" && (style == StyleBasic || style == StylePost) {
		return fault.Field("AUTH_FIELD_REQUIRED", FieldPath("client_secret"), "Client secret is missing: a public client has no credentials.")
	}
	return checkOAuth2(t, values)
}

// Apply implements Type.
func (oauth2ClientCredentials) Apply(r *http.Request, use Use) error { return applyToken(r, use.Token) }
