package gallery

import (
	"time"

	"github.com/a-h/templ"

	"switchgear/web/templates/ui"
)

func textStates() []ui.State {
	t := now()
	icons := make([]templ.Component, 0, len(ui.IconNames()))
	for _, name := range ui.IconNames() {
		icons = append(icons, row(ui.Icon(name), ui.Muted(name)))
	}
	return []ui.State{
		state("Text", "kinds", ui.Lines(
			ui.Text("Text"), ui.Muted("Muted"), ui.Strong("Strong"), ui.Mono("mono_4f2a"), ui.Number(1234567), ui.Link("Link", "/"), ui.Text(""),
		)),
		state("Text", "name of a row", ui.Lines(ui.Name("Stripe live", "/x", "rest · v18 · 6 min ago"), ui.Name("No link", "", ""))),
		state("Text", "long text", ui.Lines(ui.Long(longText), ui.Name(longText, "/x", longWord), ui.Mono(longWord))),
		state("Text", "times", ui.Lines(
			ui.RelTime(t, t), ui.RelTime(t.Add(-42*time.Second), t), ui.RelTime(t.Add(-5*time.Minute), t), ui.RelTime(t.Add(-47*time.Hour), t),
			ui.RelTime(t.Add(-12*24*time.Hour), t), ui.RelTime(t.Add(-400*24*time.Hour), t), ui.RelTime(t.Add(72*time.Hour), t),
			ui.RelTimeOr(time.Time{}, t, "never"), ui.Time(t),
			ui.Countdown(t, t), ui.Countdown(t.Add(22*time.Second), t), ui.Countdown(t.Add(245*time.Second), t), ui.Countdown(t.Add(27*time.Hour), t), ui.Countdown(t.Add(72*time.Hour), t),
		)),
		state("Text", "identifiers", ui.Lines(
			ui.MonoID{ID: "usr_01j9zk4q7t"}, ui.MonoID{ID: "req_8Kd2f9a0c1", Href: "/x", What: "request id"}, ui.MonoID{ID: "b1946ac92492d2347c6235b4d2611184", Short: 10, What: "checksum"},
		)),
		state("Text", "icons", row(icons...)),
	}
}

func buttonStates() []ui.State {
	return []ui.State{
		state("Button", "kinds", row(
			ui.Button{Label: "Default"}, ui.Button{Label: "Primary", Kind: ui.ButtonPrimary}, ui.Button{Label: "Danger", Kind: ui.ButtonDanger}, ui.Button{Label: "Quiet", Kind: ui.ButtonQuiet},
		)),
		state("Button", "small", row(
			ui.Button{Label: "Default", Small: true}, ui.Button{Label: "Primary", Kind: ui.ButtonPrimary, Small: true}, ui.Button{Label: "Danger", Kind: ui.ButtonDanger, Small: true}, ui.Button{Label: "Quiet", Kind: ui.ButtonQuiet, Small: true},
		)),
		state("Button", "with an icon", row(
			ui.Button{Label: "Invite", Icon: "user-plus", Kind: ui.ButtonPrimary, Href: "/x"}, ui.Button{Label: "Export", Icon: "download", Href: "/x", Download: true},
			ui.Button{Label: "Edit", Icon: "edit", IconOnly: true}, ui.Button{Label: "Delete", Icon: "trash", IconOnly: true, Small: true, Kind: ui.ButtonDanger},
		)),
		state("Button", "disabled with a reason", row(
			ui.Button{Label: "Demote", Disabled: "This is the last owner."}, ui.Button{Label: "Activate", Kind: ui.ButtonPrimary, Disabled: "11 of 12 items are proven."},
		)),
		state("Button", "form of one button", ui.PostButton{Action: "/x", Button: ui.Button{Label: "Verify now", Icon: "shield"}, Hidden: map[string]string{"from": "gallery"}}),
		state("Button", "copy", row(ui.CopyButton{Value: "x", What: "address"}, ui.CopyButton{Value: "x", What: "address", Label: "Copy address"})),
	}
}

func statusStates() []ui.State {
	return []ui.State{
		state("Status", "chips", row(
			ui.Chip{Label: "Closed", Tone: ui.ToneOK}, ui.Chip{Label: "Half-open 2/3", Tone: ui.ToneWarn}, ui.Chip{Label: "Open · probe in 22 s", Tone: ui.ToneBad},
			ui.Chip{Label: "Held by vendor 41 s", Tone: ui.ToneHeld}, ui.Chip{Label: "Idle", Tone: ui.ToneIdle}, ui.Chip{Label: "New", Tone: ui.ToneAccent, Icon: "flag", Title: "Made today"},
		)),
		state("Status", "badges", row(
			ui.Badge{Label: "owner"}, ui.Badge{Label: "call:*", Mono: true}, ui.Badge{Label: "you", Tone: ui.ToneAccent}, ui.Badge{Label: "expired", Tone: ui.ToneWarn},
		)),
	}
}

func headerStates() []ui.State {
	return []ui.State{
		state("Page header", "title only", ui.PageHeader{Title: "Audit"}),
		state("Page header", "everything", ui.PageHeader{
			Title: "Stripe live", Sub: "Payments of the shop. Owned by payments-team.", Meta: "stripe · v18 · api.stripe.com", Live: true,
			Crumbs:  []ui.Crumb{{Label: "Connections", Href: "/x"}},
			Status:  []templ.Component{ui.Chip{Label: "Open · probe in 22 s", Tone: ui.ToneBad}},
			Actions: []templ.Component{ui.Button{Label: "Pause", Href: "/x"}, ui.Button{Label: "Try it", Href: "/x", Kind: ui.ButtonPrimary}},
		}),
		state("Page header", "long text", ui.PageHeader{Title: longText, Sub: longText + ". " + longText + ".", Meta: longWord}),
		state("Tabs", "one current", ui.Tabs{Label: "Connection", Items: []ui.Tab{
			{Label: "Overview", Href: "/x"},
			{Label: "Configuration", Href: "/x"},
			{Label: "Accounts", Href: "/x", Count: "3"},
			{Label: "Breaker & limits", Href: "/x", Current: true},
			{Label: "Operations", Href: "/x", Count: "24"},
			{Label: "Events", Href: "/x"},
			{Label: "Syncs", Href: "/x"},
			{Label: "Calls", Href: "/x"},
			{Label: "Checklist", Href: "/x", Count: "11/12"},
			{Label: "Versions", Href: "/x", Count: "18"},
		}}),
	}
}

func cardStates() []ui.State {
	facts := ui.KeyValue{Items: []ui.Fact{
		{Key: "E-mail", Value: ui.Text("ada@example.com")},
		{Key: "Role", Value: ui.Badge{Label: "operator"}, Hint: "May retry, replay and pause."},
		{Key: "Id", Value: ui.MonoID{ID: "usr_01j9zk4q7t"}},
		{Key: "Last sign-in", Value: ui.RelTimeOr(time.Time{}, now(), "never")},
		{Key: "Note", Value: ui.Text("")},
	}}
	return []ui.State{
		state("Card", "with facts", ui.Card{Title: "Profile", Sub: "as others see it", Body: facts, Actions: []templ.Component{ui.Button{Label: "Edit", Small: true, Href: "/x"}}}),
		state("Card", "without a title", ui.Card{Body: ui.Text("Only a body.")}),
		state("Card", "dangerous, with a foot", ui.Card{Title: "Disable", Tone: ui.ToneBad, Body: ui.Text("Sessions end at once."), Foot: ui.Muted("Nothing is deleted.")}),
		state("Card", "facts on their own lines", ui.Card{Title: "Master key", Body: ui.KeyValue{Wide: true, Items: []ui.Fact{{Key: "File", Value: ui.Mono("/var/lib/switchgear/keys/master.key")}, {Key: "Fingerprint", Value: ui.Mono("kek_ab12cd34")}}}}),
		state("Empty state", "with the next step", ui.EmptyState{Icon: "key", Title: "No API keys yet.", Text: "A key lets a program call connections or this console. It is shown once, when it is made.", Actions: []templ.Component{ui.Button{Label: "New key", Kind: ui.ButtonPrimary, Href: "/x"}}}),
		state("Empty state", "bare", ui.EmptyState{}),
	}
}

func noticeStates() []ui.State {
	return []ui.State{
		state("Notice", "incident", ui.Notice{
			Tone: ui.ToneBad, Subject: "Stripe live / createCharge is open", Began: now().Add(-14 * time.Minute), Now: now(),
			Text:    "38 of 60 calls failed in 60 s: 31× 503, 7× timeout. 412 refused, 390 answered from cache (oldest 9 min), 22 lost.",
			Actions: []templ.Component{ui.Button{Label: "Probe now", Small: true, Href: "/x"}, ui.Button{Label: "Roll back v18", Small: true, Kind: ui.ButtonDanger, Href: "/x"}},
		}),
		state("Notice", "warning", ui.Notice{Tone: ui.ToneWarn, Subject: "Google Ads needs to be reconnected", Title: "since 01:40.", Text: "3 routes wait with 1,204 deliveries parked; nothing is lost.", Actions: []templ.Component{ui.Button{Label: "Reconnect", Small: true, Kind: ui.ButtonPrimary, Href: "/x"}}}),
		state("Notice", "after an action", ui.Notice{Tone: ui.ToneOK, Title: "The user is disabled and signed out everywhere.", Announce: true}),
		state("Notice", "information", ui.Notice{Title: "Two invitations wait for an answer."}),
		state("Notice", "held", ui.Notice{Tone: ui.ToneHeld, Subject: "HubSpot asked for a pause", Title: "until 09:41."}),
		state("Notice", "long text", ui.Notice{Tone: ui.ToneWarn, Subject: longText, Title: longText, Text: longWord}),
		state("Toast", "bad", ui.Toast{Tone: ui.ToneBad, Text: "The page could not be refreshed (503). It tries again by itself."}),
		state("Toast", "ok", ui.Toast{Tone: ui.ToneOK, Text: "Copied."}),
		state("Toast", "the corner", ui.Toasts()),
	}
}
