package gallery

import (
	"slices"
	"time"

	"github.com/a-h/templ"

	"switchgear/web/templates/ui"
)

// States are the states of the design system.
func States() []ui.State {
	return slices.Concat(
		textStates(), buttonStates(), statusStates(), headerStates(), cardStates(), tableStates(), filterStates(), paginationStates(),
		fieldStates(), formStates(), confirmStates(), noticeStates(), figureStates(), codeStates(), timelineStates(), liveStates(), progressStates(),
		frameStates(),
	)
}

// now is when all states are looked at.
func now() time.Time { return time.Date(2026, 3, 14, 9, 26, 53, 0, time.UTC) }

const longText = "An unusually long name that somebody pasted from a ticket, without a thought for those who have to read it in a narrow column"

const longWord = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:production/payments/stripe/live/restricted-key-5Yx9Qw"

func state(group, name string, view templ.Component) ui.State {
	return ui.State{Group: group, Name: name, View: view}
}

func row(parts ...templ.Component) templ.Component { return ui.Group(parts...) }
