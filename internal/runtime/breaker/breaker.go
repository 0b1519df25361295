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

// maxSamples is how many requests are named by an event.
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
	clock     clock
	notClosed *notClosed
	published atomic.Pointer[Snapshot]

	mu  sync.Mutex
	cfg Config

	// inner is the state machine: it asks whether to trip, hands out the probes and closes again. Its own open
	// time is next to nothing: it is not asked before this breaker's open time is over, so that open times may
	// differ and holds may be longer. It reads the real clock and no other, so nothing else of it depends on
	// time: the window is counted here.
	inner      *gobreaker.TwoStepCircuitBreaker[struct{}]
	innerState gobreaker.State
	armed      bool   // the next failure trips, whatever the counts
	tripCounts Counts // what tripped it
	tripReason string
	tripSlow   bool

	epoch      uint64 // of the inner instance
	generation uint64 // of the instance and its state: results of another generation are dropped
	seq        uint64 // of the last event
	last       *Event

	mode  Mode
	lease Lease // of the mode, unless that is auto

	state      State // automatic
	stateSince time.Time
	reason     string    // why it opened last
	actor      string    // who opened it then; empty when it was the calls
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

	tally       tally
	rejected    rolling
	wouldReject rolling
	suspect     bool     // a call failed or was slow since it closed: only then can a success reach a threshold
	failed      []string // requests that failed last since it closed, the newest at the end
	slow        []string // and those that were slow
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
	// opened says that it is the calls that opened the breaker: slow ones, or those that failed.
	opened, slow bool
}

// newBreaker makes a closed breaker. The configuration is valid.
func newBreaker(key Key, parent *Breaker, cfg Config, q *queue, open *notClosed, c clock) *Breaker {
	now := c.now()
	b := &Breaker{
		key: key, parent: parent, queue: q, notClosed: open, clock: c, cfg: cfg.withDefaults(),
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
	step := b.cfg.step()
	if b.state == StateHalfOpen {
		step = endless // All probes count, however long they take.
	}
	b.tally = newTally(now, step)
	b.suspect = false
}

func (b *Breaker) resetRejections(now time.Time) {
	b.rejected = newRolling(now, b.cfg.step())
	b.wouldReject = newRolling(now, b.cfg.step())
}

// readyToTrip is gobreaker's question after a failure. It runs under the locks of both.
func (b *Breaker) readyToTrip(gobreaker.Counts) bool {
	if b.armed {
		return true
	}
	b.tripCounts = b.counted()
	b.tripReason, b.tripSlow = b.cfg.exceeded(b.tripCounts)
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

// counts are those of the present state.
func (b *Breaker) counts(now time.Time) Counts {
	b.roll(now)
	return b.counted()
}

// roll brings what is counted up to date.
func (b *Breaker) roll(now time.Time) {
	b.tally.roll(now)
	b.rejected.roll(now)
	b.wouldReject.roll(now)
}

// counted is what the counts were when they were brought up to date last.
func (b *Breaker) counted() Counts {
	n := &b.tally.total
	return Counts{
		Successes: n.successes, Failures: n.failures, Excluded: n.excluded, Slow: n.slow, ConsecutiveFailures: n.row,
		Rejected: b.rejected.total, WouldReject: b.wouldReject.total,
	}
}

// note begins what an event says, with the counts of this moment.
func (b *Breaker) note(now time.Time, cause Cause, actor, reason string) note {
	return note{cause: cause, actor: actor, reason: reason, counts: b.counts(now)}
}

// opened takes note that the inner instance opened because of failures.
func (b *Breaker) opened(now time.Time, n note) {
	n.opened = n.cause == CauseAuto
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
	b.openUntil, b.recovering, b.reason, b.actor = until, true, n.reason, n.actor
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
	b.reopens, b.openUntil, b.reason, b.actor = 0, time.Time{}, "", ""
	if b.recovering {
		b.ramp = newRamp(now, b.cfg.RampFor)
	}
	b.recovering = false
	b.move(now, StateClosed, n)
	b.failed, b.slow = nil, nil
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
	b.state, b.stateSince = to, now
	b.begin(now)
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
		Until: b.nextProbe(), LeaseUntil: b.lease.Until, Durable: b.durable(),
	}
	switch {
	case n.opened && n.slow:
		b.last.Samples = b.slow
	case n.opened:
		b.last.LastOutcome, b.last.Samples = b.lastFailure.Outcome, b.failed
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
	now := b.clock.now()
	b.advance(now)
	if p := b.published.Load(); b.touched || p.State != StateClosed || p.Counts != (Counts{}) || p.RampShare < 1 {
		b.publish(now)
	}
}
