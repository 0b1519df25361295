package health

import (
	"slices"
	"time"
)

// Minutes is how many minutes of states are remembered.
const Minutes = 15

// level is a state in one byte: its place in [States] and one; 0 where none is known.
type level uint8

func levelOf(s State) level { return level(slices.Index(States(), s) + 1) } //nolint:gosec // There are eight states.

func (l level) state() State {
	if l == 0 {
		return ""
	}
	return States()[l-1]
}

// course is the worst state of each of the last minutes. Between two notes it stayed what it was.
type course struct {
	levels [Minutes]level // by the number of the minute
	minute int64          // of the last note; 0 before the first
	now    level          // since then
}

func minuteOf(t time.Time) int64 { return t.Unix() / 60 }

// note takes in the state from a minute on. until says that the state before reached into that minute.
func (c *course) note(minute int64, now level, until bool) {
	if c.minute == 0 {
		*c = course{minute: minute, now: now}
		c.levels[minute%Minutes] = now
		return
	}
	if c.minute < minute {
		c.fill(minute - 1)
		c.minute = minute
		c.levels[minute%Minutes] = now
		if until {
			c.levels[minute%Minutes] = min(c.now, now)
		}
	}
	at := &c.levels[c.minute%Minutes]
	*at, c.now = min(*at, now), now
}

// fill continues the present state to the end of a minute.
func (c *course) fill(minute int64) {
	for m := max(c.minute+1, minute-Minutes+1); m <= minute; m++ {
		c.levels[m%Minutes] = c.now
	}
	c.minute = max(c.minute, minute)
}

// until are the states of the last minutes up to one, oldest first.
func (c course) until(minute int64) (out [Minutes]State) {
	if c.minute == 0 {
		return out
	}
	c.fill(minute)
	for i := range out {
		out[i] = c.levels[(c.minute-int64(Minutes-1-i))%Minutes].state()
	}
	return out
}
