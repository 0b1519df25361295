// Package reveal holds the pages that show the secret of an account to an owner, and the setting that allows it.
package reveal

import (
	"net/url"
	"time"

	"switchgear/web/templates/layout"
)

// Path is where the setting is.
const Path = "/settings/reveal"

// SettingView is the setting.
type SettingView struct {
	Page    layout.Page
	Now     time.Time
	Allowed bool
	// By allowed it, at Since.
	By    string
	Since time.Time
}

// AskSettingView asks before the setting is changed. It posts "reason", and "password" to allow it.
type AskSettingView struct {
	Page   layout.Page
	Allow  bool
	Reason string
	Errors map[string]string
}

// AskView asks before a secret is shown. It posts "field", "password", "reason" and "once".
type AskView struct {
	Page          layout.Page
	Slug, Account string
	// Fields are the secrets that may be shown, Field the one that is chosen.
	Fields []Option
	Field  string
	// Once makes sure that a form which is sent again shows nothing.
	Once   string
	Reason string
	Errors map[string]string
}

// Option is one choice of a select.
type Option struct{ Value, Label string }

// ShownView is the one page that holds a secret.
type ShownView struct {
	Page          layout.Page
	Slug, Account string
	// Label names the field.
	Label, Value string
}

func accounts(slug string) string { return "/connections/" + url.PathEscape(slug) + "/accounts" }

// AskPath is where a secret of an account is asked for.
func AskPath(slug, account string) string {
	return accounts(slug) + "/" + url.PathEscape(account) + "/reveal"
}
