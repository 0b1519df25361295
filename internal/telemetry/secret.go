package telemetry

import (
	"encoding/json"
	"fmt"
	"log/slog"
)

// Redacted is what a secret looks like wherever it would otherwise be printed.
const Redacted = "[redacted]"

// Secret holds a value that must not be printed. fmt (every verb), encoding/json, encoding.TextMarshaler
// users and slog all show [Redacted]; only Reveal gives the value away, so that a reviewer can search
// for every place that does.
//
// A Secret can be read from configuration (UnmarshalText) and from JSON; it can never be written back.
type Secret struct{ value string }

// NewSecret wraps a value.
func NewSecret(value string) Secret { return Secret{value: value} }

// Reveal returns the value. Call it only where the value is used, never where it is shown.
func (s Secret) Reveal() string { return s.value }

// IsZero reports whether there is no value.
func (s Secret) IsZero() bool { return s.value == "" }

// Format implements fmt.Formatter for every verb, so that %x and %q leak no more than %s.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(s.String())) }

// String returns Redacted, or nothing when there is no value.
func (s Secret) String() string {
	if s.value == "" {
		return ""
	}
	return Redacted
}

// GoString implements fmt.GoStringer.
func (s Secret) GoString() string { return s.String() }

// LogValue implements slog.LogValuer.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalJSON implements json.Marshaler.
func (s Secret) MarshalJSON() ([]byte, error) { return json.Marshal(s.String()) }

// MarshalText implements encoding.TextMarshaler.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (s *Secret) UnmarshalText(text []byte) error {
	s.value = string(text)
	return nil
}
