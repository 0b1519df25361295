package db

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/mattn/go-sqlite3"

	"switchgear/internal/fault"
)

const retryAfter = time.Second

// translate gives a driver error its kind. Errors that are bugs of ours (a broken CHECK, wrong SQL)
// keep none and are answered as Internal. Context errors pass unchanged.
func translate(err error) error {
	if err == nil {
		return nil
	}
	if errors.Is(err, sql.ErrNoRows) {
		return fault.Wrap(err, fault.NotFound, "", "There is no such record.")
	}
	e, ok := errors.AsType[sqlite3.Error](err)
	if !ok {
		return err
	}
	switch e.Code {
	case sqlite3.ErrConstraint:
		return translateConstraint(e)
	case sqlite3.ErrBusy, sqlite3.ErrLocked:
		return fault.Wrap(err, fault.Unavailable, "DATABASE_BUSY",
			"The database is busy. Try again in a moment.").WithRetryAfter(retryAfter)
	case sqlite3.ErrFull:
		return fault.Wrap(err, fault.Unavailable, "DISK_FULL",
			"The disk that holds the data is full. Free some space and try again.")
	case sqlite3.ErrReadonly, sqlite3.ErrPerm:
		return fault.Wrap(err, fault.Unavailable, "DATABASE_READ_ONLY",
			"The database cannot be written. Make the data directory writable for the user that runs console.")
	case sqlite3.ErrIoErr, sqlite3.ErrCantOpen:
		return fault.Wrap(err, fault.Unavailable, "DATABASE_IO",
			"The disk that holds the data reports an error. Check the disk, then try again.")
	case sqlite3.ErrCorrupt, sqlite3.ErrNotADB:
		return fault.Wrap(err, fault.Unavailable, "DATABASE_CORRUPT",
			"The database is damaged. Stop console and restore the newest good backup.")
	case sqlite3.ErrInterrupt:
		// The driver interrupts a statement only because its context ended.
		return fmt.Errorf("%w: %w", context.Canceled, err)
	default:
		return err
	}
}

func translateConstraint(e sqlite3.Error) error {
	switch e.ExtendedCode {
	case sqlite3.ErrConstraintUnique, sqlite3.ErrConstraintPrimaryKey, sqlite3.ErrConstraintRowID:
		dup := fault.Wrap(e, fault.Conflict, "DUPLICATE", "That already exists.")
		if column := uniqueColumn(e.Error()); column != "" {
			dup.Message = "That " + strings.ReplaceAll(column, "_", " ") + " is already in use."
			dup.Details.Field = column
		}
		return dup
	case sqlite3.ErrConstraintForeignKey:
		return fault.Wrap(e, fault.Conflict, "REFERENCE",
			"Something else depends on this, or what it refers to is gone. Reload and try again.")
	default:
		return e
	}
}

// uniqueColumn reads the column out of "UNIQUE constraint failed: users.email". It is empty when the
// constraint spans several columns or is an index on an expression.
func uniqueColumn(message string) string {
	_, columns, ok := strings.Cut(message, "constraint failed: ")
	if !ok || strings.Contains(columns, ",") {
		return ""
	}
	_, column, _ := strings.Cut(columns, ".")
	return column
}

// refusal names the file in an error that keeps the database from opening.
func refusal(path string, err error) error {
	e, ok := errors.AsType[sqlite3.Error](err)
	if !ok {
		return err
	}
	switch e.Code {
	case sqlite3.ErrCorrupt, sqlite3.ErrNotADB:
		return corrupt(path, err)
	case sqlite3.ErrReadonly, sqlite3.ErrPerm, sqlite3.ErrCantOpen:
		return readOnly(path, err)
	default:
		return translate(err)
	}
}

func corrupt(path string, cause error) error {
	return fault.Wrap(cause, fault.Unavailable, "DATABASE_CORRUPT", "The database file "+path+
		" is damaged. Keep a copy of it and of its -wal file, then restore the newest backup.")
}

func readOnly(path string, cause error) error {
	return fault.Wrap(cause, fault.Unavailable, "DATABASE_READ_ONLY", path+
		" cannot be written. Make it writable for the user that runs console, or point SWITCHGEAR_DATA at another directory.")
}

func onNetwork(dir, filesystem string) error {
	return fault.New(fault.Unavailable, "DATABASE_NETWORK", "The data directory "+dir+" is on a network filesystem ("+
		filesystem+"), which cannot keep a database safe. Set SWITCHGEAR_DATA to a directory on a local disk.")
}

func newer(path string, have, want int64) error {
	return fault.New(fault.Unavailable, "DATABASE_NEWER", fmt.Sprintf(
		"The database file %s was written by a newer release (schema %d, this one knows %d). "+
			"Run that release, or restore a backup from before the upgrade.", path, have, want))
}

func errClosed() error {
	return fault.New(fault.Unavailable, "DATABASE_CLOSED", "The database is closed because console is stopping.")
}

func errBusy(cause error) error {
	return fault.Wrap(cause, fault.Unavailable, "DATABASE_BUSY",
		"The database is busy. Try again in a moment.").WithRetryAfter(retryAfter)
}

func commitUnknown(cause error) error {
	message := "It is not certain whether the change was stored. Look before you try again."
	if e, ok := errors.AsType[sqlite3.Error](cause); ok && e.Code == sqlite3.ErrFull {
		message = "The disk is full. " + message
	}
	return fault.Wrap(cause, fault.Unavailable, "COMMIT_UNKNOWN", message)
}

// WriteProblem is why the last write failed, when the store itself was the reason (disk full, input or
// output error, read-only, a commit of unknown outcome); nil once a write has succeeded again.
func (d *DB) WriteProblem() error {
	if problem := d.problem.Load(); problem != nil {
		return problem
	}
	return nil
}

// noteWrite remembers how a write ended. Errors of the caller's own say nothing about the store.
func (d *DB) noteWrite(err error) {
	if err == nil {
		if d.problem.Load() != nil { // looking is free for everybody, storing is not
			d.problem.Store(nil)
		}
		return
	}
	e, ok := errors.AsType[*fault.Error](err)
	if ok && slices.Contains([]string{"COMMIT_UNKNOWN", "DISK_FULL", "DATABASE_IO", "DATABASE_READ_ONLY", "DATABASE_CORRUPT"}, e.Code) {
		d.problem.Store(e)
	}
}
