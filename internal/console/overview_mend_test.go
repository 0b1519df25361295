package console

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"switchgear/internal/credentials"
	overviewview "switchgear/web/templates/overview"
)

// What a person is offered helps: by the kind of the credential and by what is wrong with it.
func TestMendByCauseAndKind(t *testing.T) {
	t.Parallel()
	const (
		code   = "oauth2_authorization_code"
		client = "oauth2_client_credentials"
		lost   = "CREDENTIAL_RENEWAL_FAILED"
	)
	at := time.Date(2026, 3, 14, 12, 0, 0, 0, time.UTC)
	stored := func(kind, failure string) credentials.Credential {
		return credentials.Credential{
			ID: "crd_1", Account: "acme co", AuthType: kind, State: credentials.StateActive,
			Token: &credentials.Token{ObtainedAt: at, Failures: 1, ErrorCode: failure},
		}
	}
	static := func(kind, state string) credentials.Credential {
		return credentials.Credential{ID: "crd_1", Account: "acme co", AuthType: kind, State: state}
	}
	var (
		connect   = overviewview.Mend{Label: "Connect account", Href: "/connections/ads/accounts/acme%20co/connect"}
		reconnect = overviewview.Mend{Label: "Reconnect", Href: connect.Href}
		enter     = overviewview.Mend{Label: "Enter a credential", Href: "/connections/ads/accounts?account=acme+co#account"}
		edit      = overviewview.Mend{Label: "Edit client", Href: enter.Href}
		rotate    = overviewview.Mend{Label: "Rotate", Href: "/connections/ads/accounts/acme%20co/rotate"}
		nothing   = overviewview.Mend{}
	)
	for name, tt := range map[string]struct {
		code    string
		account credentials.Credential
		want    overviewview.Mend
	}{
		"none was entered":                       {"CREDENTIAL_MISSING", credentials.Credential{Account: "acme co"}, enter},
		"never connected":                        {"CREDENTIAL_NOT_CONNECTED", stored(code, ""), connect},
		"connected before":                       {"CREDENTIAL_NOT_CONNECTED", stored(code, ""), reconnect},
		"consent ended":                          {"CREDENTIAL_NEEDS_REAUTH", stored(code, "invalid_grant"), reconnect},
		"consent revoked":                        {"CREDENTIAL_REVOKED", stored(code, ""), reconnect},
		"consent, another host":                  {"CREDENTIAL_OTHER_ORIGIN", stored(code, ""), reconnect},
		"consent, not accepted":                  {"CREDENTIAL_REJECTED", stored(code, ""), reconnect},
		"consent, token of no use":               {"CREDENTIAL_UNUSABLE", stored(code, ""), reconnect},
		"consent, damaged":                       {"CREDENTIAL_CORRUPT", stored(code, ""), enter},
		"consent, not renewed, ended":            {lost, stored(code, "expired"), reconnect},
		"consent, not renewed, person wanted":    {lost, stored(code, "login_required"), reconnect},
		"consent, not renewed, client refused":   {lost, stored(code, "invalid_client"), edit},
		"consent, not renewed, client elsewhere": {lost, stored(code, "client_other_server"), edit},
		"consent, not renewed, token elsewhere":  {lost, stored(code, "other_server"), reconnect},
		"consent, not renewed, scopes refused":   {lost, stored(code, "invalid_scope"), edit},
		"consent, not renewed, server is down":   {lost, stored(code, "server_error"), nothing},
		"consent, not renewed, not reachable":    {lost, stored(code, "unreachable"), nothing},
		"consent, no token in time":              {"CREDENTIAL_TIMEOUT", stored(code, ""), nothing},
		"device, ended":                          {"CREDENTIAL_NEEDS_REAUTH", stored("oauth2_device_code", ""), reconnect},
		"client, secret refused":                 {lost, stored(client, "invalid_client"), rotate},
		"client, grant not allowed":              {lost, stored(client, "unauthorized_client"), edit},
		"client, consent of an administrator":    {lost, stored(client, "consent_required"), edit},
		"client, server is down":                 {lost, stored(client, "temporarily_unavailable"), nothing},
		"client, its token is not accepted":      {"CREDENTIAL_REJECTED", stored(client, ""), rotate},
		"value, not accepted":                    {"CREDENTIAL_REJECTED", static("bearer", credentials.StateActive), rotate},
		"value, not accepted, and revoked":       {"CREDENTIAL_REJECTED", static("bearer", credentials.StateRevoked), enter},
		"value, revoked":                         {"CREDENTIAL_REVOKED", static("api_key", credentials.StateRevoked), enter},
		"value, another host":                    {"CREDENTIAL_OTHER_ORIGIN", static("basic", credentials.StateActive), enter},
		"value, damaged":                         {"CREDENTIAL_CORRUPT", static("bearer", credentials.StateCorrupt), enter},
		"no value, and not accepted":             {"CREDENTIAL_REJECTED", static("none", credentials.StateActive), enter},
		"a kind that this release does not know": {"CREDENTIAL_UNUSABLE", static("future", credentials.StateActive), enter},
	} {
		if diff := cmp.Diff(tt.want, mendOf("ads", tt.code, name == "never connected", tt.account)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}
