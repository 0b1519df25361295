package rotation

import (
	"context"

	"switchgear/db"
	"switchgear/internal/access"
)

// roleOf returns the present role of a user who is not disabled.
func roleOf(ctx context.Context, tx *db.Tx, userID string) (access.Role, error) {
	var role access.Role
	err := tx.QueryRow(ctx, `SELECT role FROM users WHERE id = $1 AND disabled_at IS NULL`, userID).Scan(&role)
	return role, err
}
