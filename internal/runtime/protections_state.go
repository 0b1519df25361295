package runtime

import (
	"switchgear/internal/runtime/bulkhead"
	"switchgear/internal/runtime/cache"
	"switchgear/internal/runtime/ratelimit"
	"switchgear/internal/runtime/retry"
)

// ProtectionState shows what bounds the calls of a connection beside its breakers, at one moment.
type ProtectionState struct {
	Limits   ratelimit.Snapshot
	Bulkhead bulkhead.Snapshot
	Retries  retry.BudgetSnapshot
	Cache    cache.Stats
}

// State shows a connection; false for one that no policy holds for. Reading changes nothing.
func (p *Protections) State(connectionID string) (ProtectionState, bool) {
	known, ok := p.guards.Load(connectionID)
	if !ok {
		return ProtectionState{}, false
	}
	g, _ := known.(*guard)
	return ProtectionState{
		Limits: g.limiter.Snapshot(), Bulkhead: g.bulkhead.Snapshot(), Retries: g.budget.Snapshot(), Cache: p.cache.Stats(connectionID),
	}, true
}
