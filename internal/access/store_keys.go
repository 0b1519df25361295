package access

import (
	"context"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"

	"switchgear/db"
)

const keyColumns = `id, name, scopes, created_by, created_at, expires_at, last_used_at, revoked_at`

func scanKey(row scanner, more ...any) (Key, error) {
	var (
		k                          Key
		scopes                     string
		created                    int64
		expires, lastUsed, revoked sql.NullInt64
	)
	err := row.Scan(append([]any{&k.ID, &k.Name, &scopes, &k.CreatedBy, &created, &expires, &lastUsed, &revoked}, more...)...)
	if err != nil {
		return Key{}, err
	}
	if err := json.Unmarshal([]byte(scopes), &k.Scopes); err != nil {
		return Key{}, fmt.Errorf("access: the scopes of key %s are not readable: %w", k.ID, err)
	}
	k.CreatedAt = db.Time(created)
	k.ExpiresAt, k.LastUsedAt, k.RevokedAt = db.NullTime(expires), db.NullTime(lastUsed), db.NullTime(revoked)
	return k, nil
}

// usableKeys returns every key that is not revoked, with its MAC.
func (s store) usableKeys(ctx context.Context) ([]Key, [][]byte, error) {
	var (
		keys []Key
		macs [][]byte
	)
	err := each(ctx, s.db, func(row scanner) error {
		var text string
		k, err := scanKey(row, &text)
		if err != nil {
			return err
		}
		mac, err := hex.DecodeString(text)
		if err != nil {
			return fmt.Errorf("access: the MAC of key %s is not readable: %w", k.ID, err)
		}
		keys, macs = append(keys, k), append(macs, mac)
		return nil
	}, `SELECT `+keyColumns+`, mac FROM api_keys WHERE revoked_at IS NULL`)
	return keys, macs, err
}

func (store) key(ctx context.Context, q reader, id string) (Key, error) {
	return scanKey(q.QueryRow(ctx, `SELECT `+keyColumns+` FROM api_keys WHERE id = $1`, id))
}

func (store) insertKey(ctx context.Context, tx *db.Tx, k Key, mac []byte) error {
	scopes, err := json.Marshal(k.Scopes)
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `INSERT INTO api_keys (id, name, mac, scopes, created_by, created_at, expires_at, search)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`,
		k.ID, k.Name, hex.EncodeToString(mac), string(scopes), k.CreatedBy, db.Micros(k.CreatedAt), db.NullMicros(k.ExpiresAt),
		folded(k.Name, k.ID, joinScopes(k.Scopes)))
	return err
}

func (store) revokeKey(ctx context.Context, tx *db.Tx, id, by string, now time.Time) error {
	_, err := tx.Exec(ctx, `UPDATE api_keys SET revoked_at = $2, revoked_by = $3 WHERE id = $1`, id, db.Micros(now), by)
	return err
}

// keyUsed notes when keys were last used, never going back in time.
func (s store) keyUsed(ctx context.Context, used map[string]time.Time) error {
	return s.db.InTx(ctx, func(tx *db.Tx) error {
		for id, at := range used {
			_, err := tx.Exec(ctx, `UPDATE api_keys SET last_used_at = $2
				WHERE id = $1 AND (last_used_at IS NULL OR last_used_at < $2)`, id, db.Micros(at))
			if err != nil {
				return err
			}
		}
		return nil
	})
}

func (s store) keyPage(ctx context.Context, q KeyQuery, now time.Time) (KeyPage, error) {
	var w where
	if q.Search != "" {
		w.search(q.Search)
	}
	if q.Scope != "" {
		// The scopes are a JSON array of plain texts.
		w.and(`scopes LIKE ` + w.param(`%"`+db.Like(q.Scope)+`"%`) + ` ESCAPE '\'`)
	}
	switch q.Status {
	case KeyActive:
		w.and(`revoked_at IS NULL AND (expires_at IS NULL OR expires_at > ` + w.param(db.Micros(now)) + `)`)
	case KeyExpired:
		w.and(`revoked_at IS NULL AND expires_at <= ` + w.param(db.Micros(now)))
	case KeyRevoked:
		w.and(`revoked_at IS NOT NULL`)
	}
	// A key that does not expire expires after all others.
	order := map[string]string{
		"": "LOWER(name)", "name": "LOWER(name)", "created_at": "created_at",
		"expires_at": "COALESCE(expires_at, 9223372036854775807)", "last_used_at": "COALESCE(last_used_at, 0)",
	}
	var page KeyPage
	err := w.list(ctx, s.db, listing{
		table: "api_keys", columns: keyColumns, sort: q.Sort, order: order, page: q.Page, limit: q.Limit,
	}, &page.Total, func(row scanner) error {
		k, err := scanKey(row)
		page.Keys = append(page.Keys, k)
		return err
	})
	return page, err
}
