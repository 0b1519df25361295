// Package db is the storage layer: one SQLite file, one writer, many readers.
//
// Everything durable lives in <Dir>/console.db. Features write SQL in their own store.go and reach it
// only through this package. Invariants:
//
//   - One process owns a data directory (flock on console.lock), and inside it only this package opens
//     console.db: closing another handle of the file would drop SQLite's locks (POSIX).
//   - There is one writing connection. A transaction starts with BEGIN IMMEDIATE and is durable when
//     [DB.InTx] or [Writer.Do] returns nil: WAL with synchronous=FULL, read back on every connection.
//   - Reads outside a transaction use a separate pool that cannot write.
//   - A failed COMMIT means "unknown", never "failed" (code COMMIT_UNKNOWN).
//   - Driver errors become fault values here and nowhere else.
//   - Placeholders are written $1, $2, … and each $n means the n-th argument, wherever it appears.
//
// SQL stays in the portable subset: ON CONFLICT, RETURNING and window functions; no JSON operators and
// no now(). Times are UTC microseconds ([Micros], [Time]), ids are prefixed text ([NewID]).
package db
