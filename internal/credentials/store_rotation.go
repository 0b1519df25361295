package credentials

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"switchgear/db"
	"switchgear/internal/fault"
)

// keyNote is what is written down about a data key beside the keyset.
type keyNote struct{ createdAt, replacedAt, disabledAt, destroyedAt time.Time }

// noteKey begins to keep notes about a key, unless there are some.
func noteKey(ctx context.Context, tx *db.Tx, id uint32, created time.Time) error {
	_, err := tx.Exec(ctx, `INSERT INTO data_keys (purpose, key_id, created_at) VALUES ($1, $2, $3) ON CONFLICT (purpose, key_id) DO NOTHING`,
		string(PurposeCredential), int64(id), db.Micros(created))
	if err != nil {
		return fmt.Errorf("credentials: note the key %d: %w", id, err)
	}
	return nil
}

// markKey notes in a column when something happened to a key; the zero time takes it back.
func markKey(ctx context.Context, tx *db.Tx, id uint32, column string, at time.Time) error {
	_, err := tx.Exec(ctx, `UPDATE data_keys SET `+column+` = $3 WHERE purpose = $1 AND key_id = $2`,
		string(PurposeCredential), int64(id), db.NullMicros(at))
	if err != nil {
		return fmt.Errorf("credentials: note about the key %d: %w", id, err)
	}
	return nil
}

func keyNotes(ctx context.Context, q reader) (map[uint32]keyNote, error) {
	rows, err := q.Query(ctx, `SELECT key_id, created_at, replaced_at, disabled_at, destroyed_at FROM data_keys WHERE purpose = $1`, string(PurposeCredential))
	if err != nil {
		return nil, fmt.Errorf("credentials: read the notes about keys: %w", err)
	}
	defer func() { _ = rows.Close() }()
	out := map[uint32]keyNote{}
	for rows.Next() {
		var (
			id, created                   int64
			replaced, disabled, destroyed sql.NullInt64
		)
		if err := rows.Scan(&id, &created, &replaced, &disabled, &destroyed); err != nil {
			return nil, fmt.Errorf("credentials: read the notes about keys: %w", err)
		}
		out[uint32(id)] = keyNote{db.Time(created), db.NullTime(replaced), db.NullTime(disabled), db.NullTime(destroyed)} //nolint:gosec // written from a uint32.
	}
	return out, rows.Err()
}

func insertRotation(ctx context.Context, tx *db.Tx, r Rotation) error {
	_, err := tx.Exec(ctx, `INSERT INTO key_rotations (id, purpose, key_id, state, total, failed, started_at, started_by) VALUES ($1, $2, $3, $4, $5, 0, $6, $7)`,
		r.ID, string(PurposeCredential), int64(r.KeyID), r.State, r.Total, db.Micros(r.StartedAt), r.StartedBy)
	if err != nil {
		return fmt.Errorf("credentials: store the rotation: %w", err)
	}
	return nil
}

func setRotation(ctx context.Context, tx *db.Tx, id, state string, failed int64, finished time.Time) error {
	_, err := tx.Exec(ctx, `UPDATE key_rotations SET state = $2, failed = $3, finished_at = $4 WHERE id = $1`, id, state, failed, db.NullMicros(finished))
	if err != nil {
		return fmt.Errorf("credentials: store the rotation: %w", err)
	}
	return nil
}

const rotationColumns = `id, key_id, state, total, failed, started_at, started_by, finished_at`

// openRotation returns the rotation that has not ended; the zero value when there is none.
func openRotation(ctx context.Context, q reader) (Rotation, error) {
	r, err := scanRotation(q.QueryRow(ctx, `SELECT `+rotationColumns+` FROM key_rotations WHERE purpose = $1 AND state <> $2`,
		string(PurposeCredential), RotationDone))
	if r == nil {
		return Rotation{}, err
	}
	return *r, err
}

// lastRotation returns the rotation that began last; nil when there was none.
func lastRotation(ctx context.Context, q reader) (*Rotation, error) {
	return scanRotation(q.QueryRow(ctx, `SELECT `+rotationColumns+` FROM key_rotations WHERE purpose = $1 ORDER BY started_at DESC, id DESC LIMIT 1`,
		string(PurposeCredential)))
}

func scanRotation(row *db.Row) (*Rotation, error) {
	var (
		r           Rotation
		id, started int64
		finished    sql.NullInt64
	)
	err := row.Scan(&r.ID, &id, &r.State, &r.Total, &r.Failed, &started, &r.StartedBy, &finished)
	if fault.Is(err, fault.NotFound) {
		return nil, nil //nolint:nilnil // No rotation is what it means.
	}
	if err != nil {
		return nil, fmt.Errorf("credentials: read the rotation: %w", err)
	}
	r.KeyID, r.StartedAt, r.FinishedAt = uint32(id), db.Time(started), db.NullTime(finished) //nolint:gosec // written from a uint32.
	return &r, nil
}

// wrappedAt is when the keysets were wrapped with the master key last.
func wrappedAt(ctx context.Context, q reader) (time.Time, error) {
	var at int64
	err := q.QueryRow(ctx, `SELECT MIN(rewrapped_at) FROM keysets`).Scan(&at)
	if err != nil {
		return time.Time{}, fmt.Errorf("credentials: read the keysets: %w", err)
	}
	return db.Time(at), nil
}
