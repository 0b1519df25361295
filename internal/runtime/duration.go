package runtime

import (
	"encoding/json"
	"errors"
	"strings"
	"time"
)

// Duration is a time.Duration that is written the way Go writes durations, in JSON as well: "250ms",
// "10s", "1h30m".
type Duration time.Duration

// ParseDuration reads a Go duration. A bare number is refused, because nobody can tell its unit.
func ParseDuration(text string) (Duration, error) {
	d, err := time.ParseDuration(text)
	if err != nil {
		return 0, errors.New("must be a duration such as 250ms, 10s or 1h30m")
	}
	return Duration(d), nil
}

// Std returns the standard library's form.
func (d Duration) Std() time.Duration { return time.Duration(d) }

// String writes the shortest form: 10m, not 10m0s.
func (d Duration) String() string {
	s := time.Duration(d).String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// MarshalText implements encoding.TextMarshaler.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (d *Duration) UnmarshalText(text []byte) error {
	parsed, err := ParseDuration(string(text))
	if err != nil {
		return err
	}
	*d = parsed
	return nil
}

// UnmarshalJSON accepts a string only.
func (d *Duration) UnmarshalJSON(raw []byte) error {
	var text string
	if err := json.Unmarshal(raw, &text); err != nil {
		return errors.New("must be a duration in quotes, such as \"10s\"")
	}
	return d.UnmarshalText([]byte(text))
}
