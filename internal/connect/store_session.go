package connect

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"time"

	"switchgear/db"
	"switchgear/internal/access"
)

const sessionColumns = `id, connection_id, slug, account, label, scopes, return_url, channel_id, status, error_code, error_text,
	actor_kind, actor_id, actor_name, actor_role, actor_scopes, created_at, expires_at, ended_at`

func scanSession(row interface{ Scan(dest ...any) error }) (Session, error) {
	var (
		s                             Session
		scopes, role, kind, keyScopes string
		created, expires              int64
		ended                         sql.NullInt64
	)
	err := row.Scan(&s.ID, &s.ConnectionID, &s.Slug, &s.Account, &s.Label, &scopes, &s.ReturnURL, &s.ChannelID, &s.Status, &s.Code, &s.Problem,
		&kind, &s.Actor.ID, &s.Actor.Name, &role, &keyScopes, &created, &expires, &ended)
	if err != nil {
		return Session{}, err
	}
	if scopes != "" {
		s.Scopes = strings.Fields(scopes)
	}
	s.Actor.Kind = kind
	s.authority = access.Actor{Kind: kind, ID: s.Actor.ID, Name: s.Actor.Name, Role: access.Role(role)}
	for scope := range strings.FieldsSeq(keyScopes) {
		s.authority.Scopes = append(s.authority.Scopes, access.Scope(scope))
	}
	s.CreatedAt, s.ExpiresAt, s.EndedAt = db.Time(created), db.Time(expires), db.NullTime(ended)
	return s, nil
}

// role is that of a user who may act now; fault.NotFound when there is none.
func (store) role(ctx context.Context, tx *db.Tx, userID string) (access.Role, error) {
	var role access.Role
	err := tx.QueryRow(ctx, `SELECT role FROM users WHERE id = $1 AND disabled_at IS NULL`, userID).Scan(&role)
	return role, err
}

// keyUsable reports whether an API key is neither revoked nor expired.
func (store) keyUsable(ctx context.Context, tx *db.Tx, keyID string, now time.Time) (bool, error) {
	var n int
	err := tx.QueryRow(ctx, `SELECT COUNT(*) FROM api_keys
		WHERE id = $1 AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > $2)`, keyID, db.Micros(now)).Scan(&n)
	return n > 0, err
}

func (store) insertSession(ctx context.Context, tx *db.Tx, n Session, tokenHash string) error {
	scopes := make([]string, len(n.authority.Scopes))
	for i, scope := range n.authority.Scopes {
		scopes[i] = string(scope)
	}
	_, err := tx.Exec(ctx, `INSERT INTO connect_sessions (id, token_hash, connection_id, slug, account, label, scopes, return_url, channel_id,
			status, error_code, error_text, actor_kind, actor_id, actor_name, actor_role, actor_scopes, created_at, expires_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, '', '', $11, $12, $13, $14, $15, $16, $17)`,
		n.ID, tokenHash, n.ConnectionID, n.Slug, n.Account, n.Label, strings.Join(n.Scopes, " "), n.ReturnURL, n.ChannelID,
		n.Status, n.Actor.Kind, n.Actor.ID, n.Actor.Name, string(n.authority.Role), strings.Join(scopes, " "),
		db.Micros(n.CreatedAt), db.Micros(n.ExpiresAt))
	return err
}

// session finds one by its id or by the hash of its token.
func (s store) session(ctx context.Context, by, value string) (Session, error) {
	query := `SELECT ` + sessionColumns + ` FROM connect_sessions WHERE id = $1`
	if by == "token_hash" {
		query = `SELECT ` + sessionColumns + ` FROM connect_sessions WHERE token_hash = $1`
	}
	return scanSession(s.db.QueryRow(ctx, query, value))
}

func (s store) sessions(ctx context.Context, slug string, page, limit int) ([]Session, int, error) {
	var total int
	if err := s.db.QueryRow(ctx, `SELECT COUNT(*) FROM connect_sessions WHERE $1 = '' OR slug = $1`, slug).Scan(&total); err != nil {
		return nil, 0, err
	}
	rows, err := s.db.Query(ctx, `SELECT `+sessionColumns+` FROM connect_sessions WHERE $1 = '' OR slug = $1
		ORDER BY created_at DESC, id DESC LIMIT $2 OFFSET $3`, slug, limit, (page-1)*limit)
	if err != nil {
		return nil, 0, err
	}
	defer func() { _ = rows.Close() }()
	var out []Session
	for rows.Next() {
		one, err := scanSession(rows)
		if err != nil {
			return nil, 0, fmt.Errorf("connect: read a session: %w", err)
		}
		out = append(out, one)
	}
	return out, total, rows.Err()
}

// openSessions are the ids of the links for the account of another one that can be used when that is made.
func (store) openSessions(ctx context.Context, tx *db.Tx, n Session) ([]string, error) {
	rows, err := tx.Query(ctx, `SELECT id FROM connect_sessions WHERE connection_id = $1 AND account = $2 AND status IN ($3, $4) AND expires_at > $5
		ORDER BY created_at DESC, id DESC LIMIT 100`, n.ConnectionID, n.Account, SessionPending, SessionFailed, db.Micros(n.CreatedAt))
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	var out []string
	for rows.Next() {
		var id string
		if err := rows.Scan(&id); err != nil {
			return nil, fmt.Errorf("connect: read an open session: %w", err)
		}
		out = append(out, id)
	}
	return out, rows.Err()
}

// claimSession takes the right to use a link; of many who try at once, one gets it.
func (s store) claimSession(ctx context.Context, id string) (ok bool, err error) {
	err = s.db.InTx(ctx, func(tx *db.Tx) error {
		result, err := tx.Exec(ctx, `UPDATE connect_sessions SET status = $2 WHERE id = $1 AND status IN ($3, $4)`,
			id, sessionUsed, SessionPending, SessionFailed)
		if err != nil {
			return err
		}
		n, err := result.RowsAffected()
		ok = n == 1
		return err
	})
	return ok, err
}

// revokeSession withdraws a session that is not being used. It reports whether it did.
func (store) revokeSession(ctx context.Context, tx *db.Tx, n Session) (bool, error) {
	result, err := tx.Exec(ctx, `UPDATE connect_sessions SET status = $2, ended_at = $3 WHERE id = $1 AND status IN ($4, $5)`,
		n.ID, n.Status, db.NullMicros(n.EndedAt), SessionPending, SessionFailed)
	if err != nil {
		return false, err
	}
	rows, err := result.RowsAffected()
	return rows == 1, err
}

// endSession stores the end of a session: of one that is claimed, or else of one that waits. It reports whether it
// was so.
func (s store) endSession(ctx context.Context, n Session, claimed bool) (ok bool, err error) {
	was, or := SessionPending, SessionFailed
	if claimed {
		was, or = sessionUsed, sessionUsed
	}
	err = s.db.InTx(ctx, func(tx *db.Tx) error {
		result, err := tx.Exec(ctx, `UPDATE connect_sessions SET status = $2, error_code = $3, error_text = $4, ended_at = $5
			WHERE id = $1 AND status IN ($6, $7)`, n.ID, n.Status, n.Code, n.Problem, db.NullMicros(n.EndedAt), was, or)
		if err != nil {
			return err
		}
		rows, err := result.RowsAffected()
		ok = rows == 1
		return err
	})
	return ok, err
}
