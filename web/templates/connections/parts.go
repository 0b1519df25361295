package connections

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/a-h/templ"

	"switchgear/web/templates/ui"
)

const (
	// listPath is the address of the list; everything about one connection is below it.
	listPath = "/connections"

	// usualLimit is the number of rows that an address without a limit stands for.
	usualLimit = 50

	// maxName and maxReason stop typing where the server would refuse.
	maxName   = 120
	maxReason = 500
)

// What happens, in the words of every question that is asked before it.
const (
	// PauseConsequence is what pausing a connection does.
	PauseConsequence = "Calls through it are refused at once with 409 CONNECTION_PAUSED, and nothing reaches the upstream. Calls under way are completed."
	// ResumeConsequence is what resuming a connection does.
	ResumeConsequence = "Calls go through again at once."
	// DeleteConsequence is what deleting a connection does.
	DeleteConsequence = "Calls through it are refused at once. Its credentials, accounts and versions are deleted; recorded calls and audit entries stay. This cannot be undone."
	// RevokeAccountConsequence is what revoking an account does.
	RevokeAccountConsequence = "Its tokens are forgotten here and revoked at the service, if that can be told. Calls of the account are refused until somebody connects it again."
	// DeleteAccountConsequence is what deleting an account does.
	DeleteAccountConsequence = "Its credential is deleted, and calls that name the account are refused at once. This cannot be undone."
)

// stateChip is the sign of a connection's state.
func stateChip(state string) ui.Chip {
	switch state {
	case "active":
		return ui.Chip{Label: "Active", Tone: ui.ToneOK}
	case "paused":
		return ui.Chip{Label: "Paused", Tone: ui.ToneHeld, Title: "Calls are refused until it is resumed."}
	}
	return ui.Chip{Label: state, Tone: ui.ToneIdle}
}

// credentialChip is the sign of a credential's state.
func credentialChip(state string) ui.Chip {
	switch state {
	case "active":
		return ui.Chip{Label: "Stored", Tone: ui.ToneOK}
	case "needs_reauth":
		return ui.Chip{Label: "Needs a new credential", Tone: ui.ToneBad, Icon: "alert", Title: "The upstream no longer accepts it."}
	case "revoked":
		return ui.Chip{Label: "Revoked", Tone: ui.ToneBad, Icon: "ban"}
	case "corrupt":
		return ui.Chip{Label: "Unreadable", Tone: ui.ToneBad, Icon: "alert", Title: "It cannot be decrypted. Enter it again."}
	case stateOtherOrigin:
		return ui.Chip{Label: "For another address", Tone: ui.ToneBad, Icon: "alert", Title: "Calls are refused until it is entered for where the connection goes to now."}
	case "missing":
		return ui.Chip{Label: "Missing", Tone: ui.ToneWarn, Title: "Calls are refused until it is entered."}
	}
	return ui.Chip{Label: state, Tone: ui.ToneIdle}
}

// choices are the options as the design system takes them.
func choices(options []Option) []ui.Option {
	out := make([]ui.Option, len(options))
	for i, o := range options {
		out[i] = ui.Option{Value: o.Value, Label: o.Label}
	}
	return out
}

// anyOf puts the choice that narrows nothing in front.
func anyOf(options []Option) []ui.Option {
	return append([]ui.Option{{Label: "Any"}}, choices(options)...)
}

// badges are small labels in one line.
func badges(labels []string) templ.Component {
	parts := make([]templ.Component, len(labels))
	for i, l := range labels {
		parts[i] = ui.Badge{Label: l}
	}
	return ui.Group(parts...)
}

// fieldNames names the fields that are set, never a value.
func fieldNames(names []string) templ.Component {
	if len(names) == 0 {
		return ui.Text("")
	}
	parts := make([]templ.Component, len(names))
	for i, n := range names {
		parts[i] = ui.Badge{Label: n, Mono: true}
	}
	return ui.Group(parts...)
}

// reason is the field in which a change is explained.
func reason(value, problem string) ui.Field {
	return ui.Field{
		Name: "reason", Label: "Reason", Value: value, Optional: true, MaxLength: maxReason, Autocomplete: "off",
		Hint: "Goes into the history and the audit log, for whoever asks later.", Error: problem,
	}
}

// fields are the errors under the names of the controls of a form: auth are the names of its auth fields,
// known those of the other controls. What belongs to no control concerns the form as a whole.
func (e Errors) fields(auth []AuthField, known ...string) Errors {
	out := Errors{}
	for _, name := range slices.Sorted(maps.Keys(e)) {
		text, to := e[name], target(name, auth, known)
		if to != name && strings.HasPrefix(name, "policy.") {
			text = strings.TrimPrefix(name, "policy.") + ": " + text
		}
		if old := out[to]; old != "" {
			text = old + " " + text
		}
		out[to] = text
	}
	return out
}

// target is the control that an error is shown at.
func target(name string, auth []AuthField, known []string) string {
	if slices.Contains(known, name) {
		return name
	}
	if name == "auth.expires_on" {
		return "expires_on"
	}
	if key, ok := strings.CutPrefix(name, "auth."); ok {
		key = strings.TrimPrefix(key, "fields.")
		for _, f := range auth {
			// A problem with one header is shown at the text that holds all of them.
			if key == f.Name || strings.HasPrefix(key, f.Name+".") {
				return "auth." + f.Name
			}
		}
		name = "auth_type"
	}
	switch {
	case name == "auth":
		name = "auth_type"
	case strings.HasPrefix(name, "policy."):
		name = "policy"
	}
	if slices.Contains(known, name) {
		return name
	}
	return ""
}

// count is a number with its noun: "1 change", "3 changes".
func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return ui.Thousands(int64(n)) + " " + noun + "s"
}

func version(n int) string { return "v" + strconv.Itoa(n) }
