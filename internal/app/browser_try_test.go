package app

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"

	"github.com/chromedp/cdproto/emulation"
)

// A request is composed, sent, broken off, copied and sent again, with scripts and without.
func tryJourney(j *journey) {
	up := newUpstream(j.T)
	slow, ended := make(chan struct{}), make(chan struct{})
	ordinary := up.Config.Handler
	up.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			close(slow)
			<-r.Context().Done()
			close(ended)
			return
		}
		ordinary.ServeHTTP(w, r)
	})
	p := start(j.T, map[string]string{"EGRESS_ALLOW": up.egressRule(j.T)})
	owner := p.owner(j.T)
	makeOrders(j, owner, up.Server)
	b := j.signedIn(p, owner).inspector()
	b.allowClipboard()

	b.open("/connections/orders")
	b.follow(".tabs a", "Try it")
	b.at("/connections/orders/try")
	b.sees("No calls yet.")
	b.inspect("try-empty")
	eval[bool](b.tab, "window.sameDocument = true")
	b.fill("#f-path", "/v1/items")
	b.fill("#f-query", "limit=3")
	b.fill("#f-headers", "Authorization: mine")
	b.click("#try-form button", "Send")
	b.sees("is not passed on")
	b.fill("#f-headers", "Accept: application/json")
	b.click("#try-form button", "Send")
	b.sees("The upstream answered after")
	b.sees("limit=3")
	b.misses(upstreamSecret)
	if !eval[bool](b.tab, "window.sameDocument === true") {
		b.fatal("the page was loaded anew")
	}
	b.inspect("try-answered")
	b.click("main .code button", "Copy Command")
	b.sees("Copied.")
	if copied := eval[string](b.tab, "navigator.clipboard.readText()"); !strings.Contains(copied, "$API_KEY") || !strings.Contains(copied, "/proxy/orders/v1/items?limit=3") {
		b.fatal("copied %q", copied)
	}

	// What takes long says so, and can be broken off: the upstream hears of it.
	b.fill("#f-path", "/slow")
	b.click("#try-form button", "Send")
	<-slow
	b.sees("Sending…")
	b.expectOffline(true) // htmx reports what it was told to break off
	b.click("#try-form button", "Break off")
	<-ended
	b.wait("the form to be usable again", `!document.querySelector("#try-form button[type=submit]").disabled`)
	b.expectOffline(false)
	owner.waitForText("/connections/orders/try", "Cancelled by the caller")

	// From the log back into the form.
	b.open("/calls")
	b.follow("main td a", "/v1/items")
	b.sees(ownerEmail)
	b.inspect("try-call")
	b.follow("main a", "Try again")
	b.sees("Filled from a recorded call")
	if got := eval[string](b.tab, `document.querySelector("#f-query").value`); got != "limit=3" {
		b.fatal("the query came back as %q", got)
	}

	// What records bodies says what that means.
	b.open("/connections/orders/edit")
	b.sees("Bodies may hold personal data")
	if !eval[bool](b.tab, `document.querySelector("#f-log_bodies").checked`) {
		b.fatal("the form does not show that bodies are recorded")
	}
	b.inspect("try-connection-edit")

	// The same without scripts: the answer comes as a page, and leads to the result.
	plain := j.signedIn(p, owner)
	call(plain, emulation.SetScriptExecutionDisabled.Method, emulation.SetScriptExecutionDisabledParams{Value: true})
	plain.open("/connections/orders/try")
	plain.fill("#f-path", "/v1/plain")
	plain.follow("#try-form button", "Send")
	plain.at("/connections/orders/try#result")
	plain.sees("The upstream answered after")
	plain.fill("#f-path", "https://evil.example/")
	plain.followAs("#try-form button", "Send", http.StatusBadRequest)
	plain.sees("Write the path only")
}

// makeOrders makes a connection that records bodies.
func makeOrders(j *journey, owner *browser, up *httptest.Server) {
	j.Helper()
	made := owner.post("/connections/new", url.Values{
		"provider": {"generic-rest"}, "name": {"The orders"}, "slug": {"orders"}, "base_url": {up.URL}, "auth_type": {"bearer"}, "auth.token": {upstreamSecret}, "log_bodies": {"on"},
	})
	if made.path != "/connections/orders" {
		j.Fatalf("create: %d at %s", made.status, made.path)
	}
}
