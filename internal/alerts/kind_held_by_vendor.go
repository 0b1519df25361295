package alerts

import (
	"context"
	"time"

	"switchgear/internal/connections"
	"switchgear/internal/health"
)

// heldByVendor: calls wait because the vendor asked for it. A pause that a person ordered is no condition.
type heldByVendor struct{}

func (heldByVendor) Info() KindInfo {
	return KindInfo{
		ID: "held_by_vendor", Title: "Held by the vendor", Severity: SeverityWarning, For: 5 * time.Minute,
		About: "Calls of a connection wait because the vendor asked for a pause, for longer than the time of the rule.",
	}
}

func (heldByVendor) Judge(_ context.Context, f *Facts, _ Params, in func(*connections.Connection) bool) ([]Condition, error) {
	return inState(f, health.StateHeld, in, func(it health.Item) bool {
		return it.Status.Breaker == nil || it.Status.Breaker.Hold.Actor == ""
	}), nil
}
