package db

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"time"

	"switchgear/internal/fault"
)

const (
	defaultMaxRows    = 256
	defaultMaxDelay   = 5 * time.Millisecond
	defaultMaxPending = 16384
)

// WriterConfig tunes a Writer. The zero value is right for production.
type WriterConfig struct {
	// MaxRows is the most writes that share a transaction; 0 means 256.
	MaxRows int
	// MaxDelay is the longest wait for more writes under contention; 0 means 5 milliseconds.
	MaxDelay time.Duration
	// MaxPending is how many writes may wait before new ones are refused; 0 means 16384.
	MaxPending int
}

// Writer is the group-commit queue for hot paths. Writes that arrive together share one transaction and
// one flush to disk, and each waits for it. Run Serve in a goroutine that you own; without it Do refuses.
type Writer struct {
	db  *DB
	cfg WriterConfig
	// wake is signalled when the loop has something to do; one pending signal is enough.
	wake chan struct{}

	mu      sync.Mutex
	serving bool
	pending []*write
	target  int // signal again when this many are pending
}

// write is one call of Do.
type write struct {
	fn   func(tx *Tx) error
	done chan error // buffered: the loop never waits for the caller

	mu       sync.Mutex // held while fn runs
	ran      bool
	canceled bool
	err      error // what fn returned; only the loop reads it
}

// NewWriter makes a Writer on the database.
func (d *DB) NewWriter(cfg WriterConfig) *Writer {
	cfg.MaxRows = cmp.Or(cfg.MaxRows, defaultMaxRows)
	cfg.MaxDelay = cmp.Or(cfg.MaxDelay, defaultMaxDelay)
	cfg.MaxPending = cmp.Or(cfg.MaxPending, defaultMaxPending)
	return &Writer{db: d, cfg: cfg, wake: make(chan struct{}, 1), target: 1}
}

// Do runs fn once in a shared transaction and returns nil when it is on disk. An error of fn undoes only
// what fn did and is returned as it is; a panic of fn becomes an error. Faults of kind Unavailable say
// that nothing was stored, except for code COMMIT_UNKNOWN.
//
// When ctx ends before fn has run, fn is skipped and nothing is stored. When it ends after fn has run,
// Do returns an error that wraps ctx.Err() without waiting for the commit: the write may be stored.
// Statements inside fn ignore the end of their context, for it would undo the neighbours' writes too.
// The rules for fn are those of [DB.InTx]; it should be a few quick statements.
func (w *Writer) Do(ctx context.Context, fn func(tx *Tx) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	item := &write{fn: fn, done: make(chan error, 1)}
	if err := w.enqueue(item); err != nil {
		return err
	}
	select {
	case err := <-item.done:
		return err
	case <-ctx.Done():
	}
	if item.cancel() {
		return ctx.Err()
	}
	select {
	case err := <-item.done:
		return err
	default:
		return fmt.Errorf("db: the write may have been stored: %w", ctx.Err())
	}
}

// cancel keeps fn from running. It waits for a running fn, which may use variables of the caller, and
// returns false when fn has run.
func (m *write) cancel() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.canceled = !m.ran
	return m.canceled
}

func (w *Writer) enqueue(item *write) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.serving {
		return errNotServing()
	}
	if len(w.pending) >= w.cfg.MaxPending {
		return errBusy(errors.New("db: too many writes are waiting"))
	}
	w.pending = append(w.pending, item)
	if len(w.pending) >= w.target {
		w.signal()
	}
	return nil
}

func (w *Writer) signal() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

func errNotServing() error {
	return fault.New(fault.Unavailable, "WRITER_STOPPED",
		"Console is starting or stopping and takes no writes. Try again in a moment.").WithRetryAfter(retryAfter)
}

// Serve commits writes until ctx ends, then commits those that already wait and returns nil. One Serve
// at a time may run; it may be started again after it returned.
func (w *Writer) Serve(ctx context.Context) error {
	w.mu.Lock()
	if w.serving {
		w.mu.Unlock()
		return errors.New("db: the writer is being served already")
	}
	w.serving = true
	w.mu.Unlock()
	// Only a write that ends the goroutine (runtime.Goexit) leaves anything for this to refuse.
	defer w.stop()

	var last batchStats
	for ctx.Err() == nil {
		if w.gather(last) {
			last = w.commitBatch(ctx, w.take())
			continue
		}
		last = batchStats{} // an idle writer has nobody to wait for
		select {
		case <-w.wake:
		case <-ctx.Done():
		}
	}
	w.drain(ctx)
	return nil
}

// batchStats is what the next batch learns from the one before.
type batchStats struct {
	rows int
	took time.Duration
}

// gather waits briefly under contention and reports whether there is anything to write. After a batch
// of n writes their n callers usually come back at once, so it pays to wait for as many, though never
// longer than the flush that is saved takes.
func (w *Writer) gather(last batchStats) bool {
	want := min(last.rows, w.cfg.MaxRows)
	w.mu.Lock()
	have := len(w.pending)
	if have >= want || want < 2 {
		w.mu.Unlock()
		return have > 0
	}
	w.target = want
	select {
	case <-w.wake: // a signal from before the target was raised
	default:
	}
	w.mu.Unlock()

	timer := time.NewTimer(min(last.took, w.cfg.MaxDelay))
	defer timer.Stop()
	select {
	case <-w.wake:
	case <-timer.C:
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.target = 1
	return len(w.pending) > 0
}

func (w *Writer) take() []*write {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := min(len(w.pending), w.cfg.MaxRows)
	batch := make([]*write, n)
	copy(batch, w.pending)
	rest := copy(w.pending, w.pending[n:])
	clear(w.pending[rest:])
	w.pending = w.pending[:rest]
	return batch
}

// drain refuses new writes and commits the waiting ones.
func (w *Writer) drain(ctx context.Context) {
	w.mu.Lock()
	w.serving = false
	w.mu.Unlock()
	for batch := w.take(); len(batch) > 0; batch = w.take() {
		w.commitBatch(ctx, batch)
	}
}

func (w *Writer) stop() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.serving = false
	w.target = 1
	for _, item := range w.pending {
		item.done <- errNotServing()
	}
	w.pending = nil
}

// commitBatch runs the writes in one transaction and answers every one of them.
func (w *Writer) commitBatch(ctx context.Context, batch []*write) batchStats {
	start := time.Now()
	// The answer of those that commitBatch does not get to, because a write ended the goroutine.
	outcome := errLost(nil)
	defer func() {
		for _, item := range batch {
			if item.err == nil {
				item.err = outcome
			}
			w.db.noteWrite(item.err)
			item.done <- item.err
		}
	}()
	outcome = w.runBatch(context.WithoutCancel(ctx), batch)
	return batchStats{rows: len(batch), took: time.Since(start)}
}

// runBatch returns the outcome that all writes without an error of their own share.
func (w *Writer) runBatch(ctx context.Context, batch []*write) (err error) {
	conn, err := w.db.acquire(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }() // returns it to the pool; that does not fail
	txCtx, cancel := context.WithTimeout(ctx, txLimit)
	defer cancel()
	sqlTx, err := conn.BeginTx(txCtx, nil)
	if err != nil {
		return fmt.Errorf("db: begin: %w", translate(err))
	}
	defer func() { _ = sqlTx.Rollback() }() // does nothing after a commit
	for _, item := range batch {
		if err := w.runOne(ctx, conn, sqlTx, item); err != nil {
			return err
		}
	}
	return commit(conn, sqlTx)
}

// runOne runs a write in a savepoint. It returns an error only when the whole transaction is lost.
func (w *Writer) runOne(ctx context.Context, conn *sql.Conn, sqlTx *sql.Tx, item *write) error {
	if _, err := sqlTx.ExecContext(ctx, "SAVEPOINT one"); err != nil {
		return errLost(err)
	}
	tx := &Tx{db: w.db, tx: sqlTx, shared: true}
	item.run(tx)
	if item.err == nil && tx.doomed != nil {
		item.err = fmt.Errorf("db: the write was rolled back: %w", translate(tx.doomed))
	}
	if item.err != nil {
		if open, err := inTransaction(conn); err != nil || !open {
			return lost(tx.doomed, err)
		}
		if _, err := sqlTx.ExecContext(ctx, "ROLLBACK TO one"); err != nil {
			return errLost(err)
		}
	}
	if _, err := sqlTx.ExecContext(ctx, "RELEASE one"); err != nil {
		return errLost(err)
	}
	return nil
}

// lost is the answer to the neighbours of a write that took the whole transaction with it.
func lost(doomed, err error) error {
	if translated := translate(doomed); fault.Is(translated, fault.Unavailable) {
		return translated // such as DISK_FULL
	}
	return errLost(errors.Join(doomed, err))
}

// run calls fn unless its caller has gone.
func (m *write) run(tx *Tx) {
	m.mu.Lock()
	defer m.mu.Unlock()
	defer tx.end()
	if m.canceled {
		m.err = context.Canceled // nobody listens
		return
	}
	m.ran = true
	defer func() {
		if p := recover(); p != nil {
			m.err = fmt.Errorf("db: the write panicked: %v\n%s", p, debug.Stack())
		}
	}()
	m.err = m.fn(tx)
}
