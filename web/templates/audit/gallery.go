package audit

import (
	"strings"
	"time"

	"github.com/a-h/templ"

	"switchgear/web/templates/layout"
	"switchgear/web/templates/ui"
)

// Gallery lists the states of the audit pages.
func Gallery() []ui.State {
	one := sample()
	one.Rows, one.Total = one.Rows[:1], 1

	empty := sample()
	empty.Rows, empty.Total, empty.Actions = nil, 0, nil

	unmatched := empty
	unmatched.Search, unmatched.Actor = "refund", "ada@example.com"

	filtered := sample()
	filtered.Action, filtered.From, filtered.To, filtered.Number, filtered.Total = "key.revoke", "2026-03-01", "2026-03-14", 3, 1284

	invalid := sample()
	invalid.From, invalid.To = "yesterday", "14.3."
	invalid.Errors = map[string]string{"from": "Write a date as 2026-01-31.", "to": "Write a date as 2026-01-31."}

	past := empty
	past.Number, past.Total = 9, 120

	return []ui.State{
		page("Audit", "empty", List(empty)),
		page("Audit", "one", List(one)),
		page("Audit", "many", List(sample())),
		page("Audit", "filtered, page 3", List(filtered)),
		page("Audit", "nothing matches", List(unmatched)),
		page("Audit", "past the last page", List(past)),
		page("Audit", "error in the dates", List(invalid)),
		page("Audit", "long text", List(long())),
		page("Audit", "verified, intact", List(verified(intact()))),
		page("Audit", "verified, nothing recorded", List(verified(Verification{}))),
		page("Audit", "verified, one problem", List(verified(damaged(1)))),
		page("Audit", "verified, many problems", List(verified(damaged(3)))),
		{Group: "Audit", Name: "part for a live refresh", View: Table(sample())},
		page("Audit entry", "with details", Entry(entry(0))),
		page("Audit entry", "first entry, by the system", Entry(entry(4))),
		page("Audit entry", "without target or details", Entry(entry(2))),
		page("Audit entry", "long text", Entry(EntryView{Page: frame(), Now: now(), Row: long().Rows[0], HasNext: true})),
	}
}

func page(group, name string, view templ.Component) ui.State {
	return ui.State{Group: group, Name: name, View: view, Page: true}
}

// now is when all states are looked at.
func now() time.Time { return time.Date(2026, 3, 14, 9, 26, 53, 0, time.UTC) }

const (
	longName = "the-integration-team-that-looks-after-payments-and-refunds@subsidiary.holding.example.com"
	longText = "The key was pasted into a public chat by mistake, seen by about forty people, and has to be replaced " +
		"everywhere before the end of the day; see the incident record for the list of the applications that use it."
)

func frame() layout.Page {
	return layout.Page{
		Title: "Audit", Path: "/audit", Version: "v0.1.0", RequestID: "req_8kd2f9a0c1", Live: []string{"audit"},
		User: layout.User{Email: "ada@example.com", Name: "Ada Lovelace", Role: "owner", ProfileHref: "/profile", SignOutAction: "/sign-out"},
		Nav: layout.Nav{
			{Label: "Operate", Items: []layout.NavItem{{Label: "Overview", Href: "/", Icon: "activity"}}},
			{Label: "Govern", Items: []layout.NavItem{
				{Label: "Audit", Href: "/audit", Icon: "file", Current: true}, {Label: "About", Href: "/about", Icon: "info"},
			}},
		},
	}
}

func mac(digits string) string { return strings.Repeat(digits, 64/len(digits)) }

// sample is a list with one entry of every kind of actor.
func sample() ListView {
	at := func(ago time.Duration) time.Time { return now().Add(-ago) }
	return ListView{
		Page: frame(), Now: now(), Total: 5, Number: 1, Limit: 50,
		Actions: []string{"key.create", "key.revoke", "setup.complete", "user.sign_in_failed", "user.sign_out"},
		Rows: []Row{
			{
				Seq: 412, At: at(3 * time.Minute), ActorKind: "user", ActorID: "usr_01j9zk4q7t", ActorName: "ada@example.com",
				Action: "key.revoke", TargetKind: "api_key", TargetID: "key_5yx9qw", Target: "Billing", Reason: "Replaced after the audit.",
				RequestID: "req_3fa9c2d07b", IP: "192.0.2.7", MAC: mac("9f2c41d0"),
				Details: []Detail{{"last_used", "2026-03-14T09:20:11Z"}, {"scopes", "call:stripe api:read"}},
			},
			{
				Seq: 411, At: at(41 * time.Minute), ActorKind: "anonymous", Action: "user.sign_in_failed", TargetKind: "user",
				Target: "bob@example.com", RequestID: "req_77be01aa42", IP: "198.51.100.23", MAC: mac("51ab77e0"),
				Details: []Detail{{"cause", "wrong password"}},
			},
			{
				Seq: 410, At: at(7 * time.Hour), ActorKind: "user", ActorID: "usr_01j9zk4q7t", ActorName: "ada@example.com",
				Action: "user.sign_out", RequestID: "req_c0ffee1234", IP: "192.0.2.7", MAC: mac("00aa13bc"),
			},
			{
				Seq: 2, At: at(90*24*time.Hour - time.Minute), ActorKind: "cli", ActorName: "root", Action: "key.create", TargetKind: "api_key",
				TargetID: "key_8mm2kk", Target: "Deployment", Reason: "First key, made on the machine.", MAC: mac("7b7b0c0d"),
			},
			{
				Seq: 1, At: at(90 * 24 * time.Hour), ActorKind: "system", ActorName: "system", Action: "setup.complete", TargetKind: "user",
				TargetID: "usr_01j9zk4q7t", Target: "ada@example.com", MAC: mac("c3d4e5f6"), Details: []Detail{{"role", "owner"}},
			},
		},
	}
}

func long() ListView {
	v := sample()
	v.Rows, v.Total = v.Rows[:1], 1
	r := &v.Rows[0]
	r.ActorName, r.Target, r.Reason = longName, "Key of "+longName, longText
	r.Details = []Detail{{"scopes", strings.Repeat("call:a-connection-with-a-long-name ", 12)}, {"user_agent", mac("Mozilla0")}}
	return v
}

func entry(i int) EntryView {
	return EntryView{Page: frame(), Now: now(), Row: sample().Rows[i], HasNext: i > 0}
}

func verified(result Verification) ListView {
	v := sample()
	v.Page.Path, v.Verified = "/audit/verify", &result
	return v
}

func intact() Verification {
	return Verification{Entries: 1284, LastSeq: 1284, LastMAC: mac("9f2c41d0"), Took: 38 * time.Millisecond}
}

func damaged(problems int) Verification {
	return Verification{
		Entries: 1281, LastSeq: 1284, LastMAC: mac("9f2c41d0"), Took: 1240 * time.Millisecond,
		Problems: []Problem{
			{Seq: 17, What: "the row does not match its MAC: it was edited or moved"},
			{Seq: 903, What: "rows 903 to 905 are missing: they were deleted"},
			{Seq: 0, What: "21 more problems are not listed"},
		}[:problems],
	}
}
