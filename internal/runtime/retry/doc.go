// Package retry decides whether an attempt is made again, when, and with what.
//
// [Policy.Decide] looks at how an attempt ended and answers in words that can be shown; [Budget] keeps
// repeats from making an outage worse; [Body] keeps what was sent so that it can be sent again; [NewKey]
// makes the key by which the upstream recognises a repeat; [Policy.Hedge] says when a second request may
// race the first.
//
// Invariants:
//
//   - Nothing is repeated that the upstream may have acted on, unless the method is idempotent (RFC 9110,
//     section 9.2.2) or the operation honours the idempotency key that the request carries.
//   - Every wait ends before the deadline of the call. A delay that the upstream asks for is never
//     shortened: what does not fit is given up at once, with the time to come back.
//   - Repeats and hedges of a connection share one budget: at most a fifth of the calls under way, and a
//     tenth of the calls of the last ten seconds, each with a minimum so that little traffic can repeat at
//     all. When everything fails, an upstream sees at most 1.2 times the traffic, from some twenty calls a
//     second on; below, the minimum of one repeat a second is what counts.
//   - A kept body is bounded in memory and on disk, by itself and all together, and its file has no name
//     from the moment it exists, so nothing is left behind even by a crash.
//
// Sources: RFC 9110 (Retry-After, idempotent methods), draft-ietf-httpapi-idempotency-key-header, the full
// jitter of the AWS Architecture Blog, the retry budgets of Envoy and Finagle.
//
// Budgets count what this process does. Begin, Repeat and End are the surface that a shared one has to offer.
package retry
