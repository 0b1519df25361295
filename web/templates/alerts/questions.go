package alerts

import "switchgear/web/templates/layout"

// Disabling asks before a rule is switched off.
func (r Rule) Disabling(page layout.Page, reason string) ConfirmView {
	return ConfirmView{
		Page: page, Title: "Switch off " + r.Name + "?", Button: "Switch off", Action: r.href("disable"), Cancel: RulesPath, Reason: reason,
		Consequence: "It watches nothing until somebody switches it on again: nobody is told, and what fires because of it now is resolved.",
	}
}

// Deleting asks before a rule is deleted.
func (r Rule) Deleting(page layout.Page, reason string) ConfirmView {
	return ConfirmView{
		Page: page, Title: "Delete " + r.Name + "?", Button: "Delete rule", Action: r.href("delete"), Cancel: r.href("edit"), Subject: r.ID, Danger: true, Reason: reason,
		Consequence: "Nothing is watched by it any more, and what fires because of it is resolved. The alerts that it made stay in the history.",
	}
}

// Deleting asks before a channel is deleted.
func (c Channel) Deleting(page layout.Page, reason string) ConfirmView {
	return ConfirmView{
		Page: page, Title: "Delete " + c.Name + "?", Button: "Delete channel", Action: c.href("delete"), Cancel: c.href(), Subject: c.ID, Danger: true, Reason: reason,
		Consequence: "Nothing is sent to it any more, what waits included, and its secrets are gone.",
	}
}
