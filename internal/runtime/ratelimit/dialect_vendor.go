package ratelimit

import (
	"net/http"
	"strings"
	"time"
)

const day = 24 * time.Hour

// shopifyQuotas reads X-Shopify-Shop-Api-Call-Limit: used/size of a bucket that leaks a twentieth of its
// size each second.
func shopifyQuotas(h http.Header, _ clock) (r Reading) {
	used, size, ok := fraction(first(h, "X-Shopify-Shop-Api-Call-Limit"))
	if !ok || size == 0 {
		return r
	}
	r.add(Quota{Name: "bucket", Unit: UnitRequests, Limit: size, Remaining: max(0, size-used), Reset: Unknown, Refill: float64(size) / 20})
	return r
}

// fraction reads 12/40.
func fraction(text string) (used, size int64, ok bool) {
	a, b, ok := strings.Cut(text, "/")
	if !ok {
		return 0, 0, false
	}
	used, size = count(a), count(b)
	return used, size, used != Unknown && size != Unknown
}

// hubSpotQuotas reads the window of some seconds and the one of a day.
func hubSpotQuotas(h http.Header, _ clock) (r Reading) {
	burst := Quota{
		Name: "burst", Unit: UnitRequests, Limit: count(first(h, "X-Hubspot-Ratelimit-Max")),
		Remaining: count(first(h, "X-Hubspot-Ratelimit-Remaining")), Reset: Unknown,
	}
	if ms, ok := number(first(h, "X-Hubspot-Ratelimit-Interval-Milliseconds")); ok {
		burst.Window = seconds(ms / 1e3)
	}
	r.add(burst)
	r.add(Quota{
		Name: "daily", Unit: UnitRequests, Limit: count(first(h, "X-Hubspot-Ratelimit-Daily")),
		Remaining: count(first(h, "X-Hubspot-Ratelimit-Daily-Remaining")), Reset: Unknown, Window: day,
	})
	return r
}

// openAIQuotas reads x-ratelimit-{limit,remaining,reset}-{requests,tokens}; the reset is a duration as Go
// writes it.
func openAIQuotas(h http.Header, _ clock) (r Reading) {
	for _, unit := range []string{"Requests", "Tokens"} {
		q := Quota{
			Name: strings.ToLower(unit), Unit: strings.ToLower(unit), Limit: count(first(h, "X-Ratelimit-Limit-"+unit)),
			Remaining: count(first(h, "X-Ratelimit-Remaining-"+unit)), Reset: Unknown,
		}
		if d, err := time.ParseDuration(first(h, "X-Ratelimit-Reset-"+unit)); err == nil && d >= 0 {
			q.Reset = min(d, maxDelay)
		}
		r.add(q)
	}
	return r
}

// anthropicQuotas reads anthropic-ratelimit-{requests,tokens,…}-{limit,remaining,reset}; the reset is a date.
func anthropicQuotas(h http.Header, at clock) (r Reading) {
	for _, unit := range []string{"Requests", "Tokens", "Input-Tokens", "Output-Tokens"} {
		prefix := "Anthropic-Ratelimit-" + unit
		if q, ok := (triple{prefix + "-Limit", prefix + "-Remaining", prefix + "-Reset"}).quota(h, at); ok {
			q.Name = strings.ToLower(unit)
			q.Unit = q.Name
			r.add(q)
		}
	}
	return r
}

// discordQuotas reads the limit of a route, and whether a refusal is about all of them.
func discordQuotas(h http.Header, at clock) (r Reading) {
	r.PerGroup = first(h, "X-Ratelimit-Global") == "" && first(h, "X-Ratelimit-Scope") != "global"
	q, ok := (triple{"X-Ratelimit-Limit", "X-Ratelimit-Remaining", "X-Ratelimit-Reset-After"}).quota(h, at)
	if !ok {
		return r
	}
	q.Name = first(h, "X-Ratelimit-Bucket")
	r.add(q)
	return r
}

// salesforceQuotas reads Sforce-Limit-Info: api-usage=18/5000, counted over the last 24 hours. The usage
// can be told as more than the limit.
func salesforceQuotas(h http.Header, _ clock) (r Reading) {
	for part := range strings.FieldsFuncSeq(first(h, "Sforce-Limit-Info"), func(c rune) bool { return c == ',' || c == ';' || c == ' ' }) {
		usage, ok := strings.CutPrefix(part, "api-usage=")
		if !ok {
			continue
		}
		if used, size, ok := fraction(usage); ok {
			r.add(Quota{Name: "api-usage", Unit: UnitRequests, Limit: size, Remaining: max(0, size-used), Reset: Unknown, Window: day})
			return r
		}
	}
	return r
}

// xeroQuotas reads what is left of the minute, the day, and the minute of the whole app. The limits
// themselves are not told.
func xeroQuotas(h http.Header, _ clock) (r Reading) {
	for _, q := range []struct {
		header, name string
		window       time.Duration
	}{
		{"X-Minlimit-Remaining", "minute", time.Minute},
		{"X-Daylimit-Remaining", "day", day},
		{"X-Appminlimit-Remaining", "app minute", time.Minute},
	} {
		r.add(Quota{Name: q.name, Unit: UnitRequests, Limit: Unknown, Remaining: count(first(h, q.header)), Reset: Unknown, Window: q.window})
	}
	return r
}

// zendeskQuotas reads the limit of a minute; newer endpoints tell the reset as in the old drafts.
func zendeskQuotas(h http.Header, at clock) (r Reading) {
	q, ok := (triple{"X-Rate-Limit", "X-Rate-Limit-Remaining", "Ratelimit-Reset"}).quota(h, at)
	if !ok {
		return r
	}
	q.Name, q.Window = "minute", time.Minute
	r.add(q)
	return r
}
