package connections

import (
	"context"
	"fmt"
	"maps"

	"switchgear/db"
	"switchgear/internal/access"
	"switchgear/internal/audit"
	"switchgear/internal/credentials"
	"switchgear/internal/fault"
)

// Accounts lists the accounts of a connection with what may be known about their credentials, the default
// one first. It needs system:read.
func (s *Service) Accounts(ctx context.Context, a access.Actor, slug string) ([]credentials.Credential, error) {
	r, err := s.read(ctx, a, slug)
	if err != nil {
		return nil, err
	}
	list, err := s.vault.List(ctx, r.ID)
	if err != nil {
		return nil, fmt.Errorf("connections: accounts of %s: %w", slug, err)
	}
	for i := range list {
		list[i] = list[i].At(r.origin())
	}
	return list, nil
}

// PutAccount stores the credential of an account, new or not. It needs configure. An empty type is that
// of the account, or of the connection. Secret fields that are left out keep their value. The credential
// of the default account is part of the definition: changing it makes a version. When the secret ends is not.
func (s *Service) PutAccount(ctx context.Context, a access.Actor, slug, account string, auth Auth, reason string) (credentials.Credential, error) {
	var stored credentials.Credential
	account, err := checkAccount(account)
	if err != nil {
		return stored, err
	}
	if reason, err = reasonLine(reason); err != nil {
		return stored, err
	}
	_, err = s.change(ctx, a, access.PermissionConfigure, func(tx *db.Tx, a access.Actor) (effect, error) {
		r, err := s.store.bySlug(ctx, tx, slug)
		if err != nil {
			return effect{}, noConnection(err)
		}
		if err := r.still(auth.Origin); err != nil {
			return effect{}, err
		}
		before, err := s.vault.Find(ctx, tx, r.ID, account)
		if err != nil && !fault.Is(err, fault.NotFound) {
			return effect{}, err
		}
		done := effect{}
		if stored = before; before.ID == "" || !auth.onlyExpiry() {
			if stored, done, err = s.putAccount(ctx, tx, a, r, account, before, auth, reason); err != nil || auth.ExpiresOn == nil {
				return done, err
			}
		}
		dated, news, err := s.setExpiry(ctx, tx, a, r, account, auth.ExpiresOn, reason)
		if err != nil || !news {
			return done, err
		}
		stored = dated.At(r.origin())
		return effect{slug: r.Slug, accounts: done.accounts}, nil
	})
	if err != nil {
		return credentials.Credential{}, fmt.Errorf("connections: account %s of %s: %w", account, slug, err)
	}
	return stored, nil
}

// putAccount stores the credential of an account that was before, or was not.
func (s *Service) putAccount(ctx context.Context, tx *db.Tx, a access.Actor, r row, account string, before credentials.Credential, auth Auth, reason string) (stored credentials.Credential, done effect, err error) {
	kind := auth.Type
	if kind == "" {
		kind = before.AuthType
	}
	if kind == "" {
		kind = r.AuthType
	}
	provider, err := s.provider(r.Provider)
	if err != nil {
		return stored, effect{}, err
	}
	draft, old := Auth{Type: kind, Fields: auth.Fields}, &Definition{Auth: authOf(before)}
	if before.ID == "" {
		// A new account is sent the way that the default one is.
		old = nil
		if kind == r.AuthType && !sharesClient(kind) {
			draft.Fields = map[string]string{}
			maps.Copy(draft.Fields, r.AuthFields)
			maps.Copy(draft.Fields, auth.Fields)
		}
	}
	kind, fields := draft.Type, draft.Fields
	if account == credentials.DefaultAccount || kind != r.AuthType || !sharesClient(kind) {
		if kind, fields, err = completeAuth(draft, provider, old); err != nil {
			return stored, effect{}, err
		}
	}
	stored, err = s.vault.Put(ctx, tx, r.holder(account), kind, fields)
	if err != nil {
		return stored, effect{}, err
	}
	stored = stored.At(r.origin())
	if stored.ID == before.ID && stored.Version == before.Version {
		return stored, effect{}, nil
	}
	if account == credentials.DefaultAccount {
		next := r
		next.def.Auth = authOf(stored)
		done, err = s.advance(ctx, tx, a, r, next, Version{Cause: CauseCredential, Reason: reason}, diff(r.def, next.def))
		return stored, done, err
	}
	return stored, effect{slug: r.Slug, accounts: []string{account}}, s.recordCredential(ctx, tx, a, r, account, kind, reason, authOf(before))
}

// DeleteAccount forgets the credential of an account for good. It needs configure. Calls of the account
// are refused from now on. Its tokens are revoked at the service as far as that supports it; what came of that
// never keeps the account.
func (s *Service) DeleteAccount(ctx context.Context, a access.Actor, slug, account, reason string) (Revoked, error) {
	account, err := checkAccount(account)
	if err != nil {
		return Revoked{}, err
	}
	if reason, err = reasonLine(reason); err != nil {
		return Revoked{}, err
	}
	var gone credentials.Revocation
	_, err = s.change(ctx, a, access.PermissionConfigure, func(tx *db.Tx, a access.Actor) (effect, error) {
		r, err := s.store.bySlug(ctx, tx, slug)
		if err != nil {
			return effect{}, noConnection(err)
		}
		if gone, err = s.vault.Revocation(ctx, tx, r.ID, account); err != nil {
			return effect{}, err
		}
		if err := s.vault.Delete(ctx, tx, r.ID, account); err != nil {
			return effect{}, err
		}
		if err := s.vault.Record(ctx, tx, gone.Of(), credentials.EventDeleted, "", eventActor(a)); err != nil {
			return effect{}, err
		}
		if err := s.record(ctx, tx, a, audit.Entry{
			Action: actionCredentialDelete, Target: r.target(), Reason: reason, Details: map[string]string{"account": account},
		}); err != nil {
			return effect{}, err
		}
		if account != credentials.DefaultAccount {
			return effect{slug: r.Slug, accounts: []string{account}}, nil
		}
		next := r
		next.def.Auth = DefinitionAuth{Type: r.def.Auth.Type, Fields: r.def.Auth.Fields, Marks: map[string]string{}}
		return s.advance(ctx, tx, a, r, next, Version{Cause: CauseCredential, Reason: reason}, diff(r.def, next.def))
	})
	if err != nil {
		return Revoked{}, fmt.Errorf("connections: delete account %s of %s: %w", account, slug, err)
	}
	return s.revoke(ctx, a, gone), nil
}
