package db

import (
	"bytes"
	"context"
	"errors"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/mattn/go-sqlite3"

	"switchgear/internal/fault"
)

// TestTranslatedBySQLite provokes each error for real.
func TestTranslatedBySQLite(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, query string
		kind        fault.Kind
		code, field string
	}{
		{"unique", "INSERT INTO t (id, email) VALUES ('b', 'a@example.com')", fault.Conflict, "DUPLICATE", "email"},
		{"primary key", "INSERT INTO t (id, email) VALUES ('a', 'b@example.com')", fault.Conflict, "DUPLICATE", "id"},
		{"several columns", "INSERT INTO pairs VALUES (1, 2)", fault.Conflict, "DUPLICATE", ""},
		{"row number", "INSERT INTO numbered VALUES (1)", fault.Conflict, "DUPLICATE", "n"},
		{"reference", "INSERT INTO t (id, email, parent) VALUES ('b', 'b@example.com', 'gone')", fault.Conflict, "REFERENCE", ""},
		{"not null is our bug", "INSERT INTO t (id) VALUES ('b')", fault.Internal, "INTERNAL", ""},
		{"check is our bug", "INSERT INTO t (id, email, n) VALUES ('b', 'b@example.com', -1)", fault.Internal, "INTERNAL", ""},
		{"syntax is our bug", "INSERT INTO", fault.Internal, "INTERNAL", ""},
	}
	d := openTemp(t)
	for _, setup := range []string{
		"CREATE TABLE t (id TEXT PRIMARY KEY, email TEXT NOT NULL UNIQUE, n INTEGER CHECK (n > 0), parent TEXT REFERENCES t (id))",
		"INSERT INTO t (id, email) VALUES ('a', 'a@example.com')",
		"CREATE TABLE pairs (a INTEGER, b INTEGER, PRIMARY KEY (a, b))",
		"INSERT INTO pairs VALUES (1, 2)",
		"CREATE TABLE numbered (n INTEGER PRIMARY KEY)",
		"INSERT INTO numbered VALUES (1)",
	} {
		mustExec(t, d, setup)
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			err := d.InTx(t.Context(), func(tx *Tx) error {
				_, err := tx.Exec(t.Context(), test.query)
				return err
			})
			wantCode(t, err, test.kind, test.code)
			if e, ok := errors.AsType[*fault.Error](err); ok && e.Details.Field != test.field {
				t.Errorf("field %q, want %q", e.Details.Field, test.field)
			}
		})
	}
}

func TestTranslate(t *testing.T) {
	t.Parallel()
	tests := []struct {
		code sqlite3.ErrNo
		kind fault.Kind
		want string
	}{
		{sqlite3.ErrBusy, fault.Unavailable, "DATABASE_BUSY"},
		{sqlite3.ErrLocked, fault.Unavailable, "DATABASE_BUSY"},
		{sqlite3.ErrFull, fault.Unavailable, "DISK_FULL"},
		{sqlite3.ErrReadonly, fault.Unavailable, "DATABASE_READ_ONLY"},
		{sqlite3.ErrIoErr, fault.Unavailable, "DATABASE_IO"},
		{sqlite3.ErrCantOpen, fault.Unavailable, "DATABASE_IO"},
		{sqlite3.ErrCorrupt, fault.Unavailable, "DATABASE_CORRUPT"},
		{sqlite3.ErrNotADB, fault.Unavailable, "DATABASE_CORRUPT"},
		{sqlite3.ErrMisuse, fault.Internal, "INTERNAL"},
	}
	for _, test := range tests {
		cause := sqlite3.Error{Code: test.code}
		err := translate(cause)
		wantCode(t, err, test.kind, test.want)
		if !errors.Is(err, cause) {
			t.Errorf("%s hides its cause", test.want)
		}
	}
	if translate(nil) != nil {
		t.Error("no error became one")
	}
	if err := translate(sqlite3.Error{Code: sqlite3.ErrInterrupt}); !errors.Is(err, context.Canceled) {
		t.Errorf("an interrupt became %v", err)
	}
}

func TestNoRow(t *testing.T) {
	t.Parallel()
	d := openTemp(t)
	err := d.QueryRow(t.Context(), "SELECT id FROM users WHERE id = $1", "nobody").Scan(new(string))
	wantCode(t, err, fault.NotFound, "NOT_FOUND")
	err = d.InTx(t.Context(), func(tx *Tx) error {
		return tx.QueryRow(t.Context(), "SELECT id FROM users WHERE id = $1", "nobody").Scan(new(string))
	})
	wantCode(t, err, fault.NotFound, "NOT_FOUND")
}

// TestBusy has another program, such as the sqlite3 shell, hold the write lock.
func TestBusy(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	d, err := Open(t.Context(), Config{Dir: dir, BusyTimeout: 10 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close() })
	createItems(t, d)

	other := openPool(writerDSN(filepath.Join(dir, databaseFile), defaultBusyTimeout), writerPragmas(defaultBusyTimeout), 1, nil)
	t.Cleanup(func() { _ = other.Close() })
	blocker, err := other.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	err = d.InTx(t.Context(), func(*Tx) error { t.Error("fn ran"); return nil })
	wantCode(t, err, fault.Unavailable, "DATABASE_BUSY")
	if e, ok := errors.AsType[*fault.Error](err); !ok || e.RetryAfter <= 0 {
		t.Error("busy without a Retry-After")
	}
	if err := blocker.Rollback(); err != nil {
		t.Fatal(err)
	}
	mustExec(t, d, insertOne, "a")
}

// TestDiskFull limits the file instead of filling a disk: SQLite reports both alike.
func TestDiskFull(t *testing.T) {
	t.Parallel()
	d := openTemp(t)
	createItems(t, d)
	limit := func(pages int) {
		t.Helper()
		var got int
		if err := d.writer.QueryRowContext(t.Context(), "PRAGMA max_page_count = "+strconv.Itoa(pages)).Scan(&got); err != nil {
			t.Fatal(err)
		}
	}
	big := func(id string) func(tx *Tx) error {
		return func(tx *Tx) error {
			_, err := tx.Exec(t.Context(), "INSERT INTO items (id, payload) VALUES ($1, $2)", id, bytes.Repeat([]byte("x"), 1<<20))
			return err
		}
	}
	w := serveWriter(t, d)
	limit(100) // pages of 4 KiB
	wantCode(t, d.InTx(t.Context(), big("tx")), fault.Unavailable, "DISK_FULL")
	wantCode(t, w.Do(t.Context(), big("writer")), fault.Unavailable, "DISK_FULL")
	swallowed := d.InTx(t.Context(), func(tx *Tx) error {
		if err := big("ignored")(tx); err == nil {
			t.Error("no error")
		}
		return nil
	})
	wantCode(t, swallowed, fault.Unavailable, "DISK_FULL")
	wantCode(t, d.WriteProblem(), fault.Unavailable, "DISK_FULL")
	if n := countItems(t, d); n != 0 {
		t.Errorf("%d rows were stored", n)
	}
	// Nobody has to restart anything once there is space.
	limit(1 << 20)
	if err := d.InTx(t.Context(), big("tx")); err != nil {
		t.Error(err)
	}
	if err := w.Do(t.Context(), big("writer")); err != nil {
		t.Error(err)
	}
	if err := d.WriteProblem(); err != nil {
		t.Errorf("a problem that is over: %v", err)
	}
	if n := countItems(t, d); n != 2 {
		t.Errorf("%d rows, want 2", n)
	}
}
