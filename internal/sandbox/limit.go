package sandbox

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"time"

	"switchgear/internal/fault"
)

// The dialects in which a provider tells its rate limit.
const (
	DialectRateLimit = "ratelimit"           // RateLimit and RateLimit-Policy, Retry-After in seconds
	DialectFields    = "ratelimit_fields"    // RateLimit-Limit, -Remaining and -Reset in seconds, as older drafts had it
	DialectEpoch     = "x_ratelimit_epoch"   // X-RateLimit-* with the reset as seconds since 1970, no Retry-After
	DialectSeconds   = "x_ratelimit_seconds" // X-RateLimit-* with the reset as seconds from now
	DialectDate      = "retry_after_date"    // only Retry-After, as a date
	DialectForbidden = "forbidden"           // like x_ratelimit_epoch, but refuses with 403
)

// Dialects returns every dialect.
func Dialects() []string {
	return []string{DialectRateLimit, DialectFields, DialectEpoch, DialectSeconds, DialectDate, DialectForbidden}
}

// Limit is a fixed window: so many requests, then none until it is over. The window begins with the first
// request. The zero value limits nothing.
type Limit struct {
	Requests int
	Per      time.Duration
	// Dialect is one of [Dialects]; empty is ratelimit.
	Dialect string
}

func (l Limit) check() error {
	switch {
	case l.Requests < 0, l.Requests > 0 && l.Per < time.Second:
		return fault.New(fault.Invalid, "", "sandbox: a limit needs requests and a window of a second or more")
	case l.Dialect != "" && !slices.Contains(Dialects(), l.Dialect):
		return fault.Newf(fault.Invalid, "sandbox: there is no dialect %q", l.Dialect)
	}
	return nil
}

func (l Limit) refusal() int {
	if l.Dialect == DialectForbidden {
		return http.StatusForbidden
	}
	return http.StatusTooManyRequests
}

// window counts the requests of one limit.
type window struct {
	began time.Time
	used  int
}

// take counts a request and returns what the answer says about the limit, and whether it is refused.
func (w *window) take(l Limit, now time.Time) (http.Header, bool) {
	h := http.Header{}
	if l.Requests == 0 {
		return h, false
	}
	if now.Sub(w.began) >= l.Per {
		w.began, w.used = now, 0
	}
	limited := w.used >= l.Requests
	if !limited {
		w.used++
	}
	ends := w.began.Add(l.Per)
	// Rounded up: who waits as long as they were told must not come too early.
	seconds := strconv.Itoa(int((ends.Sub(now) + time.Second - 1) / time.Second))
	epoch := strconv.FormatInt(ends.Add(time.Second-1).Unix(), 10)
	limit, left := strconv.Itoa(l.Requests), strconv.Itoa(l.Requests-w.used)
	switch l.Dialect {
	case DialectFields:
		h.Set("Ratelimit-Limit", limit)
		h.Set("Ratelimit-Remaining", left)
		h.Set("Ratelimit-Reset", seconds)
	case DialectEpoch, DialectForbidden, DialectSeconds:
		h.Set("X-Ratelimit-Limit", limit)
		h.Set("X-Ratelimit-Remaining", left)
		h.Set("X-Ratelimit-Reset", epoch)
		if l.Dialect == DialectSeconds {
			h.Set("X-Ratelimit-Reset", seconds)
		}
	case DialectDate:
		if limited {
			h.Set("Retry-After", ends.Add(time.Second-1).UTC().Format(http.TimeFormat))
		}
	default:
		h.Set("Ratelimit", fmt.Sprintf(`"default";r=%s;t=%s`, left, seconds))
		h.Set("Ratelimit-Policy", fmt.Sprintf(`"default";q=%s;w=%d`, limit, int(l.Per.Seconds())))
		if limited {
			h.Set("Retry-After", seconds)
		}
	}
	return h, limited
}
