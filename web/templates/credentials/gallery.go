package credentials

import (
	"strings"
	"time"

	"switchgear/web/templates/layout"
	"switchgear/web/templates/ui"
)

// Gallery lists the states of the calendar.
func Gallery() []ui.State {
	one, empty, unmatched, reader, long := sample(), sample(), sample(), sample(), sample()
	one.Rows, one.Total = one.Rows[:1], 1
	empty.Rows, empty.Total = nil, 0
	unmatched.Rows, unmatched.Total, unmatched.Search, unmatched.Group = nil, 0, "acme", GroupLater
	reader.CanConfigure = false
	long.Rows[0].Name, long.Rows[0].Account = strings.Repeat("Ledger of the holding ", 6), strings.Repeat("customer-", 7)
	page := func(name string, v CalendarView) ui.State {
		return ui.State{Group: "Credentials", Name: name, View: Calendar(v), Page: true}
	}
	return []ui.State{
		page("empty", empty), page("one", one), page("many", sample()), page("nothing matches", unmatched), page("read only", reader),
		page("long text", long),
		{Group: "Credentials", Name: "part for a filter", View: Table(sample())},
	}
}

func sample() CalendarView {
	now := time.Date(2026, 3, 14, 9, 26, 53, 0, time.UTC)
	return CalendarView{
		Now: now, Total: 7, Number: 1, Limit: 50, CanConfigure: true,
		Page: layout.Page{
			Title: "Credentials", Path: Path, Version: "v0.1.0", RequestID: "req_8kd2f9a0c1", Live: []string{"connections"},
			User: layout.User{Email: "ada@example.com", Name: "Ada Lovelace", Role: "owner", ProfileHref: "/profile", SignOutAction: "/sign-out"},
			Nav:  layout.Nav{{Label: "Operate", Items: []layout.NavItem{{Label: "Overview", Href: "/", Icon: "activity"}, {Label: "Credentials", Href: Path, Icon: "lock", Current: true}}}},
		},
		Rows: []Row{
			{Slug: "ads", Name: "Google Ads", Environment: "production", Account: "default", Kind: KindConsent, At: now.Add(-3 * time.Hour)},
			{Slug: "slack", Name: "Slack", Environment: "production", Account: "acme", Kind: KindToken, At: now.Add(50 * time.Hour)},
			{Slug: "stripe", Name: "Stripe live", Environment: "production", Account: "default", Kind: KindOld, At: now.Add(5 * 24 * time.Hour)},
			{Slug: "bank", Name: "Bank", Environment: "staging", Account: "default", Kind: KindCertificate, At: now.Add(9 * 24 * time.Hour), Rotatable: true},
			{Slug: "stripe", Name: "Stripe live", Environment: "production", Account: "acme", Kind: KindSecret, At: now.Add(12 * 24 * time.Hour), Rotatable: true},
			{Slug: "slack", Name: "Slack", Environment: "production", Account: "default", Kind: KindSecret, At: now.Add(30 * 24 * time.Hour)},
			{Slug: "ledger", Name: "Ledger", Account: "default", Kind: KindCertificate, At: now.Add(200 * 24 * time.Hour)},
		},
	}
}
