package access

import (
	"context"
	"fmt"
	"time"

	"switchgear/db"
	"switchgear/internal/audit"
	"switchgear/internal/fault"
)

// The states of an invitation.
const (
	InvitationPending  = "pending"
	InvitationAccepted = "accepted"
	InvitationExpired  = "expired"
	InvitationRevoked  = "revoked"
)

// Invitation lets one person make an account of a certain role. InvitedBy is an e-mail address, or the
// name of whoever used the command line.
type Invitation struct {
	ID, Email                                   string
	Role                                        Role
	InvitedBy                                   string
	CreatedAt, ExpiresAt, AcceptedAt, RevokedAt time.Time
}

// Status is pending, accepted, expired or revoked.
func (i Invitation) Status(now time.Time) string {
	switch {
	case !i.AcceptedAt.IsZero():
		return InvitationAccepted
	case !i.RevokedAt.IsZero():
		return InvitationRevoked
	case !now.Before(i.ExpiresAt):
		return InvitationExpired
	}
	return InvitationPending
}

// invitationRow is an invitation with who exactly sent it.
type invitationRow struct {
	Invitation
	inviterKind, inviterID string
}

func (i Invitation) target() audit.Target {
	return audit.Target{Kind: "invitation", ID: i.ID, Name: i.Email}
}

// Invite makes an invitation and returns its token, which is not kept: whoever has the link may use
// it. An earlier pending invitation to the same address is revoked. It needs users:write, and an owner
// to invite an owner; it fails with fault.Conflict USER_EXISTS when there is such a user.
func (s *Service) Invite(ctx context.Context, a Actor, email string, role Role) (Invitation, string, error) {
	if err := a.Require(PermissionUsersWrite); err != nil {
		return Invitation{}, "", err
	}
	email, err := parseEmail(email)
	if err != nil {
		return Invitation{}, "", err
	}
	if _, err := ParseRole(string(role)); err != nil {
		return Invitation{}, "", err
	}
	now, token := s.moment(), randomToken(32)
	inv := invitationRow{Invitation: Invitation{
		ID: db.NewID("inv_"), Email: email, Role: role, InvitedBy: a.Name,
		CreatedAt: now, ExpiresAt: now.Add(s.cfg.InvitationLifetime),
	}, inviterKind: a.Kind, inviterID: a.ID}
	err = s.change(ctx, []string{topicInvitations}, func(tx *db.Tx) error {
		a, err := s.authorize(ctx, tx, a, PermissionUsersWrite)
		if err != nil {
			return err
		}
		if err := mayHandle(a, role); err != nil {
			return err
		}
		switch _, err := s.store.userByEmail(ctx, tx, email); {
		case err == nil:
			return userExists()
		case !fault.Is(err, fault.NotFound):
			return err
		}
		if _, err := s.store.revokePendingTo(ctx, tx, email, now); err != nil {
			return err
		}
		if err := s.store.insertInvitation(ctx, tx, inv, tokenHash(token)); err != nil {
			return err
		}
		return s.record(ctx, tx, a, audit.Entry{
			Action: "user.invite", Target: inv.target(), Details: map[string]string{"role": string(role)},
		})
	})
	if err != nil {
		return Invitation{}, "", fmt.Errorf("access: invite: %w", err)
	}
	return inv.Invitation, token, nil
}

// Invitations returns the newest 500 invitations, newest first. It needs users:read.
func (s *Service) Invitations(ctx context.Context, a Actor) ([]Invitation, error) {
	if err := a.Require(PermissionUsersRead); err != nil {
		return nil, err
	}
	list, err := s.store.invitations(ctx)
	if err != nil {
		return nil, fmt.Errorf("access: list invitations: %w", err)
	}
	return list, nil
}

// Invitation returns one invitation. It needs users:read.
func (s *Service) Invitation(ctx context.Context, a Actor, id string) (Invitation, error) {
	if err := a.Require(PermissionUsersRead); err != nil {
		return Invitation{}, err
	}
	inv, err := s.store.invitation(ctx, s.db, id)
	if err != nil {
		return Invitation{}, fmt.Errorf("access: find invitation: %w", notFound(err, "invitation"))
	}
	return inv.Invitation, nil
}

// RevokeInvitation makes a pending invitation useless. It needs users:write, and an owner for the
// invitation of an owner.
func (s *Service) RevokeInvitation(ctx context.Context, a Actor, id string) error {
	if err := a.Require(PermissionUsersWrite); err != nil {
		return err
	}
	err := s.change(ctx, []string{topicInvitations}, func(tx *db.Tx) error {
		a, err := s.authorize(ctx, tx, a, PermissionUsersWrite)
		if err != nil {
			return err
		}
		inv, err := s.store.invitation(ctx, tx, id)
		if err != nil {
			return notFound(err, "invitation")
		}
		if err := mayHandle(a, inv.Role); err != nil {
			return err
		}
		if err := inv.usable(s.now()); err != nil {
			return err
		}
		if err := s.store.revokeInvitation(ctx, tx, id, s.moment()); err != nil {
			return err
		}
		return s.record(ctx, tx, a, audit.Entry{Action: "invitation.revoke", Target: inv.target()})
	})
	if err != nil {
		return fmt.Errorf("access: revoke invitation: %w", err)
	}
	return nil
}

// usable says why an invitation cannot be used or revoked any more.
func (i Invitation) usable(now time.Time) error {
	switch i.Status(now) {
	case InvitationAccepted:
		return fault.New(fault.Conflict, "INVITATION_ACCEPTED", "This invitation has already been used. Sign in instead.")
	case InvitationRevoked:
		return invitationWithdrawn()
	case InvitationExpired:
		return fault.New(fault.Conflict, "INVITATION_EXPIRED", "This invitation has expired. Ask for a new one.")
	}
	return nil
}

func invitationWithdrawn() error {
	return fault.New(fault.Conflict, "INVITATION_REVOKED", "This invitation was withdrawn. Ask for a new one.")
}

// acceptable says why an invitation cannot be accepted: also when whoever sent it could not do so now.
func (s *Service) acceptable(ctx context.Context, q reader, inv invitationRow) error {
	if err := inv.usable(s.now()); err != nil {
		return err
	}
	if inv.inviterKind != KindUser {
		return nil
	}
	inviter, err := s.store.user(ctx, q, inv.inviterID)
	switch {
	case fault.Is(err, fault.NotFound):
		return invitationWithdrawn()
	case err != nil:
		return fmt.Errorf("access: read the inviter: %w", err)
	case !inviter.DisabledAt.IsZero() || !inviter.Role.mayGrant(inv.Role):
		return invitationWithdrawn()
	}
	return nil
}

// InvitationByToken returns the pending invitation of a link. An unknown token is a fault.NotFound, a
// used, withdrawn or expired one a fault.Conflict that says which.
func (s *Service) InvitationByToken(ctx context.Context, token string) (Invitation, error) {
	inv, err := s.store.invitationByToken(ctx, s.db, tokenHash(token))
	if err != nil {
		return Invitation{}, notFound(err, "invitation")
	}
	if err := s.acceptable(ctx, s.db, inv); err != nil {
		return Invitation{}, err
	}
	return inv.Invitation, nil
}

// AcceptInvitation makes the invited user, with the address and role of the invitation and the name
// and password of n. It works once: of several parallel attempts one succeeds.
func (s *Service) AcceptInvitation(ctx context.Context, o Origin, token string, n NewUser) (User, error) {
	inv, err := s.InvitationByToken(ctx, token)
	if err != nil {
		return User{}, err
	}
	n.Email, n.Role = inv.Email, inv.Role
	u, err := s.prepareUser(ctx, n)
	if err != nil {
		return User{}, err
	}
	err = s.change(ctx, []string{topicInvitations, topicUsers}, func(tx *db.Tx) error {
		inv, err := s.store.invitation(ctx, tx, inv.ID)
		if err != nil {
			return notFound(err, "invitation")
		}
		if err := s.acceptable(ctx, tx, inv); err != nil {
			return err
		}
		u.LastSignInAt = u.CreatedAt // whoever makes their own account is signed in by it
		if err := s.insertUser(ctx, tx, u); err != nil {
			return err
		}
		if err := s.store.acceptInvitation(ctx, tx, inv.ID, u.ID, s.moment()); err != nil {
			return err
		}
		self := Actor{Kind: KindUser, ID: u.ID, Name: u.Email, IP: o.IP}
		return s.record(ctx, tx, self, audit.Entry{
			Action: "invitation.accept", Target: u.target(),
			Details: map[string]string{"invitation": inv.ID, "invited_by": inv.InvitedBy, "role": string(u.Role)},
		})
	})
	if err != nil {
		return User{}, fmt.Errorf("access: accept invitation: %w", err)
	}
	return u.User, nil
}
