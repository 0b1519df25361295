package credentials

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/aead/subtle"
	"github.com/tink-crypto/tink-go/v2/keyset"
	"github.com/tink-crypto/tink-go/v2/mac"
	tinkpb "github.com/tink-crypto/tink-go/v2/proto/tink_go_proto"
	"github.com/tink-crypto/tink-go/v2/tink"

	"switchgear/db"
	"switchgear/internal/fault"
)

// Purpose names what a keyset is for. A keyset opens for its own purpose only.
type Purpose string

// The purposes.
const (
	PurposeAPIKey     Purpose = "apikey"  // MAC
	PurposeAudit      Purpose = "audit"   // MAC
	PurposeCredential Purpose = "cred"    // encryption
	PurposeRequest    Purpose = "request" // MAC
)

func purposes() []Purpose {
	return []Purpose{PurposeAPIKey, PurposeAudit, PurposeCredential, PurposeRequest}
}

// template is the kind of key that a purpose has.
func (p Purpose) template() (*tinkpb.KeyTemplate, error) {
	switch p {
	case PurposeAPIKey, PurposeAudit, PurposeRequest:
		// Without a prefix a MAC is 32 bytes and does not tell which key made it; once keysets rotate,
		// every key of the set is tried.
		template := mac.HMACSHA256Tag256KeyTemplate()
		template.OutputPrefixType = tinkpb.OutputPrefixType_RAW
		return template, nil
	case PurposeCredential:
		return aead.XAES256GCM192BitNonceKeyTemplate(), nil
	}
	return nil, fault.Newf(fault.Internal, "credentials: unknown purpose %q", p)
}

// Deps are what the key ring works with; all are required.
type Deps struct {
	DB     *db.DB
	Source KeySource
	Logger *slog.Logger
	Now    func() time.Time
}

// Keyring holds the opened keysets. It is safe for concurrent use.
type Keyring struct {
	deps         Deps
	installation string
	created      bool
	macs         map[Purpose]tink.MAC
	sealers      map[Purpose]*Sealer
	// changing is held while keysets are written.
	changing sync.Mutex
	master   atomic.Pointer[masterState]
	// next is the master key that a rotation is about to store.
	next atomic.Pointer[masterState]
	// step is called between the steps of a rotation, for tests that end the process there.
	step func(name string)
}

// masterState is the master key in use. It is replaced as a whole.
type masterState struct {
	key         masterKey
	wrapper     tink.AEAD
	fingerprint string
	// previous are the fingerprints of the keys before that can be read.
	previous []string
	// replaced is the fingerprint of the key that this start found the keysets wrapped with; empty when it
	// was the present one.
	replaced string
}

// wrapping returns the master key of a fingerprint: the present one, or the one that a rotation stored just now.
func (k *Keyring) wrapping(fingerprint string) *masterState {
	if next := k.next.Load(); next != nil && next.fingerprint == fingerprint {
		return next
	}
	return k.master.Load()
}

func newMasterState(key masterKey) (*masterState, error) {
	wrapper, err := subtle.NewXChaCha20Poly1305(key.bytes)
	if err != nil {
		return nil, fmt.Errorf("credentials: master key: %w", err)
	}
	return &masterState{key: key, wrapper: wrapper, fingerprint: key.fingerprint()}, nil
}

func (k *Keyring) has(p Purpose) bool { return k.macs[p] != nil || k.sealers[p] != nil }

// add makes an opened keyset usable for its purpose.
func (k *Keyring) add(p Purpose, handle *keyset.Handle) (err error) {
	switch p {
	case PurposeAPIKey, PurposeAudit, PurposeRequest:
		k.macs[p], err = mac.New(handle)
	case PurposeCredential:
		k.sealers[p], err = newSealer(handle)
	default:
		err = fault.Newf(fault.Internal, "unknown purpose")
	}
	if err != nil {
		return fmt.Errorf("credentials: keyset %s: %w", p, err)
	}
	return nil
}

// Sealed says why the keysets of the database do not open.
type Sealed struct {
	// Reason is a sentence for the operator.
	Reason string
	// Expected and Got are fingerprints; Got is empty when there is no usable key.
	Expected, Got string
}

// SealedError means that the database holds keysets which the present master key cannot open. The
// process must then refuse all work that needs a key and change nothing, until the right key is back.
type SealedError struct{ Sealed }

// Error returns the reason.
func (e *SealedError) Error() string { return "sealed: " + e.Reason }

// Fingerprint identifies the master key in use, such as kek_ab12cd34. It gives nothing away.
func (k *Keyring) Fingerprint() string { return k.master.Load().fingerprint }

// Previous are the fingerprints of the master keys before the present one that this process can read. They
// open older backups.
func (k *Keyring) Previous() []string { return k.master.Load().previous }

// Rewrapped is the fingerprint of the master key that the keysets were wrapped with until this start, which
// wrapped them with the present one: the database is an older one, or a rotation had not ended. It is empty
// otherwise.
func (k *Keyring) Rewrapped() string { return k.master.Load().replaced }

// Created reports whether this start made the master key, so that someone is told to back it up.
func (k *Keyring) Created() bool { return k.created }

// MAC returns a function that computes the MAC of a message (32 bytes) under the keyset of a purpose.
// The result is deterministic until the keyset is rotated; compare it in constant time.
func (k *Keyring) MAC(purpose Purpose) (func(message []byte) []byte, error) {
	m, ok := k.macs[purpose]
	if !ok {
		return nil, fault.Newf(fault.Internal, "credentials: no keyset for purpose %q", purpose)
	}
	return func(message []byte) []byte {
		sum, err := m.ComputeMAC(message)
		if err != nil {
			// HMAC fails only for a misconfigured key, which NewHandle has ruled out. An empty MAC
			// must never be compared or stored, so this cannot go on.
			panic(fmt.Errorf("credentials: compute mac for %s: %w", purpose, err))
		}
		return sum
	}, nil
}

type keysetRow struct {
	purpose, wrapped, fingerprint string
}

// OpenKeyring opens the keysets with the master key, making what does not exist yet: the key file when
// the database holds no keyset, and the keyset of every purpose that has none. Keysets that a previous master
// key wraps are wrapped with the present one.
//
// It returns a *SealedError when keysets exist and the master key is missing, unusable or another one.
func OpenKeyring(ctx context.Context, deps Deps) (*Keyring, error) {
	rows, err := loadKeysets(ctx, deps.DB)
	if err != nil {
		return nil, err
	}
	keys, err := resolveMasterKey(deps.Source, rows)
	if err != nil {
		return nil, err
	}
	ring := &Keyring{
		deps: deps, created: keys.created, macs: map[Purpose]tink.MAC{}, sealers: map[Purpose]*Sealer{}, step: func(string) {},
	}
	master, err := newMasterState(keys.present)
	if err != nil {
		return nil, err
	}
	for _, key := range keys.previous {
		if name := key.fingerprint(); name != master.fingerprint && !slices.Contains(master.previous, name) {
			master.previous = append(master.previous, name)
		}
	}
	if ring.created {
		deps.Logger.LogAttrs(ctx, slog.LevelInfo, "master key created",
			slog.String("file", deps.Source.File), slog.String("fingerprint", master.fingerprint))
	}
	if ring.installation, err = ensureInstallation(ctx, deps.DB); err != nil {
		return nil, err
	}
	old, err := newMasterState(keys.wraps)
	if err != nil {
		return nil, err
	}
	for _, row := range rows {
		handle, err := unwrap(old.wrapper, row.wrapped, ring.installation, Purpose(row.purpose))
		if err != nil {
			return nil, &SealedError{Sealed{
				Reason: fmt.Sprintf("the keyset %q does not open with the master key %s; the database may come from another installation or be damaged", row.purpose, old.fingerprint),
				Got:    old.fingerprint, Expected: row.fingerprint,
			}}
		}
		if err := ring.add(Purpose(row.purpose), handle); err != nil {
			return nil, err
		}
	}
	ring.master.Store(master)
	if old.fingerprint != master.fingerprint {
		if err := deps.DB.InTx(ctx, func(tx *db.Tx) error { return ring.rewrap(ctx, tx, old, master) }); err != nil {
			return nil, err
		}
		master.replaced = old.fingerprint
		deps.Logger.LogAttrs(ctx, slog.LevelWarn, "keysets that the previous master key wrapped are wrapped with the present one",
			slog.String("previous", old.fingerprint), slog.String("fingerprint", master.fingerprint))
	}
	if err := ring.addMissing(ctx, deps); err != nil {
		return nil, err
	}
	return ring, ring.revive(ctx)
}

// masterKeys are the keys that a start works with.
type masterKeys struct {
	// present is the key that the source names, wraps the one that the keysets are wrapped with.
	present, wraps masterKey
	previous       []masterKey
	created        bool
}

func resolveMasterKey(source KeySource, rows []keysetRow) (masterKeys, error) {
	key, err := source.load()
	switch {
	case len(rows) == 0 && errors.Is(err, errNoMasterKey):
		key, err = source.create()
		return masterKeys{present: key, wraps: key, created: true}, err
	case len(rows) == 0:
		return masterKeys{present: key, wraps: key}, err
	}
	expected := rows[0].fingerprint
	previous := source.previous(expected)
	switch {
	case errors.Is(err, errNoMasterKey):
		return masterKeys{}, &SealedError{Sealed{Expected: expected, Reason: fmt.Sprintf(
			"the master key is missing: expected %s in %s. Put the key file back (or set SWITCHGEAR_KEY) and restart", expected, source.File)}}
	case err != nil:
		return masterKeys{}, &SealedError{Sealed{Expected: expected, Reason: fmt.Sprintf("%s. Expected the key %s", fault.PublicMessage(err), expected)}}
	case key.fingerprint() == expected:
		return masterKeys{present: key, wraps: key, previous: previous}, nil
	}
	for _, before := range previous {
		if before.fingerprint() == expected {
			return masterKeys{present: key, wraps: before, previous: previous}, nil
		}
	}
	return masterKeys{}, &SealedError{Sealed{Expected: expected, Got: key.fingerprint(), Reason: fmt.Sprintf(
		"wrong master key: expected %s, got %s. Put the right key back, or name it as the previous one, and restart", expected, key.fingerprint())}}
}

func (k *Keyring) addMissing(ctx context.Context, deps Deps) error {
	master := k.master.Load()
	for _, p := range purposes() {
		if k.has(p) {
			continue
		}
		template, err := p.template()
		if err != nil {
			return err
		}
		handle, err := keyset.NewHandle(template)
		if err != nil {
			return fmt.Errorf("credentials: new keyset %s: %w", p, err)
		}
		wrapped, err := wrap(master.wrapper, handle, k.installation, p)
		if err != nil {
			return fmt.Errorf("credentials: wrap keyset %s: %w", p, err)
		}
		if err := insertKeyset(ctx, deps.DB, keysetRow{string(p), wrapped, master.fingerprint}, deps.Now()); err != nil {
			return err
		}
		if err := k.add(p, handle); err != nil {
			return err
		}
	}
	return nil
}

// associated binds a wrapped keyset to where it belongs.
func associated(installation string, p Purpose) []byte {
	return []byte("switchgear keyset v1|" + installation + "|" + string(p))
}

func wrap(wrapper tink.AEAD, handle *keyset.Handle, installation string, p Purpose) (string, error) {
	var buf bytes.Buffer
	if err := handle.WriteWithAssociatedData(keyset.NewBinaryWriter(&buf), wrapper, associated(installation, p)); err != nil {
		return "", err
	}
	return base64.StdEncoding.EncodeToString(buf.Bytes()), nil
}

func unwrap(wrapper tink.AEAD, wrapped, installation string, p Purpose) (*keyset.Handle, error) {
	raw, err := base64.StdEncoding.DecodeString(wrapped)
	if err != nil {
		return nil, err
	}
	return keyset.ReadWithAssociatedData(keyset.NewBinaryReader(bytes.NewReader(raw)), wrapper, associated(installation, p))
}
