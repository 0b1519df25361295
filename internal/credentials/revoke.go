package credentials

import (
	"context"
	"errors"
	"fmt"
	"time"

	"switchgear/db"
	"switchgear/internal/credentials/authtype"
	"switchgear/internal/credentials/oauth"
	"switchgear/internal/fault"
)

// What came of telling a service that tokens are not used any more.
const (
	RevokedNothing      = ""              // there was no token
	RevokedDone         = "revoked"       // the service said so
	RevokedNotSupported = "not_supported" // the client has no revocation URL: tokens live on until they end
	RevokedFailed       = "failed"        // the service refused or did not answer: tokens may live on
)

// Revoked is what came of a revocation.
type Revoked struct {
	// Result is one of the constants above, Code that of a failure.
	Result, Code string
}

// Revocation is what revokes the tokens of an account after it was deleted here. It holds secrets in memory,
// shows none, and is good for one use.
type Revocation struct {
	endpoint TokenEndpoint
	of       Credential
	cfg      oauth.Config
	tokens   []revocable
	problem  string // a code: why the service is not told
}

// codeClientChanged is the code of tokens that were forgotten because the client became another one.
const codeClientChanged = "client_changed"

// NotRevoked says why a service did not revoke tokens, by the code of a [Revoked].
func NotRevoked(code string) string {
	why := "The service did not revoke the tokens"
	switch code {
	case oauth.CodeOtherServer:
		why = "The service was not told: the revocation URL leads to another server than the tokens are from. They were not sent there"
	case oauth.CodeClientServer:
		why = "The service was not told: the client leads to another server than the client secret of the account was entered for. The tokens were not sent there"
	case codeClientChanged:
		why = "The service was not told: the tokens were forgotten when the client was changed"
	}
	return why + "; they may be good until they end."
}

type revocable struct{ token, hint string }

// revocationLimit bounds the revocation of an account with all of its tokens.
const revocationLimit = 10 * time.Second

// Revocation returns what revokes the tokens that an account has, as tx sees them, so that it can be deleted in
// the same transaction and revoked after the commit.
func (v *Vault) Revocation(ctx context.Context, tx *db.Tx, connectionID, account string) (Revocation, error) {
	r, err := v.store.current(ctx, tx, connectionID, account)
	if err != nil {
		return Revocation{}, noAccount(err)
	}
	return v.revocation(ctx, tx, r), nil
}

// Revocations returns the same for the accounts of a connection. Beyond most of them, tokens are left to end by
// themselves, and that is the result.
func (v *Vault) Revocations(ctx context.Context, tx *db.Tx, connectionID string, most int) ([]Revocation, error) {
	rows, err := v.store.list(ctx, tx, connectionID)
	if err != nil {
		return nil, fmt.Errorf("credentials: read the accounts of %s: %w", connectionID, err)
	}
	out := make([]Revocation, len(rows))
	for i, r := range rows {
		if out[i] = v.revocation(ctx, tx, r); len(out[i].tokens) == 0 {
			continue
		}
		if most--; most < 0 {
			out[i].tokens, out[i].problem = nil, "too_many"
		}
	}
	return out, nil
}

func (v *Vault) revocation(ctx context.Context, tx *db.Tx, r sealedRow) Revocation {
	out := Revocation{endpoint: v.endpoint, of: r.Credential}
	t, unknown := authtype.Lookup(r.AuthType)
	if _, ok := t.(authtype.Granted); unknown != nil || !ok {
		return out
	}
	if r.token.sealed == "" {
		if authtype.Interactive(t) && r.token.version > 0 && r.State != StateRevoked {
			out.problem = codeClientChanged
		}
		return out
	}
	secrets, err := v.openToken(r.held())
	if err == nil {
		out.cfg, _, err = v.client(ctx, tx, r)
	}
	if clientElsewhere(err) {
		out.problem = oauth.CodeClientServer
		return out
	}
	if err != nil { // It is deleted all the same.
		out.problem = fault.CodeOf(err)
		return out
	}
	if otherServer(secrets.Servers, out.cfg.RevokeURL) {
		out.problem = oauth.CodeOtherServer
		return out
	}
	// A service that ends only the token that it is told of has to be told of both.
	for _, one := range []revocable{{secrets.Refresh, "refresh_token"}, {secrets.Access, "access_token"}} {
		if one.token != "" {
			out.tokens = append(out.tokens, one)
		}
	}
	return out
}

// Of is the credential whose tokens are revoked.
func (r Revocation) Of() Credential { return r.of }

// Do tells the service. It is bounded in time, and never fails in a way that could be waited for.
func (r Revocation) Do(ctx context.Context) Revoked {
	switch {
	case r.problem != "":
		return Revoked{RevokedFailed, r.problem}
	case len(r.tokens) == 0:
		return Revoked{}
	case r.cfg.RevokeURL == "":
		return Revoked{Result: RevokedNotSupported}
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), revocationLimit)
	defer cancel()
	for i, one := range r.tokens {
		err := r.endpoint.Revoke(ctx, r.cfg, one.token, one.hint)
		if err == nil {
			continue
		}
		e, ok := errors.AsType[*oauth.Error](err)
		if ok && e.Code == "unsupported_token_type" && i > 0 {
			continue // Access tokens end with the refresh token there.
		}
		code := oauth.CodeNoAnswer
		if ok {
			code = e.Code
		}
		return Revoked{RevokedFailed, code}
	}
	return Revoked{Result: RevokedDone}
}

// RevokeHere forgets the tokens of an account within tx, which calls cannot use from then on.
func (v *Vault) RevokeHere(ctx context.Context, tx *db.Tx, connectionID, account string) (Credential, error) {
	r, err := v.store.current(ctx, tx, connectionID, account)
	if err != nil {
		return Credential{}, noAccount(err)
	}
	if err := v.dropToken(ctx, tx, r.ID); err != nil {
		return Credential{}, err
	}
	if err := v.store.setState(ctx, tx, r.ID, StateRevoked, v.moment()); err != nil {
		return Credential{}, err
	}
	r.State, r.Token = StateRevoked, nil
	return r.Credential, nil
}

// RecordRevoked adds what came of a revocation to the history. There is nothing to tell where there was no token.
func (v *Vault) RecordRevoked(ctx context.Context, r Revocation, result Revoked, actor Actor) error {
	detail, kind := "", EventRevoked
	switch result.Result {
	case RevokedNothing:
		return nil
	case RevokedNotSupported:
		kind, detail = EventNotRevoked, "The client has no revocation URL: the tokens are good at the service until they end."
	case RevokedFailed:
		kind, detail = EventNotRevoked, NotRevoked(result.Code)
	}
	return v.store.db.InTx(ctx, func(tx *db.Tx) error {
		return v.Record(ctx, tx, r.of, kind, result.Code, actor, detail)
	})
}
