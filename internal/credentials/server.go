package credentials

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"switchgear/db"
	"switchgear/internal/credentials/authtype"
	"switchgear/internal/credentials/oauth"
	"switchgear/internal/fault"
)

// An authorization server is where its endpoints are: their origins. What is secret of a client, and the tokens
// that came from there, go to no other one, whatever the client is changed to.

// serversOf are the origins of the endpoints of an authorization server; those that it does not have are empty.
func serversOf(endpoints ...string) []string {
	origins := []string{}
	for _, endpoint := range endpoints {
		if endpoint != "" {
			origins = append(origins, OriginOf(endpoint))
		}
	}
	slices.Sort(origins)
	return slices.Compact(origins)
}

// otherServer reports whether an endpoint, if there is one, is none of a server.
func otherServer(servers []string, endpoint string) bool {
	return endpoint != "" && !slices.Contains(servers, OriginOf(endpoint))
}

// tokenServers is where tokens of a client come from, and may be sent to again.
func tokenServers(cfg oauth.Config) []string { return serversOf(cfg.TokenURL, cfg.RevokeURL) }

// sameServer keeps what is stored of a client (its secret, and the keys that it proves itself and signs with) from
// being used at another server than it was entered for: whoever may edit an address must not be able to have it
// delivered there. before and after are all the values of the client, entered those that somebody gave just now.
func sameServer(t authtype.Type, before, after, entered map[string]string) error {
	if _, ok := t.(authtype.Granted); !ok {
		return nil
	}
	endpoints, known := []string{"token_url", "revoke_url", "device_authorization_url"}, []string{}
	for _, key := range endpoints {
		known = append(known, before[key])
	}
	known = serversOf(known...)
	for _, key := range endpoints {
		address, ok := authtype.Find(t, key)
		if !ok || !otherServer(known, after[key]) {
			continue
		}
		for _, f := range t.Fields() {
			if f.Secret && before[f.Key] != "" && entered[f.Key] == "" {
				return fault.Field("AUTH_FIELD_REQUIRED", authtype.FieldPath(f.Key),
					address.Label+" leads to another server now. "+f.Label+" was entered for the one before: enter it again.")
			}
		}
	}
	return nil
}

// bindTokens binds the tokens that were stored before they had a server, to that of their client. It returns how
// many; one that does not open is left, and goes to none.
func (v *Vault) bindTokens(ctx context.Context, tx *db.Tx) (int, error) {
	all, err := v.store.all(ctx, tx)
	if err != nil {
		return 0, fmt.Errorf("credentials: read the tokens that have no server: %w", err)
	}
	bound := 0
	for _, r := range all {
		if r.token.sealed == "" {
			continue
		}
		secrets, err := v.openToken(r.held())
		if err != nil || len(secrets.Servers) > 0 {
			continue
		}
		cfg, _, err := v.client(ctx, tx, r)
		if err != nil {
			continue
		}
		secrets.Servers = tokenServers(cfg)
		if err := v.sealAgain(ctx, tx, r, secrets); err != nil {
			return bound, err
		}
		bound++
	}
	return bound, nil
}

func (v *Vault) sealAgain(ctx context.Context, tx *db.Tx, r sealedRow, secrets tokenSecrets) error {
	plaintext, err := json.Marshal(secrets)
	if err != nil {
		return fmt.Errorf("credentials: encode the token of %s: %w", r.ID, err)
	}
	defer clear(plaintext)
	if r.token.sealed, r.token.keyID, err = v.sealer.Seal(r.held().aad, plaintext); err != nil {
		return err
	}
	if err := v.store.bindToken(ctx, tx, r); err != nil {
		return fmt.Errorf("credentials: bind the token of %s to its server: %w", r.ID, err)
	}
	return nil
}
