// Package apikey is the format of the keys that applications present.
//
//	sg_<id>_<secret>_<checksum>
//
// id is 12 characters and public: it finds the key. secret is 32 random bytes as 43 characters. The
// checksum is the CRC-32 of everything before its underscore as 6 characters: it tells a mistyped key
// from a wrong one, lets scanners recognise a leaked one, and protects nothing. All parts are base 62,
// so a double click selects a key whole and no shell or URL needs it quoted.
package apikey

import (
	"crypto/rand"
	"errors"
	"hash/crc32"
	"math/big"
	"strings"

	"switchgear/internal/telemetry"
)

const (
	prefix      = "sg_"
	idLength    = 12
	secretBytes = 32
	// 62^43 > 2^256 and 62^6 > 2^32.
	secretLength   = 43
	checksumLength = 6
	length         = len(prefix) + idLength + 1 + secretLength + 1 + checksumLength
	alphabet       = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
)

// ErrMalformed says that a text is not a key: wrong length, prefix, alphabet or checksum. It carries
// nothing of the text.
var ErrMalformed = errors.New("apikey: not an API key")

// Key is a key taken apart.
type Key struct {
	ID     string
	Secret telemetry.Secret
}

// New returns a random key.
func New() Key {
	id := make([]byte, idLength)
	for i := range id {
		id[i] = randomDigit()
	}
	secret := make([]byte, secretBytes)
	_, _ = rand.Read(secret) // never fails: the program ends instead
	return Key{ID: string(id), Secret: telemetry.NewSecret(encode(new(big.Int).SetBytes(secret), secretLength))}
}

// Text is the form that is given to the application.
func (k Key) Text() telemetry.Secret {
	body := prefix + k.ID + "_" + k.Secret.Reveal()
	sum := checksum(body)
	return telemetry.NewSecret(body + "_" + string(sum[:]))
}

// Parse takes a presented key apart. It accepts exactly what [Key.Text] produces.
func Parse(text string) (Key, error) {
	if len(text) != length || !strings.HasPrefix(text, prefix) {
		return Key{}, ErrMalformed
	}
	const (
		idEnd     = len(prefix) + idLength
		secretEnd = idEnd + 1 + secretLength
	)
	id, secret, sum := text[len(prefix):idEnd], text[idEnd+1:secretEnd], text[secretEnd+1:]
	want := checksum(text[:secretEnd])
	if text[idEnd] != '_' || text[secretEnd] != '_' || !isBase62(id) || !isBase62(secret) || sum != string(want[:]) {
		return Key{}, ErrMalformed
	}
	return Key{ID: id, Secret: telemetry.NewSecret(secret)}, nil
}

func checksum(body string) (out [checksumLength]byte) {
	n := crc32.ChecksumIEEE([]byte(body))
	for i := checksumLength - 1; i >= 0; i-- {
		out[i] = alphabet[n%uint32(len(alphabet))]
		n /= uint32(len(alphabet))
	}
	return out
}

// encode writes n in base 62, padded with zeros.
func encode(n *big.Int, width int) string {
	out := make([]byte, width)
	base, digit := big.NewInt(int64(len(alphabet))), new(big.Int)
	for i := width - 1; i >= 0; i-- {
		n.DivMod(n, base, digit)
		out[i] = alphabet[digit.Int64()]
	}
	return string(out)
}

// randomDigit draws again rather than favour the first digits.
func randomDigit() byte {
	var b [1]byte
	for {
		_, _ = rand.Read(b[:])
		if n := int(b[0] & 63); n < len(alphabet) {
			return alphabet[n]
		}
	}
}

func isBase62(s string) bool {
	for _, c := range []byte(s) {
		if strings.IndexByte(alphabet, c) < 0 {
			return false
		}
	}
	return true
}
