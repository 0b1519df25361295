// Package access is who may do what in the console: users and their roles, invitations, sessions,
// sign-in, and the API keys of applications.
//
// Every use case takes the [Actor] who asks. A change checks the permission again inside its own
// transaction, against the user as stored at that moment, writes its audit entry in the same
// transaction, and is announced (Deps.Notify) after the commit. Invariants:
//
//   - there is always at least one active owner, and only an owner touches owners or makes them;
//   - nobody changes their own role or disables themselves;
//   - an invitation is worth what its sender may do now: it ends with the right to send it;
//   - passwords exist as argon2id hashes only; tokens of sessions, invitations and the set-up as
//     hashes only; secrets of API keys as a MAC only. What is handed out is shown once;
//   - a session that ended never comes back: the store updates rows, and only signing in inserts one.
//     A session also dies when the user's epoch moves (password or role changed, account disabled);
//   - guessing gets slower, never locked: see package throttle;
//   - AuthenticateKey, on the path of every call, reads memory and not the database.
//
// The life of a session:
//
//	anonymous ──StartSession──▶ row ──EndSession, RevokeSession, expiry, newer epoch──▶ gone
//	(no row, no cookie)          ▲ └─ flash, last seen: UPDATE of an existing row only
package access
