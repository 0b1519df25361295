package errors

import (
	"net/http"
	"time"

	"github.com/a-h/templ"

	"switchgear/web/templates/layout"
	"switchgear/web/templates/ui"
)

// Gallery lists the states of the error pages.
func Gallery() []ui.State {
	badField := sample(http.StatusBadRequest, "INVALID_EMAIL", "The request is not valid", "This is not an e-mail address.")
	badField.Field, badField.Suggestion = "email", "Write it as name@example.com."

	missing := sample(http.StatusNotFound, "NOT_FOUND", "Not found", "There is no page at this address.")
	forbidden := sample(http.StatusForbidden, "FORBIDDEN", "Not allowed", "Your role does not allow this. Ask an owner or admin.")
	conflict := sample(http.StatusConflict, "LAST_OWNER", "That does not fit the present state", "This is the last active owner.")
	conflict.Suggestion = "Make somebody else an owner first."
	changed := sample(http.StatusPreconditionFailed, "PRECONDITION_FAILED", "It changed in the meantime", "Somebody else has changed this user.")
	limited := sample(http.StatusTooManyRequests, "RATE_LIMITED", "Too many requests", "Too many attempts to sign in.")
	limited.RetryAfter = 42 * time.Second
	internal := sample(http.StatusInternalServerError, "INTERNAL", "Something went wrong on our side", "Something went wrong on our side.")
	unavailable := sample(http.StatusServiceUnavailable, "DISK_FULL", "Not available right now", "The disk of the database is full.")
	unavailable.RetryAfter = 2 * time.Minute
	unsure := sample(http.StatusServiceUnavailable, "COMMIT_UNKNOWN", "Not available right now", "It is not certain whether the change was stored.")

	long := sample(http.StatusConflict, "A_CODE_THAT_IS_LONGER_THAN_ANY_CODE_OUGHT_TO_BE", "That does not fit the present state", longText)
	long.Suggestion, long.RequestID = longText, "req_0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

	used := sample(http.StatusConflict, "INVITATION_ACCEPTED", "That does not fit the present state", "This invitation has already been used. Sign in instead.")
	withdrawn := sample(http.StatusConflict, "INVITATION_REVOKED", "That does not fit the present state", "This invitation was withdrawn. Ask for a new one.")
	unknown := sample(http.StatusNotFound, "NOT_FOUND", "Not found", "There is no such invitation.")

	noID := missing
	noID.RequestID, noID.At = "", time.Time{}

	return []ui.State{
		page("400 with a field", Page(badField)),
		page("403", Page(forbidden)),
		page("404", Page(missing)),
		page("404 without a session", Page(signedOut(missing))),
		page("404 without a request id", Page(signedOut(noID))),
		page("409", Page(conflict)),
		page("409, invitation used", Page(signedOut(used))),
		page("409, invitation withdrawn", Page(signedOut(withdrawn))),
		page("404, invitation unknown", Page(signedOut(unknown))),
		page("412", Page(changed)),
		page("429 without a session", Page(signedOut(limited))),
		page("500", Page(internal)),
		page("500 without a session", Page(signedOut(internal))),
		page("503 with a time to wait", Page(unavailable)),
		page("503, unsure", Page(unsure)),
		page("long text", Page(long)),
		{Group: "Error message", Name: "409", View: Fragment(conflict)},
		{Group: "Error message", Name: "429", View: Fragment(limited)},
		{Group: "Error message", Name: "500", View: Fragment(internal)},
		{Group: "Error message", Name: "long text", View: Fragment(long)},
		sealed("key missing", SealedView{
			Reason:   "the master key is missing: expected kek_ab12cd34 in /var/lib/switchgear/switchgear.key. Put the key file back (or set SWITCHGEAR_KEY) and restart",
			Expected: "kek_ab12cd34", KeyFile: "/var/lib/switchgear/switchgear.key", RequestID: "req_8kd2f9a0c1",
		}),
		sealed("wrong key", SealedView{
			Reason:   "wrong master key: expected kek_ab12cd34, got kek_99ff00aa. Put the right key back and restart",
			Expected: "kek_ab12cd34", Got: "kek_99ff00aa", KeyFile: "/var/lib/switchgear/switchgear.key", RequestID: "req_8kd2f9a0c1",
		}),
		sealed("key from the environment", SealedView{Expected: "kek_ab12cd34"}),
	}
}

func page(name string, view templ.Component) ui.State {
	return ui.State{Group: "Error", Name: name, View: view, Page: true}
}

func sealed(name string, v SealedView) ui.State {
	v.Bare = layout.Bare{Title: "Sealed", Version: "v0.1.0", RequestID: v.RequestID}
	return ui.State{Group: "Sealed", Name: name, View: Sealed(v), Page: true}
}

const longText = "The connection cannot be removed while forty-one routes, three syncs and the nightly reconciliation of the " +
	"payments team still send through it, some of which are held at the moment and would lose what waits in them."

// sample is an error for someone who is signed in.
func sample(status int, code, title, message string) View {
	return View{
		Status: status, Code: code, Title: title, Message: message, RequestID: "req_8kd2f9a0c1",
		At: time.Date(2026, 3, 14, 9, 26, 53, 0, time.UTC), BackHref: "/", BackLabel: "Back to the overview",
		Page: &layout.Page{
			Title: title, Path: "/", Version: "v0.1.0", RequestID: "req_8kd2f9a0c1",
			User: layout.User{Email: "ada@example.com", Name: "Ada Lovelace", Role: "viewer", ProfileHref: "/profile", SignOutAction: "/sign-out"},
			Nav:  layout.Nav{{Label: "Operate", Items: []layout.NavItem{{Label: "Overview", Href: "/", Icon: "activity"}}}},
		},
	}
}

// signedOut is the same error for everyone else.
func signedOut(v View) View {
	v.Page, v.Bare = nil, &layout.Bare{Title: v.Title, Version: "v0.1.0", RequestID: v.RequestID}
	v.BackHref, v.BackLabel = "/sign-in", "Sign in"
	return v
}
