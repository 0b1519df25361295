package db

import (
	"database/sql"
	"io/fs"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestNewID(t *testing.T) {
	t.Parallel()
	form := regexp.MustCompile(`^usr_[0-9a-hjkmnp-tv-z]{26}$`)
	seen := map[string]bool{}
	for range 10000 {
		id := NewID("usr")
		if !form.MatchString(id) || seen[id] {
			t.Fatalf("%q has another form or came twice", id)
		}
		seen[id] = true
	}
	if id := NewID("usr_"); !form.MatchString(id) {
		t.Errorf("with an underscore: %q", id)
	}
}

func TestIDsSortByTime(t *testing.T) {
	t.Parallel()
	start := time.UnixMilli(1_700_000_000_000)
	ids := make([]string, 5000)
	for step := range ids {
		ids[step] = newID("evt", start.Add(time.Duration(step*step)*time.Millisecond))
	}
	if !slices.IsSorted(ids) {
		t.Error("later ids sort before earlier ones")
	}
}

func TestTimes(t *testing.T) {
	t.Parallel()
	when := time.Date(2026, 11, 24, 1, 2, 3, 456789000, time.FixedZone("", 3600))
	if got := Time(Micros(when)); !got.Equal(when) || got.Location() != time.UTC {
		t.Errorf("got %v", got)
	}
	if got := NullMicros(time.Time{}); got != nil {
		t.Errorf("the zero time became %v", got)
	}
	if got := NullMicros(when); got != when.UnixMicro() {
		t.Errorf("got %v", got)
	}
	if got := NullTime(sql.NullInt64{}); !got.IsZero() {
		t.Errorf("NULL became %v", got)
	}
	if got := NullTime(sql.NullInt64{Int64: Micros(when), Valid: true}); !got.Equal(when) {
		t.Errorf("got %v", got)
	}
}

func TestLike(t *testing.T) {
	t.Parallel()
	d := openTemp(t)
	for _, text := range []string{"plain", "100%", "a_b", `back\slash`, `\%_`} {
		var found bool
		query := `SELECT $1 LIKE '%' || $2 || '%' ESCAPE '\'`
		if err := d.QueryRow(t.Context(), query, "<"+text+">", Like(text)).Scan(&found); err != nil || !found {
			t.Errorf("%q does not find itself: %v", text, err)
		}
		if err := d.QueryRow(t.Context(), query, "1000 aXb back slash", Like(text)).Scan(&found); err != nil || found {
			t.Errorf("%q finds something else: %v", text, err)
		}
	}
}

func TestInfo(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	d := openDir(t, dir)
	createItems(t, d)
	info, err := d.Info(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if info.Path != filepath.Join(dir, databaseFile) || info.SizeBytes == 0 || info.WALBytes == 0 ||
		!strings.HasPrefix(info.SQLiteVersion, "3.") || info.SchemaVersion < 1 || info.Pragmas["synchronous"] != "2" {
		t.Errorf("got %+v", info)
	}
}

// TestMigrationsOnlyGoForward keeps the way back closed; internal/archtest keeps the numbers dense.
func TestMigrationsOnlyGoForward(t *testing.T) {
	t.Parallel()
	names, err := fs.Glob(migrationFiles, "migrations/*.sql")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		content, err := fs.ReadFile(migrationFiles, name)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(content), "-- +goose Up") || strings.Contains(string(content), "+goose Down") {
			t.Errorf("%s needs an Up section and must not have a Down section", name)
		}
	}
	d := openTemp(t)
	info, err := d.Info(t.Context())
	if err != nil || info.SchemaVersion != int64(len(names)) {
		t.Errorf("schema %d after %d migrations, %v", info.SchemaVersion, len(names), err)
	}
}
