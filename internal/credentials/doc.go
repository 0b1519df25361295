// Package credentials keeps secrets. It is the only place where key material and plaintext exist.
//
// This stage holds the key ring: a master key that lives outside the data directory wraps a few
// keysets that live in the database. Each keyset serves one purpose, so that a MAC made for an API key
// can never pass for one of the audit log.
//
//	master key (file or environment)
//	   └─ wraps, bound to installation and purpose ─→ keysets (table keysets)
//	        ├─ apikey   HMAC-SHA-256 over API key secrets
//	        └─ audit    HMAC-SHA-256 chaining the audit log
//
// Invariants:
//
//   - A master key is created only when the database holds no keyset. With keysets present and the key
//     missing or wrong, [OpenKeyring] returns a *[SealedError] and writes nothing.
//   - The key file is mode 0600, outside the data directory, written and synced before the first keyset
//     that depends on it.
//   - A keyset is bound to its installation and purpose by associated data: a row moved between
//     installations or purposes does not open.
package credentials
