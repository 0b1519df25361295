package connect

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/a-h/templ"

	"switchgear/web/templates/connections"
	"switchgear/web/templates/layout"
	"switchgear/web/templates/ui"
)

// Gallery lists the states of every page of this package.
func Gallery() []ui.State { return slices.Concat(consentStates(), linkStates()) }

func consentStates() []ui.State {
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
		long.Scopes = append(long.Scopes, Scope{Name: "https://www.example.com/auth/a-very-long-scope.readonly." + strconv.Itoa(len(long.Scopes)), Chosen: true})
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
	fewer.Status, fewer.Granted, fewer.Missing, fewer.TokenExpiresAt = "done", []string{"repo"}, []string{"read:user"}, now().Add(time.Hour)
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

// linkStates are those of the pages of links.
func linkStates() []ui.State {
	links := LinksView{
		Page: page("Connect links of GitHub"), Now: now(), Slug: "github", Name: "GitHub", CanConfigure: true, Account: "default", Life: "24h",
		Lives: []Choice{{"1h", "1 hour"}, {"24h", "1 day"}}, Number: 1, Limit: 50,
	}
	many, made, wrong, reader := links, links, links, links
	for i, status := range []string{"pending", "done", "failed", "revoked", "expired"} {
		many.Rows = append(many.Rows, Link{
			ID: "cns_" + status, Account: "customer-" + status, Label: strings.Repeat("For the finance department ", i), Status: status, By: "Ada Lovelace",
			Problem: "Consent was denied.", CreatedAt: now().Add(-time.Hour), ExpiresAt: now().Add(23 * time.Hour),
		})
	}
	older := many
	older.Made, older.MadeFor, older.Older = "https://switchgear.example.com/connect/Jx0mEo8bX9q2l4v7c1n5k3r6t8w0y2zA4sD6fG8hJ0k", "customer-pending", 1
	several := older
	several.MadeFor, several.Older = strings.Repeat("customer-", 7), 12
	many.Total, reader.Rows, reader.Total, reader.CanConfigure = len(many.Rows), many.Rows, len(many.Rows), false
	made.Made = "https://switchgear.example.com/connect/Jx0mEo8bX9q2l4v7c1n5k3r6t8w0y2zA4sD6fG8hJ0k"
	wrong.Account, wrong.Errors = "Acme GmbH", map[string]string{"account": "Use lower-case letters, digits and hyphens."}

	visit := VisitView{
		Page: layout.Bare{Title: "Connect GitHub", Version: "v0.1.0"}, Now: now(), Token: "token", Name: "GitHub", Account: "acme", Label: "Invoices of Acme", By: "Ada Lovelace",
		Server: "github.com", Interactive: true, Scopes: []string{"repo", "read:user"}, ExpiresAt: now().Add(time.Hour),
	}
	leave, again, key, keyWrong := visit, visit, visit, visit
	leave.Leave = "https://github.com/login/oauth/authorize?client_id=x"
	again.Problem, again.Code = "Consent was denied. Start again and allow the access.", "access_denied"
	key.Interactive, key.Scopes, key.Server, key.Origin = false, nil, "api.example.com", "https://api.example.com"
	key.Fields = []connections.AuthField{{Name: "token", Label: "Token", Type: "secret", Required: true, Secret: true, Help: "Sent as Authorization: Bearer. Paste the token alone."}}
	keyWrong.Interactive, keyWrong.Scopes, keyWrong.Fields, keyWrong.Server, keyWrong.Origin = false, nil, key.Fields, key.Server, key.Origin
	keyWrong.Errors = map[string]string{"auth.fields.token": "Token is missing."}

	ended := EndedView{Page: visit.Page, Now: now(), FlowID: "oaf_1", Name: "GitHub", Account: "acme", Status: "done", Server: "github.com", Interval: 5 * time.Second, ExpiresAt: now().Add(9 * time.Minute)}
	back, failed, theirs, device, working := ended, ended, ended, ended, ended
	back.Return, back.ReturnHost = "https://app.example.com/done?status=done", "app.example.com"
	failed.Status, failed.Step, failed.Code, failed.Problem, failed.Again = "failed", "authorization", "access_denied", "Consent was denied. Start again and allow the access.", true
	theirs.Status, theirs.Step, theirs.Code, theirs.Problem = "failed", "token", "invalid_client", "The server does not accept the client."
	device.Status, device.UserCode, device.VerificationURL = "pending", "WDJB-MJHT", "https://github.com/login/device"
	working.Status = "working"
	state := func(group, name string, view templ.Component) ui.State {
		return ui.State{Group: group, Name: name, View: view, Page: true}
	}
	return []ui.State{
		state("Connect links page", "empty", Links(links)), state("Connect links page", "many", Links(many)), state("Connect links page", "made", Links(made)),
		state("Connect links page", "made, an older one is open", Links(older)), state("Connect links page", "made, several are open", Links(several)),
		state("Connect links page", "error", Links(wrong)), state("Connect links page", "read-only", Links(reader)),
		state("Link page", "consent", Visit(visit)), state("Link page", "leave", Visit(leave)), state("Link page", "again", Visit(again)),
		state("Link page", "key", Visit(key)), state("Link page", "key, error", Visit(keyWrong)),
		state("Link page", "done", Ended(ended)), state("Link page", "done, way back", Ended(back)), state("Link page", "failed", Ended(failed)),
		state("Link page", "failed, not theirs to mend", Ended(theirs)),
		state("Link page", "ended", Gone(GoneView{Page: visit.Page, Why: "This link is not valid any more: it was used or withdrawn, its time is over, or whoever made it may no longer do that."})),
		state("Link page", "device", Ended(device)), state("Link page", "working", Ended(working)),
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
