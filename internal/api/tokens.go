package api

import (
	"context"
	"net/http"
	"time"

	"switchgear/internal/connections"
	"switchgear/internal/credentials"
)

// TokenInput is a token that was obtained elsewhere, on its way in.
type TokenInput struct {
	AccessToken  string     `json:"access_token" minLength:"1" maxLength:"65536"`
	RefreshToken string     `json:"refresh_token,omitempty" maxLength:"65536" doc:"Without one, a person has to connect the account when the token ends."`
	TokenType    string     `json:"token_type,omitempty" maxLength:"64" doc:"Bearer when it is left out."`
	ExpiresAt    *time.Time `json:"expires_at,omitempty" doc:"When the access token ends. One that has ended is renewed at the first call."`
	Scopes       []string   `json:"scopes,omitempty" maxItems:"200" doc:"Those that were granted."`
}

// CredentialEvent is one line in the history of a credential. It holds no secret.
type CredentialEvent struct {
	ID      string    `json:"id"`
	At      time.Time `json:"at"`
	Account string    `json:"account"`
	Kind    string    `json:"kind" doc:"stored, client_replaced, connected, imported, expiry_set, revealed, renewed, renewal_failed, needs_reauth, revoked, not_revoked or deleted; of a rotation staged, tested, test_failed, switched, rolled_back, old_destroyed or discarded."`
	Code    string    `json:"code,omitempty" doc:"Of a failure."`
	Detail  string    `json:"detail,omitempty"`
	Actor   string    `json:"actor"`
	Version int64     `json:"version" doc:"Of the credential."`
	Token   int64     `json:"token_version"`
}

// Revocation is what became of tokens at their service.
type Revocation struct {
	Result string `json:"result" enum:"nothing,revoked,not_supported,failed" doc:"nothing: there was no token. not_supported: the client has no revocation URL. failed: the tokens may be good there until they end."`
	Code   string `json:"code,omitempty" doc:"Of a failure. other_server, client_other_server and client_changed: nothing was sent."`
	Detail string `json:"detail,omitempty" doc:"Why the service did not revoke them."`
}

type revocationOutput struct{ Body Revocation }

type eventList struct {
	Body struct {
		Data []CredentialEvent `json:"data" nullable:"false"`
		Meta Meta              `json:"meta"`
	}
}

// tokenRoutes serve the life of credentials.
func (v *version) tokenRoutes() {
	const tag = "Accounts"
	register(v, route{
		method: http.MethodPost, path: "/connections/{slug}/accounts/{account}/token", id: "import-token", tag: tag, summary: "Import a token of an account",
		description: "For an account of OAuth 2 whose tokens were obtained elsewhere. An account that does not exist is made, with the client of the account default. From then on the token is renewed here: nobody else must use its refresh token.",
	}, v.importToken)
	register(v, route{
		method: http.MethodPost, path: "/connections/{slug}/accounts/{account}/revoke", id: "revoke-account", tag: tag, summary: "Revoke the tokens of an account",
		description: "Here and at the service (RFC 7009). Calls of the account are refused until it is connected again.",
	}, v.revokeAccount)
	register(v, route{
		method: http.MethodGet, path: "/connections/{slug}/accounts/{account}/events", id: "list-credential-events", tag: tag, summary: "List what happened to the credential of an account",
		description: "The newest first.",
	}, v.listCredentialEvents)
}

func (v *version) importToken(ctx context.Context, in *struct {
	ByAccount

	Body TokenInput
},
) (*accountOutput, error) {
	token := connections.TokenImport{Access: in.Body.AccessToken, Refresh: in.Body.RefreshToken, Type: in.Body.TokenType, Scopes: in.Body.Scopes}
	if at := in.Body.ExpiresAt; at != nil {
		token.ExpiresAt = *at
	}
	c, err := v.deps.Connections.ImportToken(ctx, actor(ctx), in.Slug, in.Account, token, "Imported by API.")
	if err != nil {
		return nil, err
	}
	return &accountOutput{Body: accountOf(c)}, nil
}

func (v *version) revokeAccount(ctx context.Context, in *struct {
	ByAccount
	Why
},
) (*revocationOutput, error) {
	r, err := v.deps.Connections.RevokeAccount(ctx, actor(ctx), in.Slug, in.Account, in.Reason)
	if err != nil {
		return nil, err
	}
	out := Revocation{Result: "nothing", Code: r.Code}
	switch {
	case r.Done > 0:
		out.Result = credentials.RevokedDone
	case r.NotSupported > 0:
		out.Result = credentials.RevokedNotSupported
	case r.Failed > 0:
		out.Result, out.Detail = credentials.RevokedFailed, credentials.NotRevoked(r.Code)
	}
	return &revocationOutput{Body: out}, nil
}

func (v *version) listCredentialEvents(ctx context.Context, in *struct {
	ByAccount

	Page  int `query:"page" minimum:"1" maximum:"1000000" default:"1" doc:"Page of the list, from 1."`
	Limit int `query:"limit" minimum:"1" maximum:"200" default:"50" doc:"Entries a page."`
},
) (*eventList, error) {
	events, total, err := v.deps.Connections.History(ctx, actor(ctx), in.Slug, in.Account, (in.Page-1)*in.Limit, in.Limit)
	if err != nil {
		return nil, err
	}
	out := &eventList{}
	out.Body.Meta, out.Body.Data = Meta{Page: in.Page, Limit: in.Limit, Total: total}, each(events, func(e credentials.Event) CredentialEvent {
		return CredentialEvent{
			ID: e.ID, At: e.At, Account: e.Account, Kind: e.Kind, Code: e.Code, Detail: e.Detail, Actor: e.Actor.Name, Version: e.Version, Token: e.TokenVersion,
		}
	})
	return out, nil
}
