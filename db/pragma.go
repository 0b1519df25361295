package db

import (
	"database/sql/driver"
	"errors"
	"fmt"
	"maps"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/mattn/go-sqlite3"

	"switchgear/internal/fault"
)

// pragma is a setting of a connection and the value that it must read back as.
type pragma struct {
	name string
	want string
	set  bool // set by us; otherwise the DSN does it
}

func writerPragmas(busy time.Duration) []pragma {
	return append(sharedPragmas(busy), pragma{name: "query_only", want: "0"})
}

func readerPragmas(busy time.Duration) []pragma {
	return append(sharedPragmas(busy), pragma{name: "query_only", want: "1"})
}

func sharedPragmas(busy time.Duration) []pragma {
	return []pragma{
		{name: "journal_mode", want: "wal"},
		{name: "synchronous", want: "2"}, // FULL
		{name: "foreign_keys", want: "1"},
		{name: "secure_delete", want: "1"},
		{name: "busy_timeout", want: strconv.FormatInt(busy.Milliseconds(), 10)},
		{name: "journal_size_limit", want: strconv.Itoa(64 << 20), set: true},
		{name: "wal_autocheckpoint", want: "1000", set: true},
		{name: "cell_size_check", want: "1", set: true},
		{name: "mmap_size", want: "0", set: true},
		{name: "trusted_schema", want: "0", set: true},
		{name: "temp_store", want: "2", set: true}, // memory: nothing spills outside the data directory
		{name: "fullfsync", want: "1", set: true},  // macOS: fsync alone does not reach the disk
		{name: "checkpoint_fullfsync", want: "1", set: true},
	}
}

// applyPragmas sets what the DSN cannot and reads every pragma back.
func applyPragmas(conn *sqlite3.SQLiteConn, pragmas []pragma) (map[string]string, error) {
	got := make(map[string]string, len(pragmas))
	for _, p := range pragmas {
		if p.set {
			if _, err := conn.Exec("PRAGMA "+p.name+" = "+p.want, nil); err != nil {
				return nil, fmt.Errorf("set %s: %w", p.name, err)
			}
		}
		value, err := readPragma(conn, p.name)
		if err != nil {
			return nil, fmt.Errorf("read %s back: %w", p.name, err)
		}
		got[p.name] = value
	}
	return got, nil
}

func readPragma(conn *sqlite3.SQLiteConn, name string) (_ string, err error) {
	rows, err := conn.Query("PRAGMA "+name, nil)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	row := make([]driver.Value, len(rows.Columns()))
	if err := rows.Next(row); err != nil {
		return "", err
	}
	if len(row) == 0 {
		return "", errors.New("no value")
	}
	return fmt.Sprint(row[0]), nil
}

// checkPragmas compares what was read back with what durability and safety need.
func checkPragmas(pragmas []pragma, got map[string]string) error {
	var wrong []string
	for _, p := range pragmas {
		if got[p.name] != p.want {
			wrong = append(wrong, fmt.Sprintf("%s is %q, must be %q", p.name, got[p.name], p.want))
		}
	}
	if len(wrong) == 0 {
		return nil
	}
	return fault.New(fault.Unavailable, "DATABASE_SETTINGS",
		"The database does not accept the settings that keep data safe ("+strings.Join(wrong, "; ")+
			"). Put the data directory on a local disk and use a release build of console.")
}

// settings remembers the values that the newest writing connection read back.
type settings struct {
	mu     sync.Mutex
	values map[string]string
}

func (s *settings) set(values map[string]string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.values = values
}

func (s *settings) get() map[string]string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.values)
}
