package rotation

import (
	"strings"
	"time"

	"github.com/a-h/templ"

	"switchgear/web/templates/layout"
	"switchgear/web/templates/ui"
)

// Gallery lists the states of the pages about the keys.
func Gallery() []ui.State {
	empty := sample()
	empty.Keys, empty.Rotation, empty.Kinds, empty.Done, empty.Total = nil, nil, nil, 0, 0
	empty.Master.Previous = nil

	running, paused, failed, environment, long := sample(), sample(), sample(), sample(), sample()
	running.Rotation = &Rotation{State: "running", StartedAt: now().Add(-time.Minute), StartedBy: "ada@example.com", Left: 150 * time.Second}
	running.Done, running.Kinds[0].Done = 700, 580
	running.Keys[1].State, running.Keys[1].Values, running.Keys[1].DisabledAt = "opens", 704, time.Time{}
	paused.Rotation = &Rotation{State: "paused", StartedAt: now().Add(-time.Hour), StartedBy: "ada@example.com"}
	paused.Done, paused.Kinds, paused.Keys = running.Done, running.Kinds, running.Keys
	failed.Rotation.Failed, failed.Done, failed.Kinds[1].Done = 2, 1402, 118
	environment.Master.File = ""
	long.Master.File = "/srv/secrets/" + strings.Repeat("a-directory-with-a-long-name/", 5) + "switchgear.key"
	for range 6 {
		long.Master.Previous = append(long.Master.Previous, "kek_ffee0011")
	}
	long.Rotation.StartedBy = strings.Repeat("a-long-name.", 8) + "ada@example.com"

	ask := AskView{
		Page: frame("Rotate the master key"), Title: "Rotate the master key?", Confirm: "Rotate master key", Action: Path + "/master", Danger: true,
		Consequence: "A new key file is made, and every keyset is wrapped with the new key.",
	}
	wrong := ask
	wrong.Reason, wrong.Errors = "somebody left", map[string]string{"password": "That is not your present password."}
	destroy := ask
	destroy.Title, destroy.Confirm, destroy.Action = "Destroy disabled data keys?", "Destroy keys", Path+"/destroy"
	destroy.Retentions, destroy.Retention = []Option{{"24h", "1 day"}, {"720h", "30 days"}}, "720h"

	return []ui.State{
		state("many", Keys(sample())),
		state("one key", Keys(one())),
		state("empty", Keys(empty)),
		state("running", Keys(running)),
		state("paused", Keys(paused)),
		state("values that do not open", Keys(failed)),
		state("key from the environment", Keys(environment)),
		state("long text", Keys(long)),
		state("question", Ask(ask)),
		state("question with error", Ask(wrong)),
		state("destroy", Ask(destroy)),
	}
}

func state(name string, view templ.Component) ui.State {
	return ui.State{Group: "Encryption keys", Name: name, View: view, Page: true}
}

// now is when all states are looked at.
func now() time.Time { return time.Date(2026, 3, 14, 9, 26, 53, 0, time.UTC) }

func frame(title string) layout.Page {
	return layout.Page{
		Title: title, Path: Path, Version: "v0.1.0", RequestID: "req_8kd2f9a0c1", Live: []string{"key_rotation"},
		User: layout.User{Email: "ada@example.com", Name: "Ada Lovelace", Role: "owner", ProfileHref: "/profile", SignOutAction: "/sign-out"},
		Nav: layout.Nav{{Label: "Govern", Items: []layout.NavItem{
			{Label: "Audit", Href: "/audit", Icon: "file"}, {Label: "Encryption keys", Href: Path, Icon: "lock", Current: true},
		}}},
	}
}

func one() View {
	v := sample()
	v.Keys, v.Rotation, v.Master.Previous = v.Keys[:1], nil, nil
	return v
}

func sample() View {
	return View{
		Page: frame("Encryption keys"), Now: now(),
		Master: Master{Fingerprint: "kek_ab12cd34", File: "/var/lib/switchgear/switchgear.key", Since: now().Add(-40 * 24 * time.Hour), Previous: []string{"kek_77aa01fe"}},
		Keys: []Key{
			{ID: "3141592653", State: "seals", CreatedAt: now().Add(-9 * 24 * time.Hour), Values: 1404},
			{
				ID: "2718281828", State: "disabled", CreatedAt: now().Add(-400 * 24 * time.Hour),
				ReplacedAt: now().Add(-9 * 24 * time.Hour), DisabledAt: now().Add(-9*24*time.Hour + time.Minute),
			},
		},
		Rotation: &Rotation{
			State: "done", StartedAt: now().Add(-9 * 24 * time.Hour), FinishedAt: now().Add(-9*24*time.Hour + time.Minute), StartedBy: "ada@example.com",
		},
		Kinds: []Kind{
			{Label: "Credentials", Table: "credential_versions", Done: 1280, Total: 1280},
			{Label: "Tokens", Table: "credential_tokens", Done: 120, Total: 120},
			{Label: "Alert channels", Table: "alert_channels", Done: 4, Total: 4},
			{Label: "Demonstration", Table: "demo"},
		},
		Done: 1404, Total: 1404,
	}
}
