package breaker

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/sony/gobreaker/v2"
)

// refusal is why the automatic state does not admit a call.
type refusal uint8

const (
	admitted refusal = iota
	refusedOpen
	refusedProbes
	refusedRamp
)

// admit asks for one call. The ticket stays empty when the call passes without being observed.
func (b *Breaker) admit(t *ticket) *RejectedError {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.clock.now()
	b.advance(now)
	b.touched = true
	if b.mode == ModeForcedOpen {
		return b.reject(now, refusedOpen)
	}
	switch why := b.ask(t, now); {
	case why == admitted:
		return nil
	case b.mode.passes():
		b.wouldReject.add(now)
		return nil
	default:
		return b.reject(now, why)
	}
}

// stands reports whether a call that was admitted may still be made.
func (b *Breaker) stands(t *ticket) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.advance(b.clock.now())
	if b.mode == ModeForcedOpen {
		return false
	}
	return b.mode.passes() || t.breaker != nil && t.generation == b.generation
}

// ask puts the call to the automatic state.
func (b *Breaker) ask(t *ticket, now time.Time) refusal {
	if b.state == StateOpen || b.state == StateHeld {
		return refusedOpen
	}
	if !b.ramp.admits(now) {
		return refusedRamp
	}
	b.clock.wait(b)
	done, err := b.inner.Allow()
	if err != nil {
		return refusedProbes
	}
	if b.state == StateHalfOpen && b.probesUsed() >= b.cfg.HalfOpenCalls {
		b.full = now
		b.schedule()
	}
	*t = ticket{breaker: b, done: done, generation: b.generation, step: b.tally.at(now)}
	return admitted
}

// probesUsed counts the probes that were admitted and not given back.
func (b *Breaker) probesUsed() int {
	if b.state != StateHalfOpen || b.innerState != gobreaker.StateHalfOpen {
		return 0
	}
	c := b.inner.Counts()
	return int(c.Requests) - int(c.TotalExclusions)
}

// report takes the result of an admitted call.
func (b *Breaker) report(t *ticket, r Result) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.clock.now()
	b.advance(now)
	if t.generation != b.generation {
		return
	}
	b.touched = true
	if r.Verdict != Success && r.Verdict != Failure {
		r.Verdict, r.Slow = Excluded, false
	}
	b.tally.add(t.step, now, r.Verdict, r.Slow)
	if r.Slow || r.Verdict == Failure {
		b.suspect = true
		b.remember(r, now)
	}
	switch {
	case r.Verdict == Excluded:
		t.done(errExcluded)
		b.full = time.Time{}
	case b.state == StateHalfOpen:
		b.probed(t, r, now)
	case r.Verdict == Success:
		t.done(nil)
		b.judge(now)
	default:
		b.roll(now) // for readyToTrip
		if t.done(errFailed); b.innerState == gobreaker.StateOpen {
			b.opened(now, note{cause: CauseAuto, reason: b.tripReason, counts: b.tripCounts, slow: b.tripSlow})
		}
	}
}

// judge looks at the thresholds after a success, which gobreaker does not: a success can be slow, be the
// one that makes the minimum, or come after older ones left the window.
func (b *Breaker) judge(now time.Time) {
	if !b.suspect {
		return
	}
	counts := b.counts(now)
	if reason, slow := b.cfg.exceeded(counts); reason != "" {
		b.arm()
		b.opened(now, note{cause: CauseAuto, reason: reason, counts: counts, slow: slow})
	}
}

// probed takes the result of a probe. All must succeed, and not too many of them slowly.
func (b *Breaker) probed(t *ticket, r Result, now time.Time) {
	counts := b.counts(now)
	if r.Verdict == Failure {
		t.done(errFailed)
		b.opened(now, note{cause: CauseAuto, reason: "a probe failed: " + cmp.Or(r.Label, r.Outcome), counts: counts})
		return
	}
	if counts.Successes < b.cfg.HalfOpenCalls {
		t.done(nil)
		return
	}
	if b.cfg.SlowRatio > 0 && counts.SlowRatio() >= b.cfg.SlowRatio {
		t.done(errFailed)
		b.opened(now, note{cause: CauseAuto, reason: fmt.Sprintf("%d of %d probes were slow", counts.Slow, counts.Successes), counts: counts, slow: true})
		return
	}
	t.done(nil)
	b.closed(now, note{cause: CauseAuto, reason: fmt.Sprintf("%d of %d probes succeeded", counts.Successes, b.cfg.HalfOpenCalls), counts: counts})
}

func (b *Breaker) remember(r Result, now time.Time) {
	if r.Verdict == Failure {
		b.lastFailure = LastFailure{Outcome: r.Outcome, RequestID: r.RequestID, At: now}
		b.failed = sampled(b.failed, r.RequestID)
	}
	if r.Slow {
		b.slow = sampled(b.slow, r.RequestID)
	}
}

// sampled is the list with one more request. Events hold the old one, so it is never written into.
func sampled(list []string, id string) []string {
	if id == "" {
		return list
	}
	return append(slices.Clone(list[max(0, len(list)-(maxSamples-1)):]), id)
}

// reject counts a call that is not let out.
func (b *Breaker) reject(now time.Time, why refusal) *RejectedError {
	b.rejected.add(now)
	b.refused++
	e := &RejectedError{Key: b.key, Mode: b.mode, State: effective(b.mode, b.state), RetryAfter: soon}
	switch {
	case b.mode == ModeForcedOpen:
		e.Reason, e.Actor, e.Until = b.lease.Reason, b.lease.Actor, b.lease.Until
	case b.state == StateHeld:
		e.Reason, e.Actor, e.Until = b.hold.Reason, b.hold.Actor, b.nextProbe()
	case why == refusedOpen:
		e.Reason, e.Actor, e.Until = b.reason, b.actor, b.nextProbe()
	case why == refusedProbes:
		e.Reason = "all probes are under way"
	default:
		e.Reason, e.Until = "recovering, "+percent(b.ramp.share(now))+" of the calls are admitted", b.ramp.until
	}
	if why == refusedOpen && !e.Until.IsZero() {
		e.RetryAfter = max(0, e.Until.Sub(now))
	}
	return e
}
