package db

import (
	"crypto/rand"
	"encoding/binary"
	"strings"
	"time"
)

// idAlphabet is Crockford's base32 in lower case: its order is that of the bytes, and it has no
// letters that are mistaken for digits.
const idAlphabet = "0123456789abcdefghjkmnpqrstvwxyz"

const (
	idLength  = 26 // 130 bits, of which 128 are used
	timeBytes = 6  // milliseconds since 1970; enough until the year 10889
)

// NewID makes an id: the prefix ("usr"), an underscore and 26 characters. Ids of one prefix sort by
// the millisecond in which they were made, which keeps the indexes compact; 80 random bits keep them
// from being guessed.
func NewID(prefix string) string { return newID(prefix, time.Now()) }

func newID(prefix string, now time.Time) string {
	var raw [16]byte
	var stamp [8]byte
	binary.BigEndian.PutUint64(stamp[:], uint64(now.UnixMilli()))
	copy(raw[:timeBytes], stamp[8-timeBytes:])
	_, _ = rand.Read(raw[timeBytes:]) // never fails since Go 1.24

	var id strings.Builder
	id.Grow(len(prefix) + 1 + idLength)
	id.WriteString(strings.TrimSuffix(prefix, "_"))
	id.WriteByte('_')
	hi, lo := binary.BigEndian.Uint64(raw[:8]), binary.BigEndian.Uint64(raw[8:])
	for i := range idLength {
		id.WriteByte(idAlphabet[bits(hi, lo, (idLength-1-i)*5)])
	}
	return id.String()
}

// bits returns the five bits of the 128-bit number that start at shift.
func bits(hi, lo uint64, shift int) uint64 {
	if shift >= 64 {
		return hi >> (shift - 64) & 31
	}
	return (lo>>shift | hi<<(64-shift)) & 31
}
