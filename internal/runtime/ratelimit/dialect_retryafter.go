package ratelimit

import (
	"net/http"
	"time"
)

// The sizes by which a number of seconds is told from a Unix time, and that from one in milliseconds.
const (
	epochSeconds = 1e9
	epochMillis  = 1e12
)

// moment reads a time that is a number of seconds from now, a Unix time in seconds or milliseconds (the
// size tells), or a date as in RFC 3339 or RFC 9110. A time that has passed is now.
func moment(text string, at clock) (time.Duration, bool) {
	if f, ok := number(text); ok {
		switch {
		case f > epochMillis:
			return at.until(epoch(f / 1e3)), true
		case f > epochSeconds:
			return at.until(epoch(f)), true
		}
		return seconds(f), true
	}
	if text == "" {
		return 0, false
	}
	if t, err := time.Parse(time.RFC3339, text); err == nil {
		return at.until(t), true
	}
	if t, err := http.ParseTime(text); err == nil {
		return at.until(t), true
	}
	return 0, false
}

// epoch is a Unix time. What lies beyond the year 2286 is as good as never.
func epoch(f float64) time.Time {
	whole := min(f, 1e10)
	return time.Unix(int64(whole), int64((whole-float64(int64(whole)))*1e9))
}

// ParseRetryAfter reads a Retry-After header: seconds or a date, compared with the Date of the same answer
// where it has one. It reports false when there is none or it is malformed. The result is bounded by 366
// days and not below 0.
func ParseRetryAfter(h http.Header, now time.Time) (time.Duration, bool) {
	return moment(first(h, "Retry-After"), clock{h, now})
}
