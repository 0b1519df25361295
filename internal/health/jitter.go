package health

import (
	"math/rand/v2"
	"time"
)

// parts says which part of an interval the time between two requests may be off.
const parts = 10

// firstIn is when to ask first: anywhere within the interval, so that a start is no burst.
func firstIn(every time.Duration) time.Duration { return rand.N(every) }

// nextIn is when to ask again: the interval, a tenth of it early or late.
func nextIn(every time.Duration) time.Duration { return every - every/parts + rand.N(2*every/parts) }
