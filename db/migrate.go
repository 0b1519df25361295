package db

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"

	"github.com/pressly/goose/v3"
)

//go:embed migrations/*.sql
var migrationFiles embed.FS

// migrate brings the schema up to the newest embedded version. There is no way down: a database that
// is ahead of this binary is refused untouched.
func migrate(ctx context.Context, pool *sql.DB, path string) error {
	files, err := fs.Sub(migrationFiles, "migrations")
	if err != nil {
		return fmt.Errorf("find the migrations: %w", err)
	}
	provider, err := goose.NewProvider(goose.DialectSQLite3, pool, files,
		goose.WithDisableGlobalRegistry(true), goose.WithLogger(goose.NopLogger()))
	if err != nil {
		return fmt.Errorf("load the migrations: %w", err)
	}
	have, err := schemaVersion(ctx, pool)
	if err != nil {
		return refusal(path, err)
	}
	sources := provider.ListSources()
	if want := sources[len(sources)-1].Version; have > want {
		return newer(path, have, want)
	}
	if _, err := provider.Up(ctx); err != nil {
		return refusal(path, fmt.Errorf("migrate: %w", err))
	}
	return nil
}

// schemaVersion is the newest migration that was applied, 0 for a new database.
func schemaVersion(ctx context.Context, pool *sql.DB) (int64, error) {
	var table string
	err := pool.QueryRowContext(ctx,
		"SELECT name FROM sqlite_master WHERE type = 'table' AND name = ?1", goose.DefaultTablename).Scan(&table)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	var version sql.NullInt64
	err = pool.QueryRowContext(ctx,
		"SELECT max(version_id) FROM "+goose.DefaultTablename+" WHERE is_applied = 1").Scan(&version)
	return version.Int64, err
}
