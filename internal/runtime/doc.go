// Package runtime makes outbound calls: it takes the request of an application and a [Target], which is
// all that a connection says about one call, and streams the exchange with the upstream.
//
// The way of a call, outermost first; each step is a package of its own below this one:
//
//	total deadline
//	→ cache          answers reads, or stands in when all else fails
//	→ retry          one attempt after another, within a budget, with one idempotency key
//	  → breaker      of the credential, of the operation, of the connection
//	  → ratelimit    every window at once, for a bounded time
//	  → bulkhead     a place among those in flight
//	  → attempt      its own timeout, the credential, the transport
//	  → [Classify]   one outcome, which decides breaker, retry and limits (see [Rules])
//
// Invariants:
//
//   - The host that is dialled is the host of the target, whatever the path says (see [JoinPath]).
//   - The caller's own credentials never reach the upstream; the target's credential never reaches the
//     caller, the record of the call, or another host. Redirects are passed back, never followed.
//   - One attempt is one send. What net/http would repeat on its own is prevented, or counted where the
//     protocol itself proves that nothing was processed (see exchange.refuseReplay).
//   - Every attempt is told to every protection exactly once, a panic included. What is rejected here, or
//     given up by the caller, never counts against the upstream.
//   - The answer of the last attempt is passed on; nothing is repeated once an answer has begun.
//   - Every call ends in exactly one [Record] with exactly one [Outcome].
//   - Bodies stream in both directions; memory does not grow with them, but for what is kept, within
//     bounds, to send a request again.
//
// The package stores nothing: policies, credentials and the call log come in through [Target] and
// [Recorder]. The state of the protections lives in [Protections], in this process.
package runtime
