package ratelimit

import (
	"net/http"
	"time"
)

// triple is the widespread form of three headers: limit, remaining, reset. The names are canonical.
type triple struct{ limit, remaining, reset string }

func (t triple) quotas(h http.Header, at clock) (r Reading) {
	if q, ok := t.quota(h, at); ok {
		r.add(q)
	}
	return r
}

// quota reads the three. It reports false when there is neither limit nor remaining.
func (t triple) quota(h http.Header, at clock) (Quota, bool) {
	limit, remaining := first(h, t.limit), first(h, t.remaining)
	if limit == "" && remaining == "" {
		return Quota{}, false
	}
	q := Quota{Unit: UnitRequests, Limit: count(limit), Remaining: count(remaining), Reset: Unknown}
	if reset, ok := moment(first(h, t.reset), at); ok {
		q.Reset = reset
	}
	return q, true
}

// xRateLimitQuotas reads X-RateLimit-*. Some tell the window too, and some tell one limit a window:
// X-RateLimit-Limit-Minute.
func xRateLimitQuotas(h http.Header, at clock) (r Reading) {
	if q, ok := (triple{"X-Ratelimit-Limit", "X-Ratelimit-Remaining", "X-Ratelimit-Reset"}).quota(h, at); ok {
		for _, name := range []string{"X-Ratelimit-Period", "X-Ratelimit-Interval-Seconds"} {
			if w, ok := number(first(h, name)); ok {
				q.Window = seconds(w)
			}
		}
		r.add(q)
		return r
	}
	for _, w := range [...]struct {
		name   string
		triple triple
		per    time.Duration
	}{
		{"second", triple{"X-Ratelimit-Limit-Second", "X-Ratelimit-Remaining-Second", "X-Ratelimit-Reset-Second"}, time.Second},
		{"minute", triple{"X-Ratelimit-Limit-Minute", "X-Ratelimit-Remaining-Minute", "X-Ratelimit-Reset-Minute"}, time.Minute},
		{"hour", triple{"X-Ratelimit-Limit-Hour", "X-Ratelimit-Remaining-Hour", "X-Ratelimit-Reset-Hour"}, time.Hour},
		{"day", triple{"X-Ratelimit-Limit-Day", "X-Ratelimit-Remaining-Day", "X-Ratelimit-Reset-Day"}, day},
	} {
		if q, ok := w.triple.quota(h, at); ok {
			q.Name, q.Window = w.name, w.per
			r.add(q)
		}
	}
	return r
}

// xRateLimitHyphenQuotas reads X-Rate-Limit-*.
func xRateLimitHyphenQuotas(h http.Header, at clock) (r Reading) {
	q, ok := (triple{"X-Rate-Limit-Limit", "X-Rate-Limit-Remaining", "X-Rate-Limit-Reset"}).quota(h, at)
	if !ok {
		return r
	}
	if w, ok := number(first(h, "X-Rate-Limit-Interval")); ok {
		q.Window = seconds(w)
	}
	r.add(q)
	return r
}

// gitHubQuotas reads X-RateLimit-* with the resource that they are about. Only "core" is about every
// request; "search", "graphql" and others are about an operation group.
func gitHubQuotas(h http.Header, at clock) (r Reading) {
	q, ok := (triple{"X-Ratelimit-Limit", "X-Ratelimit-Remaining", "X-Ratelimit-Reset"}).quota(h, at)
	if !ok {
		return r
	}
	q.Name = first(h, "X-Ratelimit-Resource")
	r.PerGroup = q.Name != "" && q.Name != "core"
	r.add(q)
	return r
}
