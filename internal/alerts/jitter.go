package alerts

import (
	"math/rand/v2"
	"time"
)

// backoff is how long to wait after so many attempts, give or take a fifth.
func backoff(attempts int) time.Duration {
	ladder := []time.Duration{
		10 * time.Second, time.Minute, 5 * time.Minute, 15 * time.Minute, 30 * time.Minute, time.Hour, 2 * time.Hour, 4 * time.Hour, 8 * time.Hour,
	}
	d := ladder[min(max(attempts, 1), len(ladder))-1]
	return d - d/5 + rand.N(2*d/5)
}
