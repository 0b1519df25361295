package db

import (
	"context"
	"errors"
	"runtime"
	"testing"

	"switchgear/internal/fault"
)

func openTemp(tb testing.TB) *DB {
	tb.Helper()
	return openDir(tb, tb.TempDir())
}

func openDir(tb testing.TB, dir string) *DB {
	tb.Helper()
	d, err := Open(tb.Context(), Config{Dir: dir})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := d.Close(); err != nil {
			tb.Error(err)
		}
	})
	return d
}

func createItems(tb testing.TB, d *DB) {
	tb.Helper()
	mustExec(tb, d, "CREATE TABLE items (id TEXT PRIMARY KEY, payload BLOB)")
}

func mustExec(tb testing.TB, d *DB, query string, args ...any) {
	tb.Helper()
	err := d.InTx(tb.Context(), func(tx *Tx) error {
		_, err := tx.Exec(tb.Context(), query, args...)
		return err
	})
	if err != nil {
		tb.Fatal(err)
	}
}

// countItems counts on the read pool: it sees only what was committed.
func countItems(tb testing.TB, d *DB) int {
	tb.Helper()
	var n int
	if err := d.QueryRow(tb.Context(), "SELECT count(*) FROM items").Scan(&n); err != nil {
		tb.Fatal(err)
	}
	return n
}

// serveWriter runs a writer until the test ends.
func serveWriter(tb testing.TB, d *DB) *Writer {
	tb.Helper()
	return serve(tb, d.NewWriter(WriterConfig{}))
}

func serve(tb testing.TB, w *Writer) *Writer {
	tb.Helper()
	ctx, cancel := context.WithCancel(tb.Context())
	done := make(chan error, 1)
	go func() { done <- w.Serve(ctx) }()
	tb.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			tb.Errorf("Serve: %v", err)
		}
	})
	awaitServing(tb, w)
	return w
}

// awaitServing returns once Do is accepted.
func awaitServing(tb testing.TB, w *Writer) {
	tb.Helper()
	await(w, func() bool { return w.serving })
}

// awaitPending returns once n writes wait for the next batch.
func awaitPending(tb testing.TB, w *Writer, n int) {
	tb.Helper()
	await(w, func() bool { return len(w.pending) == n })
}

func await(w *Writer, condition func() bool) {
	for {
		w.mu.Lock()
		ok := condition()
		w.mu.Unlock()
		if ok {
			return
		}
		runtime.Gosched()
	}
}

func wantCode(tb testing.TB, err error, kind fault.Kind, code string) {
	tb.Helper()
	if fault.KindOf(err) != kind || fault.CodeOf(err) != code {
		tb.Fatalf("got %v %s (%v), want %v %s", fault.KindOf(err), fault.CodeOf(err), err, kind, code)
	}
}

var errTest = errors.New("test error")
