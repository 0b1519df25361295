package api

import (
	"context"
	"net/http"
	"slices"
	"time"

	"switchgear/internal/connections"
	"switchgear/internal/credentials"
	"switchgear/internal/fault"
)

// Account is one identity under a connection with what may be known about its credential.
type Account struct {
	Name       string     `json:"name" example:"default"`
	Auth       Auth       `json:"auth"`
	State      string     `json:"state" example:"active" doc:"active, needs_reauth, revoked, corrupt or other_origin (what is secret was entered for another scheme, host or port than the connection goes to now). Only an active credential is used."`
	Origin     string     `json:"origin,omitempty" example:"https://api.stripe.com" doc:"The scheme, host and port that what is secret was entered, or consented to, for. It is sent nowhere else."`
	Version    int64      `json:"version" doc:"Of the credential; it moves when a value changes."`
	CreatedAt  time.Time  `json:"created_at"`
	UpdatedAt  time.Time  `json:"updated_at"`
	LastUsedAt *time.Time `json:"last_used_at,omitempty"`
	LastKey    *KeyUse    `json:"last_key,omitempty" doc:"The API key that it was last used for. It may be revoked by now."`
	Token      *Token     `json:"token,omitempty" doc:"What is known about the token of a kind that has one. Never the token."`
	Rotation   *Rotation  `json:"rotation,omitempty" doc:"The rotation of the credential that is under way."`
}

// KeyUse is that a credential was used for an API key.
type KeyUse struct {
	ID   string    `json:"id" example:"key_01k8"`
	Name string    `json:"name" example:"shop"`
	At   time.Time `json:"at"`
}

func keyUseOf(k credentials.KeyUse) *KeyUse {
	if k.ID == "" {
		return nil
	}
	return &KeyUse{ID: k.ID, Name: k.Name, At: k.At}
}

// Token is what may be known about a token.
type Token struct {
	Version    int64      `json:"version" doc:"It moves with every token."`
	Scopes     []string   `json:"scopes" nullable:"false" doc:"Granted; empty when the service did not say, which means those that were asked for."`
	ObtainedAt *time.Time `json:"obtained_at,omitempty"`
	ExpiresAt  *time.Time `json:"expires_at,omitempty" doc:"Absent when the service did not say."`
	Renewable  bool       `json:"renewable" doc:"There is a refresh token."`
	Failures   int        `json:"failures" doc:"Renewals that failed in a row."`
	LastError  string     `json:"last_error,omitempty" doc:"The code of the last one." example:"invalid_client"`
	RetryAt    *time.Time `json:"retry_at,omitempty" doc:"No renewal is tried before."`
	Uncertain  bool       `json:"uncertain" doc:"A renewal was sent whose answer never came."`
}

func tokenOf(t *credentials.Token) *Token {
	if t == nil {
		return nil
	}
	return &Token{
		Version: t.Version, Scopes: append([]string{}, t.Scopes...), ObtainedAt: optionalTime(t.ObtainedAt), ExpiresAt: optionalTime(t.ExpiresAt),
		Renewable: t.Renewable, Failures: t.Failures, LastError: t.ErrorCode, RetryAt: optionalTime(t.RetryAt), Uncertain: t.Uncertain,
	}
}

func accountOf(c credentials.Credential) Account {
	auth := authOf(c.AuthType, c.Settings, sortedKeys(c.Marks))
	auth.ExpiresOn = string(c.ExpiresOn)
	return Account{
		Name: c.Account, Auth: auth, State: c.State, Origin: c.Origin, Version: c.Version,
		CreatedAt: c.CreatedAt, UpdatedAt: c.UpdatedAt, LastUsedAt: optionalTime(c.LastUsedAt),
		LastKey: keyUseOf(c.LastKey), Token: tokenOf(c.Token), Rotation: underWay(c.Rollover),
	}
}

// optionalTime leaves out a time that there is not.
func optionalTime(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

// ByAccount is the part of an input that names an account.
type ByAccount struct {
	BySlug

	Account string `path:"account" doc:"The name of the account." example:"default"`
}

type accountList struct {
	Body struct {
		Data []Account `json:"data" nullable:"false"`
		Meta Meta      `json:"meta"`
	}
}

type accountOutput struct{ Body Account }

// AccountInput is the credential of an account on its way in.
type AccountInput struct {
	Auth AuthInput `json:"auth"`
}

// accountRoutes serve the accounts of connections and take their credentials.
func (v *version) accountRoutes() {
	const tag = "Accounts"
	register(v, route{
		method: http.MethodGet, path: "/connections/{slug}/accounts", id: "list-accounts", tag: tag, summary: "List the accounts of a connection",
		description: "The default one first. Sorted by name, created_at or updated_at when asked.",
	}, v.listAccounts)
	register(v, route{
		method: http.MethodGet, path: "/connections/{slug}/accounts/{account}", id: "get-account", tag: tag, summary: "Read an account",
	}, v.getAccount)
	register(v, route{
		method: http.MethodPut, path: "/connections/{slug}/accounts/{account}", id: "put-account", tag: tag, summary: "Store the credential of an account",
		description: "Makes the account if there is none of that name. Fields that are left out keep their value while the auth type stays the same. After the connection moved to another scheme, host or port, every secret has to be sent again before it is used there. The credential of the account default is part of the definition: changing it makes a version.",
	}, v.putAccount)
	register(v, route{
		method: http.MethodDelete, path: "/connections/{slug}/accounts/{account}", id: "delete-account", tag: tag, summary: "Forget the credential of an account for good",
		status: http.StatusNoContent,
	}, v.deleteAccount)
	v.tokenRoutes()
	v.rotationRoutes()
}

func (v *version) listAccounts(ctx context.Context, in *struct {
	BySlug
	Paging

	State string `query:"filter[state]" doc:"active, needs_reauth, revoked, corrupt or other_origin."`
},
) (*accountList, error) {
	known := []string{credentials.StateActive, credentials.StateNeedsReauth, credentials.StateRevoked, credentials.StateCorrupt, credentials.StateOtherOrigin}
	if err := oneOf("filter[state]", in.State, known); err != nil {
		return nil, err
	}
	all, err := v.deps.Connections.Accounts(ctx, actor(ctx), in.Slug)
	if err != nil {
		return nil, err
	}
	all = slices.DeleteFunc(all, func(c credentials.Credential) bool { return in.State != "" && c.State != in.State })
	if err := sortBy(all, in.Sort, []order[credentials.Credential]{
		{"name", func(a, b credentials.Credential) int { return compare(a.Account, b.Account) }},
		{"created_at", func(a, b credentials.Credential) int { return a.CreatedAt.Compare(b.CreatedAt) }},
		{"updated_at", func(a, b credentials.Credential) int { return a.UpdatedAt.Compare(b.UpdatedAt) }},
	}); err != nil {
		return nil, err
	}
	out := &accountList{}
	out.Body.Meta, out.Body.Data = in.meta(len(all)), each(cut(in.Paging, all), accountOf)
	return out, nil
}

func (v *version) getAccount(ctx context.Context, in *ByAccount) (*accountOutput, error) {
	all, err := v.deps.Connections.Accounts(ctx, actor(ctx), in.Slug)
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(all, func(c credentials.Credential) bool { return c.Account == in.Account })
	if i < 0 {
		return nil, fault.New(fault.NotFound, "ACCOUNT_NOT_FOUND", "The connection has no such account.")
	}
	return &accountOutput{Body: accountOf(all[i])}, nil
}

func (v *version) putAccount(ctx context.Context, in *struct {
	ByAccount
	Why

	Body AccountInput
},
) (*accountOutput, error) {
	c, err := v.deps.Connections.PutAccount(ctx, actor(ctx), in.Slug, in.Account, in.Body.Auth.auth(), in.Reason)
	if err != nil {
		return nil, err
	}
	return &accountOutput{Body: accountOf(c)}, nil
}

func (v *version) deleteAccount(ctx context.Context, in *struct {
	ByAccount
	Why
},
) (*struct{}, error) {
	_, err := v.deps.Connections.DeleteAccount(ctx, actor(ctx), in.Slug, in.Account, in.Reason)
	return nil, err
}

// definitionAuth is the credential of a definition without marks.
func definitionAuth(d connections.DefinitionAuth) Auth {
	return authOf(d.Type, d.Fields, sortedKeys(d.Marks))
}
