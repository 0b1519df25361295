package app

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync/atomic"
)

// moody is an upstream that answers with the status that it is told.
func moody(j *journey) (*httptest.Server, *atomic.Int32) {
	status := &atomic.Int32{}
	status.Store(http.StatusOK)
	up := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(int(status.Load())) }))
	j.Cleanup(up.Close)
	return up, status
}

// A health check is set up in the form. The upstream fails, and everybody who looks at the overview sees it at
// once; the ribbon and the history keep it after it recovered.
func healthJourney(j *journey) {
	up, status := moody(j)
	p := start(j.T, map[string]string{"EGRESS_ALLOW": (&upstream{Server: up}).egressRule(j.T)})
	owner := p.owner(j.T)
	makeOrders(j, owner, up)
	b := j.signedIn(p, owner).inspector()
	viewer := j.signedIn(p, p.user(j, "viewer@example.com", "Vera Viewer", "viewer")).inspector()
	viewer.open("/")
	viewer.sees("Idle · no traffic")
	viewer.listens()
	eval[bool](viewer.tab, `window.sameDocument = true`)

	b.open("/connections/orders/health")
	b.sees("none: the policy names no path for it")
	b.follow("main a", "Edit")
	b.fill(`[name="policy.health_check.path"]`, "no slash")
	b.followAs("main button", "Save and activate", 400)
	b.sees("/")
	b.fill(`[name="policy.health_check.path"]`, "/ping")
	b.fill(`[name="policy.health_check.every"]`, "1h")
	b.fill("#f-reason", "an outage is to be seen")
	b.follow("main button", "Save and activate")
	b.open("/connections/orders/health")
	b.sees("GET /ping")
	b.follow("main button", "Check now")
	b.sees("The health check was answered with 200 OK.")
	viewer.sees("Healthy")
	kept := func(state string) { // nothing more is to change on the page, which is opened anew
		j.Helper()
		owner.waitForText("/connections/orders/health", "-"+state+`"`)
		b.open("/connections/orders/health")
	}
	kept("healthy")

	status.Store(http.StatusServiceUnavailable)
	for _, becomes := range []string{"degraded", "down"} { // one that failed may be a mishap
		b.follow("main button", "Check now")
		b.sees("The health check did not succeed: 503 Service Unavailable.")
		kept(becomes)
	}
	viewer.sees("The orders is down since")
	viewer.sees("The last 2 health checks failed.")
	viewer.sees("Needs attention 1")
	viewer.wait("the ribbon", `document.querySelector("#row-orders .ribbon rect.tone-bad")`)
	// It may reach over the end of a minute: then the one in which it began tells its second. When it became down in
	// the first second of a minute, all of that minute was so and nothing is to be told; it has failed a little longer.
	viewer.wait("the exact time on the ribbon", `(() => {
		const wanted = document.querySelector("#row-orders time[data-relative]").dateTime.match(/:([3-5]\d|00)Z$/) ? / min ago: down[, ]/ : / min ago: down \d\d:\d\d:\d\d–.* UTC/;
		return [...document.querySelectorAll("#row-orders .ribbon rect.tone-bad title")].some(t => wanted.test(t.textContent));
	})()`)
	if !eval[bool](viewer.tab, `window.sameDocument === true`) {
		j.Error("the overview was loaded anew")
	}
	viewer.inspect("overview-down")

	status.Store(http.StatusOK)
	b.follow("main button", "Check now")
	b.sees("The health check was answered with 200 OK.")
	viewer.sees("Needs attention 0")
	viewer.wait("the ribbon to keep it", `document.querySelector("#row-orders .ribbon rect.tone-bad")`)
	b.open("/connections/orders/health")
	b.wait("the change to be kept", `[...document.querySelectorAll("#health-changes tbody tr")].some(r => r.innerText.includes("Down") && r.innerText.includes("The last 2 health checks failed."))`)
	b.sees("1 outage, ")
	b.wait("the exact time on the ribbon", `[...document.querySelectorAll("#health-course .ribbon title")].some(t => / down .*\d\d:\d\d:\d\d–/.test(" " + t.textContent.replace(/\n/g, " ")))`)
	b.inspect("connection-health")
	b.open("/connections/orders/health?" + url.Values{"state": {"down"}}.Encode())
	b.wait("the outage alone", `document.querySelectorAll("#health-changes tbody tr").length === 1`)
}
