package connections

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"switchgear/db"
	"switchgear/internal/access"
	"switchgear/internal/credentials"
	"switchgear/internal/fault"
)

// origin is where a connection goes to, as credentials are bound to it.
func (r row) origin() string { return credentials.OriginOf(r.BaseURL) }

func (r row) holder(account string) credentials.Holder {
	return credentials.Holder{ConnectionID: r.ID, Account: account, Origin: r.origin()}
}

// ErrMoved is the fault.Conflict CONNECTION_MOVED of secrets that were entered or consented to for another origin
// than the connection goes to by now.
func ErrMoved() error {
	return fault.New(fault.Conflict, "CONNECTION_MOVED", "The connection goes to another address by now than when this was begun, so nothing was stored. Begin again if the new address is right.")
}

// still refuses what is for another origin than r goes to; empty is for any.
func (r row) still(origin string) error {
	if origin != "" && origin != r.origin() {
		return ErrMoved()
	}
	return nil
}

// elsewhere reports whether the credential that is in use was entered for another origin than a definition goes
// to. What a person consented to is no part of a definition.
func (s *Service) elsewhere(ctx context.Context, tx *db.Tx, id string, present DefinitionAuth, to Definition) (bool, error) {
	if present.CredentialID == "" || sharesClient(present.Type) {
		return false, nil
	}
	c, err := s.vault.Find(ctx, tx, id, credentials.DefaultAccount)
	return err == nil && c.At(credentials.OriginOf(to.BaseURL)).State == credentials.StateOtherOrigin, err
}

// bind notes for what was stored before credentials had an origin where its connection went to: now for what is
// in use, and for older versions in the newest definition that used them.
func (s *Service) bind(ctx context.Context) error {
	bound := 0
	err := s.db.InTx(ctx, func(tx *db.Tx) (err error) {
		origins := map[string]map[int64]string{} // by connection; 0 is the present one
		bound, err = s.vault.Bind(ctx, tx, func(c credentials.Credential) (string, error) {
			known, ok := origins[c.ConnectionID]
			if !ok {
				if known, err = s.store.origins(ctx, tx, c.ConnectionID); err != nil {
					return "", err
				}
				origins[c.ConnectionID] = known
			}
			if origin, ok := known[c.Version]; ok && c.Account == credentials.DefaultAccount {
				return origin, nil
			}
			return known[0], nil
		})
		return err
	})
	if err != nil {
		return fmt.Errorf("connections: bind credentials to their addresses: %w", err)
	}
	if bound > 0 {
		s.logger.InfoContext(ctx, "stored credentials are bound to the address of their connection", "values", bound)
	}
	return nil
}

// Move is what a change of the address does to the accounts of a connection.
type Move struct {
	// From and To are scheme, host and port; the same when the connection stays.
	From, To string
	// Refused are the accounts whose secrets were entered for another origin than To, and worked before; Back
	// those that work again.
	Refused, Back []string
}

// PreviewUpdate tells what Update would do to the accounts of a connection, and stores nothing. It needs
// configure, and fails as Update does.
func (s *Service) PreviewUpdate(ctx context.Context, a access.Actor, slug string, d Draft) (Move, error) {
	if err := a.Require(access.PermissionConfigure); err != nil {
		return Move{}, err
	}
	var move Move
	undo := errors.New("connections: a preview is not stored")
	err := s.db.InTx(ctx, func(tx *db.Tx) error {
		r, err := s.store.bySlug(ctx, tx, slug)
		if err != nil {
			return noConnection(err)
		}
		before, err := s.vault.Within(ctx, tx, r.ID)
		if err != nil {
			return err
		}
		p, err := s.prepare(d.over(r.def), &r.def)
		if err != nil {
			return err
		}
		if _, err := s.putDefault(ctx, tx, r.ID, r.def.Auth, p); err != nil {
			return err
		}
		if move, err = s.moveOf(ctx, tx, r, before, p.Definition); err != nil {
			return err
		}
		return undo
	})
	if !errors.Is(err, undo) {
		return Move{}, fmt.Errorf("connections: preview a change of %s: %w", slug, err)
	}
	return move, nil
}

// moveOf compares the accounts of r as they were before a change with those that tx has now, for next.
func (s *Service) moveOf(ctx context.Context, tx *db.Tx, r row, before []credentials.Credential, next Definition) (Move, error) {
	out := Move{From: r.origin(), To: credentials.OriginOf(next.BaseURL)}
	after, err := s.vault.Within(ctx, tx, r.ID)
	if err != nil {
		return Move{}, err
	}
	for _, c := range after {
		now := c.At(out.To).State == credentials.StateOtherOrigin
		i := slices.IndexFunc(before, func(b credentials.Credential) bool { return b.Account == c.Account })
		was := i >= 0 && before[i].At(out.From).State == credentials.StateOtherOrigin
		switch {
		case now && !was:
			out.Refused = append(out.Refused, c.Account)
		case was && !now:
			out.Back = append(out.Back, c.Account)
		}
	}
	return out, nil
}
