// Package alerts tells people what stands still: rules watch for conditions, what they find is an alert, and
// channels carry the news of it.
//
//	facts in memory ──▶ kinds of rules ──▶ conditions ──▶ alerts ──▶ outbox ──▶ channels
//
// A rule is of a kind (see [All]), which says for which connections its condition holds now. The evaluator
// compares that with the alerts that are open, and stores what changed together with the notifications of it
// in one transaction. The outbox sends them afterwards, as often as it takes. Invariants:
//
//   - there is at most one open alert for a rule, a connection and an operation, its fingerprint;
//   - what comes back soon after it ended is the same alert and counts as a flap; what flaps falls silent;
//   - a notification exists exactly when the change that it tells is stored, keeps its id over all attempts, and
//     is sent at least once or is visible as dead;
//   - one incident is one message: an alert that another one tells of names it, and waits for its end;
//   - a storm is a few messages: beyond some, changes of a rule are marked in the transaction that stores them,
//     and told together;
//   - a mute keeps nothing from being recorded, and ends by itself;
//   - evaluating reads memory, except rules over a window, which read rollups once in a while; calls wait for
//     none of it;
//   - secrets of channels are stored sealed, go in and never come out, and are in no notification.
package alerts
