// Package http1 makes HTTP/1.1 exchanges on the goroutine of their caller: the request is written with one
// write and the answer read from the same connection, with no goroutine and no hand-over in between.
//
// It makes the plain exchanges, which are nearly all: a request without a body, or with one that is small
// and of known length. Everything else (HTTP/2, long or chunked bodies, trailers, Expect, upgrades) is left
// to another transport, that of net/http.
//
// Invariants:
//
//   - A request is written at most once. Only when not a single byte of it left on a connection that had
//     been used before is another connection taken; whoever observes the exchange knows precisely.
//   - A connection is used again only when its answer was read to the end, nothing came after it, both sides
//     want to keep it and no context interrupted it. Before that the socket is asked whether it still lives.
//   - The end of the context interrupts whatever reads or writes; the connection is closed then.
//   - What an answer says about its own length is believed only when it says it once and clearly: the forms
//     with which requests are smuggled are errors, also where net/http takes them.
//   - No goroutine outlives a call. Idle connections are closed by one timer of the transport.
package http1
