package credentials

import (
	"strings"
	"testing"

	"switchgear/internal/credentials/oauth"
)

// Where nobody consents, nobody is sent to connect the account again.
func TestAdviceFitsTheKind(t *testing.T) {
	t.Parallel()
	codes := []string{
		oauth.CodeUnreachable, oauth.CodeNoAnswer, oauth.CodeServerError, oauth.CodeBadAnswer, oauth.CodeRefused, oauth.CodeClientConfig,
		oauth.CodeInvalidGrant, oauth.CodePending, oauth.CodeExpired, oauth.CodeDenied, "invalid_client", "unauthorized_client",
		"unsupported_grant_type", "invalid_scope", "insufficient_scope", "invalid_target", "invalid_request", "login_required",
		"interaction_required", "consent_required", "account_selection_required", "invalid_redirect_uri", "a code of tomorrow",
	}
	for _, kind := range []string{"oauth2_client_credentials", "oauth2_jwt_bearer"} {
		for _, code := range codes {
			advice := Advice(kind, code)
			for _, wrong := range []string{"Connect the account", "onsent", "Start again", "redirect"} {
				if strings.Contains(advice, wrong) || advice == "" {
					t.Errorf("%s, %s: %q", kind, code, advice)
				}
			}
		}
	}
	for _, c := range [][3]string{
		{"oauth2_client_credentials", oauth.CodeInvalidGrant, "client secret"},
		{"oauth2_client_credentials", "invalid_client", "client secret"},
		{"oauth2_client_credentials", "invalid_scope", "scopes"},
		{"oauth2_jwt_bearer", oauth.CodeInvalidGrant, "private key"},
		{"oauth2_jwt_bearer", "invalid_client", "issuer"},
		{"oauth2_jwt_bearer", oauth.CodeClientConfig, "private key"},
		{"oauth2_authorization_code", oauth.CodeInvalidGrant, "Connect the account again"},
		{"oauth2_device_code", oauth.CodeInvalidGrant, "Connect the account again"},
	} {
		if advice := Advice(c[0], c[1]); !strings.Contains(advice, c[2]) {
			t.Errorf("%s, %s: %q does not name %q", c[0], c[1], advice, c[2])
		}
	}
}
