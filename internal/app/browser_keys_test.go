package app

import (
	"net/http"
	"strconv"

	cdpbrowser "github.com/chromedp/cdproto/browser"
	"github.com/chromedp/chromedp"

	"switchgear/internal/telemetry"
)

// A key is made, copied, used, and revoked.
func keyJourney(j *journey) {
	p := start(j.T, nil)
	signedIn := p.owner(j.T)
	b := j.signedIn(p, signedIn)
	b.allowClipboard()
	metrics := func(key string) int {
		return p.browser(j.T).get("/metrics", "Authorization", "Bearer "+key).status
	}

	b.open("/keys")
	b.sees("No keys yet.")
	b.follow("main a", "New key")
	b.fill("#f-name", "prometheus")
	b.followAs("button", "Create key", 400)
	b.sees("Choose at least one scope")
	b.click(`input[name=scope][value="api:read"]`, "")
	b.followAs("button", "Create key", 201)
	key := eval[string](b, `document.querySelector("#api-key").value`)
	b.click(".secret button", "Copy")
	b.sees("Copied.")
	if copied := eval[string](b, "navigator.clipboard.readText()"); copied != key {
		b.fatal("copied %q", copied)
	}
	if status := metrics(key); status != http.StatusOK {
		b.fatal("the new key is answered with %d", status)
	}

	// It was shown once.
	b.follow("main a", "I have copied it")
	b.at("/keys")
	b.misses(key)
	b.sees("prometheus")

	// The question opens over the page, can be left with Escape, and gives the focus back.
	b.click("main a", "Revoke")
	b.wait("the focus in the reason", `document.activeElement.matches("dialog[open] textarea")`)
	b.do(chromedp.KeyEvent("\x1b"))
	b.wait("the dialog to close", `!document.querySelector("dialog[open]")`)
	b.wait("the focus back on the button", `document.activeElement.textContent.trim() === "Revoke"`)
	// So does the list of pages, with one key, even when something was typed into it.
	b.click("[data-goto]", "")
	b.fill("#goto input", "audit")
	b.do(chromedp.KeyEvent("\x1b"))
	b.wait("the list of pages to close", `!document.querySelector("dialog[open]")`)
	b.wait("the focus back on its button", `document.activeElement.matches("[data-goto]")`)
	b.click("main a", "Revoke")
	b.wait("the dialog", `document.querySelector("dialog[open]")`)
	b.click("dialog[open] button", "Cancel")
	b.wait("the dialog to close", `!document.querySelector("dialog[open]")`)
	if status := metrics(key); status != http.StatusOK {
		b.fatal("a key that was not revoked is answered with %d", status)
	}
	b.click("main a", "Revoke")
	b.fill("dialog[open] textarea", "It leaked into a ticket")
	b.follow("dialog[open] button", "Revoke key")
	b.at("/keys")
	b.sees("The key is revoked.")
	b.sees("Revoked")
	if status := metrics(key); status != http.StatusUnauthorized {
		b.fatal("the revoked key is answered with %d", status)
	}
	b.open("/audit?action=key.revoke")
	b.sees("It leaked into a ticket")
}

// allowClipboard lets the pages of the tab write to the clipboard, and the test read it.
func (b *tab) allowClipboard() {
	b.t.Helper()
	ctx, id := b.ctx, chromedp.FromContext(b.ctx).BrowserContextID
	for _, name := range []string{"clipboard-write", "clipboard-read"} {
		_, err := chromedp.CallBrowser(ctx, cdpbrowser.SetPermission, cdpbrowser.SetPermissionParams{
			Permission: &cdpbrowser.PermissionDescriptor{Name: name}, Setting: cdpbrowser.PermissionSettingGranted, Origin: b.base, BrowserContextID: id,
		})
		if err != nil {
			b.t.Fatal(err)
		}
	}
}

// A page that is open hears of changes that were made elsewhere, says when it no longer does, and
// catches up.
func liveJourney(j *journey) {
	dir := j.TempDir()
	// It comes back at the same port, which other programs would be given at the address that all of them use.
	p := startIn(j.T, dir, map[string]string{"ADDR": "127.0.0.3:0"})
	b := j.signedIn(p, p.owner(j.T))
	create := func(name string) {
		if _, err := Administer(j.Context(), p.cfg, telemetry.Discard(), CreateKey(), KeyCreate{Name: name, Scopes: []string{"api:read"}}); err != nil {
			j.Fatal(err)
		}
	}
	state := func(want string) {
		b.wait("the state "+want, `document.querySelector("[data-live-state=`+want+`]")`)
	}

	b.open("/keys")
	state("live")
	eval[chromedp.Void](b, "void (window.sameDocument = true)")
	create("made-elsewhere")
	b.sees("made-elsewhere")

	// What somebody is typing is not taken away by a refresh.
	b.click("main a", "Revoke")
	b.fill("dialog[open] textarea", "half a sentence")
	heard := b.signalsHeard()
	create("made-meanwhile")
	if !b.poll(func() bool { return b.signalsHeard() > heard }) {
		b.fatal("no signal arrived")
	}
	if got := eval[string](b, `document.querySelector("dialog[open] textarea").value`); got != "half a sentence" {
		b.fatal("a refresh left %q of what was typed", got)
	}
	b.do(chromedp.KeyEvent("\x1b"))
	b.sees("made-meanwhile")

	// Nor does an answer that was asked for before they began.
	eval[chromedp.Void](b, `void (() => {
		const send = XMLHttpRequest.prototype.send;
		XMLHttpRequest.prototype.send = function (...args) {
			XMLHttpRequest.prototype.send = send;
			window.release = () => send.apply(this, args);
		};
	})()`)
	create("made-before-that")
	b.wait("the page to ask", "window.release")
	b.click("main a", "Revoke")
	b.fill("dialog[open] textarea", "half a sentence")
	eval[chromedp.Void](b, `void (document.addEventListener("htmx:afterRequest", () => { window.answered = true }, {once: true}), window.release())`)
	b.wait("the answer", "window.answered === true")
	if got := eval[string](b, `document.querySelector("dialog[open] textarea")?.value ?? "no question"`); got != "half a sentence" {
		b.fatal("an answer that was under way left %q of what was typed", got)
	}
	b.do(chromedp.KeyEvent("\x1b"))
	b.sees("made-before-that")

	addr := p.Addr()
	b.expectOffline(true)
	p.stop(j.T)
	b.wait("the page to say that it is cut off", `["reconnecting", "lost"].includes(document.querySelector("[data-live-state]").dataset.liveState)`)
	if got := eval[string](b, `document.querySelector("[data-live-state]").innerText`); got == "" {
		b.fatal("a page that is cut off says nothing")
	}
	p = startIn(j.T, dir, map[string]string{"ADDR": addr})
	create("made-while-away")
	state("live")
	b.sees("made-while-away")
	b.expectOffline(false)
	if !eval[bool](b, "window.sameDocument === true") {
		b.fatal("the page was loaded anew")
	}

	// Several changes in a row are one refresh or two, and the last of them is never lost.
	for i := range 3 {
		create("more-" + strconv.Itoa(i))
	}
	b.sees("more-2")
	b.check()
	b.expectOffline(true) // the console stops before the tab closes
}
