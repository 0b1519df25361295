// Package dbtest gives tests a database of their own.
package dbtest

import (
	"testing"

	"switchgear/db"
)

// New opens a migrated database in a directory that is removed with the test.
func New(tb testing.TB) *db.DB {
	tb.Helper()
	d, err := db.Open(tb.Context(), db.Config{Dir: tb.TempDir()})
	if err != nil {
		tb.Fatalf("dbtest: %v", err)
	}
	tb.Cleanup(func() {
		if err := d.Close(); err != nil {
			tb.Errorf("dbtest: %v", err)
		}
	})
	return d
}

// Exec runs a statement in a transaction of its own, for rows that nothing else in a test can make.
func Exec(tb testing.TB, d *db.DB, query string, args ...any) {
	tb.Helper()
	if err := d.InTx(tb.Context(), func(tx *db.Tx) error {
		_, err := tx.Exec(tb.Context(), query, args...)
		return err
	}); err != nil {
		tb.Fatalf("dbtest: %v", err)
	}
}
