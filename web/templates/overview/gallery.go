package overview

import (
	"time"

	"github.com/a-h/templ"

	"switchgear/web/templates/layout"
	"switchgear/web/templates/ui"
)

// Gallery lists the states of the overview.
func Gallery() []ui.State {
	fresh := sample()
	fresh.Users, fresh.Keys, fresh.AuditEntries, fresh.Steps = 1, 0, 1, steps(false)
	fresh.Recent = fresh.Recent[len(fresh.Recent)-1:]

	empty := View{Page: frame(), Now: now(), Steps: steps(false)}

	offered := fresh
	offered.Demo = Demo{May: true}
	demonstrated := withImpact(manyConnections())
	demonstrated.Demo = Demo{On: true, May: true}
	watched := withImpact(manyConnections())
	watched.Demo, watched.CanConfigure = Demo{On: true}, false

	readOnly := View{Page: frame(), Now: now(), Users: -1, Keys: -1, AuditEntries: -1}
	readOnly.Page.Live, readOnly.Page.User.Role = nil, "viewer"

	oneStep := View{Page: frame(), Now: now(), Steps: steps(false)[3:], Users: -1, Keys: 6, AuditEntries: -1}
	oneStep.Page.User.Role = "operator"

	finished := sample()
	finished.Keys = 6
	finished.Impact, finished.CanConfigure, finished.Connections = impactSample(), true, 6
	for i := range finished.Steps {
		finished.Steps[i].Done = true
	}

	long := sample()
	long.Recent = []Activity{{
		At: now().Add(-time.Minute), Action: "user.profile_change", Href: "/audit/7",
		Actor:  "the-integration-team-that-looks-after-payments-and-refunds@subsidiary.holding.example.com",
		Target: "somebody-whose-address-is-just-as-long-and-goes-on-and-on@another-subsidiary.holding.example.com",
	}}
	long.Users, long.AuditEntries = 10_000, 12_345_678

	return []ui.State{
		page("new installation", Overview(fresh)),
		page("empty", Overview(empty)),
		page("many", Overview(sample())),
		page("every step done", Overview(finished)),
		page("one step", Overview(oneStep)),
		page("read-only", Overview(readOnly)),
		page("long text", Overview(long)),
		{Group: "Overview", Name: "part for a live refresh", View: Content(sample())},
		page("one connection", Overview(withImpact(oneConnection()))),
		page("many connections", Overview(withImpact(manyConnections()))),
		page("needs attention, none", Overview(withImpact(nothing(ShowAttention)))),
		page("idle, none", Overview(withImpact(nothing(ShowIdle)))),
		page("not set up, none", Overview(withImpact(nothing(ShowNotSetUp)))),
		page("past the last page", Overview(withImpact(pastTheEnd()))),
		page("long names", Overview(withImpact(longConnections()))),
		page("demonstration offered", Overview(offered)),
		page("demonstration running", Overview(demonstrated)),
		page("demonstration running, read-only", Overview(watched)),
		page("incidents, read-only", Overview(withImpact(watchedImpact()))),
		{Group: "Overview", Name: "connections, for a live refresh", View: Connections(impactSample())},
	}
}

func page(name string, view templ.Component) ui.State {
	return ui.State{Group: "Overview", Name: name, View: view, Page: true}
}

// now is when all states are looked at.
func now() time.Time { return time.Date(2026, 3, 14, 9, 26, 53, 0, time.UTC) }

func frame() layout.Page {
	return layout.Page{
		Title: "Overview", Path: "/", Version: "v0.1.0", RequestID: "req_8kd2f9a0c1", Live: []string{"users", "keys", "audit"},
		User: layout.User{Email: "ada@example.com", Name: "Ada Lovelace", Role: "owner", ProfileHref: "/profile", SignOutAction: "/sign-out"},
		Nav: layout.Nav{
			{Label: "Operate", Items: []layout.NavItem{{Label: "Overview", Href: "/", Icon: "activity", Current: true}}},
			{Label: "Govern", Items: []layout.NavItem{
				{Label: "Audit", Href: "/audit", Icon: "file"}, {Label: "About", Href: "/about", Icon: "info"},
			}},
		},
	}
}

func steps(invited bool) []Step {
	return []Step{
		{Title: "Own the console", Text: "The first owner exists and is signed in.", Done: true},
		{
			Title: "Invite the people who run integrations", Text: "Operators trip and reset, viewers look, auditors check the record.",
			Href: "/invitations/new", Action: "Invite someone", Done: invited,
		},
		{
			Title: "Make a key for the first application", Text: "Applications call with a key of ours and never see a vendor's credential.",
			Href: "/keys/new", Action: "New API key",
		},
		{Title: "Define the first connection", Text: "Choose the system, give it a credential, and call it through the gateway."},
	}
}

func sample() View {
	at := func(ago time.Duration) time.Time { return now().Add(-ago) }
	return View{
		Page: frame(), Now: now(), Steps: steps(true), Users: 14, AuditEntries: 1284,
		Recent: []Activity{
			{At: at(3 * time.Minute), Actor: "ada@example.com", Action: "invitation.revoke", Target: "eve@example.com", Href: "/audit/1284"},
			{At: at(41 * time.Minute), Action: "user.sign_in_failed", Target: "bob@example.com", Href: "/audit/1283"},
			{At: at(2 * time.Hour), Actor: "bob@example.com", Action: "user.sign_in", Target: "bob@example.com", Href: "/audit/1282"},
			{At: at(26 * time.Hour), Actor: "root", Action: "session.revoke", Target: "bob@example.com", Href: "/audit/1281"},
			{At: at(27 * time.Hour), Actor: "ada@example.com", Action: "user.invite", Target: "bob@example.com", Href: "/audit/1280"},
			{At: at(31 * time.Hour), Actor: "ada@example.com", Action: "setup.complete", Target: "ada@example.com", Href: "/audit/1"},
		},
	}
}
