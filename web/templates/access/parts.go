package access

import (
	"fmt"
	"strconv"
	"time"

	"github.com/a-h/templ"

	"switchgear/web/templates/ui"
)

const (
	// maxName, maxEmail and maxReason stop typing where the server would refuse.
	maxName   = 120
	maxEmail  = 254
	maxReason = 500

	// usualLimit is the number of rows on a page that an address need not name.
	usualLimit = 50

	// shownScopes is how many scopes of a key fit in a row.
	shownScopes = 3

	// shortScope is the length up to which a scope is a badge.
	shortScope = 28

	// emptyName says what becomes of a name that is not given.
	emptyName = "Shown to the others. Left empty, it is the part of your e-mail address before the @."

	// soon is how long before its end a key is marked.
	soon = 7 * 24 * time.Hour
)

// What happens, in the words of every question that is asked before it.
const (
	// DisableConsequence is what disabling a user does.
	DisableConsequence = "Their sessions end at once and they can no longer sign in. API keys they made keep working; nothing is deleted."
	// EnableConsequence is what enabling a user does.
	EnableConsequence = "They can sign in again with their old password and role."
	// RevokeInvitationConsequence is what revoking an invitation does.
	RevokeInvitationConsequence = "The link stops working at once. You can invite them again."
	// RevokeKeyConsequence is what revoking an API key does.
	RevokeKeyConsequence = "Requests with this key are refused from now on. This cannot be undone; make a new key to restore access."
	// NeverUsed is added to RevokeKeyConsequence for a key that no request has used.
	NeverUsed = " It has never been used."
)

// statusChip is the sign of a user's, an invitation's or a key's status.
func statusChip(status string) ui.Chip {
	switch status {
	case "active":
		return ui.Chip{Label: "Active", Tone: ui.ToneOK}
	case "accepted":
		return ui.Chip{Label: "Accepted", Tone: ui.ToneOK}
	case "pending":
		return ui.Chip{Label: "Pending", Tone: ui.ToneHeld, Icon: "clock", Title: "The link waits to be opened."}
	case "expired":
		return ui.Chip{Label: "Expired", Tone: ui.ToneIdle, Icon: "clock"}
	case "disabled":
		return ui.Chip{Label: "Disabled", Tone: ui.ToneIdle, Icon: "ban"}
	case "revoked":
		return ui.Chip{Label: "Revoked", Tone: ui.ToneIdle, Icon: "ban"}
	}
	return ui.Chip{Label: status, Tone: ui.ToneIdle}
}

// you marks the visitor among others.
func you() ui.Badge { return ui.Badge{Label: "You", Tone: ui.ToneAccent} }

// choices are the options as the design system takes them.
func choices(options []Option) []ui.Option {
	out := make([]ui.Option, len(options))
	for i, o := range options {
		out[i] = ui.Option{Value: o.Value, Label: o.Label, Hint: o.Hint}
	}
	return out
}

// listURL is the address of a list: its filters, order and page. It is what a live refresh asks for.
func listURL(path string, number, limit int, filters ...string) string {
	page, rows := "", ""
	if number > 1 {
		page = strconv.Itoa(number)
	}
	if limit > 0 && limit != usualLimit {
		rows = strconv.Itoa(limit)
	}
	return ui.URL(path, append(filters, "limit", rows, "page", page)...)
}

// emptyPage is shown on a page after the last one; total is what the other pages hold.
func emptyPage(first string, total int, noun string) ui.EmptyState {
	return ui.EmptyState{
		Icon: "list", Title: "This page is empty.", Text: "There are " + ui.Thousands(int64(total)) + " " + noun + " on the pages before.",
		Actions: []templ.Component{ui.Button{Label: "First page", Href: first}},
	}
}

// noMatch is shown when a search or filter leaves nothing.
func noMatch(noun, search, clearURL string) ui.EmptyState {
	e := ui.EmptyState{
		Icon: "search", Title: "No " + noun + " matches.", Text: "Nothing here fits the filter. Clear it to see all.",
		Actions: []templ.Component{ui.Button{Label: "Clear the filter", Icon: "x", Href: clearURL}},
	}
	if search != "" {
		e.Text = fmt.Sprintf("Nothing here fits “%s”. Check the spelling, or clear the filter to see all.", shorten(search, 60))
	}
	return e
}

// shorten cuts a text that a visitor entered to what a sentence can hold.
func shorten(text string, limit int) string {
	runes := []rune(text)
	if len(runes) <= limit {
		return text
	}
	return string(runes[:limit]) + "…"
}

// count is a number with its noun: "1 session", "3 sessions".
func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return ui.Thousands(int64(n)) + " " + noun + "s"
}

// once is the hidden field that tells a form sent twice from two forms.
func once(mark string) map[string]string {
	if mark == "" {
		return nil
	}
	return map[string]string{"once": mark}
}

// passwordRules says what a password needs before one is typed.
func passwordRules(least int) string {
	return fmt.Sprintf("At least %d characters. Four or five unrelated words make a good one.", least)
}

// newPassword is the pair of fields in which a password is chosen. What is wrong with one takes the place
// of the rules, which it would only repeat.
func newPassword(least int, label string, problems Errors) templ.Component {
	hint := passwordRules(least)
	if problems["password"] != "" {
		hint = ""
	}
	return templ.Join(
		ui.Field{
			Name: "password", Label: label, Type: ui.FieldPassword, Required: true, Autocomplete: "new-password", MinLength: least,
			Hint: hint, Error: problems["password"],
		},
		ui.Field{
			Name: "repeat", Label: "Repeat the password", Type: ui.FieldPassword, Required: true, Autocomplete: "new-password", MinLength: least,
			Error: problems["repeat"],
		},
	)
}
