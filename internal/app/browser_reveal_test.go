package app

import (
	"net/http"

	"switchgear/internal/connections"
)

// A secret is shown to an owner who proves it, once, after that was allowed; and no longer when it is not.
func revealJourney(j *journey) {
	p := start(j.T, nil)
	b := j.signedIn(p, p.owner(j.T)).inspector()
	const secret = "canary-revealed-4711"
	_, err := p.core.connections.Create(j.Context(), admin(), connections.Draft{
		Name: "Orders", Slug: "orders", BaseURL: "https://api.example.com", Auth: connections.Auth{Type: "bearer", Fields: map[string]string{"token": secret}},
	}, "")
	if err != nil {
		j.Fatal(err)
	}
	const path = "/connections/orders/accounts/default/reveal"
	b.openAs(path, http.StatusNotFound)
	b.open("/settings/reveal")
	b.sees("There is no page that shows a secret.")
	b.inspect("reveal-setting")
	b.follow("main a", "Allow")
	b.fill("[name=password]", "something else entirely")
	b.fill("[name=reason]", "The vendor shows keys once")
	b.followAs("main button", "Allow", http.StatusBadRequest)
	b.sees("That is not your present password.")
	b.fill("[name=password]", ownerPassword)
	b.follow("main button", "Allow")
	b.sees("Owners can have secrets shown to them")

	b.open("/connections/orders/accounts")
	b.misses(secret)
	b.follow("main a", "Reveal")
	b.inspect("reveal-question")
	b.fill("[name=password]", ownerPassword)
	b.fill("[name=reason]", "It moves")
	b.follow("main button", "Show it once")
	if got := eval[string](b.tab, `document.querySelector("#revealed").value`); got != secret {
		b.fatal("shown is %q", got)
	}
	b.inspect("revealed")
	b.follow("main a", "Done")
	b.misses(secret)
	b.sees("Revealed")
	b.open("/audit?action=credential.reveal")
	b.sees("It moves")
	b.misses(secret)

	b.open("/settings/reveal")
	b.follow("main a", "Switch off")
	b.fill("[name=reason]", "It has moved")
	b.follow("main button", "Switch off")
	b.sees("Nobody can have secrets shown any more.")
	b.openAs(path, http.StatusNotFound)
	b.misses(secret)
}
