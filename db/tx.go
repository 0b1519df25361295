package db

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/mattn/go-sqlite3"

	"switchgear/internal/fault"
)

// txLimit bounds a transaction: whoever holds the one writer for longer loses it, so that a stuck
// caller cannot stop everybody else.
const txLimit = 30 * time.Second

// InTx runs fn in a transaction (BEGIN IMMEDIATE on the writer) and commits when fn returns nil; then
// the change is on disk. An error or panic of fn rolls back, and the error is returned as it is.
//
// The end of ctx stops the wait for the writer and interrupts the statements of fn, but never the
// COMMIT: a client that goes away does not leave the outcome open. An error with code COMMIT_UNKNOWN
// means that the change may or may not be stored.
//
// fn must not call InTx or [Writer.Do] of the same database: there is one writer and fn holds it, so the
// inner call waits for the busy timeout and fails with DATABASE_BUSY. Reads that must see the changes of
// fn go through the Tx. fn must not keep the Tx, use it from another goroutine, or wait for the network.
func (d *DB) InTx(ctx context.Context, fn func(tx *Tx) error) (err error) {
	defer func() { d.noteWrite(err) }()
	conn, err := d.acquire(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }() // returns it to the pool; that does not fail
	txCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), txLimit)
	defer cancel()
	sqlTx, err := conn.BeginTx(txCtx, nil)
	if err != nil {
		return fmt.Errorf("db: begin: %w", translate(err))
	}
	// After a commit this does nothing. It also runs when fn panics or ends the goroutine.
	defer func() { _ = sqlTx.Rollback() }()

	tx := &Tx{db: d, tx: sqlTx}
	defer tx.end()
	if err := fn(tx); err != nil {
		return err
	}
	if tx.doomed != nil {
		return fmt.Errorf("db: the transaction was rolled back: %w", translate(tx.doomed))
	}
	return commit(conn, sqlTx)
}

// acquire waits for the writing connection, at most the busy timeout.
func (d *DB) acquire(ctx context.Context) (*sql.Conn, error) {
	if d.closed.Load() {
		return nil, errClosed()
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	waitCtx, cancel := context.WithTimeout(ctx, d.busyTimeout)
	defer cancel()
	conn, err := d.writer.Conn(waitCtx)
	switch {
	case err == nil:
		return conn, nil
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case d.closed.Load():
		return nil, errClosed()
	case waitCtx.Err() != nil:
		return nil, errBusy(err)
	default:
		return nil, fmt.Errorf("db: open the writing connection: %w", translate(err))
	}
}

// commit ends the transaction and says whether it is certain that it did not happen.
func commit(conn *sql.Conn, tx *sql.Tx) error {
	open, err := inTransaction(conn)
	if err != nil {
		return fmt.Errorf("db: before commit: %w", err)
	}
	if !open {
		return errLost(nil)
	}
	err = tx.Commit()
	if err == nil {
		return nil
	}
	if errors.Is(err, sql.ErrTxDone) || errors.Is(err, context.DeadlineExceeded) {
		return errLost(err)
	}
	if e, ok := errors.AsType[sqlite3.Error](err); ok && e.ExtendedCode == sqlite3.ErrConstraintForeignKey {
		return translate(err) // a deferred reference is checked before anything is written
	}
	return commitUnknown(err)
}

// inTransaction asks SQLite, because some errors (disk full, interrupted write) end a transaction
// behind the back of database/sql.
func inTransaction(conn *sql.Conn) (bool, error) {
	var open bool
	err := conn.Raw(func(driverConn any) error {
		c, ok := driverConn.(*sqlite3.SQLiteConn)
		if !ok {
			return fmt.Errorf("unexpected connection %T", driverConn)
		}
		open = !c.AutoCommit()
		return nil
	})
	return open, err
}

func errLost(cause error) error {
	if cause == nil {
		cause = errors.New("db: the transaction ended before its commit")
	}
	return fault.Wrap(cause, fault.Unavailable, "TRANSACTION_LOST",
		"The change was not stored. Try again.").WithRetryAfter(retryAfter)
}

// Tx is a running transaction. It belongs to the function that it was given to and to its goroutine.
type Tx struct {
	db *DB
	tx *sql.Tx
	// shared is set inside a group commit, where interrupting one write would undo its neighbours.
	shared bool
	// doomed is the first error after which SQLite may have rolled everything back. Statements after it
	// would run, and be stored, outside of the transaction.
	doomed error
	ended  bool
}

// Exec runs a statement.
func (t *Tx) Exec(ctx context.Context, query string, args ...any) (sql.Result, error) {
	ctx, text, err := t.prepare(ctx, query, args)
	if err != nil {
		return nil, err
	}
	result, err := t.tx.ExecContext(ctx, text, args...)
	if err != nil {
		t.note(err)
		return nil, translate(err)
	}
	return result, nil
}

// Query runs a query that sees the changes of the transaction. Close the rows before the next statement.
func (t *Tx) Query(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	ctx, text, err := t.prepare(ctx, query, args)
	if err != nil {
		return nil, err
	}
	rows, err := t.tx.QueryContext(ctx, text, args...)
	if err != nil {
		t.note(err)
		return nil, translate(err)
	}
	return rows, nil
}

// QueryRow is Query for at most one row.
func (t *Tx) QueryRow(ctx context.Context, query string, args ...any) *Row {
	ctx, text, err := t.prepare(ctx, query, args)
	if err != nil {
		return &Row{err: err}
	}
	return &Row{db: t.db, row: t.tx.QueryRowContext(ctx, text, args...), tx: t}
}

func (t *Tx) prepare(ctx context.Context, query string, args []any) (context.Context, string, error) {
	if t.ended {
		return nil, "", errors.New("db: the transaction is used after its end")
	}
	if t.doomed != nil {
		return nil, "", translate(t.doomed)
	}
	if t.shared && ctx.Done() != nil {
		ctx = context.WithoutCancel(ctx)
	}
	text, err := t.db.rewriter.rewrite(query, len(args))
	return ctx, text, err
}

// note remembers an error that may have ended the transaction.
func (t *Tx) note(err error) {
	if err == nil || t.doomed != nil {
		return
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		t.doomed = err
		return
	}
	e, ok := errors.AsType[sqlite3.Error](err)
	if !ok {
		return
	}
	switch e.Code {
	case sqlite3.ErrFull, sqlite3.ErrIoErr, sqlite3.ErrNomem, sqlite3.ErrBusy, sqlite3.ErrInterrupt,
		sqlite3.ErrCorrupt, sqlite3.ErrReadonly:
		t.doomed = err
	}
}

func (t *Tx) end() { t.ended = true }
