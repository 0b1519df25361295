package db

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"switchgear/internal/fault"
)

// dirLock is the ownership of a data directory. The file holds the process id of the owner while it
// runs and is empty after a clean stop; the kernel drops the lock itself when a process dies.
type dirLock struct {
	file *os.File
	// unclean reports that the owner before us did not stop cleanly.
	unclean bool
}

func acquireLock(path string) (_ *dirLock, err error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		if isReadOnly(err) {
			return nil, readOnly(path, err)
		}
		return nil, fmt.Errorf("open the lock file: %w", err)
	}
	defer func() {
		if err != nil {
			_ = f.Close() // the reason for failing is the error that matters
		}
	}()
	lockErr := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if lockErr != nil && !errors.Is(lockErr, unix.EWOULDBLOCK) {
		return nil, fmt.Errorf("lock %s (the data directory must be on a local disk): %w", path, lockErr)
	}
	content, err := io.ReadAll(io.LimitReader(f, 64))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	owner := strings.TrimSpace(string(content))
	if lockErr != nil {
		return nil, locked(path, owner)
	}
	lock := &dirLock{file: f, unclean: owner != ""}
	if err := lock.write(strconv.Itoa(os.Getpid()) + "\n"); err != nil {
		return nil, fmt.Errorf("write %s: %w", path, err)
	}
	return lock, nil
}

func locked(path, owner string) error {
	who := "another process"
	if owner != "" {
		who = "process " + owner
	}
	return fault.New(fault.Unavailable, "DATABASE_LOCKED", path+" is held by "+who+
		", and a data directory serves one process at a time. Stop that process, or set SWITCHGEAR_DATA to another directory.")
}

func (l *dirLock) write(content string) error {
	if err := l.file.Truncate(0); err != nil {
		return err
	}
	_, err := l.file.WriteAt([]byte(content), 0)
	return err
}

// release marks a clean stop and gives the directory up. The file stays: removing it would let two
// processes lock two different files of the same name.
func (l *dirLock) release() error {
	return errors.Join(l.write(""), l.drop())
}

// drop gives the directory up without the mark of a clean stop. Closing alone would not do: a process
// that is just being started still shares the file, and with it the lock.
func (l *dirLock) drop() error {
	return errors.Join(unix.Flock(int(l.file.Fd()), unix.LOCK_UN), l.file.Close())
}
