package runtime

import (
	"slices"
	"strings"

	"switchgear/internal/runtime/breaker"
	"switchgear/internal/runtime/bulkhead"
	"switchgear/internal/runtime/ratelimit"
	"switchgear/internal/runtime/retry"
)

// GuardSnapshot shows what guards the calls of one connection, besides its breakers and its cache.
type GuardSnapshot struct {
	ConnectionID string
	Limits       ratelimit.Snapshot
	Bulkhead     bulkhead.Snapshot
	Budget       retry.BudgetSnapshot
	// Credentials are those of the accounts that were called, by account.
	Credentials []CredentialSnapshot
}

// CredentialSnapshot shows whether the upstream accepts the credential of an account.
type CredentialSnapshot struct {
	Account string
	// State is closed while the credential is accepted, open while calls are held back because it is not.
	State breaker.State
}

// Guards shows the state of every connection that was called or changed since the start, by id. It changes
// nothing.
func (p *Protections) Guards() []GuardSnapshot {
	var out []GuardSnapshot
	p.guards.Range(func(id, value any) bool {
		connection, _ := id.(string)
		g, _ := value.(*guard)
		out = append(out, GuardSnapshot{
			ConnectionID: connection, Limits: g.limiter.Snapshot(), Bulkhead: g.bulkhead.Snapshot(), Budget: g.budget.Snapshot(),
			Credentials: g.credentials(),
		})
		return true
	})
	slices.SortFunc(out, func(a, b GuardSnapshot) int { return strings.Compare(a.ConnectionID, b.ConnectionID) })
	return out
}

func (g *guard) credentials() []CredentialSnapshot {
	var out []CredentialSnapshot
	g.accounts.Range(func(name, value any) bool {
		account, _ := name.(string)
		a, _ := value.(*accountGuard)
		out = append(out, CredentialSnapshot{Account: account, State: a.breaker.Snapshot().State})
		return true
	})
	slices.SortFunc(out, func(a, b CredentialSnapshot) int { return strings.Compare(a.Account, b.Account) })
	return out
}
