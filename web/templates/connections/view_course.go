package connections

import "time"

// CourseRegion is the id of the part with the charts, which refreshes itself.
const CourseRegion = "connection-course"

// Ranges are the times that the charts may show, the first one without a choice.
func Ranges() []string { return []string{"1h", "15m", "6h", "24h", "7d", "30d"} }

// Course is the traffic of a connection over a time.
type Course struct {
	Slug, Range string
	// Operation is the one that is looked at, empty for all calls; Operations are those to choose from.
	Operation  string
	Operations []string
	// Breaker is the operation whose breaker Open and HalfOpen of the points are about, empty for that of the connection.
	Breaker string
	// Points are one for each step, oldest first.
	Points []CoursePoint
}

// CoursePoint is one step.
type CoursePoint struct {
	At                               time.Time
	Answered, Rejected, Failed, Held int64 // Rejected are client errors, Held were refused by us
	P50, P95, P99                    time.Duration
	// Waits waited for their turn in a rate limit, Waited on the average; Limited were refused by one, Full by
	// a full bulkhead, Stopped by a breaker, all three of Held. Throttled were refused by the vendor.
	Waits, Limited, Full, Stopped, Throttled int64
	Waited                                   time.Duration
	// Open and HalfOpen are for how much of the time the breaker was so, 0 to 1. Unknown before there was one.
	Open, HalfOpen float64
	Unknown        bool
	// Notes are what changed then: versions, breakers, credentials.
	Notes []string
}
