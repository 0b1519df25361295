package db

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"switchgear/internal/fault"
)

// FileName is the name of the database inside its data directory.
const FileName = "console.db"

const (
	databaseFile = FileName
	lockFile     = "console.lock"

	defaultReaders     = 4
	defaultBusyTimeout = 5 * time.Second
)

// Config says where the database lives. Only Dir is required.
type Config struct {
	// Dir is the data directory. It is created with mode 0700 when missing.
	Dir string
	// Readers is the size of the read pool; 0 means 4.
	Readers int
	// BusyTimeout is how long a caller waits for the writer before DATABASE_BUSY; 0 means 5 seconds.
	BusyTimeout time.Duration
}

// DB is an open database. It is safe for concurrent use.
type DB struct {
	path        string
	busyTimeout time.Duration
	writer      *sql.DB
	reader      *sql.DB
	lock        *dirLock
	rewriter    *rewriter
	settings    *settings // of the writing connection, as read back
	problem     atomic.Pointer[fault.Error]

	closed    atomic.Bool
	closeOnce sync.Once
	closeErr  error
}

// Open takes the data directory for this process, checks and migrates the database and opens both
// pools. It refuses, with a fault that names the file and the next step, when another process holds
// the directory (DATABASE_LOCKED), the file is damaged (DATABASE_CORRUPT), was written by a newer
// release (DATABASE_NEWER), cannot be written (DATABASE_READ_ONLY) or is on a network filesystem
// (DATABASE_NETWORK), and when a connection setting does not hold (DATABASE_SETTINGS).
func Open(ctx context.Context, cfg Config) (*DB, error) {
	d, err := open(ctx, cfg)
	if err != nil {
		return nil, fmt.Errorf("db: open %s: %w", filepath.Join(cfg.Dir, databaseFile), err)
	}
	return d, nil
}

func open(ctx context.Context, cfg Config) (_ *DB, err error) {
	if cfg.Dir == "" {
		return nil, errors.New("the data directory is not set")
	}
	dir, err := filepath.Abs(cfg.Dir)
	if err != nil {
		return nil, err
	}
	path := filepath.Join(dir, databaseFile)
	if err := prepareDir(dir); err != nil {
		return nil, err
	}
	lock, err := acquireLock(filepath.Join(dir, lockFile))
	if err != nil {
		return nil, err
	}
	d := &DB{
		path:        path,
		busyTimeout: cmp.Or(cfg.BusyTimeout, defaultBusyTimeout),
		lock:        lock,
		rewriter:    newRewriter(),
		settings:    new(settings),
	}
	defer func() {
		if err != nil {
			d.abandon()
		}
	}()

	unclean := lock.unclean || hasBytes(path+"-wal")
	if err := prepareFile(path); err != nil {
		return nil, err
	}
	d.writer = openPool(writerDSN(path, d.busyTimeout), writerPragmas(d.busyTimeout), 1, d.settings.set)
	if err := d.writer.PingContext(ctx); err != nil {
		return nil, refusal(path, err)
	}
	if unclean {
		if err := quickCheck(ctx, d.writer, path); err != nil {
			return nil, err
		}
	}
	if err := migrate(ctx, d.writer, path); err != nil {
		return nil, err
	}
	readers := cmp.Or(cfg.Readers, defaultReaders)
	d.reader = openPool(readerDSN(path, d.busyTimeout), readerPragmas(d.busyTimeout), readers, nil)
	if err := d.reader.PingContext(ctx); err != nil {
		return nil, refusal(path, err)
	}
	return d, nil
}

// Close waits for running statements, moves the write-ahead log into the database file and gives the
// directory up. Stop every [Writer] first. Calling it again returns the first result.
func (d *DB) Close() error {
	d.closeOnce.Do(func() {
		d.closed.Store(true)
		// The readers go first: an open read snapshot would keep the log from being truncated.
		err := d.reader.Close()
		checkpointErr := d.checkpoint()
		err = errors.Join(err, checkpointErr, d.writer.Close())
		if err == nil {
			err = d.lock.release()
		} else {
			// The next start finds the mark of this process in the lock file and checks the database.
			err = errors.Join(err, d.lock.drop())
		}
		if err != nil {
			d.closeErr = fmt.Errorf("db: close %s: %w", d.path, err)
		}
	})
	return d.closeErr
}

// checkpoint has its own deadline: Close must end, and the log is replayed at the next start anyway.
func (d *DB) checkpoint() error {
	ctx, cancel := context.WithTimeout(context.Background(), txLimit)
	defer cancel()
	var busy, logged, moved int
	row := d.writer.QueryRowContext(ctx, "PRAGMA wal_checkpoint(TRUNCATE)")
	if err := row.Scan(&busy, &logged, &moved); err != nil {
		return fmt.Errorf("checkpoint: %w", err)
	}
	return nil
}

// abandon undoes a half-finished Open. It keeps an unclean mark that it found.
func (d *DB) abandon() {
	for _, pool := range []*sql.DB{d.reader, d.writer} {
		if pool != nil {
			_ = pool.Close() // the reason for abandoning is the error that matters
		}
	}
	if d.lock.unclean {
		_ = d.lock.drop()
		return
	}
	_ = d.lock.release()
}

func hasBytes(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Size() > 0
}
