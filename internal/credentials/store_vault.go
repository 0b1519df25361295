package credentials

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"time"

	"switchgear/db"
	"switchgear/internal/fault"
)

// vaultStore holds the SQL about credentials.
type vaultStore struct{ db *db.DB }

// reader is what the database and a transaction have in common.
type reader interface {
	Query(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRow(ctx context.Context, query string, args ...any) *db.Row
}

const vaultColumns = `c.id, c.connection_id, c.account, c.state, c.created_at, c.updated_at, c.last_used_at,
	c.used_by, c.used_by_name, c.used_by_at, v.version, v.auth_type, v.settings, v.marks, v.origin, v.sealed, v.key_id, v.expires_on, v.expires_set_by, ` + tokenColumns

const (
	fromCurrent = ` FROM credentials c JOIN credential_versions v ON v.credential_id = c.id AND v.version = c.version` + joinToken
	fromVersion = ` FROM credentials c JOIN credential_versions v ON v.credential_id = c.id` + joinToken
)

func scanCredential(row interface{ Scan(dest ...any) error }) (sealedRow, error) {
	var (
		r                sealedRow
		created, updated int64
		used, keyUsed    sql.NullInt64
		settings, marks  string
	)
	token := tokenScan{}
	err := row.Scan(append([]any{
		&r.ID, &r.ConnectionID, &r.Account, &r.State, &created, &updated, &used, &r.LastKey.ID, &r.LastKey.Name, &keyUsed,
		&r.Version, &r.AuthType, &settings, &marks, &r.origin, &r.sealed, &r.keyID, &r.ExpiresOn, &r.ExpiresSetBy,
	}, token.into()...)...)
	if err != nil {
		return sealedRow{}, err
	}
	if err := json.Unmarshal([]byte(settings), &r.Settings); err != nil {
		return sealedRow{}, fmt.Errorf("credentials: the settings of %s are not readable: %w", r.ID, err)
	}
	if err := json.Unmarshal([]byte(marks), &r.Marks); err != nil {
		return sealedRow{}, fmt.Errorf("credentials: the marks of %s are not readable: %w", r.ID, err)
	}
	r.Fields = fieldsOf(r.Settings, r.Marks)
	r.token = token.row()
	r.Token = r.token.info()
	r.Origin = r.boundTo()
	r.CreatedAt, r.UpdatedAt, r.LastUsedAt = db.Time(created), db.Time(updated), db.NullTime(used)
	r.LastKey.At = db.NullTime(keyUsed)
	return r, nil
}

func (vaultStore) current(ctx context.Context, q reader, connectionID, account string) (sealedRow, error) {
	return scanCredential(q.QueryRow(ctx, `SELECT `+vaultColumns+fromCurrent+
		` WHERE c.connection_id = $1 AND c.account = $2`, connectionID, account))
}

func (vaultStore) byID(ctx context.Context, q reader, id string) (sealedRow, error) {
	return scanCredential(q.QueryRow(ctx, `SELECT `+vaultColumns+fromCurrent+` WHERE c.id = $1`, id))
}

func (vaultStore) version(ctx context.Context, q reader, connectionID, account string, version int64) (sealedRow, error) {
	return scanCredential(q.QueryRow(ctx, `SELECT `+vaultColumns+fromVersion+
		` WHERE c.connection_id = $1 AND c.account = $2 AND v.version = $3`, connectionID, account, version))
}

func (vaultStore) list(ctx context.Context, q reader, connectionID string) ([]sealedRow, error) {
	return collect(q.Query(ctx, `SELECT `+vaultColumns+fromCurrent+
		` WHERE c.connection_id = $1 ORDER BY c.account`, connectionID))
}

func (vaultStore) all(ctx context.Context, q reader) ([]sealedRow, error) {
	return collect(q.Query(ctx, `SELECT `+vaultColumns+fromCurrent))
}

func collect(rows *sql.Rows, err error) ([]sealedRow, error) {
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	var out []sealedRow
	for rows.Next() {
		r, err := scanCredential(rows)
		if err != nil {
			return nil, err
		}
		out = append(out, r)
	}
	return out, rows.Err()
}

func (vaultStore) insert(ctx context.Context, tx *db.Tx, r sealedRow) error {
	_, err := tx.Exec(ctx, `INSERT INTO credentials (id, connection_id, account, version, state, created_at, updated_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7)`,
		r.ID, r.ConnectionID, r.Account, r.Version, r.State, db.Micros(r.CreatedAt), db.Micros(r.UpdatedAt))
	return err
}

func (vaultStore) update(ctx context.Context, tx *db.Tx, r sealedRow) error {
	_, err := tx.Exec(ctx, `UPDATE credentials SET version = $2, state = $3, updated_at = $4 WHERE id = $1`,
		r.ID, r.Version, r.State, db.Micros(r.UpdatedAt))
	return err
}

func (vaultStore) insertVersion(ctx context.Context, tx *db.Tx, r sealedRow) error {
	settings, err := json.Marshal(r.Settings)
	if err != nil {
		return err
	}
	marks, err := json.Marshal(r.Marks)
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `INSERT INTO credential_versions (credential_id, version, auth_type, settings, marks, sealed, key_id, created_at,
			expires_on, expires_set_by, origin)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)`,
		r.ID, r.Version, r.AuthType, string(settings), string(marks), r.sealed, int64(r.keyID), db.Micros(r.UpdatedAt),
		string(r.ExpiresOn), r.ExpiresSetBy, r.origin)
	return err
}

// setExpiry notes when the secret of a version ends.
func (vaultStore) setExpiry(ctx context.Context, tx *db.Tx, r sealedRow) error {
	_, err := tx.Exec(ctx, `UPDATE credential_versions SET expires_on = $3, expires_set_by = $4 WHERE credential_id = $1 AND version = $2`,
		r.ID, r.Version, string(r.ExpiresOn), r.ExpiresSetBy)
	return err
}

// unbound returns the versions that were stored without an origin.
func (vaultStore) unbound(ctx context.Context, q reader) ([]sealedRow, error) {
	return collect(q.Query(ctx, `SELECT `+vaultColumns+fromVersion+` WHERE v.origin = '' ORDER BY c.id, v.version`))
}

// unboundTokens returns the tokens that were stored without an origin.
func (vaultStore) unboundTokens(ctx context.Context, q reader) ([]sealedRow, error) {
	return collect(q.Query(ctx, `SELECT `+vaultColumns+fromCurrent+` WHERE t.origin = '' AND t.sealed <> '' ORDER BY c.id`))
}

func (vaultStore) bind(ctx context.Context, tx *db.Tx, r sealedRow) error {
	_, err := tx.Exec(ctx, `UPDATE credential_versions SET origin = $3, sealed = $4, key_id = $5 WHERE credential_id = $1 AND version = $2`,
		r.ID, r.Version, r.origin, r.sealed, int64(r.keyID))
	return err
}

func (vaultStore) bindToken(ctx context.Context, tx *db.Tx, r sealedRow) error {
	_, err := tx.Exec(ctx, `UPDATE credential_tokens SET origin = $2, sealed = $3, key_id = $4, previous_version = $5, previous = $6, previous_key_id = $7
		WHERE credential_id = $1`,
		r.ID, r.token.origin, r.token.sealed, int64(r.token.keyID), r.token.previousVersion, r.token.previous, int64(r.token.previousKeyID))
	return err
}

// prune forgets the versions up to last.
func (vaultStore) prune(ctx context.Context, tx *db.Tx, id string, last int64) error {
	_, err := tx.Exec(ctx, `DELETE FROM credential_versions WHERE credential_id = $1 AND version <= $2`, id, last)
	return err
}

func (vaultStore) setState(ctx context.Context, tx *db.Tx, id, state string, now time.Time) error {
	result, err := tx.Exec(ctx, `UPDATE credentials SET state = $2, updated_at = $3 WHERE id = $1`, id, state, db.Micros(now))
	if err != nil {
		return err
	}
	if n, err := result.RowsAffected(); err != nil || n > 0 {
		return err
	}
	return fault.Newf(fault.NotFound, "no credential %s", id)
}

func (vaultStore) delete(ctx context.Context, tx *db.Tx, id string) error {
	for _, statement := range []string{
		`DELETE FROM credential_tokens WHERE credential_id = $1`,
		`DELETE FROM credential_rollovers WHERE credential_id = $1`,
		`DELETE FROM credential_versions WHERE credential_id = $1`,
		`DELETE FROM credentials WHERE id = $1`,
	} {
		if _, err := tx.Exec(ctx, statement, id); err != nil {
			return err
		}
	}
	return nil
}

func (vaultStore) deleteAll(ctx context.Context, tx *db.Tx, connectionID string) error {
	for _, statement := range []string{
		`DELETE FROM credential_tokens WHERE credential_id IN (SELECT id FROM credentials WHERE connection_id = $1)`,
		`DELETE FROM credential_rollovers WHERE credential_id IN (SELECT id FROM credentials WHERE connection_id = $1)`,
		`DELETE FROM credential_versions WHERE credential_id IN (SELECT id FROM credentials WHERE connection_id = $1)`,
		`DELETE FROM credentials WHERE connection_id = $1`,
	} {
		if _, err := tx.Exec(ctx, statement, connectionID); err != nil {
			return err
		}
	}
	return nil
}

// used notes when credentials were last used and for which key, never going back in time.
func (s vaultStore) used(ctx context.Context, uses map[string]usage) error {
	return s.db.InTx(ctx, func(tx *db.Tx) error {
		for id, one := range uses {
			if _, err := tx.Exec(ctx, `UPDATE credentials SET last_used_at = $2
				WHERE id = $1 AND (last_used_at IS NULL OR last_used_at < $2)`, id, one.at); err != nil {
				return err
			}
			if one.key == nil {
				continue
			}
			if _, err := tx.Exec(ctx, `UPDATE credentials SET used_by = $2, used_by_name = $3, used_by_at = $4
				WHERE id = $1 AND (used_by_at IS NULL OR used_by_at < $4)`, id, one.key.id, one.key.name, one.keyAt); err != nil {
				return err
			}
		}
		return nil
	})
}
