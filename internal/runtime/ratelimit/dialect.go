package ratelimit

import (
	"fmt"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// UnitRequests is the unit of a quota that counts requests. Other units are shown, and stop requests only
// when nothing is left: how much of them one request costs is not known.
const UnitRequests = "requests"

// Unknown stands for a number that the answer does not tell.
const Unknown = -1

// maxDelay bounds every time that is read from a header, so that no sum of them overflows.
const maxDelay = 366 * 24 * time.Hour

// Quota is one limit as an answer tells it.
type Quota struct {
	// Name tells several quotas of one upstream apart.
	Name string
	// Unit is what is counted, [UnitRequests] mostly.
	Unit string
	// Limit and Remaining are [Unknown] when the answer does not tell them.
	Limit, Remaining int64
	// Reset is how long until the quota is whole again, [Unknown] when the answer does not tell.
	Reset time.Duration
	// Window is the length of the window in which it is counted, 0 when that is not known.
	Window time.Duration
	// Refill is positive for a leaky bucket: so much comes back each second.
	Refill float64
}

// Reading is what an answer says about limits.
type Reading struct {
	// Throttled says that the request was refused because of a limit.
	Throttled bool
	// Unavailable is a 503 that says when to come back.
	Unavailable bool
	// Delay is how long the upstream asks to be left alone; only with Throttled or Unavailable.
	Delay time.Duration
	// Source names the header that Delay comes from; empty when no header tells it.
	Source string
	// Quotas are what is left of each limit.
	Quotas []Quota
	// PerGroup says that the quotas are about the operations of one group only, RefusedGroup that a refusal is.
	PerGroup, RefusedGroup bool
}

// dialect is how one family of upstreams tells its limits.
type dialect struct {
	name string
	// quotas is what the headers tell. It reads header names in their canonical form.
	quotas func(h http.Header, at clock) Reading
	// minHold is the shortest hold after a refusal that does not say how long.
	minHold time.Duration
	// wide says that Retry-After is about the whole connection, whatever the quotas are about.
	wide bool
}

const dialectAuto = ""

// Where a delay was read.
const (
	sourceRetryAfter = "Retry-After"
	sourceReset      = "the reset of its limit"
)

// Dialects lists the names that are known: those of the provider catalogue.
func Dialects() []string {
	return []string{
		"none", "retry-after-only", "ratelimit-draft", "ratelimit-epoch", "x-ratelimit", "x-rate-limit", "github", "shopify", "hubspot",
		"openai", "anthropic", "discord", "linear", "salesforce", "sentry", "xero", "zendesk",
	}
}

func dialectOf(name string) (dialect, bool) {
	d := dialect{name: name}
	switch name {
	case dialectAuto:
		d.quotas = autoQuotas
	case "none", "retry-after-only":
		d.quotas = func(http.Header, clock) Reading { return Reading{} }
	case "ratelimit-draft":
		d.quotas = draftQuotas
	case "ratelimit-epoch":
		d.quotas = triple{"Ratelimit-Limit", "Ratelimit-Remaining", "Ratelimit-Reset"}.quotas
	case "x-ratelimit":
		d.quotas = xRateLimitQuotas
	case "x-rate-limit":
		d.quotas = xRateLimitHyphenQuotas
	case "github":
		d.quotas, d.minHold, d.wide = gitHubQuotas, time.Minute, true
	case "sentry":
		d.quotas = triple{"X-Sentry-Rate-Limit-Limit", "X-Sentry-Rate-Limit-Remaining", "X-Sentry-Rate-Limit-Reset"}.quotas
	case "linear":
		d.quotas = triple{"X-Ratelimit-Requests-Limit", "X-Ratelimit-Requests-Remaining", "X-Ratelimit-Requests-Reset"}.quotas
	case "shopify":
		d.quotas = shopifyQuotas
	case "hubspot":
		d.quotas = hubSpotQuotas
	case "openai":
		d.quotas = openAIQuotas
	case "anthropic":
		d.quotas = anthropicQuotas
	case "discord":
		d.quotas = discordQuotas
	case "salesforce":
		d.quotas = salesforceQuotas
	case "xero":
		d.quotas = xeroQuotas
	case "zendesk":
		d.quotas = zendeskQuotas
	default:
		return dialect{}, false
	}
	return d, true
}

// autoQuotas tries what several upstreams share, the standard first.
func autoQuotas(h http.Header, at clock) (r Reading) {
	for _, quotas := range [...]func(http.Header, clock) Reading{draftQuotas, xRateLimitQuotas, xRateLimitHyphenQuotas} {
		if r = quotas(h, at); len(r.Quotas) > 0 {
			return r
		}
	}
	return r
}

// Read reads an answer in a dialect; the empty name tries the common ones. An unknown name is an error.
// Malformed headers are as good as none, and quotas in an answer from a cache are old, so they are left
// out.
func Read(name string, status int, h http.Header, now time.Time) (Reading, error) {
	d, ok := dialectOf(name)
	if !ok {
		return Reading{}, fmt.Errorf("ratelimit: unknown dialect %q", name)
	}
	return d.read(status, h, now), nil
}

func (d dialect) read(status int, h http.Header, now time.Time) Reading {
	var r Reading
	at := clock{h, now}
	if !fromCache(h) {
		r = d.quotas(h, at)
	}
	if status < http.StatusBadRequest {
		return r
	}
	after, said := moment(first(h, "Retry-After"), at)
	switch {
	case status == http.StatusTooManyRequests:
		r.Throttled = true
	case status == http.StatusForbidden:
		r.Throttled = said || r.exhausted()
	case status == http.StatusServiceUnavailable && said:
		r.Unavailable = true
	}
	switch {
	case !r.Throttled && !r.Unavailable:
	case said:
		r.Delay, r.Source = after, sourceRetryAfter
	default:
		if reset, known := r.reset(); known {
			r.Delay, r.Source = reset, sourceReset
		}
	}
	r.RefusedGroup = r.PerGroup && (!d.wide || !said)
	return r
}

// exhausted reports whether a limit is used up.
func (r *Reading) exhausted() bool {
	for _, q := range r.Quotas {
		if q.Remaining == 0 {
			return true
		}
	}
	return false
}

// reset is when the limit that a refusal must be about is whole again: the last of those used up. A limit
// of which something is left is not the reason.
func (r *Reading) reset() (time.Duration, bool) {
	longest, known := time.Duration(0), false
	for _, q := range r.Quotas {
		if q.Remaining <= 0 && q.Reset >= 0 {
			longest, known = max(longest, q.Reset), true
		}
	}
	return longest, known
}

// clock is the time by the upstream's own clock, so that its dates can be compared with it. It is read
// when it is needed, which for most answers is never.
type clock struct {
	header http.Header
	ours   time.Time
}

// now goes by the Date of the answer and how old it is since, and by our clock where it has none.
func (c clock) now() time.Time {
	text := first(c.header, "Date")
	if text == "" {
		return c.ours
	}
	date, err := http.ParseTime(text)
	if err != nil {
		return c.ours
	}
	if age, ok := number(first(c.header, "Age")); ok {
		date = date.Add(seconds(age))
	}
	return date
}

// until is the time from now to t, 0 when t has passed.
func (c clock) until(t time.Time) time.Duration { return min(max(t.Sub(c.now()), 0), maxDelay) }

// fromCache reports whether a cache on the way answered (RFC 9111 Age, RFC 9211 Cache-Status, and the
// X-Cache of content delivery networks).
func fromCache(h http.Header) bool {
	if age, ok := number(first(h, "Age")); ok && age > 0 {
		return true
	}
	for _, v := range h["Cache-Status"] {
		for part := range strings.SplitSeq(v, ";") {
			if strings.TrimSpace(strings.ToLower(part)) == "hit" {
				return true
			}
		}
	}
	v := first(h, "X-Cache")
	return len(v) >= 3 && strings.EqualFold(v[:3], "hit")
}

// first returns the first value of a header whose canonical name is given.
func first(h http.Header, canonical string) string {
	if v := h[canonical]; len(v) > 0 {
		return strings.TrimSpace(v[0])
	}
	return ""
}

// count reads a whole number, of which older drafts may list several: "100, 100;w=60".
func count(text string) int64 {
	text, _, _ = strings.Cut(text, ",")
	text, _, _ = strings.Cut(text, ";")
	f, ok := number(strings.TrimSpace(text))
	if !ok || f > 1e15 {
		return Unknown
	}
	return int64(f)
}

// number reads digits, with a fraction or without; nothing else, no sign and no exponent.
func number(text string) (float64, bool) {
	if text == "" || len(text) > 24 || text[0] == '.' || text[len(text)-1] == '.' {
		return 0, false
	}
	dots := 0
	for _, c := range []byte(text) {
		switch {
		case c == '.':
			dots++
		case c < '0' || c > '9':
			return 0, false
		}
	}
	if dots > 1 {
		return 0, false
	}
	f, err := strconv.ParseFloat(text, 64)
	return f, err == nil
}

// seconds is f seconds, bounded.
func seconds(f float64) time.Duration {
	if f >= maxDelay.Seconds() {
		return maxDelay
	}
	return time.Duration(math.Round(f * float64(time.Second)))
}
