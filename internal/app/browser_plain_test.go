package app

import (
	"fmt"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"switchgear/internal/telemetry"
)

// Everything works in a browser that runs no script.
func scriptlessJourney(j *journey) {
	p := start(j.T, nil)
	b := j.tab(p)
	call(b, emulation.SetScriptExecutionDisabled.Method, emulation.SetScriptExecutionDisabledParams{Value: true})

	b.open(p.setupLink(j.T))
	b.fill("#f-email", ownerEmail)
	b.fill("#f-name", "Olive Owner")
	b.fill("#f-password", ownerPassword)
	b.fill("#f-repeat", ownerPassword)
	b.click("#f-key_saved", "")
	b.follow("button", "Create the owner")
	b.at("/")
	if eval[bool](b, `document.documentElement.classList.contains("js")`) {
		b.fatal("scripts run")
	}
	b.follow(`form[action="/sign-out"] button`, "")
	b.fill("#f-email", ownerEmail)
	b.fill("#f-password", ownerPassword)
	b.follow("button", "Sign in")

	// A key, and its end through the page that asks.
	b.follow("#nav a", "API keys")
	b.follow("main a", "New key")
	b.fill("#f-name", "billing-worker")
	b.click(`input[name=scope][value="api:read"]`, "")
	b.followAs("button", "Create key", 201)
	b.sees("billing-worker")
	b.follow("main a", "I have copied it")
	b.follow("main a", "Revoke")
	b.sees("Revoke the key billing-worker?")
	b.follow("main a", "Cancel")
	b.at("/keys")
	b.follow("main a", "Revoke")
	b.fill("#f-reason", "No longer needed")
	b.follow("main button", "Revoke key")
	b.at("/keys")
	b.sees("Revoked")

	// A list: search, order, pages.
	for i := range 5 {
		_, err := Administer(j.Context(), p.cfg, telemetry.Discard(), CreateUser(), UserCreate{
			Email: fmt.Sprintf("user%d@example.com", i), Name: fmt.Sprintf("Person %d", 9-i), Role: "viewer", Password: "password of a test user 1",
		})
		if err != nil {
			j.Fatal(err)
		}
	}
	first := `document.querySelector("main tbody tr td").innerText.split("\n")[0].trim()`
	b.open("/users?limit=2")
	b.sees("1–2 of 6")
	b.follow("main th a", "E-mail")
	if got := eval[string](b, first); got != ownerEmail {
		b.fatal("first by e-mail is %q", got)
	}
	b.follow("main th a", "E-mail")
	if got := eval[string](b, first); got != "user4@example.com" {
		b.fatal("last by e-mail is %q", got)
	}
	b.follow("main .pagination a", "Next page")
	b.sees("3–4 of 6")
	if got := eval[string](b, first); got != "user2@example.com" {
		b.fatal("the second page begins with %q", got)
	}
	b.fill("input[name=q]", "person 7")
	b.follow("main button", "Apply")
	b.sees("user2@example.com")
	b.misses("user1@example.com")

	// A question that is answered wrongly comes back with what was entered.
	b.follow("main a", "user2@example.com")
	b.follow("main a", "Disable user")
	b.fill("#f-reason", "   ")
	b.followAs("main button", "Disable user", 400)
	b.sees("Say why.")
	b.fill("#f-reason", "Left the company")
	b.follow("main button", "Disable user")
	b.sees("Disabled")

	// The navigation of the phone.
	b.size(phone)
	b.open("/")
	if eval[bool](b, `document.querySelector("#nav").getBoundingClientRect().right > 0 && getComputedStyle(document.querySelector("#nav")).visibility === "visible"`) {
		b.fatal("the navigation is open on a phone")
	}
	b.click("header a", "Menu")
	b.wait("the navigation", `document.querySelector("#nav").getBoundingClientRect().left >= 0`)
	b.follow("#nav a", "Audit")
	b.at("/audit")
	b.sees("Left the company")
}

// The theme that was chosen stays, and no page shows the other one first.
func themeJourney(j *journey) {
	p := start(j.T, nil)
	b := j.signedIn(p, p.owner(j.T))
	call(b, emulation.SetEmulatedMedia.Method, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: "light"}}})
	// The parser makes the body after the scripts of the head; nothing is painted before.
	b.beforeScripts(`
		new MutationObserver((_, observer) => {
			if (!document.body) return;
			observer.disconnect();
			window.themeAtFirst = (document.documentElement.dataset.theme || "system") + " " + getComputedStyle(document.documentElement).colorScheme;
		}).observe(document, {childList: true, subtree: true});`)
	background := `getComputedStyle(document.documentElement).backgroundColor`

	b.open("/")
	light := eval[string](b, background)
	b.click("[data-set-theme=dark]", "")
	b.wait("the button to be pressed", `document.querySelector("[data-set-theme=dark]").getAttribute("aria-pressed") === "true"`)
	b.wait("a dark page", background+" !== "+quote(light))
	for range 2 {
		b.navigate("reload", chromedp.Reload(), 200)
		if got := eval[string](b, "window.themeAtFirst"); got != "dark dark" {
			b.fatal("before the body there is the theme %q", got)
		}
	}
	b.listens()
	b.follow(`form[action="/sign-out"] button`, "")
	if got := eval[string](b, "window.themeAtFirst"); got != "dark dark" {
		b.fatal("the sign-in page begins with the theme %q", got)
	}
	b.click("[data-set-theme=system]", "")
	b.wait("the theme of the system", background+" === "+quote(light))
	call(b, emulation.SetEmulatedMedia.Method, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: "dark"}}})
	b.wait("the page to follow the system into the dark", background+" !== "+quote(light))
}
