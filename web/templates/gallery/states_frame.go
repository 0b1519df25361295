package gallery

import (
	"context"
	"io"

	"github.com/a-h/templ"

	"switchgear/web/templates/layout"
	"switchgear/web/templates/ui"
)

// around renders a component that goes around a block with parts as its block.
func around(outer templ.Component, parts ...templ.Component) templ.Component {
	return templ.ComponentFunc(func(ctx context.Context, w io.Writer) error {
		return outer.Render(templ.WithChildren(ctx, templ.Join(parts...)), w)
	})
}

const longVersion = "v0.0.0-20261124031148-02f3ff999e26+dirty"

func frameStates() []ui.State {
	page := layout.Page{
		Title: "Users", Path: "/users", Version: "v0.1.0", RequestID: "req_8Kd2f9a0c1", Live: []string{"users", "invitations"},
		Flash: layout.Flash{Kind: "ok", Message: "The invitation is revoked."},
		User:  layout.User{Email: "ada@example.com", Name: "Ada Lovelace", Role: "owner", ProfileHref: "/profile", SignOutAction: "/sign-out"},
		More:  []layout.NavItem{{Label: "Your profile", Href: "/profile", Icon: "user"}, {Label: "Your sessions", Href: "/sessions", Icon: "laptop"}},
		Nav: layout.Nav{
			{Label: "Operate", Items: []layout.NavItem{{Label: "Overview", Href: "/", Icon: "activity", Count: "2", CountTone: ui.ToneBad}}},
			{Label: "Govern", Items: []layout.NavItem{{Label: "Users", Href: "/users", Icon: "users", Current: true, Count: "14"}, {Label: "API keys", Href: "/keys", Icon: "key"}, {Label: "Audit", Href: "/audit", Icon: "file"}, {Label: "About", Href: "/about", Icon: "info"}}},
		},
	}
	long := page
	long.Version, long.User.Email = longVersion, "the-integration-team-that-looks-after-payments@subsidiary.holding.example.com"
	dark := page
	dark.Theme, dark.Flash = "dark", layout.Flash{}
	body := templ.Join(
		ui.PageHeader{Title: "Users", Sub: "Who may open this console, and what they may do.", Live: true, Actions: []templ.Component{ui.Button{Label: "Invite", Kind: ui.ButtonPrimary, Icon: "user-plus", Href: "/x"}}},
		ui.Stats{Tiles: figureTiles()},
		ui.Card{Title: "Connections by impact", Sub: "15 minutes", Flush: true, Body: impact()},
	)
	bare := layout.Bare{Title: "Sign in", Version: "v0.1.0", RequestID: "req_8Kd2f9a0c1"}
	signIn := around(ui.Form{Action: "/x", Submit: "Sign in", Full: true}.Wrap(),
		ui.PageHeader{Title: "Sign in"}, ui.Field{Name: "email", Label: "E-mail", Type: ui.FieldEmail, Autocomplete: "username", Required: true},
		ui.Field{Name: "password", Label: "Password", Type: ui.FieldPassword, Autocomplete: "current-password", Required: true},
	)
	wide := bare
	longBare := bare
	longBare.Version = "v1.0.0-a-version-that-somebody-named-by-hand-and-at-great-length"
	wide.Wide, wide.Flash = true, layout.Flash{Kind: "bad", Message: "Your session has ended. Sign in again."}
	whole := func(name string, view templ.Component) ui.State {
		return ui.State{Group: "Frame", Name: name, View: view, Page: true}
	}
	return []ui.State{
		whole("page", around(page.Frame(), body)), whole("page, dark, without a message", around(dark.Frame(), body)),
		whole("page, long version", around(long.Frame(), body)), whole("bare, long version", around(longBare.Frame(), signIn)),
		whole("bare", around(bare.Frame(), signIn)), whole("bare, wide, with a message", around(wide.Frame(), signIn)),
	}
}

func figureTiles() []ui.StatTile {
	return []ui.StatTile{{Label: "Users", Value: "14", Points: course(5)}, {Label: "Failed sign-ins", Value: "3", Unit: "today", Tone: ui.ToneBad, Points: course(3)}, {Label: "API keys", Value: "6", Points: course(2)}, {Label: "Audit entries", Value: "1,207", Points: course(7)}}
}
