package app

import (
	"net/url"
	"strings"

	"github.com/chromedp/chromedp"

	"switchgear/internal/telemetry"
)

const (
	viewerEmail    = "vera@example.com"
	viewerPassword = "an entirely unrelated phrase"
)

// The first minutes: the printed link, the form, the overview, and every page of the navigation.
func setUpJourney(j *journey) {
	p := start(j.T, nil)
	link := p.setupLink(j.T)
	b := j.tab(p)
	b.openAs("/users", 503)
	b.sees("no owner yet")
	b.openAs("/setup?token=wrong", 403)
	b.sees("This link does not work")

	b.open(link)
	b.sees(p.core.keyring.Fingerprint())
	b.fill("#f-email", ownerEmail)
	b.fill("#f-name", "Olive Owner")
	b.fill("#f-password", ownerPassword)
	b.fill("#f-repeat", "something else entirely")
	b.click("#f-key_saved", "")
	b.followAs("button", "Create the owner", 400)
	b.sees("The two passwords differ.")
	if got := eval[string](b, `document.querySelector("#f-email").value + document.querySelector("#f-password").value`); got != ownerEmail {
		b.fatal("after a mistake the form holds %q: the e-mail and no password is right", got)
	}
	b.fill("#f-password", ownerPassword)
	b.fill("#f-repeat", ownerPassword)
	if !eval[bool](b, `document.querySelector("#f-key_saved").checked`) {
		b.fatal("the tick is gone after a mistake elsewhere")
	}
	b.follow("button", "Create the owner")
	b.at("/")
	b.sees("you are its first owner")
	b.sees("No connection yet.")

	for label, path := range map[string]string{"About": "/about", "Users": "/users", "API keys": "/keys", "Audit": "/audit", "Overview": "/"} {
		b.follow("#nav a", label)
		b.at(path)
		b.sees(label)
		if got := eval[string](b, `document.querySelector("#nav [aria-current=page]").textContent.trim()`); got != label {
			b.fatal("the navigation marks %q", got)
		}
		b.misses("you are its first owner") // said once
	}
	b.openAs(link, 410)
	b.sees("Switchgear is set up")
}

func signInJourney(j *journey) {
	p := start(j.T, nil)
	p.owner(j.T)
	b := j.tab(p)
	b.open("/users")
	b.at("/sign-in?next=" + url.QueryEscape("/users"))
	b.fill("#f-email", ownerEmail)
	b.fill("#f-password", "not the right one at all")
	b.click("[data-reveal=f-password]", "")
	b.wait("the password in clear", `document.querySelector("#f-password").type === "text"`)
	b.followAs("button", "Sign in", 401)
	b.sees("The e-mail address or the password is wrong.")
	if got := eval[string](b, `document.querySelector("#f-email").value + "," + document.querySelector("#f-password").value`); got != ownerEmail+"," {
		b.fatal("after a wrong password the form holds %q", got)
	}
	b.fill("#f-password", ownerPassword)
	b.follow("button", "Sign in")
	b.at("/users")

	b.listens()
	b.follow(`form[action="/sign-out"] button`, "")
	b.sees("You are signed out.")
	b.navigate("the back button", chromedp.Evaluate[chromedp.Void]("void history.back()"), 200)
	b.misses("Olive Owner")

	// Guessing is slowed down, and the page says how long.
	b.open("/sign-in")
	var status int64
	for range 20 {
		b.fill("#f-email", ownerEmail)
		b.fill("#f-password", "guess after guess after guess")
		if status = b.followAs("button", "Sign in", 401, 429); status == 429 {
			break
		}
	}
	if status != 429 {
		b.fatal("guesses are never slowed down")
	}
	b.sees("Too many failed attempts. Try again in ")
}

// user makes a user on the machine's command line and returns a browser that is signed in as them.
func (p *process) user(j *journey, email, name, role string) *browser {
	j.Helper()
	const password = "password of a test user 1"
	if _, err := Administer(j.Context(), p.cfg, telemetry.Discard(), CreateUser(), UserCreate{Email: email, Name: name, Role: role, Password: password}); err != nil {
		j.Fatal(err)
	}
	b := p.browser(j.T)
	if got := b.post("/sign-in", url.Values{"email": {email}, "password": {password}}); got.path != "/" {
		j.Fatalf("%s cannot sign in: %d at %s", email, got.status, got.path)
	}
	return b
}

// An owner invites a viewer, who joins in another browser and may see what a viewer may.
func inviteJourney(j *journey) {
	p := start(j.T, nil)
	owner := j.signedIn(p, p.owner(j.T))
	owner.open("/users")
	owner.follow("main a", "Invite someone")
	owner.fill("#f-email", "not an address")
	owner.click("button", "Make the link")
	owner.wait("the browser to refuse the address", `document.querySelector("#f-email:invalid")`)
	owner.fill("#f-email", viewerEmail)
	owner.click(`input[name=role][value=viewer]`, "")
	owner.followAs("button", "Make the link", 201)
	link := eval[string](owner, `document.querySelector("#invitation-link").value`)

	guest := j.tab(p)
	guest.open(link)
	guest.sees(ownerEmail)
	guest.fill("#f-name", "Vera Viewer")
	guest.fill("#f-password", viewerPassword)
	guest.fill("#f-repeat", viewerPassword)
	guest.follow("button", "Create the account")
	guest.at("/")
	guest.sees("You are signed in as " + viewerEmail)
	want := "Overview,Alerts,Connections,Credentials,Breakers,Calls,Checklist,About"
	if got := eval[string](guest, `Array.from(document.querySelectorAll("#nav a.nav"), (a) => a.textContent.trim()).join()`); got != want {
		guest.fatal("the navigation of a viewer is %q, want %q", got, want)
	}
	for _, path := range []string{"/users", "/keys", "/audit", "/invitations", "/keys/new"} {
		guest.openAs(path, 403)
		guest.sees("403")
	}
	guest.open("/about")
	guest.open("/profile")
	guest.sees("viewer")

	owner.follow("a", "Done")
	owner.sees("Accepted")
	owner.open("/users?q=vera")
	owner.sees("Vera Viewer")
	again := j.tab(p)
	again.openAs(link, 409)
	again.sees("already been used")
}

// A new role ends the sessions of whoever has it.
func changeRoleJourney(j *journey) {
	p := start(j.T, nil)
	owner := j.signedIn(p, p.owner(j.T))
	vera := j.signedIn(p, p.user(j, viewerEmail, "Vera Viewer", "viewer"))
	vera.open("/about")

	owner.open("/users")
	owner.follow("main a", viewerEmail)
	owner.click(`input[name=role][value=auditor]`, "")
	owner.fill("#f-reason", "Vera checks the record from today")
	owner.follow("button", "Change role")
	owner.sees("The role is now auditor.")

	vera.follow("#nav a", "Overview")
	if path := strings.TrimPrefix(vera.address(), vera.base); !strings.HasPrefix(path, "/sign-in") {
		vera.fatal("a session survived the change of its role")
	}
	vera.fill("#f-email", viewerEmail)
	vera.fill("#f-password", "password of a test user 1")
	vera.follow("button", "Sign in")
	vera.follow("#nav a", "Audit")
	vera.sees("Vera checks the record from today")
	vera.follow("#nav a", "Users")
	vera.misses("Invite someone")
	vera.listens()

	// Disabling asks first, in a dialog, and ends the session too: the open page notices by itself.
	vera.tolerate(401)
	owner.open("/users")
	owner.follow("main a", viewerEmail)
	owner.click("main a", "Disable user")
	owner.wait("the dialog", `document.querySelector("dialog[open]")`)
	owner.fill("dialog[open] textarea", "She moved to another team")
	owner.follow("dialog[open] button", "Disable user")
	owner.sees("Disabled")
	vera.wait("the sign-in page", `location.pathname === "/sign-in" && document.querySelector("#f-email")`)
	vera.fill("#f-email", viewerEmail)
	vera.fill("#f-password", "password of a test user 1")
	vera.followAs("button", "Sign in", 403)
	vera.sees("disabled")
}

func sessionsJourney(j *journey) {
	p := start(j.T, nil)
	here := j.signedIn(p, p.owner(j.T))
	elsewhere := func() *tab {
		b := j.tab(p)
		b.open("/sign-in")
		b.fill("#f-email", ownerEmail)
		b.fill("#f-password", ownerPassword)
		b.follow("button", "Sign in")
		b.at("/")
		b.tolerate(401) // the open page follows changes, and finds out by itself
		b.listens()
		return b
	}
	isSignedOut := func(b *tab) {
		b.wait("the page to notice", `location.pathname === "/sign-in"`)
		b.open("/profile")
		b.at("/sign-in?next=" + url.QueryEscape("/profile"))
	}

	second := elsewhere()
	here.open("/sessions")
	here.sees("This browser")
	here.sees("2 sessions")
	here.follow("main button", "End session")
	here.sees("The session has ended.")
	here.sees("1 session")
	isSignedOut(second)

	third, fourth := elsewhere(), elsewhere()
	here.open("/sessions")
	here.sees("3 sessions")
	here.follow("main button", "End all others")
	here.sees("Your 2 other sessions have ended.")
	isSignedOut(third)
	isSignedOut(fourth)
	here.open("/profile")
	here.at("/profile")

	// A new password ends the others too, and keeps this one.
	fifth := elsewhere()
	here.open("/profile")
	here.fill("#f-current", ownerPassword)
	here.fill("#f-password", ownerPassword+" and ten")
	here.fill("#f-repeat", ownerPassword+" and ten")
	here.follow("button", "Change password")
	here.sees("Your password is changed.")
	isSignedOut(fifth)
}
