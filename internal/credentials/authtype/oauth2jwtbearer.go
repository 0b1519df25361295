package authtype

import (
	"net/http"
	"slices"
)

// oauth2JWTBearer exchanges an assertion that we sign for a token (RFC 7523 2.1).
type oauth2JWTBearer struct{}

// Kind implements Type.
func (oauth2JWTBearer) Kind() string { return "oauth2_jwt_bearer" }

// Label implements Type.
func (oauth2JWTBearer) Label() string { return "OAuth 2, signed assertion" }

// Grant implements Granted.
func (oauth2JWTBearer) Grant() string { return GrantJWTBearer }

// Fields implements Type.
func (oauth2JWTBearer) Fields() []Field {
	signed := keyFields("Signs the assertion.")
	signed[0].Required = true
	return slices.Concat([]Field{
		{Key: "token_url", Label: "Token URL", Type: FieldText, Required: true},
		{Key: "revoke_url", Label: "Revocation URL", Type: FieldText, Help: "RFC 7009. Tokens are revoked there when the account is deleted."},
		{Key: "client_id", Label: "Issuer of the assertion", Type: FieldText, Required: true, Help: "The claim iss: a client ID, or the address of a service account."},
		{Key: "subject", Label: "Subject", Type: FieldText, Help: "The claim sub: on whose behalf. Empty is the issuer of the assertion."},
		{Key: "audience", Label: "Audience", Type: FieldText, Help: "The claim aud. Empty is the token URL."},
		{Key: "scopes", Label: "Scopes", Type: FieldText, Help: "Separated by spaces. In the assertion and beside it."},
		{Key: "claims", Label: "More claims", Type: FieldJSON, Help: "A JSON object that is added to the assertion."},
		{
			Key: "token_params", Label: "Extra token parameters", Type: FieldText, Rare: true,
			Help: "Sent with every request to the token URL, such as resource=https://api.example.com.",
		},
	}, answerFields(), signed)
}

func (t oauth2JWTBearer) check(values map[string]string) error {
	for _, key := range []string{"token_url", "revoke_url"} {
		if values[key] != "" {
			if err := checkEndpoint(field(t, key), values[key]); err != nil {
				return err
			}
		}
	}
	if err := checkScopes(field(t, "scopes"), values["scopes"]); err != nil {
		return err
	}
	if values["token_params"] != "" {
		if err := checkParams(field(t, "token_params"), values["token_params"]); err != nil {
			return err
		}
	}
	if err := checkAnswerFields(t, values); err != nil {
		return err
	}
	if _, err := parseClaims(field(t, "claims"), values["claims"]); err != nil {
		return err
	}
	return checkSigningKey(field(t, "private_key"), values["private_key"], values["algorithm"])
}

// Apply implements Type.
func (oauth2JWTBearer) Apply(r *http.Request, use Use) error { return applyToken(r, use.Token) }
