package console

import (
	"net/http"
	"net/url"
	"slices"

	"github.com/go-chi/chi/v5"

	"switchgear/internal/access"
	"switchgear/internal/connections"
	"switchgear/internal/credentials/authtype"
	"switchgear/internal/fault"
	"switchgear/internal/telemetry"
	revealview "switchgear/web/templates/reveal"
)

// revealPages show secrets of accounts to owners, once somebody allowed that.
type revealPages struct{ *Console }

func (p revealPages) routes() []route {
	owner := needs(access.PermissionReveal)
	return []route{
		{http.MethodGet, revealview.Path, owner, p.setting},
		{http.MethodGet, revealview.Path + "/allow", owner, p.askSetting(true)},
		{http.MethodPost, revealview.Path + "/allow", owner, p.decideSetting(true)},
		{http.MethodGet, revealview.Path + "/forbid", owner, p.askSetting(false)},
		{http.MethodPost, revealview.Path + "/forbid", owner, p.decideSetting(false)},
		{http.MethodGet, "/connections/{slug}/accounts/{account}/reveal", owner, p.ask},
		{http.MethodPost, "/connections/{slug}/accounts/{account}/reveal", owner, p.reveal},
	}
}

func (p revealPages) setting(w http.ResponseWriter, r *http.Request) error {
	s, err := p.Connections.Reveals(r.Context(), actor(r))
	if err != nil {
		return err
	}
	return p.render(w, r, http.StatusOK, revealview.Setting(revealview.SettingView{
		Page: p.page(r, "Reveal of secrets", "reveal"), Now: p.Now(), Allowed: s.Allowed, By: s.By, Since: s.At,
	}))
}

func (p revealPages) askSetting(allow bool) handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		return p.askSettingWith(w, r, http.StatusOK, allow, nil, nil)
	}
}

func (p revealPages) askSettingWith(w http.ResponseWriter, r *http.Request, status int, allow bool, form url.Values, problems map[string]string) error {
	return p.render(w, r, status, revealview.AskSetting(revealview.AskSettingView{
		Page: p.page(r, "Reveal of secrets", "reveal"), Allow: allow, Reason: form.Get("reason"), Errors: problems,
	}))
}

// decideSetting allows reveals to who proves to be the owner who signed in. Whoever takes it back need not.
func (p revealPages) decideSetting(allow bool) handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		form, err := parseForm(w, r)
		if err != nil {
			return err
		}
		why, err := reason(form)
		if err == nil && allow {
			err = p.Access.Confirm(r.Context(), actor(r), telemetry.NewSecret(form.Get("password")))
		}
		if err == nil {
			err = p.Connections.AllowReveals(r.Context(), actor(r), allow, why)
		}
		if err != nil {
			messages, status, ok := formErrors(r, err)
			if !ok {
				return err
			}
			setRetryAfter(w, err)
			return p.askSettingWith(w, r, status, allow, form, messages)
		}
		done := "Nobody can have secrets shown any more."
		if allow {
			done = "Owners can have secrets shown to them from now on, each time with their password."
		}
		p.Access.PutFlash(r.Context(), "ok", done)
		seeOther(w, r, revealview.Path)
		return nil
	}
}

// view is what is asked before a secret of the account in the address is shown. It is a fault.NotFound while that is
// not allowed, and for an account without such a secret.
func (p revealPages) view(r *http.Request) (revealview.AskView, error) {
	view := revealview.AskView{Slug: chi.URLParam(r, "slug")}
	setting, err := p.Connections.Reveals(r.Context(), actor(r))
	if err != nil {
		return view, err
	}
	if !setting.Allowed {
		return view, connections.NotRevealed()
	}
	if view.Account, err = accountParam(r); err != nil {
		return view, err
	}
	c, err := connectionPages(p).account(r, view.Slug, view.Account)
	if err != nil {
		return view, err
	}
	t, err := authtype.Lookup(c.AuthType)
	if err != nil || len(c.Revealable()) == 0 {
		return view, connections.NotRevealed()
	}
	for _, key := range c.Revealable() {
		if f, ok := authtype.Find(t, key); ok {
			view.Fields = append(view.Fields, revealview.Option{Value: key, Label: f.Label})
		}
	}
	view.Page, view.Field, view.Once = p.page(r, "Reveal a secret", "connections"), view.Fields[0].Value, p.once.issue()
	return view, nil
}

func (p revealPages) ask(w http.ResponseWriter, r *http.Request) error {
	view, err := p.view(r)
	if err != nil {
		return err
	}
	return p.render(w, r, http.StatusOK, revealview.Ask(view))
}

// reveal shows one secret, in the answer to this form and nowhere else.
func (p revealPages) reveal(w http.ResponseWriter, r *http.Request) error {
	form, err := parseForm(w, r)
	if err != nil {
		return err
	}
	view, err := p.view(r)
	if err != nil {
		return err
	}
	var secret telemetry.Secret
	field := form.Get("field")
	why, err := reason(form)
	if err == nil {
		err = p.Access.Confirm(r.Context(), actor(r), telemetry.NewSecret(form.Get("password")))
	}
	if err == nil && !p.once.first(form.Get("once")) {
		err = fault.New(fault.Conflict, "ALREADY_SENT", "This form was already sent, and the secret was shown that once. It is not shown again by it.").
			WithSuggestion("If you need it once more, ask for it anew below. Each time is recorded.")
	}
	if err == nil {
		secret, err = p.Connections.RevealSecret(r.Context(), actor(r), view.Slug, view.Account, field, why)
	}
	if err != nil {
		messages, status, ok := formErrors(r, err)
		if !ok {
			return err
		}
		setRetryAfter(w, err)
		view.Field, view.Reason, view.Errors = field, form.Get("reason"), messages
		return p.render(w, r, status, revealview.Ask(view))
	}
	label := field
	if i := slices.IndexFunc(view.Fields, func(o revealview.Option) bool { return o.Value == field }); i >= 0 {
		label = view.Fields[i].Label
	}
	w.Header().Set("Cache-Control", "no-store")
	return p.render(w, r, http.StatusOK, revealview.Shown(revealview.ShownView{
		Page: view.Page, Slug: view.Slug, Account: view.Account, Label: label, Value: secret.Reveal(),
	}))
}

// reveals reports whether the visitor is offered to have secrets shown.
func (p connectionPages) reveals(r *http.Request) (bool, error) {
	if !actor(r).Role.Can(access.PermissionReveal) {
		return false, nil
	}
	setting, err := p.Connections.Reveals(r.Context(), actor(r))
	return setting.Allowed, err
}
