package access

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/a-h/templ"

	"switchgear/web/templates/layout"
	"switchgear/web/templates/ui"
)

// Gallery lists the states of every page of this package. All are looked at at one fixed moment.
func Gallery() []ui.State {
	return slices.Concat(
		setupStates(), signInStates(), acceptStates(),
		usersStates(), userStates(), confirmStates(),
		invitationsStates(), inviteStates(), invitedStates(),
		sessionsStates(), profileStates(),
		keysStates(), keyNewStates(), keyCreatedStates(),
	)
}

// galleryNow is when all states are looked at.
func galleryNow() time.Time { return time.Date(2026, 3, 14, 9, 26, 53, 0, time.UTC) }

func ago(d time.Duration) time.Time { return galleryNow().Add(-d) }

func in(d time.Duration) time.Time { return galleryNow().Add(d) }

const (
	minute = time.Minute
	hour   = time.Hour
	day    = 24 * time.Hour
)

const (
	longEmail = "a.very.long.address.of.somebody.in.a.large.organisation.with.many.departments@mail.subsidiary.international.example.com"
	longName  = "Wolfeschlegelsteinhausenbergerdorff-Featherstonehaugh of the Department of Integration and Reconciliation, second floor"
	longAgent = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) SomeEmbeddedBrowser/4.0.2026.314 Chrome/145.0.0.0 Safari/537.36 <script>alert(1)</script>"
)

// whole is a state that is a document of its own.
func whole(group, name string, view templ.Component) ui.State {
	return ui.State{Group: group, Name: name, View: view, Page: true}
}

// galleryPage is the frame of a page that an owner looks at.
func galleryPage(title, current string, topics ...string) layout.Page {
	item := func(id, label, icon string) layout.NavItem {
		return layout.NavItem{Label: label, Href: "/" + id, Icon: icon, Current: id == current}
	}
	return layout.Page{
		Title: title, Path: "/" + current, Live: topics, Version: "v0.1.0", RequestID: "req_8Kd2f9a0c1",
		User: layout.User{Email: "ada@example.com", Name: "Ada Lovelace", Role: "owner", ProfileHref: "/profile", SignOutAction: "/sign-out"},
		Nav: layout.Nav{
			{Label: "Operate", Items: []layout.NavItem{item("", "Overview", "activity")}},
			{Label: "Govern", Items: []layout.NavItem{item("users", "Users", "users"), item("keys", "API keys", "key"), item("audit", "Audit", "file")}},
		},
	}
}

// readerPage is the frame of a page that an auditor looks at.
func readerPage(title, current string, topics ...string) layout.Page {
	p := galleryPage(title, current, topics...)
	p.User.Email, p.User.Name, p.User.Role = "auditor@example.com", "Audrey", "auditor"
	return p
}

func galleryBare(title string) layout.Bare {
	return layout.Bare{Title: title, Version: "v0.1.0", RequestID: "req_8Kd2f9a0c1"}
}

func galleryRoles() []Option {
	return []Option{
		{Value: "owner", Label: "owner", Hint: "Everything, including other owners."},
		{Value: "admin", Label: "admin", Hint: "Everything except touching owners."},
		{Value: "operator", Label: "operator", Hint: "Trip and reset breakers, pause, roll back and mute alerts. Sees API keys, not users."},
		{Value: "viewer", Label: "viewer", Hint: "Looks at integrations. Changes nothing."},
		{Value: "auditor", Label: "auditor", Hint: "Reads users, API keys and the audit log. Changes nothing."},
	}
}

func tooShort() string {
	return "Use at least 12 characters. Four or five unrelated words make a good password."
}

// galleryID is the n-th id with a prefix, in the shape of a real one.
func galleryID(prefix string, n int) string {
	digits := strconv.Itoa(n)
	return prefix + "01j9zk4q7t8w2m5x6c3v" + strings.Repeat("0", 6-len(digits)) + digits
}

func setupStates() []ui.State {
	plain := SetupView{
		Page: galleryBare("Set up Switchgear"), Token: galleryID("", 7), KeyFile: "/var/lib/switchgear/switchgear.key",
		Fingerprint: "3f9a-71c2-88d0-4be6", MinPassword: 12, OfferDemo: true,
	}
	wrong := plain
	wrong.Email, wrong.Name, wrong.KeySaved = "ada@", "Ada Lovelace", true
	wrong.Errors = Errors{
		"email": "This is not an e-mail address. Write it like ada@example.com.", "password": tooShort(),
		"repeat": "The two passwords differ.",
	}
	unsaved := plain
	unsaved.Email = "ada@example.com"
	unsaved.Errors = Errors{"key_saved": "Confirm that the master key will be backed up: without it, nothing secret can be read again."}
	environment := plain
	environment.KeyFile, environment.OfferDemo = "", false // as under console demo, where it is on already
	long := plain
	long.Email, long.Name, long.KeyFile = longEmail, longName, "/srv/"+strings.Repeat("a-deeply-nested-directory/", 6)+"switchgear.key"
	closed := SetupClosedView{Page: galleryBare("Set up Switchgear"), LinkFile: "/var/lib/switchgear/data/setup-link"}
	invalid, done, noFile := closed, closed, closed
	invalid.Invalid, done.Done, noFile.LinkFile = true, true, ""
	return []ui.State{
		whole("Set-up page", "empty", Setup(plain)),
		whole("Set-up page", "error", Setup(wrong)),
		whole("Set-up page", "error, key not saved", Setup(unsaved)),
		whole("Set-up page", "key in the environment", Setup(environment)),
		whole("Set-up page", "long text", Setup(long)),
		whole("Set-up page", "closed, no link", SetupClosed(closed)),
		whole("Set-up page", "closed, link not valid", SetupClosed(invalid)),
		whole("Set-up page", "closed, already done", SetupClosed(done)),
		whole("Set-up page", "closed, no link file", SetupClosed(noFile)),
	}
}

func signInStates() []ui.State {
	plain := SignInView{Page: galleryBare("Sign in"), Next: "/users?role=admin"}
	wrong := plain
	wrong.Email, wrong.Errors = "ada@example.com", Errors{"": "E-mail or password is wrong."}
	throttled := plain
	throttled.Email, throttled.Errors = longEmail, Errors{"": "Too many attempts. Try again in 40 seconds."}
	ended := plain
	ended.Notice = "Your session has ended. Sign in again."
	return []ui.State{
		whole("Sign-in page", "empty", SignIn(plain)),
		whole("Sign-in page", "error", SignIn(wrong)),
		whole("Sign-in page", "throttled, long text", SignIn(throttled)),
		whole("Sign-in page", "session ended", SignIn(ended)),
	}
}

func acceptStates() []ui.State {
	plain := AcceptView{
		Page: galleryBare("Join Switchgear"), Token: galleryID("", 7), Email: "grace@example.com", Role: "operator", Sender: "ada@example.com",
		ExpiresAt: in(70 * hour), Now: galleryNow(), MinPassword: 12,
	}
	wrong := plain
	wrong.Name, wrong.Errors = "Grace", Errors{"password": tooShort()}
	long := plain
	long.Email, long.Sender, long.Name = longEmail, longEmail, longName
	return []ui.State{
		whole("Join page", "empty", Accept(plain)),
		whole("Join page", "error", Accept(wrong)),
		whole("Join page", "long text", Accept(long)),
	}
}
