// Package connect holds the pages on which an account is connected: what will be asked, the way to the
// authorization server and back, and what became of it.
package connect

import (
	"net/url"
	"strconv"
	"strings"
	"time"

	"switchgear/web/templates/layout"
	"switchgear/web/templates/ui"
)

// StartView is the page before a consent begins.
type StartView struct {
	Page layout.Page
	// Slug and Name are those of the connection.
	Slug, Name, Account string
	// Reconnect says that the account has been connected before.
	Reconnect bool
	// Device says that the person consents on another device.
	Device bool
	// Server is the host that is asked, RedirectURI what has to be registered there.
	Server, RedirectURI string
	Scopes              []Scope
	// More are further scopes, as they were entered.
	More   string
	Errors map[string]string
}

// Scope is one that the connection asks for.
type Scope struct {
	Name    string
	Chosen  bool
	Granted bool // with the token in use
}

// View is a consent on its way, or what became of it.
type View struct {
	Page layout.Page
	Now  time.Time
	ID   string
	// Slug and Name are those of the connection.
	Slug, Name, Account string
	// Status is pending, working, done or failed.
	Status string
	Device bool
	// Server is the host that is asked. Leave is its address for the browser, which only the browser that
	// began has; RedirectURI is what has to be registered there.
	Server, Leave, RedirectURI string
	// Missing are those of the requested scopes that were not granted.
	Requested, Granted, Missing []string
	// UserCode is typed in at VerificationURL; CompleteURL, which may be empty, holds both.
	UserCode, VerificationURL, CompleteURL string
	// Interval is how often to look whether a device has consented.
	Interval time.Duration
	// Step, Code and Problem say what failed and what to do.
	Step, Code, Problem string
	TokenExpiresAt      time.Time
	Renewable           bool
	ExpiresAt           time.Time
}

func (v StartView) back() string { return "/connections/" + v.Slug + "/accounts" }

func (v StartView) action() string { return StartPath(v.Slug, v.Account) }

func (v StartView) title() string {
	if v.Reconnect {
		return "Reconnect " + v.Account
	}
	return "Connect " + v.Account
}

func (v StartView) options() []ui.Option {
	out := make([]ui.Option, 0, len(v.Scopes))
	for _, s := range v.Scopes {
		o := ui.Option{Value: s.Name, Label: s.Name}
		if s.Granted {
			o.Hint = "Granted now."
		}
		out = append(out, o)
	}
	return out
}

func (v StartView) chosen() []string {
	var out []string
	for _, s := range v.Scopes {
		if s.Chosen {
			out = append(out, s.Name)
		}
	}
	return out
}

// StartPath is where the consent for an account begins; the account is one segment whatever it holds.
func StartPath(slug, account string) string {
	return "/connections/" + slug + "/accounts/" + url.PathEscape(account) + "/connect"
}

// Path is the address of a consent.
func Path(id string) string { return "/consents/" + id }

// Region is the id of the part that looks again by itself.
const Region = "consent"

func (v View) back() string { return "/connections/" + v.Slug + "/accounts" }

func (v View) again() string { return StartPath(v.Slug, v.Account) }

func (v View) title() string {
	switch v.Status {
	case "done":
		return "Connected"
	case "failed":
		return "Not connected"
	}
	return "Connect " + v.Account
}

// waiting reports whether the page has to look again.
func (v View) waiting() bool { return v.Status == "working" || v.Status == "pending" && v.Device }

// every is how often, in the words of htmx.
func (v View) every() string {
	return "every " + strconv.Itoa(max(1, int(v.Interval/time.Second))) + "s"
}

func scopes(list []string, none string) string {
	if len(list) == 0 {
		return none
	}
	return strings.Join(list, " ")
}
