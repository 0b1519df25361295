package retry

import (
	"math/rand/v2"
	"time"
)

// jitter spreads waits; nothing depends on its being hard to guess.
func jitter() float64 { return rand.Float64() }

// backoff is the wait after so many attempts: anything up to twice the last, so that callers that failed
// together do not come back together.
func (c *Config) backoff(attempts int) time.Duration {
	longest := c.Cap
	if shift := attempts - 1; shift < 30 && c.Base<<shift < c.Cap {
		longest = c.Base << shift
	}
	return time.Duration(c.Random() * float64(longest))
}
