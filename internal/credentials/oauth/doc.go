// Package oauth speaks the client's side of OAuth 2: the requests to an authorization server, and what its
// answers mean. It knows nothing of connections, storage or pages.
//
// Invariants:
//
//   - how a client authenticates is always given, never tried out: a second try can burn a grant;
//   - an error names the step, a code and whether the server may have acted; it holds no secret and no part
//     of an answer but the registered error code;
//   - every request goes through the transport it is given, follows no redirect, reads a bounded answer and
//     ends in bounded time;
//   - PKCE with S256 always (RFC 7636, RFC 9700 2.1.1).
//
// Sources: RFC 6749, 6750, 7009, 7521, 7523, 7591, 7636, 8414, 8628, 8705, 9207, 9700.
package oauth
