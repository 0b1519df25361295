package breaker

import "time"

// rolling counts one thing within the window, in the same steps as gobreaker does.
type rolling struct {
	start time.Time
	step  time.Duration
	now   int64 // the step that total is up to date for
	cells [steps]int
	total int
}

func newRolling(start time.Time, step time.Duration) rolling {
	return rolling{start: start, step: step}
}

// at is the number of the step that a time falls into.
func (r *rolling) at(now time.Time) int64 { return max(0, int64(now.Sub(r.start)/r.step)) }

// roll forgets what has left the window.
func (r *rolling) roll(now time.Time) {
	current := r.at(now)
	if current-r.now >= steps {
		r.cells, r.total, r.now = [steps]int{}, 0, current
	}
	for r.now < current {
		r.now++
		cell := &r.cells[r.now%steps]
		r.total -= *cell
		*cell = 0
	}
}

// add counts one for a step, unless that has left the window.
func (r *rolling) add(step int64, now time.Time) {
	r.roll(now)
	if step <= r.now && r.now-step < steps {
		r.cells[step%steps]++
		r.total++
	}
}
