package console

import (
	"log/slog"
	"net/http"

	"switchgear/internal/access"
	"switchgear/internal/fault"
	"switchgear/internal/telemetry"
	accessview "switchgear/web/templates/access"
)

// minPassword is told to people before they choose; package access enforces it.
const minPassword = access.MinPassword

type setupPages struct{ *Console }

func (p setupPages) routes() []route {
	return []route{
		{http.MethodGet, "/setup", public(), p.form},
		{http.MethodPost, "/setup", public(), p.submit},
	}
}

// form shows the form to whoever holds a valid link.
func (p setupPages) form(w http.ResponseWriter, r *http.Request) error {
	token := r.URL.Query().Get("token")
	if open, err := p.open(r, token); err != nil || !open {
		return p.refuse(w, r, token, err)
	}
	return p.render(w, r, http.StatusOK, accessview.Setup(p.view(r, token)))
}

func (p setupPages) submit(w http.ResponseWriter, r *http.Request) error {
	form, err := parseForm(w, r)
	if err != nil {
		return err
	}
	token := form.Get("token")
	if open, err := p.open(r, token); err != nil || !open {
		return p.refuse(w, r, token, err)
	}
	view := p.view(r, token)
	view.Email, view.Name, view.KeySaved = form.Get("email"), form.Get("name"), form.Get("key_saved") != ""
	view.Demo = form.Get("demo") != ""
	invalid := func(err error) error {
		messages, status, ok := formErrors(r, err)
		if !ok {
			return err
		}
		view.Errors = messages
		return p.render(w, r, status, accessview.Setup(view))
	}
	if form.Get("password") != form.Get("repeat") {
		return invalid(fault.Field("PASSWORDS_DIFFER", "repeat", "The two passwords differ."))
	}
	if form.Get("key_saved") == "" {
		return invalid(fault.Field("KEY_NOT_CONFIRMED", "key_saved", "Confirm that the master key will be backed up: without it, nothing secret can be read again."))
	}
	user, err := p.Access.CompleteSetup(r.Context(), origin(r), token, access.NewUser{
		Email: view.Email, Name: view.Name, Role: access.RoleOwner, Password: telemetry.NewSecret(form.Get("password")),
	})
	if err != nil {
		return invalid(err)
	}
	p.SetupDone()
	if err := p.Access.StartSession(r.Context(), origin(r), user); err != nil {
		return err
	}
	welcome := "Welcome. The console is yours: you are its first owner."
	if form.Get("demo") != "" && !p.Demo.On() {
		// The owner exists whatever becomes of it; the overview offers it again.
		if err := p.Demo.Load(r.Context(), access.Actor{Kind: access.KindUser, ID: user.ID, Name: user.Email, Role: user.Role, IP: origin(r).IP}); err != nil {
			p.Logger.LogAttrs(r.Context(), slog.LevelError, "demonstration not loaded", slog.Any("error", err))
			welcome += " The demonstration could not be loaded: " + fault.PublicMessage(err)
		} else {
			welcome += " The demonstration is running; one button below removes it."
		}
	}
	p.Access.PutFlash(r.Context(), "ok", welcome)
	seeOther(w, r, "/")
	return nil
}

func (p setupPages) view(r *http.Request, token string) accessview.SetupView {
	return accessview.SetupView{
		Page: p.bare(r, "Set up Switchgear"), Token: token, MinPassword: minPassword,
		KeyFile: p.cfg.KeyFile, Fingerprint: p.cfg.Fingerprint, OfferDemo: !p.Demo.On(),
	}
}

// open reports whether the token opens the form. An error is one that is not about the token.
func (p setupPages) open(r *http.Request, token string) (bool, error) {
	needed, err := p.Access.SetupNeeded(r.Context())
	if err != nil || !needed {
		return false, err
	}
	return p.Access.CheckSetupToken(token) == nil, nil
}

func (p setupPages) refuse(w http.ResponseWriter, r *http.Request, token string, err error) error {
	if err != nil {
		return err
	}
	return p.closed(w, r, http.StatusForbidden, token != "")
}

// closed explains that the link from the terminal is needed, or that there is nothing to set up.
func (p setupPages) closed(w http.ResponseWriter, r *http.Request, status int, invalid bool) error {
	needed, err := p.Access.SetupNeeded(r.Context())
	if err != nil {
		return err
	}
	if needed && fault.WantsJSON(r) {
		return fault.New(fault.Unavailable, "SETUP_NEEDED", "This console has no owner yet. Open the set-up link that it printed when it started.")
	}
	if !needed {
		status = http.StatusGone
	}
	return p.render(w, r, status, accessview.SetupClosed(accessview.SetupClosedView{
		Page: p.bare(r, "Set up Switchgear"), Done: !needed, Invalid: invalid, LinkFile: p.cfg.LinkFile,
	}))
}
