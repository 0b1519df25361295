package credentials

import (
	"context"
	"errors"
	"net/http"

	"switchgear/db"
	"switchgear/internal/credentials/authtype"
	"switchgear/internal/credentials/oauth"
	"switchgear/internal/fault"
)

// Trial returns the staged credential of an account for a test, in a Set that has this account only. A token
// that it needs is obtained for each use and kept nowhere. The credential in use does not notice.
func (v *Vault) Trial(ctx context.Context, tx *db.Tx, connectionID, name string, revision int64) (*Set, Rollover, error) {
	r, o, err := v.rolling(ctx, tx, connectionID, name, RolloverStaged, revision)
	if err != nil {
		return nil, Rollover{}, err
	}
	t, err := authtype.Lookup(o.AuthType)
	if err != nil {
		return nil, Rollover{}, err
	}
	waiting := o.waiting(r.Credential)
	if _, err := v.open(waiting); err != nil {
		return nil, Rollover{}, err
	}
	return &Set{accounts: map[string]account{name: v.trial(waiting, t)}}, o.Rollover, nil
}

func (v *Vault) trial(r sealedRow, t authtype.Type) account {
	a := account{id: r.rollover, version: r.Version, origin: r.Origin}
	granted, ok := t.(authtype.Granted)
	if !ok {
		v.ready(&a, r, t)
		return a
	}
	a.authorize = func(ctx context.Context, request *http.Request) error {
		token, err := v.trialToken(ctx, r, granted)
		if err != nil {
			return err
		}
		now := v.now()
		use := authtype.Use{Token: authtype.Token{Access: token.Access, Type: token.Type}, Now: now}
		if err := t.Apply(request, use); err != nil {
			return notApplicable(err)
		}
		return nil
	}
	return a
}

func (v *Vault) trialToken(ctx context.Context, r sealedRow, t authtype.Granted) (oauth.Token, error) {
	values, err := v.open(r)
	if err != nil {
		return oauth.Token{}, err
	}
	token, err := v.grant(ctx, t, oauth.ConfigOf(values))
	if err == nil {
		return token, nil
	}
	e, ok := errors.AsType[*oauth.Error](err)
	if !ok {
		return oauth.Token{}, err
	}
	return oauth.Token{}, fault.New(fault.Unavailable, "TOKEN_NOT_OBTAINED", "No access token could be obtained with it ("+e.Code+"). "+Advice(r.AuthType, e.Code))
}

// grant asks for a token that needs nobody's consent.
func (v *Vault) grant(ctx context.Context, t authtype.Granted, cfg oauth.Config) (oauth.Token, error) {
	switch t.Grant() {
	case authtype.GrantClientCredentials:
		return v.endpoint.ClientCredentials(ctx, cfg)
	case authtype.GrantJWTBearer:
		return v.endpoint.JWTBearer(ctx, cfg)
	}
	return oauth.Token{}, fault.Newf(fault.Internal, "credentials: the grant %q needs consent", t.Grant())
}
