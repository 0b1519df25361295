package connections

import (
	"context"
	"fmt"

	"switchgear/db"
	"switchgear/internal/access"
	"switchgear/internal/audit"
	"switchgear/internal/credentials"
	"switchgear/internal/credentials/authtype"
	"switchgear/internal/credentials/oauth"
	"switchgear/internal/fault"
)

// TokenClient is the OAuth client of an account. It holds secrets: it must not be kept, shown or logged.
type TokenClient struct {
	Connection Connection
	Config     oauth.Config
	Grant      string
}

// TokenClient returns the client that an account is connected with, which may be that of the default
// account. It needs configure, now: whoever asks may have lost the right since they began. An account whose kind of credential has no token is a fault.Conflict.
func (s *Service) TokenClient(ctx context.Context, a access.Actor, slug, account string) (TokenClient, error) {
	account, err := checkAccount(account)
	if err != nil {
		return TokenClient{}, err
	}
	if err := a.Require(access.PermissionConfigure); err != nil {
		return TokenClient{}, err
	}
	var client TokenClient
	err = s.db.InTx(ctx, func(tx *db.Tx) error {
		if _, err := s.authorize(ctx, tx, a, access.PermissionConfigure); err != nil {
			return err
		}
		r, err := s.store.bySlug(ctx, tx, slug)
		if err != nil {
			return noConnection(err)
		}
		client.Connection = r.Connection
		cfg, granted, err := s.vault.Client(ctx, tx, r.ID, account)
		if err != nil {
			return err
		}
		client.Config, client.Grant = cfg, granted.Grant()
		return nil
	})
	if err != nil {
		return TokenClient{}, fmt.Errorf("connections: client of %s of %s: %w", account, slug, err)
	}
	return client, nil
}

// Consented is a token on its way to an account.
type Consented struct {
	Token oauth.Token
	// Origin is what was consented to, as credentials.OriginOf has it; empty is wherever the connection goes to.
	Origin string
	// Event is what the record calls it, Detail what more it says.
	Event, Detail string
}

// ConnectAccount stores the token that a consent led to, or that was imported, as its event says. It needs
// configure. The account is made when there is none, with the client of the default one; one that exists
// keeps its id and settings. Scopes that were asked for and not granted are part of the record.
func (s *Service) ConnectAccount(ctx context.Context, a access.Actor, slug, account string, c Consented) (credentials.Credential, error) {
	var stored credentials.Credential
	account, err := checkAccount(account)
	if err != nil {
		return stored, err
	}
	_, err = s.change(ctx, a, access.PermissionConfigure, func(tx *db.Tx, a access.Actor) (effect, error) {
		r, err := s.store.bySlug(ctx, tx, slug)
		if err != nil {
			return effect{}, noConnection(err)
		}
		if err := r.still(c.Origin); err != nil {
			return effect{}, err
		}
		if err := s.ensureAccount(ctx, tx, r, account); err != nil {
			return effect{}, err
		}
		if stored, err = s.vault.PutToken(ctx, tx, r.holder(account), c.Token); err != nil {
			return effect{}, err
		}
		if err := s.vault.Record(ctx, tx, stored, c.Event, "", eventActor(a), c.Detail); err != nil {
			return effect{}, err
		}
		return effect{slug: r.Slug, accounts: []string{account}}, s.record(ctx, tx, a, audit.Entry{
			Action: actionCredentialConnect, Target: r.target(),
			Details: map[string]string{"account": account, "how": c.Event},
		})
	})
	if err != nil {
		return credentials.Credential{}, fmt.Errorf("connections: connect %s of %s: %w", account, slug, err)
	}
	return stored, nil
}

// CheckAccount refuses what is not the name of an account.
func CheckAccount(name string) error {
	_, err := checkAccount(name)
	return err
}

// ensureAccount makes the credential of an account that shares the client of the default one.
func (s *Service) ensureAccount(ctx context.Context, tx *db.Tx, r row, account string) error {
	_, err := s.vault.Find(ctx, tx, r.ID, account)
	if !fault.Is(err, fault.NotFound) {
		return err
	}
	t, err := authtype.Lookup(r.AuthType)
	if err != nil {
		return err
	}
	if account == credentials.DefaultAccount || !authtype.Interactive(t) {
		return fault.New(fault.Conflict, "CLIENT_MISSING", "The connection has no OAuth client yet.").
			WithSuggestion("Enter client ID and secret on its configuration first.")
	}
	_, err = s.vault.Put(ctx, tx, r.holder(account), r.AuthType, nil)
	return err
}

// sharesClient reports whether the accounts of a kind use the OAuth client of the default one.
func sharesClient(kind string) bool {
	t, err := authtype.Lookup(kind)
	return err == nil && authtype.Interactive(t)
}
