package alerts

import (
	"context"
	"strings"

	"switchgear/internal/connections"
	"switchgear/internal/runtime/breaker"
)

// breakerOpened: a breaker refuses calls because the upstream fails, or probes whether it still does. An
// override of a person is no condition: whoever ordered it knows.
type breakerOpened struct{}

func (breakerOpened) Info() KindInfo {
	return KindInfo{
		ID: "breaker_opened", Title: "Breaker opened", Severity: SeverityCritical,
		About: "A breaker of a connection or of an operation is open, and does not let every call pass yet. Overrides and pauses do not count.",
	}
}

func (breakerOpened) Judge(_ context.Context, f *Facts, _ Params, in func(*connections.Connection) bool) ([]Condition, error) {
	var out []Condition
	for _, s := range f.Breakers {
		if s.State != breaker.StateOpen && s.State != breaker.StateHalfOpen {
			continue
		}
		c := f.Connections[s.Key.Connection]
		if c == nil || c.State == connections.StatePaused || !in(c) {
			continue
		}
		why := s.Why()
		if s.State == breaker.StateHalfOpen && s.Reason != "" {
			why = "Opened because " + strings.TrimSuffix(s.Reason, ".") + ". " + why
		}
		out = append(out, Condition{Connection: c, Operation: s.Key.Operation, Since: s.Since, Why: why})
	}
	return out, nil
}
