package idempotency

import (
	"context"
	"database/sql"
	"encoding/json"
	"time"

	"switchgear/db"
)

// store holds all SQL of this package.
type store struct{ db *db.DB }

// row is one key. busyUntil is zero once there is an answer.
type row struct {
	fingerprint        string
	busyUntil, expires time.Time
	answer             Answer
}

func (store) find(ctx context.Context, tx *db.Tx, scope, key string) (row, error) {
	var (
		r            row
		busy         sql.NullInt64
		expires      int64
		header, body string
	)
	err := tx.QueryRow(ctx, `SELECT fingerprint, busy_until, status, header, body, expires_at FROM idempotency_keys
		WHERE scope = $1 AND key = $2`, scope, key).Scan(&r.fingerprint, &busy, &r.answer.Status, &header, &body, &expires)
	if err != nil {
		return row{}, err
	}
	r.busyUntil, r.expires, r.answer.Body = db.NullTime(busy), db.Time(expires), []byte(body)
	return r, json.Unmarshal([]byte(header), &r.answer.Header)
}

// take makes t the holder of its key.
func (store) take(ctx context.Context, tx *db.Tx, t Ticket, fingerprint string, busyUntil, expires time.Time) error {
	_, err := tx.Exec(ctx, `INSERT INTO idempotency_keys
		(scope, key, fingerprint, owner, busy_until, status, header, body, expires_at) VALUES ($1, $2, $3, $4, $5, 0, '{}', '', $6)
		ON CONFLICT (scope, key) DO UPDATE SET fingerprint = $3, owner = $4, busy_until = $5, status = 0, header = '{}', body = '', expires_at = $6`,
		t.scope, t.key, fingerprint, t.owner, db.Micros(busyUntil), db.Micros(expires))
	return err
}

func (store) finish(ctx context.Context, tx *db.Tx, t Ticket, a Answer) error {
	header, err := json.Marshal(a.Header)
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `UPDATE idempotency_keys SET busy_until = NULL, status = $4, header = $5, body = $6
		WHERE scope = $1 AND key = $2 AND owner = $3`, t.scope, t.key, t.owner, a.Status, string(header), string(a.Body))
	return err
}

func (store) release(ctx context.Context, tx *db.Tx, t Ticket) error {
	_, err := tx.Exec(ctx, `DELETE FROM idempotency_keys WHERE scope = $1 AND key = $2 AND owner = $3`, t.scope, t.key, t.owner)
	return err
}

func (s store) prune(ctx context.Context, now time.Time) error {
	return s.db.InTx(ctx, func(tx *db.Tx) error {
		_, err := tx.Exec(ctx, `DELETE FROM idempotency_keys WHERE expires_at <= $1`, db.Micros(now))
		return err
	})
}
