// Package connect has people connect accounts: the consent of OAuth 2, in a browser or on another device.
//
// A flow is one consent on its way. It begins with somebody who may configure the connection, leaves for the
// authorization server, and ends with a token that is stored, or with the step that failed and what to do.
//
//	begin ──▶ pending ──state, browser and redirect URI fit──▶ working ──▶ done
//	             └──────────── ten minutes ──────────────────────────────▶ failed
//
// Invariants (RFC 9700):
//
//   - the state is 256 random bits, stored hashed, valid for ten minutes, and used up by the first callback
//     that names it, whatever becomes of it;
//   - a callback counts only in the browser that began, at the redirect URI of the provider it began with;
//   - an answer of another issuer than the connection's is refused (RFC 9207);
//   - the code is exchanged once, at the token URL that the flow began with;
//   - a page shows the failing step and a registered error code, never what a server wrote.
package connect
