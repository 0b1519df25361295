package credentials

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"time"

	"switchgear/db"
)

const rolloverColumns = `o.id, o.credential_id, c.account, o.revision, o.state, o.version, o.auth_type, o.settings, o.marks, o.origin, o.sealed, o.key_id,
	o.staged_at, o.staged_by, o.tested_at, o.tested_by, o.test_request, o.test_status, o.test_outcome, o.test_problem, o.test_passed,
	o.old_version, o.switched_at, o.switched_by, o.switch_reason, o.destroy_at, o.destroyed_at, o.destroyed_by, o.rolled_back_at, o.rolled_back_by,
	o.expires_on, o.expires_set_by`

const fromRollovers = ` FROM credential_rollovers o JOIN credentials c ON c.id = o.credential_id`

func scanRollover(row interface{ Scan(dest ...any) error }) (rolloverRow, error) {
	var (
		o                                                rolloverRow
		test                                             RolloverTest
		staged                                           int64
		settings, marks                                  string
		tested, switched, destroy, destroyed, rolledBack sql.NullInt64
	)
	err := row.Scan(&o.ID, &o.CredentialID, &o.Account, &o.Revision, &o.State, &o.version, &o.AuthType, &settings, &marks, &o.origin, &o.sealed, &o.keyID,
		&staged, &o.StagedBy, &tested, &test.By, &test.Request, &test.Status, &test.Outcome, &test.Problem, &test.Passed,
		&o.OldVersion, &switched, &o.SwitchedBy, &o.Reason, &destroy, &destroyed, &o.DestroyedBy, &rolledBack, &o.RolledBackBy,
		&o.ExpiresOn, &o.ExpiresSetBy)
	if err != nil {
		return rolloverRow{}, err
	}
	if err := json.Unmarshal([]byte(settings), &o.Settings); err != nil {
		return rolloverRow{}, fmt.Errorf("credentials: the settings of %s are not readable: %w", o.ID, err)
	}
	if err := json.Unmarshal([]byte(marks), &o.marks); err != nil {
		return rolloverRow{}, fmt.Errorf("credentials: the marks of %s are not readable: %w", o.ID, err)
	}
	o.Fields = fieldsOf(o.Settings, o.marks)
	if tested.Valid {
		test.At, o.Test = db.NullTime(tested), &test
	}
	o.StagedAt, o.SwitchedAt, o.DestroyAt = db.Time(staged), db.NullTime(switched), db.NullTime(destroy)
	o.DestroyedAt, o.RolledBackAt = db.NullTime(destroyed), db.NullTime(rolledBack)
	return o, nil
}

// rollover is that of a credential: the one under way, or the last.
func (vaultStore) rollover(ctx context.Context, q reader, credentialID string) (rolloverRow, error) {
	return scanRollover(q.QueryRow(ctx, `SELECT `+rolloverColumns+fromRollovers+` WHERE o.credential_id = $1`, credentialID))
}

// rollovers are those of a connection that are under way, by the id of the credential.
func (vaultStore) rollovers(ctx context.Context, q reader, connectionID string) (map[string]*Rollover, error) {
	rows, err := q.Query(ctx, `SELECT `+rolloverColumns+fromRollovers+` WHERE c.connection_id = $1 AND o.state <> $2`, connectionID, RolloverDone)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	out := map[string]*Rollover{}
	for rows.Next() {
		o, err := scanRollover(rows)
		if err != nil {
			return nil, err
		}
		out[o.CredentialID] = &o.Rollover
	}
	return out, rows.Err()
}

// insertRollover stores a new rollover in place of one that has ended.
func (s vaultStore) insertRollover(ctx context.Context, tx *db.Tx, o rolloverRow) error {
	if _, err := tx.Exec(ctx, `DELETE FROM credential_rollovers WHERE credential_id = $1 AND state = $2`, o.CredentialID, RolloverDone); err != nil {
		return err
	}
	settings, marks, err := o.encoded()
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `INSERT INTO credential_rollovers (id, credential_id, revision, state, version, auth_type, settings, marks, sealed, key_id,
			staged_at, staged_by, origin, expires_on, expires_set_by) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)`,
		o.ID, o.CredentialID, o.Revision, o.State, o.version, o.AuthType, settings, marks, o.sealed, int64(o.keyID), db.Micros(o.StagedAt), o.StagedBy, o.origin,
		string(o.ExpiresOn), o.ExpiresSetBy)
	return err
}

func (o rolloverRow) encoded() (settings, marks string, err error) {
	a, err := json.Marshal(o.Settings)
	if err != nil {
		return "", "", err
	}
	b, err := json.Marshal(o.marks)
	return string(a), string(b), err
}

// moveRollover stores a rollover over the revision before it. It reports whether it did.
func (vaultStore) moveRollover(ctx context.Context, tx *db.Tx, o rolloverRow) (bool, error) {
	settings, marks, err := o.encoded()
	if err != nil {
		return false, err
	}
	test := RolloverTest{}
	if o.Test != nil {
		test = *o.Test
	}
	result, err := tx.Exec(ctx, `UPDATE credential_rollovers SET revision = $2, state = $3, version = $4, auth_type = $5, settings = $6, marks = $7,
			sealed = $8, key_id = $9, tested_at = $10, tested_by = $11, test_request = $12, test_status = $13, test_outcome = $14, test_problem = $15,
			test_passed = $16, old_version = $17, switched_at = $18, switched_by = $19, switch_reason = $20, destroy_at = $21, destroyed_at = $22,
			destroyed_by = $23, rolled_back_at = $24, rolled_back_by = $25, origin = $27, expires_on = $28, expires_set_by = $29
		WHERE id = $1 AND revision = $26`,
		o.ID, o.Revision, o.State, o.version, o.AuthType, settings, marks, o.sealed, int64(o.keyID),
		db.NullMicros(test.At), test.By, test.Request, test.Status, test.Outcome, test.Problem, boolean(test.Passed),
		o.OldVersion, db.NullMicros(o.SwitchedAt), o.SwitchedBy, o.Reason, db.NullMicros(o.DestroyAt), db.NullMicros(o.DestroyedAt),
		o.DestroyedBy, db.NullMicros(o.RolledBackAt), o.RolledBackBy, o.Revision-1, o.origin,
		string(o.ExpiresOn), o.ExpiresSetBy)
	if err != nil {
		return false, err
	}
	n, err := result.RowsAffected()
	return n == 1, err
}

func (vaultStore) deleteRollover(ctx context.Context, tx *db.Tx, id string) error {
	_, err := tx.Exec(ctx, `DELETE FROM credential_rollovers WHERE id = $1`, id)
	return err
}

// forgetVersions forgets the versions before one that have exactly these secrets.
func (vaultStore) forgetVersions(ctx context.Context, tx *db.Tx, credentialID string, marks map[string]string, before int64) error {
	text, err := json.Marshal(marks)
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `DELETE FROM credential_versions WHERE credential_id = $1 AND marks = $2 AND version < $3`, credentialID, string(text), before)
	return err
}

func (vaultStore) dueRollovers(ctx context.Context, q reader, now time.Time) ([]DueRollover, error) {
	rows, err := q.Query(ctx, `SELECT c.connection_id, c.account, o.revision`+fromRollovers+` WHERE o.destroy_at <= $1 AND o.state = $2
		ORDER BY o.destroy_at LIMIT 100`, db.Micros(now), RolloverSwitched)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	var out []DueRollover
	for rows.Next() {
		var d DueRollover
		if err := rows.Scan(&d.ConnectionID, &d.Account, &d.Revision); err != nil {
			return nil, err
		}
		out = append(out, d)
	}
	return out, rows.Err()
}

// keptOld are the old credentials that are kept until a time, of every connection.
func (vaultStore) keptOld(ctx context.Context, q reader) ([]Expiry, error) {
	rows, err := q.Query(ctx, `SELECT c.connection_id, c.account, o.destroy_at`+fromRollovers+` WHERE o.destroy_at IS NOT NULL AND o.state = $1`, RolloverSwitched)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	var out []Expiry
	for rows.Next() {
		e, at := Expiry{What: ExpiryOld}, int64(0)
		if err := rows.Scan(&e.ConnectionID, &e.Account, &at); err != nil {
			return nil, err
		}
		e.At = db.Time(at)
		out = append(out, e)
	}
	return out, rows.Err()
}
