package console

import (
	"log/slog"
	"net/http"
	"strconv"

	"switchgear/internal/access"
	"switchgear/internal/telemetry"
	alertsview "switchgear/web/templates/alerts"
	credentialsview "switchgear/web/templates/credentials"
	"switchgear/web/templates/layout"
	revealview "switchgear/web/templates/reveal"
	rotationview "switchgear/web/templates/rotation"
	"switchgear/web/templates/ui"
)

// section is one entry of the navigation. An entry is shown to those who may open it, and there is none
// for a page that does not exist.
type section struct {
	group, id, label, href, icon string
	guard                        guard
}

func sections() []section {
	return []section{
		{"Operate", "overview", "Overview", "/", "activity", signedIn()},
		{"Operate", "alerts", "Alerts", alertsview.Path, "bell", needs(access.PermissionSystemRead)},
		{"Operate", "connections", "Connections", "/connections", "plug", needs(access.PermissionSystemRead)},
		{"Operate", "credentials", "Credentials", credentialsview.Path, "lock", needs(access.PermissionSystemRead)},
		{"Operate", "breakers", "Breakers", "/breakers", "shield", needs(access.PermissionSystemRead)},
		{"Operate", "calls", "Calls", "/calls", "list", needs(access.PermissionSystemRead)},
		{"Prove", "checklist", "Checklist", "/checklist", "check-square", needs(access.PermissionSystemRead)},
		{"Govern", "users", "Users", "/users", "users", needs(access.PermissionUsersRead)},
		{"Govern", "keys", "API keys", "/keys", "key", needs(access.PermissionKeysRead)},
		{"Govern", "audit", "Audit", "/audit", "file", needs(access.PermissionAuditRead)},
		{"Govern", "encryption", "Encryption keys", rotationview.Path, "lock", needs(access.PermissionRotate)},
		{"Govern", "reveal", "Reveal of secrets", revealview.Path, "eye", needs(access.PermissionReveal)},
		{"Govern", "about", "About", "/about", "info", needs(access.PermissionSystemRead)},
	}
}

// page frames a page for a visitor who is signed in. current is the id of its section; topics are what
// the page follows live, as far as the visitor may.
func (c *Console) page(r *http.Request, title, current string, topics ...string) layout.Page {
	v := visitorOf(r)
	p := layout.Page{
		Title: title, Nav: navigation(v.actor.Role, current), Path: r.URL.RequestURI(), Version: c.cfg.Version,
		RequestID: telemetry.RequestID(r.Context()), Assets: c.Assets, LiveSince: c.Live.Moment(),
		User: layout.User{Email: v.user.Email, Name: v.user.Name, Role: string(v.user.Role), ProfileHref: "/profile", SignOutAction: "/sign-out"},
	}
	c.countAlerts(r, p.Nav)
	p.More = []layout.NavItem{
		{Label: "Your profile", Href: "/profile", Icon: "user"},
		{Label: "Your sessions", Href: "/sessions", Icon: "globe"},
	}
	for _, more := range []section{
		{"", "", "New connection", "/connections/new", "plug", needs(access.PermissionConfigure)},
		{"", "", "Alert rules", alertsview.RulesPath, "bell", needs(access.PermissionSystemRead)},
		{"", "", "Alert channels", alertsview.ChannelsPath, "send", needs(access.PermissionSystemRead)},
		{"", "", "Mutes", alertsview.MutesPath, "pause", needs(access.PermissionSystemRead)},
		{"", "", "Invitations", "/invitations", "mail", needs(access.PermissionUsersRead)},
		{"", "", "Invite someone", "/invitations/new", "user-plus", needs(access.PermissionUsersWrite)},
		{"", "", "New API key", "/keys/new", "key", needs(access.PermissionKeysWrite)},
	} {
		if v.actor.Role.Can(more.guard.permission) {
			p.More = append(p.More, layout.NavItem{Label: more.label, Href: more.href, Icon: more.icon})
		}
	}
	if !isFragment(r) { // a part that refreshes must not swallow the message meant for the next page
		p.Flash.Kind, p.Flash.Message = c.Access.PopFlash(r.Context())
	}
	for _, topic := range topics {
		if g, ok := topicPermission(topic); ok && (g.signedIn || v.actor.Role.Can(g.permission)) {
			p.Live = append(p.Live, topic)
		}
	}
	return p
}

// countAlerts shows in the navigation how many alerts nobody looks after yet. A page does without the
// figure when it cannot be had.
func (c *Console) countAlerts(r *http.Request, nav layout.Nav) {
	if isFragment(r) { // a fragment has no navigation
		return
	}
	for _, group := range nav {
		for i := range group.Items {
			if group.Items[i].Href != alertsview.Path {
				continue
			}
			n, err := c.Alerts.Unacknowledged(r.Context(), actor(r))
			switch {
			case err != nil:
				c.Logger.LogAttrs(r.Context(), slog.LevelWarn, "alerts are not counted", slog.Any("error", err))
			case n > 0:
				group.Items[i].Count, group.Items[i].CountTone = strconv.Itoa(n), ui.ToneBad
			}
		}
	}
}

// bare frames a page for everyone: set-up, sign-in and errors without a session.
func (c *Console) bare(r *http.Request, title string) layout.Bare {
	return layout.Bare{
		Title: title, Version: c.cfg.Version, RequestID: telemetry.RequestID(r.Context()), Assets: c.Assets,
	}
}

func navigation(role access.Role, current string) layout.Nav {
	var nav layout.Nav
	for _, s := range sections() {
		if !s.guard.signedIn && !role.Can(s.guard.permission) {
			continue
		}
		if len(nav) == 0 || nav[len(nav)-1].Label != s.group {
			nav = append(nav, layout.NavGroup{Label: s.group})
		}
		group := &nav[len(nav)-1]
		group.Items = append(group.Items, layout.NavItem{Label: s.label, Href: s.href, Icon: s.icon, Current: s.id == current})
	}
	return nav
}
