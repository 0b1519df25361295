package credentials

import (
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"slices"
	"sync/atomic"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/keyset"
	"github.com/tink-crypto/tink-go/v2/tink"

	"switchgear/internal/fault"
)

// AAD says where a sealed value belongs. What was sealed for one place does not open in another, so that
// nobody can use a secret by moving its row, or hand it to another connection.
type AAD struct {
	Table, Row, Column string
	// Owner and Account are whose value it is: the connection and the account under it.
	Owner, Account string
	// Origin is where the value may be sent to; empty for what is not bound to one.
	Origin  string
	Version int64
}

// Encode is the injective binary form: two places that differ in any part have different bytes, because
// every part is preceded by its length.
func (a AAD) Encode() []byte {
	parts := []string{"switchgear/v1", a.Table, a.Row, a.Column, a.Owner, a.Account}
	if a.Origin != "" { // What was sealed before there were origins opens as it was.
		parts = append(parts, a.Origin)
	}
	size := 8
	for _, p := range parts {
		size += 8 + len(p)
	}
	out := make([]byte, 0, size)
	for _, p := range parts {
		out = binary.BigEndian.AppendUint64(out, uint64(len(p)))
		out = append(out, p...)
	}
	return binary.BigEndian.AppendUint64(out, uint64(a.Version)) //nolint:gosec // the same bits are read back by nobody; only equality counts.
}

// Sealer encrypts values under the keyset of one purpose. It is safe for concurrent use, and follows a
// rotation of the keyset while it is in use.
type Sealer struct{ keys atomic.Pointer[sealingKeys] }

// sealingKeys is a keyset as a Sealer uses it. before are the earlier states of the keyset in this process:
// what is in memory since before a rotation still opens after its key was disabled.
type sealingKeys struct {
	aead    tink.AEAD
	primary uint32
	before  []tink.AEAD
}

func newSealer(handle *keyset.Handle) (*Sealer, error) {
	s := &Sealer{}
	return s, s.use(handle)
}

// use makes the Sealer work with another state of its keyset.
func (s *Sealer) use(handle *keyset.Handle) error {
	primitive, err := aead.New(handle)
	if err != nil {
		return err
	}
	primary, err := handle.Primary()
	if err != nil {
		return err
	}
	next := &sealingKeys{aead: primitive, primary: primary.KeyID()}
	if now := s.keys.Load(); now != nil {
		next.before = append(slices.Clip(now.before), now.aead)
	}
	s.keys.Store(next)
	return nil
}

// primary is the id of the key that seals new values.
func (s *Sealer) primary() uint32 { return s.keys.Load().primary }

// Sealer returns what seals and opens values of a purpose.
func (k *Keyring) Sealer(purpose Purpose) (*Sealer, error) {
	s, ok := k.sealers[purpose]
	if !ok {
		return nil, fault.Newf(fault.Internal, "credentials: no encryption keyset for purpose %q", purpose)
	}
	return s, nil
}

// Seal encrypts plaintext for the place aad. keyID names the key that was used; it is stored beside the
// value, so that a rotation knows what is left to do.
func (s *Sealer) Seal(aad AAD, plaintext []byte) (sealed string, keyID uint32, err error) {
	keys := s.keys.Load()
	sealed, err = keys.seal(aad, plaintext)
	return sealed, keys.primary, err
}

func (k *sealingKeys) seal(aad AAD, plaintext []byte) (string, error) {
	raw, err := k.aead.Encrypt(plaintext, aad.Encode())
	if err != nil {
		return "", fmt.Errorf("credentials: seal %s %s: %w", aad.Table, aad.Row, err)
	}
	return base64.StdEncoding.EncodeToString(raw), nil
}

// Open decrypts what Seal made for the same place. Anything else (damaged, moved, sealed under another
// keyset) is a fault.Unavailable with the code CREDENTIAL_CORRUPT.
func (s *Sealer) Open(aad AAD, sealed string) ([]byte, error) {
	e, err := newEnvelope(aad, sealed)
	if err != nil {
		return nil, err
	}
	return s.open(e)
}

// envelope is a sealed value in the form that is opened, for what is opened often.
type envelope struct{ aad, raw []byte }

func newEnvelope(aad AAD, sealed string) (envelope, error) {
	raw, err := base64.StdEncoding.DecodeString(sealed)
	if err != nil {
		return envelope{}, corrupt(err)
	}
	return envelope{aad.Encode(), raw}, nil
}

func (s *Sealer) open(e envelope) ([]byte, error) {
	keys := s.keys.Load()
	plaintext, err := keys.aead.Decrypt(e.raw, e.aad)
	for i := len(keys.before) - 1; err != nil && i >= 0; i-- {
		plaintext, err = keys.before[i].Decrypt(e.raw, e.aad)
	}
	if err != nil {
		return nil, corrupt(err)
	}
	return plaintext, nil
}

func corrupt(cause error) error {
	return fault.Wrap(cause, fault.Unavailable, "CREDENTIAL_CORRUPT",
		"The stored credential does not open: its record was damaged or moved. Enter the credential again.")
}
