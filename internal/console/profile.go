package console

import (
	"net/http"

	"switchgear/internal/fault"
	"switchgear/internal/telemetry"
	accessview "switchgear/web/templates/access"
)

type profilePages struct{ *Console }

func (p profilePages) routes() []route {
	return []route{
		{http.MethodGet, "/profile", signedIn(), p.show},
		{http.MethodPost, "/profile", signedIn(), p.update},
		{http.MethodPost, "/profile/password", signedIn(), p.changePassword},
	}
}

func (p profilePages) view(r *http.Request) (accessview.ProfileView, error) {
	v := visitorOf(r)
	sessions, err := p.Access.Sessions(r.Context(), v.actor, v.actor.ID)
	if err != nil {
		return accessview.ProfileView{}, err
	}
	return accessview.ProfileView{
		Page: p.page(r, "Your profile", "profile"), Now: p.Now(), Email: v.user.Email, Name: v.user.Name, Role: string(v.user.Role),
		RoleText: v.user.Role.Description(), PasswordChangedAt: v.user.PasswordChangedAt, LastSignInAt: v.user.LastSignInAt,
		Sessions: len(sessions), MinPassword: minPassword,
	}, nil
}

func (p profilePages) show(w http.ResponseWriter, r *http.Request) error {
	view, err := p.view(r)
	if err != nil {
		return err
	}
	return p.render(w, r, http.StatusOK, accessview.Profile(view))
}

func (p profilePages) update(w http.ResponseWriter, r *http.Request) error {
	form, err := parseForm(w, r)
	if err != nil {
		return err
	}
	if err := p.Access.UpdateProfile(r.Context(), actor(r), form.Get("name")); err != nil {
		messages, status, ok := formErrors(r, err)
		if !ok {
			return err
		}
		view, verr := p.view(r)
		if verr != nil {
			return verr
		}
		view.Name, view.NameErrors = form.Get("name"), messages
		return p.render(w, r, status, accessview.Profile(view))
	}
	p.Access.PutFlash(r.Context(), "ok", "Your name is saved.")
	seeOther(w, r, "/profile")
	return nil
}

func (p profilePages) changePassword(w http.ResponseWriter, r *http.Request) error {
	form, err := parseForm(w, r)
	if err != nil {
		return err
	}
	if form.Get("password") != form.Get("repeat") {
		err = fault.Field("PASSWORDS_DIFFER", "repeat", "The two passwords differ.")
	} else {
		err = p.Access.ChangePassword(r.Context(), actor(r), telemetry.NewSecret(form.Get("current")), telemetry.NewSecret(form.Get("password")))
	}
	if err != nil {
		messages, status, ok := formErrors(r, err)
		if !ok {
			return err
		}
		setRetryAfter(w, err)
		view, verr := p.view(r)
		if verr != nil {
			return verr
		}
		view.PasswordErrors = messages
		return p.render(w, r, status, accessview.Profile(view))
	}
	p.Access.PutFlash(r.Context(), "ok", "Your password is changed. Every other session of yours has ended.")
	seeOther(w, r, "/profile")
	return nil
}
