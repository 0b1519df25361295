package health

import (
	"slices"
	"time"
)

// Span is a time, to the second.
type Span struct{ From, To time.Time }

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

// course is the worst state of each of the last minutes, and within which seconds of it that was. Between two
// notes it stayed what it was.
type course struct {
	levels   [Minutes]level // by the number of the minute
	from, to [Minutes]uint8 // the first second of the worst state, and the one after its last
	minute   int64          // of the last note; 0 before the first
	now      level          // since then
}

// wholeMinute is the second after the last one of a minute.
const wholeMinute = 60

func minuteOf(t time.Time) int64 { return t.Unix() / 60 }

// note takes in the state from a moment on. until says that the state before reached into that minute.
func (c *course) note(at time.Time, now level, until bool) {
	minute, second := minuteOf(at), uint8(at.Second()) //nolint:gosec // It is below 60.
	switch {
	case c.minute == 0:
		*c = course{minute: minute}
		c.worst(minute, now, second, wholeMinute)
	case c.minute < minute:
		c.fill(minute - 1)
		c.minute = minute
		c.worst(minute, now, second, wholeMinute)
		switch {
		case c.now == now:
			c.worst(minute, now, 0, wholeMinute)
		case until && c.now < now:
			c.worst(minute, c.now, 0, second)
		}
	default:
		i := c.minute % Minutes
		if c.levels[i] == c.now && c.now != now && c.to[i] == wholeMinute {
			c.to[i] = second
		}
		switch {
		case now < c.levels[i]:
			c.worst(c.minute, now, second, wholeMinute)
		case now == c.levels[i]:
			c.to[i] = wholeMinute
		}
	}
	c.now = now
}

func (c *course) worst(minute int64, l level, from, to uint8) {
	i := minute % Minutes
	c.levels[i], c.from[i], c.to[i] = l, from, to
}

// fill continues the present state to the end of a minute.
func (c *course) fill(minute int64) {
	for m := max(c.minute+1, minute-Minutes+1); m <= minute; m++ {
		c.worst(m, c.now, 0, wholeMinute)
	}
	c.minute = max(c.minute, minute)
}

// until are the states of the last minutes up to one, oldest first, and when each was so.
func (c course) until(minute int64) (states [Minutes]State, spans [Minutes]Span) {
	if c.minute == 0 {
		return states, spans
	}
	c.fill(minute)
	for i := range states {
		m := c.minute - int64(Minutes-1-i)
		k := m % Minutes
		if states[i] = c.levels[k].state(); states[i] != "" {
			begin := time.Unix(m*60, 0).UTC()
			spans[i] = Span{begin.Add(time.Duration(c.from[k]) * time.Second), begin.Add(time.Duration(c.to[k]) * time.Second)}
		}
	}
	return states, spans
}
