package app

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"

	"github.com/chromedp/chromedp"
)

// An admin adds a channel and sees that a test comes through. A breaker that opens is an alert that appears on an
// open page by itself and is told; an operator acknowledges and mutes it; a viewer looks and may do nothing.
func alertsJourney(j *journey) {
	up := newUpstream(j.T)
	told := make(chan string, 100)
	receiver := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil || r.Header.Get("Webhook-Signature") == "" {
			told <- "a message that is not signed"
			return
		}
		var message struct {
			Type string `json:"type"`
			Data struct {
				Rule string `json:"rule"`
			} `json:"data"`
		}
		_ = json.Unmarshal(body, &message) // what cannot be read is not what is waited for
		told <- strings.TrimSpace(message.Type + " " + message.Data.Rule)
	}))
	j.Cleanup(receiver.Close)
	hears := func(want string) {
		j.Helper()
		select {
		case got := <-told:
			if got != want {
				j.Fatalf("the receiver was told %q, want %q", got, want)
			}
		case <-j.Context().Done():
			j.Fatalf("the receiver was not told %q", want)
		}
	}
	address, err := url.Parse(receiver.URL)
	if err != nil {
		j.Fatal(err)
	}
	p := start(j.T, map[string]string{"EGRESS_ALLOW": up.egressRule(j.T) + ",127.0.0.1=127.0.0.0/8:" + address.Port()})
	makeOrders(j, p.owner(j.T), up.Server)
	b := j.signedIn(p, p.user(j, "ada@example.com", "Ada Admin", "admin")).inspector()
	operator := j.signedIn(p, p.user(j, "oscar@example.com", "Oscar Operator", "operator")).inspector()
	viewer := j.signedIn(p, p.user(j, "viewer@example.com", "Vera Viewer", "viewer"))

	b.open("/alerts")
	b.sees("Nobody would be told.")
	b.inspect("alerts-empty")
	b.follow("main .notice-actions a", "Add a channel")
	b.follow("main tbody a", "Webhook")
	b.fill("#f-name", "Operations")
	b.fill("[name='settings.url']", receiver.URL+"/alerts")
	b.inspect("alert-channel-new")
	b.followAs("main button", "Add the channel", http.StatusCreated)
	b.sees("shown this once")
	b.follow("main a", "Go on to the channel and test it")
	b.follow("main button", "Test")
	b.sees("The test was sent")
	b.sees("Delivered")
	hears("alert.test")
	b.inspect("alert-channel-tested")
	b.open("/alerts")
	b.sees("6 rules watch, and 1 channel would be told.")

	// Nobody touches these pages.
	viewer.open("/alerts")
	viewer.sees("Nothing fires.")
	eval[chromedp.Void](viewer, "void (window.sameDocument = true)")
	operator.open("/connections/orders/breaker")
	operator.click("main .actions a", "Trip…")
	operator.fill("#d-breaker-trip-reason", "a drill of the team")
	operator.follow("dialog[open] .btn-danger", "Trip")
	viewer.sees("The orders: Breaker opened")
	b.sees("The orders: Breaker opened")
	if !eval[bool](viewer, "window.sameDocument === true") {
		viewer.fatal("the page was loaded anew")
	}
	viewer.misses("Acknowledge</span>")
	hears("alert.firing Breaker opened")

	operator.open("/connections/orders")
	operator.sees("The orders: Breaker opened")
	operator.inspect("connection-with-alert")
	operator.follow("main .notice-actions a", "Open")
	operator.sees("Operations was told: it fires")
	operator.inspect("alert-firing")
	operator.fill("#f-note", "calling them")
	operator.follow("main button", "Acknowledge")
	operator.sees("Acknowledged by oscar@example.com")
	operator.misses("nav-count tone-bad")
	viewer.sees("Acknowledged by oscar@example.com: calling them")

	operator.follow("main .page-actions a", "Mute…")
	operator.click("main .choice", "8 hours")
	operator.fill("#f-reason", "their maintenance")
	operator.inspect("alert-mute")
	operator.follow("main button", "Mute")
	operator.sees("Breaker opened on orders is muted")
	operator.inspect("alert-muted")
	viewer.sees("Muted for")
	viewer.openAs("/alerts/mutes/new", http.StatusForbidden)
	viewer.openAs("/alerts/rules/new", http.StatusForbidden)

	// The same without scripts.
	plain := j.signedIn(p, p.user(j, "olga@example.com", "Olga Operator", "operator"))
	withoutScripts(plain)
	plain.open("/alerts")
	plain.follow("main .notice-actions a", "Open")
	plain.follow("main .notice-actions button", "End now")
	plain.sees("The mute has ended.")
	plain.misses("is muted</span>")
}
