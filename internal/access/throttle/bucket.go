package throttle

import "time"

// bucket is a rate limit whose tokens can be given back, which those of x/time/rate cannot once time
// has passed: an attempt that succeeds has to cost nothing.
type bucket struct {
	tokens float64
	at     time.Time // when tokens was right
}

// rate is so many tokens at once, and one more each interval.
type rate struct {
	burst    int
	interval time.Duration
}

func (b *bucket) fill(r rate, now time.Time) {
	if passed := now.Sub(b.at); passed > 0 {
		b.tokens = min(b.tokens+passed.Seconds()/r.interval.Seconds(), float64(r.burst))
		b.at = now
	}
}

// take takes a token, or says how long until there is one.
func (b *bucket) take(r rate, now time.Time) (wait time.Duration) {
	b.fill(r, now)
	if b.tokens < 1 {
		return max(time.Duration((1-b.tokens)*float64(r.interval)), time.Millisecond)
	}
	b.tokens--
	return 0
}

// full reports whether nothing is lost by forgetting the bucket.
func (b *bucket) full(r rate, now time.Time) bool {
	b.fill(r, now)
	return b.tokens >= float64(r.burst)
}
