package breaker

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"switchgear/internal/fault"
)

// Bounds of what a command may ask for.
const (
	maxLease  = 31 * 24 * time.Hour
	maxReason = 500
	// maxUpstreamHold keeps an absurd delay of an upstream from stopping a connection for good.
	maxUpstreamHold = 24 * time.Hour
	// holdNews is how much longer a hold has to become before that is an event of its own. Calls that were
	// under way together are each told to wait.
	holdNews = 30 * time.Second
)

// Order is who gives a command, and why. Commands answer fault.Invalid when the order lacks something and
// fault.Conflict when they would change nothing.
type Order struct {
	Actor  string
	Reason string
	// Until is when what is ordered ends by itself.
	Until time.Time
	// Drill marks a command of a drill, which is not a person's.
	Drill bool
}

func (o Order) cause() Cause {
	if o.Drill {
		return CauseDrill
	}
	return CauseManual
}

func (o Order) lease(now time.Time) Lease {
	return Lease{Reason: o.Reason, Actor: o.Actor, Since: now, Until: o.Until}
}

// check wants an actor and, where need says so, a reason and an end.
func (o *Order) check(now time.Time, needReason, needUntil bool) error {
	o.Reason = strings.TrimSpace(o.Reason)
	switch {
	case o.Actor == "":
		return fault.Field("ACTOR_REQUIRED", "actor", "A command needs somebody who gives it.")
	case o.Reason == "" && needReason:
		return fault.Field("REASON_REQUIRED", "reason", "Give a reason: it is kept in the history and shown to whoever looks next.")
	case len(o.Reason) > maxReason:
		return fault.Field("INVALID_REASON", "reason", fmt.Sprintf("The reason can have at most %d bytes.", maxReason))
	case o.Until.IsZero() && needUntil:
		return fault.Field("END_REQUIRED", "for", "Say for how long: an override ends by itself.")
	case !o.Until.IsZero() && !o.Until.After(now):
		return fault.Field("INVALID_END", "for", "The end must lie in the future.")
	case o.Until.After(now.Add(maxLease)):
		return fault.Field("INVALID_END", "for", "The end can be at most 31 days away.")
	}
	return nil
}

func conflict(format string, args ...any) error {
	return fault.New(fault.Conflict, CodeState, fmt.Sprintf(format, args...))
}

// command locks, brings the breaker up to date, and checks the order.
func (b *Breaker) command(o *Order, needReason, needUntil bool, do func(now time.Time) error) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.clock.now()
	b.advance(now)
	if err := o.check(now, needReason, needUntil); err != nil {
		return err
	}
	return do(now)
}

// SetMode puts an override in force, or takes it back with [ModeAuto]. Forced modes need a reason and an
// end, observe a reason. The same mode again renews its lease. The automatic state goes on underneath.
func (b *Breaker) SetMode(mode Mode, o Order) error {
	if !slices.Contains(Modes(), mode) {
		_, err := ParseMode(string(mode))
		return err
	}
	forced := mode == ModeForcedOpen || mode == ModeForcedClosed
	return b.command(&o, mode != ModeAuto, forced, func(now time.Time) error {
		lease := o.lease(now)
		if mode == ModeAuto {
			if b.mode == ModeAuto {
				return conflict("The breaker decides by itself already.")
			}
			lease = Lease{}
		}
		b.setMode(now, mode, lease, b.note(now, o.cause(), o.Actor, o.Reason))
		return nil
	})
}

// Trip opens the breaker now, for as long as it would open by itself, or until the order says. It recovers
// by itself.
func (b *Breaker) Trip(o Order) error {
	return b.command(&o, true, false, func(now time.Time) error {
		switch {
		case b.mode == ModeForcedOpen || b.mode == ModeForcedClosed:
			return conflict("The breaker is %s by an override, which a trip would not change.", State(b.mode).words())
		case b.state == StateOpen || b.state == StateHeld:
			return conflict("The breaker is %s already. Hold it to keep it so for longer.", b.state.words())
		}
		n := b.note(now, o.cause(), o.Actor, o.Reason)
		b.backoff = b.decayed(now)
		until := o.Until
		if until.IsZero() {
			d, _ := b.cfg.openTime(b.backoff)
			until = now.Add(d)
		}
		b.shut(now)
		b.open(now, until, n)
		return nil
	})
}

// shut opens the inner instance, a fresh one where probes are under way.
func (b *Breaker) shut(now time.Time) {
	if b.state == StateHalfOpen {
		b.install(now)
	}
	b.arm()
}

// Hold stops calls until the order says. Then probes decide whether they come back. A further order
// replaces the end of the first; the open time of a breaker that is open anyway is not cut short.
func (b *Breaker) Hold(o Order) error {
	return b.command(&o, true, true, func(now time.Time) error {
		b.holdUntil(now, o.lease(now), b.note(now, o.cause(), o.Actor, o.Reason))
		return nil
	})
}

// HoldForUpstream stops calls until the time that the upstream asked for (Retry-After, a limit that resets),
// at most for a day. It never shortens a hold. Finish the permit of the call first: its result would no
// longer count.
func (b *Breaker) HoldForUpstream(until time.Time, reason string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.clock.now()
	b.advance(now)
	if latest := now.Add(maxUpstreamHold); until.After(latest) {
		until = latest
	}
	switch {
	case !until.After(now), b.state == StateOpen && !until.After(b.openUntil):
	case b.state != StateHeld:
		b.holdUntil(now, Lease{Reason: reason, Since: now, Until: until}, b.note(now, CauseHold, "", reason))
	case until.Sub(b.recorded) >= holdNews:
		lease := b.hold
		lease.Until = until
		if lease.Actor == "" {
			lease.Reason = reason
		}
		b.holdUntil(now, lease, b.note(now, CauseHold, "", reason))
	case until.After(b.hold.Until):
		b.hold.Until = until
		b.publish(now)
	}
}

func (b *Breaker) holdUntil(now time.Time, lease Lease, n note) {
	if b.state == StateClosed || b.state == StateHalfOpen {
		b.backoff = b.decayed(now)
		b.shut(now)
	}
	b.hold = lease
	if b.state == StateHeld {
		b.record(now, StateHeld, StateHeld, n)
		return
	}
	b.move(now, StateHeld, n)
}

// Probe ends a hold or the open time: the next calls are probes. A half-open breaker stays so; that somebody sends one
// of its probes is an event all the same.
func (b *Breaker) Probe(o Order) error {
	return b.command(&o, true, false, func(now time.Time) error {
		switch {
		case b.mode == ModeForcedOpen || b.mode == ModeForcedClosed:
			return conflict("The breaker is %s by an override, under which there are no probes.", State(b.mode).words())
		case b.state == StateClosed:
			return conflict("The breaker is closed: every call is let through.")
		}
		n := b.note(now, o.cause(), o.Actor, o.Reason)
		if b.state == StateHalfOpen {
			b.record(now, StateHalfOpen, StateHalfOpen, n)
			return nil
		}
		b.halfOpen(now, n)
		return nil
	})
}

// Reset starts afresh: closed, nothing counted, no hold, the first open time. An override stays in force.
func (b *Breaker) Reset(o Order) error {
	return b.command(&o, true, false, func(now time.Time) error {
		n := b.note(now, CauseReset, o.Actor, o.Reason)
		if o.Drill {
			n.cause = CauseDrill
		}
		b.hold, b.backoff, b.recovering = Lease{}, 0, false
		b.ramp = ramp{}
		b.install(now)
		b.resetRejections(now)
		b.closed(now, n)
		return nil
	})
}

// configure puts other thresholds in force. The configuration is valid.
func (b *Breaker) configure(cfg Config) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.clock.now()
	b.advance(now)
	cfg = cfg.withDefaults()
	if cfg == b.cfg {
		return
	}
	n := b.note(now, CauseConfig, "", "the thresholds changed")
	b.cfg = cfg
	b.install(now)
	b.resetRejections(now)
	if b.state != StateClosed {
		b.arm() // half-open, the next question makes it so again
	}
	b.record(now, b.state, b.state, n)
}
