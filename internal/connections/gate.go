package connections

import (
	"context"
	"strings"

	"switchgear/internal/fault"
)

// production is the environment whose connections can require a complete checklist.
const production = "production"

// RequiresChecklist reports whether the connection takes calls only once its checklist is complete.
func (c Connection) RequiresChecklist() bool {
	return c.RequireChecklist && c.Environment == production
}

// gated reports whether a connection takes calls only once its checklist is complete. What is required of one
// that is not in production waits until it is.
func (d Definition) gated() bool { return d.RequireChecklist && d.Environment == production }

// begins is the state in which a connection begins: behind the gate nothing is proven yet.
func (d Definition) begins() string {
	if d.gated() {
		return StatePaused
	}
	return StateActive
}

// opens reports whether a change from one definition to another lets calls through the gate: by resuming, by
// moving to production, or by requiring the checklist of a connection that takes calls. A rollback is never
// held up: it goes back to what worked.
func opens(before, after Definition) bool {
	open := func(d Definition) bool { return d.gated() && d.State == StateActive }
	return open(after) && !open(before)
}

// pass returns a fault.Conflict CHECKLIST_INCOMPLETE that names what is missing, unless nothing is. field is the
// one of the form that asks for it.
func (s *Service) pass(ctx context.Context, r row, field string) error {
	open, err := s.open(ctx, r.Connection)
	if err != nil || len(open) == 0 {
		return err
	}
	incomplete := fault.New(fault.Conflict, "CHECKLIST_INCOMPLETE",
		"This connection takes calls in production only when its checklist is complete. Open: "+strings.Join(open, "; ")+".").
		WithSuggestion("Mend or prove each on the checklist of the connection, or exempt it for some days. While it is paused, everything else can be changed.")
	incomplete.Details.Field = field
	return incomplete
}
