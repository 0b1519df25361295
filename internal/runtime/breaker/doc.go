// Package breaker stops calls to an upstream that fails, and lets them through again with care.
//
// There is one breaker for each connection and one for each operation of it. A call asks the operation's
// breaker, which asks the connection's first; the two permits are one [Permit], finished once. Inside is
// the state machine of sony/gobreaker (TwoStepCircuitBreaker): it asks whether to trip, hands out the probes
// of the half-open state and closes again. Everything else is here, what depends on time above all: gobreaker
// reads the real clock, and the same breaker also has to go through the past (Settings.Now), to tell what
// other thresholds would have done.
//
//	                 a threshold is reached, Trip
//	┌────────┐ ─────────────────────────────────────────► ┌────────┐
//	│ closed │                                            │  open  │ ◄─┐
//	└────────┘                                            └────────┘   │
//	  │    ▲  all probes succeed  ┌───────────┐ open time ends │  ▲     │
//	  │    └───────────────────── │ half-open │ ◄──────────────┘  │     │
//	  │          (then the ramp)  └───────────┘ ──────────────────┘     │
//	  │                             │  ▲   a probe fails, watchdog      │
//	  │ Hold, HoldForUpstream       │  │ hold ends, Probe               │
//	  │                             ▼  │                               │
//	  │                          ┌────────┐  hold ends before           │
//	  └────────────────────────► │  held  │ ─ the open time does ───────┘
//	                             └────────┘
//
// This is the automatic state, and it is always computed. A mode decides what calls see of it:
//
//	auto           the automatic state
//	forced_open    every call is rejected until the lease ends
//	forced_closed  every call passes until the lease ends
//	observe        every call passes; what would have been rejected is counted
//
// Invariants:
//
//   - Reading changes nothing. [Breaker.Snapshot] returns what was published last; only calls, commands and
//     the worker ([Registry.Serve]) move a breaker.
//   - Every permit is finished at most once, and a finish that says nothing about the upstream (excluded,
//     [Permit.Cancel]) gives its half-open slot back. Probes that never end are cut off by a watchdog. So no
//     sequence of outcomes leaves a breaker that admits nobody for ever.
//   - A result counts only in the state in which its call was admitted. What arrives later, or belongs to
//     an instance that was replaced (each has an epoch), is dropped.
//   - Local rejections are never failures of the upstream: the failure ratio is failures/(successes+failures).
//   - Every change is one [Event], in order, numbered without gaps; it carries the counts that led to it and
//     the [Durable] form of the breaker after it. Nothing waits for whoever stores events.
//   - Forced modes have a reason, an actor and an end.
//
// Open time doubles with every opening up to a limit; time spent closed takes the doublings back. After a
// hold (asked for by the upstream or by a person) calls also come back through the half-open state, so that
// a crowd of waiting callers does not return at once.
//
// A configuration that differs replaces the instance: mode, lease, hold and open time stay, the counts of
// the window start again, and a half-open breaker starts its probes again.
//
// Breakers live in the process. What is asked of them is small (allow, finish, hold, read, command), keyed
// by value and free of shared memory, so that a form shared between nodes can take their place.
package breaker
