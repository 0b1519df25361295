package access

import (
	"context"
	"fmt"

	"switchgear/db"
	"switchgear/internal/audit"
	"switchgear/internal/telemetry"
)

// ResetPassword gives the user with an address a new password and ends every session of theirs. It is the
// way back in for someone who forgot theirs; the command line offers it to whoever runs the server. The
// actor needs users:write, and only an owner handles owners.
func (s *Service) ResetPassword(ctx context.Context, a Actor, email string, next telemetry.Secret) (User, error) {
	if err := a.Require(PermissionUsersWrite); err != nil {
		return User{}, err
	}
	email, err := parseEmail(email)
	if err != nil {
		return User{}, err
	}
	u, err := s.store.userByEmail(ctx, s.db, email)
	if err != nil {
		return User{}, fmt.Errorf("access: reset password: %w", notFound(err, "user"))
	}
	if err := s.policy.Check(next, u.Email, u.Name); err != nil {
		return User{}, err
	}
	// Hashing takes a while and needs no transaction.
	hash, err := s.hasher.Hash(ctx, next)
	if err != nil {
		return User{}, fmt.Errorf("access: reset password: %w", err)
	}
	err = s.change(ctx, []string{topicUsers, topicSessions}, func(tx *db.Tx) error {
		a, err := s.authorize(ctx, tx, a, PermissionUsersWrite)
		if err != nil {
			return err
		}
		if u, err = s.store.user(ctx, tx, u.ID); err != nil {
			return notFound(err, "user")
		}
		if err := mayHandle(a, u.Role); err != nil {
			return err
		}
		if err := s.store.setPassword(ctx, tx, u.ID, hash, s.moment()); err != nil {
			return err
		}
		if err := s.store.endSessions(ctx, tx, u.ID, ""); err != nil {
			return err
		}
		return s.record(ctx, tx, a, audit.Entry{Action: "user.password_reset", Target: u.target()})
	})
	if err != nil {
		return User{}, fmt.Errorf("access: reset password: %w", err)
	}
	return u.User, nil
}
