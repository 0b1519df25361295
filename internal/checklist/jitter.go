package checklist

import (
	"math/rand/v2"
	"time"
)

// jitter is d, give or take a fifth, so that not everything that is due comes due at once.
func jitter(d time.Duration) time.Duration {
	return time.Duration(float64(d) * (0.8 + 0.4*rand.Float64()))
}
