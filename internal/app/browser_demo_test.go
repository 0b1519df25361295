package app

import "github.com/chromedp/chromedp"

// A newcomer loads the demonstration, watches it without doing anything, and removes it.
func demonstrationJourney(j *journey) {
	p := start(j.T, nil)
	b := j.signedIn(p, p.owner(j.T))
	look := b.inspector()

	b.open("/")
	look.inspect("overview that offers the demonstration")
	b.follow("main button", "Load the demonstration")
	b.at("/")
	b.sees("The demonstration is running.")
	b.misses("Load the demonstration")
	for _, name := range []string{"Demo shop", "Demo payments", "Demo partner"} {
		b.sees(name)
	}

	// Its calls arrive on a page that nobody touches.
	const firstRow = `document.querySelector("main tbody tr")?.innerText`
	b.open("/calls")
	eval[chromedp.Void](b, "void (window.sameDocument = true)")
	b.wait("a call", firstRow)
	first := eval[string](b, firstRow)
	b.wait("another call", firstRow+" !== "+quote(first))
	if !eval[bool](b, "window.sameDocument === true") {
		b.fatal("the page was loaded anew")
	}

	b.open("/")
	look.inspect("overview with the demonstration")
	b.click("main a", "Remove it")
	b.wait("the dialog", `document.querySelector("dialog[open]")`)
	look.inspect("question before the demonstration is removed")
	b.click("dialog[open] button", "Cancel")
	b.wait("the dialog to close", `!document.querySelector("dialog[open]")`)
	b.click("main a", "Remove it")
	b.follow("dialog[open] button", "Remove demonstration")
	b.at("/")
	b.sees("The demonstration is removed.")
	b.misses("Demo partner")
	b.sees("Load the demonstration")
}
