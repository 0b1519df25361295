package db

import (
	"context"
	"fmt"
)

// maxDamages is how many are named.
const maxDamages = 20

// Check looks for damage in the whole file: pages, rows and references. It reads everything, and holds up no
// writer. It returns what it found, at most so much that a person reads it.
func (d *DB) Check(ctx context.Context) (damages []string, err error) {
	if d.closed.Load() {
		return nil, errClosed()
	}
	found := func(query string, row func(scan func(dest ...any) error) error) error {
		rows, err := d.reader.QueryContext(ctx, query)
		if err != nil {
			return fmt.Errorf("db: check: %w", translate(err))
		}
		defer func() { _ = rows.Close() }()
		for rows.Next() && len(damages) < maxDamages {
			if err := row(rows.Scan); err != nil {
				return fmt.Errorf("db: check: %w", translate(err))
			}
		}
		return translate(rows.Err())
	}
	if err := found(fmt.Sprintf("PRAGMA quick_check(%d)", maxDamages), func(scan func(dest ...any) error) error {
		var line string
		err := scan(&line)
		if line != "ok" {
			damages = append(damages, line)
		}
		return err
	}); err != nil {
		return nil, err
	}
	err = found("PRAGMA foreign_key_check", func(scan func(dest ...any) error) error {
		var (
			table, parent string
			row           *int64
			key           int
		)
		err := scan(&table, &row, &parent, &key)
		damages = append(damages, "a row of "+table+" refers to a row of "+parent+" that is not there")
		return err
	})
	return damages, err
}
