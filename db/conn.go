package db

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"net/url"
	"strconv"
	"time"

	"github.com/mattn/go-sqlite3"
)

// statementCache is how many prepared statements a connection keeps.
const statementCache = "128"

// connector opens connections with its own driver value, so that nothing is registered globally. The
// driver's hook sets and verifies the pragmas: also a connection opened hours later is checked.
type connector struct {
	driver *sqlite3.SQLiteDriver
	dsn    string
}

var _ driver.Connector = connector{}

func (c connector) Connect(context.Context) (driver.Conn, error) { return c.driver.Open(c.dsn) }

func (c connector) Driver() driver.Driver { return c.driver }

// openPool makes a pool of at most size connections that are kept open. verified, if not nil, is told
// the settings of each new connection.
func openPool(dsn string, pragmas []pragma, size int, verified func(map[string]string)) *sql.DB {
	hook := func(conn *sqlite3.SQLiteConn) error {
		got, err := applyPragmas(conn, pragmas)
		if err != nil {
			return err
		}
		if err := checkPragmas(pragmas, got); err != nil {
			return err
		}
		if verified != nil {
			verified(got)
		}
		return nil
	}
	pool := sql.OpenDB(connector{driver: &sqlite3.SQLiteDriver{ConnectHook: hook}, dsn: dsn})
	pool.SetMaxOpenConns(size)
	pool.SetMaxIdleConns(size)
	return pool
}

func writerDSN(path string, busy time.Duration) string {
	q := sharedParams(busy)
	q.Set("mode", "rw")
	q.Set("_journal_mode", "WAL")
	q.Set("_txlock", "immediate") // a deferred transaction fails at once when it turns into a write
	return dsn(path, q)
}

func readerDSN(path string, busy time.Duration) string {
	q := sharedParams(busy)
	q.Set("mode", "ro")
	q.Set("_query_only", "on")
	return dsn(path, q)
}

func sharedParams(busy time.Duration) url.Values {
	return url.Values{
		"_synchronous":     {"FULL"}, // the driver's own choice is NORMAL, which may lose commits
		"_busy_timeout":    {strconv.FormatInt(busy.Milliseconds(), 10)},
		"_foreign_keys":    {"on"},
		"_secure_delete":   {"on"},
		"_stmt_cache_size": {statementCache},
	}
}

func dsn(path string, q url.Values) string {
	u := url.URL{Scheme: "file", Path: path, RawQuery: q.Encode()}
	return u.String()
}
