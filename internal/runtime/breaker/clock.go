package breaker

import (
	"time"

	"github.com/sony/gobreaker/v2"
)

// clock is the real one, or one of the past that somebody sets.
type clock struct {
	past func() time.Time
}

func newClock(past func() time.Time) clock { return clock{past: past} }

func (c clock) now() time.Time {
	if c.past != nil {
		return c.past()
	}
	return time.Now()
}

// wait waits for the end of the inner instance's open time, a nanosecond of the real clock, where that may
// not be over: the past can be gone through faster. The real clock has always come that far.
func (c clock) wait(b *Breaker) {
	if c.past == nil || b.state != StateHalfOpen {
		return
	}
	for b.innerState == gobreaker.StateOpen && b.inner.State() == gobreaker.StateOpen {
		<-time.After(time.Nanosecond)
	}
}

// lapse makes what time has changed happen, and returns when it changes something next.
func (b *Breaker) lapse() time.Time {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.advance(b.clock.now())
	return b.due
}
