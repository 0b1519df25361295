// Package checklist tells whether a connection is ready for production: twelve items, each with evidence.
//
// An item passes through three stages. It is configured when its definition says what it has to, proven
// when a drill, a computation or a person showed that it holds, and observed when real traffic agrees.
// Invariants:
//
//   - unknown is never a pass: what nothing proves is unknown, however well it is configured;
//   - evidence is bound to the part of the definition it is about, by a hash. An edit of that part makes it
//     stale, an edit of anything else does not;
//   - evidence is written once and never changed; what a person attests or exempts needs a reason, ends by
//     itself, and is audited in the same transaction;
//   - every message holds the value that was measured.
//
// One file holds one item; [All] lists them. What was found about a connection is computed from its
// definition, its traffic and the stored evidence whenever it is looked at; the summary of every connection
// is kept in memory by a worker, so that lists cost nothing. Drills write evidence with the method drill.
package checklist
