package authtype

import "net/http"

// oauth2AuthorizationCode has a person consent in the browser (RFC 6749 4.1 with RFC 7636).
type oauth2AuthorizationCode struct{}

// Kind implements Type.
func (oauth2AuthorizationCode) Kind() string { return "oauth2_authorization_code" }

// Label implements Type.
func (oauth2AuthorizationCode) Label() string { return "OAuth 2, consent in the browser" }

// Grant implements Granted.
func (oauth2AuthorizationCode) Grant() string { return GrantAuthorizationCode }

// Fields implements Type.
func (oauth2AuthorizationCode) Fields() []Field {
	return oauth2Fields(
		Field{Key: "authorize_url", Label: "Authorization URL", Type: FieldText, Required: true},
		Field{
			Key: "authorize_params", Label: "Extra authorization parameters", Type: FieldText, Rare: true,
			Help: "Such as access_type=offline&prompt=consent.",
		},
	)
}

func (t oauth2AuthorizationCode) check(values map[string]string) error { return checkOAuth2(t, values) }

// Apply implements Type.
func (oauth2AuthorizationCode) Apply(r *http.Request, use Use) error { return applyToken(r, use.Token) }
