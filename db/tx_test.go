package db

import (
	"context"
	"database/sql"
	"errors"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/mattn/go-sqlite3"

	"switchgear/internal/fault"
)

const insertOne = "INSERT INTO items (id) VALUES ($1)"

func TestInTx(t *testing.T) {
	t.Parallel()
	insert := func(t *testing.T, tx *Tx) {
		t.Helper()
		if _, err := tx.Exec(t.Context(), insertOne, "a"); err != nil {
			t.Error(err)
		}
	}
	tests := []struct {
		name string
		fn   func(t *testing.T, tx *Tx) error
		want error
		rows int
	}{
		{"commits", func(t *testing.T, tx *Tx) error {
			t.Helper()
			insert(t, tx)
			return nil
		}, nil, 1},
		{"sees its own changes", func(t *testing.T, tx *Tx) error {
			t.Helper()
			insert(t, tx)
			var id string
			if err := tx.QueryRow(t.Context(), "SELECT id FROM items").Scan(&id); err != nil || id != "a" {
				t.Errorf("got %q, %v", id, err)
			}
			return nil
		}, nil, 1},
		{"rolls back on an error", func(t *testing.T, tx *Tx) error {
			t.Helper()
			insert(t, tx)
			return errTest
		}, errTest, 0},
		{"goes on after a failed statement that fn handles", func(t *testing.T, tx *Tx) error {
			t.Helper()
			insert(t, tx)
			_, err := tx.Exec(t.Context(), insertOne, "a")
			wantCode(t, err, fault.Conflict, "DUPLICATE")
			return nil
		}, nil, 1},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			d := openTemp(t)
			createItems(t, d)
			// The very error, not one that wraps it.
			if err := d.InTx(t.Context(), func(tx *Tx) error { return test.fn(t, tx) }); err != test.want { //nolint:errorlint // see above
				t.Errorf("got %v, want %v", err, test.want)
			}
			if n := countItems(t, d); n != test.rows {
				t.Errorf("%d rows, want %d", n, test.rows)
			}
		})
	}
}

func TestInTxPanicAndGoexit(t *testing.T) {
	t.Parallel()
	d := openTemp(t)
	createItems(t, d)
	for name, leave := range map[string]func(){"panic": func() { panic(errTest) }, "Goexit": runtime.Goexit} {
		recovered := make(chan any, 1)
		go func() {
			defer func() { recovered <- recover() }()
			_ = d.InTx(t.Context(), func(tx *Tx) error {
				if _, err := tx.Exec(t.Context(), insertOne, "a"); err != nil {
					t.Error(err)
				}
				leave()
				return nil
			})
		}()
		if got := <-recovered; name == "panic" && got != errTest { //nolint:errorlint // the very value
			t.Errorf("recovered %v", got)
		}
		// The writer is free again, which it is not while a transaction is open.
		if n := countItems(t, d); n != 0 {
			t.Errorf("%s: %d rows, want none", name, n)
		}
		mustExec(t, d, "DELETE FROM items")
	}
}

// hookCommit makes the next commits fail on the disk's behalf.
func hookCommit(t *testing.T, d *DB, hook func() int) {
	t.Helper()
	conn, err := d.acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	err = conn.Raw(func(driverConn any) error {
		driverConn.(*sqlite3.SQLiteConn).RegisterCommitHook(hook) //nolint:forcetypeassert // a test may panic
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestFailedCommitIsUnknown(t *testing.T) {
	t.Parallel()
	d := openTemp(t)
	createItems(t, d)
	hookCommit(t, d, func() int { return 1 })
	err := d.InTx(t.Context(), func(tx *Tx) error {
		_, err := tx.Exec(t.Context(), insertOne, "a")
		return err
	})
	wantCode(t, err, fault.Unavailable, "COMMIT_UNKNOWN")

	w := serveWriter(t, d)
	err = w.Do(t.Context(), func(tx *Tx) error {
		_, err := tx.Exec(t.Context(), insertOne, "b")
		return err
	})
	wantCode(t, err, fault.Unavailable, "COMMIT_UNKNOWN")

	hookCommit(t, d, nil)
	mustExec(t, d, insertOne, "c")
	if n := countItems(t, d); n != 1 {
		t.Errorf("%d rows, want 1", n)
	}
}

func TestDeferredReference(t *testing.T) {
	t.Parallel()
	d := openTemp(t)
	mustExec(t, d, "CREATE TABLE parent (id TEXT PRIMARY KEY)")
	mustExec(t, d, "CREATE TABLE child (parent TEXT REFERENCES parent (id) DEFERRABLE INITIALLY DEFERRED)")
	err := d.InTx(t.Context(), func(tx *Tx) error {
		_, err := tx.Exec(t.Context(), "INSERT INTO child VALUES ($1)", "nobody")
		return err
	})
	wantCode(t, err, fault.Conflict, "REFERENCE")
	mustExec(t, d, "INSERT INTO parent VALUES ($1)", "a")
}

func TestCanceledBeforeTheStart(t *testing.T) {
	t.Parallel()
	d := openTemp(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err := d.InTx(ctx, func(*Tx) error { t.Error("fn ran"); return nil })
	if !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func TestCanceledBeforeTheCommit(t *testing.T) {
	t.Parallel()
	d := openTemp(t)
	createItems(t, d)
	ctx, cancel := context.WithCancel(t.Context())
	err := d.InTx(ctx, func(tx *Tx) error {
		_, err := tx.Exec(ctx, insertOne, "kept")
		cancel()
		return err
	})
	if n := countItems(t, d); err != nil || n != 1 {
		t.Errorf("%v, %d rows: a client that goes away must not stop a commit", err, n)
	}
}

func TestCanceledInAStatement(t *testing.T) {
	t.Parallel()
	d := openTemp(t)
	createItems(t, d)
	const endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n) INSERT INTO items SELECT 'n' || i, NULL FROM n"
	ctx := t.Context()
	short, cancel := context.WithTimeout(ctx, 20*time.Millisecond)
	defer cancel()
	err := d.InTx(ctx, func(tx *Tx) error {
		if _, err := tx.Exec(ctx, insertOne, "lost"); err != nil {
			return err
		}
		if _, err := tx.Exec(short, endless); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		// SQLite has rolled back. Without a guard this would be stored at once.
		if _, err := tx.Exec(ctx, insertOne, "stray"); err == nil {
			t.Error("a statement ran after the transaction was gone")
		}
		return nil
	})
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
	if n := countItems(t, d); n != 0 {
		t.Errorf("%d rows, want none", n)
	}
}

func TestNestedTransactionsFail(t *testing.T) {
	t.Parallel()
	d, err := Open(t.Context(), Config{Dir: t.TempDir(), BusyTimeout: 10 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close() })
	err = d.InTx(t.Context(), func(*Tx) error {
		return d.InTx(t.Context(), func(*Tx) error { t.Error("fn ran"); return nil })
	})
	wantCode(t, err, fault.Unavailable, "DATABASE_BUSY")
}

func TestTxAfterItsEnd(t *testing.T) {
	t.Parallel()
	d := openTemp(t)
	var kept *Tx
	if err := d.InTx(t.Context(), func(tx *Tx) error { kept = tx; return nil }); err != nil {
		t.Fatal(err)
	}
	_, err := kept.Exec(t.Context(), "SELECT 1")
	if err == nil || !strings.Contains(err.Error(), "after its end") {
		t.Errorf("got %v", err)
	}
}

func TestLostTransactionIsNoticed(t *testing.T) {
	t.Parallel()
	d := openTemp(t)
	createItems(t, d)
	err := d.InTx(t.Context(), func(tx *Tx) error {
		_, err := tx.Exec(t.Context(), "ROLLBACK") // stands for SQLite doing so itself
		return err
	})
	wantCode(t, err, fault.Unavailable, "TRANSACTION_LOST")
	mustExec(t, d, insertOne, "a")
}

// TestLeakedRows shows that rows nobody closed do not hold the writer for ever.
func TestLeakedRows(t *testing.T) {
	t.Parallel()
	d := openTemp(t)
	createItems(t, d)
	mustExec(t, d, insertOne, "a")
	var rows *sql.Rows
	err := d.InTx(t.Context(), func(tx *Tx) (err error) {
		rows, err = tx.Query(t.Context(), "SELECT id FROM items") //nolint:sqlclosecheck,rowserrcheck // the point of the test
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	mustExec(t, d, insertOne, "b")
	if rows.Next() {
		t.Error("the rows live on")
	}
}
