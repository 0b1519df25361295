// Package cache keeps answers of reads, so that a call can be answered without the upstream (RFC 9111),
// and so that it can still be answered when the upstream fails (RFC 5861).
//
// It is a private cache in the sense of RFC 9111: an answer is found again only with the connection, the
// account, the credential in its version, the method and the whole URL that it was fetched with. Beyond
// that, every request header that may select an answer is part of the key, whether or not the upstream
// names it in Vary: an upstream that forgets one costs a hit, and never answers with what belongs to
// somebody else. Invariants:
//
//   - Only GET and HEAD are answered from here. A write is never answered from here, and one that succeeds
//     removes what is kept of its URL.
//   - Only whole answers are kept. An answer that broke off, or outgrew the limit, is not.
//   - Keys are digests under a secret of this process; a credential is in them as an opaque id and a
//     version. Set-Cookie is not kept. Nothing is written to disk.
//   - The bytes kept never exceed the limits, in total and for each connection.
//   - A stale answer is given only where neither the upstream, nor the caller, nor the policy forbids it,
//     and it is marked as such.
//   - There is no goroutine beside those of [Cache.Serve].
//
// The way of a call: [Cache.Open] answers it, or lets it through. Then [Call.Condition] adds validators to
// the request, [Call.Answered] or [Call.Failed] say what to do with its result, and [Call.Close] ends it.
// A nil *Call is a call that the cache has nothing to do with; all its methods can be used.
package cache
