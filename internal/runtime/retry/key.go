package retry

import (
	"crypto/rand"
	"encoding/hex"

	"switchgear/internal/fault"
)

// KeyHeader carries the idempotency key.
const KeyHeader = "Idempotency-Key"

// maxKey is the longest key that vendors are known to take.
const maxKey = 255

// NewKey makes a key for one logical call: a random UUID (RFC 9562, version 4). Make it once, note it before
// the first attempt, and send the same with every attempt.
func NewKey() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // It never fails; the process ends if it would.
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	var text [36]byte
	hex.Encode(text[0:8], b[0:4])
	hex.Encode(text[9:13], b[4:6])
	hex.Encode(text[14:18], b[6:8])
	hex.Encode(text[19:23], b[8:10])
	hex.Encode(text[24:36], b[10:16])
	text[8], text[13], text[18], text[23] = '-', '-', '-', '-'
	return string(text[:])
}

// CheckKey accepts the key that a caller sent: visible ASCII, quoted as the draft has it or not, at most 255
// bytes. The error is fault.Invalid and does not repeat the key.
func CheckKey(key string) error {
	if key == "" || len(key) > maxKey {
		return fault.Field("INVALID_IDEMPOTENCY_KEY", KeyHeader, "The idempotency key must have 1 to 255 characters.")
	}
	for i := range len(key) {
		if key[i] <= ' ' || key[i] > '~' {
			return fault.Field("INVALID_IDEMPOTENCY_KEY", KeyHeader, "The idempotency key must be visible ASCII without spaces.")
		}
	}
	return nil
}
