package app

import (
	"net/http"
	"strings"
	"time"

	"github.com/chromedp/chromedp"

	"switchgear/internal/runtime"
)

// The settings of a breaker are edited, and tried on the recorded calls before they are saved: with scripts,
// without, and once more before a version is brought back.
func whatIfJourney(j *journey) {
	const (
		policy   = `{"breaker":{"min_calls":4,"failure_ratio":1,"open_for":"10s","half_open_calls":1,"ramp":"0s"}}`
		question = "What would this have done?"
		sentence = "The edited settings would have opened once for 10 s, saved 6 failing calls, rejected 4 good ones. Those in force would never have opened."
	)
	up := newUpstream(j.T)
	p := start(j.T, map[string]string{"EGRESS_ALLOW": up.egressRule(j.T)})
	owner := p.owner(j.T)
	makeOrders(j, owner, up.Server)
	c, ok := p.core.connections.Peek("orders")
	if !ok {
		j.Fatal("there is no connection")
	}
	began := time.Now().Add(-time.Hour)
	for i, outcome := range []rune("ffffffffffsssssssss") {
		r := runtime.Record{
			ID: "req_past" + string(rune('a'+i)), ConnectionID: c.ID, Slug: "orders", Account: "default", Method: "GET", Path: "/v1/past-" + string(rune('a'+i)), Status: 200,
			Outcome: runtime.OutcomeSuccess, Attempts: 1, StartedAt: began.Add(time.Duration(i) * time.Second), Duration: 100 * time.Millisecond,
		}
		if outcome == 'f' {
			r.Status, r.Outcome = 503, runtime.OutcomeUnavailable
		}
		p.core.calls.Record(r)
	}
	owner.waitForText("/connections/orders/calls", "/v1/past-s")

	b := j.signedIn(p, owner).inspector()
	b.open("/connections/orders/edit")
	b.fill("#f-policy", policy)
	b.click("main button", question)
	b.sees(sentence)
	b.sees("4 of 4 calls failed")
	b.inspect("connection-what-if")
	b.fill("#f-policy", `{"breaker":{"min_call":4}}`)
	b.click("main button", question)
	b.sees("policy.breaker.min_call: There is no field")

	plain := j.signedIn(p, owner)
	withoutScripts(plain)
	plain.open("/connections/orders/edit")
	plain.fill("#f-policy", policy)
	plain.follow("main button", question)
	plain.sees(sentence)
	if got := eval[string](plain, `document.querySelector("#f-policy").value`); !strings.Contains(got, `"min_calls"`) {
		j.Errorf("the form forgot the policy: %q", got)
	}
	if c, _ := p.core.connections.Peek("orders"); c.Version != 1 {
		j.Errorf("something was saved: version %d", c.Version)
	}
	plain.fill("#f-reason", "calmer")
	plain.follow("main button", "Save and activate")

	b.open("/connections/orders/versions/1/rollback")
	b.click("main button", question)
	b.sees("The settings of v1 would never have opened. Those in force would have opened once for 10 s")
	b.inspect("connection-rollback-what-if")
	// Who asked may be gone when the answer comes: a message of the console is shown all the same.
	b.expect(http.StatusNotFound)
	eval[chromedp.Void](b.tab, `(() => {
	const asker = document.createElement("div");
	asker.setAttribute("hx-post", "/connections/none/versions/1/what-if");
	asker.setAttribute("hx-trigger", "ask");
	document.querySelector("main").append(asker);
	htmx.process(asker);
	htmx.trigger(asker, "ask");
	asker.remove();
})()`)
	b.wait("the message", `document.querySelector("#toasts .toast").textContent.includes("There is no such connection")`)
	b.expect()
	plain.open("/connections/orders/versions/1/rollback")
	plain.follow("main button", question)
	plain.sees("The settings of v1 would never have opened.")
	plain.sees("Roll back to v1")
}
