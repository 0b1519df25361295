package app

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"sync/atomic"

	"switchgear/internal/connections"
	"switchgear/internal/telemetry"
)

// An upstream fails: the overview says so at the top without being loaded anew, and leads to the breaker.
// It recovers: the sentence goes.
func overviewJourney(j *journey) {
	var broken atomic.Bool
	up := &upstream{Server: httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if broken.Load() {
			w.WriteHeader(http.StatusInternalServerError)
		}
	}))}
	j.Cleanup(up.Close)
	p := start(j.T, map[string]string{"EGRESS_ALLOW": up.egressRule(j.T)})
	owner := p.owner(j.T)
	_, err := p.core.connections.Create(j.Context(), admin(), connections.Draft{
		Name: "Orders", Slug: "orders", BaseURL: up.URL, Auth: connections.Auth{Type: "bearer", Fields: map[string]string{"token": upstreamSecret}},
		Policy: json.RawMessage(`{"retry":{"max_attempts":1},"breaker":{"min_calls":4,"open_for":"2s","max_open_for":"2s","half_open_calls":1}}`),
	}, "")
	if err != nil {
		j.Fatal(err)
	}
	key, err := Administer(j.Context(), p.cfg, telemetry.Discard(), CreateKey(), KeyCreate{Name: "shop", Scopes: []string{"call:orders"}})
	if err != nil {
		j.Fatal(err)
	}
	calls := p.browser(j.T)
	call := func() int { return calls.get("/proxy/orders/v1", "X-API-Key", key.Key).status }
	b := j.signedIn(p, owner).inspector()

	b.open("/")
	b.listens()
	b.sees("Idle · no traffic")
	eval[bool](b.tab, "window.sameDocument = true")
	for range 3 {
		if got := call(); got != http.StatusOK {
			b.fatal("call: %d", got)
		}
	}
	b.sees("Healthy")

	broken.Store(true)
	for range 5 {
		call()
	}
	const incident = `Array.from(document.querySelectorAll(".notice-subject")).some((n) => /^Orders is (open|half)/.test(n.textContent))`
	b.wait("the incident", incident)
	b.sees("calls failed in")
	b.sees("Server error")
	// Its age goes on while nothing else changes; what refreshes the page may put the attribute back meanwhile.
	b.wait("its age to tick", `(() => {
		const age = document.querySelector(".notice-title time[data-age]");
		const ticked = age.textContent === "2 h";
		age.dateTime = new Date(Date.now() - 7200000).toISOString();
		return ticked;
	})()`)
	b.wait("its one safe action", `document.querySelector(".notice-actions a[href*='/connections/orders/breaker']")`)
	b.wait("the tile", `document.querySelector("#figure-breakers").textContent.trim().startsWith("1")`)
	b.inspect("overview-incident")

	broken.Store(false)
	if !b.poll(func() bool { return call() == http.StatusOK }) {
		b.fatal("the breaker does not close")
	}
	b.wait("the incident to go", "!"+incident)
	b.wait("the tile", `document.querySelector("#figure-breakers").textContent.trim().startsWith("0")`)
	if !eval[bool](b.tab, "window.sameDocument === true") {
		b.fatal("the page was loaded anew")
	}

	// The page of the connection draws what happened, once, although it settles again before what draws is there; the
	// table behind the drawing tells what changed.
	b.beforeScripts(`document.addEventListener("DOMContentLoaded", () => document.dispatchEvent(new CustomEvent("htmx:afterSettle")))`)
	b.open("/connections/orders")
	b.wait("the charts of calls, latency, what was kept back, and the breaker", `document.querySelectorAll("[data-chart] canvas").length === 4`)
	b.click("[data-chart] summary", "As a table")
	b.sees("breaker Closed → Open")
	b.inspect("connection-charts")
	b.check()
}
