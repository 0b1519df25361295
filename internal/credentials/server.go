package credentials

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

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
	known := clientServers(before)
	for _, f := range t.Fields() {
		if !f.Secret || before[f.Key] == "" || entered[f.Key] != "" {
			continue
		}
		if elsewhere := leadsElsewhere(t, f, known, after); elsewhere != nil {
			return elsewhere
		}
	}
	return nil
}

// endpoints are the addresses to which something secret of a client is sent.
func endpoints() []string { return []string{"token_url", "revoke_url", "device_authorization_url"} }

// clientServers are the servers of a client, by its values.
func clientServers(values map[string]string) []string {
	addresses := endpoints()
	for i, key := range addresses {
		addresses[i] = values[key]
	}
	return serversOf(addresses...)
}

// leadsElsewhere refuses to have a secret that was entered for servers sent to another one.
func leadsElsewhere(t authtype.Type, secret authtype.Field, servers []string, values map[string]string) *fault.Error {
	for _, key := range endpoints() {
		if address, ok := authtype.Find(t, key); ok && otherServer(servers, values[key]) {
			return fault.Field("AUTH_FIELD_REQUIRED", authtype.FieldPath(secret.Key),
				address.Label+" leads to another server now. "+secret.Label+" was entered for the one before: enter it again.")
		}
	}
	return nil
}

// clientElsewhere reports whether a client was refused because of [atTheirServers].
func clientElsewhere(err error) bool { return fault.CodeOf(err) == "AUTH_FIELD_REQUIRED" }

// serversKey is beside the sealed values of an account that can share the client of the default one: the servers
// that its own secrets were entered for. No field has this name.
const serversKey = "@servers"

// hasServers reports whether the secrets of an account are bound by themselves: part of its client is the default
// one's, and may be changed without it. The secrets of the default account are beside their addresses.
func hasServers(t authtype.Type, account string) bool {
	return account != DefaultAccount && authtype.Interactive(t)
}

// openClient is open with the servers that the secrets of the account were entered for.
func (v *Vault) openClient(r sealedRow) (values map[string]string, servers []string, err error) {
	e, err := newEnvelope(r.aad(), r.sealed)
	if err == nil {
		values, err = v.openEnvelope(e)
	}
	if err != nil {
		return nil, nil, err
	}
	servers = strings.Fields(values[serversKey])
	delete(values, serversKey)
	return values, servers, nil
}

// reboundClient is where the secrets that an account has of its own may go after values were entered over those of
// before. after are all the values of the client. What is kept stays with the servers that it was entered for.
func reboundClient(t authtype.Type, servers []string, before, values, after map[string]string) ([]string, error) {
	kept, entered := []authtype.Field{}, false
	for _, f := range t.Fields() {
		switch {
		case !f.Secret:
		case values[f.Key] != "":
			entered = true
		case before[f.Key] != "":
			kept = append(kept, f)
		}
	}
	switch {
	case len(kept) == 0 && entered:
		return clientServers(after), nil
	case len(kept) > 0 && entered:
		if elsewhere := leadsElsewhere(t, kept[0], servers, after); elsewhere != nil {
			return nil, elsewhere
		}
	}
	return servers, nil
}

// atTheirServers refuses a client that would take a secret elsewhere: one that the account has of its own to another
// server than it was entered for, or one that it shares to a server of the account's.
func atTheirServers(t authtype.Type, servers []string, shared, own map[string]string) error {
	all := under(shared, own)
	for _, f := range t.Fields() {
		known := servers
		switch {
		case !f.Secret || all[f.Key] == "":
			continue
		case own[f.Key] == "":
			known = clientServers(shared)
		}
		if elsewhere := leadsElsewhere(t, f, known, all); elsewhere != nil {
			return elsewhere.WithSuggestion("Enter it again with the client of the account, or take the client of the connection back to its server.")
		}
	}
	return nil
}

// bindClients binds the secrets that accounts had of their own before these had servers, to those of the client that
// they are part of. Where the token of an account is from elsewhere, the client has moved since it was used, and they
// stay with the servers of the token. It returns how many; one that does not open is left, and goes to none.
func (v *Vault) bindClients(ctx context.Context, tx *db.Tx) (int, error) {
	all, err := v.store.all(ctx, tx)
	if err != nil {
		return 0, fmt.Errorf("credentials: read the clients that have no server: %w", err)
	}
	bound := 0
	for _, r := range all {
		t, err := authtype.Lookup(r.AuthType)
		if err != nil || !hasServers(t, r.Account) || len(r.Marks) == 0 {
			continue
		}
		own, servers, err := v.openClient(r)
		if err != nil || len(servers) > 0 {
			continue
		}
		shared, err := v.clientOf(ctx, tx, t, r.ConnectionID, r.Account)
		if err != nil {
			continue
		}
		r.servers = clientServers(under(shared, own))
		if from := v.tokenFrom(r); slices.ContainsFunc(from, func(server string) bool { return !slices.Contains(r.servers, server) }) {
			r.servers = from
		}
		if err := v.seal(&r, own); err != nil {
			return bound, err
		}
		if err := v.store.bind(ctx, tx, r); err != nil {
			return bound, fmt.Errorf("credentials: bind the client of %s to its server: %w", r.ID, err)
		}
		bound++
	}
	return bound, nil
}

// tokenFrom are the servers that the token of an account is from; none when there is none, or it does not say.
func (v *Vault) tokenFrom(r sealedRow) []string {
	if r.token.sealed == "" {
		return nil
	}
	secrets, err := v.openToken(r.held())
	if err != nil {
		return nil
	}
	return secrets.Servers
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
