package connections

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"switchgear/internal/access"
	"switchgear/internal/credentials"
	"switchgear/internal/credentials/oauth"
	"switchgear/internal/fault"
)

// TokenImport is a token that was obtained elsewhere, on its way in. It prints without values.
type TokenImport struct {
	// Access is the access token. Refresh is empty when there is none: a person has to connect the account then
	// when the token ends. Type is empty for Bearer.
	Access, Refresh, Type string
	// Scopes are those that were granted.
	Scopes []string
	// ExpiresAt is zero when it is not known. A token that has ended is renewed at the first call.
	ExpiresAt time.Time
}

// Format implements fmt.Formatter for every verb: no value is printed.
func (TokenImport) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte("token import")) }

// maxToken is what a token may be long.
const maxToken = 64 << 10

// maxTokenLife bounds for how long a token may be good: later dates stand for no end.
const maxTokenLife = 100 * 366 * 24 * time.Hour

// ImportToken stores a token that was obtained elsewhere as that of an account; see [Service.ConnectAccount]. how
// says by which way. Errors are fault.Invalid about access_token, refresh_token, token_type, scopes or expires_at,
// and hold no value.
func (s *Service) ImportToken(ctx context.Context, a access.Actor, slug, account string, t TokenImport, how string) (credentials.Credential, error) {
	token := oauth.Token{Access: strings.TrimSpace(t.Access), Refresh: strings.TrimSpace(t.Refresh), Type: strings.TrimSpace(t.Type), Scopes: t.Scopes}
	unprintable := func(r rune) bool { return r <= ' ' || r > '~' }
	switch {
	case token.Access == "":
		return credentials.Credential{}, fault.Field("TOKEN_REQUIRED", "access_token", "Enter the access token.")
	case len(token.Access) > maxToken || strings.ContainsFunc(token.Access, unprintable):
		return credentials.Credential{}, fault.Field("INVALID_TOKEN", "access_token", "This is no token: it has a space or a character that a header cannot carry, or is too long.").
			WithSuggestion("Paste the token alone, without Bearer and without quotes.")
	case len(token.Refresh) > maxToken || strings.ContainsFunc(token.Refresh, unprintable):
		return credentials.Credential{}, fault.Field("INVALID_TOKEN", "refresh_token", "This is no token: it has a space or a character that no token may have, or is too long.")
	case len(token.Type) > 64 || strings.ContainsFunc(token.Type, unprintable):
		return credentials.Credential{}, fault.Field("INVALID_TOKEN_TYPE", "token_type", "This is no type of token.").WithSuggestion("Leave it out for Bearer.")
	case slices.ContainsFunc(token.Scopes, func(scope string) bool { return scope == "" || strings.ContainsFunc(scope, unprintable) }):
		return credentials.Credential{}, fault.Field("INVALID_SCOPES", "scopes", "A scope has a character that no scope may have.")
	}
	if t.ExpiresAt.Sub(s.now()) > maxTokenLife {
		return credentials.Credential{}, fault.Field("INVALID_EXPIRY", "expires_at", "No access token is good for more than a hundred years.").
			WithSuggestion("Leave the time out when the token does not end.")
	}
	if !t.ExpiresAt.IsZero() {
		if token.ExpiresIn = t.ExpiresAt.Sub(s.now()); token.ExpiresIn <= 0 {
			if token.Refresh == "" {
				return credentials.Credential{}, fault.Field("TOKEN_EXPIRED", "expires_at", "The access token has ended, and there is no refresh token to renew it with.")
			}
			token.ExpiresIn = time.Microsecond // The first call renews it.
		}
	}
	return s.ConnectAccount(ctx, a, slug, account, Consented{Token: token, Event: credentials.EventImported, Detail: how})
}
