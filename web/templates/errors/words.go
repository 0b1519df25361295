package errors

import (
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"switchgear/web/templates/ui"
)

// tone tells what is ours to mend from what the visitor can mend and from what only takes time.
func (v View) tone() ui.Tone {
	switch {
	case v.Status == http.StatusNotFound:
		return ui.ToneAccent
	case v.Status == http.StatusTooManyRequests:
		return ui.ToneHeld
	case v.Status >= http.StatusInternalServerError:
		return ui.ToneBad
	}
	return ui.ToneWarn
}

// next says what to do. What the error itself suggests comes before the general advice.
func (v View) next() string {
	switch {
	case v.RetryAfter > 0 && v.Suggestion != "":
		return "Wait " + wait(v.RetryAfter) + ". " + v.Suggestion
	case v.RetryAfter > 0:
		return "Wait " + wait(v.RetryAfter) + ". " + v.advice()
	case v.Suggestion != "":
		return v.Suggestion
	case v.passes():
		return "Wait a moment. " + v.advice()
	}
	return v.advice()
}

// passes reports whether the same request may well succeed later.
func (v View) passes() bool {
	switch v.Status {
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	}
	return false
}

func (v View) advice() string {
	if v.aboutInvitation() {
		return v.invitationAdvice()
	}
	switch v.Status {
	case http.StatusUnauthorized:
		return "Sign in, then repeat what you did."
	case http.StatusForbidden:
		if strings.Contains(v.Message, "Ask an owner") { // it has been said
			return "Nothing was changed."
		}
		return "Ask an owner or admin of this console for a role that may do it."
	case http.StatusNotFound:
		return "Check the address. What was here may have been removed."
	case http.StatusMethodNotAllowed:
		return "Go back and use the buttons of the page."
	case http.StatusConflict, http.StatusPreconditionFailed:
		return "Go back and reload the page: it shows how things stand now. Then decide again."
	case http.StatusRequestEntityTooLarge:
		return "Go back and send less at once."
	case http.StatusTooManyRequests:
		return "Then try once more: trying sooner does not help."
	case http.StatusServiceUnavailable, http.StatusBadGateway, http.StatusGatewayTimeout:
		return "Then try again. If you were changing something, look first whether the change was stored."
	case http.StatusInternalServerError:
		return "Try once more. If it happens again, give the request id to whoever runs this console."
	}
	return "Go back, correct what is named here and send it again."
}

// aboutInvitation reports whether the error is about the invitation that the visitor came to accept.
// Where invitations are managed, they are not the one to ask for a new link.
func (v View) aboutInvitation() bool {
	if v.Page != nil && !strings.HasPrefix(v.Page.Path, "/accept") {
		return false
	}
	switch v.Code {
	case "INVITATION_ACCEPTED", "INVITATION_EXPIRED", "INVITATION_REVOKED":
		return true
	}
	// An unknown link has the code of everything unknown; only its sentence says what it is about.
	return v.Status == http.StatusNotFound && strings.Contains(v.Message, "invitation")
}

func (v View) invitationAdvice() string {
	switch {
	case v.Code == "INVITATION_ACCEPTED" && v.Page != nil:
		return "You are signed in. If somebody else used the link, tell whoever invited you."
	case v.Code == "INVITATION_ACCEPTED":
		return "Your account exists: sign in with your e-mail address and the password you chose. If it was not you, tell whoever invited you."
	case v.Status == http.StatusNotFound:
		return "Open the whole link, as it was sent to you. If it still fails, ask whoever invited you for a new one."
	}
	return "Ask whoever invited you for a new link."
}

// requestHint says what the request id is good for. What the visitor can mend is not in the log.
func (v View) requestHint() string {
	if v.Status >= http.StatusInternalServerError {
		return "Name it when you report this: the log has the same id."
	}
	return "Name it when you report this."
}

// short is the error in the length of a message in the corner. The request id stays in it, because the
// corner is all that the visitor gets to see.
func (v View) short() string {
	text := v.Message + " " + v.next() + " (" + v.Code
	if v.RequestID != "" {
		text += ", " + v.RequestID
	}
	return text + ")"
}

// wait writes how long to wait in one unit, rounded up: waiting too short would fail again.
func wait(d time.Duration) string {
	switch {
	case d <= 90*time.Second:
		return count(math.Ceil(d.Seconds()), "second")
	case d <= 90*time.Minute:
		return count(math.Ceil(d.Minutes()), "minute")
	}
	return count(math.Ceil(d.Hours()), "hour")
}

func count(n float64, unit string) string {
	if n != 1 {
		unit += "s"
	}
	return strconv.Itoa(int(n)) + " " + unit
}
