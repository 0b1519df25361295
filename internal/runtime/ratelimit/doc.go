// Package ratelimit decides when a request may go out to an upstream: never more often than configured,
// more slowly when the upstream says so, and not at all while it asks to be left alone.
//
// A [Limiter] belongs to one connection. Its limits stand on four kinds of scope: the connection, an
// operation group, a credential, and a credential within a group; a request needs room in all of them.
// [Limiter.Reserve] takes from all or from none, waits in order for as long as it is told, and says how
// long it would have been when that is not enough. What it returns is settled once: [Grant.Answered],
// [Grant.Unanswered] or [Grant.Refund].
//
// Invariants:
//
//   - In every span [t, t+Per) at most Requests are let out, whatever the traffic was like before, over a
//     change of the configuration and, for long windows, over a restart ([Limiter.Export]). A token bucket
//     does not promise that: at the edge it lets twice as many through. So each window keeps a log. Up to
//     512 requests it is exact; above, neighbours share an entry that counts from the latest of them,
//     which costs at most 1/512 of the rate and never the promise.
//   - What is learned only slows down. The effective rate is min(configured, max(floor, (left - reserve) /
//     time to reset)); after a 429 it is halved, and recovers by a tenth of the full rate each window.
//   - A 429, a 403 that means one, and a 503 with Retry-After hold the whole connection, not one call.
//     After the hold one request goes first and the others wait for its answer.
//   - Malformed headers are ignored, and so are quotas in answers that a cache gave.
//   - Reading a [Snapshot] changes nothing.
//
// Why golang.org/x/time/rate is not used here: its reservations cannot be given back once their time has
// come, and a refund is due exactly then, when the connection could not be made.
//
// Sources: RFC 9110 section 10.2.3 (Retry-After), RFC 9651 (structured fields), the drafts
// draft-ietf-httpapi-ratelimit-headers-03 to -10 (RateLimit, RateLimit-Policy and the older fields), and the
// documentation of the vendors for their dialects.
//
// The counts are those of this process. Reserve, the settling of a grant, Snapshot, Export and Import are
// the surface that a shared store has to offer in their place.
package ratelimit
