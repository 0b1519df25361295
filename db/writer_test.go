package db

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"switchgear/internal/fault"
)

// holdWriter keeps every batch waiting until the returned function is called.
func holdWriter(t *testing.T, d *DB) (release func()) {
	t.Helper()
	conn, err := d.acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return func() {
		if err := conn.Close(); err != nil {
			t.Error(err)
		}
	}
}

// awaitBlocked returns once the loop of the one writer of d waits for the connection.
func awaitBlocked(d *DB) {
	for d.writer.Stats().WaitCount == 0 {
		runtime.Gosched()
	}
}

// firstCommit is the one that collect causes by itself.
const firstCommit = 1

// collect runs writes that are certain to share one batch: a first write is in the hands of the loop,
// which waits for the writer, and the others queue up behind it.
func collect(t *testing.T, d *DB, w *Writer, writes []func(tx *Tx) error) []error {
	t.Helper()
	release := holdWriter(t, d)
	var group sync.WaitGroup
	group.Go(func() {
		if err := w.Do(t.Context(), func(*Tx) error { return nil }); err != nil {
			t.Errorf("first write: %v", err)
		}
	})
	awaitBlocked(d)
	errs := make([]error, len(writes))
	for i, fn := range writes {
		group.Go(func() { errs[i] = w.Do(t.Context(), fn) })
		awaitPending(t, w, i+1) // one after the other, so that they keep their order
	}
	release()
	group.Wait()
	return errs
}

func insertID(t *testing.T, id string) func(tx *Tx) error {
	t.Helper()
	return func(tx *Tx) error {
		_, err := tx.Exec(t.Context(), insertOne, id)
		return err
	}
}

func TestWriterSharesCommits(t *testing.T) {
	t.Parallel()
	d := openTemp(t)
	createItems(t, d)
	w := serveWriter(t, d)
	var commits atomic.Int64
	hookCommit(t, d, func() int { commits.Add(1); return 0 })
	writes := make([]func(tx *Tx) error, 0, 100)
	for i := range 100 {
		writes = append(writes, insertID(t, strconv.Itoa(i)))
	}
	for _, err := range collect(t, d, w, writes) {
		if err != nil {
			t.Error(err)
		}
	}
	if n := countItems(t, d); n != 100 {
		t.Errorf("%d rows, want 100", n)
	}
	if n := commits.Load() - firstCommit; n != 1 {
		t.Errorf("%d commits for 100 writes, want 1", n)
	}
}

func TestWriterLimitsABatch(t *testing.T) {
	t.Parallel()
	d := openTemp(t)
	createItems(t, d)
	w := serve(t, d.NewWriter(WriterConfig{MaxRows: 10}))
	var commits atomic.Int64
	hookCommit(t, d, func() int { commits.Add(1); return 0 })
	writes := make([]func(tx *Tx) error, 0, 25)
	for i := range 25 {
		writes = append(writes, insertID(t, strconv.Itoa(i)))
	}
	collect(t, d, w, writes)
	if n := commits.Load() - firstCommit; n != 3 {
		t.Errorf("%d commits for 25 writes of at most 10, want 3", n)
	}
}

func TestWriterIsolatesFailures(t *testing.T) {
	t.Parallel()
	d := openTemp(t)
	createItems(t, d)
	w := serveWriter(t, d)
	errs := collect(t, d, w, []func(tx *Tx) error{
		insertID(t, "before"),
		func(tx *Tx) error {
			if err := insertID(t, "half done")(tx); err != nil {
				return err
			}
			return errTest
		},
		insertID(t, "before"), // a duplicate within the batch
		func(tx *Tx) error {
			if err := insertID(t, "panicked")(tx); err != nil {
				return err
			}
			panic("boom")
		},
		insertID(t, "after"),
	})
	if errs[0] != nil || errs[4] != nil {
		t.Errorf("the good writes failed: %v, %v", errs[0], errs[4])
	}
	if errs[1] != errTest { //nolint:errorlint // the very error
		t.Errorf("got %v, want the error of fn", errs[1])
	}
	wantCode(t, errs[2], fault.Conflict, "DUPLICATE")
	if errs[3] == nil || fault.KindOf(errs[3]) != fault.Internal {
		t.Errorf("a panic became %v", errs[3])
	}
	if diff := cmp.Diff([]string{"after", "before"}, itemIDs(t, d)); diff != "" {
		t.Errorf("stored (-want +got):\n%s", diff)
	}
	if err := w.Do(t.Context(), insertID(t, "later")); err != nil {
		t.Errorf("the writer does not go on: %v", err)
	}
}

func itemIDs(t *testing.T, d *DB) []string {
	t.Helper()
	rows, err := d.Query(t.Context(), "SELECT id FROM items ORDER BY id")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	var ids []string
	for rows.Next() {
		var id string
		if err := rows.Scan(&id); err != nil {
			t.Fatal(err)
		}
		ids = append(ids, id)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return ids
}

// TestWriterLosesABatchTogether takes the transaction away in the middle of a batch.
func TestWriterLosesABatchTogether(t *testing.T) {
	t.Parallel()
	d := openTemp(t)
	createItems(t, d)
	w := serveWriter(t, d)
	errs := collect(t, d, w, []func(tx *Tx) error{
		insertID(t, "first"),
		func(tx *Tx) error {
			if _, err := tx.Exec(t.Context(), "ROLLBACK"); err != nil {
				return err
			}
			return errTest
		},
		insertID(t, "third"),
	})
	wantCode(t, errs[0], fault.Unavailable, "TRANSACTION_LOST")
	if !errors.Is(errs[1], errTest) {
		t.Errorf("got %v", errs[1])
	}
	wantCode(t, errs[2], fault.Unavailable, "TRANSACTION_LOST")
	if ids := itemIDs(t, d); len(ids) != 0 {
		t.Errorf("stored %v", ids)
	}
	if err := w.Do(t.Context(), insertID(t, "later")); err != nil {
		t.Error(err)
	}
}

func TestWriterRefusesWhenNotServing(t *testing.T) {
	t.Parallel()
	d := openTemp(t)
	createItems(t, d)
	w := d.NewWriter(WriterConfig{})
	wantCode(t, w.Do(t.Context(), insertID(t, "early")), fault.Unavailable, "WRITER_STOPPED")

	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- w.Serve(ctx) }()
	awaitServing(t, w)
	if err := w.Serve(t.Context()); err == nil {
		t.Error("two Serve at a time")
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	wantCode(t, w.Do(t.Context(), insertID(t, "late")), fault.Unavailable, "WRITER_STOPPED")

	serve(t, w)
	if err := w.Do(t.Context(), insertID(t, "again")); err != nil {
		t.Error(err)
	}
}

func TestWriterDrains(t *testing.T) {
	t.Parallel()
	d := openTemp(t)
	createItems(t, d)
	w := d.NewWriter(WriterConfig{})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- w.Serve(ctx) }()
	awaitServing(t, w)

	writes := make([]func(tx *Tx) error, 0, 21)
	for i := range 20 {
		writes = append(writes, insertID(t, strconv.Itoa(i)))
	}
	writes = append(writes, func(*Tx) error { cancel(); return nil })
	for _, err := range collect(t, d, w, writes) {
		if err != nil {
			t.Errorf("a waiting write was not committed: %v", err)
		}
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
	if n := countItems(t, d); n != 20 {
		t.Errorf("%d rows, want 20", n)
	}
}

func TestWriterRefusesTooMany(t *testing.T) {
	t.Parallel()
	d := openTemp(t)
	w := serve(t, d.NewWriter(WriterConfig{MaxPending: 2}))
	release := holdWriter(t, d)
	var group sync.WaitGroup
	nothing := func(*Tx) error { return nil }
	do := func() {
		if err := w.Do(t.Context(), nothing); err != nil {
			t.Error(err)
		}
	}
	group.Go(do)
	awaitBlocked(d)
	group.Go(do)
	group.Go(do)
	awaitPending(t, w, 2)
	wantCode(t, w.Do(t.Context(), nothing), fault.Unavailable, "DATABASE_BUSY")
	release()
	group.Wait()
}

func TestWriterCanceledWhileWaiting(t *testing.T) {
	t.Parallel()
	d := openTemp(t)
	w := serveWriter(t, d)
	release := holdWriter(t, d)
	ctx, cancel := context.WithCancel(t.Context())
	result := make(chan error, 1)
	go func() {
		result <- w.Do(ctx, func(*Tx) error { t.Error("fn ran"); return nil })
	}()
	awaitBlocked(d)
	cancel()
	if err := <-result; err != context.Canceled { //nolint:errorlint // plain: nothing was stored
		t.Errorf("got %v", err)
	}
	release()
	// The next write shows that the loop has passed the canceled one.
	if err := w.Do(t.Context(), func(*Tx) error { return nil }); err != nil {
		t.Error(err)
	}
}

func TestWriterCanceledWhileRunning(t *testing.T) {
	t.Parallel()
	d := openTemp(t)
	createItems(t, d)
	w := serveWriter(t, d)
	ctx, cancel := context.WithCancel(t.Context())
	var touched bool // read without a lock below: Do must not return while fn runs
	err := w.Do(ctx, func(tx *Tx) error {
		cancel()
		_, err := tx.Exec(ctx, insertOne, "a") // not interrupted: the batch is not ours alone
		touched = true
		return err
	})
	if !touched {
		t.Error("Do returned before fn did")
	}
	if err != nil && !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if err := w.Do(t.Context(), func(*Tx) error { return nil }); err != nil {
		t.Error(err)
	}
	if n := countItems(t, d); n != 1 {
		t.Errorf("%d rows, want 1", n)
	}
}

// TestWriterGoexit ends the goroutine of Serve, as t.FailNow in a write would: nobody may hang.
func TestWriterGoexit(t *testing.T) {
	t.Parallel()
	d := openTemp(t)
	createItems(t, d)
	w := d.NewWriter(WriterConfig{})
	go func() { _ = w.Serve(t.Context()) }()
	awaitServing(t, w)
	errs := collect(t, d, w, []func(tx *Tx) error{
		insertID(t, "a"),
		func(*Tx) error { runtime.Goexit(); return nil },
		insertID(t, "b"),
	})
	for i, err := range errs {
		if fault.KindOf(err) != fault.Unavailable {
			t.Errorf("write %d: %v", i, err)
		}
	}
	if n := countItems(t, d); n != 0 {
		t.Errorf("%d rows, want none", n)
	}
	mustExec(t, d, insertOne, "the connection is free")
}

func TestWriterOnAClosedDatabase(t *testing.T) {
	t.Parallel()
	d := openTemp(t)
	w := serveWriter(t, d)
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	wantCode(t, w.Do(t.Context(), func(*Tx) error { return nil }), fault.Unavailable, "DATABASE_CLOSED")
}

// TestWriterUnderLoad mixes good, failing and impatient writes with plain transactions.
func TestWriterUnderLoad(t *testing.T) {
	t.Parallel()
	d := openTemp(t)
	createItems(t, d)
	w := serveWriter(t, d)
	var stored atomic.Int64
	var group sync.WaitGroup
	for worker := range 32 {
		group.Go(func() {
			for i := range 30 {
				id := fmt.Sprintf("%d-%d", worker, i)
				var err error
				switch i % 5 {
				case 0:
					err = d.InTx(t.Context(), insertID(t, id))
				case 1:
					err = w.Do(t.Context(), func(tx *Tx) error { return errors.Join(insertID(t, id)(tx), errTest) })
					if !errors.Is(err, errTest) {
						t.Errorf("got %v", err)
					}
					continue
				default:
					err = w.Do(t.Context(), insertID(t, id))
				}
				if err != nil {
					t.Error(err)
					continue
				}
				stored.Add(1)
			}
		})
	}
	group.Wait()
	if n := int64(countItems(t, d)); n != stored.Load() {
		t.Errorf("%d rows, %d acknowledged", n, stored.Load())
	}
}
