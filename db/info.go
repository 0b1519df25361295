package db

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/mattn/go-sqlite3"
)

// Info describes an open database for the system page and the doctor command.
type Info struct {
	Path          string
	SizeBytes     int64
	WALBytes      int64
	SQLiteVersion string
	SchemaVersion int64
	// Pragmas are the settings that the writing connection read back when it was opened.
	Pragmas map[string]string
}

// Info looks at the files and the schema. It does not wait for the writer.
func (d *DB) Info(ctx context.Context) (Info, error) {
	if d.closed.Load() {
		return Info{}, errClosed()
	}
	size, err := fileSize(d.path)
	if err != nil {
		return Info{}, fmt.Errorf("db: info: %w", err)
	}
	wal, err := fileSize(d.path + "-wal")
	if err != nil {
		return Info{}, fmt.Errorf("db: info: %w", err)
	}
	schema, err := schemaVersion(ctx, d.reader)
	if err != nil {
		return Info{}, fmt.Errorf("db: info: %w", translate(err))
	}
	version, _, _ := sqlite3.Version()
	return Info{
		Path: d.path, SizeBytes: size, WALBytes: wal,
		SQLiteVersion: version, SchemaVersion: schema, Pragmas: d.settings.get(),
	}, nil
}

func fileSize(path string) (int64, error) {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}
