package app

import (
	"net/http"

	"github.com/chromedp/cdproto/emulation"

	"switchgear/internal/telemetry"
)

// An operator trips a breaker by hand, watches calls being refused, resets it and watches them being answered
// again; a viewer sees it all and may do nothing. Commands work without scripts as well.
func breakerJourney(j *journey) {
	up := newUpstream(j.T)
	p := start(j.T, map[string]string{"EGRESS_ALLOW": up.egressRule(j.T)})
	makeOrders(j, p.owner(j.T), up.Server)
	made, err := Administer(j.Context(), p.cfg, telemetry.Discard(), CreateKey(), KeyCreate{Name: "deploy", Scopes: []string{"call:*"}})
	if err != nil {
		j.Fatal(err)
	}
	caller := p.browser(j.T)
	send := func(want int) {
		j.Helper()
		if got := caller.get("/proxy/orders/v1/items", "Authorization", "Bearer "+made.Key); got.status != want {
			j.Fatalf("call: %d %s, want %d", got.status, got.body, want)
		}
	}
	operator := p.user(j, "oscar@example.com", "Oscar Operator", "operator")
	b := j.signedIn(p, operator).inspector()
	viewer := j.signedIn(p, p.user(j, "viewer@example.com", "Vera Viewer", "viewer")).inspector()

	b.open("/connections/orders")
	b.follow(".tabs a", "Breaker & limits")
	b.sees("No calls yet: nothing to judge.")
	b.sees("Nothing happened yet.")
	b.inspect("breaker-no-calls")
	viewer.open("/breakers")
	viewer.sees("The orders")
	viewer.inspect("breakers")
	send(http.StatusOK)

	b.click("main .actions a", "Trip…")
	eval[string](b.tab, `document.querySelector("#d-breaker-trip-for").value = "15m"`)
	b.fill("#d-breaker-trip-reason", "a drill of the team")
	b.follow("dialog[open] .btn-danger", "Trip")
	b.at("/connections/orders/breaker")
	b.sees("The orders is open since")
	b.sees("Calls are refused with 503 until")
	b.sees("No call since then. The next 20 are watched.")
	viewer.sees("Open · probe in")
	send(http.StatusServiceUnavailable)
	b.sees("1 of 20 calls so far: 0 were answered, 0 failed, 1 was refused here.")
	operator.waitForText("/connections/orders/breaker", "oscar@example.com: a drill of the team")
	b.open("/connections/orders/breaker")
	b.sees("oscar@example.com: a drill of the team")
	b.inspect("breaker-open")

	viewer.openAs("/connections/orders/breaker/reset", http.StatusForbidden)
	viewer.open("/connections/orders/breaker")
	viewer.sees("Commands are for operators and above.")
	viewer.misses("d-breaker-reset")

	b.click("main .actions a", "Reset…")
	b.fill("#d-breaker-reset-reason", "the drill is over")
	b.follow("dialog[open] .btn-danger", "Reset")
	b.sees("Counts, open time and hold are forgotten")
	for range 20 {
		send(http.StatusOK)
	}
	b.sees("The 20 calls after it: 20 were answered, 0 failed, 0 were refused here. It worked.")
	b.inspect("breaker-reset")
	viewer.sees("It worked.")
	b.follow("main .card-head a", "These calls")
	b.sees("/v1/items")

	plain := j.signedIn(p, operator)
	withoutScripts(plain)
	plain.open("/connections/orders/breaker")
	plain.follow("main .actions a", "Hold…")
	plain.sees("Calls are refused until then. After that, probes decide whether they come back.")
	plain.fill("#f-reason", "the vendor asked by telephone")
	plain.follow("main button", "Hold")
	plain.sees("The orders is held since")
	send(http.StatusServiceUnavailable)
}

func withoutScripts(b *tab) {
	call(b, emulation.SetScriptExecutionDisabled.Method, emulation.SetScriptExecutionDisabledParams{Value: true})
}
