// Package oauthtest holds a token endpoint for tests that need no authorization server.
package oauthtest

import (
	"context"
	"sync"

	"switchgear/internal/credentials/oauth"
)

// Endpoint answers as Answer says; without one it cannot be reached. It counts what it was asked.
type Endpoint struct {
	// Answer gets the grant (refresh_token, client_credentials, jwt_bearer or revoke), the client and the
	// refresh token or the one to be revoked.
	Answer func(ctx context.Context, grant string, cfg oauth.Config, token string) (oauth.Token, error)

	mu    sync.Mutex
	asked map[string]int
}

// Asked is how often a grant was asked for.
func (e *Endpoint) Asked(grant string) int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.asked[grant]
}

func (e *Endpoint) answer(ctx context.Context, grant string, cfg oauth.Config, token string) (oauth.Token, error) {
	e.mu.Lock()
	if e.asked == nil {
		e.asked = map[string]int{}
	}
	e.asked[grant]++
	e.mu.Unlock()
	if e.Answer == nil {
		return oauth.Token{}, &oauth.Error{Step: oauth.StepToken, Code: oauth.CodeUnreachable}
	}
	return e.Answer(ctx, grant, cfg, token)
}

// Refresh implements credentials.TokenEndpoint.
func (e *Endpoint) Refresh(ctx context.Context, cfg oauth.Config, refreshToken string) (oauth.Token, error) {
	return e.answer(ctx, "refresh_token", cfg, refreshToken)
}

// ClientCredentials implements credentials.TokenEndpoint.
func (e *Endpoint) ClientCredentials(ctx context.Context, cfg oauth.Config) (oauth.Token, error) {
	return e.answer(ctx, "client_credentials", cfg, "")
}

// JWTBearer implements credentials.TokenEndpoint.
func (e *Endpoint) JWTBearer(ctx context.Context, cfg oauth.Config) (oauth.Token, error) {
	return e.answer(ctx, "jwt_bearer", cfg, "")
}

// Revoke implements credentials.TokenEndpoint.
func (e *Endpoint) Revoke(ctx context.Context, cfg oauth.Config, token, _ string) error {
	_, err := e.answer(ctx, "revoke", cfg, token)
	return err
}
