package credentials

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"switchgear/db"
	"switchgear/internal/dbtest"
	"switchgear/internal/fault"
	"switchgear/internal/telemetry"
)

func open(t *testing.T, d *db.DB, source KeySource) (*Keyring, error) {
	t.Helper()
	return OpenKeyring(t.Context(), Deps{DB: d, Source: source, Logger: telemetry.Discard(), Now: time.Now})
}

func mustOpen(t *testing.T, d *db.DB, source KeySource) *Keyring {
	t.Helper()
	ring, err := open(t, d, source)
	if err != nil {
		t.Fatal(err)
	}
	return ring
}

func macOf(t *testing.T, ring *Keyring, p Purpose) []byte {
	t.Helper()
	f, err := ring.MAC(p)
	if err != nil {
		t.Fatal(err)
	}
	return f([]byte("m"))
}

func keyText(fill byte) telemetry.Secret {
	return telemetry.NewSecret(base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{fill}, masterKeySize)))
}

func TestFirstStartMakesKeyAndKeysets(t *testing.T) {
	t.Parallel()
	d := dbtest.New(t)
	source := KeySource{File: filepath.Join(t.TempDir(), "switchgear.key")}

	ring := mustOpen(t, d, source)
	if !ring.Created() {
		t.Error("Created() = false on the first start")
	}
	info, err := os.Stat(source.File)
	if err != nil {
		t.Fatal(err)
	}
	if got := info.Mode().Perm(); got != 0o600 {
		t.Errorf("key file mode = %#o, want 0600", got)
	}
	if !strings.HasPrefix(ring.Fingerprint(), "kek_") {
		t.Errorf("fingerprint = %q", ring.Fingerprint())
	}
	if got := len(macOf(t, ring, PurposeAudit)); got != 32 {
		t.Errorf("a MAC has %d bytes, want 32", got)
	}
	if bytes.Equal(macOf(t, ring, PurposeAPIKey), macOf(t, ring, PurposeAudit)) {
		t.Error("two purposes share a key")
	}

	again := mustOpen(t, d, source)
	if again.Created() {
		t.Error("Created() = true on the second start")
	}
	if !bytes.Equal(macOf(t, ring, PurposeAudit), macOf(t, again, PurposeAudit)) {
		t.Error("the MAC changed over a restart")
	}
	if again.Fingerprint() != ring.Fingerprint() {
		t.Error("the fingerprint changed over a restart")
	}
}

func TestSealed(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		source func(t *testing.T, file string) KeySource
		want   string
	}{
		"missing file": {func(t *testing.T, _ string) KeySource {
			t.Helper()
			return KeySource{File: filepath.Join(t.TempDir(), "gone.key")}
		}, "missing"},
		"another key": {func(*testing.T, string) KeySource { return KeySource{Value: keyText(9)} }, "wrong master key"},
		"garbage in the file": {func(t *testing.T, file string) KeySource {
			t.Helper()
			if err := os.WriteFile(file, []byte("not a key"), 0o600); err != nil {
				t.Fatal(err)
			}
			return KeySource{File: file}
		}, "32 bytes"},
		"readable by others": {func(t *testing.T, file string) KeySource {
			t.Helper()
			if err := os.Chmod(file, 0o644); err != nil {
				t.Fatal(err)
			}
			return KeySource{File: file}
		}, "read by others"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := dbtest.New(t)
			file := filepath.Join(t.TempDir(), "switchgear.key")
			first := mustOpen(t, d, KeySource{File: file})
			before := macOf(t, first, PurposeAudit)
			kept, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}

			source := tt.source(t, file)
			_, err = open(t, d, source)
			sealed, ok := errors.AsType[*SealedError](err)
			if !ok {
				t.Fatalf("error = %v, want a SealedError", err)
			}
			if !strings.Contains(sealed.Reason, tt.want) || sealed.Expected != first.Fingerprint() {
				t.Errorf("reason = %q, expected = %q", sealed.Reason, sealed.Expected)
			}
			if source.File != file {
				if _, err := os.Stat(source.File); source.File != "" && !errors.Is(err, fs.ErrNotExist) {
					t.Error("a sealed start made a key file")
				}
			}

			// The right key opens everything again: nothing was overwritten.
			if err := os.WriteFile(file, kept, 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Chmod(file, 0o600); err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(before, macOf(t, mustOpen(t, d, KeySource{File: file}), PurposeAudit)) {
				t.Error("the keyset changed while sealed")
			}
		})
	}
}

// A keyset row that moves to another purpose must not open: an API key's MAC would then pass for one of
// the audit log.
func TestKeysetIsBoundToItsPurpose(t *testing.T) {
	t.Parallel()
	d := dbtest.New(t)
	source := KeySource{Value: keyText(1)}
	mustOpen(t, d, source)
	swapKeysets(t, d)
	_, err := open(t, d, source)
	if _, ok := errors.AsType[*SealedError](err); !ok {
		t.Fatalf("error = %v, want a SealedError", err)
	}
}

func swapKeysets(t *testing.T, d *db.DB) {
	t.Helper()
	err := d.InTx(t.Context(), func(tx *db.Tx) error {
		for _, step := range [][2]string{{"apikey", "tmp"}, {"audit", "apikey"}, {"tmp", "audit"}} {
			if _, err := tx.Exec(context.WithoutCancel(t.Context()), `UPDATE keysets SET purpose = $2 WHERE purpose = $1`, step[0], step[1]); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// The same row in another installation must not open either.
func TestKeysetIsBoundToItsInstallation(t *testing.T) {
	t.Parallel()
	d := dbtest.New(t)
	source := KeySource{Value: keyText(1)}
	mustOpen(t, d, source)
	err := d.InTx(t.Context(), func(tx *db.Tx) error {
		_, err := tx.Exec(t.Context(), `UPDATE meta SET value = 'ins_other' WHERE key = 'installation_id'`)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	_, err = open(t, d, source)
	if _, ok := errors.AsType[*SealedError](err); !ok {
		t.Fatalf("error = %v, want a SealedError", err)
	}
}

func TestUnusableKeyOnFirstStartIsAnError(t *testing.T) {
	t.Parallel()
	d := dbtest.New(t)
	_, err := open(t, d, KeySource{Value: telemetry.NewSecret("short")})
	if fault.CodeOf(err) != "MASTER_KEY_UNUSABLE" {
		t.Fatalf("error = %v", err)
	}
	if strings.Contains(err.Error(), "short") {
		t.Errorf("the error repeats the key: %v", err)
	}
}

func TestUnknownPurpose(t *testing.T) {
	t.Parallel()
	ring := mustOpen(t, dbtest.New(t), KeySource{Value: keyText(1)})
	if _, err := ring.MAC("nothing"); err == nil {
		t.Fatal("no error for an unknown purpose")
	}
}
