package credentials

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"strings"
	"unicode"

	"golang.org/x/net/idna"

	"switchgear/db"
	"switchgear/internal/credentials/authtype"
	"switchgear/internal/fault"
)

// StateOtherOrigin is an active credential of a connection that goes somewhere else by now than to where the
// secrets were entered for. It is not stored: back at the old address, the credential is active again.
const StateOtherOrigin = "other_origin"

const (
	// noOrigin is where a connection without an address goes to.
	noOrigin = "no address"
	// unknownOrigin is what a credential was entered for that was stored before that was noted, and could not
	// be bound since because it did not open.
	unknownOrigin = "an unknown address"
)

// Holder is whose credential it is, and where the connection goes to: secrets are for that origin and no other.
type Holder struct {
	ConnectionID, Account string
	// Origin is that of [OriginOf].
	Origin string
}

// OriginOf is the scheme, host and port of an address: what secrets are bound to. Another path is the same
// origin.
func OriginOf(address string) string {
	if address == "" {
		return noOrigin
	}
	u, err := url.Parse(address)
	if err != nil || u.Host == "" {
		return address
	}
	scheme, host, port := u.Scheme, dialled(u.Hostname()), u.Port() // The parser lowers the scheme.
	if port == "" || port == map[string]string{"http": "80", "https": "443"}[scheme] {
		if strings.Contains(host, ":") {
			host = "[" + host + "]"
		}
		return scheme + "://" + host
	}
	return scheme + "://" + net.JoinHostPort(host, port)
}

// dialled is a host as it is dialled. Letters of other scripts are mapped as net/http maps them, and in no other
// way: what looks alike is not the same host.
func dialled(host string) string {
	if mapped, err := idna.Lookup.ToASCII(host); err == nil && strings.ContainsFunc(host, func(r rune) bool { return r > unicode.MaxASCII }) {
		host = mapped
	}
	return strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			r += 'a' - 'A'
		}
		return r
	}, host)
}

// At is the credential as a connection that goes to origin has it.
func (c Credential) At(origin string) Credential {
	if c.State == StateActive && c.elsewhere(origin) {
		c.State = StateOtherOrigin
	}
	return c
}

func (c Credential) elsewhere(origin string) bool { return c.Origin != "" && c.Origin != origin }

// boundTo is what goes to an upstream of a credential was entered or consented to for; empty where nothing
// secret does.
func (r sealedRow) boundTo() string {
	origin := r.origin
	t, err := authtype.Lookup(r.AuthType)
	switch {
	case err == nil && authtype.Interactive(t):
		// The client is known to its authorization server only. What goes to the upstream is the token.
		if origin = r.token.origin; r.token.sealed == "" {
			return ""
		}
	case len(r.Marks) == 0:
		return ""
	}
	if origin == "" {
		return unknownOrigin
	}
	return origin
}

// tokenOrigin is what the token of a credential is for: what a person consented to, or what the client that gets
// it by itself was entered for.
func (r sealedRow) tokenOrigin() string {
	if t, err := authtype.Lookup(r.AuthType); err == nil && authtype.Interactive(t) {
		return r.token.origin
	}
	return r.origin
}

func otherOrigin(was, now string, consent bool) error {
	what, again := "The credential was entered", "Enter it again, or take the connection back."
	if consent {
		what, again = "The account was connected", "Connect it again, or take the connection back."
	}
	return fault.New(fault.Unavailable, "CREDENTIAL_OTHER_ORIGIN", what+" for "+was+"; the connection goes to "+now+" now. "+again)
}

// rebound is the origin of the next version of a credential. Secrets that are kept stay bound to what they were
// entered for: only whoever knows them all can have them sent to another origin.
func rebound(t authtype.Type, old sealedRow, before, values map[string]string, origin string) (string, error) {
	if old.origin == origin || authtype.Interactive(t) {
		return origin, nil
	}
	kept, entered := "", false
	for _, f := range t.Fields() {
		switch {
		case !f.Secret:
		case values[f.Key] != "":
			entered = true
		case before[f.Key] != "" && kept == "":
			kept = f.Key
		}
	}
	switch {
	case kept == "":
		return origin, nil
	case !entered:
		return old.origin, nil
	}
	f, _ := authtype.Find(t, kept)
	return "", fault.Field("AUTH_FIELD_REQUIRED", authtype.FieldPath(kept),
		f.Label+" was entered for another address than the connection goes to now. Enter it again, too.")
}

// Bind binds what was stored before secrets had an origin, and tokens and clients of accounts an authorization server, within tx. origin
// says where the connection went to that used a version of a credential. It returns how many values it bound; one that does not open is left.
func (v *Vault) Bind(ctx context.Context, tx *db.Tx, origin func(c Credential) (string, error)) (int, error) {
	unbound, err := v.store.unbound(ctx, tx)
	if err != nil {
		return 0, fmt.Errorf("credentials: read what has no origin: %w", err)
	}
	bound := 0
	for _, u := range unbound {
		next := u
		if next.origin, err = origin(u.Credential); err != nil {
			return bound, err
		}
		if next.sealed, next.keyID, err = v.again(u.aad(), next.aad(), u.sealed); err != nil {
			continue
		}
		if err := v.store.bind(ctx, tx, next); err != nil {
			return bound, fmt.Errorf("credentials: bind %s: %w", u.ID, err)
		}
		bound++
	}
	clients, err := v.bindClients(ctx, tx)
	if bound += clients; err != nil {
		return bound, err
	}
	tokens, err := v.store.unboundTokens(ctx, tx)
	if err != nil {
		return bound, fmt.Errorf("credentials: read the tokens that have no origin: %w", err)
	}
	for _, u := range tokens {
		next := u
		if next.token.origin, err = origin(u.Credential); err != nil {
			return bound, err
		}
		if next.token.sealed, next.token.keyID, err = v.again(u.held().aad, next.held().aad, u.token.sealed); err != nil {
			continue
		}
		if u.token.previous != "" {
			next.token.previous, next.token.previousKeyID, err = v.again(u.held().before.aad, next.held().before.aad, u.token.previous)
			if err != nil {
				next.token.previous, next.token.previousVersion, next.token.previousKeyID = "", 0, 0
			}
		}
		if err := v.store.bindToken(ctx, tx, next); err != nil {
			return bound, fmt.Errorf("credentials: bind the token of %s: %w", u.ID, err)
		}
		bound++
	}
	n, err := v.bindTokens(ctx, tx)
	return bound + n, err
}

// again seals a value for another place.
func (v *Vault) again(from, to AAD, sealed string) (string, uint32, error) {
	plaintext, err := v.sealer.Open(from, sealed)
	if err != nil {
		return "", 0, err
	}
	defer clear(plaintext)
	return v.sealer.Seal(to, plaintext)
}
