package credentials

import (
	"math/rand/v2"
	"time"
)

// spread is a random part of d, so that what began together does not go on together.
func spread(d time.Duration) time.Duration {
	if d <= 0 {
		return 0
	}
	return time.Duration(rand.Int64N(int64(d) + 1))
}
