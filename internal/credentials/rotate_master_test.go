package credentials

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"switchgear/db"
	"switchgear/internal/fault"
	"switchgear/internal/telemetry"
)

func (i *installation) rotateMaster(ctx context.Context) (MasterRotation, error) {
	return i.ring.RotateMaster(ctx, func(context.Context, *db.Tx, MasterRotation) error { return nil })
}

func readKey(t *testing.T, file string) telemetry.Secret {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return telemetry.NewSecret(strings.TrimSpace(string(text)))
}

func TestRotateMaster(t *testing.T) {
	t.Parallel()
	i := filled(t)
	values, first := i.mustValues(t), i.ring.Fingerprint()
	chain := macOf(t, i.ring, PurposeAudit)

	done, err := i.rotateMaster(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if done.From != first || done.To == first || i.ring.Fingerprint() != done.To {
		t.Errorf("%+v, in use %s", done, i.ring.Fingerprint())
	}
	if diff := cmp.Diff([]string{first}, i.ring.Previous()); diff != "" {
		t.Error(diff)
	}
	i.rotate(t) // The data keys can be rotated in the same process.
	second, err := i.rotateMaster(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{i.source.File, i.source.previousFile(), i.source.keptFile(first)} {
		if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", file, info, err)
		}
	}
	i.reopen(t)
	if i.ring.Fingerprint() != second.To || i.ring.Rewrapped() != "" {
		t.Errorf("%s in use, rewrapped %q", i.ring.Fingerprint(), i.ring.Rewrapped())
	}
	i.wantValues(t, "after a restart", values)
	if string(chain) != string(macOf(t, i.ring, PurposeAudit)) {
		t.Error("the key of the audit log is another one")
	}
	left, err := filepath.Glob(filepath.Join(i.dir, ".switchgear-key-*"))
	if err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// When the transaction fails, the files have changed and the database has not. A second try, and a start, end
// the rotation that was begun instead of beginning another one.
func TestRotateMasterAgainAfterAFailure(t *testing.T) {
	t.Parallel()
	for name, restart := range map[string]bool{"again": false, "restart": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			i := filled(t)
			values, first := i.mustValues(t), i.ring.Fingerprint()
			_, err := i.ring.RotateMaster(t.Context(), func(context.Context, *db.Tx, MasterRotation) error { return errors.New("no") })
			if err == nil || i.ring.Fingerprint() != first {
				t.Fatalf("%v, %s in use", err, i.ring.Fingerprint())
			}
			begun := readKey(t, i.source.File)
			i.wantValues(t, "after the failure", values)
			if restart {
				i.reopen(t)
				if i.ring.Rewrapped() != first {
					t.Errorf("rewrapped from %q, want %s", i.ring.Rewrapped(), first)
				}
			} else if _, err := i.rotateMaster(t.Context()); err != nil {
				t.Fatal(err)
			}
			if readKey(t, i.source.File).Reveal() != begun.Reveal() || i.ring.Fingerprint() == first {
				t.Error("another key was made")
			}
			i.reopen(t)
			i.wantValues(t, "at the end", values)
		})
	}
}

func TestRotateMasterRefuses(t *testing.T) {
	t.Parallel()
	i := filled(t)
	key := readKey(t, i.source.File)
	i.source.Value = key
	i.reopen(t)
	_, err := i.rotateMaster(t.Context())
	wantCode(t, err, fault.Conflict, "MASTER_KEY_FROM_ENVIRONMENT")
	if strings.Contains(err.Error(), key.Reveal()) {
		t.Error("the error holds the key")
	}
	i.source.Value = telemetry.Secret{}
	i.reopen(t)
	if err := os.WriteFile(i.source.File, []byte(keyText(7).Reveal()), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := i.rotateMaster(t.Context()); !fault.Is(err, fault.Conflict) {
		t.Errorf("another key in the file: %v", err)
	}
	if err := os.Remove(i.source.File); err != nil {
		t.Fatal(err)
	}
	if _, err := i.rotateMaster(t.Context()); fault.CodeOf(err) != "MASTER_KEY_UNUSABLE" {
		t.Errorf("no key file: %v", err)
	}
}

// copyOf is a backup of an installation that is closed: the data without the key.
func copyOf(t *testing.T, i *installation) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "data"), 0o700); err != nil {
		t.Fatal(err)
	}
	err := filepath.WalkDir(filepath.Join(i.dir, "data"), func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		from, err := os.Open(path)
		if err != nil {
			return err
		}
		defer func() { _ = from.Close() }()
		to, err := os.Create(filepath.Join(dir, "data", filepath.Base(path)))
		if err != nil {
			return err
		}
		_, err = io.Copy(to, from)
		return errors.Join(err, to.Close())
	})
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// A backup from before rotations opens with the previous key, named by a file, by the environment or left
// where the rotation put it, and is wrapped with the present one.
func TestOldBackupOpensWithThePreviousKey(t *testing.T) {
	t.Parallel()
	i := filled(t)
	values, first := i.mustValues(t), i.ring.Fingerprint()
	firstKey := readKey(t, i.source.File)
	if err := i.db.Close(); err != nil {
		t.Fatal(err)
	}
	i.db = nil
	backups := map[string]string{}
	for _, name := range []string{"left beside", "environment", "file", "none"} {
		backups[name] = copyOf(t, i)
	}
	i.reopen(t)
	for range 2 { // The key of the backup is older than the previous one.
		i.rotate(t)
		if _, err := i.rotateMaster(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	present := readKey(t, i.source.File)
	for name, dir := range backups {
		old := installationIn(dir)
		switch name {
		case "left beside":
			old.source.File = i.source.File
		case "environment":
			old.source = KeySource{Value: present, Previous: firstKey}
		case "file":
			kept := filepath.Join(dir, "kept.key")
			if err := os.WriteFile(kept, []byte(firstKey.Reveal()+"\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			old.source = KeySource{Value: present, PreviousFile: kept}
		case "none":
			old.source = KeySource{Value: present}
			err := old.open(t.Context())
			sealed, ok := errors.AsType[*SealedError](err)
			if !ok || sealed.Expected != first || !strings.Contains(sealed.Reason, "previous") {
				t.Errorf("without the previous key: %v", err)
			}
			continue
		}
		old.reopen(t)
		if old.ring.Rewrapped() != first {
			t.Errorf("%s: rewrapped from %q", name, old.ring.Rewrapped())
		}
		old.wantValues(t, name, values)
		old.source.Previous, old.source.PreviousFile = telemetry.Secret{}, ""
		old.reopen(t)
		old.wantValues(t, name+", with the present key alone", values)
		if err := old.db.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// A previous key that is readable by others, damaged or another one opens nothing, and says nothing wrong.
func TestPreviousKeyThatCannotBeUsed(t *testing.T) {
	t.Parallel()
	i := filled(t)
	if err := os.WriteFile(i.source.previousFile(), []byte("damaged"), 0o600); err != nil {
		t.Fatal(err)
	}
	i.source.Previous = keyText(5)
	i.reopen(t)
	if got := i.ring.Previous(); len(got) != 1 {
		t.Errorf("previous keys %v", got)
	}
	// It may be what a backup needs, so a rotation does not write over it.
	if _, err := i.rotateMaster(t.Context()); fault.CodeOf(err) != "MASTER_KEY_UNUSABLE" {
		t.Errorf("rotated over a file that cannot be read: %v", err)
	}
}
