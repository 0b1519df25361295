// Package egress decides which addresses the process may connect to, and makes the transports that ask.
//
// Invariants:
//
//   - The decision falls at the dial, on the address that is really connected to, once for each address
//     that a name resolves to. A name that resolves to something else the second time gains nothing.
//   - It fails closed: what cannot be parsed or is in no list is refused.
//   - Addresses of the host itself, of its links and of cloud metadata services stay closed whatever the
//     rules say. Loopback opens only to a rule that names the ports, or to the one
//     listener that is admitted; our own listeners never open.
//   - Two transports never share a connection, so that a connection made under one set of rules cannot be
//     used under another.
//   - No proxy from the environment is used: the check would then see the proxy's address only.
package egress
