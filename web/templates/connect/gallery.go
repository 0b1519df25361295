package connect

import (
	"strings"
	"time"

	"github.com/a-h/templ"

	"switchgear/web/templates/layout"
	"switchgear/web/templates/ui"
)

// Gallery lists the states of every page of this package.
func Gallery() []ui.State {
	start := StartView{
		Page: page("Connect default"), Slug: "github", Name: "GitHub", Account: "default", Server: "github.com",
		RedirectURI: "https://switchgear.example.com/oauth/callback/github", Scopes: []Scope{{Name: "repo", Chosen: true}, {Name: "read:user", Chosen: true}},
	}
	none, again, wrong, device, long := start, start, start, start, start
	none.Scopes = nil
	again.Reconnect, again.Scopes = true, []Scope{{Name: "repo", Chosen: true, Granted: true}, {Name: "read:user", Chosen: true}}
	wrong.More, wrong.Errors = "päivä", map[string]string{"scopes": "A scope contains a character that no scope may have."}
	device.Device = true
	long.Account, long.Scopes = strings.Repeat("customer-", 7)[:63], nil
	for range 12 {
		long.Scopes = append(long.Scopes, Scope{Name: "https://www.example.com/auth/a-very-long-scope.readonly." + string(rune('a'+len(long.Scopes))), Chosen: true})
	}
	pending := View{
		Page: page("Connect default"), Now: now(), ID: "oaf_1", Slug: "github", Name: "GitHub", Account: "default", Status: "pending", Server: "github.com",
		Leave: "https://github.com/login/oauth/authorize?client_id=x", RedirectURI: start.RedirectURI, Requested: []string{"repo", "read:user"},
		ExpiresAt: now().Add(9 * time.Minute),
	}
	elsewhere, code, working, done, fewer, failed, longFailed := pending, pending, pending, pending, pending, pending, pending
	elsewhere.Leave = ""
	code.Device, code.RedirectURI, code.Leave, code.Interval = true, "", "", 5*time.Second
	code.UserCode, code.VerificationURL = "WDJB-MJHT", "https://github.com/login/device"
	working.Status, working.Interval = "working", 2*time.Second
	done.Status, done.Renewable, done.TokenExpiresAt = "done", true, now().Add(8*time.Hour)
	fewer.Status, fewer.Granted, fewer.TokenExpiresAt = "done", []string{"repo"}, now().Add(time.Hour)
	failed.Status, failed.Step, failed.Code, failed.Problem = "failed", "token", "invalid_client", "The server does not accept the client. Check client ID, client secret and the way the client authenticates."
	longFailed.Status, longFailed.Step, longFailed.Code = "failed", "authorization", "access_denied"
	longFailed.Problem, longFailed.Server = "Consent was denied. Start again and allow the access.", strings.Repeat("a-long-name.", 8)+"example.com"
	longFailed.Requested = []string{strings.Repeat("https://www.example.com/auth/scope ", 10)}
	whole := func(name string, view templ.Component) ui.State {
		return ui.State{Group: "Connect page", Name: name, View: view, Page: true}
	}
	return []ui.State{
		whole("start", Start(start)), whole("start, no scopes", Start(none)), whole("start, again", Start(again)),
		whole("start, error", Start(wrong)), whole("start, device", Start(device)), whole("start, long text", Start(long)),
		whole("pending", Consent(pending)), whole("pending, another browser", Consent(elsewhere)), whole("device", Consent(code)),
		whole("working", Consent(working)), whole("done", Consent(done)), whole("done, fewer scopes", Consent(fewer)),
		whole("failed", Consent(failed)), whole("failed, long text", Consent(longFailed)),
	}
}

// now is when all states are looked at.
func now() time.Time { return time.Date(2026, 3, 14, 9, 26, 53, 0, time.UTC) }

func page(title string) layout.Page {
	return layout.Page{
		Title: title, Path: "/connections", Version: "v0.1.0", RequestID: "req_8Kd2f9a0c1",
		User: layout.User{Email: "ada@example.com", Name: "Ada Lovelace", Role: "admin", ProfileHref: "/profile", SignOutAction: "/sign-out"},
		Nav:  layout.Nav{{Label: "Operate", Items: []layout.NavItem{{Label: "Connections", Href: "/connections", Icon: "plug", Current: true}}}},
	}
}
