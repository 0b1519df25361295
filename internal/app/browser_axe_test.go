package app

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"net/url"
	"os"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

const axeFile = "testdata/axe/axe.min.js"

func TestAxeIsUnchanged(t *testing.T) {
	t.Parallel()
	script, err := os.ReadFile(axeFile)
	if err != nil {
		t.Fatal(err)
	}
	readme, err := os.ReadFile("testdata/axe/README.md")
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(script)
	if !strings.Contains(string(readme), "| "+hex.EncodeToString(sum[:])+" |") {
		t.Errorf("%s has the checksum %x, which its README does not name", axeFile, sum)
	}
}

// inspector looks at pages in every width and theme: for what keeps people out (axe), and for anything
// that makes a page wider than its window.
type inspector struct {
	*tab

	script string
}

func (b *tab) inspector() inspector {
	b.t.Helper()
	script, err := os.ReadFile(axeFile)
	if err != nil {
		b.t.Fatal(err)
	}
	// Animations come to an end at once.
	call(b, emulation.SetEmulatedMedia.Method, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-reduced-motion", Value: "reduce"}}})
	return inspector{tab: b, script: string(script)}
}

// inspect looks at the page that is open, in all widths and themes.
func (i inspector) inspect(name string) {
	i.t.Helper()
	i.inspectIn(name, []int64{desktop, phone}, []string{"light", "dark"})
	i.size(desktop)
}

func (i inspector) inspectIn(name string, widths []int64, themes []string) {
	i.t.Helper()
	// Even the shortest transition keeps the old colour of some elements for a few frames.
	eval[chromedp.Void](i.tab, `void (() => {
		const still = new CSSStyleSheet();
		still.replaceSync("*, *::before, *::after { transition-property: none !important }");
		document.adoptedStyleSheets.push(still);
	})()`)
	for _, width := range widths {
		i.size(width)
		shape := map[int64]string{desktop: "desktop", phone: "phone"}[width]
		if over := eval[string](i.tab, overflow); over != "" {
			i.t.Errorf("%s, %s: the page is wider than its window: %s", name, shape, over)
		}
		for _, theme := range themes {
			i.theme(theme)
			i.wait("the page to stand still", "document.getAnimations().length === 0")
			shoot(i.tab, name+"-"+shape+"-"+theme)
			for _, finding := range i.axe() {
				i.t.Errorf("%s, %s, %s: %s", name, shape, theme, finding)
			}
		}
	}
	i.check()
}

// overflow names what sticks out of the window, if the page can be scrolled sideways.
const overflow = `(() => {
	const root = document.documentElement;
	if (root.scrollWidth <= innerWidth) return "";
	const out = Array.from(document.querySelectorAll("body *")).filter((e) => e.getBoundingClientRect().right > innerWidth && e.checkVisibility());
	return root.scrollWidth + " > " + innerWidth + ": " + out.slice(0, 5).map((e) => e.tagName.toLowerCase() + "." + (e.className.baseVal || e.className) + " " + e.getBoundingClientRect().right).join(", ");
})()`

// axe returns the serious and critical findings, each with the elements it is about.
func (i inspector) axe() []string {
	i.t.Helper()
	if !eval[bool](i.tab, "!!window.axe") {
		ctx, cancel := context.WithTimeout(i.ctx, patience)
		defer cancel()
		if _, err := chromedp.Run(ctx, chromedp.Evaluate[chromedp.Void](i.script+";void 0")); err != nil {
			i.fatal("axe: %v", err)
		}
	}
	return eval[[]string](i.tab, `axe.run(document, {resultTypes: ["violations"]}).then((r) => r.violations
		.filter((v) => v.impact === "serious" || v.impact === "critical")
		.map((v) => v.id + " (" + v.impact + "): " + v.help + ": " + v.nodes.slice(0, 6)
			.map((n) => n.target.join(" ") + " {" + (n.any.concat(n.all, n.none)[0] || {message: ""}).message + "}").join(" | ") + (v.nodes.length > 6 ? " | and " + (v.nodes.length - 6) + " more" : "")))`)
}

const (
	longEmail = "a.person.with.a.very.long.name.in.the.unusual.department@subsidiary.of.the.holding.with.an.unusually.long.name.example.com"
	longName  = "Bartholomew-Maximilian von und zu Hohenstein-Wolkenburg der Aeltere, Sachverstaendigenausschussvorsitzender i. R."
)

// Every page, in both themes, on a desk and on a phone.
func axePagesJourney(j *journey) {
	fresh := j.tab(start(j.T, nil)).inspector()
	fresh.openAs("/", 503)
	fresh.inspect("setup-closed")

	p := start(j.T, map[string]string{"DEV": "true"})
	setup := j.tab(p).inspector()
	setup.open(p.setupLink(j.T))
	setup.inspect("setup")
	owner := p.owner(j.T)
	j.furnish(p, owner)
	stranger := j.tab(p).inspector()
	stranger.open("/sign-in?after=sign-out")
	stranger.inspect("sign-in")
	stranger.fill("#f-email", ownerEmail)
	stranger.fill("#f-password", "not the right one at all")
	stranger.followAs("button", "Sign in", 401)
	stranger.inspect("sign-in-wrong")
	viewer := j.signedIn(p, p.user(j, "viewer@example.com", "Vera Viewer", "viewer")).inspector()
	viewer.openAs("/users", 403)
	viewer.inspect("error-403")
	viewer.open("/")
	viewer.inspect("overview-viewer")

	b := j.signedIn(p, owner).inspector()
	for _, page := range []struct {
		name, path string
		status     int64
	}{
		{"overview", "/", 200},
		{"users", "/users", 200},
		{"users-none", "/users?q=nobody", 200},
		{"users-pages", "/users?limit=2&page=2&sort=email", 200},
		{"invitations", "/invitations", 200},
		{"invite", "/invitations/new", 200},
		{"sessions", "/sessions", 200},
		{"profile", "/profile", 200},
		{"keys", "/keys", 200},
		{"key-new", "/keys/new", 200},
		{"audit", "/audit", 200},
		{"audit-none", "/audit?q=nothing-has-this-in-it", 200},
		{"entry", "/audit/1", 200},
		{"encryption-keys", "/settings/keys", 200},
		{"encryption-keys-master", "/settings/keys/master", 200},
		{"encryption-keys-destroy", "/settings/keys/destroy", 200},
		{"about", "/about", 200},
		{"api-docs", "/api/docs", 200},
		{"error-404", "/no/such/page", 404},
	} {
		b.openAs(page.path, page.status)
		b.inspect(page.name)
	}
	b.open("/users?q=" + url.QueryEscape(longEmail))
	b.follow("main a", longEmail)
	b.inspect("user")
	b.click("main a", "Disable user")
	b.wait("the dialog", `document.querySelector("dialog[open]")`)
	b.inspect("user-dialog")
	b.open("/keys")
	b.open(eval[string](b.tab, `new URL(Array.from(document.querySelectorAll("main a")).find((a) => a.textContent.trim() === "Revoke").href).pathname`))
	b.inspect("key-revoke")
	b.open("/keys/new")
	b.fill("#f-name", "shown-once")
	b.followAs("button", "Create key", 400)
	b.inspect("key-new-mistake")
	b.click(`input[name=scope][value="api:read"]`, "")
	b.followAs("button", "Create key", 201)
	b.inspect("key-created")
	b.open("/invitations/new")
	b.fill("#f-email", "invited@example.com")
	b.followAs("button", "Make the link", 201)
	b.inspect("invited")
	link := eval[string](b.tab, `document.querySelector("#invitation-link").value`)
	b.open("/audit")
	b.follow("main button", "Verify the chain")
	b.inspect("audit-verified")
	stranger.open(link)
	stranger.inspect("accept")

	// What opens over a page on the phone. A page that becomes narrow while it is open closes it.
	b.size(phone)
	b.open("/")
	b.click("header a", "Menu")
	b.wait("the navigation", `document.querySelector("#nav").getBoundingClientRect().left >= 0`)
	b.inspectIn("menu", []int64{phone}, []string{"light", "dark"})
}

// furnish fills a console with what lists and pages have to cope with: much, long and none.
func (j *journey) furnish(p *process, owner *browser) {
	j.Helper()
	for i, email := range []string{longEmail, "b@example.com", "carla.costa@example.com"} {
		p.user(j, email, []string{longName, "B", "Carla Costa"}[i], []string{"admin", "operator", "auditor"}[i])
	}
	for _, form := range []url.Values{
		{"name": {"billing-worker"}, "scope": {"api:read", "api:write", "call:*"}, "expiry": {"30"}},
		{"name": {strings.Repeat("a-key-with-a-long-name-", 5)}, "scope": {"api:read"}, "connections": {"stripe-live hubspot netsuite-production-emea"}, "expiry": {"never"}},
	} {
		if got := owner.post("/keys/new", form); got.status != 201 {
			j.Fatalf("key %v: %d", form, got.status)
		}
	}
	for _, form := range []url.Values{{"email": {longEmail + ".invited"}, "role": {"viewer"}}, {"email": {"d@example.com"}, "role": {"admin"}}} {
		if got := owner.post("/invitations/new", form); got.status != 201 {
			j.Fatalf("invitation %v: %d", form, got.status)
		}
	}
}

// Every component of the design system in every state.
func axeGalleryJourney(j *journey) {
	p := start(j.T, map[string]string{"DEV": "true"})
	b := j.signedIn(p, p.owner(j.T)).inspector()
	for _, group := range b.gallery(`#nav a[href*="group="]`) {
		b.open(group)
		if eval[bool](b.tab, `!!document.querySelector(".gallery-view")`) { // others link to pages
			b.inspect(galleryName(group))
		}
	}
}

// Every page of the console in the states that the journeys do not lead to.
func axeGalleryPagesJourney(j *journey) {
	p := start(j.T, map[string]string{"DEV": "true"})
	b := j.signedIn(p, p.owner(j.T)).inspector()
	groups := b.gallery(`#nav a[href*="group="]`)
	pages := make([]string, 0, 4*len(groups))
	for _, group := range groups {
		b.open(group)
		pages = append(pages, b.addresses(`main a[href*="state="]`)...)
	}
	if len(pages) == 0 {
		j.Fatal("the gallery shows no page")
	}
	// There are many, of the same components: each is looked at in one theme, and all on the phone, where
	// room is short.
	b.size(phone)
	for i, page := range pages {
		b.open(page)
		b.inspectIn(galleryName(page), []int64{phone}, []string{[]string{"light", "dark"}[i%2]})
	}
}

// gallery returns the addresses of links in the gallery.
func (i inspector) gallery(selector string) []string {
	i.t.Helper()
	i.open("/dev/gallery")
	found := i.addresses(selector)
	if len(found) < 10 {
		i.t.Fatalf("the gallery shows %d groups", len(found))
	}
	return found
}

func (i inspector) addresses(selector string) []string {
	i.t.Helper()
	return eval[[]string](i.tab, "Array.from(document.querySelectorAll("+quote(selector)+"), (a) => a.getAttribute('href'))")
}

// galleryName is the name of a picture: the group and the state.
func galleryName(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return address
	}
	q := u.Query()
	return strings.TrimSuffix(strings.NewReplacer(" ", "-", "/", "-").Replace("gallery-"+q.Get("group")+"-"+q.Get("state")), "-")
}
