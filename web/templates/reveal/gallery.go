package reveal

import (
	"strings"
	"time"

	"github.com/a-h/templ"

	"switchgear/web/templates/layout"
	"switchgear/web/templates/ui"
)

// Gallery lists the states of the pages that show secrets. The secrets in it are made up.
func Gallery() []ui.State {
	now := time.Date(2026, 3, 14, 9, 26, 53, 0, time.UTC)
	off := SettingView{Page: frame("Reveal of secrets"), Now: now}
	on, long := off, off
	on.Allowed, on.By, on.Since = true, "ada@example.com", now.Add(-3*time.Hour)
	long.Allowed, long.By, long.Since = true, strings.Repeat("a-long-name.", 12)+"ada@example.com", now.Add(-900*24*time.Hour)

	allow := AskSettingView{Page: frame("Reveal of secrets"), Allow: true}
	refused, forbid := allow, AskSettingView{Page: frame("Reveal of secrets")}
	refused.Reason, refused.Errors = "The vendor shows keys once.", map[string]string{"password": "That is not your present password."}

	ask := AskView{
		Page: frame("Reveal a secret"), Slug: "stripe", Account: "acme", Once: "x", Field: "password",
		Fields: []Option{{"password", "Password"}, {"username", "User name"}},
	}
	wrong, slow, wordy := ask, ask, ask
	wrong.Errors = map[string]string{"password": "That is not your present password.", "reason": "Say why. The reason goes into the audit log."}
	slow.Errors = map[string]string{"": "Too many failed attempts. Try again in 30 seconds."}
	wordy.Account, wordy.Reason = strings.Repeat("customer-", 7), strings.Repeat("The vendor shows keys once. ", 12)

	shown := ShownView{Page: frame("Reveal a secret"), Slug: "stripe", Account: "acme", Label: "Token", Value: "made-up-0123456789abcdef"}
	lines, wide := shown, shown
	lines.Label, lines.Value = "Private key", "-----BEGIN EXAMPLE-----\n"+strings.Repeat("bm90IGEga2V5IG5vdCBhIGtleSBub3QgYSBrZXkgbm90IGEga2V5IG5vdCBhIGtl\n", 6)+"-----END EXAMPLE-----\n"
	wide.Account, wide.Value = strings.Repeat("customer-", 7), strings.Repeat("made-up-", 60)
	return []ui.State{
		state("setting, off", Setting(off)), state("setting, allowed", Setting(on)), state("setting, long text", Setting(long)),
		state("allow", AskSetting(allow)), state("allow, error", AskSetting(refused)), state("switch off", AskSetting(forbid)),
		state("question", Ask(ask)), state("question with errors", Ask(wrong)), state("question, too many attempts", Ask(slow)), state("question, long text", Ask(wordy)),
		state("shown", Shown(shown)), state("shown, several lines", Shown(lines)), state("shown, long text", Shown(wide)),
	}
}

func state(name string, view templ.Component) ui.State {
	return ui.State{Group: "Reveal", Name: name, View: view, Page: true}
}

func frame(title string) layout.Page {
	return layout.Page{
		Title: title, Path: Path, Version: "v0.1.0", RequestID: "req_8kd2f9a0c1",
		User: layout.User{Email: "ada@example.com", Name: "Ada Lovelace", Role: "owner", ProfileHref: "/profile", SignOutAction: "/sign-out"},
		Nav:  layout.Nav{{Label: "Govern", Items: []layout.NavItem{{Label: "Reveal of secrets", Href: Path, Icon: "eye", Current: true}}}},
	}
}
