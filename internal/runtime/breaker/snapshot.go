package breaker

import (
	"fmt"
	"strings"
	"time"
)

// Snapshot is what readers see of a breaker. It is a copy: nothing that is done with it reaches the
// breaker. It is published with every change, and by the worker while there are calls.
type Snapshot struct {
	Key Key
	At  time.Time // when it was published
	// Mode and State are what calls meet, Since when on. WouldBe is the automatic state: under an override,
	// what the state would be.
	Mode         Mode
	State        State
	Since        time.Time
	WouldBe      State
	WouldBeSince time.Time
	// Until is when the next probe may be sent; zero unless the automatic state is open or held.
	Until time.Time
	// Lease is the override in force, Hold the pause in force; each zero without one.
	Lease Lease
	Hold  Lease
	// Reason says why it opened last; empty when it did not since it was closed. Actor is who opened it then, and
	// empty when the calls did.
	Reason string
	Actor  string

	Config Config
	Counts Counts
	// ProbesUsed and ProbesSucceeded are those of the half-open state.
	ProbesUsed      int
	ProbesSucceeded int
	// RampShare is the share of calls that is admitted when closed, 1 without a ramp.
	RampShare float64
	// Refused is how many calls were rejected since Since.
	Refused int

	Epoch       uint64
	Last        Event // the last change; its Seq is 0 when there was none
	LastFailure LastFailure
	// Reopens counts failed recoveries since it was closed last.
	Reopens int
	// OpenTotal is the time in which no call passed, up to At.
	OpenTotal time.Duration
}

// Snapshot returns what was published last. It never changes the breaker and never waits for it.
func (b *Breaker) Snapshot() Snapshot { return *b.published.Load() }

func (b *Breaker) publish(now time.Time) {
	s := &Snapshot{
		Key: b.key, At: now, Mode: b.mode, State: b.seen, Since: b.since, WouldBe: b.state, WouldBeSince: b.stateSince,
		Until: b.nextProbe(), Lease: b.lease, Hold: b.hold, Reason: b.reason, Actor: b.actor, Config: b.cfg, Counts: b.counts(now),
		ProbesUsed: b.probesUsed(), RampShare: b.ramp.share(now), Refused: b.refused,
		Epoch: b.epoch, LastFailure: b.lastFailure, Reopens: b.reopens, OpenTotal: b.openTotal,
	}
	if b.state == StateHalfOpen {
		s.ProbesSucceeded = s.Counts.Successes
	}
	if b.seen.rejects() {
		s.OpenTotal += now.Sub(b.since)
	}
	if b.last != nil {
		s.Last = *b.last
	}
	b.touched = false
	before := b.published.Swap(s)
	switch was := before != nil && before.State != StateClosed; {
	case was == (s.State != StateClosed):
	case was:
		b.notClosed.remove(b)
	default:
		b.notClosed.add(b)
	}
}

// Why says in a sentence or two why calls pass or do not.
func (s Snapshot) Why() string {
	if s.Mode == ModeAuto {
		return sentence(s.automatic())
	}
	by := fmt.Sprintf("%s by %s: %s", State(s.Mode).words(), s.Lease.Actor, s.Lease.Reason)
	return sentence(by) + " Without the override: " + s.WouldBe.words() + ". " + sentence(s.automatic())
}

// automatic explains the automatic state.
func (s Snapshot) automatic() string {
	switch s.WouldBe {
	case StateOpen:
		if s.Actor != "" {
			return fmt.Sprintf("open, tripped by %s: %s", s.Actor, s.Reason)
		}
		return "open because " + s.Reason
	case StateHeld:
		if s.Hold.Actor != "" {
			return fmt.Sprintf("held by %s: %s", s.Hold.Actor, s.Hold.Reason)
		}
		return "held for the upstream: " + s.Hold.Reason
	case StateHalfOpen:
		return fmt.Sprintf("%d of %d probes used, %d succeeded: closes when all succeed, opens again at the first failure",
			s.ProbesUsed, s.Config.HalfOpenCalls, s.ProbesSucceeded)
	case StateClosed, StateForcedOpen, StateForcedClosed, StateObserve:
	}
	return s.notTripped()
}

// notTripped compares the counts with every threshold.
func (s Snapshot) notTripped() string {
	c, n := s.Config, s.Counts
	if n.Judged() == 0 {
		return fmt.Sprintf("no calls in the last %s: nothing to judge", c.Window)
	}
	text := fmt.Sprintf("%d of %d minimum calls, failures %s of %s", n.Judged(), c.MinCalls, percent(n.FailureRatio()), percent(c.FailureRatio))
	if c.ConsecutiveFailures > 0 {
		text += fmt.Sprintf(", %d of %d failures in a row", n.ConsecutiveFailures, c.ConsecutiveFailures)
	}
	if c.SlowRatio > 0 {
		text += fmt.Sprintf(", slow calls %s of %s", percent(n.SlowRatio()), percent(c.SlowRatio))
	}
	enough, failing := n.Judged() >= c.MinCalls, n.FailureRatio() >= c.FailureRatio || c.SlowRatio > 0 && n.SlowRatio() >= c.SlowRatio
	switch {
	case enough && failing:
		text += ": trips with the next call that is judged" // calls that succeeded have left the window
	case failing:
		text += ": not tripped because too few calls were judged"
	default:
		text += ": not tripped because no threshold is reached"
	}
	if s.RampShare < 1 {
		text += fmt.Sprintf("; recovering, %s of the calls are admitted", percent(s.RampShare))
	}
	return text
}

// sentence begins with a capital letter and ends with a full stop.
func sentence(s string) string {
	return strings.ToUpper(s[:1]) + strings.TrimSuffix(s[1:], ".") + "."
}
