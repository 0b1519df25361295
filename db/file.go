package db

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"
)

// The first bytes of every SQLite database.
const headerMagic = "SQLite format 3\x00"

// headerSize is the length of the header; a shorter file that is not empty is damaged.
const headerSize = 100

// prepareDir makes sure that the directory exists and that its filesystem keeps the promises of fsync
// and locks.
func prepareDir(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		if isReadOnly(err) {
			return readOnly(dir, err)
		}
		return fmt.Errorf("create the data directory: %w", err)
	}
	if info, err := os.Stat(dir); err == nil && info.Mode().Perm()&0o077 != 0 {
		if err := os.Chmod(dir, 0o700); err != nil { //nolint:gosec // G302: a directory needs its x bit.
			return fmt.Errorf("make the data directory private: %w", err)
		}
	}
	filesystem, err := networkFilesystem(dir)
	if err != nil {
		return err
	}
	if filesystem != "" {
		return onNetwork(dir, filesystem)
	}
	return nil
}

// prepareFile makes sure that the database file exists, is ours to write and private, and starts like
// a database. SQLite gives its -wal and -shm files the mode of this one.
func prepareFile(path string) (err error) {
	// A link could lead two data directories to one file, past the lock of each.
	if info, err := os.Lstat(path); err == nil && !info.Mode().IsRegular() {
		return corrupt(path, errors.New("it is not a regular file"))
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		if isReadOnly(err) {
			return readOnly(path, err)
		}
		return fmt.Errorf("open the database file: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	info, err := f.Stat()
	if err != nil {
		return fmt.Errorf("look at the database file: %w", err)
	}
	if info.Mode().Perm()&0o077 != 0 {
		if err := f.Chmod(0o600); err != nil {
			return fmt.Errorf("make the database file private: %w", err)
		}
	}
	if info.Size() == 0 {
		return nil
	}
	header := make([]byte, headerSize)
	if _, err := io.ReadFull(f, header); err != nil {
		return corrupt(path, fmt.Errorf("read the header: %w", err))
	}
	if !bytes.HasPrefix(header, []byte(headerMagic)) {
		return corrupt(path, errors.New("the header is not that of a SQLite database"))
	}
	return nil
}

// quickCheck walks every page. It costs a full read of the file, so it runs only when the last stop
// was not a clean one.
func quickCheck(ctx context.Context, pool *sql.DB, path string) (err error) {
	rows, err := pool.QueryContext(ctx, "PRAGMA quick_check(10)")
	if err != nil {
		return refusal(path, err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	var problems []string
	for rows.Next() {
		var line string
		if err := rows.Scan(&line); err != nil {
			return refusal(path, err)
		}
		if line != "ok" {
			problems = append(problems, line)
		}
	}
	if err := rows.Err(); err != nil {
		return refusal(path, err)
	}
	if len(problems) > 0 {
		return corrupt(path, errors.New(strings.Join(problems, "; ")))
	}
	return nil
}

func isReadOnly(err error) bool {
	return errors.Is(err, os.ErrPermission) || errors.Is(err, syscall.EROFS)
}
