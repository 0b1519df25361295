package calls

import (
	"context"
	"time"

	"switchgear/db"
	"switchgear/internal/fault"
	"switchgear/internal/runtime"
)

func insertBodies(ctx context.Context, tx *db.Tx, r *runtime.Record) error {
	if r.Bodies == nil {
		return nil
	}
	_, err := tx.Exec(ctx, `INSERT INTO call_bodies (call_id, at, size, request, request_note, response, response_note)
		VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (call_id) DO NOTHING`,
		r.ID, db.Micros(r.StartedAt), bodyBytes(r), r.Bodies.Request.Text, r.Bodies.Request.Note, r.Bodies.Response.Text, r.Bodies.Response.Note)
	return err
}

// bodies returns what is kept of the bodies of a call, nil when nothing is.
func (s store) bodies(ctx context.Context, id string) (*runtime.Bodies, error) {
	var b runtime.Bodies
	err := s.db.QueryRow(ctx, `SELECT request, request_note, response, response_note FROM call_bodies WHERE call_id = $1`, id).
		Scan(&b.Request.Text, &b.Request.Note, &b.Response.Text, &b.Response.Note)
	if fault.Is(err, fault.NotFound) {
		return nil, nil //nolint:nilnil // No bodies is an ordinary answer.
	}
	if err != nil {
		return nil, err
	}
	return &b, nil
}

// pruneBodies deletes the bodies of calls that are no longer in the log, and the oldest beyond a size. What
// to delete is looked up by index before the transaction, and a bounded amount is deleted at a time.
func (s store) pruneBodies(ctx context.Context, before time.Time, most int64) error {
	const amount = 5_000
	var from int64 // what is older is too much
	err := s.db.QueryRow(ctx, `SELECT COALESCE(MAX(at), 0) FROM (
		SELECT at, SUM(size) OVER (ORDER BY at DESC, call_id DESC) AS total FROM call_bodies) AS sums WHERE total > $1`, most).Scan(&from)
	if err != nil {
		return err
	}
	return s.db.InTx(ctx, func(tx *db.Tx) error {
		_, err := tx.Exec(ctx, `DELETE FROM call_bodies WHERE call_id IN (
			SELECT call_id FROM call_bodies WHERE at <= $1 OR at < COALESCE((SELECT MIN(at) FROM calls), $2) ORDER BY at LIMIT $3)`,
			from, db.Micros(before), amount)
		return err
	})
}
