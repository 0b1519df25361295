package checklist

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"time"

	"switchgear/db"
	"switchgear/internal/access"
)

// store holds all SQL of this package.
type store struct{ db *db.DB }

const evidenceColumns = `id, connection_id, item, config_hash, method, verdict, measured, threshold, message, artifacts,
	actor_kind, actor_id, actor_name, at, expires_at`

// maxEvidence bounds what is read about one connection.
const maxEvidence = 2000

// kept is how many rows of one item are kept that are measured again and again.
const kept = 20

// of returns what is stored about a connection, by item, the newest first.
func (s store) of(ctx context.Context, connectionID string) (map[string][]Evidence, error) {
	rows, err := s.db.Query(ctx, `SELECT `+evidenceColumns+` FROM checklist_evidence
		WHERE connection_id = $1 ORDER BY at DESC, id DESC LIMIT $2`, connectionID, maxEvidence)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	out := map[string][]Evidence{}
	for rows.Next() {
		var (
			e         Evidence
			artifacts string
			at        int64
			expires   sql.NullInt64
		)
		if err := rows.Scan(&e.ID, &e.ConnectionID, &e.Item, &e.ConfigHash, &e.Method, &e.Verdict, &e.Measured, &e.Threshold, &e.Message,
			&artifacts, &e.ActorKind, &e.ActorID, &e.ActorName, &at, &expires); err != nil {
			return nil, err
		}
		if err := json.Unmarshal([]byte(artifacts), &e.Artifacts); err != nil {
			return nil, fmt.Errorf("evidence %s is not readable: %w", e.ID, err)
		}
		e.At, e.ExpiresAt = db.Time(at), db.NullTime(expires)
		out[e.Item] = append(out[e.Item], e)
	}
	return out, rows.Err()
}

// insert adds evidence, and deletes what it makes superfluous.
func (store) insert(ctx context.Context, tx *db.Tx, e Evidence) error {
	if e.Artifacts == nil {
		e.Artifacts = []string{}
	}
	artifacts, err := json.Marshal(e.Artifacts)
	if err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, `INSERT INTO checklist_evidence (`+evidenceColumns+`)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)`,
		e.ID, e.ConnectionID, e.Item, e.ConfigHash, string(e.Method), string(e.Verdict), e.Measured, e.Threshold, e.Message, string(artifacts),
		e.ActorKind, e.ActorID, e.ActorName, db.Micros(e.At), db.NullMicros(e.ExpiresAt)); err != nil {
		return err
	}
	if e.Method != MethodStatic && e.Method != MethodObserved {
		return nil
	}
	_, err = tx.Exec(ctx, `DELETE FROM checklist_evidence WHERE connection_id = $1 AND item = $2 AND method = $3 AND id NOT IN
		(SELECT id FROM checklist_evidence WHERE connection_id = $1 AND item = $2 AND method = $3 ORDER BY at DESC, id DESC LIMIT $4)`,
		e.ConnectionID, e.Item, string(e.Method), kept)
	return err
}

// sweep deletes the evidence of connections that are gone.
func (s store) sweep(ctx context.Context) error {
	return s.db.InTx(ctx, func(tx *db.Tx) error {
		_, err := tx.Exec(ctx, `DELETE FROM checklist_evidence WHERE connection_id NOT IN (SELECT id FROM connections)`)
		return err
	})
}

// version returns the active version of a connection, or a fault.NotFound.
func (store) version(ctx context.Context, tx *db.Tx, connectionID string) (int, error) {
	var version int
	err := tx.QueryRow(ctx, `SELECT version FROM connections WHERE id = $1`, connectionID).Scan(&version)
	return version, err
}

// role returns the role that a user has now, or a fault.NotFound when the account is gone or disabled.
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
