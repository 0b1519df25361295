package gallery

import (
	"github.com/a-h/templ"

	"switchgear/web/templates/ui"
)

func roles() []ui.Option {
	return []ui.Option{{Value: "owner", Label: "Owner", Hint: "Everything, including other owners."}, {Value: "operator", Label: "Operator", Hint: "Retry, replay and pause."}, {Value: "viewer", Label: "Viewer", Hint: "Look, and change nothing."}}
}

func fieldStates() []ui.State {
	return []ui.State{
		state("Field", "text", ui.Field{Name: "name", Label: "Name", Value: "Ada", Hint: "As others see it.", Required: true}),
		state("Field", "optional", ui.Field{Name: "note", Label: "Note", Optional: true, Placeholder: "Anything"}),
		state("Field", "e-mail with an error", ui.Field{Name: "email", Label: "E-mail", Type: ui.FieldEmail, Value: "ada@", Hint: "The invitation goes there.", Error: "This is not a complete address: add what follows the @."}),
		state("Field", "password", ui.Field{Name: "password", Label: "Password", Type: ui.FieldPassword, Autocomplete: "new-password", MinLength: 12, Hint: "At least 12 characters."}),
		state("Field", "number and date", ui.Lines(ui.Field{Name: "days", Label: "Days", Type: ui.FieldNumber, Min: "1", Max: "365", Value: "30"}, ui.Field{Name: "until", Label: "Until", Type: ui.FieldDate, Value: "2026-03-14"})),
		state("Field", "select", ui.Field{Name: "role", Label: "Role", Type: ui.FieldSelect, Options: roles(), Value: "viewer"}),
		state("Field", "text area", ui.Field{Name: "reason", Label: "Reason", Type: ui.FieldTextarea, Value: "Left the company.", Error: "Say a little more: at least 20 characters."}),
		state("Field", "read-only, fixed width", ui.Field{Name: "url", Label: "Address", Value: "https://console.example.com/oauth/callback/stripe", ReadOnly: true, Mono: true}),
		state("Field", "checkbox", ui.Field{Name: "backup", Label: "I have backed the key up", Type: ui.FieldCheckbox, Hint: "Without it nothing can be read again.", Required: true}),
		state("Field", "checks", ui.Field{Name: "scopes", Label: "Scopes", Type: ui.FieldChecks, Mono: true, Values: []string{"api:read"}, Options: []ui.Option{{Value: "api:read", Label: "api:read", Hint: "Read everything the console shows."}, {Value: "api:write", Label: "api:write", Hint: "Change it."}}, Error: "Choose at least one."}),
		state("Field", "radios", ui.Field{Name: "choice", Label: "Role", Type: ui.FieldRadios, Options: roles(), Value: "operator", Required: true}),
		state("Field", "long text", ui.Field{Name: "long", Label: longText, Hint: longText, Error: longWord, Value: longWord}),
	}
}

func formStates() []ui.State {
	return []ui.State{
		state("Form", "plain", around(ui.Narrow(), inviteForm(nil, ""))),
		state("Form", "rare fields folded away", ui.Lines(more("folded", false), more("open", true))),
		state("Form", "with errors", inviteForm(map[string]string{"email": "Somebody with this address exists already.", "role": "Choose a role."}, "ada@example.com")),
		state("Form", "with one error about the whole", inviteForm(map[string]string{"": "Too many attempts. Try again in 40 s."}, "ada@example.com")),
		state("Secret", "shown once", ui.SecretOnce{Label: "API key", Value: "sg_4fK2xQ9aLm0Z_7hQ2c9Yb1nR5tV8wX0zA3dF6gJ9kM2pS5uV8yB1_0Xk9aZ"}),
	}
}

func more(name string, open bool) templ.Component {
	return around(ui.More{Label: "More: client certificate", Open: open}, ui.Field{Name: name, Label: "Client certificate", Optional: true})
}

func inviteForm(problems map[string]string, email string) templ.Component {
	form := ui.Form{Action: "/x", Submit: "Send invitation", Icon: "send", Cancel: "/x", Errors: problems, Hidden: map[string]string{"from": "gallery"}}
	return around(form.Wrap(),
		ui.Field{Name: "email", Label: "E-mail", Type: ui.FieldEmail, Value: email, Required: true, Error: problems["email"]},
		ui.Field{Name: "role", Label: "Role", Type: ui.FieldSelect, Options: roles(), Value: "viewer", Error: problems["role"]},
	)
}

func confirmStates() []ui.State {
	question := ui.Confirm{
		Title: "Disable grace@example.com?", Consequence: "Their sessions end at once and they can no longer sign in. Nothing is deleted.", Button: "Disable user",
		Action: "/x", Cancel: "/x", Danger: true, Reason: true, Hidden: map[string]string{"id": "usr_1"},
	}
	wrong := question
	wrong.Errors, wrong.Value, wrong.Type = map[string]string{"reason": "Give a reason."}, " ", "grace@example.com"
	return []ui.State{
		state("Confirm", "as a page", question),
		state("Confirm", "with an error, typed", wrong),
		state("Confirm", "harmless", ui.Confirm{Title: "Enable grace@example.com?", Consequence: "They can sign in again.", Button: "Enable user", Action: "/x", Cancel: "/x"}),
		state("Dialog", "closed, with its button", row(ui.Button{Label: "Disable…", Kind: ui.ButtonDanger, Href: "/x", Opens: "d-disable"}, ui.Dialog{ID: "d-disable", Confirm: question})),
		state("Dialog", "to be typed", row(ui.Button{Label: "Delete…", Kind: ui.ButtonDanger, Href: "/x", Opens: "d-delete"}, ui.Dialog{ID: "d-delete", Confirm: ui.Confirm{Title: "Delete Stripe live?", Consequence: "Its history is kept for 30 days.", Button: "Delete", Action: "/x", Danger: true, Reason: true, Type: "stripe-live"}})),
		state("Dialog", "around a block", row(ui.Button{Label: "Show", Href: "/x", Opens: "d-block"}, around(ui.Dialog{ID: "d-block", Confirm: ui.Confirm{Title: "Evidence"}}.Wrap(), ui.Text("Anything.")))),
	}
}

func liveStates() []ui.State {
	return []ui.State{
		state("Live", "indicator", ui.LiveIndicator()),
		state("Live", "pause", ui.LivePause()),
		state("Live", "region", around(ui.LiveRegion("region", "users invitations", "/users?q=a"), ui.Text("Fetched again when a topic changes."))),
	}
}

func progressStates() []ui.State {
	action := ui.Button{Label: "Invite", Small: true, Kind: ui.ButtonPrimary, Href: "/x"}
	return []ui.State{
		state("Progress", "steps", ui.Steps{Items: []ui.Step{
			{Title: "Make the first owner", Done: true}, {Title: "Invite your colleagues", Text: "Each gets a link that works for three days.", Action: action}, {Title: "Make an API key", Text: "For programs.", Action: ui.Button{Label: "New key", Small: true, Href: "/x"}},
		}}),
		state("Progress", "steps, all done", ui.Steps{Items: []ui.Step{{Title: "Make the first owner", Done: true}, {Title: "Invite your colleagues", Done: true}}}),
		state("Progress", "bar", ui.Progress{Label: "Checklist", Done: 7, Total: 12}),
		state("Progress", "loading", row(ui.Skeleton(3), ui.Spinner())),
	}
}
