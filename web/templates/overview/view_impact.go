package overview

import "time"

// The choices of what the table of connections shows; all is the empty one.
const (
	ShowAttention = "attention"
	ShowIdle      = "idle"
)

// Impact is every connection with its traffic of the last 15 minutes, what needs somebody first. Its
// filters are show, page and limit.
type Impact struct {
	Now  time.Time
	Show string
	// Number and Limit are the page; Total counts the rows on all pages.
	Number, Limit, Total int
	// All, Attention and Idle count the connections of each choice.
	All, Attention, Idle int
	// Calls, Failed and the courses by minute are those of all connections together.
	Calls, Failed        int64
	Points, FailedPoints []float64
	P95                  time.Duration
	LatencyPoints        []float64
	Rows                 []Row
}

// Row is one connection.
type Row struct {
	Slug, Name, Kind, Auth string
	Version                int
	Paused                 bool
	// Problem says why calls are refused whatever the upstream does; empty when they are not. Credential is
	// true when it is about one.
	Problem    string
	Credential bool
	// Calls and Failed are those of the last 15 minutes, and by the minute in Minutes, oldest first.
	Calls, Failed int64
	Minutes       []Minute
	// P50 and P95 are zero without calls; Latency is the mean by the minute.
	P50, P95 time.Duration
	Latency  []float64
	// LastSuccess and LastFailure are zero when none is known. LastError says how the last failure ended.
	LastSuccess, LastFailure time.Time
	LastError                string
	// Done and Items are of the checklist; no items before the connection was judged.
	Done, Items int
}

// Minute is what happened in one of the last minutes.
type Minute struct{ Calls, Failed int }
