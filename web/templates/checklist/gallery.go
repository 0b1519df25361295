package checklist

import (
	"strings"
	"time"

	"switchgear/web/templates/layout"
	"switchgear/web/templates/ui"
)

// Gallery lists the states of the page. All are looked at at one fixed moment.
func Gallery() []ui.State {
	const group = "Checklist page"
	many, one, empty, filtered, beyond, long := sample(), sample(), sample(), sample(), sample(), sample()
	one.Rows, one.Total = one.Rows[:1], 1
	empty.Rows, empty.Total = nil, 0
	filtered.Rows, filtered.Total, filtered.Search, filtered.Verdict, filtered.Item = nil, 0, "nothing", "fail", "retry"
	beyond.Rows, beyond.Number, beyond.Total = nil, 9, 60
	long.Rows = append(long.Rows, Row{
		Slug: strings.Repeat("long-slug-", 6), Name: strings.Repeat("A very long name ", 7), Environment: "production", Version: 12345, Done: 12,
		Verdicts: verdictsOf("pass", 12), JudgedAt: now(),
	})
	long.Total = 120
	return []ui.State{
		{Group: group, Name: "many", View: Matrix(many), Page: true},
		{Group: group, Name: "one", View: Matrix(one), Page: true},
		{Group: group, Name: "empty", View: Matrix(empty), Page: true},
		{Group: group, Name: "filter without hits", View: Matrix(filtered), Page: true},
		{Group: group, Name: "page beyond the end", View: Matrix(beyond), Page: true},
		{Group: group, Name: "long text, several pages", View: Matrix(long), Page: true},
		{Group: group, Name: "the part that refreshes", View: Table(many)},
	}
}

func now() time.Time { return time.Date(2026, 3, 14, 9, 26, 53, 0, time.UTC) }

func verdictsOf(verdict string, n int) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = verdict
	}
	return out
}

func sample() MatrixView {
	titles := []string{
		"Requirements defined", "API design documented", "Authentication implemented", "Error handling robust", "Rate limiting configured", "Webhooks tested",
		"Circuit breaker implemented", "Retry logic works", "Monitoring active", "Integration tests", "Documentation complete", "Rollback plan defined",
	}
	v := MatrixView{
		Page: layout.Page{
			Title: "Checklist", Version: "1.4.0", Path: path, Live: []string{"checklist", "connections"},
			User: layout.User{Email: "ops@example.com", Name: "Olive Ops", Role: "operator", ProfileHref: "/profile", SignOutAction: "/sign-out"},
			Nav:  layout.Nav{{Label: "Prove", Items: []layout.NavItem{{Label: "Checklist", Href: path, Icon: "check-square", Current: true}}}},
		},
		Now: now(), Number: 1, Limit: 50, Total: 3,
		Environments: []Option{{"production", "production"}, {"staging", "staging"}, {"development", "development"}, {"sandbox", "sandbox"}},
		Rows: []Row{
			{
				Slug: "stripe", Name: "Stripe live", Environment: "production", Version: 18, Done: 6, JudgedAt: now().Add(-2 * time.Minute),
				Verdicts: []string{"pass", "pass", "unknown", "unknown", "fail", "exempt", "unknown", "stale", "pass", "pass", "pass", "fail"},
			},
			{Slug: "orders", Name: "Orders", Environment: "staging", Version: 2, Done: 12, JudgedAt: now().Add(-time.Hour), Verdicts: verdictsOf("pass", 12)},
			{Slug: "fresh", Name: "Fresh", Environment: "development", Version: 1},
		},
	}
	for i, title := range titles {
		v.Items = append(v.Items, Item{ID: strings.ToLower(strings.ReplaceAll(title, " ", "_")), Number: i + 1, Title: title, About: "What it takes for “" + title + "”."})
	}
	return v
}
