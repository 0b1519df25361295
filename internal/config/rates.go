package config

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Rate allows a number of requests in a window.
type Rate struct {
	Requests int
	Per      time.Duration
}

// Rates are limits that all hold at once, written 100/1s,3000/1m.
type Rates []Rate

// maxRates bounds the windows: each is looked at by every request.
const maxRates = 4

// String writes the limits the way they are read.
func (r Rates) String() string {
	parts := make([]string, len(r))
	for i, rate := range r {
		parts[i] = strconv.Itoa(rate.Requests) + "/" + short(rate.Per)
	}
	return strings.Join(parts, ",")
}

// UnmarshalText reads the limits.
func (r *Rates) UnmarshalText(text []byte) error {
	var out Rates
	for part := range strings.SplitSeq(string(text), ",") {
		count, window, ok := strings.Cut(strings.TrimSpace(part), "/")
		n, err := strconv.Atoi(count)
		if !ok || err != nil || n < 1 || n > 1_000_000 {
			return errors.New("is not REQUESTS/WINDOW")
		}
		per, err := time.ParseDuration(window)
		if err != nil || per < time.Second || per > 24*time.Hour || per%time.Second != 0 {
			return fmt.Errorf("has no window of whole seconds, up to 24h: %q", window)
		}
		out = append(out, Rate{Requests: n, Per: per})
	}
	if len(out) > maxRates {
		return fmt.Errorf("has more than %d windows", maxRates)
	}
	*r = out
	return nil
}
