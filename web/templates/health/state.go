// Package health holds the signs of how a connection is. View models are plain values; they know no domain
// package.
package health

import "switchgear/web/templates/ui"

// State is how a connection is, as the API names it.
type State string

// The states.
const (
	StateHealthy    State = "healthy"
	StateDegraded   State = "degraded"
	StateDown       State = "down"
	StateHeld       State = "held"
	StateCredential State = "credential_problem" //nolint:gosec // It is a name.
	StateNotSetUp   State = "not_set_up"
	StateIdle       State = "idle"
	StatePaused     State = "paused"
)

// States lists every state, the worst first.
func States() []State {
	return []State{StateDown, StateCredential, StateHeld, StateDegraded, StateHealthy, StateNotSetUp, StateIdle, StatePaused}
}

// Chip is the sign of a state. None that is not known is taken for a good one.
func (s State) Chip() ui.Chip {
	switch s {
	case StatePaused:
		return ui.Chip{Label: "Paused", Tone: ui.ToneHeld}
	case StateCredential:
		return ui.Chip{Label: "Credential problem", Tone: ui.ToneBad, Icon: "lock"}
	case StateNotSetUp:
		return ui.Chip{Label: "Not set up", Tone: ui.ToneIdle, Icon: "key"}
	case StateIdle:
		return ui.Chip{Label: "Idle · no traffic", Tone: ui.ToneIdle}
	case StateDown:
		return ui.Chip{Label: "Down", Tone: ui.ToneBad}
	case StateHeld:
		return ui.Chip{Label: "Held by vendor", Tone: ui.ToneHeld}
	case StateDegraded:
		return ui.Chip{Label: "Degraded", Tone: ui.ToneWarn, Icon: "alert"}
	case StateHealthy:
		return ui.Chip{Label: "Healthy", Tone: ui.ToneOK}
	}
	return ui.Chip{Label: "Unknown", Tone: ui.ToneWarn, Icon: "help"}
}
