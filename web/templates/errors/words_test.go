package errors

import (
	"net/http"
	"testing"
	"time"

	"switchgear/web/templates/layout"
)

func TestWait(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]string{
		time.Millisecond:              "1 second",
		1001 * time.Millisecond:       "2 seconds",
		90 * time.Second:              "90 seconds",
		91 * time.Second:              "2 minutes",
		60 * time.Minute:              "60 minutes",
		90*time.Minute + time.Second:  "2 hours",
		25*time.Hour + 30*time.Second: "26 hours",
	} {
		if got := wait(d); got != want {
			t.Errorf("wait(%s) = %q, want %q", d, got, want)
		}
	}
}

func TestNext(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		view View
		want string
	}{
		"the error's own suggestion": {View{Status: http.StatusConflict, Suggestion: "Do this."}, "Do this."},
		"a time to wait":             {View{Status: http.StatusConflict, Suggestion: "Do this.", RetryAfter: time.Second}, "Wait 1 second. Do this."},
		"general advice":             {View{Status: http.StatusUnauthorized}, "Sign in, then repeat what you did."},
		"waits without a time":       {View{Status: http.StatusTooManyRequests}, "Wait a moment. Then try once more: trying sooner does not help."},
		"asks no owner twice":        {View{Status: http.StatusForbidden, Message: "Your role does not allow this. Ask an owner or admin."}, "Nothing was changed."},
		"asks an owner":              {View{Status: http.StatusForbidden, Message: "No."}, "Ask an owner or admin of this console for a role that may do it."},
		"an invitation withdrawn":    {View{Status: http.StatusConflict, Code: "INVITATION_REVOKED"}, "Ask whoever invited you for a new link."},
		"an invitation too old":      {View{Status: http.StatusConflict, Code: "INVITATION_EXPIRED", Page: &layout.Page{Path: "/accept?token=x"}}, "Ask whoever invited you for a new link."},
		"an invitation of others":    {View{Status: http.StatusConflict, Code: "INVITATION_EXPIRED", Page: &layout.Page{Path: "/invitations/x/revoke"}}, "Go back and reload the page: it shows how things stand now. Then decide again."},
		"an invitation unknown":      {View{Status: http.StatusNotFound, Code: "NOT_FOUND", Message: "There is no such invitation."}, "Open the whole link, as it was sent to you. If it still fails, ask whoever invited you for a new one."},
		"an unknown status":          {View{Status: http.StatusTeapot}, "Go back, correct what is named here and send it again."},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := c.view.next(); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
	for status := http.StatusBadRequest; status < 600; status++ {
		if (View{Status: status}).next() == "" {
			t.Errorf("status %d has no advice", status)
		}
	}
}

func TestReason(t *testing.T) {
	t.Parallel()
	for reason, want := range map[string]string{
		"":           "The master key is missing or wrong.",
		"wrong key":  "Wrong key.",
		"wrong key.": "Wrong key.",
		"éteint":     "Éteint.",
	} {
		if got := (SealedView{Reason: reason}).reason(); got != want {
			t.Errorf("reason(%q) = %q, want %q", reason, got, want)
		}
	}
}
