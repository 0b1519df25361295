package calls

import (
	"strconv"
	"strings"
	"time"

	"github.com/a-h/templ"

	"switchgear/web/templates/layout"
	"switchgear/web/templates/ui"
)

// Gallery lists the states of the pages of the call log. All are looked at at one fixed moment.
func Gallery() []ui.State {
	one := sample()
	one.Rows = one.Rows[:1]

	empty := sample()
	empty.Rows, empty.CanConfigure = nil, true
	readOnly := empty
	readOnly.CanConfigure = false
	unmatched := empty
	unmatched.Path, unmatched.Class = "/v1/refunds", "5"
	end := empty
	end.Cursor = "lq3k2.req_0"

	partly := sample()
	partly.Path, partly.Method, partly.Next, partly.SearchedTo = "refunds", "GET", "lq3k1.req_2", now().Add(-3*time.Hour)
	nothingYet := partly
	nothingYet.Rows, nothingYet.Page.Live = nil, nil // the picture would go on by itself
	nowhere := unmatched
	nowhere.Cursor = "lq3k2.req_0"

	older := sample()
	older.Cursor, older.Next, older.Outcome, older.Connection, older.From, older.Limit = "lq3k2.req_7", "lq3k1.req_2", "timeout", "stripe", "2026-03-14T03:00", 20

	dropped, droppedOne := sample(), sample()
	dropped.Dropped, dropped.DroppedBodies, dropped.Next = 1204, 87, "lq3k1.req_2"
	droppedOne.Dropped, droppedOne.DroppedBodies = 1, 1

	invalid := sample()
	invalid.Status, invalid.From = "99", "yesterday"
	invalid.Errors = Errors{"status": "A status is a number from 100 to 599.", "from": "Write a time as 2026-01-31T09:00."}

	return []ui.State{
		page("Calls", "empty", List(empty)),
		page("Calls", "read-only empty", List(readOnly)),
		page("Calls", "one", List(one)),
		page("Calls", "many", List(sample())),
		page("Calls", "older, filtered", List(older)),
		page("Calls", "nothing matches", List(unmatched)),
		page("Calls", "past the end", List(end)),
		page("Calls", "searched in part", List(partly)),
		page("Calls", "nothing found yet", List(nothingYet)),
		page("Calls", "searched to the end", List(nowhere)),
		page("Calls", "dropped entries", List(dropped)),
		page("Calls", "one dropped entry", List(droppedOne)),
		page("Calls", "error in the filters", List(invalid)),
		page("Calls", "long text", List(long())),
		{Group: "Calls", Name: "part for a live refresh", View: Table(older)},
		page("Call", "success", Detail(success())),
		page("Call", "failed after three attempts", Detail(failed())),
		page("Call", "rejected here", Detail(rejected())),
		page("Call", "sent by a person", Detail(byHand())),
		page("Call", "cancelled, nothing recorded", Detail(canceled())),
		page("Call", "long text", Detail(longCall())),
	}
}

func page(group, name string, view templ.Component) ui.State {
	return ui.State{Group: group, Name: name, View: view, Page: true}
}

// now is when all states are looked at.
func now() time.Time { return time.Date(2026, 3, 14, 9, 26, 53, 0, time.UTC) }

const longPath = "/v3/organisations/8c1f0a7e-33d2-4a6b-9a57-0d6d1f7f2f4c/projects/integration-and-reconciliation/environments/production/resources/<script>alert(1)</script>"

func frame() layout.Page {
	return layout.Page{
		Title: "Calls", Path: "/calls", Version: "v0.1.0", RequestID: "req_8kd2f9a0c1", Live: []string{"calls"},
		User: layout.User{Email: "ada@example.com", Name: "Ada Lovelace", Role: "owner", ProfileHref: "/profile", SignOutAction: "/sign-out"},
		Nav: layout.Nav{{Label: "Operate", Items: []layout.NavItem{
			{Label: "Overview", Href: "/", Icon: "activity"},
			{Label: "Connections", Href: "/connections", Icon: "plug"},
			{Label: "Calls", Href: "/calls", Icon: "list", Current: true},
		}}},
	}
}

// sample is a list with a call of every outcome.
func sample() ListView {
	v := ListView{Page: frame(), Now: now(), Limit: 50}
	for i, c := range []struct {
		name, label, method, path string
		status                    int
		took                      time.Duration
	}{
		{"success", "Success", "GET", "/v1/charges", 200, 183 * time.Millisecond},
		{"client_error", "Client error", "POST", "/v1/refunds", 422, 96 * time.Millisecond},
		{"unauthenticated", "Credential not accepted", "GET", "/v1/balance", 401, 61 * time.Millisecond},
		{"forbidden", "Forbidden", "DELETE", "/v1/customers/cus_4fk", 403, 72 * time.Millisecond},
		{"throttled", "Throttled", "GET", "/v1/charges", 429, 12400 * time.Microsecond},
		{"timeout_status", "Timed out upstream", "PUT", "/v1/orders/7", 408, 10 * time.Second},
		{"server_error", "Server error", "POST", "/v1/charges", 500, 840 * time.Millisecond},
		{"not_implemented", "Not implemented", "PATCH", "/v1/charges", 501, 33 * time.Millisecond},
		{"unavailable", "Unavailable", "POST", "/v1/charges", 503, 8100 * time.Millisecond},
		{"connect_failed", "Could not connect", "GET", "/", 502, 5 * time.Second},
		{"tls_failed", "TLS failed", "GET", "/", 502, 41 * time.Millisecond},
		{"reset", "Connection broken", "GET", "/v1/export", 502, 125 * time.Second},
		{"timeout", "Timed out", "POST", "/v1/charges", 504, 30 * time.Second},
		{"canceled", "Cancelled by the caller", "GET", "/v1/export", 0, 2 * time.Second},
		{"rejected_local", "Rejected here", "GET", "/v1/charges", 409, 310 * time.Microsecond},
	} {
		v.Outcomes = append(v.Outcomes, Option{Value: c.name, Label: c.label})
		v.Rows = append(v.Rows, Row{
			ID: "req_3fa9c2d0" + strconv.Itoa(10+i), At: now().Add(-time.Duration(i*i) * 4 * time.Second), Connection: "stripe", Account: "default",
			Method: c.method, Path: c.path, Status: c.status, Outcome: c.name, OutcomeLabel: c.label, Took: c.took, Attempts: 1,
			RequestBytes: int64(i * 311), ResponseBytes: int64(i * i * 45211), Key: "billing-worker",
		})
	}
	v.Rows[1].Key, v.Rows[1].User = "", "ada@example.com"
	v.Rows[3].Account, v.Rows[4].Connection, v.Rows[14].Refusal = "acme", "hubspot", "CONNECTION_PAUSED"
	return v
}

func long() ListView {
	v := sample()
	v.Rows = v.Rows[:2]
	v.Rows[0].Path, v.Rows[0].Account, v.Rows[0].Key = longPath, strings.Repeat("subsidiary-", 5)+"emea", "The key of "+strings.Repeat("the integration team ", 5)
	v.Rows[1].Connection, v.Rows[1].Outcome, v.Rows[1].OutcomeLabel = strings.Repeat("payments-", 6)+"live", "of_a_later_version", ""
	return v
}

func success() CallView {
	return CallView{
		Page: frame(), Now: now(), Call: sample().Rows[0], Query: "limit=3&starting_after=ch_8fk2", Host: "api.stripe.com", Version: 18,
		Connect: 41 * time.Millisecond, FirstByte: 171 * time.Millisecond, KeyID: "key_5yx9qw", ClientIP: "192.0.2.7",
		RequestHeader:  []Header{{"Accept", "application/json"}, {"Authorization", "[redacted]"}, {"User-Agent", "billing/4.2"}},
		ResponseHeader: []Header{{"Content-Type", "application/json"}, {"Request-Id", "req_upstream_1"}, {"Stripe-Version", "2026-02-25"}},
		RequestBody:    Body{Note: "No body."},
		ResponseBody:   Body{Text: `{"object":"list","has_more":false,"data":[{"id":"ch_1","amount":4200,"client_secret":"[redacted]"}]}`, Note: "Unpacked from gzip, 88 bytes."},
		Steps: []Step{
			{Name: "Credential", At: 120 * time.Microsecond, Took: 80 * time.Microsecond, Note: "bearer, account default"},
			{Name: "Connect", At: 210 * time.Microsecond, Took: 41 * time.Millisecond, Note: "TLS 1.3, HTTP/2"},
			{Name: "Wait", At: 42 * time.Millisecond, Took: 129 * time.Millisecond},
			{Name: "Receive", At: 171 * time.Millisecond, Took: 12 * time.Millisecond, Note: "1.8 kB"},
		},
		Curl: "curl -H \"Authorization: Bearer $API_KEY\" \\\n  'https://switchgear.example.com/proxy/stripe/v1/charges?limit=3'",
	}
}

func byHand() CallView {
	v := success()
	v.Call.Key, v.Call.User, v.KeyID, v.TryHref = "", "ada@example.com", "", "/connections/stripe/try?from=req_3fa9c2d010"
	return v
}

func failed() CallView {
	v := success()
	v.Call = sample().Rows[8]
	v.Call.Attempts, v.Connect = 3, 0
	v.Call.Operation, v.Call.Cache = "charges.list", "stale"
	v.Fallback = "connection=stripe-backup"
	v.ErrorCode, v.Error = "UPSTREAM_UNAVAILABLE", "The upstream answered 503 to all three attempts."
	v.Steps = []Step{
		{Name: "Attempt 1", Took: 2 * time.Second, Note: "503", Failed: true},
		{Name: "Attempt 2", At: 2500 * time.Millisecond, Took: 2 * time.Second, Note: "503", Failed: true},
		{Name: "Attempt 3", At: 6 * time.Second, Took: 2100 * time.Millisecond, Note: "503", Failed: true},
	}
	v.RequestBody, v.ResponseBody = Body{Note: NotRecorded}, Body{Note: NotRecorded}
	return v
}

func rejected() CallView {
	v := success()
	v.Call = sample().Rows[14]
	v.Call.Attempts, v.Call.RequestBytes, v.Call.ResponseBytes = 0, 0, 0
	v.Connect, v.FirstByte, v.RequestHeader, v.ResponseHeader, v.RequestBody, v.ResponseBody = 0, 0, nil, nil, Body{}, Body{}
	v.ErrorCode, v.Error = "CONNECTION_PAUSED", "The connection is paused. Resume it to let calls through."
	v.Steps, v.Query = []Step{{Name: "Look up", Took: 20 * time.Microsecond, Note: "paused", Failed: true}}, ""
	return v
}

func canceled() CallView {
	v := CallView{Page: frame(), Now: now(), Call: sample().Rows[13], ClientIP: "192.0.2.7", Gone: true}
	v.Call.Key = ""
	return v
}

func longCall() CallView {
	v := success()
	v.Call.Path, v.Query, v.Host = longPath, strings.Repeat("filter=a-rather-long-value&", 20), strings.Repeat("subdomain.", 12)+"example.com"
	v.ErrorCode, v.Error = "UPSTREAM_BROKE_OFF", "The upstream closed the connection before its answer was complete. "+strings.Repeat("More of the text. ", 12)
	v.ResponseHeader = append(v.ResponseHeader, Header{"Content-Security-Policy", strings.Repeat("default-src 'none'; ", 30)})
	v.RequestBody.Note = "Binary (application/octet-stream), 4 MiB: not kept."
	v.ResponseBody.Note = "Cut: 32 KiB kept of 1024 KiB."
	v.ResponseBody.Text = "not JSON <script>alert(1)</script> " + strings.Repeat("x", 300)
	v.Steps[2].Note = strings.Repeat("a long note about what happened in this step, ", 5)
	return v
}
