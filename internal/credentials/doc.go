// Package credentials keeps secrets. It is the only place where key material and plaintext exist.
//
// A master key that lives outside the data directory wraps a few keysets that live in the database. Each
// keyset serves one purpose, so that a MAC made for an API key can never pass for one of the audit log.
//
//	master key (file or environment)
//	   └─ wraps, bound to installation and purpose ─→ keysets (table keysets)
//	        ├─ apikey   HMAC-SHA-256 over API key secrets
//	        ├─ audit    HMAC-SHA-256 chaining the audit log
//	        └─ cred     XAES-256-GCM over the credentials of connections ─→ [Sealer] ─→ [Vault]
//
// The [Vault] keeps the credentials of connections, one per account, with a few older versions for
// rollbacks. A [Set] is the immutable snapshot of one connection that calls are authorized from; how a
// kind of credential goes onto a request is package authtype.
//
// A kind with a token has a row for it beside: the token moves far more often than the credential and is no
// part of a definition. It is renewed ahead of its end, when a call finds that it has ended, and once after the
// service refused it; by one at a time, under a lease on the row. A person who consents, or a renewal that is
// refused for good, moves the state between active and needs_reauth.
//
// A credential that a person enters is replaced with overlap by a [Rollover]: the next one waits, sealed, beside
// the one in use, is tried, and becomes the next version; the one before is kept for a way back until it is
// destroyed. Each step compares the revision that it was decided on.
//
// The master key is rotated by [Keyring.RotateMaster], the key that seals values by a [Rotator]; both while
// everything is in use, and both such that a process which is killed at any point loses nothing.
//
// Invariants:
//
//   - A new token is committed before it is used, and stored only over the version that it was asked with.
//
//   - What a renewal that failed leads to is decided in the transaction that looks at the row again: a person
//     who connected the account meanwhile, or another process that was faster, is not overruled.
//
//   - A refresh token of which nobody knows whether it was used is sent once more, after a pause, and a failure
//     is followed by a pause that grows. Tokens that are refused as soon as they come are renewed ever more
//     seldom.
//
//   - A master key is created only when the database holds no keyset. With keysets present and the key
//     missing or wrong, [OpenKeyring] returns a *[SealedError] and writes nothing.
//
//   - The key file is mode 0600, outside the data directory, written and synced before the first keyset
//     that depends on it.
//
//   - A database that a previous master key wraps opens as long as that key can be read, and is wrapped with
//     the present one.
//
//   - A data key is disabled when no value names it, and not before. Every column with sealed values is
//     listed in sealedColumns.
//
//   - A keyset is bound to its installation and purpose by associated data: a row moved between
//     installations or purposes does not open.
//
//   - A credential is bound to its connection, account, row and version in the same way: a value that was
//     moved does not open, and says so instead of going to the wrong place.
//
//   - Secrets go in and are put on requests. They are decrypted at the moment of use and are in no snapshot,
//     message or record. [Vault.Reveal] alone returns what a person entered, and nothing of OAuth.
package credentials
