package access

import (
	"context"
	"database/sql"
	"time"

	"switchgear/db"
)

const invitationColumns = `id, email, role, invited_by, inviter_kind, inviter_id, created_at, expires_at, accepted_at, revoked_at`

func scanInvitation(row scanner) (invitationRow, error) {
	var (
		i                 invitationRow
		created, expires  int64
		accepted, revoked sql.NullInt64
	)
	err := row.Scan(&i.ID, &i.Email, &i.Role, &i.InvitedBy, &i.inviterKind, &i.inviterID, &created, &expires, &accepted, &revoked)
	i.CreatedAt, i.ExpiresAt = db.Time(created), db.Time(expires)
	i.AcceptedAt, i.RevokedAt = db.NullTime(accepted), db.NullTime(revoked)
	return i, err
}

func (store) invitation(ctx context.Context, q reader, id string) (invitationRow, error) {
	return scanInvitation(q.QueryRow(ctx, `SELECT `+invitationColumns+` FROM invitations WHERE id = $1`, id))
}

func (store) invitationByToken(ctx context.Context, q reader, hash string) (invitationRow, error) {
	return scanInvitation(q.QueryRow(ctx, `SELECT `+invitationColumns+` FROM invitations WHERE token_hash = $1`, hash))
}

func (s store) invitations(ctx context.Context) ([]Invitation, error) {
	var list []Invitation
	err := each(ctx, s.db, func(row scanner) error {
		i, err := scanInvitation(row)
		list = append(list, i.Invitation)
		return err
	}, `SELECT `+invitationColumns+` FROM invitations ORDER BY created_at DESC, id DESC LIMIT 500`)
	return list, err
}

func (store) insertInvitation(ctx context.Context, tx *db.Tx, i invitationRow, hash string) error {
	_, err := tx.Exec(ctx, `INSERT INTO invitations (id, token_hash, email, role, invited_by, inviter_kind, inviter_id, created_at, expires_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)`,
		i.ID, hash, i.Email, i.Role, i.InvitedBy, i.inviterKind, i.inviterID, db.Micros(i.CreatedAt), db.Micros(i.ExpiresAt))
	return err
}

func (store) acceptInvitation(ctx context.Context, tx *db.Tx, id, userID string, now time.Time) error {
	_, err := tx.Exec(ctx, `UPDATE invitations SET accepted_at = $2, accepted_by = $3 WHERE id = $1`, id, db.Micros(now), userID)
	return err
}

func (store) revokeInvitation(ctx context.Context, tx *db.Tx, id string, now time.Time) error {
	_, err := tx.Exec(ctx, `UPDATE invitations SET revoked_at = $2 WHERE id = $1`, id, db.Micros(now))
	return err
}

// revokePendingTo withdraws the pending invitations to an address.
func (store) revokePendingTo(ctx context.Context, tx *db.Tx, email string, now time.Time) (int, error) {
	return count(tx.Exec(ctx, `UPDATE invitations SET revoked_at = $2
		WHERE email = $1 AND accepted_at IS NULL AND revoked_at IS NULL AND expires_at > $2`, email, db.Micros(now)))
}

// revokePendingBy withdraws the pending invitations to a role that a user sent.
func (store) revokePendingBy(ctx context.Context, tx *db.Tx, userID string, role Role, now time.Time) (int, error) {
	return count(tx.Exec(ctx, `UPDATE invitations SET revoked_at = $4
		WHERE inviter_kind = $1 AND inviter_id = $2 AND role = $3 AND accepted_at IS NULL AND revoked_at IS NULL AND expires_at > $4`,
		KindUser, userID, role, db.Micros(now)))
}
