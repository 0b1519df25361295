package runtime

import (
	"fmt"
	"math"
	"mime"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"switchgear/internal/fault"
	"switchgear/internal/runtime/ratelimit"
)

// Limits of a policy. They keep a slip of the finger from becoming an outage.
const (
	maxTimeout     = time.Hour
	maxAttempts    = 10
	maxRetryDelay  = 10 * time.Minute
	maxHedges      = 3
	maxRateLimits  = 8
	maxRequests    = 1_000_000_000
	maxRateWindow  = 31 * 24 * time.Hour
	maxWait        = 5 * time.Minute
	maxWindow      = time.Hour
	maxOpen        = 24 * time.Hour
	maxCalls       = 1_000_000
	maxHalfOpen    = 1000
	maxInFlight    = 100_000
	maxTTL         = 7 * 24 * time.Hour
	maxStale       = 31 * 24 * time.Hour
	minTimeout     = time.Millisecond
	minBreakerTime = 100 * time.Millisecond
	minHealthCheck = 10 * time.Second
	maxHealthCheck = time.Minute
	maxOutcomes    = 20
	maxBodyText    = 200
	maxStaticBody  = 8 << 10
	maxOperations  = 100
)

// Validate reports the first field that is wrong as fault.Invalid, with its path ("policy.timeout") in
// the details.
func (p Policy) Validate() error { return p.validate("policy") }

func (p Policy) validate(root string) error {
	v := validation{root: root}
	v.calls(p)
	v.breaker(p.Breaker)
	v.outcomes(p.Outcomes)
	if p.HealthCheck != (HealthCheck{}) { // operations have none
		v.healthCheck(p.HealthCheck)
	}
	if v.err != nil {
		return v.err
	}
	_, err := p.operations(root)
	return err
}

// validation keeps the first problem, in the order of the form. Fields are named from root on.
type validation struct {
	root string
	err  *fault.Error
}

func (v *validation) calls(p Policy) {
	v.duration("timeout", p.Timeout, minTimeout, maxTimeout)
	if p.AttemptTimeout != 0 {
		v.duration("attempt_timeout", p.AttemptTimeout, minTimeout, maxTimeout)
	}
	v.number("retry.max_attempts", p.Retry.MaxAttempts, 1, maxAttempts)
	v.duration("retry.base_delay", p.Retry.BaseDelay, 0, maxRetryDelay)
	v.duration("retry.max_delay", p.Retry.MaxDelay, 0, maxRetryDelay)
	v.ratio("retry.budget_ratio", p.Retry.BudgetRatio, 0)
	if name := p.Retry.IdempotencyKey; name != "" && (!regexp.MustCompile(`^[A-Za-z][A-Za-z0-9-]{0,99}$`).MatchString(name) || dropFromRequest(http.CanonicalHeaderKey(name))) {
		v.fail("retry.idempotency_key", name, "It must be the name of a request header, such as Idempotency-Key.")
	}
	if p.Hedge.After != 0 {
		v.duration("hedge.after", p.Hedge.After, minTimeout, maxTimeout)
	}
	v.number("hedge.max", p.Hedge.Max, 1, maxHedges)
	v.rateLimits("rate_limits", p.RateLimits, ScopeConnection)
	v.duration("rate_limit_wait", p.RateLimitWait, 0, maxWait)
	if p.RateLimitDialect != "" && !slices.Contains(ratelimit.Dialects(), p.RateLimitDialect) {
		v.fail("rate_limit_dialect", clip(p.RateLimitDialect), "It must be one of "+strings.Join(ratelimit.Dialects(), ", ")+".")
	}
	v.number("rate_limit_reserve", p.RateLimitReserve, 0, maxRequests)
	if p.RateLimitHold != ScopeConnection && p.RateLimitHold != ScopeCredential {
		v.fail("rate_limit_hold", clip(string(p.RateLimitHold)), "It must be connection or credential.")
	}
	v.duration("rate_limit_max_hold", p.RateLimitMaxHold, time.Second, maxRateWindow)
	v.number("bulkhead.max_in_flight", p.Bulkhead.MaxInFlight, 1, maxInFlight)
	v.duration("bulkhead.max_wait", p.Bulkhead.MaxWait, 0, maxWait)
	v.duration("cache.ttl", p.Cache.TTL, 0, maxTTL)
	v.duration("cache.stale_if_error", p.Cache.StaleIfError, 0, maxStale)
	v.duration("cache.stale_while_revalidate", p.Cache.StaleWhileRevalidate, 0, maxStale)
	v.fallback(p.Fallback)
}

func (v *validation) fallback(f Fallback) {
	s := f.Static
	switch {
	case s.Status == 0 && s != (StaticAnswer{}):
		v.fail("fallback.static.status", "0", "Give the status of the answer, such as 200.")
	case s.Status != 0:
		v.number("fallback.static.status", s.Status, 200, 599)
	}
	if len(s.Body) > maxStaticBody {
		v.fail("fallback.static.body", "", fmt.Sprintf("Use at most %d bytes.", maxStaticBody))
	}
	if s.Body != "" && (s.Status == http.StatusNoContent || s.Status == http.StatusNotModified) {
		v.fail("fallback.static.body", "", "An answer with this status has no body.")
	}
	if _, _, err := mime.ParseMediaType(s.ContentType); s.ContentType != "" && err != nil {
		v.fail("fallback.static.content_type", clip(s.ContentType), "It must be a media type, such as application/json.")
	}
	if f.Connection != "" && !regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,62}$`).MatchString(f.Connection) {
		v.fail("fallback.connection", clip(f.Connection), "It must be the slug of another connection.")
	}
}

// rateLimits checks a list in which usual is the scope of those that name none.
func (v *validation) rateLimits(at string, limits []RateLimit, usual LimitScope) {
	if len(limits) > maxRateLimits {
		v.fail(at, strconv.Itoa(len(limits)), fmt.Sprintf("There can be at most %d rate limits.", maxRateLimits))
	}
	type window struct {
		scope LimitScope
		per   Duration
	}
	windows := make(map[window]bool, len(limits))
	for i, l := range limits {
		path := fmt.Sprintf("%s[%d]", at, i)
		v.number(path+".requests", l.Requests, 1, maxRequests)
		v.duration(path+".per", l.Per, time.Millisecond, maxRateWindow)
		w := window{l.Scope.or(usual), l.Per}
		switch w.scope {
		case ScopeConnection, ScopeOperation, ScopeCredential:
		default:
			v.fail(path+".scope", clip(string(l.Scope)), "It must be connection, operation or credential.")
		}
		if windows[w] {
			v.fail(path+".per", l.Per.String(), "Another rate limit has the same window; keep the stricter one.")
		}
		windows[w] = true
	}
}

func (v *validation) breaker(b Breaker) {
	v.ratio("breaker.failure_ratio", b.FailureRatio, smallestRatio)
	v.number("breaker.consecutive_failures", b.ConsecutiveFailures, 0, maxCalls)
	v.number("breaker.min_calls", b.MinCalls, 1, maxCalls)
	v.duration("breaker.window", b.Window, minBreakerTime, maxWindow)
	v.duration("breaker.open_for", b.OpenFor, minBreakerTime, maxWindow)
	v.duration("breaker.max_open_for", b.MaxOpenFor, minBreakerTime, maxOpen)
	v.number("breaker.half_open_calls", b.HalfOpenCalls, 1, maxHalfOpen)
	v.duration("breaker.slow_call", b.SlowCall, 0, maxTimeout)
	v.ratio("breaker.slow_ratio", b.SlowRatio, smallestRatio)
	v.duration("breaker.ramp", b.Ramp, 0, maxWindow)
}

func (v *validation) healthCheck(h HealthCheck) {
	v.duration("health_check.every", h.Every, minHealthCheck, maxOpen)
	v.duration("health_check.timeout", h.Timeout, minTimeout, maxHealthCheck)
	if h.ExpectedStatus != 0 {
		v.number("health_check.expected_status", h.ExpectedStatus, 200, 599)
	}
	if h.Method != http.MethodGet && h.Method != http.MethodHead {
		v.fail("health_check.method", clip(h.Method), "It must be GET or HEAD: looking must change nothing.")
	}
	if h.Path != "" && (!strings.HasPrefix(h.Path, "/") || strings.HasPrefix(h.Path, "//") || len(h.Path) > 500 || strings.ContainsAny(h.Path, "#\\ {}") ||
		strings.ContainsFunc(h.Path, unicode.IsControl)) {
		v.fail("health_check.path", clip(h.Path), "It must be a path below the base URL that starts with one slash and has no placeholder, such as /v1/account.")
	} else if err := CheckPath(h.Path); err != nil {
		v.fail("health_check.path", clip(h.Path), fault.PublicMessage(err))
	}
}

func (v *validation) outcomes(rules []OutcomeRule) {
	if len(rules) > maxOutcomes {
		v.fail("outcomes", strconv.Itoa(len(rules)), fmt.Sprintf("There can be at most %d of these rules.", maxOutcomes))
	}
	for i, r := range rules {
		path := fmt.Sprintf("outcomes[%d]", i)
		v.number(path+".status", r.Status, 200, 599)
		if len(r.BodyContains) > maxBodyText {
			v.fail(path+".body_contains", "", fmt.Sprintf("Use at most %d characters.", maxBodyText))
		}
		if rule, known := r.Outcome.Rule(); !known || rule.Local {
			v.fail(path+".outcome", clip(string(r.Outcome)), "It must be an outcome that an answer can have, such as success, client_error, throttled or server_error.")
		}
	}
}

// smallestRatio stands for "above zero".
const smallestRatio = 0.0001

func (v *validation) fail(field, value, message string) {
	if v.err == nil {
		v.err = fault.Field(codeInvalidPolicy, v.root+"."+field, message).WithValue(value)
	}
}

func (v *validation) number(field string, n, low, high int) {
	if n < low || n > high {
		v.fail(field, strconv.Itoa(n), fmt.Sprintf("It must be between %d and %d.", low, high))
	}
}

func (v *validation) ratio(field string, r, low float64) {
	if math.IsNaN(r) || r < low || r > 1 {
		v.fail(field, strconv.FormatFloat(r, 'g', -1, 64), fmt.Sprintf("It must be between %g and 1.", low))
	}
}

func (v *validation) duration(field string, d Duration, low, high time.Duration) {
	if d.Std() < low || d.Std() > high {
		v.fail(field, d.String(), fmt.Sprintf("It must be between %s and %s.", Duration(low), Duration(high)))
	}
}
