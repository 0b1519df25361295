package whatif

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"switchgear/internal/runtime"
)

// maxOpenings is how many openings are listed; all are counted.
const maxOpenings = 200

// Figures are what one policy would have done.
type Figures struct {
	// Opened counts how often a breaker opened, Reopened how often it opened again because a probe failed.
	Opened, Reopened int
	// OpenFor is how long breakers were open, all together.
	OpenFor time.Duration
	// Openings are the first 200 of them.
	Openings []Opening
	// Breaker and Limits are the calls that were refused.
	Breaker, Limits Refusals
	// Delayed counts attempts that waited for their turn at a limit, LongestWait how long at most.
	Delayed     int
	LongestWait time.Duration
	// Sent counts the calls that went through.
	Sent int
	// Broken counts attempts that could not be replayed.
	Broken int
}

// Opening is one time that a breaker opened.
type Opening struct {
	At  time.Time
	For time.Duration
	// Operation is empty for the breaker of the connection.
	Operation string
	Reason    string
	// Again is true when a probe had failed.
	Again bool
}

// Refusals are calls that would not have been sent, by how they ended when they were.
type Refusals struct {
	Failing int // they failed: refusing them saved the wait
	Good    int // they succeeded, or the upstream was alive at least
	Other   int // they said nothing about the upstream: 401, 429, cancelled
	Unknown int // they were refused then as well
}

// Total is all of them.
func (r Refusals) Total() int { return r.Failing + r.Good + r.Other + r.Unknown }

func (r *Refusals) add(c *call) {
	rule, _ := c.outcome.Rule()
	switch {
	case c.refused:
		r.Unknown++
	case rule.Breaker == runtime.VerdictFailure:
		r.Failing++
	case rule.Breaker == runtime.VerdictSuccess:
		r.Good++
	default:
		r.Other++
	}
}

// Sentence says what happened, to be continued from a subject: "would have opened 2 times for 41 s, saved 630
// failing calls, rejected 12 good ones".
func (f Figures) Sentence() string {
	parts := []string{"would never have opened"}
	if f.Opened > 0 {
		parts[0] = "would have opened " + times(f.Opened) + " for " + span(f.OpenFor)
		parts = append(parts, "saved "+count(f.Breaker.Failing, "failing call"), "rejected "+number(f.Breaker.Good)+" good "+ones(f.Breaker.Good))
	}
	if f.Delayed > 0 {
		parts = append(parts, "delayed "+count(f.Delayed, "attempt")+" by up to "+span(f.LongestWait))
	}
	if n := f.Limits.Total(); n > 0 {
		parts = append(parts, "refused "+count(n, "call")+" for the limits")
	}
	return strings.Join(parts, ", ")
}

func ones(n int) string {
	if n == 1 {
		return "one"
	}
	return "ones"
}

func times(n int) string {
	if n == 1 {
		return "once"
	}
	return number(n) + " times"
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return number(n) + " " + what + "s"
}

// number writes thousands apart.
func number(n int) string {
	s := strconv.Itoa(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// span is a time in words, in a unit that fits it.
func span(d time.Duration) string {
	switch {
	case d <= 0:
		return "0 s"
	case d < time.Second:
		return strconv.FormatInt(max(1, d.Milliseconds()), 10) + " ms"
	case d < 10*time.Second:
		return strconv.FormatFloat(d.Round(100*time.Millisecond).Seconds(), 'f', -1, 64) + " s"
	case d < 2*time.Minute:
		return strconv.FormatInt(int64(d.Round(time.Second)/time.Second), 10) + " s"
	case d < 2*time.Hour:
		return strconv.FormatInt(int64(d.Round(time.Minute)/time.Minute), 10) + " min"
	}
	return fmt.Sprintf("%d h %d min", int64(d/time.Hour), int64(d%time.Hour/time.Minute))
}
