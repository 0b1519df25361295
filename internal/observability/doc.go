// Package observability tells other systems what calls do: Prometheus metrics, and traces over OTLP.
//
// Invariants:
//
//   - Nothing here holds up a call. A recorder counts, or hands over to a queue that may be full; what it
//     then drops is counted.
//   - Collectors read snapshots when they are asked. Reading changes no breaker, limit or cache.
//   - Labels have bounded sets of values: slugs of connections that exist, operations that their policies
//     name, words from tables of ours. Nothing that a caller or an upstream can invent becomes a label.
//   - The series of a connection end when it is deleted.
//   - No secret gets in: neither headers nor paths nor bodies are looked at.
package observability
