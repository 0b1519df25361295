package console

import (
	"errors"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"switchgear/internal/fault"
)

// maxForm bounds the body of a form.
const maxForm = 64 << 10

// parseForm reads a submitted form. A body that is too large or not a form is the visitor's error.
func parseForm(w http.ResponseWriter, r *http.Request) (url.Values, error) {
	return parseFormUpTo(w, r, maxForm)
}

func parseFormUpTo(w http.ResponseWriter, r *http.Request, most int64) (url.Values, error) {
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/x-www-form-urlencoded" {
		if r.ContentLength != 0 {
			return nil, fault.New(fault.UnsupportedMedia, "", "Send the form as application/x-www-form-urlencoded.")
		}
	}
	r.Body = http.MaxBytesReader(w, r.Body, most)
	if err := r.ParseForm(); err != nil {
		if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge {
			return nil, fault.Wrap(err, fault.TooLarge, "", "The form is too large.")
		}
		return nil, fault.Wrap(err, fault.Invalid, "", "The form could not be read.")
	}
	return r.PostForm, nil
}

// formErrors splits err into messages beside fields. ok is false when err is not about what the visitor
// entered, and has to be answered as an error page.
// A program that asked for JSON gets the envelope instead of a form.
func formErrors(r *http.Request, err error) (messages map[string]string, status int, ok bool) {
	e, is := errors.AsType[*fault.Error](err)
	if !is || fault.WantsJSON(r) {
		return nil, 0, false
	}
	if !slices.Contains([]fault.Kind{fault.Invalid, fault.Unprocessable, fault.Conflict, fault.RateLimited}, e.Kind) {
		return nil, 0, false
	}
	message := e.Message
	if e.Details.Suggestion != "" {
		message += " " + e.Details.Suggestion
	}
	return map[string]string{e.Details.Field: message}, e.Kind.Status(), true
}

const (
	defaultLimit = 50
	maxLimit     = 200
)

// paging reads ?page= and ?limit=, falling back to sane values for anything else: an address that was
// typed by hand shows a page, not an error.
func paging(q url.Values) (page, limit int) {
	page, err := strconv.Atoi(q.Get("page"))
	if err != nil || page < 1 || page > 1_000_000 {
		page = 1
	}
	limit, err = strconv.Atoi(q.Get("limit"))
	if err != nil || limit < 1 || limit > maxLimit {
		limit = defaultLimit
	}
	return page, limit
}

// seen reads the version of the connection that a form was shown with, so that it is not applied to another. It is 0,
// for whichever there is, when none was sent, as a program may do. Whatever is no number is refused: it is not
// known what the form was meant for.
func seen(form url.Values) (int, error) {
	if form.Get("version") == "" {
		return 0, nil
	}
	return shownWith(form, "version")
}

// shownWith is seen for what nobody may do to a state that they did not look at: a form that does not name one is
// refused, too. Programs have the machine API.
func shownWith(form url.Values, field string) (int, error) {
	n, err := strconv.Atoi(form.Get(field))
	if err != nil || n < 1 {
		return 0, fault.New(fault.Invalid, "INVALID_REVISION", "The form does not say which state it was made for. Load the page again.")
	}
	return n, nil
}

// reason reads why something with consequences is done. The console insists on one: whoever reads the
// audit log later will ask.
func reason(form url.Values) (string, error) {
	text := strings.TrimSpace(form.Get("reason"))
	if text == "" {
		return "", fault.Field("REASON_MISSING", "reason", "Say why. The reason goes into the audit log.")
	}
	return text, nil
}
