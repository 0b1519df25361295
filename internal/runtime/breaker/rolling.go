package breaker

import (
	"math"
	"time"
)

// hand points at the present step of a window. What is counted by step goes round with it.
type hand struct {
	start time.Time
	step  time.Duration
	now   int64 // the step that is counted up to
}

// at is the number of the step that a time falls into.
func (h *hand) at(now time.Time) int64 { return max(0, int64(now.Sub(h.start)/h.step)) }

// move goes on to the present step and returns how many cells have to be emptied: those of the newest steps,
// which held what has left the window.
func (h *hand) move(now time.Time) int64 {
	current := h.at(now)
	passed := min(max(0, current-h.now), steps)
	h.now = max(h.now, current)
	return passed
}

// holds reports whether a step has not left the window.
func (h *hand) holds(step int64) bool { return step <= h.now && h.now-step < steps }

// rolling counts one thing within the window.
type rolling struct {
	hand

	cells [steps]int
	total int
}

func newRolling(start time.Time, step time.Duration) rolling {
	return rolling{hand: hand{start: start, step: step}}
}

// roll forgets what has left the window.
func (r *rolling) roll(now time.Time) {
	for i := range r.move(now) {
		cell := &r.cells[(r.now-i)%steps]
		r.total -= *cell
		*cell = 0
	}
}

// add counts one now.
func (r *rolling) add(now time.Time) {
	r.roll(now)
	r.cells[r.now%steps]++
	r.total++
}

// tally counts how calls ended, by the step in which they were admitted: within the window, or without an
// end to it.
type tally struct {
	hand

	cells [steps]sums
	total sums
}

// sums are what ended in one step, or in all of them.
type sums struct {
	successes, failures, excluded, slow int
	row                                 int // of the failures that no success has followed
}

func (j *sums) add(o sums, sign int) {
	j.successes += sign * o.successes
	j.failures += sign * o.failures
	j.excluded += sign * o.excluded
	j.slow += sign * o.slow
	j.row += sign * o.row
}

// endless is the length of the steps of a tally that forgets nothing.
const endless = time.Duration(math.MaxInt64)

func newTally(start time.Time, step time.Duration) tally {
	return tally{hand: hand{start: start, step: step}}
}

// roll forgets what has left the window.
func (t *tally) roll(now time.Time) {
	for i := range t.move(now) {
		cell := &t.cells[(t.now-i)%steps]
		t.total.add(*cell, -1)
		*cell = sums{}
	}
}

// add counts the end of a call for the step in which it was admitted, unless that has left the window.
func (t *tally) add(step int64, now time.Time, v Verdict, slow bool) {
	t.roll(now)
	if !t.holds(step) {
		return
	}
	var one sums
	switch v {
	case Success:
		one.successes = 1
		for i := range t.cells {
			t.cells[i].row = 0
		}
		t.total.row = 0
	case Failure:
		one.failures, one.row = 1, 1
	case Excluded:
		one.excluded = 1
	}
	if slow {
		one.slow = 1
	}
	t.cells[step%steps].add(one, 1)
	t.total.add(one, 1)
}
