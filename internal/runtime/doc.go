// Package runtime makes outbound calls: it takes the request of an application and a [Target], which is
// all that a connection says about one call, and streams the exchange with the upstream.
//
// Invariants:
//
//   - The host that is dialled is the host of the target, whatever the path says (see [JoinPath]).
//   - The caller's own credentials never reach the upstream; the target's credential never reaches the
//     caller, the record of the call, or another host. Redirects are passed back, never followed.
//   - One attempt is one send. What net/http would repeat on its own is prevented, or counted where the
//     protocol itself proves that nothing was processed (see exchange.refuseReplay).
//   - Every call ends in exactly one [Record] with exactly one [Outcome].
//   - Bodies stream in both directions; memory does not grow with them.
//
// The package stores nothing: policies, credentials and the call log come in through [Target] and
// [Recorder].
package runtime
