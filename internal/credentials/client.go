package credentials

import (
	"context"
	"fmt"
	"maps"

	"switchgear/db"
	"switchgear/internal/credentials/authtype"
	"switchgear/internal/credentials/oauth"
	"switchgear/internal/fault"
)

// outdated reports whether a change of the values makes the token of a credential useless. They are all the values of
// the client, those that it shares included.
func outdated(t authtype.Type, oldType string, before, after map[string]string) bool {
	if oldType != t.Kind() {
		return true
	}
	if _, ok := t.(authtype.Granted); !ok {
		return false
	}
	if !authtype.Interactive(t) {
		return !maps.Equal(before, after) // It can be had anew at any time.
	}
	for _, key := range []string{"token_url", "authorize_url", "device_authorization_url"} {
		// Another path is the same server, which knows the consent.
		if before[key] != after[key] && OriginOf(before[key]) != OriginOf(after[key]) {
			return true
		}
	}
	return before["client_id"] != after["client_id"]
}

// clientOf returns the values of the default account where another account shares its client: kinds that a
// person consents to. nil stands for an account that has its own.
func (v *Vault) clientOf(ctx context.Context, q reader, t authtype.Type, connectionID, account string) (map[string]string, error) {
	if account == DefaultAccount || !authtype.Interactive(t) {
		return nil, nil //nolint:nilnil // No values are what it means.
	}
	r, err := v.store.current(ctx, q, connectionID, DefaultAccount)
	if fault.Is(err, fault.NotFound) || err == nil && r.AuthType != t.Kind() {
		return nil, nil //nolint:nilnil // likewise
	}
	if err != nil {
		return nil, fmt.Errorf("credentials: read the client of %s: %w", connectionID, err)
	}
	return v.open(r)
}

// overrides are the values of an account that shares the client of the default one: what was given, and the
// secrets that it has already.
func overrides(t authtype.Type, before, values map[string]string) map[string]string {
	out := map[string]string{}
	for _, f := range t.Fields() {
		value := values[f.Key]
		if f.Secret && value == "" {
			value = before[f.Key]
		}
		if value != "" {
			out[f.Key] = value
		}
	}
	for key, value := range values { // Unknown ones are refused by the checks that follow.
		if _, known := authtype.Find(t, key); !known {
			out[key] = value
		}
	}
	return out
}

// under lays values over those of the client; a nil client changes nothing.
func under(client, values map[string]string) map[string]string {
	if client == nil {
		return values
	}
	out := maps.Clone(client)
	maps.Copy(out, values)
	return out
}

// Client returns the settings of the OAuth client of an account, secrets included, for a request to its
// authorization server. It must not be kept, shown or logged. A secret that would go to another server than it was
// entered for is a fault.Invalid AUTH_FIELD_REQUIRED.
func (v *Vault) Client(ctx context.Context, tx *db.Tx, connectionID, account string) (oauth.Config, authtype.Granted, error) {
	r, err := v.store.current(ctx, tx, connectionID, account)
	if fault.Is(err, fault.NotFound) && account != DefaultAccount {
		// An account that is to be made: it will share the client of the default one.
		if r, err = v.store.current(ctx, tx, connectionID, DefaultAccount); err == nil {
			if t, unknown := authtype.Lookup(r.AuthType); unknown != nil || !authtype.Interactive(t) {
				err = noAccount(fault.Newf(fault.NotFound, "no account"))
			}
		}
	}
	if err != nil {
		return oauth.Config{}, nil, noAccount(err)
	}
	return v.client(ctx, tx, r)
}

func (v *Vault) client(ctx context.Context, q reader, r sealedRow) (oauth.Config, authtype.Granted, error) {
	t, err := authtype.Lookup(r.AuthType)
	if err != nil {
		return oauth.Config{}, nil, err
	}
	granted, ok := t.(authtype.Granted)
	if !ok {
		return oauth.Config{}, nil, fault.New(fault.Conflict, "NOT_A_TOKEN_ACCOUNT", "The account does not authenticate with a token of OAuth 2.")
	}
	shared, err := v.clientOf(ctx, q, t, r.ConnectionID, r.Account)
	if err != nil {
		return oauth.Config{}, nil, err
	}
	own, servers, err := v.openClient(r)
	if err != nil {
		return oauth.Config{}, nil, err
	}
	if hasServers(t, r.Account) {
		if err := atTheirServers(t, servers, shared, own); err != nil {
			return oauth.Config{}, nil, err
		}
	}
	return oauth.ConfigOf(under(shared, own)), granted, nil
}
