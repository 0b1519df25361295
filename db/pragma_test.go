package db

import (
	"database/sql"
	"maps"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"switchgear/internal/fault"
)

func TestPragmasOnEveryConnection(t *testing.T) {
	t.Parallel()
	d := openTemp(t)
	tests := []struct {
		name string
		pool *sql.DB
		size int
		want map[string]string
	}{
		{name: "writer", pool: d.writer, size: 1, want: map[string]string{"query_only": "0"}},
		{name: "readers", pool: d.reader, size: defaultReaders, want: map[string]string{"query_only": "1"}},
	}
	for _, test := range tests {
		// Written out here and not taken from the code: this is the promise.
		maps.Copy(test.want, map[string]string{
			"journal_mode": "wal", "synchronous": "2", "foreign_keys": "1", "secure_delete": "1",
			"busy_timeout": "5000", "journal_size_limit": "67108864", "wal_autocheckpoint": "1000",
			"cell_size_check": "1", "mmap_size": "0", "trusted_schema": "0",
		})
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			for i := range test.size {
				conn, err := test.pool.Conn(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				// Kept until the end, so that each round gets another connection.
				t.Cleanup(func() { _ = conn.Close() })
				got := map[string]string{}
				for name := range test.want {
					var value string
					if err := conn.QueryRowContext(t.Context(), "PRAGMA "+name).Scan(&value); err != nil {
						t.Fatalf("%s: %v", name, err)
					}
					got[name] = value
				}
				if diff := cmp.Diff(test.want, got); diff != "" {
					t.Errorf("connection %d (-want +got):\n%s", i, diff)
				}
			}
		})
	}
}

func TestCheckPragmas(t *testing.T) {
	t.Parallel()
	pragmas := writerPragmas(5 * time.Second)
	good := func() map[string]string {
		values := map[string]string{}
		for _, p := range pragmas {
			values[p.name] = p.want
		}
		return values
	}
	if err := checkPragmas(pragmas, good()); err != nil {
		t.Fatalf("the wanted values are refused: %v", err)
	}
	for _, p := range pragmas {
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			values := good()
			values[p.name] += "x"
			err := checkPragmas(pragmas, values)
			wantCode(t, err, fault.Unavailable, "DATABASE_SETTINGS")
			if !strings.Contains(err.Error(), p.name) {
				t.Errorf("%q does not name %s", err, p.name)
			}
		})
	}
}

// TestNormalIsRefused opens a pool as the driver would without our word: synchronous=NORMAL, under
// which a commit is not on disk when it returns.
func TestNormalIsRefused(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), databaseFile)
	for _, drop := range []string{"_synchronous", "_secure_delete", "_foreign_keys", "_journal_mode"} {
		t.Run(drop, func(t *testing.T) {
			t.Parallel()
			params := sharedParams(defaultBusyTimeout)
			params.Set("_journal_mode", "WAL")
			params.Del(drop)
			pool := openPool(dsn(path+drop, params), writerPragmas(defaultBusyTimeout), 1, nil)
			t.Cleanup(func() { _ = pool.Close() })
			wantCode(t, pool.PingContext(t.Context()), fault.Unavailable, "DATABASE_SETTINGS")
		})
	}
}

func TestReadersCannotWrite(t *testing.T) {
	t.Parallel()
	d := openTemp(t)
	createItems(t, d)
	err := d.QueryRow(t.Context(), "INSERT INTO items (id) VALUES ($1) RETURNING id", "a").Scan(new(string))
	wantCode(t, err, fault.Unavailable, "DATABASE_READ_ONLY")
	if n := countItems(t, d); n != 0 {
		t.Errorf("%d rows were written", n)
	}
}
