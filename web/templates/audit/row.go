package audit

import (
	"strconv"
	"strings"

	"github.com/a-h/templ"

	"switchgear/web/templates/ui"
)

func (r Row) number() string { return strconv.FormatInt(r.Seq, 10) }

func (r Row) href() string { return entryHref(r.Seq) }

func entryHref(seq int64) string { return "/audit/" + strconv.FormatInt(seq, 10) }

// badge is the action. What failed stands out; its name ends with the word, so the colour is not alone.
func (r Row) badge() ui.Badge {
	b := ui.Badge{Label: r.Action, Mono: true}
	if strings.HasSuffix(r.Action, "_failed") {
		b.Tone = ui.ToneBad
	}
	return b
}

// actor names who did it and what kind of actor that is.
func (r Row) actor() templ.Component {
	if r.ActorName == "" {
		return ui.Name(kindWord(r.ActorKind), "", r.ActorID)
	}
	return ui.Name(r.ActorName, "", kindWord(r.ActorKind))
}

// target names what it was done to; some actions have none.
func (r Row) target() templ.Component {
	switch {
	case r.Target != "":
		return ui.Name(r.Target, "", kindWord(r.TargetKind))
	case r.TargetID != "":
		return ui.Name(r.TargetID, "", kindWord(r.TargetKind))
	}
	return ui.Text(kindWord(r.TargetKind))
}

func (r Row) reason() templ.Component { return ui.Text(r.Reason) }

// kindWord writes the kind of an actor or target in words. An unknown kind is shown as it is recorded.
func kindWord(kind string) string {
	switch kind {
	case "api_key":
		return "API key"
	case "cli":
		return "command line"
	case "anonymous":
		return "not signed in"
	}
	return strings.ReplaceAll(kind, "_", " ")
}

// id shows an identifier; that of a user leads to the user's page.
func id(kind, value string) templ.Component {
	if value == "" {
		return ui.Text("")
	}
	m := ui.MonoID{ID: value, What: kindWord(kind) + " id"}
	if kind == "user" {
		m.Href = "/users/" + value
	}
	return m
}
