package connections

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/a-h/templ"

	"switchgear/web/templates/breakers"
	"switchgear/web/templates/calls"
	"switchgear/web/templates/layout"
	"switchgear/web/templates/ui"
)

// Gallery lists the states of every page of this package. All are looked at at one fixed moment.
func Gallery() []ui.State {
	return slices.Concat(
		listStates(), chooseStates(), formStates(), whatIfStates(),
		detailStates(), accountStates(), rotateStates(), versionStates(), rollbackStates(), callsStates(),
		testStates(), confirmStates(), tryStates(), breakerStates(), healthStates(), requirementStates(), checklistStates(),
	)
}

func whole(group, name string, view templ.Component) ui.State {
	return ui.State{Group: group, Name: name, View: view, Page: true}
}

// now is when all states are looked at.
func now() time.Time { return time.Date(2026, 3, 14, 9, 26, 53, 0, time.UTC) }

func ago(d time.Duration) time.Time { return now().Add(-d) }

const (
	day      = 24 * time.Hour
	longName = "Payments of the Department of Integration and Reconciliation, second floor, <script>alert(1)</script> and subsidiaries"
	longText = "The vendor announced that the old host goes away at the end of the month, so the address was changed after a week of " +
		"parallel calls; see the incident record for the list of the applications that had to be told."
)

func longSlug() string { return strings.Repeat("payments-", 6) + "live" }

func longHost() string { return strings.Repeat("subdomain.", 12) + "example.com" }

func frame(title string, topics ...string) layout.Page {
	return layout.Page{
		Title: title, Path: "/connections", Version: "v0.1.0", RequestID: "req_8kd2f9a0c1", Live: topics,
		User: layout.User{Email: "ada@example.com", Name: "Ada Lovelace", Role: "owner", ProfileHref: "/profile", SignOutAction: "/sign-out"},
		Nav: layout.Nav{{Label: "Operate", Items: []layout.NavItem{
			{Label: "Overview", Href: "/", Icon: "activity"},
			{Label: "Connections", Href: "/connections", Icon: "plug", Current: true},
			{Label: "Calls", Href: "/calls", Icon: "list"},
		}}},
	}
}

func options(values ...string) []Option {
	out := make([]Option, len(values))
	for i, v := range values {
		out[i] = Option{Value: v, Label: v}
	}
	return out
}

func kinds() []Option { return options("rest", "grpc", "webhook", "broker") }

func environments() []Option { return options("production", "staging", "development", "sandbox") }

func course(high float64) []float64 {
	out := make([]float64, 15)
	for i := range out {
		out[i] = high * float64((i*7)%5+1) / 5
	}
	return out
}

func sampleList() ListView {
	return ListView{
		Page: frame("Connections", "connections", "calls"), Now: now(), Number: 1, Limit: 50, Total: 5, CanConfigure: true,
		Kinds: kinds(), Environments: environments(), Providers: []Option{{Value: "stripe", Label: "Stripe"}, {Value: "generic-rest", Label: "Generic REST"}},
		Rows: []Row{
			{
				Done: 9, Items: 12, Slug: "stripe", Name: "Stripe live", Provider: "Stripe", Kind: "rest", Environment: "production", Auth: "Bearer token", State: "active",
				Version: 18, Calls: 12481, Failed: 7862, Refused: 412, Points: course(1200), LastSuccess: ago(14 * time.Minute),
				Breaker: &breakers.Status{State: breakers.StateOpen, Until: now().Add(22 * time.Second)},
			},
			{
				Done: 12, Items: 12, Slug: "hubspot", Name: "HubSpot CRM", Provider: "HubSpot", Kind: "rest", Environment: "production", Auth: "Bearer token", State: "active",
				Version: 4, Calls: 911, Failed: 37, Points: course(80), LastSuccess: ago(3 * time.Second),
				Breaker: &breakers.Status{State: breakers.StateClosed},
			},
			{
				Slug: "warehouse", Name: "Warehouse", Provider: "Generic REST", Kind: "rest", Environment: "staging", Auth: "Basic", State: "active",
				Version: 1, Calls: 204, Points: course(20), LastSuccess: ago(40 * time.Second),
			},
			{
				Slug: "salesforce", Name: "Salesforce", Provider: "Salesforce", Kind: "rest", Environment: "production", Auth: "Bearer token", State: "paused",
				Version: 7, LastSuccess: ago(6 * time.Hour),
			},
			{Slug: "slack", Name: "Slack alerts", Provider: "Slack", Kind: "webhook", Environment: "development", Auth: "None", State: "active", Version: 2},
		},
	}
}

func listStates() []ui.State {
	const group = "Connections page"
	empty := sampleList()
	empty.Rows, empty.Total = nil, 0
	reader := empty
	reader.CanConfigure = false
	one := sampleList()
	one.Rows, one.Total = one.Rows[:1], 1
	searched, filtered := empty, empty
	searched.Search, filtered.State, filtered.Environment = strings.Repeat("strype ", 12), "paused", "staging"
	pages := sampleList()
	pages.Number, pages.Total, pages.Limit, pages.Sort, pages.Kind, pages.Provider = 3, 10000, 5, "-name", "rest", "stripe"
	past := pages
	past.Rows, past.Number = nil, 2001
	readOnly := sampleList()
	readOnly.CanConfigure = false
	long := sampleList()
	long.Rows, long.Total = long.Rows[:1], 1
	long.Rows[0].Name, long.Rows[0].Slug, long.Rows[0].Provider, long.Rows[0].State = longName, longSlug(), longName, "of-a-later-version"
	return []ui.State{
		whole(group, "empty", List(empty)),
		whole(group, "read-only empty", List(reader)),
		whole(group, "one", List(one)),
		whole(group, "many", List(sampleList())),
		whole(group, "read-only", List(readOnly)),
		whole(group, "search without hits", List(searched)),
		whole(group, "filter without hits", List(filtered)),
		whole(group, "several pages", List(pages)),
		whole(group, "beyond the last page", List(past)),
		whole(group, "long text", List(long)),
		{Group: group, Name: "the part that refreshes", View: Table(pages)},
	}
}

func sampleProvider() Provider {
	return Provider{
		Slug: "stripe", Name: "Stripe", Category: "payments", Summary: "Payments, subscriptions and invoices.", Kind: "rest",
		Auth: []string{"Secret key", "Restricted key"}, Docs: "https://docs.stripe.com/api",
	}
}

func chooseStates() []ui.State {
	const group = "Catalogue page"
	many := ChooseView{
		Page: frame("New connection"), All: 128, Categories: options("payments", "crm", "messaging", "generic"),
		Providers: []Provider{
			{Slug: "hubspot", Name: "HubSpot", Category: "crm", Summary: "Contacts, companies and deals.", Kind: "rest", Auth: []string{"Private app token"}},
			sampleProvider(),
			{Slug: generic, Name: "Generic REST", Category: "generic", Summary: "Any system with an HTTP API.", Kind: "rest", Auth: []string{"None", "API key", "Basic", "Bearer token", "Custom headers"}},
			{Slug: "slack", Name: "Slack", Category: "messaging", Summary: "Messages and channels.", Kind: "rest", Auth: []string{"Bot token"}},
		},
	}
	chosen, none, long := many, many, many
	chosen.Category, chosen.Providers = "payments", []Provider{sampleProvider()}
	none.Search, none.Providers = "acme erp", nil
	wordy := sampleProvider()
	wordy.Name, wordy.Summary, wordy.Auth = longName, longText, []string{longName, "OAuth"}
	long.Providers = []Provider{wordy}
	return []ui.State{
		whole(group, "many", Choose(many)),
		whole(group, "category", Choose(chosen)),
		whole(group, "search without hits", Choose(none)),
		whole(group, "long text", Choose(long)),
	}
}

func sampleHead() Header {
	return Header{
		Slug: "stripe", Name: "Stripe live", Host: "api.stripe.com", State: "active", Version: 18, Accounts: 2,
		Dependents: []string{"2 API keys may call nothing else", "41 calls in the last hour"}, CanConfigure: true, CanOperate: true, CanMakeKeys: true,
	}
}

func longHead() Header {
	h := sampleHead()
	h.Name, h.Slug, h.Host = longName, longSlug(), longHost()
	return h
}

func callsStates() []ui.State {
	const group = "Connection page, calls"
	row := calls.Row{
		ID: "req_3fa9c2d010", At: ago(4 * time.Second), Connection: "stripe", Account: "default", Method: "GET", Path: "/v1/charges", Status: 200,
		Outcome: "success", OutcomeLabel: "Success", Took: 183 * time.Millisecond, ResponseBytes: 1834, Attempts: 1, Key: "billing-worker",
	}
	some := CallsView{Page: frame("Stripe live", "calls"), Head: sampleHead(), Calls: calls.ListView{
		Now: now(), Address: address("stripe", tabCalls), Connection: "stripe", Rows: []calls.Row{row}, Limit: 50, Next: "lq3k1.req_2",
		Outcomes: []calls.Option{{Value: "success", Label: "Success"}},
	}}
	empty, unmatched := some, some
	empty.Calls.Rows, empty.Calls.Next = nil, ""
	unmatched.Calls.Rows, unmatched.Calls.Next, unmatched.Calls.Class = nil, "", "5"
	return []ui.State{
		whole(group, "some", Calls(some)), whole(group, "empty", Calls(empty)), whole(group, "filter without hits", Calls(unmatched)),
	}
}

func testStates() []ui.State {
	const group = "Credential test page"
	good := TestView{
		Page: frame("Test of the credential"), Now: now(), Head: sampleHead(), Account: "default", Method: "GET", URL: "https://api.stripe.com/v1/balance",
		Status: 200, Outcome: "success", OutcomeLabel: "Success", Took: 183 * time.Millisecond, OK: true, Message: "The credential was accepted.",
		Body: `{"object":"balance","livemode":true}`,
	}
	refused, silent, long, ended := good, good, good, good
	ended.Status, ended.Outcome, ended.OutcomeLabel, ended.OK, ended.Body = 0, "rejected_local", "Refused here", false, ""
	ended.Message, ended.Hint = "The credential cannot be used.", "The service no longer accepts the credential. Connect the account again."
	ended.Reconnect = "/connections/stripe/accounts/default/connect"
	refused.Status, refused.Outcome, refused.OutcomeLabel, refused.OK, refused.Account = 401, "unauthenticated", "Credential not accepted", false, "acme"
	refused.Message, refused.Hint = "The upstream did not accept the credential.", "Check that the whole key was copied and that it belongs to this environment."
	refused.Body = "<html>Unauthorized"
	silent.Status, silent.Outcome, silent.OutcomeLabel, silent.OK, silent.Body = 0, "connect_failed", "Could not connect", false, ""
	silent.Message, silent.Hint = "No connection to api.stripe.com.", "Check the base URL, and that this machine may reach it."
	silent.Head.CanConfigure = false
	long.Head, long.URL, long.Message, long.Hint, long.Body = longHead(), "https://"+longHost()+"/"+strings.Repeat("a-long-path/", 12), longText, longText, strings.Repeat("text ", 300)
	return []ui.State{
		whole(group, "accepted", TestResult(good)), whole(group, "refused, named account", TestResult(refused)),
		whole(group, "needs a person", TestResult(ended)), whole(group, "no answer", TestResult(silent)), whole(group, "long text", TestResult(long)),
	}
}

func confirmStates() []ui.State {
	const group = "Connection question page"
	ask := func(q Question) ConfirmView {
		return ConfirmView{Page: frame("Stripe live"), Head: sampleHead(), Question: q}
	}
	account := ask(QuestionDeleteAccount)
	account.Account = "acme"
	wrong := ask(QuestionDelete)
	wrong.Reason, wrong.Errors = "No longer needed.", Errors{"confirm": "Type stripe to confirm."}
	long := ask(QuestionDelete)
	long.Head = longHead()
	for i := range 5 {
		long.Head.Dependents = append(long.Head.Dependents, "the route "+strconv.Itoa(i)+" of "+longName)
	}
	unreasoned := ask(QuestionPause)
	unreasoned.Errors = Errors{"reason": "Say why, for whoever asks later."}
	return []ui.State{
		whole(group, "pause", Confirm(ask(QuestionPause))), whole(group, "resume", Confirm(ask(QuestionResume))),
		whole(group, "delete", Confirm(ask(QuestionDelete))), whole(group, "delete an account", Confirm(account)),
		whole(group, "error in the slug", Confirm(wrong)), whole(group, "error in the reason", Confirm(unreasoned)),
		whole(group, "long text", Confirm(long)),
	}
}
