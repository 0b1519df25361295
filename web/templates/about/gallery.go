package about

import (
	"strings"
	"time"

	"github.com/a-h/templ"

	"switchgear/web/templates/layout"
	"switchgear/web/templates/ui"
)

// Gallery lists the states of the about page.
func Gallery() []ui.State {
	one := sample()
	one.Listeners = one.Listeners[:1]

	environment := sample()
	environment.KeyFile = ""

	empty := View{Page: frame(), Now: now(), Version: "devel", GoVersion: "go1.26.0", StartedAt: now(), ProcessID: 1}

	long := sample()
	long.PublicURL = "https://integrations.control-plane.payments.subsidiary.holding.example.com:8443"
	long.KeyFile = "/srv/secrets/" + strings.Repeat("a-directory-with-a-long-name/", 5) + "switchgear.key"
	long.Database.Path = "/srv/data/" + strings.Repeat("a-directory-with-a-long-name/", 5) + "console.db"
	long.Database.SizeBytes, long.Database.WALBytes = 1_280_000_000_000, 999_950_000
	long.Listeners[0].Address = "[2001:db8:85a3:8d3:1319:8a2e:370:7348]:8080"

	return []ui.State{
		page("many", About(sample())),
		page("one listener", About(one)),
		page("key from the environment", About(environment)),
		page("empty", About(empty)),
		page("long text", About(long)),
	}
}

func page(name string, view templ.Component) ui.State {
	return ui.State{Group: "About", Name: name, View: view, Page: true}
}

// now is when all states are looked at.
func now() time.Time { return time.Date(2026, 3, 14, 9, 26, 53, 0, time.UTC) }

func frame() layout.Page {
	return layout.Page{
		Title: "About", Path: "/about", Version: "v0.1.0", RequestID: "req_8kd2f9a0c1",
		User: layout.User{Email: "ada@example.com", Name: "Ada Lovelace", Role: "owner", ProfileHref: "/profile", SignOutAction: "/sign-out"},
		Nav: layout.Nav{{Label: "Govern", Items: []layout.NavItem{
			{Label: "Audit", Href: "/audit", Icon: "file"}, {Label: "About", Href: "/about", Icon: "info", Current: true},
		}}},
	}
}

func sample() View {
	return View{
		Page: frame(), Now: now(), Version: "v0.1.0", GoVersion: "go1.26.0", StartedAt: now().Add(-26 * time.Hour), ProcessID: 4711,
		PublicURL: "https://console.example.com", APIDocs: "/api/docs", KeyFile: "/var/lib/switchgear/switchgear.key", KeyFingerprint: "kek_ab12cd34",
		Listeners: []Listener{
			{Name: "console", Address: "127.0.0.1:8080", Serves: "console, health"},
			{Name: "gateway", Address: "0.0.0.0:8090", Serves: "machine API, gateway, health"},
			{Name: "admin", Address: "/var/lib/switchgear/data/admin.sock", Serves: "administrative commands of this machine"},
		},
		Database: Database{
			Path: "/var/lib/switchgear/data/console.db", SizeBytes: 1_482_752, WALBytes: 86_552, SQLiteVersion: "3.51.0", SchemaVersion: 1,
			Pragmas: []Pragma{{"busy_timeout", "5000"}, {"foreign_keys", "1"}, {"journal_mode", "wal"}, {"secure_delete", "1"}, {"synchronous", "2"}},
		},
		Licences: []Licence{
			{Name: "htmx.org", Version: "2.0.11", Licence: "0BSD"},
			{Name: "htmx-ext-sse", Version: "2.2.4", Licence: "0BSD"},
			{Name: "idiomorph", Version: "0.8.0", Licence: "0BSD"},
		},
	}
}
