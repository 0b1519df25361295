package credentials

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"switchgear/internal/fault"
	"switchgear/internal/telemetry"
)

const masterKeySize = 32

// KeySource says where the master key comes from: Value when it is set, the file otherwise.
type KeySource struct {
	// File is the path of the key file: 32 bytes in base64, mode 0600.
	File string
	// Value is the key itself in base64, for platforms that inject secrets by environment.
	Value telemetry.Secret
	// Previous and PreviousFile name the key before a rotation, for databases that it still wraps: one
	// whose rotation did not end, or that was restored from an older backup. Without a PreviousFile, the
	// files that a rotation leaves beside File are looked at.
	Previous     telemetry.Secret
	PreviousFile string
}

// masterKey wraps keysets. It is never stored beside them.
type masterKey struct{ bytes []byte }

// fingerprint identifies a key without giving it away: kek_ and 8 hex digits of HMAC-SHA-256(key, "id").
func (m masterKey) fingerprint() string {
	mac := hmac.New(sha256.New, m.bytes)
	mac.Write([]byte("id"))
	return "kek_" + hex.EncodeToString(mac.Sum(nil)[:4])
}

// errNoMasterKey means that the source names no key at all, as opposed to an unusable one.
var errNoMasterKey = errors.New("no master key")

// load reads the key that the source names. It returns errNoMasterKey when there is none.
func (s KeySource) load() (masterKey, error) {
	if !s.Value.IsZero() {
		return decodeMasterKey("SWITCHGEAR_KEY", s.Value.Reveal())
	}
	return readMasterKey(s.File)
}

func readMasterKey(file string) (masterKey, error) {
	info, err := os.Stat(file)
	if errors.Is(err, fs.ErrNotExist) {
		return masterKey{}, errNoMasterKey
	}
	if err != nil {
		return masterKey{}, unusable(file, "cannot be read", err)
	}
	if !info.Mode().IsRegular() {
		return masterKey{}, unusable(file, "is not a regular file", nil)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return masterKey{}, unusable(file, fmt.Sprintf("may be read by others (mode %#o); run chmod 600 on it", info.Mode().Perm()), nil)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return masterKey{}, unusable(file, "cannot be read", err)
	}
	return decodeMasterKey(file, string(text))
}

// previousFile is where a rotation keeps the key that it replaces.
func (s KeySource) previousFile() string { return s.File + ".previous" }

// keptFile is where a key is kept that is older than the previous one.
func (s KeySource) keptFile(fingerprint string) string { return s.File + "." + fingerprint }

// previous returns the keys before the present one that can be read, the latest first. wanted is the
// fingerprint that is looked for.
func (s KeySource) previous(wanted string) []masterKey {
	var out []masterKey
	if !s.Previous.IsZero() {
		if key, err := decodeMasterKey("SWITCHGEAR_KEY_PREVIOUS", s.Previous.Reveal()); err == nil {
			out = append(out, key)
		}
	}
	files := []string{s.PreviousFile}
	if s.File != "" {
		files = append(files, s.previousFile(), s.keptFile(wanted))
	}
	for _, file := range files {
		if file == "" {
			continue
		}
		if key, err := readMasterKey(file); err == nil {
			out = append(out, key)
		}
	}
	return out
}

func decodeMasterKey(from, text string) (masterKey, error) {
	raw, err := base64.StdEncoding.DecodeString(strings.TrimSpace(text))
	if err != nil || len(raw) != masterKeySize {
		// The decoding error could quote the key: it stays out.
		return masterKey{}, unusable(from, "does not hold 32 bytes in base64", nil)
	}
	return masterKey{bytes: raw}, nil
}

func unusable(from, what string, cause error) error {
	return fault.Wrap(cause, fault.Unavailable, "MASTER_KEY_UNUSABLE", "master key "+from+" "+what)
}

// create makes a new key file. It never replaces one: an existing file is an error.
func (s KeySource) create() (masterKey, error) {
	key := newMasterKey()
	dir := filepath.Dir(s.File)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return masterKey{}, unusable(s.File, "cannot be created", err)
	}
	// Written aside and then linked: the name appears only with the whole key behind it, and never in
	// the place of another file.
	f, err := os.CreateTemp(dir, ".switchgear-key-*") // mode 0600
	if err != nil {
		return masterKey{}, unusable(s.File, "cannot be created", err)
	}
	defer func() { _ = os.Remove(f.Name()) }()
	if err = writeMasterKey(f, key); err == nil {
		err = os.Link(f.Name(), s.File)
	}
	if err == nil {
		err = syncDir(dir)
	}
	if err != nil {
		return masterKey{}, unusable(s.File, "cannot be written", err)
	}
	return key, nil
}

func newMasterKey() masterKey {
	key := masterKey{bytes: make([]byte, masterKeySize)}
	rand.Read(key.bytes) // never fails: crypto/rand ends the process instead
	return key
}

// writeMasterKey writes key into f, durably, and closes it.
func writeMasterKey(f *os.File, key masterKey) error {
	_, err := f.WriteString(base64.StdEncoding.EncodeToString(key.bytes) + "\n")
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// replaceKeyFile puts key into file, whole or not at all, in the place of what is there.
func replaceKeyFile(file string, key masterKey) error {
	dir := filepath.Dir(file)
	f, err := os.CreateTemp(dir, ".switchgear-key-*") // mode 0600
	if err != nil {
		return unusable(file, "cannot be written", err)
	}
	defer func() { _ = os.Remove(f.Name()) }() // gone already when all went well
	if err = writeMasterKey(f, key); err == nil {
		err = os.Rename(f.Name(), file)
	}
	if err == nil {
		err = syncDir(dir)
	}
	if err != nil {
		return unusable(file, "cannot be written", err)
	}
	return nil
}

// syncDir makes a new directory entry durable: without it a power cut could lose the key file while
// the database that needs it survives.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	err = d.Sync()
	return errors.Join(err, d.Close())
}
