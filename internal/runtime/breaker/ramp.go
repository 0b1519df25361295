package breaker

import "time"

// firstShare is the share that a ramp begins with.
const firstShare = 0.1

// ramp admits a growing share of the calls after a recovery. It spreads them evenly by counting instead of
// drawing lots, so that the same calls at the same times are always treated the same. The zero value
// admits everything.
type ramp struct {
	from, until time.Time
	credit      float64
}

// newRamp begins a ramp, whose first call is admitted. Without a duration there is none.
func newRamp(now time.Time, d time.Duration) ramp {
	if d <= 0 {
		return ramp{}
	}
	return ramp{from: now, until: now.Add(d), credit: 1}
}

func (r *ramp) over(now time.Time) bool { return !now.Before(r.until) }

// share is the part of the calls that is admitted.
func (r *ramp) share(now time.Time) float64 {
	if r.over(now) {
		return 1
	}
	return max(firstShare, float64(now.Sub(r.from))/float64(r.until.Sub(r.from)))
}

func (r *ramp) admits(now time.Time) bool {
	if r.over(now) {
		return true
	}
	r.credit += r.share(now)
	if r.credit < 1 {
		return false
	}
	r.credit--
	return true
}
