package cache

import (
	"net/http"
	"strings"
	"time"
)

// absent stands for a directive that is not there.
const absent time.Duration = -1

// control is a Cache-Control field, of a request or an answer (RFC 9111, 5.2). Durations are absent or not
// negative.
type control struct {
	noStore, noCache, mustRevalidate, mustUnderstand bool
	onlyIfCached, anyStale                           bool
	maxAge, minFresh, maxStale                       time.Duration
	staleIfError, staleWhileRevalidate               time.Duration
}

func emptyControl() control {
	return control{maxAge: absent, minFresh: absent, maxStale: absent, staleIfError: absent, staleWhileRevalidate: absent}
}

// requestControl reads what a caller asks of a cache. Pragma counts only without Cache-Control (5.4).
func requestControl(h http.Header) control {
	values := h["Cache-Control"]
	c := parseControl(values)
	if len(values) == 0 {
		eachDirective(h["Pragma"], func(name, _ string, _ bool) {
			c.noCache = c.noCache || strings.EqualFold(name, "no-cache")
		})
	}
	return c
}

// parseControl reads a field that may be broken in any way. Where directives contradict each other, or one
// cannot be read, the shorter reuse wins (4.2.1).
func parseControl(values []string) control {
	c := emptyControl()
	eachDirective(values, func(name, value string, given bool) {
		switch strings.ToLower(name) {
		case "no-store":
			c.noStore = true
		case "no-cache": // With field names too: reading it as without is always allowed (5.2.2.4).
			c.noCache = true
		case "must-revalidate":
			c.mustRevalidate = true
		case "must-understand":
			c.mustUnderstand = true
		case "only-if-cached":
			c.onlyIfCached = true
		case "max-age":
			shorter(&c.maxAge, value)
		case "min-fresh":
			// Asking for more freshness is the stricter reading here; one that cannot be read asks for all.
			if d, ok := deltaSeconds(value); ok {
				c.minFresh = max(c.minFresh, d)
			} else {
				c.noCache = true
			}
		case "max-stale":
			if !given {
				c.anyStale = true
				return
			}
			shorter(&c.maxStale, value)
		case "stale-if-error":
			shorter(&c.staleIfError, value)
		case "stale-while-revalidate":
			shorter(&c.staleWhileRevalidate, value)
		}
	})
	return c
}

func shorter(d *time.Duration, value string) {
	seconds, _ := deltaSeconds(value) // 0 when it cannot be read
	if *d == absent || seconds < *d {
		*d = seconds
	}
}

// maxDelta stands for more seconds than that (1.2.2): 17 years.
const maxDelta = (1 << 29) * time.Second

// deltaSeconds reads a count of seconds (1.2.2).
func deltaSeconds(s string) (time.Duration, bool) {
	if s == "" {
		return 0, false
	}
	var n time.Duration
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return 0, false
		}
		n = min(maxDelta, n*10+time.Duration(s[i]-'0')*time.Second)
	}
	return n, true
}

// eachDirective walks a list of name[=value], where a value may be quoted. given says that there was a value.
func eachDirective(values []string, fn func(name, value string, given bool)) {
	for _, rest := range values {
		for rest != "" {
			var item string
			item, rest = cutItem(rest)
			name, value, given := strings.Cut(item, "=")
			if name = strings.TrimSpace(name); name == "" {
				continue
			}
			fn(name, unquote(strings.TrimSpace(value)), given)
		}
	}
}

// cutItem splits at the first comma that is not quoted.
func cutItem(s string) (item, rest string) {
	quoted := false
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '\\':
			if quoted {
				i++
			}
		case '"':
			quoted = !quoted
		case ',':
			if !quoted {
				return s[:i], s[i+1:]
			}
		}
	}
	return s, ""
}

func unquote(s string) string {
	if len(s) < 2 || s[0] != '"' || s[len(s)-1] != '"' {
		return s
	}
	s = s[1 : len(s)-1]
	if !strings.Contains(s, `\`) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+1 < len(s) {
			i++
		}
		b.WriteByte(s[i])
	}
	return b.String()
}
