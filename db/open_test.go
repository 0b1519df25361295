package db

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"switchgear/internal/fault"
)

func TestOpenCreatesPrivateFiles(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "a", "data ?#%41 é") // all of it must survive the way into a URI
	d := openDir(t, dir)
	createItems(t, d)
	modes := map[string]os.FileMode{
		".": os.ModeDir | 0o700, databaseFile: 0o600, databaseFile + "-wal": 0o600,
		databaseFile + "-shm": 0o600, lockFile: 0o600,
	}
	for name, want := range modes {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil {
			t.Error(err)
			continue
		}
		if info.Mode() != want {
			t.Errorf("%s has mode %v, want %v", name, info.Mode(), want)
		}
	}
}

func TestOpenMakesAnOldFilePrivate(t *testing.T) {
	t.Parallel()
	dir := closedDatabase(t)
	path := filepath.Join(dir, databaseFile)
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	openDir(t, dir)
	info, err := os.Stat(path)
	if err != nil || info.Mode() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
}

func TestOpenNeedsADirectory(t *testing.T) {
	t.Parallel()
	if _, err := Open(t.Context(), Config{}); err == nil {
		t.Error("no directory, no error")
	}
}

func TestReopenKeepsData(t *testing.T) {
	t.Parallel()
	dir := closedDatabase(t)
	d := openDir(t, dir)
	if d.lock.unclean || countItems(t, d) != 500 {
		t.Errorf("unclean %v, %d rows", d.lock.unclean, countItems(t, d))
	}
}

func TestClose(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	d := openDir(t, dir)
	createItems(t, d)
	for range 2 {
		if err := d.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if size, err := fileSize(filepath.Join(dir, databaseFile+"-wal")); err != nil || size != 0 {
		t.Errorf("the write-ahead log has %d bytes, %v", size, err)
	}
	if size, err := fileSize(filepath.Join(dir, lockFile)); err != nil || size != 0 {
		t.Errorf("the lock file has %d bytes, %v", size, err)
	}
	_, queryErr := d.Query(t.Context(), "SELECT 1") //nolint:sqlclosecheck,rowserrcheck // there are no rows
	_, infoErr := d.Info(t.Context())
	for name, err := range map[string]error{
		"InTx":     d.InTx(t.Context(), func(*Tx) error { return nil }),
		"QueryRow": d.QueryRow(t.Context(), "SELECT 1").Scan(new(int)),
		"Query":    queryErr,
		"Info":     infoErr,
	} {
		if fault.CodeOf(err) != "DATABASE_CLOSED" {
			t.Errorf("%s after Close: %v", name, err)
		}
	}
}

func TestLockedBySameProcess(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	openDir(t, dir)
	_, err := Open(t.Context(), Config{Dir: dir})
	wantRefusal(t, err, "DATABASE_LOCKED", filepath.Join(dir, lockFile), "process "+strconv.Itoa(os.Getpid()), "Stop that process")
}

func TestLockedByAnotherProcess(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	d := openDir(t, dir)
	out := runOpen(t, testBinary(t), dir, nil)
	if !strings.HasPrefix(out, "DATABASE_LOCKED\n") || !strings.Contains(out, "process "+strconv.Itoa(os.Getpid())) {
		t.Errorf("the child says %q", out)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	if out := runOpen(t, testBinary(t), dir, nil); out != "ok\n" {
		t.Errorf("after Close the child says %q", out)
	}
}

// runOpen opens dir in another process, as another user if credential is not nil, and returns what it says.
func runOpen(t *testing.T, binary, dir string, credential *syscall.Credential) string {
	t.Helper()
	cmd := childCommand(t, binary, "open", dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: credential}
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return string(out)
}

func TestCorruptHeader(t *testing.T) {
	t.Parallel()
	tests := map[string]func(t *testing.T, path string){
		"other magic":     func(t *testing.T, path string) { t.Helper(); patch(t, path, 0, []byte("PK\x03\x04 a zip file")) },
		"too short":       func(t *testing.T, path string) { t.Helper(); truncate(t, path, 50) },
		"wrong page size": func(t *testing.T, path string) { t.Helper(); patch(t, path, 16, []byte{0x12, 0x34}) },
	}
	for name, damage := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := closedDatabase(t)
			path := filepath.Join(dir, databaseFile)
			damage(t, path)
			before := readFile(t, path)
			_, err := Open(t.Context(), Config{Dir: dir})
			wantRefusal(t, err, "DATABASE_CORRUPT", path, "restore the newest backup")
			if readFile(t, path) != before {
				t.Error("the damaged file was changed")
			}
		})
	}
}

// TestFlippedPage damages a page in the middle of a table. After a clean stop nothing looks at it until
// it is read; after an unclean one Open walks all pages.
func TestFlippedPage(t *testing.T) {
	t.Parallel()
	dir := closedDatabase(t)
	path := filepath.Join(dir, databaseFile)
	size, err := fileSize(path)
	if err != nil {
		t.Fatal(err)
	}
	const page = 4096
	last := size/page - 2 // well inside the rows that closedDatabase wrote
	patch(t, path, last*page, []byte("\xff\xff\xff\xff\xff\xff\xff\xff"))

	if err := os.WriteFile(filepath.Join(dir, lockFile), []byte("4242\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for range 2 { // the mark survives the refusal
		_, err = Open(t.Context(), Config{Dir: dir})
		wantRefusal(t, err, "DATABASE_CORRUPT", path, "restore the newest backup")
	}

	if err := os.Truncate(filepath.Join(dir, lockFile), 0); err != nil {
		t.Fatal(err)
	}
	d := openDir(t, dir)
	wantCode(t, d.QueryRow(t.Context(), "SELECT sum(length(payload)) FROM items").Scan(new(int)),
		fault.Unavailable, "DATABASE_CORRUPT")
}

func TestNewerSchema(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	d := openDir(t, dir)
	mustExec(t, d, "INSERT INTO goose_db_version (version_id, is_applied) VALUES ($1, 1)", 99999)
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	_, err := Open(t.Context(), Config{Dir: dir})
	wantRefusal(t, err, "DATABASE_NEWER", filepath.Join(dir, databaseFile), "99999", "restore a backup")
	// The refusal leaves nothing behind.
	if size, err := fileSize(filepath.Join(dir, lockFile)); err != nil || size != 0 {
		t.Errorf("the lock file has %d bytes, %v", size, err)
	}
}

// TestReadOnly runs in a child without privileges, because root may write everything.
func TestReadOnly(t *testing.T) {
	t.Parallel()
	const nobody = 65534
	var credential *syscall.Credential
	owner := os.Getuid()
	if owner == 0 {
		owner = nobody
		credential = &syscall.Credential{Uid: nobody, Gid: nobody}
	}
	tests := []struct {
		name  string
		dir   os.FileMode
		files map[string]os.FileMode
		named string
	}{
		{"directory without a lock file", 0o500, map[string]os.FileMode{databaseFile: 0o600}, lockFile},
		{"database file", 0o700, map[string]os.FileMode{databaseFile: 0o400, lockFile: 0o600}, databaseFile},
		{"directory", 0o500, map[string]os.FileMode{databaseFile: 0o600, lockFile: 0o600}, databaseFile},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			dir := closedDatabase(t)
			if err := os.Remove(filepath.Join(dir, lockFile)); err != nil {
				t.Fatal(err)
			}
			for name, mode := range test.files {
				path := filepath.Join(dir, name)
				if f, err := os.OpenFile(path, os.O_CREATE, 0o600); err != nil || f.Close() != nil {
					t.Fatal(err)
				}
				own(t, path, owner, mode)
			}
			own(t, dir, owner, test.dir)
			t.Cleanup(func() { _ = os.Chmod(dir, 0o700) })
			// The directory above is private to root.
			own(t, filepath.Dir(dir), os.Getuid(), 0o755)
			out := runOpen(t, reachableBinary(t), dir, credential)
			if !strings.HasPrefix(out, "DATABASE_READ_ONLY\n") || !strings.Contains(out, filepath.Join(dir, test.named)+" cannot") {
				t.Errorf("the child says %q", out)
			}
		})
	}
}

func own(t *testing.T, path string, owner int, mode os.FileMode) {
	t.Helper()
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(path, owner, -1); err != nil {
		t.Fatal(err)
	}
}

// reachableBinary copies the test binary to where any user may run it.
func reachableBinary(t *testing.T) string {
	t.Helper()
	source, err := os.Open(testBinary(t))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = source.Close() }()
	dir := t.TempDir()
	own(t, filepath.Dir(dir), os.Getuid(), 0o755)
	own(t, dir, os.Getuid(), 0o755)
	path := filepath.Join(dir, "child")
	// A process that another test starts meanwhile would share the open file for a moment, and a file
	// that is open for writing cannot be run.
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	target, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY, 0o755)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(target, source); err != nil {
		t.Fatal(err)
	}
	if err := target.Close(); err != nil {
		t.Fatal(err)
	}
	return path
}

// closedDatabase leaves a directory behind as a clean stop does, with 500 rows.
func closedDatabase(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	d, err := Open(context.Background(), Config{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	createItems(t, d)
	mustExec(t, d, "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i < 500) INSERT INTO items SELECT i, randomblob(300) FROM n")
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	return dir
}

func wantRefusal(t *testing.T, err error, code string, parts ...string) {
	t.Helper()
	wantCode(t, err, fault.Unavailable, code)
	for _, part := range parts {
		if !strings.Contains(fault.PublicMessage(err), part) {
			t.Errorf("%q does not say %q", fault.PublicMessage(err), part)
		}
	}
}

func patch(t *testing.T, path string, at int64, content []byte) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt(content, at); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}

func truncate(t *testing.T, path string, size int64) {
	t.Helper()
	if err := os.Truncate(path, size); err != nil {
		t.Fatal(err)
	}
}

func readFile(t *testing.T, path string) string {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}
