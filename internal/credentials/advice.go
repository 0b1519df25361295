package credentials

import (
	"switchgear/internal/credentials/authtype"
	"switchgear/internal/credentials/oauth"
)

// Advice says what a person can do about a token that could not be obtained, by the auth type and the code. Where
// nobody consents, the client itself is what has to be put right.
func Advice(authType, code string) string {
	grant := ""
	if t, err := authtype.Lookup(authType); err == nil {
		if granted, ok := t.(authtype.Granted); ok {
			grant = granted.Grant()
		}
	}
	advice := ""
	switch grant {
	case authtype.GrantClientCredentials:
		advice = clientAdvice(code)
	case authtype.GrantJWTBearer:
		advice = assertionAdvice(code)
	}
	if advice == "" {
		advice = (&oauth.Error{Step: oauth.StepToken, Code: code}).Advice()
	}
	return advice
}

// clientAdvice is that of a client which gets its token with its own secret; empty where the general one fits.
func clientAdvice(code string) string {
	switch code {
	case oauth.CodeInvalidGrant, oauth.CodeExpired, oauth.CodeDenied, oauth.CodePending, oauth.CodeRefused:
		return "The server refuses the client a token. Check client ID, client secret and scopes, and whether the client may use the grant client_credentials there."
	case "login_required", "interaction_required", "consent_required", "account_selection_required":
		return "The server wants a person to act, which this kind of grant has none for. Check whether an administrator has to approve the client or its scopes there."
	case "invalid_request", "invalid_redirect_uri", "invalid_client_metadata":
		return "The server does not accept the request. Check the token URL, the scopes and the extra token parameters."
	}
	return ""
}

// assertionAdvice is that of a client which gets its token with a signed assertion; empty where the general one
// fits.
func assertionAdvice(code string) string {
	switch code {
	case oauth.CodeInvalidGrant, oauth.CodeExpired, oauth.CodeDenied, oauth.CodePending, oauth.CodeRefused, "invalid_client":
		return "The server does not accept the assertion. Check its issuer, subject and audience, the private key and its key ID, the scopes, and the clock of this machine."
	case oauth.CodeClientConfig:
		return "The assertion cannot be signed with what is stored. Check the private key and the signature algorithm."
	}
	return clientAdvice(code)
}
