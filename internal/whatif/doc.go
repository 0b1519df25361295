// Package whatif tells what other breaker and limit settings would have done to the calls of the last days.
//
// The calls of the log go, in order, through two sets of the real protections on a clock of the past: one with
// the policy in force, one with the policy that somebody thinks about. It is the same code that decides live
// (breaker.Registry and ratelimit.Limiter); here is only what plays the callers and counts.
//
// What a replay can know is limited, and the result says so:
//
//   - A call that is refused here did happen then, so it is known whether it would have failed. What its caller
//     would have done instead is not, nor whether the upstream had recovered sooner with fewer calls.
//   - A call that was refused then, by a breaker, a limit or a bulkhead, was not sent. It asks for its place
//     here too, but nobody knows how it would have ended, so it says nothing about the upstream.
//   - Breakers, limits and what they need to judge by are replayed; retries, timeouts, bulkheads, the cache,
//     pauses that the vendor asked for and overrides are not. The attempts of a call come at the distances that
//     they had.
//   - Both begin closed and with empty windows.
package whatif
