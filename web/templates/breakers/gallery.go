package breakers

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/a-h/templ"

	"switchgear/web/templates/layout"
	"switchgear/web/templates/ui"
)

// Gallery lists the states of every page of this package. All are looked at at one fixed moment.
func Gallery() []ui.State {
	return slices.Concat(listStates(), tabStates(), commandStates())
}

func page(group, name string, view templ.Component) ui.State {
	return ui.State{Group: group, Name: name, View: view, Page: true}
}

// now is when all states are looked at.
func now() time.Time { return time.Date(2026, 3, 14, 9, 26, 53, 0, time.UTC) }

func ago(d time.Duration) time.Time { return now().Add(-d) }

func ahead(d time.Duration) time.Time { return now().Add(d) }

const (
	longName = "Payments of the Department of Integration and Reconciliation, second floor, <script>alert(1)</script> and subsidiaries"
	longText = "The vendor announced that the old host goes away at the end of the month, so the breaker was opened for a week of " +
		"parallel calls; see the incident record for the list of the applications that had to be told."
	longOperation = "retrieveTheBalanceTransactionsOfAConnectedAccountWithTheirSourceAndDestinationExpanded"
)

func frame(title string) layout.Page {
	return layout.Page{
		Title: title, Path: "/breakers", Version: "v0.1.0", RequestID: "req_8kd2f9a0c1", Live: []string{"breakers", "calls"},
		User: layout.User{Email: "ada@example.com", Name: "Ada Lovelace", Role: "operator", ProfileHref: "/profile", SignOutAction: "/sign-out"},
		Nav: layout.Nav{{Label: "Operate", Items: []layout.NavItem{
			{Label: "Overview", Href: "/", Icon: "activity"},
			{Label: "Connections", Href: "/connections", Icon: "plug"},
			{Label: "Breakers", Href: "/breakers", Icon: "shield", Current: true},
			{Label: "Calls", Href: "/calls", Icon: "list"},
		}}},
	}
}

func sampleRows() []Row {
	limit := Meter{Label: "90 per 1 s", Value: 90, Max: 90, Text: "90 / 90 in 1 s"}
	return []Row{
		{
			Slug: "stripe", Name: "Stripe live", Operation: "createCharge", Failures: 38, Judged: 60, Window: time.Minute, Refused: 412, Limit: limit,
			Status: Status{State: StateOpen, Since: ago(14 * time.Minute), Until: ahead(22 * time.Second)}, InFlight: 25, MaxInFlight: 25,
			Past: samplePast(StateOpen, 3, 7*time.Hour+12*time.Minute),
		},
		{
			Slug: "hubspot", Name: "HubSpot", Window: time.Minute, Refused: 90, MaxInFlight: 100,
			Status: Status{State: StateHeld, Since: ago(20 * time.Second), Until: ahead(41 * time.Second), Quiet: true},
			Past:   samplePast(StateHeld, 1, 41*time.Second),
		},
		{
			Slug: "salesforce", Name: "Salesforce", Window: time.Minute, Refused: 3, InFlight: 2,
			Status: Status{State: StateForcedOpen, WouldBe: StateClosed, Since: ago(3 * time.Minute), Until: ahead(27 * time.Minute)},
		},
		{
			Slug: "slack", Name: "Slack alerts", Failures: 0, Judged: 2, Window: time.Minute,
			Status: Status{State: StateHalfOpen, Since: ago(4 * time.Second), Probes: 2, ProbesWanted: 3}, InFlight: 1, MaxInFlight: 10,
		},
		{
			Slug: "github", Name: "GitHub", Failures: 12, Judged: 20, Window: time.Minute, Limit: Meter{Label: "5,000 per 1 h", Value: 1450, Max: 5000, Text: "1,450 / 5,000 in 1 h"},
			Status: Status{State: StateObserve, WouldBe: StateOpen, Since: ago(40 * time.Minute)}, InFlight: 4, MaxInFlight: 50,
		},
		{
			Slug: "twilio", Name: "Twilio", Failures: 3, Judged: 44, Window: time.Minute, InFlight: 1, MaxInFlight: 50,
			Status: Status{State: StateForcedClosed, WouldBe: StateClosed, Since: ago(time.Minute), Until: ahead(4 * time.Minute)},
		},
		{
			Slug: "zendesk", Name: "Zendesk", Failures: 1, Judged: 12, Window: time.Minute, InFlight: 3, MaxInFlight: 50,
			Status: Status{State: StateClosed, Since: ago(4 * time.Second), Admitted: .46},
		},
		{Slug: "stripe", Name: "Stripe live", Judged: 911, Failures: 4, Window: time.Minute, Limit: limit, Status: Status{State: StateClosed, Since: ago(26 * time.Hour)}, InFlight: 31, MaxInFlight: 100, Past: samplePast(StateClosed, 0, 0)},
		{Slug: "jira", Name: "Jira", Window: time.Minute, Status: Status{State: StateClosed, Quiet: true, Since: ago(6 * time.Hour)}, MaxInFlight: 100, Past: Past{States: make([]string, 48), Step: 30 * time.Minute}},
		{Slug: "legacy", Name: "Legacy ERP", Judged: 5, Window: time.Minute, Status: Status{State: StateClosed, Off: true, Since: ago(6 * time.Hour)}},
	}
}

// samplePast was in state for the last steps of a day.
func samplePast(state string, steps int, open time.Duration) Past {
	states := slices.Repeat([]string{StateClosed}, 48)
	for i := range steps {
		states[47-i] = state
	}
	return Past{States: states, Step: 30 * time.Minute, Open: open, Since: ago(30 * 24 * time.Hour)}
}

func listStates() []ui.State {
	const group = "Breakers page"
	many := ListView{Page: frame("Breakers"), Now: now(), Rows: sampleRows(), Total: 10, Number: 1, Limit: 50, All: 10, Attention: 4, Overridden: 3}
	empty := ListView{Page: frame("Breakers"), Now: now(), Number: 1, Limit: 50}
	one, searched, calm, pages, long := many, many, many, many, many
	one.Rows, one.Total, one.All, one.Attention, one.Overridden = many.Rows[7:8], 1, 1, 0, 0
	searched.Rows, searched.Total, searched.Search = nil, 0, strings.Repeat("strype ", 12)
	calm.Rows, calm.Total, calm.State, calm.Attention = nil, 0, ShowAttention, 0
	pages.Number, pages.Limit, pages.Total, pages.All, pages.State = 3, 10, 10000, 10000, ShowOverridden
	past := pages
	past.Rows, past.Number = nil, 2001
	long.Rows, long.Total = []Row{{
		Slug: "payments-live", Name: longName, Operation: longOperation, Failures: 1234567, Judged: 1234568, Window: time.Hour, Refused: 123456789,
		Status: Status{State: "of-a-later-version", Since: ago(400 * 24 * time.Hour)}, InFlight: 12345, MaxInFlight: 123456, Past: samplePast("of-a-later-version", 48, 29*24*time.Hour),
	}}, 1
	return []ui.State{
		page(group, "many", List(many)), page(group, "empty", List(empty)), page(group, "one", List(one)), page(group, "search without hits", List(searched)),
		page(group, "nothing needs attention", List(calm)), page(group, "several pages", List(pages)), page(group, "beyond the last page", List(past)),
		page(group, "long text", List(long)),
		{Group: group, Name: "the part that refreshes", View: Table(pages)},
	}
}

func commandStates() []ui.State {
	const group = "Breaker command page"
	ask := func(verb Verb) CommandView {
		return CommandView{Page: frame("Stripe live"), Now: now(), Slug: "stripe", Name: "Stripe live", Verb: verb, Thresholds: sampleThresholds(), Before: Interventions(sampleEvents())}
	}
	out := make([]ui.State, 0, len(Verbs())+3)
	for _, verb := range Verbs() {
		out = append(out, page(group, string(verb), Command(ask(verb))))
	}
	first, wrong, long, unknown := ask(VerbHold), ask(VerbForceOpen), ask(VerbReset), ask("of-a-later-version")
	first.Before, first.Operation, first.For = nil, "createCharge", "1h"
	wrong.Errors = map[string]string{"reason": "Say why. The reason goes into the audit log.", "until": "At most 24 hours: whoever wants more has to look again."}
	wrong.Until = "2026-03-20T12:00"
	long.Name, long.Operation, long.Reason = longName, longOperation, longText
	long.Before = slices.Repeat([]Event{{ID: "1", At: ago(time.Hour), From: StateClosed, To: StateForcedOpen, Cause: CauseManual, Actor: longName, Reason: longText}}, 3)
	return append(out, page(group, "first, of an operation", Command(first)), page(group, "errors", Command(wrong)), page(group, "long text", Command(long)), page(group, "unknown", Command(unknown)))
}

func manyOperations() []Row {
	out := make([]Row, 25)
	for i := range out {
		out[i] = Row{Slug: "stripe", Name: "Stripe live", Operation: "operation" + strconv.Itoa(i), Window: time.Minute, Status: Status{State: StateClosed, Quiet: true, Since: ago(time.Hour)}}
	}
	out[0], out[3] = sampleRows()[7], sampleRows()[0]
	return out
}
