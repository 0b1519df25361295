package console

import (
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/go-chi/chi/v5"

	"switchgear/internal/connections"
	"switchgear/internal/credentials"
	"switchgear/internal/credentials/authtype"
	"switchgear/internal/fault"
	connectionsview "switchgear/web/templates/connections"
)

// importForm offers to bring a token along, where accounts are connected by a person.
func importForm(c connections.Connection) *connectionsview.ImportForm {
	t, err := authtype.Lookup(c.AuthType)
	if err != nil || !authtype.Interactive(t) {
		return nil
	}
	return &connectionsview.ImportForm{Account: credentials.DefaultAccount}
}

// offerImport is the tab of the accounts with the form of an import unfolded.
func (p connectionPages) offerImport(w http.ResponseWriter, r *http.Request) error {
	return p.importWith(w, r, http.StatusOK, nil, nil)
}

// importWith shows what was entered again, but for the tokens.
func (p connectionPages) importWith(w http.ResponseWriter, r *http.Request, status int, form url.Values, problems map[string]string) error {
	view, err := p.accountsView(r, nil, nil)
	if err != nil {
		return err
	}
	if view.Import == nil {
		return fault.New(fault.NotFound, "NOT_A_TOKEN_ACCOUNT", "The accounts of this connection are not connected by OAuth 2.")
	}
	view.Import.Open = true
	if form != nil {
		view.Import.Account, view.Import.Type = form.Get("token.account"), form.Get("token.type")
		view.Import.Ends, view.Import.Scopes = form.Get("token.ends"), form.Get("token.scopes")
		view.Import.Errors = connectionsview.Errors{}
		for field, problem := range problems {
			view.Import.Errors[importControl(field)] = problem
		}
	}
	return p.render(w, r, status, connectionsview.Accounts(view))
}

// importControl is the control for what a field of an import is called elsewhere.
func importControl(field string) string {
	switch field {
	case "access_token":
		return "token.access"
	case "refresh_token":
		return "token.refresh"
	case "token_type":
		return "token.type"
	case "expires_at":
		return "token.ends"
	case "scopes":
		return "token.scopes"
	case "account":
		return "token.account"
	}
	return ""
}

func (p connectionPages) importToken(w http.ResponseWriter, r *http.Request) error {
	form, err := parseForm(w, r)
	if err != nil {
		return err
	}
	token := connections.TokenImport{
		Access: form.Get("token.access"), Refresh: form.Get("token.refresh"), Type: form.Get("token.type"), Scopes: strings.Fields(form.Get("token.scopes")),
	}
	if text := form.Get("token.ends"); text != "" {
		if token.ExpiresAt, err = time.Parse("2006-01-02T15:04", text); err != nil {
			err = fault.Field("INVALID_TIME", "expires_at", "Write the time as 2027-01-31T12:00, in UTC.")
		}
	}
	var stored credentials.Credential
	if err == nil {
		stored, err = p.Connections.ImportToken(r.Context(), actor(r), chi.URLParam(r, "slug"), firstOf(form.Get("token.account"), credentials.DefaultAccount), token, "Imported by the page.")
	}
	if err != nil {
		messages, status, ok := formErrors(r, err)
		if !ok {
			return err
		}
		return p.importWith(w, r, status, form, messages)
	}
	p.Access.PutFlash(r.Context(), "ok", importedText(stored))
	seeOther(w, r, p.own(r, "/accounts"))
	return nil
}

// importedText says what will become of a token that was imported.
func importedText(c credentials.Credential) string {
	text := "The token of " + c.Account + " is stored, and used from the next call on."
	switch {
	case c.Token == nil:
		return text
	case c.Token.Renewable:
		return text + " It is renewed here from now on: nobody else must use its refresh token."
	case c.Token.ExpiresAt.IsZero():
		return text + " Its expiry is not known."
	}
	return text + " Without a refresh token, somebody has to connect the account when it expires."
}
