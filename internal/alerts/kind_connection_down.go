package alerts

import (
	"context"
	"time"

	"switchgear/internal/connections"
	"switchgear/internal/health"
)

// connectionDown: no call gets what it wants, whatever the reason.
type connectionDown struct{}

func (connectionDown) Info() KindInfo {
	return KindInfo{
		ID: "connection_down", Title: "Connection down", Severity: SeverityCritical, For: 2 * time.Minute,
		About: "The status of a connection is down: no call gets what it wants.",
	}
}

func (connectionDown) Judge(_ context.Context, f *Facts, _ Params, in func(*connections.Connection) bool) ([]Condition, error) {
	return inState(f, health.StateDown, in, func(health.Item) bool { return true }), nil
}

// inState are the connections whose status is a state.
func inState(f *Facts, state health.State, in func(*connections.Connection) bool, keep func(health.Item) bool) []Condition {
	var out []Condition
	for _, it := range f.Health {
		if it.Status.State == state && in(it.Connection) && keep(it) {
			out = append(out, Condition{Connection: it.Connection, Since: it.Status.Since, Why: it.Status.Why})
		}
	}
	return out
}
