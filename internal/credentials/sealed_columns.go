package credentials

import (
	"cmp"
	"context"
	"fmt"

	"switchgear/db"
)

// sealedColumn is a column of the database that holds values sealed under PurposeCredential. A rotation
// seals them anew, so every table that a [Sealer] writes to is named in sealedColumns, and a test compares
// the list with the schema.
type sealedColumn struct {
	// label is what people call the values.
	label string
	// table is where the column is, value and key its names and that of the key id beside it.
	table, value, key string
	// join adds what the place of a value needs from elsewhere; the table is called s.
	join string
	// row, owner, account and version are expressions for the parts of the place (see AAD). row and version
	// together name one row of the table.
	row, owner, account, version string
	// origin is likewise; empty where values have none.
	origin string
}

func sealedColumns() []sealedColumn {
	// A value whose credential is gone does not open and is reported, not passed over.
	const (
		join           = ` LEFT JOIN credentials c ON c.id = s.credential_id`
		owner, account = `COALESCE(c.connection_id, '')`, `COALESCE(c.account, '')`
	)
	return []sealedColumn{
		{
			label: "Credentials", table: "credential_versions", value: "sealed", key: "key_id", join: join,
			row: "s.credential_id", owner: owner, account: account, version: "s.version", origin: "s.origin",
		},
		{
			label: "Tokens", table: "credential_tokens", value: "sealed", key: "key_id", join: join,
			row: "s.credential_id", owner: owner, account: account, version: "s.version", origin: "s.origin",
		},
		{
			label: "Tokens before the present ones", table: "credential_tokens", value: "previous", key: "previous_key_id", join: join,
			row: "s.credential_id", owner: owner, account: account, version: "s.previous_version", origin: "s.origin",
		},
		{
			label: "Alert channels", table: "alert_channels", value: "sealed", key: "key_id",
			row: "s.id", owner: "''", account: "''", version: "s.version",
		},
		{
			label: "Consents on their way", table: "oauth_flows", value: "sealed", key: "key_id",
			row: "s.id", owner: "s.connection_id", account: "s.account", version: "CAST(1 AS BIGINT)", // a bare number would be the position of a column in ORDER BY
		},
		{
			label: "Demonstration", table: "demo", value: "sealed", key: "sealed_key",
			row: "s.id", owner: "''", account: "''", version: "CAST(0 AS BIGINT)",
		},
		{
			label: "Staged credentials", table: "credential_rollovers", value: "sealed", key: "key_id", join: join,
			row: "s.id", owner: owner, account: account, version: "s.version", origin: "s.origin",
		},
	}
}

// place is where a value of the column belongs. The name of the column in it is always "sealed": a token
// moves from one column to the other as it is.
func (c sealedColumn) place(v sealedValue) AAD {
	return AAD{Table: c.table, Row: v.row, Column: "sealed", Owner: v.owner, Account: v.account, Origin: v.origin, Version: v.version}
}

// sealedValue is one value of a sealedColumn.
type sealedValue struct {
	row, owner, account, origin string
	version                     int64
	sealed                      string
	// again is the same plaintext under another key.
	again string
}

// after returns up to limit values that are sealed with another key than keyID, behind a row and version.
func (c sealedColumn) after(ctx context.Context, q reader, keyID uint32, row string, version int64, limit int) ([]sealedValue, error) {
	rows, err := q.Query(ctx, `SELECT `+c.row+`, `+c.owner+`, `+c.account+`, `+cmp.Or(c.origin, "''")+`, `+c.version+`, s.`+c.value+`
		FROM `+c.table+` s`+c.join+`
		WHERE s.`+c.key+` <> $1 AND s.`+c.value+` <> '' AND (`+c.row+` > $2 OR `+c.row+` = $2 AND `+c.version+` > $3)
		ORDER BY `+c.row+`, `+c.version+` LIMIT $4`, int64(keyID), row, version, limit)
	if err != nil {
		return nil, fmt.Errorf("credentials: read what is sealed in %s: %w", c.table, err)
	}
	defer func() { _ = rows.Close() }()
	var out []sealedValue
	for rows.Next() {
		var v sealedValue
		if err := rows.Scan(&v.row, &v.owner, &v.account, &v.origin, &v.version, &v.sealed); err != nil {
			return nil, fmt.Errorf("credentials: read what is sealed in %s: %w", c.table, err)
		}
		out = append(out, v)
	}
	return out, rows.Err()
}

// swap stores a value that was sealed anew, unless it was changed since it was read.
func (c sealedColumn) swap(ctx context.Context, tx *db.Tx, v sealedValue, keyID uint32) (bool, error) {
	result, err := tx.Exec(ctx, `UPDATE `+c.table+` AS s SET `+c.value+` = $4, `+c.key+` = $5
		WHERE `+c.row+` = $1 AND `+c.version+` = $2 AND s.`+c.value+` = $3`, v.row, v.version, v.sealed, v.again, int64(keyID))
	if err != nil {
		return false, fmt.Errorf("credentials: store what is sealed in %s: %w", c.table, err)
	}
	n, err := result.RowsAffected()
	return n == 1, err
}

// counts returns how many values each key seals in the column.
func (c sealedColumn) counts(ctx context.Context, q reader) (map[uint32]int64, error) {
	rows, err := q.Query(ctx, `SELECT s.`+c.key+`, COUNT(*) FROM `+c.table+` s WHERE s.`+c.value+` <> '' GROUP BY s.`+c.key)
	if err != nil {
		return nil, fmt.Errorf("credentials: count what is sealed in %s: %w", c.table, err)
	}
	defer func() { _ = rows.Close() }()
	out := map[uint32]int64{}
	for rows.Next() {
		var key, n int64
		if err := rows.Scan(&key, &n); err != nil {
			return nil, fmt.Errorf("credentials: count what is sealed in %s: %w", c.table, err)
		}
		out[uint32(key)] = n //nolint:gosec // written from a uint32.
	}
	return out, rows.Err()
}

// sealedWith returns how many values each key seals, over every column.
func sealedWith(ctx context.Context, q reader) (map[uint32]int64, error) {
	all := map[uint32]int64{}
	for _, c := range sealedColumns() {
		counts, err := c.counts(ctx, q)
		if err != nil {
			return nil, err
		}
		for key, n := range counts {
			all[key] += n
		}
	}
	return all, nil
}
