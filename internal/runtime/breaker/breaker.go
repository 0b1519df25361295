package breaker

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sony/gobreaker/v2"
)

var (
	errFailed   = errors.New("the call failed")
	errExcluded = errors.New("the call says nothing about the upstream")
)

// maxSamples is how many failed requests are named by an event.
const maxSamples = 5

// Breaker is the circuit breaker of a connection or of an operation. [Registry.Breaker] makes it; it may be
// used from many goroutines.
//
// Everything below mu changes under mu only, calls into the inner instance included. Its callbacks
// therefore run under mu as well, and do no more than note what happened.
type Breaker struct {
	key       Key
	parent    *Breaker // of the connection; nil for that itself
	queue     *queue
	notClosed *notClosed
	published atomic.Pointer[Snapshot]

	mu  sync.Mutex
	cfg Config

	// inner counts, trips and hands out probes. Its own open time is next to nothing: it is not asked before
	// this breaker's open time is over, so that open times may differ and holds may be longer.
	inner      *gobreaker.TwoStepCircuitBreaker[struct{}]
	innerState gobreaker.State
	armed      bool   // the next failure trips, whatever the counts
	tripCounts Counts // what tripped it: gobreaker clears its counts before it says that it tripped
	tripReason string

	epoch      uint64 // of the inner instance
	generation uint64 // of the instance and its state: results of another generation are dropped
	seq        uint64 // of the last event
	last       *Event

	mode  Mode
	lease Lease // of the mode, unless that is auto

	state      State // automatic
	stateSince time.Time
	reason     string    // why it opened last
	openUntil  time.Time // open time of its own; effective is the later of this and the end of the hold
	hold       Lease
	recorded   time.Time // end of the hold that the last event told
	backoff    int       // doublings of the open time
	reopens    int       // failed recoveries since it was closed last
	recovering bool      // it opened because of failures: closing is followed by the ramp
	ramp       ramp
	full       time.Time // since when all probes are under way; zero when one is left
	due        time.Time // when time alone changes something next

	seen      State // what calls meet, and since when
	since     time.Time
	refused   int // calls rejected since then
	openTotal time.Duration

	slow        rolling
	slowProbes  int // the same without a window: the counts of the half-open state do not roll
	rejected    rolling
	wouldReject rolling
	suspect     bool // a call failed or was slow since it closed: only then can a success reach a threshold
	samples     []string
	lastFailure LastFailure
	touched     bool // there were calls since the last publication
}

// LastFailure is the last call that counted against the upstream.
type LastFailure struct {
	Outcome   string
	RequestID string
	At        time.Time
}

// note is what an event says beside the states.
type note struct {
	cause  Cause
	actor  string
	reason string
	counts Counts
}

// newBreaker makes a closed breaker. The configuration is valid.
func newBreaker(key Key, parent *Breaker, cfg Config, q *queue, open *notClosed) *Breaker {
	now := time.Now()
	b := &Breaker{
		key: key, parent: parent, queue: q, notClosed: open, cfg: cfg.withDefaults(),
		mode: ModeAuto, state: StateClosed, stateSince: now, seen: StateClosed, since: now,
	}
	b.install(now)
	b.resetRejections(now)
	b.publish(now)
	return b
}

// Key names the breaker.
func (b *Breaker) Key() Key { return b.key }

// install puts a fresh, closed instance in place. What is still under way on the old one no longer counts.
func (b *Breaker) install(now time.Time) {
	b.epoch++
	b.inner = gobreaker.NewTwoStepCircuitBreaker[struct{}](gobreaker.Settings{
		Name:          b.key.String(),
		MaxRequests:   uint32(b.cfg.HalfOpenCalls), //nolint:gosec // Between 1 and maxProbes.
		Interval:      b.cfg.Window,
		BucketPeriod:  b.cfg.step(),
		Timeout:       1,
		ReadyToTrip:   b.readyToTrip,
		OnStateChange: func(_ string, _, to gobreaker.State) { b.innerState = to },
		IsSuccessful:  func(err error) bool { return err == nil },
		IsExcluded:    func(err error) bool { return errors.Is(err, errExcluded) },
	})
	b.innerState = gobreaker.StateClosed
	b.begin(now)
}

// begin starts a generation: nothing was admitted in it yet.
func (b *Breaker) begin(now time.Time) {
	b.generation++
	b.full = time.Time{}
	b.slow, b.slowProbes = newRolling(now, b.cfg.step()), 0
	b.suspect = false
}

func (b *Breaker) resetRejections(now time.Time) {
	b.rejected = newRolling(now, b.cfg.step())
	b.wouldReject = newRolling(now, b.cfg.step())
}

// readyToTrip is gobreaker's question after a failure. It runs under the locks of both.
func (b *Breaker) readyToTrip(c gobreaker.Counts) bool {
	if b.armed {
		return true
	}
	b.tripCounts = b.with(c)
	b.tripReason = b.cfg.exceeded(b.tripCounts)
	return b.tripReason != ""
}

// arm opens the inner instance, which must be closed, by one failure that is not a call's.
func (b *Breaker) arm() {
	b.armed = true
	if done, err := b.inner.Allow(); err == nil {
		done(errFailed)
	}
	b.armed = false
}

// counts are those of the present state. In the closed state the inner instance has to be touched first,
// because its counts do not roll by being read; in the others that would move it.
func (b *Breaker) counts(now time.Time) Counts {
	if b.state == StateClosed {
		b.inner.State()
	}
	b.roll(now)
	return b.with(b.inner.Counts())
}

// roll brings what is counted here up to date.
func (b *Breaker) roll(now time.Time) {
	b.slow.roll(now)
	b.rejected.roll(now)
	b.wouldReject.roll(now)
}

// with completes gobreaker's counts. Slow calls are counted here and calls there, each with its own
// reading of the clock, so that at the edge of a step one may be a moment ahead.
func (b *Breaker) with(c gobreaker.Counts) Counts {
	slow := b.slow.total
	if b.state == StateHalfOpen {
		slow = b.slowProbes
	}
	return Counts{
		Successes: int(c.TotalSuccesses), Failures: int(c.TotalFailures), Excluded: int(c.TotalExclusions),
		Slow:                min(slow, int(c.TotalSuccesses)+int(c.TotalFailures)),
		ConsecutiveFailures: int(c.ConsecutiveFailures),
		Rejected:            b.rejected.total, WouldReject: b.wouldReject.total,
	}
}

// note begins what an event says, with the counts of this moment.
func (b *Breaker) note(now time.Time, cause Cause, actor, reason string) note {
	return note{cause: cause, actor: actor, reason: reason, counts: b.counts(now)}
}

// opened takes note that the inner instance opened because of failures.
func (b *Breaker) opened(now time.Time, n note) {
	if b.state == StateClosed {
		b.backoff = b.decayed(now)
	} else {
		b.reopens++
	}
	d, more := b.cfg.openTime(b.backoff)
	if more {
		b.backoff++
	}
	b.open(now, now.Add(d), n)
}

// open is the state after the inner instance opened, by itself or armed.
func (b *Breaker) open(now, until time.Time, n note) {
	b.openUntil, b.recovering, b.reason = until, true, n.reason
	b.move(now, StateOpen, n)
}

// decayed is what time in the closed state has left of the doublings.
func (b *Breaker) decayed(now time.Time) int {
	if b.state != StateClosed {
		return b.backoff
	}
	return max(0, b.backoff-int(now.Sub(b.stateSince)/b.cfg.HealthyAfter))
}

// closed takes note that the inner instance closed.
func (b *Breaker) closed(now time.Time, n note) {
	b.reopens, b.openUntil, b.reason = 0, time.Time{}, ""
	if b.recovering {
		b.ramp = newRamp(now, b.cfg.RampFor)
	}
	b.recovering = false
	b.move(now, StateClosed, n)
	b.samples = nil
}

// advance does what time alone does: leases and holds end, open becomes half-open, the watchdog bites.
func (b *Breaker) advance(now time.Time) {
	if b.due.IsZero() || now.Before(b.due) {
		return
	}
	if until := b.lease.Until; !until.IsZero() && !now.Before(until) {
		n := b.note(now, CauseLeaseExpired, "", "the override ended: "+b.lease.Reason)
		b.setMode(now, ModeAuto, Lease{}, n)
	}
	if b.state == StateHeld && !now.Before(b.hold.Until) {
		if now.Before(b.openUntil) {
			b.hold = Lease{}
			b.move(now, StateOpen, b.note(now, CauseAuto, "", "the hold ended, the open time has not"))
		} else {
			b.halfOpen(now, b.note(now, CauseAuto, "", "the hold ended"))
		}
	}
	if b.state == StateOpen && !now.Before(b.openUntil) {
		b.halfOpen(now, b.note(now, CauseAuto, "", "the open time ended"))
	}
	if b.state == StateHalfOpen && !b.full.IsZero() && now.Sub(b.full) >= b.cfg.HalfOpenTimeout {
		n := b.note(now, CauseWatchdog, "", fmt.Sprintf("%s passed and the probes did not end", b.cfg.HalfOpenTimeout))
		b.install(now)
		b.arm()
		b.opened(now, n)
	}
	b.schedule()
}

// halfOpen lets probes through from now on. The inner instance follows when the first is asked for.
func (b *Breaker) halfOpen(now time.Time, n note) {
	b.hold, b.openUntil = Lease{}, time.Time{}
	b.move(now, StateHalfOpen, n)
}

// schedule finds out when time changes something next.
func (b *Breaker) schedule() {
	b.due = time.Time{}
	at := func(t time.Time) {
		if !t.IsZero() && (b.due.IsZero() || t.Before(b.due)) {
			b.due = t
		}
	}
	at(b.lease.Until)
	switch b.state {
	case StateHeld:
		at(b.hold.Until)
	case StateOpen:
		at(b.openUntil)
	case StateHalfOpen:
		if !b.full.IsZero() {
			at(b.full.Add(b.cfg.HalfOpenTimeout))
		}
	case StateClosed, StateForcedOpen, StateForcedClosed, StateObserve:
	}
}

// move changes the automatic state.
func (b *Breaker) move(now time.Time, to State, n note) {
	from := b.state
	b.begin(now)
	b.state, b.stateSince = to, now
	if to != StateClosed {
		b.ramp = ramp{}
	}
	b.record(now, from, to, n)
}

// setMode changes who decides.
func (b *Breaker) setMode(now time.Time, mode Mode, lease Lease, n note) {
	from := effective(b.mode, b.state)
	b.mode, b.lease = mode, lease
	b.record(now, from, effective(mode, b.state), n)
}

// record makes the event of a change that has just been made, and publishes the result.
func (b *Breaker) record(now time.Time, from, to State, n note) {
	if meets := effective(b.mode, b.state); meets != b.seen {
		if b.seen.rejects() {
			b.openTotal += now.Sub(b.since)
		}
		b.seen, b.since, b.refused = meets, now, 0
	}
	b.recorded = b.hold.Until
	b.seq++
	b.last = &Event{
		Key: b.key, Epoch: b.epoch, Seq: b.seq, At: now, From: from, To: to, Mode: b.mode,
		Cause: n.cause, Actor: n.actor, Reason: n.reason, Counts: n.counts,
		LastOutcome: b.lastFailure.Outcome, Samples: b.samples,
		Until: b.nextProbe(), LeaseUntil: b.lease.Until, Durable: b.durable(),
	}
	b.queue.push(*b.last)
	b.schedule()
	b.publish(now)
}

// nextProbe is when the next probe may be sent, zero when that is not a matter of time.
func (b *Breaker) nextProbe() time.Time {
	switch {
	case b.state == StateHeld && b.hold.Until.After(b.openUntil):
		return b.hold.Until
	case b.state == StateHeld || b.state == StateOpen:
		return b.openUntil
	}
	return time.Time{}
}

// tick is the worker's visit: what time changes happens in time, and readers get fresh figures.
func (b *Breaker) tick() {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	b.advance(now)
	if p := b.published.Load(); b.touched || p.State != StateClosed || p.Counts != (Counts{}) || p.RampShare < 1 {
		b.publish(now)
	}
}
