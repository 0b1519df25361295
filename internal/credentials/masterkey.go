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
	info, err := os.Stat(s.File)
	if errors.Is(err, fs.ErrNotExist) {
		return masterKey{}, errNoMasterKey
	}
	if err != nil {
		return masterKey{}, unusable(s.File, "cannot be read", err)
	}
	if !info.Mode().IsRegular() {
		return masterKey{}, unusable(s.File, "is not a regular file", nil)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return masterKey{}, unusable(s.File, fmt.Sprintf("may be read by others (mode %#o); run chmod 600 on it", info.Mode().Perm()), nil)
	}
	text, err := os.ReadFile(s.File)
	if err != nil {
		return masterKey{}, unusable(s.File, "cannot be read", err)
	}
	return decodeMasterKey(s.File, string(text))
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
	key := masterKey{bytes: make([]byte, masterKeySize)}
	rand.Read(key.bytes) // never fails: crypto/rand ends the process instead
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
	_, err = f.WriteString(base64.StdEncoding.EncodeToString(key.bytes) + "\n")
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
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
