// Package connections keeps our named, versioned links to other systems: their definitions, the accounts
// under them, the history of both, and the snapshot that calls are made from.
//
// Every use case takes the [access.Actor] who asks. A change runs in one transaction: permission checked
// again, credential sealed, version row written, active version moved, audit entry chained. Invariants:
//
//   - every change of a definition is a new version; versions are written once and never changed;
//   - going back is going forward: it validates the old definition and stores a copy of it as the newest
//     version, which then is the active one;
//   - a definition names its credential by id and version and holds no secret; of a secret it keeps a
//     random mark, so that two versions can be compared without knowing it;
//   - [Service.Target], on the path of every call, reads one immutable snapshot in memory: URL, policy
//     and credential always belong together. The snapshot is replaced after the commit, in the order of
//     the commits;
//   - a version has a transport of its own, so that no pooled connection outlives the rules it was made under.
//
// The life of a connection:
//
//	Create, Duplicate ──▶ active ◀──Pause, Resume──▶ paused ──Delete──▶ gone
//	                        └─ Update, Activate, PutAccount(default): the next version, state unchanged
package connections
