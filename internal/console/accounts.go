package console

import (
	"net/http"
	"net/url"

	"github.com/go-chi/chi/v5"

	"switchgear/internal/connections"
	"switchgear/internal/credentials"
	connectionsview "switchgear/web/templates/connections"
	revealview "switchgear/web/templates/reveal"
)

func (p connectionPages) accounts(w http.ResponseWriter, r *http.Request) error {
	return p.accountsWith(w, r, http.StatusOK, nil, nil)
}

func (p connectionPages) accountsWith(w http.ResponseWriter, r *http.Request, status int, form url.Values, problems map[string]string) error {
	view, err := p.accountsView(r, form, problems)
	if err != nil {
		return err
	}
	return p.render(w, r, status, connectionsview.Accounts(view))
}

// accountsView is the tab of the accounts; form is what was entered about one of them, nil for nothing.
func (p connectionPages) accountsView(r *http.Request, form url.Values, problems map[string]string) (connectionsview.AccountsView, error) {
	c, head, err := p.find(r)
	if err != nil {
		return connectionsview.AccountsView{}, err
	}
	stored, err := p.Connections.Accounts(r.Context(), actor(r), c.Slug)
	if err != nil {
		return connectionsview.AccountsView{}, err
	}
	provider, err := p.Providers.Find(c.Provider)
	if err != nil {
		return connectionsview.AccountsView{}, err
	}
	view := connectionsview.AccountsView{Page: p.frame(r, c.Name), Now: p.Now(), Head: head}
	if view.History, err = p.history(r, c.Slug); err != nil {
		return connectionsview.AccountsView{}, err
	}
	view.Form = connectionsview.AccountForm{Account: r.URL.Query().Get("account"), AuthType: c.AuthType, AuthTypes: authOptions(provider), Errors: problems}
	var values map[string]string
	if form != nil {
		view.Form.Account, view.Form.AuthType, view.Form.Reason = form.Get("account"), form.Get("auth_type"), form.Get("reason")
		view.Form.Expiry = &connectionsview.Expiry{Day: form.Get("expires_on")}
		values = authValues(form)
	}
	reveals, err := p.reveals(r)
	if err != nil {
		return connectionsview.AccountsView{}, err
	}
	var secrets []string
	for _, a := range stored {
		row := credentialRow(c, a)
		if reveals && len(a.Revealable()) > 0 {
			row.Reveal = revealview.AskPath(c.Slug, a.Account)
		}
		view.Rows = append(view.Rows, row)
		if a.Account != view.Form.Account {
			continue
		}
		view.Form.Replace, view.Form.Rotating = true, a.Rollover != nil
		if form == nil {
			view.Form.AuthType, values = a.AuthType, a.Settings
			view.Form.Expiry = &connectionsview.Expiry{Day: string(a.ExpiresOn)}
		}
		if a.AuthType == view.Form.AuthType {
			secrets = a.Fields
		}
	}
	view.Form.Auth = authFields(view.Form.AuthType, provider, values, secrets)
	view.Form.Consented = consented(view.Form.AuthType)
	if view.Form.Shares = sharesClient(view.Form.Account, view.Form.AuthType, stored); view.Form.Shares {
		view.Form.Auth = sharedFields(view.Form.Auth, values)
	}
	view.Form.Expiry = expiryField(view.Form.AuthType, view.Form.Expiry)
	view.Import = importForm(c)
	return view, nil
}

func (p connectionPages) putAccount(w http.ResponseWriter, r *http.Request) error {
	form, err := parseForm(w, r)
	if err != nil {
		return err
	}
	if form.Get("change") != "" {
		if !asksFor(r, connectionsview.RegionAuth) {
			return p.accountsWith(w, r, http.StatusOK, form, nil)
		}
		view, err := p.accountsView(r, form, nil)
		if err != nil {
			return err
		}
		return p.render(w, r, http.StatusOK, connectionsview.AccountAuth(view))
	}
	slug, account := chi.URLParam(r, "slug"), firstOf(form.Get("account"), credentials.DefaultAccount)
	before, err := p.account(r, slug, account)
	if err != nil {
		return err
	}
	stored, err := p.Connections.PutAccount(r.Context(), actor(r), slug, account, connections.Auth{
		Type: form.Get("auth_type"), Fields: authValues(form), ExpiresOn: expiresOn(form, string(before.ExpiresOn)),
	}, form.Get("reason"))
	if err != nil {
		messages, status, ok := formErrors(r, err)
		if !ok {
			return err
		}
		return p.accountsWith(w, r, status, form, messages)
	}
	if next, ok := connectNow(chi.URLParam(r, "slug"), stored); ok {
		p.Access.PutFlash(r.Context(), "ok", "The client is stored. Connect the account now.")
		seeOther(w, r, next)
		return nil
	}
	p.Access.PutFlash(r.Context(), "ok", storedText(before, stored))
	seeOther(w, r, p.own(r, "/accounts"))
	return nil
}
