package app

import (
	"fmt"
	"net/url"
	"strings"

	"github.com/chromedp/chromedp"

	"switchgear/internal/telemetry"
)

// hostile are texts that run as a script wherever a page takes them for something else than text.
func hostile() []string {
	return []string{
		`<script>window.pwned=1</script>`,
		`"><img src=x onerror="window.pwned=2">`,
		`' autofocus onfocus='window.pwned=3`,
		`</title></textarea></style></script><svg onload=window.pwned=4>`,
		`javascript:window.pwned=5`,
		`{{constructor.constructor('window.pwned=6')()}}${window.pwned=6}`,
		"<a href=\"java\tscript:window.pwned=7\">x</a>",
		`<div hx-get="/sign-in" hx-trigger="load" hx-on:htmx:load="window.pwned=8">x</div>`,
		`<iframe srcdoc="<script>parent.pwned=9</script>"></iframe>`,
		`<form action=javascript:window.pwned=10><button id=nav>x</button></form>`,
		`--></script><style>@import 'x';</style><meta http-equiv=refresh content="0;url=javascript:window.pwned=11">`,
		"\u202e\u2066<b>pwned</b>\u2028\u2029",
	}
}

// Whatever people and programs send is text on every page that shows it.
func hostileTextJourney(j *journey) {
	p := start(j.T, nil)
	owner := p.owner(j.T)
	b := j.signedIn(p, owner)
	var shown []string
	for i, text := range hostile() {
		email := fmt.Sprintf("person%d@example.com", i)
		_, err := Administer(j.Context(), p.cfg, telemetry.Discard(), CreateUser(), UserCreate{Email: email, Name: text, Role: "viewer", Password: "password of a test user 1"})
		if err == nil {
			shown = append(shown, text)
		}
		// Some are refused, as names with control characters are; what is accepted must be harmless.
		owner.post("/keys/new", url.Values{"name": {text}, "scope": {"api:read"}, "connections": {text}, "expiry": {"30"}})
		owner.post("/keys/new", url.Values{"name": {text}, "scope": {"api:read"}, "expiry": {"30"}})
		owner.post("/profile", url.Values{"name": {text}})
		owner.post("/invitations/new", url.Values{"email": {text}, "role": {"viewer"}})
		owner.post("/invitations/new", url.Values{"email": {`"` + text + `"@example.com`}, "role": {"viewer"}})
		stranger := p.browser(j.T)
		stranger.post("/sign-in", url.Values{"email": {text}, "password": {"wrong password here"}}, "User-Agent", text, "X-Forwarded-For", text, "X-Request-Id", text)
		if i < 4 { // signing in costs time; the others differ in what they contain, not in where they go
			stranger.post("/sign-in", url.Values{"email": {ownerEmail}, "password": {ownerPassword}}, "User-Agent", strings.ReplaceAll(text, "\t", " "))
		}
	}
	if len(shown) < 8 {
		j.Fatalf("only %d of the names were accepted", len(shown))
	}
	inert := func() {
		b.t.Helper()
		// The page has settled when nothing loads any more and htmx has gone through it.
		b.wait("the page to settle", `document.readyState === "complete"`)
		if eval[bool](b, `"pwned" in window`) {
			b.fatal("a text ran as a script: %s", eval[string](b, "String(window.pwned)"))
		}
		b.check()
	}

	b.open("/users?limit=200")
	inert()
	for _, text := range shown {
		b.wait("the name "+text, `document.querySelector("main").textContent.includes(`+quote(text)+`)`)
	}
	b.follow("main a", "person1@example.com")
	inert()
	b.click(`input[name=role][value=operator]`, "")
	b.fill("#f-reason", hostile()[1])
	b.follow("button", "Change role")
	inert()
	b.click("main a", "Disable user")
	b.fill("dialog[open] textarea", hostile()[0])
	b.follow("dialog[open] button", "Disable user")
	inert()
	for _, path := range []string{"/", "/keys", "/invitations", "/sessions", "/profile", "/audit?limit=200", "/about"} {
		b.open(path)
		inert()
	}
	b.open("/keys")
	b.click("main a", "Revoke")
	inert()
	for _, text := range hostile() {
		q := url.QueryEscape(text)
		for _, path := range []string{
			"/users?q=" + q + "&role=" + q + "&status=" + q + "&sort=" + q,
			"/keys?q=" + q + "&page=" + q,
			"/audit?q=" + q + "&action=" + q + "&actor=" + q + "&target=" + q + "&from=" + q + "&to=" + q,
		} {
			// A filter that does not exist may be an error, which quotes nothing as anything but text.
			b.navigate(path, chromedp.Navigate(b.base+path), 200, 400)
			inert()
		}
	}
	b.openAs("/users/"+url.PathEscape(hostile()[0]), 404)
	inert()

	// Nor does an address lead out of the console.
	guest := j.tab(p)
	for _, next := range []string{"javascript:window.pwned=1", "//evil.example/", `/\evil.example`, "https://evil.example/", "/\t/evil.example"} {
		guest.open("/sign-in?next=" + url.QueryEscape(next))
		if got := eval[string](guest, `new URL(document.querySelector("input[name=next]").value, location.href).origin`); got != guest.base {
			guest.fatal("next=%q leads to %s", next, got)
		}
	}
}
