package credentials

import (
	"context"
	"database/sql"
	"strconv"
	"strings"
	"time"

	"switchgear/db"
)

// tokenRow is the row of a token. Version 0 is none yet.
type tokenRow struct {
	version         int64
	origin          string // that it may be sent to
	sealed          string // empty when there is none
	keyID           uint32
	previousVersion int64
	previous        string
	previousKeyID   uint32
	renewable       bool
	scopes          []string
	obtainedAt      time.Time
	expiresAt       time.Time
	renewAt         time.Time
	leaseToken      string
	leaseUntil      time.Time
	askedAt         time.Time
	failures        int
	retryAt         time.Time
	errorCode       string
}

//nolint:gosec // columns, no credentials.
const (
	tokenColumns = `t.version, t.origin, t.sealed, t.key_id, t.previous_version, t.previous, t.previous_key_id, t.renewable, t.scopes,
	t.obtained_at, t.expires_at, t.renew_at, t.lease_token, t.lease_until, t.asked_at, t.failures, t.retry_at, t.error_code`
	joinToken = ` LEFT JOIN credential_tokens t ON t.credential_id = c.id`
)

// tokenScan reads the columns of a token that may not be there.
type tokenScan struct {
	version, keyID, previousVersion, previousKeyID, renewable, obtained, expires, renew, until, asked, failures, retry sql.NullInt64
	origin, sealed, previous, scopes, lease, code                                                                      sql.NullString
}

func (s *tokenScan) into() []any {
	return []any{
		&s.version, &s.origin, &s.sealed, &s.keyID, &s.previousVersion, &s.previous, &s.previousKeyID, &s.renewable, &s.scopes,
		&s.obtained, &s.expires, &s.renew, &s.lease, &s.until, &s.asked, &s.failures, &s.retry, &s.code,
	}
}

func (s *tokenScan) row() tokenRow {
	if !s.version.Valid {
		return tokenRow{}
	}
	return tokenRow{
		version: s.version.Int64, origin: s.origin.String, sealed: s.sealed.String, keyID: uint32(s.keyID.Int64), //nolint:gosec // written from a uint32.
		previousVersion: s.previousVersion.Int64, previous: s.previous.String, previousKeyID: uint32(s.previousKeyID.Int64), //nolint:gosec // likewise.
		renewable: s.renewable.Int64 != 0, scopes: strings.Fields(s.scopes.String), obtainedAt: db.NullTime(s.obtained),
		expiresAt: db.NullTime(s.expires), renewAt: db.NullTime(s.renew), leaseToken: s.lease.String, leaseUntil: db.NullTime(s.until),
		askedAt: db.NullTime(s.asked), failures: int(s.failures.Int64), retryAt: db.NullTime(s.retry), errorCode: s.code.String,
	}
}

func boolean(b bool) int {
	if b {
		return 1
	}
	return 0
}

// replaceToken stores the next token if the row still has the version before it. It reports whether it did.
func (vaultStore) replaceToken(ctx context.Context, tx *db.Tx, id string, before int64, r tokenRow) (bool, error) {
	result, err := tx.Exec(ctx, `INSERT INTO credential_tokens (credential_id, version, sealed, key_id, previous_version, previous, previous_key_id,
			renewable, scopes, obtained_at, expires_at, renew_at, origin, lease_token, lease_until, asked_at, failures, retry_at, error_code)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $14, '', 0, NULL, 0, NULL, '')
		ON CONFLICT (credential_id) DO UPDATE SET version = $2, sealed = $3, key_id = $4, previous_version = $5, previous = $6,
			previous_key_id = $7, renewable = $8, scopes = $9, obtained_at = $10, expires_at = $11, renew_at = $12, origin = $14,
			lease_token = '', lease_until = 0, asked_at = NULL, failures = 0, retry_at = NULL, error_code = ''
		WHERE credential_tokens.version = $13`,
		id, r.version, r.sealed, int64(r.keyID), r.previousVersion, r.previous, int64(r.previousKeyID), boolean(r.renewable),
		strings.Join(r.scopes, " "), db.Micros(r.obtainedAt), db.NullMicros(r.expiresAt), db.NullMicros(r.renewAt), before, r.origin)
	if err != nil {
		return false, err
	}
	n, err := result.RowsAffected()
	return n == 1, err
}

// lease takes the right to renew, until it ends or a token of that version is replaced.
func (vaultStore) lease(ctx context.Context, tx *db.Tx, id, token string, now, until time.Time) error {
	_, err := tx.Exec(ctx, `INSERT INTO credential_tokens (credential_id, version, sealed, key_id, previous_version, previous, previous_key_id,
			renewable, scopes, obtained_at, lease_token, lease_until, asked_at, failures, error_code)
		VALUES ($1, 0, '', 0, 0, '', 0, 0, '', 0, $2, $3, $4, 0, '')
		ON CONFLICT (credential_id) DO UPDATE SET lease_token = $2, lease_until = $3, asked_at = $4`,
		id, token, db.Micros(until), db.Micros(now))
	return err
}

// release gives a lease back after a failure. It does nothing when the lease is somebody else's by now.
func (vaultStore) release(ctx context.Context, tx *db.Tx, id, token string, r tokenRow) error {
	_, err := tx.Exec(ctx, `UPDATE credential_tokens SET lease_token = '', lease_until = 0, asked_at = $3, failures = $4, retry_at = $5, error_code = $6
		WHERE credential_id = $1 AND lease_token = $2`,
		id, token, db.NullMicros(r.askedAt), r.failures, db.NullMicros(r.retryAt), r.errorCode)
	return err
}

// forgetPrevious forgets the tokens before those that were obtained before a time.
func (s vaultStore) forgetPrevious(ctx context.Context, before time.Time) error {
	return s.db.InTx(ctx, func(tx *db.Tx) error {
		_, err := tx.Exec(ctx, `UPDATE credential_tokens SET previous_version = 0, previous = '', previous_key_id = 0
			WHERE previous <> '' AND obtained_at < $1`, db.Micros(before))
		return err
	})
}

// forgive ends the pauses after failed renewals for the accounts of a connection.
func (vaultStore) forgive(ctx context.Context, tx *db.Tx, connectionID string) error {
	_, err := tx.Exec(ctx, `UPDATE credential_tokens SET failures = 0, retry_at = NULL, error_code = ''
		WHERE retry_at IS NOT NULL AND credential_id IN (SELECT id FROM credentials WHERE connection_id = $1)`, connectionID)
	return err
}

// due returns the credentials whose token is to be renewed by now, the most urgent first.
func (vaultStore) due(ctx context.Context, q reader, now time.Time, limit int) ([]string, error) {
	rows, err := q.Query(ctx, `SELECT t.credential_id FROM credential_tokens t JOIN credentials c ON c.id = t.credential_id
		WHERE t.renew_at <= $1 AND (t.retry_at IS NULL OR t.retry_at <= $1) AND t.lease_until <= $1 AND c.state = $2
		ORDER BY t.renew_at LIMIT $3`, db.Micros(now), StateActive, limit)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	var out []string
	for rows.Next() {
		var id string
		if err := rows.Scan(&id); err != nil {
			return nil, err
		}
		out = append(out, id)
	}
	return out, rows.Err()
}

// ending returns the credentials about which something may end: those that need consent, those with a
// certificate or a secret with a set end, and tokens of the given kinds that nothing can renew.
func (vaultStore) ending(ctx context.Context, q reader, kinds []string) ([]sealedRow, error) {
	args, places := append(make([]any, 0, 1+len(kinds)), StateNeedsReauth), make([]string, len(kinds))
	for i, kind := range kinds {
		args = append(args, kind)
		places[i] = "$" + strconv.Itoa(len(args))
	}
	return collect(q.Query(ctx, `SELECT `+vaultColumns+fromCurrent+` WHERE c.state = $1 OR v.settings LIKE '%-----BEGIN CERTIFICATE%' OR v.expires_on <> ''
		OR (t.expires_at IS NOT NULL AND t.renewable = 0 AND v.auth_type IN (`+strings.Join(places, ", ")+`))`, args...))
}

// postpone moves the renewal of a token that nobody uses to its next use.
func (vaultStore) postpone(ctx context.Context, tx *db.Tx, id string, version int64) error {
	_, err := tx.Exec(ctx, `UPDATE credential_tokens SET renew_at = NULL WHERE credential_id = $1 AND version = $2`, id, version)
	return err
}

func (vaultStore) insertEvent(ctx context.Context, tx *db.Tx, e Event) error {
	_, err := tx.Exec(ctx, `INSERT INTO credential_events (id, credential_id, connection_id, account, kind, detail, code,
			actor_kind, actor_id, actor_name, version, token_version, at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)`,
		e.ID, e.CredentialID, e.ConnectionID, e.Account, e.Kind, e.Detail, e.Code,
		e.Actor.Kind, e.Actor.ID, e.Actor.Name, e.Version, e.TokenVersion, db.Micros(e.At))
	return err
}

func (vaultStore) countEvents(ctx context.Context, q reader, connectionID, account string) (n int, err error) {
	err = q.QueryRow(ctx, `SELECT count(*) FROM credential_events WHERE connection_id = $1 AND ($2 = '' OR account = $2)`,
		connectionID, account).Scan(&n)
	return n, err
}

func (vaultStore) events(ctx context.Context, q reader, connectionID, account string, skip, limit int) ([]Event, error) {
	rows, err := q.Query(ctx, `SELECT id, credential_id, connection_id, account, kind, detail, code, actor_kind, actor_id, actor_name,
			version, token_version, at FROM credential_events
		WHERE connection_id = $1 AND ($2 = '' OR account = $2) ORDER BY at DESC, id DESC LIMIT $3 OFFSET $4`, connectionID, account, limit, skip)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	var out []Event
	for rows.Next() {
		var (
			e  Event
			at int64
		)
		if err := rows.Scan(&e.ID, &e.CredentialID, &e.ConnectionID, &e.Account, &e.Kind, &e.Detail, &e.Code,
			&e.Actor.Kind, &e.Actor.ID, &e.Actor.Name, &e.Version, &e.TokenVersion, &at); err != nil {
			return nil, err
		}
		e.At = db.Time(at)
		out = append(out, e)
	}
	return out, rows.Err()
}

// lost reports whether the default account of a connection that has none was deleted, or any of one that has no
// account at all.
func (vaultStore) lost(ctx context.Context, q reader, connectionID string) (bool, error) {
	var n int
	err := q.QueryRow(ctx, `SELECT COUNT(*) FROM credential_events WHERE connection_id = $1 AND kind = $2
		AND (account = $3 OR NOT EXISTS (SELECT 1 FROM credentials WHERE connection_id = $1))`, connectionID, EventDeleted, DefaultAccount).Scan(&n)
	return n > 0, err
}

// allLost returns the connections that are so.
func (vaultStore) allLost(ctx context.Context, q reader) ([]string, error) {
	rows, err := q.Query(ctx, `SELECT DISTINCT connection_id FROM credential_events e WHERE kind = $1
		AND NOT EXISTS (SELECT 1 FROM credentials c WHERE c.connection_id = e.connection_id AND c.account = $2)
		AND (account = $2 OR NOT EXISTS (SELECT 1 FROM credentials c WHERE c.connection_id = e.connection_id))`, EventDeleted, DefaultAccount)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	var out []string
	for rows.Next() {
		var id string
		if err := rows.Scan(&id); err != nil {
			return nil, err
		}
		out = append(out, id)
	}
	return out, rows.Err()
}

func (s vaultStore) forgetEvents(ctx context.Context, before time.Time) error {
	return s.db.InTx(ctx, func(tx *db.Tx) error {
		_, err := tx.Exec(ctx, `DELETE FROM credential_events WHERE at < $1`, db.Micros(before))
		return err
	})
}

// freeLeases ends every lease.
func (vaultStore) freeLeases(ctx context.Context, tx *db.Tx) error {
	_, err := tx.Exec(ctx, `UPDATE credential_tokens SET lease_token = '', lease_until = 0 WHERE lease_token <> ''`)
	return err
}
