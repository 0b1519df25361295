package archtest

import (
	"fmt"
	"io/fs"
	"path"
	"strings"
	"testing"
)

// checkMigrations wants the numbers of migrations to be unique and without a gap: two changes that are made at the
// same time easily take the same one.
func checkMigrations(t *testing.T, fsys fs.FS) []string {
	t.Helper()
	names, err := fs.Glob(fsys, "db/migrations/*.sql") // in the order of their names
	if err != nil {
		t.Fatal(err)
	}
	var bad []string
	for i, name := range names {
		number, _, _ := strings.Cut(path.Base(name), "_")
		if want := fmt.Sprintf("%05d", i+1); number != want {
			bad = append(bad, fmt.Sprintf("%s: has the number %s, and the next one is %s", name, number, want))
		}
	}
	if len(names) == 0 {
		bad = append(bad, "db/migrations: there is no migration")
	}
	return bad
}

func TestMigrations(t *testing.T) {
	t.Parallel()
	report(t, checkMigrations(t, repository(t)))
}

func TestMigrationsCatches(t *testing.T) {
	t.Parallel()
	expect(t, checkMigrations(t, tree("db/migrations/00001_a.sql", "", "db/migrations/00002_b.sql", "")))
	expect(t, checkMigrations(t, tree("db/migrations/00001_a.sql", "", "db/migrations/00001_b.sql", "")), "db/migrations/00001_b.sql: has the number 00001, and the next one is 00002")
	expect(t, checkMigrations(t, tree("db/migrations/00001_a.sql", "", "db/migrations/00003_c.sql", "")), "db/migrations/00003_c.sql: has the number 00003, and the next one is 00002")
	expect(t, checkMigrations(t, tree("db/migrations/1_a.sql", "")), "db/migrations/1_a.sql: has the number 1")
	expect(t, checkMigrations(t, tree("db/open.go", "package db")), "db/migrations: there is no migration")
}
