package ratelimit

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// draftQuotas reads the fields of draft-ietf-httpapi-ratelimit-headers in the three forms that are in use:
//
//	RateLimit: "permin";r=20;t=23            with  RateLimit-Policy: "permin";q=50;w=60     (08 to 10)
//	RateLimit: limit=50, remaining=20, reset=23    with  RateLimit-Policy: 50;w=60           (06, 07)
//	RateLimit-Limit: 50   RateLimit-Remaining: 20   RateLimit-Reset: 23                      (to 05)
//
// In all of them the reset is a number of seconds. A field that is malformed anywhere is ignored as a whole.
func draftQuotas(h http.Header, at clock) (r Reading) {
	if values := h["Ratelimit"]; len(values) > 0 {
		items, ok := parseList(strings.Join(values, ","))
		if ok && currentQuotas(items, draftPolicies(h), &r) {
			return r
		}
		if ok && dictionaryQuota(items, draftPolicies(h), &r) {
			return r
		}
	}
	if len(h["Ratelimit-Limit"])+len(h["Ratelimit-Remaining"]) == 0 {
		return r
	}
	// The old fields, whose reset some send as a Unix time all the same.
	q := Quota{
		Unit: UnitRequests, Limit: count(first(h, "Ratelimit-Limit")), Remaining: count(first(h, "Ratelimit-Remaining")), Reset: Unknown,
		Window: windowOf(first(h, "Ratelimit-Limit")),
	}
	if reset, ok := moment(first(h, "Ratelimit-Reset"), at); ok {
		q.Reset = reset
	}
	r.add(q)
	return r
}

// add keeps a quota that says something.
func (r *Reading) add(q Quota) {
	if q.Remaining != Unknown || q.Limit != Unknown && q.Reset != Unknown {
		r.Quotas = append(r.Quotas, q)
	}
}

// currentQuotas reads the form of the current draft. It reports false, and adds nothing, for another form.
func currentQuotas(items []item, policies []item, r *Reading) bool {
	quotas := make([]Quota, 0, len(items))
	for _, it := range items {
		if it.kind != kindString && it.kind != kindToken {
			return false
		}
		remaining, ok := it.param("r")
		if !ok {
			return false
		}
		q := Quota{Name: it.value, Unit: UnitRequests, Limit: Unknown, Remaining: remaining, Reset: Unknown}
		if t, ok := it.param("t"); ok {
			q.Reset = seconds(float64(t))
		} else if it.has("t") {
			return false
		}
		// The drafts 06 to 08 named the limit here, as l.
		if limit, ok := it.param("l"); ok {
			q.Limit = limit
		}
		for _, p := range policies {
			if p.value == it.value && (p.kind == kindString || p.kind == kindToken) {
				p.describe(&q)
			}
		}
		quotas = append(quotas, q)
	}
	r.Quotas = append(r.Quotas, quotas...)
	return len(quotas) > 0
}

// dictionaryQuota reads limit=50, remaining=20, reset=23 and its short form l=50, r=20, t=23.
func dictionaryQuota(items []item, policies []item, r *Reading) bool {
	q := Quota{Unit: UnitRequests, Limit: Unknown, Remaining: Unknown, Reset: Unknown}
	for _, it := range items {
		key, value, ok := strings.Cut(it.value, "=")
		n, err := strconv.ParseInt(value, 10, 64)
		if it.kind != kindPair || !ok || err != nil || n < 0 || n > maxInteger {
			return false
		}
		switch key {
		case "limit", "l":
			q.Limit = n
		case "remaining", "r":
			q.Remaining = n
		case "reset", "t":
			q.Reset = seconds(float64(n))
		}
	}
	if q.Remaining == Unknown {
		return false
	}
	for _, p := range policies {
		// Of several policies the one with this limit is meant.
		if n, err := strconv.ParseInt(p.value, 10, 64); err == nil && p.kind == kindInteger && n == q.Limit {
			p.describe(&q)
		}
	}
	r.Quotas = append(r.Quotas, q)
	return true
}

// describe adds what a policy says about its quota.
func (it item) describe(q *Quota) {
	if limit, ok := it.param("q"); ok {
		q.Limit = limit
	}
	if w, ok := it.param("w"); ok {
		q.Window = seconds(float64(w))
	}
	if unit, ok := it.params["qu"]; ok && unit != "" {
		q.Unit = unit
	}
}

// draftPolicies reads RateLimit-Policy; a malformed one is none.
func draftPolicies(h http.Header) []item {
	values := h["Ratelimit-Policy"]
	if len(values) == 0 {
		return nil
	}
	items, _ := parseList(strings.Join(values, ","))
	return items
}

// windowOf reads the window that older drafts put behind the limit: "100, 100;w=60".
func windowOf(limit string) time.Duration {
	_, w, ok := strings.Cut(limit, ";w=")
	if !ok {
		return 0
	}
	w, _, _ = strings.Cut(w, ",")
	w, _, _ = strings.Cut(w, ";")
	f, ok := number(strings.TrimSpace(w))
	if !ok {
		return 0
	}
	return seconds(f)
}
