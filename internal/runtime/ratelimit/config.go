package ratelimit

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"switchgear/internal/fault"
)

// Limit allows a number of requests in every window of a length.
type Limit struct {
	Requests int
	Per      time.Duration
}

// Config says what a [Limiter] keeps to. The zero value limits nothing by itself and still learns.
type Config struct {
	// Limits hold for the connection as a whole.
	Limits []Limit
	// Groups hold for the operations of a group, all credentials together.
	Groups map[string][]Limit
	// Credential limits hold for each credential by itself.
	Credential []Limit
	// GroupCredential limits hold for each credential by itself within the operations of a group.
	GroupCredential map[string][]Limit
	// Dialect names how the upstream tells its limits, in the words of the provider catalogue. Empty means
	// unknown: every dialect without a vendor's name is tried.
	Dialect string
	// Reserve is how much of a learned quota is left to others who use it.
	Reserve int
	// Floor is the rate, in requests a second, below which learning never goes. 0 = one a second, or a tenth
	// of the configured rate if that is less.
	Floor float64
	// MaxHold bounds how long the upstream can keep the connection from being used. After it one request
	// tries again. 0 = 1 hour.
	MaxHold time.Duration
	// MaxWaiting bounds the queue. 0 = 1000.
	MaxWaiting int
	// HoldCredential makes a 429 hold and slow the credential it answered, not the connection.
	HoldCredential bool
}

// Bounds of a configuration.
const (
	maxLimits   = 8
	maxRequests = 1_000_000_000
	minPer      = time.Millisecond
	maxPer      = 31 * 24 * time.Hour

	defaultMaxHold    = time.Hour
	defaultMaxWaiting = 1000
)

const codeInvalidPolicy = "INVALID_POLICY"

// Validate reports the first field that is wrong as fault.Invalid. path is where the configuration stands
// in the request: "policy" makes "policy.rate_limits[0].requests".
func (c Config) Validate(path string) error {
	if err := validateLimits(path+".rate_limits", c.Limits); err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(c.Groups)) {
		if err := validateLimits(path+".rate_limit_groups."+name, c.Groups[name]); err != nil {
			return err
		}
	}
	if err := validateLimits(path+".credential_rate_limits", c.Credential); err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(c.GroupCredential)) {
		if err := validateLimits(path+".credential_rate_limit_groups."+name, c.GroupCredential[name]); err != nil {
			return err
		}
	}
	if _, ok := dialectOf(c.Dialect); !ok {
		return invalid(path+".rate_limit_dialect", c.Dialect, "There is no such rate-limit dialect.")
	}
	switch {
	case c.Reserve < 0 || c.Reserve > maxRequests:
		return invalid(path+".rate_limit_reserve", strconv.Itoa(c.Reserve), fmt.Sprintf("It must be between 0 and %d.", maxRequests))
	case !(c.Floor >= 0 && c.Floor <= maxRequests): // Not a number fails as well.
		return invalid(path+".rate_limit_floor", strconv.FormatFloat(c.Floor, 'g', -1, 64), fmt.Sprintf("It must be between 0 and %d.", maxRequests))
	case c.MaxHold < 0 || c.MaxHold > maxPer:
		return invalid(path+".rate_limit_max_hold", c.MaxHold.String(), "It must be between 0s and 744h.")
	case c.MaxWaiting < 0 || c.MaxWaiting > 1_000_000:
		return invalid(path+".rate_limit_max_waiting", strconv.Itoa(c.MaxWaiting), "It must be between 0 and 1000000.")
	}
	return nil
}

func validateLimits(path string, limits []Limit) error {
	if len(limits) > maxLimits {
		return invalid(path, strconv.Itoa(len(limits)), fmt.Sprintf("There can be at most %d rate limits.", maxLimits))
	}
	for i, limit := range limits {
		at := fmt.Sprintf("%s[%d]", path, i)
		switch {
		case limit.Requests < 1 || limit.Requests > maxRequests:
			return invalid(at+".requests", strconv.Itoa(limit.Requests), fmt.Sprintf("It must be between 1 and %d.", maxRequests))
		case limit.Per < minPer || limit.Per > maxPer:
			return invalid(at+".per", limit.Per.String(), "It must be between 1ms and 744h.")
		case slices.ContainsFunc(limits[:i], func(other Limit) bool { return other.Per == limit.Per }):
			return invalid(at+".per", limit.Per.String(), "Another rate limit has the same window; keep the stricter one.")
		}
	}
	return nil
}

func invalid(field, value, message string) error {
	return fault.Field(codeInvalidPolicy, field, message).WithValue(value)
}

// filled replaces zeros by what they stand for, and owns what it refers to.
func (c Config) filled() Config {
	if c.MaxHold == 0 {
		c.MaxHold = defaultMaxHold
	}
	if c.MaxWaiting == 0 {
		c.MaxWaiting = defaultMaxWaiting
	}
	c.Limits, c.Credential = slices.Clone(c.Limits), slices.Clone(c.Credential)
	c.Groups, c.GroupCredential = ownGroups(c.Groups), ownGroups(c.GroupCredential)
	return c
}

// ownGroups is a copy without those that have no limits.
func ownGroups(from map[string][]Limit) map[string][]Limit {
	groups := make(map[string][]Limit, len(from))
	for name, limits := range from {
		if len(limits) > 0 {
			groups[name] = slices.Clone(limits)
		}
	}
	return groups
}

// peak is the limit of the shortest window: what a connection can be seen to do at its fastest.
func peak(limits []Limit) Limit {
	var p Limit
	for _, l := range limits {
		if p.Per == 0 || l.Per < p.Per {
			p = l
		}
	}
	return p
}

// rate is requests a second, 0 for no limit.
func (l Limit) rate() float64 {
	if l.Per == 0 {
		return 0
	}
	return float64(l.Requests) / l.Per.Seconds()
}

// slower returns the limit with the lower rate; one of rate 0 is none.
func slower(a, b Limit) Limit {
	switch {
	case a.Per == 0:
		return b
	case b.Per == 0 || a.rate() <= b.rate():
		return a
	}
	return b
}
