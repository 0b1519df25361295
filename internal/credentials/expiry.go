package credentials

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"slices"
	"time"

	"switchgear/internal/credentials/authtype"
)

// What can end about a credential.
const (
	ExpiryToken       = "token"       // an access token that nothing can renew
	ExpiryCertificate = "certificate" // that the client presents
	ExpirySecret      = "secret"      // by the day that a person set
	ExpiryConsent     = "consent"     // it is over: a person has to connect the account again
	ExpiryOld         = "old"         // the old credential of a rotation: the way back
)

// Expiry is when something about a credential ends, or that it has.
type Expiry struct {
	ConnectionID, Account string
	// What is one of the constants above.
	What string
	// AuthType is the kind of the credential; empty of an old one.
	AuthType string
	// At is when it ends; of a consent, since when it is over.
	At time.Time
}

// Expiries returns what ends about the credentials of every connection, the first to end first. Tokens that
// are renewed without a person do not end.
func (v *Vault) Expiries(ctx context.Context) ([]Expiry, error) {
	var interactive []string
	for _, t := range authtype.All() {
		if authtype.Interactive(t) {
			interactive = append(interactive, t.Kind())
		}
	}
	rows, err := v.store.ending(ctx, v.store.db, interactive)
	if err != nil {
		return nil, fmt.Errorf("credentials: read what expires: %w", err)
	}
	var out []Expiry
	for _, r := range rows {
		add := func(what string, at time.Time) {
			out = append(out, Expiry{ConnectionID: r.ConnectionID, Account: r.Account, What: what, AuthType: r.AuthType, At: at})
		}
		t, unknown := authtype.Lookup(r.AuthType)
		switch {
		case r.State == StateNeedsReauth:
			add(ExpiryConsent, r.UpdatedAt)
		case r.State == StateActive && unknown == nil && authtype.Interactive(t) && !r.token.renewable && !r.token.expiresAt.IsZero():
			add(ExpiryToken, r.token.expiresAt)
		}
		if at, ok := certificateEnd(r.Settings); ok && r.State != StateRevoked {
			add(ExpiryCertificate, at)
		}
		if r.ExpiresOn != "" && r.State != StateRevoked {
			add(ExpirySecret, r.ExpiresOn.End())
		}
	}
	kept, err := v.store.keptOld(ctx, v.store.db)
	if err != nil {
		return nil, fmt.Errorf("credentials: read until when old credentials are kept: %w", err)
	}
	out = append(out, kept...)
	slices.SortStableFunc(out, func(a, b Expiry) int { return a.At.Compare(b.At) })
	return out, nil
}

// certificateEnd is when the certificate among the settings of a credential ends.
func certificateEnd(settings map[string]string) (time.Time, bool) {
	for _, key := range []string{"certificate", "client_certificate"} {
		block, _ := pem.Decode([]byte(settings[key]))
		if block == nil || block.Type != "CERTIFICATE" {
			continue
		}
		if c, err := x509.ParseCertificate(block.Bytes); err == nil {
			return c.NotAfter, true
		}
	}
	return time.Time{}, false
}
