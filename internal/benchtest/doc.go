// Package benchtest measures the whole gateway as a process of its own, beside nginx and Caddy as plain
// reverse proxies, in one run on one machine. Run it with make bench; docs/benchmarks.md says how to read
// what it prints.
//
// It holds tests only. The load generator speaks HTTP/1.1 over bare connections, so that it takes as
// little as possible of the processors that it shares with what it measures.
package benchtest
