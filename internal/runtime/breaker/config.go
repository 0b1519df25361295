package breaker

import (
	"cmp"
	"fmt"
	"math"
	"strconv"
	"time"

	"switchgear/internal/fault"
)

// Config says when a breaker trips and how it recovers. A zero field stands for the value in its comment.
type Config struct {
	FailureRatio        float64       // 0.5: trips when failures/(successes+failures) reaches it …
	MinCalls            int           // 20: … and so many calls were judged within the window
	Window              time.Duration // 1m: rolling, in ten steps
	ConsecutiveFailures int           // off: trips after so many failures in a row within the window, whatever the ratio
	SlowRatio           float64       // off: trips when this share of the judged calls is slow, from MinCalls on
	OpenFor             time.Duration // 30s: first open time; it doubles with every further opening …
	MaxOpenFor          time.Duration // 16 × OpenFor: … up to this
	HealthyAfter        time.Duration // 1m: so much time closed takes one doubling back
	HalfOpenCalls       int           // 3: probes admitted half-open, all of which must succeed
	HalfOpenTimeout     time.Duration // 1m: so long may all probes be under way before they count as failed; longer than a call may take
	RampFor             time.Duration // off: after it recovered, the admitted share grows from a tenth to all in this time
}

// steps is how many parts the window rolls in.
const steps = 10

// Bounds of a configuration. They keep a slip of the finger from becoming an outage.
const (
	minTime      = 100 * time.Millisecond
	maxTime      = time.Hour
	maxOpenTime  = 24 * time.Hour
	maxCalls     = 1_000_000
	maxProbes    = 1000
	openTimesCap = 16
)

func (c Config) withDefaults() Config {
	c.FailureRatio = cmp.Or(c.FailureRatio, 0.5)
	c.MinCalls = cmp.Or(c.MinCalls, 20)
	c.Window = cmp.Or(c.Window, time.Minute)
	c.OpenFor = cmp.Or(c.OpenFor, 30*time.Second)
	c.MaxOpenFor = cmp.Or(c.MaxOpenFor, openTimesCap*c.OpenFor)
	c.HealthyAfter = cmp.Or(c.HealthyAfter, time.Minute)
	c.HalfOpenCalls = cmp.Or(c.HalfOpenCalls, 3)
	c.HalfOpenTimeout = cmp.Or(c.HalfOpenTimeout, time.Minute)
	return c
}

// Validate reports the first field that is wrong as fault.Invalid. Its details name the field below path
// ("policy.breaker.open_for" for the path "policy.breaker").
func (c Config) Validate(path string) error {
	c = c.withDefaults()
	v := validation{path: path}
	v.share("failure_ratio", c.FailureRatio, false)
	v.number("min_calls", c.MinCalls, 1, maxCalls)
	v.duration("window", c.Window, minTime, maxTime)
	v.number("consecutive_failures", c.ConsecutiveFailures, 0, maxCalls)
	v.share("slow_ratio", c.SlowRatio, true)
	v.duration("open_for", c.OpenFor, minTime, maxTime)
	v.duration("max_open_for", c.MaxOpenFor, c.OpenFor, maxOpenTime)
	v.duration("healthy_after", c.HealthyAfter, minTime, maxOpenTime)
	v.number("half_open_calls", c.HalfOpenCalls, 1, maxProbes)
	v.duration("half_open_timeout", c.HalfOpenTimeout, minTime, maxTime)
	v.duration("ramp_for", c.RampFor, 0, maxTime)
	if v.err != nil {
		return v.err
	}
	return nil
}

// validation keeps the first problem, in the order of the form.
type validation struct {
	path string
	err  *fault.Error
}

func (v *validation) fail(field, value, message string) {
	if v.err != nil {
		return
	}
	if v.path != "" {
		field = v.path + "." + field
	}
	v.err = fault.Field("INVALID_BREAKER", field, message).WithValue(value)
}

func (v *validation) number(field string, n, low, high int) {
	if n < low || n > high {
		v.fail(field, strconv.Itoa(n), fmt.Sprintf("It must be between %d and %d.", low, high))
	}
}

func (v *validation) duration(field string, d, low, high time.Duration) {
	if d < low || d > high {
		v.fail(field, d.String(), fmt.Sprintf("It must be between %s and %s.", low, high))
	}
}

func (v *validation) share(field string, r float64, off bool) {
	if math.IsNaN(r) || r < 0 || r > 1 || (r == 0 && !off) {
		v.fail(field, strconv.FormatFloat(r, 'g', -1, 64), "The ratio must be above 0 and at most 1.")
	}
}

// step is the length of one part of the window.
func (c Config) step() time.Duration { return (c.Window + steps - 1) / steps }

// exceeded says in words which threshold the counts reach; empty when none. slow says that it is the one of slow
// calls. It allocates only then.
func (c Config) exceeded(n Counts) (reason string, slow bool) {
	judged := n.Judged()
	switch {
	case judged >= c.MinCalls && n.FailureRatio() >= c.FailureRatio:
		return fmt.Sprintf("%d of %d calls failed: %s, trips at %s", n.Failures, judged, percent(n.FailureRatio()), percent(c.FailureRatio)), false
	case c.ConsecutiveFailures > 0 && n.ConsecutiveFailures >= c.ConsecutiveFailures:
		return fmt.Sprintf("%d calls in a row failed, %d are allowed to", n.ConsecutiveFailures, c.ConsecutiveFailures-1), false
	case c.SlowRatio > 0 && judged >= c.MinCalls && n.SlowRatio() >= c.SlowRatio:
		return fmt.Sprintf("%d of %d calls were slow: %s, trips at %s", n.Slow, judged, percent(n.SlowRatio()), percent(c.SlowRatio)), true
	}
	return "", false
}

// openTime is how long a breaker opens after so many doublings, and whether a further one would be longer.
func (c Config) openTime(doublings int) (d time.Duration, more bool) {
	d = c.OpenFor
	for range doublings {
		if d >= c.MaxOpenFor {
			break
		}
		d *= 2
	}
	return min(d, c.MaxOpenFor), d < c.MaxOpenFor
}

// percent writes a share rounded down, so that what is below a threshold never looks as if it had reached it.
func percent(r float64) string {
	return strconv.FormatFloat(math.Floor(r*100+1e-9), 'f', 0, 64) + " %"
}
