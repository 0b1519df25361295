package console

import (
	"net/http"

	"switchgear/internal/fault"
	"switchgear/internal/telemetry"
	accessview "switchgear/web/templates/access"
)

type signInPages struct{ *Console }

func (p signInPages) routes() []route {
	return []route{
		{http.MethodGet, "/sign-in", public(), p.form},
		{http.MethodPost, "/sign-in", public(), p.submit},
		{http.MethodPost, "/sign-out", public(), p.signOut},
	}
}

func (p signInPages) form(w http.ResponseWriter, r *http.Request) error {
	next := localPath(r.URL.Query().Get("next"))
	if visitorOf(r).signedIn {
		seeOther(w, r, next)
		return nil
	}
	view := accessview.SignInView{Page: p.bare(r, "Sign in"), Next: next}
	switch r.URL.Query().Get("after") {
	case "sign-out":
		view.Notice = "You are signed out."
	case "ended":
		view.Notice = "Your session has ended. Sign in again."
	}
	return p.render(w, r, http.StatusOK, accessview.SignIn(view))
}

func (p signInPages) submit(w http.ResponseWriter, r *http.Request) error {
	form, err := parseForm(w, r)
	if err != nil {
		return err
	}
	view := accessview.SignInView{Page: p.bare(r, "Sign in"), Email: form.Get("email"), Next: localPath(form.Get("next"))}
	user, err := p.Access.SignIn(r.Context(), origin(r), view.Email, telemetry.NewSecret(form.Get("password")))
	if err != nil {
		messages, status, ok := signInErrors(r, err)
		if !ok {
			return err
		}
		setRetryAfter(w, err)
		view.Errors = messages
		return p.render(w, r, status, accessview.SignIn(view))
	}
	if err := p.Access.StartSession(r.Context(), origin(r), user); err != nil {
		return err
	}
	seeOther(w, r, view.Next)
	return nil
}

// signOut is public so that signing out twice, or after the session has ended, is not an error.
func (p signInPages) signOut(w http.ResponseWriter, r *http.Request) error {
	if err := p.Access.EndSession(r.Context()); err != nil {
		return err
	}
	// The browser forgets what it kept of this console, the theme included only where it stores pages.
	w.Header().Set("Clear-Site-Data", `"cache"`)
	seeOther(w, r, "/sign-in?after=sign-out")
	return nil
}

// signInErrors is formErrors that also takes a wrong password or a disabled account for something to say
// on the form.
func signInErrors(r *http.Request, err error) (messages map[string]string, status int, ok bool) {
	if kind := fault.KindOf(err); !fault.WantsJSON(r) && (kind == fault.Unauthenticated || kind == fault.Forbidden) {
		return map[string]string{"": fault.PublicMessage(err)}, kind.Status(), true
	}
	return formErrors(r, err)
}

func setRetryAfter(w http.ResponseWriter, err error) {
	if fault.Is(err, fault.RateLimited) {
		fault.SetHeaders(w.Header(), err)
	}
}
