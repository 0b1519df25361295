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
