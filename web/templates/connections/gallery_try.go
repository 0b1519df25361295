package connections

import (
	"strings"
	"time"

	"switchgear/web/templates/calls"
	"switchgear/web/templates/ui"
)

func sampleTry() TryView {
	return TryView{
		Page: frame("Stripe live"), Now: now(), Head: sampleHead(), BaseURL: "https://api.stripe.com", Methods: options("GET", "POST", "DELETE"),
		Accounts: options("default", "acme"), Method: "GET", Path: "/v1/charges", Account: "default", Query: "limit=3", Headers: "Accept: application/json",
		Recent: []calls.Row{
			{ID: "req_3fa9c2d010", At: ago(4 * time.Second), Connection: "stripe", Method: "GET", Path: "/v1/charges", Status: 200, Outcome: "success", OutcomeLabel: "Success", Took: 183 * time.Millisecond, Key: "billing-worker"},
			{ID: "req_3fa9c2d011", At: ago(time.Hour), Connection: "stripe", Method: "POST", Path: "/v1/refunds", Outcome: "canceled", OutcomeLabel: "Cancelled by the caller", Took: 2 * time.Second, User: "ada@example.com"},
		},
	}
}

func sampleResult() *TryResult {
	return &TryResult{
		URL: "https://api.stripe.com/v1/charges?limit=3", Account: "default",
		Call: calls.CallView{
			Now: now(), Host: "api.stripe.com", Version: 18,
			Call: calls.Row{
				ID: "req_8kd2f9a0c2", At: now(), Connection: "stripe", Account: "default", Method: "GET", Path: "/v1/charges", Status: 200, Outcome: "success",
				OutcomeLabel: "Success", Took: 183 * time.Millisecond, Attempts: 1, ResponseBytes: 71, User: "ada@example.com",
			},
			RequestHeader:  []calls.Header{{Name: "Accept", Value: "application/json"}, {Name: "Authorization", Value: "[redacted]"}},
			ResponseHeader: []calls.Header{{Name: "Content-Type", Value: "application/json"}},
			RequestBody:    calls.Body{Note: "No body."}, ResponseBody: calls.Body{Text: `{"object":"list","data":[{"id":"ch_1","amount":4200}]}`},
			Steps: []calls.Step{
				{Name: "connection", At: 120 * time.Microsecond, Took: 30 * time.Microsecond, Note: "reused"},
				{Name: "send", At: 150 * time.Microsecond, Took: 300 * time.Microsecond},
				{Name: "wait", At: 450 * time.Microsecond, Took: 170 * time.Millisecond},
				{Name: "receive", At: 171 * time.Millisecond, Took: 12 * time.Millisecond},
			},
			Curl: "curl -H \"Authorization: Bearer $API_KEY\" \\\n  'https://switchgear.example.com/proxy/stripe/v1/charges?limit=3'",
		},
	}
}

func tryStates() []ui.State {
	const group = "Connection page, try it"
	empty := sampleTry()
	empty.Recent, empty.Accounts, empty.Path, empty.Query, empty.Headers = nil, nil, "/", "", ""
	again := sampleTry()
	again.Note, again.Method, again.Body, again.LogBodies = "Filled from a recorded call. What was redacted is not here: fill it in before you send it.", "POST", `{"amount":4200}`, true
	paused := sampleTry()
	paused.Head.State = "paused"
	wrong := sampleTry()
	wrong.Headers = "Authorization: Bearer x"
	wrong.Errors = Errors{"headers": "Authorization is not passed on: the gateway or the credential of the connection sets it."}
	answered, failed, broken, refused, ours, odd, long := sampleTry(), sampleTry(), sampleTry(), sampleTry(), sampleTry(), sampleTry(), sampleTry()
	answered.Result = sampleResult()
	failed.Result = sampleResult()
	failed.Result.Call.Call.Status, failed.Result.Call.Call.Outcome, failed.Result.Call.Call.OutcomeLabel = 503, "unavailable", "Unavailable"
	failed.Result.Call.ResponseBody = calls.Body{Text: "<!doctype html><script>alert(1)</script><h1>Down</h1>"}
	broken.Result = sampleResult()
	broken.Result.Call.ErrorCode, broken.Result.Call.Error = "UPSTREAM_RESET", "The connection ended."
	broken.Result.Call.Call.Outcome, broken.Result.Call.Call.OutcomeLabel, broken.Result.Call.Steps[3].Failed = "reset", "Connection broken", true
	refused.Head.State = "paused"
	refused.Result = &TryResult{
		Account: "default", Problem: &TryProblem{Code: "CONNECTION_PAUSED", Message: "The connection is paused.", Suggestion: "Resume it to let calls through."},
		Call: calls.CallView{Call: calls.Row{Method: "GET", Path: "/v1/charges"}, Curl: sampleResult().Call.Curl},
	}
	ours.Result = sampleResult()
	ours.Result.Problem = &TryProblem{Code: "UPSTREAM_TIMEOUT", Message: "The upstream did not answer in time. Whether it acted on the request is unknown."}
	ours.Result.Call.ResponseHeader, ours.Result.Call.ResponseBody, ours.Result.Call.Call.Status = nil, calls.Body{}, 504
	ours.Result.Call.Call.Outcome, ours.Result.Call.Call.OutcomeLabel = "timeout", "Timed out"
	odd.Result = sampleResult()
	odd.Result.Call.Call.Status = 299
	odd.Result.Call.ResponseBody = calls.Body{Note: "Binary (image/png), 48 KiB: not shown."}
	long.Head, long.BaseURL, long.Path, long.Account = longHead(), "https://"+longHost(), "/"+longSlug()+"/<script>alert(1)</script>", strings.Repeat("subsidiary-", 5)
	long.Accounts, long.Body, long.Query = append(long.Accounts, Option{Value: long.Account, Label: long.Account}), longText, longText
	long.Result = sampleResult()
	long.Result.URL, long.Result.Account = "https://"+longHost()+long.Path, long.Account
	long.Result.Call.ResponseBody = calls.Body{Text: strings.Repeat("x", 400), Note: "Cut: the first 256 KiB of 4 MiB."}
	return []ui.State{
		whole(group, "empty", Try(empty)),
		whole(group, "filled from a call", Try(again)),
		whole(group, "paused", Try(paused)),
		whole(group, "error in a field", Try(wrong)),
		whole(group, "answered", Try(answered)),
		whole(group, "upstream failed, HTML", Try(failed)),
		whole(group, "answer broke off", Try(broken)),
		whole(group, "refused before a call", Try(refused)),
		whole(group, "error of ours", Try(ours)),
		whole(group, "binary, unknown status", Try(odd)),
		whole(group, "long text", Try(long)),
		{Group: group, Name: "the part that an answer replaces", View: TryPart(answered)},
	}
}
