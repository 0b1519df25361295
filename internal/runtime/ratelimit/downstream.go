package ratelimit

import (
	"fmt"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// WriteHeaders tells a caller what is left for requests of a key: RateLimit and RateLimit-Policy with
// quoted names as in draft-ietf-httpapi-ratelimit-headers-10, and X-RateLimit-Limit, -Remaining and -Reset
// (seconds) of the scarcest. It replaces what the upstream sent under these names, and is never more
// permissive: learned quotas are among those listed, and a hold leaves nothing.
func (l *Limiter) WriteHeaders(h http.Header, key Key) {
	for _, name := range []string{"Ratelimit", "Ratelimit-Policy", "X-Ratelimit-Limit", "X-Ratelimit-Remaining", "X-Ratelimit-Reset"} {
		delete(h, name)
	}
	left := l.left(key)
	if len(left) == 0 {
		return
	}
	var limits, policies strings.Builder
	scarcest := left[0]
	for i, a := range left {
		if i > 0 {
			limits.WriteString(", ")
		}
		fmt.Fprintf(&limits, "%q;r=%d", a.name, a.left)
		if a.reset > 0 {
			fmt.Fprintf(&limits, ";t=%d", ceilSeconds(a.reset))
		}
		if a.limit > 0 {
			if policies.Len() > 0 {
				policies.WriteString(", ")
			}
			fmt.Fprintf(&policies, "%q;q=%d", a.name, a.limit)
			if a.window >= time.Second {
				fmt.Fprintf(&policies, ";w=%d", ceilSeconds(a.window))
			}
		}
		if a.left < scarcest.left || a.left == scarcest.left && a.reset > scarcest.reset {
			scarcest = a
		}
	}
	h["Ratelimit"] = []string{limits.String()}
	if policies.Len() > 0 {
		h["Ratelimit-Policy"] = []string{policies.String()}
	}
	if scarcest.limit > 0 {
		h["X-Ratelimit-Limit"] = []string{strconv.FormatInt(scarcest.limit, 10)}
	}
	h["X-Ratelimit-Remaining"] = []string{strconv.FormatInt(scarcest.left, 10)}
	h["X-Ratelimit-Reset"] = []string{strconv.FormatInt(ceilSeconds(scarcest.reset), 10)}
}

// allowance is what is left of one limit.
type allowance struct {
	name        string
	limit, left int64
	window      time.Duration
	reset       time.Duration // until it is whole again
}

func (l *Limiter) left(key Key) []allowance {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	r := l.routeOf(key)
	var list []allowance
	held := time.Duration(0)
	for _, s := range r.scopes[:r.n] {
		kind := "connection"
		switch {
		case s.key.Group != "" && s.key.Credential != "" && s.key.Credential != noCredential:
			kind = "group-account"
		case s.key.Group != "":
			kind = "group"
		case s.key.Credential != "":
			kind = "account"
		}
		for i := range s.windows {
			w := &s.windows[i]
			list = append(list, allowance{
				name: kind + "-" + compact(time.Duration(w.per)), limit: w.limit, left: max(0, w.limit-w.usedAt(now)),
				window: time.Duration(w.per), reset: time.Duration(w.fullAt(now) - now),
			})
		}
		for i := range s.quotas {
			q := &s.quotas[i]
			if q.over(now) || q.Unit != UnitRequests {
				continue
			}
			// The limit may not be told; then what is left is all we know of.
			list = append(list, allowance{
				name: "vendor-" + safeName(q.Name), limit: max(0, q.Limit), left: int64(math.Floor(max(0, q.leftAt(now)-float64(l.cfg.Reserve)))),
				window: q.Window, reset: q.whole(now),
			})
		}
		if s.hold.on {
			held = max(held, time.Duration(s.hold.until-now), time.Millisecond)
		}
	}
	if held > 0 {
		list = append(list, allowance{name: "hold", left: 0, reset: held})
	}
	return list
}

// whole is how long until the quota is whole again, as far as that is known.
func (q *quota) whole(now int64) time.Duration {
	switch {
	case q.reset > 0:
		return time.Duration(q.reset - now)
	case q.Refill > 0:
		return seconds((float64(q.Limit) - q.leftAt(now)) / q.Refill)
	}
	return time.Duration(q.learned + q.paceOver - now)
}

func ceilSeconds(d time.Duration) int64 { return int64(math.Ceil(max(0, d.Seconds()))) }

// compact names a window: 1s, 1m, 24h.
func compact(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// safeName keeps what may stand in a quoted name: the vendor chose it.
func safeName(name string) string {
	const most = 40
	if name == "" {
		return "quota"
	}
	clean := []byte(name[:min(most, len(name))])
	for i, c := range clean {
		if !isAlnum(c) && c != '-' && c != '_' && c != '.' {
			clean[i] = '-'
		}
	}
	return string(clean)
}
