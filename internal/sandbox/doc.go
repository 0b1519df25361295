// Package sandbox is a pretend provider: an OAuth server, paged JSON APIs behind the usual kinds of
// credential, rate limits in the dialects of the field, and a sender of signed webhooks. It misbehaves
// exactly as told. The demonstration, drills and tests call it instead of somebody's production.
//
// Everything is one [Sandbox], which is an http.Handler and keeps its state in memory. Invariants:
//
//   - What goes wrong is written down beforehand, in scripts of steps, and happens in that order. Nothing
//     is random but the tokens that the OAuth server issues.
//   - Every request is noted before anything is done with it, also one whose client gives up, so that a
//     drill can assert what the server really saw.
//   - The control API answers only to a token, which has to be configured; without one it does not exist.
//   - Webhooks go to loopback addresses, and elsewhere only where the configuration allows it.
//
// The provider:
//
//	{prefix}/{collection}[/{id}]             records; GET, POST (honours Idempotency-Key), DELETE
//	/oauth/authorize, /oauth/token           authorization code with PKCE S256, refresh, client credentials
//	/oauth/device_authorization, /oauth/device   device code
//	/oauth/revoke                            RFC 7009
//	/.well-known/oauth-authorization-server  RFC 8414
//
// The control API, JSON, with Authorization: Bearer <control token>:
//
//	GET    /_control/scripts    the scripts and how many requests each has answered
//	PUT    /_control/scripts    {"scripts": [Script]} replaces them
//	DELETE /_control/scripts    removes them
//	GET    /_control/received   ?method= &path= &after=SEQ; what arrived, oldest first
//	DELETE /_control/received   forgets it
//	POST   /_control/reset      everything back to the configuration
//	POST   /_control/webhooks   [Webhook]; sends it and says what was answered
package sandbox
