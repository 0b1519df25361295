package connect

import (
	"net/url"
	"strconv"
	"time"

	"switchgear/web/templates/connections"
	"switchgear/web/templates/layout"
	"switchgear/web/templates/ui"
)

// LinksView lists the links by which somebody else connects an account.
type LinksView struct {
	Page         layout.Page
	Now          time.Time
	Slug, Name   string
	CanConfigure bool
	Rows         []Link
	Number       int
	Limit, Total int
	// Account, Label and Life are what was entered for a new one.
	Account, Label, Life string
	Lives                []Choice
	// Made is a link that was just made, for the account MadeFor; it is shown this once. Older is how many others for
	// that account can still be used.
	Made, MadeFor string
	Older         int
	Errors        map[string]string
}

// Choice is one of a select.
type Choice struct{ Value, Label string }

// Link is one row.
type Link struct {
	ID, Account, Label, Status, Problem, By string
	CreatedAt, ExpiresAt, EndedAt           time.Time
}

// VisitView is the page of a link, for somebody without access to the console.
type VisitView struct {
	Page                     layout.Bare
	Now                      time.Time
	Token                    string
	Name, Account, Label, By string
	// Server is who is asked, or what the credential is for.
	Server string
	// Origin is what is entered is for; the form sends it along.
	Origin      string
	Interactive bool
	Scopes      []string
	// Leave is the address at the authorization server, once the consent has begun.
	Leave     string
	Fields    []connections.AuthField
	ExpiresAt time.Time
	// Problem says why the last try failed; empty when there was none. Code is that of the failure.
	Problem, Code string
	Errors        map[string]string
}

// EndedView is what became of a link.
type EndedView struct {
	Page                                           layout.Bare
	Now                                            time.Time
	FlowID, Name, Account                          string
	Status, Step, Code, Problem                    string
	Server, UserCode, VerificationURL, CompleteURL string
	Interval                                       time.Duration
	ExpiresAt                                      time.Time
	// Return is where the person came from; empty when nobody said.
	Return, ReturnHost string
	// Again says that the link can be used once more.
	Again bool
}

// GoneView is the page of a link that has ended, for whoever follows it.
type GoneView struct {
	Page layout.Bare
	Why  string
}

// LinksPath is where the links of a connection are.
func LinksPath(slug string) string { return "/connections/" + slug + "/links" }

// EndedPath is the page of the consent of a link.
func EndedPath(flowID string) string { return "/connected/" + flowID }

func (v LinksView) lives() []ui.Option {
	out := make([]ui.Option, len(v.Lives))
	for i, l := range v.Lives {
		out[i] = ui.Option{Value: l.Value, Label: l.Label}
	}
	return out
}

// older says that the account has other links that can be used.
func (v LinksView) older() string {
	if v.Older == 1 {
		return "An older link for " + v.MadeFor + " is still open."
	}
	return strconv.Itoa(v.Older) + " older links for " + v.MadeFor + " are still open."
}

func (l Link) chip() ui.Chip {
	switch l.Status {
	case "pending":
		return ui.Chip{Label: "Open", Tone: ui.ToneAccent}
	case "done":
		return ui.Chip{Label: "Connected", Tone: ui.ToneOK}
	case "failed":
		return ui.Chip{Label: "Failed", Tone: ui.ToneBad, Icon: "alert", Title: l.Problem}
	case "revoked":
		return ui.Chip{Label: "Withdrawn", Tone: ui.ToneIdle, Icon: "ban"}
	}
	return ui.Chip{Label: "Expired", Tone: ui.ToneIdle}
}

func (l Link) open() bool { return l.Status == "pending" || l.Status == "failed" }

func (v VisitView) action() string { return "/connect/" + url.PathEscape(v.Token) }

func (v EndedView) waiting() bool { return v.Status == "pending" || v.Status == "working" }

func (v EndedView) every() string { return View{Interval: v.Interval}.every() }

// guestFailure is the failure of a consent in the words of somebody who has nothing to do with its settings.
func guestFailure(code, server string) string {
	switch code {
	case "access_denied":
		return "The access was not allowed at " + server + ". Try again and allow it, or tell the person who sent the link that you do not want to."
	case "expired_token":
		return "The time to allow the access is over. Try again."
	case "wrong_browser":
		return "It was finished in another browser than it was begun in. Try again, and stay in one browser."
	case "CLIENT_CHANGED", "CONNECTION_MOVED":
		return "What is to be connected was changed meanwhile, so nothing was stored. Open the link again, and look whether it is still what you want."
	case "login_required", "interaction_required", "consent_required", "account_selection_required":
		return server + " asked for something that was not completed. Try again and do all that it asks for."
	case "unreachable", "no_answer", "server_error", "temporarily_unavailable":
		return server + " does not answer as it should at the moment. Try again in a few minutes. If it fails again, tell the person who sent the link."
	}
	return "It did not work with " + server + ", and you cannot mend it. Tell the person who sent the link, with the code below."
}
