package credentials

import (
	"context"
	"errors"
	"fmt"
	"time"

	"switchgear/db"
	"switchgear/internal/fault"
)

func loadKeysets(ctx context.Context, d reader) ([]keysetRow, error) {
	rows, err := d.Query(ctx, `SELECT purpose, wrapped, master_fingerprint FROM keysets ORDER BY purpose`)
	if err != nil {
		return nil, fmt.Errorf("credentials: load keysets: %w", err)
	}
	defer func() { _ = rows.Close() }()
	var out []keysetRow
	for rows.Next() {
		var r keysetRow
		if err := rows.Scan(&r.purpose, &r.wrapped, &r.fingerprint); err != nil {
			return nil, fmt.Errorf("credentials: load keysets: %w", err)
		}
		out = append(out, r)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("credentials: load keysets: %w", err)
	}
	return out, nil
}

func insertKeyset(ctx context.Context, d *db.DB, r keysetRow, now time.Time) error {
	err := d.InTx(ctx, func(tx *db.Tx) error {
		_, err := tx.Exec(ctx, `INSERT INTO keysets (purpose, wrapped, master_fingerprint, created_at, rewrapped_at)
			VALUES ($1, $2, $3, $4, $4)`, r.purpose, r.wrapped, r.fingerprint, db.Micros(now))
		return err
	})
	if err != nil {
		return fmt.Errorf("credentials: save keyset %s: %w", r.purpose, err)
	}
	return nil
}

// ensureInstallation returns the id of this installation, making it on the first start.
func ensureInstallation(ctx context.Context, d *db.DB) (string, error) {
	var id string
	err := d.InTx(ctx, func(tx *db.Tx) error {
		if _, err := tx.Exec(ctx, `INSERT INTO meta (key, value) VALUES ('installation_id', $1)
			ON CONFLICT (key) DO NOTHING`, db.NewID("ins")); err != nil {
			return err
		}
		return tx.QueryRow(ctx, `SELECT value FROM meta WHERE key = 'installation_id'`).Scan(&id)
	})
	if err != nil {
		return "", fmt.Errorf("credentials: installation id: %w", err)
	}
	return id, nil
}

// updateKeyset replaces a keyset, unless it is another one than before by now.
func updateKeyset(ctx context.Context, tx *db.Tx, before string, r keysetRow, now time.Time) error {
	result, err := tx.Exec(ctx, `UPDATE keysets SET wrapped = $3, master_fingerprint = $4, rewrapped_at = $5 WHERE purpose = $1 AND wrapped = $2`,
		r.purpose, before, r.wrapped, r.fingerprint, db.Micros(now))
	if err != nil {
		return fmt.Errorf("credentials: save keyset %s: %w", r.purpose, err)
	}
	if n, err := result.RowsAffected(); err != nil || n != 1 {
		return fmt.Errorf("credentials: save keyset %s: %w", r.purpose, errors.Join(err, fault.Newf(fault.Conflict, "it was changed at the same time")))
	}
	return nil
}

func findKeyset(ctx context.Context, q reader, p Purpose) (r keysetRow, created time.Time, err error) {
	var at int64
	r.purpose = string(p)
	err = q.QueryRow(ctx, `SELECT wrapped, master_fingerprint, created_at FROM keysets WHERE purpose = $1`, r.purpose).Scan(&r.wrapped, &r.fingerprint, &at)
	if err != nil {
		return r, created, fmt.Errorf("credentials: load keyset %s: %w", p, err)
	}
	return r, db.Time(at), nil
}
