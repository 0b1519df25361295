package db

import (
	"context"
	"database/sql"

	"switchgear/internal/fault"
)

// Query runs a SELECT on the read pool. Close the rows and check their Err, as always.
func (d *DB) Query(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	text, err := d.prepare(query, args)
	if err != nil {
		return nil, err
	}
	rows, err := d.reader.QueryContext(ctx, text, args...)
	if err != nil {
		return nil, d.translate(err)
	}
	return rows, nil
}

// QueryRow runs a SELECT of at most one row on the read pool.
func (d *DB) QueryRow(ctx context.Context, query string, args ...any) *Row {
	text, err := d.prepare(query, args)
	if err != nil {
		return &Row{err: err}
	}
	return &Row{db: d, row: d.reader.QueryRowContext(ctx, text, args...)}
}

// translate also covers a query that Close overtook.
func (d *DB) translate(err error) error {
	if err != nil && d.closed.Load() && fault.KindOf(translate(err)) == fault.Internal {
		return errClosed()
	}
	return translate(err)
}

// prepare checks that the database is open and rewrites the placeholders.
func (d *DB) prepare(query string, args []any) (string, error) {
	if d.closed.Load() {
		return "", errClosed()
	}
	return d.rewriter.rewrite(query, len(args))
}

// Row is the answer of QueryRow.
type Row struct {
	db  *DB
	row *sql.Row
	tx  *Tx // nil outside of a transaction
	err error
}

// Scan copies the columns. It returns a fault of kind NotFound when there is no row.
func (r *Row) Scan(dest ...any) error {
	if r.err != nil {
		return r.err
	}
	err := r.row.Scan(dest...)
	if r.tx != nil {
		r.tx.note(err)
	}
	return r.db.translate(err)
}
