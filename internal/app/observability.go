package app

import (
	"switchgear/internal/observability"
)

// registerMetrics puts on the registry what the features say about themselves.
func (a *App) registerMetrics() error {
	c := a.core
	if c.sealed != nil {
		return nil
	}
	for _, collector := range append(observability.NewCallLog(c.calls),
		c.counted,
		observability.NewProtections(observability.ProtectionsDeps{
			Protections: c.protections, Transitions: c.transitions, Slugs: c.connections.Slugs,
		}),
	) {
		if err := a.registry.Register(collector); err != nil {
			return err
		}
	}
	return nil
}
