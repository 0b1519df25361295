package runtime

import (
	"fmt"
	"math"
	"strconv"
	"time"

	"switchgear/internal/fault"
)

// Policy says how calls through a connection are protected. Its JSON form is the policy of a connection
// in the API. The zero value is not valid; start from [DefaultPolicy].
type Policy struct {
	// Timeout bounds a whole call, the body of the response included.
	Timeout Duration `json:"timeout"`
	// AttemptTimeout bounds one attempt: to connect, and from the last byte of the request to the headers
	// of the response. Sending a long body does not count. 0 leaves it to Timeout.
	AttemptTimeout Duration    `json:"attempt_timeout"`
	Retry          Retry       `json:"retry"`
	RateLimits     []RateLimit `json:"rate_limits"`
	Breaker        Breaker     `json:"breaker"`
	Bulkhead       Bulkhead    `json:"bulkhead"`
	Cache          Cache       `json:"cache"`
}

// Retry bounds the attempts of one call, the first included.
type Retry struct {
	MaxAttempts int `json:"max_attempts"`
}

// RateLimit allows a number of requests in a window. Several limits hold at once.
type RateLimit struct {
	Requests int      `json:"requests"`
	Per      Duration `json:"per"`
}

// Breaker says when calls stop for a while because too many of them fail.
type Breaker struct {
	FailureRatio  float64  `json:"failure_ratio"`
	MinCalls      int      `json:"min_calls"`
	Window        Duration `json:"window"`
	OpenFor       Duration `json:"open_for"`
	HalfOpenCalls int      `json:"half_open_calls"`
}

// Bulkhead bounds the calls that are under way at once.
type Bulkhead struct {
	MaxInFlight int `json:"max_in_flight"`
}

// Cache keeps answers of reads: fresh for TTL, and as a fallback for StaleIfError. 0 switches one off.
type Cache struct {
	TTL          Duration `json:"ttl"`
	StaleIfError Duration `json:"stale_if_error"`
}

// DefaultPolicy is what a connection has when neither it nor its provider says otherwise.
func DefaultPolicy() Policy {
	return Policy{
		Timeout: Duration(30 * time.Second),
		Retry:   Retry{MaxAttempts: 3},
		Breaker: Breaker{
			FailureRatio: 0.5, MinCalls: 20, Window: Duration(time.Minute),
			OpenFor: Duration(30 * time.Second), HalfOpenCalls: 3,
		},
		RateLimits: []RateLimit{},
		Bulkhead:   Bulkhead{MaxInFlight: 100},
	}
}

// Limits of a policy. They keep a slip of the finger from becoming an outage.
const (
	maxTimeout     = time.Hour
	maxAttempts    = 10
	maxRateLimits  = 8
	maxRequests    = 1_000_000_000
	maxRateWindow  = 31 * 24 * time.Hour
	maxWindow      = time.Hour
	maxCalls       = 1_000_000
	maxHalfOpen    = 1000
	maxInFlight    = 100_000
	maxTTL         = 7 * 24 * time.Hour
	maxStale       = 31 * 24 * time.Hour
	minTimeout     = time.Millisecond
	minBreakerTime = 100 * time.Millisecond
)

// Validate reports the first field that is wrong as fault.Invalid, with its path ("policy.timeout") in
// the details.
func (p Policy) Validate() error {
	v := validation{}
	v.duration("policy.timeout", p.Timeout, minTimeout, maxTimeout)
	if p.AttemptTimeout != 0 {
		v.duration("policy.attempt_timeout", p.AttemptTimeout, minTimeout, maxTimeout)
	}
	v.number("policy.retry.max_attempts", p.Retry.MaxAttempts, maxAttempts)
	if len(p.RateLimits) > maxRateLimits {
		v.fail("policy.rate_limits", strconv.Itoa(len(p.RateLimits)), fmt.Sprintf("There can be at most %d rate limits.", maxRateLimits))
	}
	windows := make(map[Duration]bool, len(p.RateLimits))
	for i, l := range p.RateLimits {
		path := fmt.Sprintf("policy.rate_limits[%d]", i)
		v.number(path+".requests", l.Requests, maxRequests)
		v.duration(path+".per", l.Per, time.Millisecond, maxRateWindow)
		if windows[l.Per] {
			v.fail(path+".per", l.Per.String(), "Another rate limit has the same window; keep the stricter one.")
		}
		windows[l.Per] = true
	}
	if r := p.Breaker.FailureRatio; math.IsNaN(r) || r <= 0 || r > 1 {
		v.fail("policy.breaker.failure_ratio", strconv.FormatFloat(r, 'g', -1, 64), "The failure ratio must be above 0 and at most 1.")
	}
	v.number("policy.breaker.min_calls", p.Breaker.MinCalls, maxCalls)
	v.duration("policy.breaker.window", p.Breaker.Window, minBreakerTime, maxWindow)
	v.duration("policy.breaker.open_for", p.Breaker.OpenFor, minBreakerTime, maxWindow)
	v.number("policy.breaker.half_open_calls", p.Breaker.HalfOpenCalls, maxHalfOpen)
	v.number("policy.bulkhead.max_in_flight", p.Bulkhead.MaxInFlight, maxInFlight)
	v.duration("policy.cache.ttl", p.Cache.TTL, 0, maxTTL)
	v.duration("policy.cache.stale_if_error", p.Cache.StaleIfError, 0, maxStale)
	if v.err != nil {
		return v.err
	}
	return nil
}

// validation keeps the first problem, in the order of the form.
type validation struct{ err *fault.Error }

func (v *validation) fail(field, value, message string) {
	if v.err == nil {
		v.err = fault.Field(codeInvalidPolicy, field, message).WithValue(value)
	}
}

func (v *validation) number(field string, n, high int) {
	if n < 1 || n > high {
		v.fail(field, strconv.Itoa(n), fmt.Sprintf("It must be between 1 and %d.", high))
	}
}

func (v *validation) duration(field string, d Duration, low, high time.Duration) {
	if d.Std() < low || d.Std() > high {
		v.fail(field, d.String(), fmt.Sprintf("It must be between %s and %s.", Duration(low), Duration(high)))
	}
}
