package connections

import (
	"context"
	"fmt"
	"sync"

	"switchgear/db"
	"switchgear/internal/access"
	"switchgear/internal/audit"
	"switchgear/internal/credentials"
)

// revocationsAtOnce bounds how many accounts of a connection are revoked at the same time, and
// mostRevocations how many there are to be, so that deleting a connection ends in time.
const revocationsAtOnce, mostRevocations = 8, 64

// Revoked says what became of the tokens of accounts at their service.
type Revoked struct {
	// Done, NotSupported and Failed count accounts that had a token; Code is that of the first failure.
	Done, NotSupported, Failed int
	Code                       string
}

// RevokeAccount ends the tokens of an account, here and at the service. It needs configure. Calls of the
// account are refused until somebody connects it again. What the service says never keeps the tokens here.
func (s *Service) RevokeAccount(ctx context.Context, a access.Actor, slug, account, reason string) (Revoked, error) {
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
		if _, err := s.vault.RevokeHere(ctx, tx, r.ID, account); err != nil {
			return effect{}, err
		}
		return effect{slug: r.Slug, accounts: []string{account}}, s.record(ctx, tx, a, audit.Entry{
			Action: actionCredentialRevoke, Target: r.target(), Reason: reason, Details: map[string]string{"account": account},
		})
	})
	if err != nil {
		return Revoked{}, fmt.Errorf("connections: revoke %s of %s: %w", account, slug, err)
	}
	return s.revoke(ctx, a, gone), nil
}

// revoke tells the services of accounts that are gone here, and notes what they said.
func (s *Service) revoke(ctx context.Context, a access.Actor, gone ...credentials.Revocation) Revoked {
	ctx = context.WithoutCancel(ctx)
	var (
		mu    sync.Mutex
		group sync.WaitGroup
		out   Revoked
	)
	places := make(chan struct{}, revocationsAtOnce)
	for _, one := range gone {
		places <- struct{}{}
		group.Go(func() {
			defer func() { <-places }()
			result := one.Do(ctx)
			if err := s.vault.RecordRevoked(ctx, one, result, eventActor(a)); err != nil {
				s.logger.WarnContext(ctx, "a revocation is not in the history", "connection_id", one.Of().ConnectionID, "error", err)
			}
			mu.Lock()
			defer mu.Unlock()
			switch result.Result {
			case credentials.RevokedDone:
				out.Done++
			case credentials.RevokedNotSupported:
				out.NotSupported++
			case credentials.RevokedFailed:
				out.Failed++
				out.Code = result.Code
			}
		})
	}
	group.Wait()
	return out
}

func eventActor(a access.Actor) credentials.Actor {
	return credentials.Actor{Kind: a.Kind, ID: a.ID, Name: a.Name}
}

// leaving notes that the accounts of a connection are deleted, and returns what revokes them afterwards. The
// default account comes first.
func (s *Service) leaving(ctx context.Context, tx *db.Tx, a access.Actor, connectionID string) ([]credentials.Revocation, error) {
	all, err := s.vault.Revocations(ctx, tx, connectionID, mostRevocations)
	if err != nil {
		return nil, err
	}
	for _, one := range all {
		if err := s.vault.Record(ctx, tx, one.Of(), credentials.EventDeleted, "", eventActor(a)); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// History returns what happened to the credentials of a connection, of one account or of all, the newest first,
// and how many events there are. It needs system:read.
func (s *Service) History(ctx context.Context, a access.Actor, slug, account string, skip, limit int) (events []credentials.Event, total int, err error) {
	r, err := s.read(ctx, a, slug)
	if err != nil {
		return nil, 0, err
	}
	return s.vault.History(ctx, r.ID, account, skip, limit)
}

// Expiry is when something about a credential of a connection ends, or that it has.
type Expiry struct {
	credentials.Expiry

	Slug, Name, Environment string
}

// Expiries returns what ends about the credentials of every connection, the first to end first. It needs
// system:read.
func (s *Service) Expiries(ctx context.Context, a access.Actor) ([]Expiry, error) {
	if err := a.Require(access.PermissionSystemRead); err != nil {
		return nil, err
	}
	all, err := s.vault.Expiries(ctx)
	if err != nil {
		return nil, err
	}
	known := map[string]*entry{}
	for _, e := range s.snapshot.Load().entries.all() {
		known[e.ID] = e
	}
	out := make([]Expiry, 0, len(all))
	for _, one := range all {
		if e := known[one.ConnectionID]; e != nil {
			out = append(out, Expiry{Expiry: one, Slug: e.Slug, Name: e.Name, Environment: e.Environment})
		}
	}
	return out, nil
}
