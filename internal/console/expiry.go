package console

import (
	"net/http"
	"net/url"

	"switchgear/internal/credentials"
	"switchgear/internal/credentials/authtype"
	connectionsview "switchgear/web/templates/connections"
)

// expiryField is the question when a secret ends, with what was entered; nil for a kind of credential without a
// secret, and for one whose certificate says it.
func expiryField(kind string, entered *connectionsview.Expiry) *connectionsview.Expiry {
	t, err := authtype.Lookup(kind)
	if err != nil {
		return nil
	}
	if _, says := t.(authtype.Expirer); says {
		return nil
	}
	for _, f := range t.Fields() {
		if f.Secret {
			if entered == nil {
				entered = &connectionsview.Expiry{}
			}
			return entered
		}
	}
	return nil
}

// expiresOn is the day of a form; nil when it is the one before, which is left to the secret: it goes with it.
func expiresOn(form url.Values, before string) *string {
	day := form.Get("expires_on")
	if !form.Has("expires_on") || day == before {
		return nil
	}
	return &day
}

// account is what is stored of an account; nothing for one that does not exist.
func (p connectionPages) account(r *http.Request, slug, account string) (credentials.Credential, error) {
	all, err := p.Connections.Accounts(r.Context(), actor(r), slug)
	for _, c := range all {
		if c.Account == account {
			return c, nil
		}
	}
	return credentials.Credential{}, err
}

// expiryOf is when the secret of the default account ends.
func (p connectionPages) expiryOf(r *http.Request, slug string) (*connectionsview.Expiry, error) {
	c, err := p.account(r, slug, credentials.DefaultAccount)
	return &connectionsview.Expiry{Day: string(c.ExpiresOn)}, err
}

// storedText says what entering a credential came to.
func storedText(before, after credentials.Credential) string {
	switch {
	case before.ExpiresOn != "" && after.ExpiresOn == "" && before.Version != after.Version:
		return "The credential is stored. It is used from the next call on. The expiry of the one before is cleared: set another one, if this one expires."
	case before.ExpiresOn != after.ExpiresOn && before.Version == after.Version:
		return "The expiry of the secret is noted."
	}
	return "The credential is stored. It is used from the next call on."
}
