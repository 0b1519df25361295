package app

import (
	"net/http"
	"strconv"

	"github.com/chromedp/chromedp"

	"switchgear/internal/telemetry"
)

// The call log follows what goes by: it keeps its filters, marks what is new, and stands still when it is
// told to.
func tailJourney(j *journey) {
	up := newUpstream(j.T)
	p := start(j.T, map[string]string{"EGRESS_ALLOW": up.egressRule(j.T)})
	owner := p.owner(j.T)
	makeOrders(j, owner, up.Server)
	key, err := Administer(j.Context(), p.cfg, telemetry.Discard(), CreateKey(), KeyCreate{Name: "shop", Scopes: []string{"call:orders"}})
	if err != nil {
		j.Fatal(err)
	}
	calls := p.browser(j.T)
	made := func(path string) {
		if got := calls.get("/proxy/orders"+path, "X-API-Key", key.Key); got.status != http.StatusOK {
			j.Fatalf("call: %d %s", got.status, got.body)
		}
	}
	b := j.signedIn(p, owner).inspector()
	state := func(want string) {
		b.wait("the state "+want, `document.querySelector("[data-live-state=`+want+`]")`)
	}
	isNew := func(path string) string {
		return `Array.from(document.querySelectorAll("tr.row-new")).some((r) => r.textContent.includes(` + quote(path) + `))`
	}

	made("/v1/before")
	owner.waitForText("/calls", "/v1/before")
	b.open("/calls")
	state("live")
	eval[bool](b.tab, "window.sameDocument = true")
	made("/v1/first")
	b.sees("/v1/first")
	b.wait("the new call to be marked", isNew("/v1/first"))
	if eval[bool](b.tab, isNew("/v1/before")) {
		b.fatal("a call that was there is marked as new")
	}

	// A filter holds while calls come in, also the ones that it leaves out.
	b.fill("input[name=path]", "keep")
	b.wait("the filter", `!document.querySelector("main").innerText.includes("/v1/first")`)
	eval[chromedp.Void](b.tab, "void document.activeElement.blur()")
	for i := range 3 {
		made("/v1/other/" + strconv.Itoa(i))
	}
	made("/v1/keep/1")
	b.sees("/v1/keep/1")
	b.misses("/v1/other")
	if got := eval[string](b.tab, `document.querySelector("input[name=path]").value`); got != "keep" {
		b.fatal("the filter shows %q", got)
	}

	// Paused, the page stands still and says that more has come; then it catches up.
	b.click("[data-live-pause]", "Pause list")
	state("paused")
	made("/v1/keep/2")
	b.wait("the page to say that more has come", `document.querySelector(".live-word").textContent === "paused, more has come"`)
	b.inspect("calls-paused")
	b.misses("/v1/keep/2")
	b.click("[data-live-pause]", "Pause list")
	b.sees("/v1/keep/2")
	b.wait("the call that was waiting to be marked", isNew("/v1/keep/2"))
	state("live")
	b.misses("/v1/other")
	if !eval[bool](b.tab, "window.sameDocument === true") {
		b.fatal("the page was loaded anew")
	}

	// The tab of a connection does the same.
	b.open("/connections/orders/calls")
	state("live")
	made("/v1/of-the-connection")
	b.wait("the new call to be marked", isNew("/v1/of-the-connection"))
	b.inspect("calls-of-a-connection")
}
