package telemetry

import (
	"encoding/binary"
	"encoding/hex"
)

// TraceContext says where a call belongs in a distributed trace (W3C Trace Context). The zero value is that
// of a call without one.
type TraceContext struct {
	TraceID [16]byte
	// ParentID is the caller's span, zero when the trace begins here.
	ParentID [8]byte
	// SpanID is the span of the call itself; zero when none is made, and the caller's header passes on.
	SpanID  [8]byte
	Sampled bool
}

// ParseTraceparent reads the values of a traceparent header. It reports false for none, for several, and
// for one that is malformed; a later version than 00 may be followed by more.
func ParseTraceparent(values []string) (c TraceContext, ok bool) {
	const length = 55 // 00-<32>-<16>-<2>
	if len(values) != 1 {
		return c, false
	}
	v := values[0]
	switch {
	case len(v) < length, v[2] != '-', v[35] != '-', v[52] != '-', v[:2] == "ff", v[:2] == "00" && len(v) != length, len(v) > length && v[length] != '-':
		return c, false
	}
	var version, flags [1]byte
	if !unhex(version[:], v[:2]) || !unhex(c.TraceID[:], v[3:35]) || !unhex(c.ParentID[:], v[36:52]) || !unhex(flags[:], v[53:55]) ||
		c.TraceID == [16]byte{} || c.ParentID == [8]byte{} {
		return TraceContext{}, false
	}
	c.Sampled = flags[0]&1 != 0
	return c, true
}

// unhex decodes lower-case digits; the standard allows no others.
func unhex(to []byte, from string) bool {
	for i := range len(from) {
		if from[i] >= 'A' && from[i] <= 'F' {
			return false
		}
	}
	_, err := hex.Decode(to, []byte(from))
	return err == nil
}

// ID is the trace id in hexadecimal, empty when there is none.
func (c TraceContext) ID() string {
	if c.TraceID == [16]byte{} {
		return ""
	}
	return hex.EncodeToString(c.TraceID[:])
}

// Attempt is the id of the span of the nth attempt of the call, from 1 on. It follows from the id of the
// call, so that nobody has to remember it.
func (c TraceContext) Attempt(n int) [8]byte {
	// The finalizer of SplitMix64, which maps different inputs to different outputs.
	z := binary.BigEndian.Uint64(c.SpanID[:]) + uint64(n)*0x9e3779b97f4a7c15 //nolint:gosec // There are a few.
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	z ^= z >> 31
	var id [8]byte
	binary.BigEndian.PutUint64(id[:], max(1, z))
	return id
}

// Traceparent is the header for the nth attempt.
func (c TraceContext) Traceparent(n int) string {
	span := c.Attempt(n)
	flags := "-00"
	if c.Sampled {
		flags = "-01"
	}
	return "00-" + hex.EncodeToString(c.TraceID[:]) + "-" + hex.EncodeToString(span[:]) + flags
}
