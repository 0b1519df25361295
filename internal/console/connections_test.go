package console

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"switchgear/internal/access"
	"switchgear/internal/connections"
)

// Whoever deletes a connection is told what stops working with it, by name, and nothing that does not.
func TestDeletionNamesWhatDependsOnTheConnection(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	client := s.signedIn(t, access.RoleOwner)
	s.create(t, "stripe", "Stripe")
	s.create(t, "stripe-eu", "Stripe EU")
	for _, account := range []string{"acme", "globex"} {
		_, err := s.connections.PutAccount(t.Context(), access.System(), "stripe", account, connections.Auth{Fields: map[string]string{"token": "t"}}, "")
		if err != nil {
			t.Fatal(err)
		}
	}
	for name, scope := range map[string]access.Scope{"shop": "call:stripe", "other": "call:stripe-eu", "any": "call:*"} {
		if _, _, err := s.access.CreateKey(t.Context(), access.System(), access.NewKey{Name: name, Scopes: []access.Scope{scope}}); err != nil {
			t.Fatal(err)
		}
	}
	_, _, page := s.do(t, client, http.MethodGet, "/connections/stripe/delete", nil)
	for _, want := range []string{"1 API key that names it: shop", "2 accounts with credentials of their own: acme, globex", "Type stripe"} {
		if !strings.Contains(strings.Join(strings.Fields(strings.NewReplacer("<b>", "", "</b>", "", "<code>", "", "</code>", "", `<span class="mono">`, "", "</span>", "").Replace(page)), " "), want) {
			t.Errorf("%q is missing", want)
		}
	}
	status, _, page := s.do(t, client, http.MethodPost, "/connections/stripe/delete", strings.NewReader(url.Values{"confirm": {"strip"}, "reason": {"over"}}.Encode()),
		"Content-Type", "application/x-www-form-urlencoded")
	if status != http.StatusBadRequest || !strings.Contains(page, "This is not the slug") {
		t.Errorf("with another slug: %d", status)
	}
	if _, ok := s.connections.Peek("stripe"); !ok {
		t.Error("it is gone")
	}
}

// A rollback is refused when what its page showed is no longer what it would change.
func TestRollbackOfWhatWasSeen(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	client := s.signedIn(t, access.RoleOwner)
	s.create(t, "stripe", "Stripe")
	for _, name := range []string{"Second", "Third"} {
		c, _ := s.connections.Peek("stripe")
		d := c.Draft()
		d.Name = name
		if _, err := s.connections.Update(t.Context(), access.System(), "stripe", d, "", 0); err != nil {
			t.Fatal(err)
		}
	}
	post := func(version string) (int, string) {
		t.Helper()
		status, _, page := s.do(t, client, http.MethodPost, "/connections/stripe/versions/1/activate",
			strings.NewReader(url.Values{"reason": {"it was better"}, "version": {version}}.Encode()), "Content-Type", "application/x-www-form-urlencoded")
		return status, page
	}
	if status, page := post("two"); status != http.StatusBadRequest || !strings.Contains(page, "Load the page again.") {
		t.Errorf("no number: %d", status)
	}
	if status, page := post("2"); status != http.StatusConflict || !strings.Contains(page, "Somebody saved another version") || !strings.Contains(page, "it was better") {
		t.Errorf("from a page that is too old: %d", status)
	}
	if status, _ := post("3"); status != http.StatusSeeOther {
		t.Errorf("from the page as it is: %d", status)
	}
	if c, _ := s.connections.Peek("stripe"); c.Version != 4 || c.Name != "Stripe" {
		t.Errorf("version %d, %s", c.Version, c.Name)
	}
	// The active version is not brought back.
	_, _, page := s.do(t, client, http.MethodGet, "/connections/stripe/versions/4/rollback", nil)
	if !strings.Contains(page, "cannot be brought back") || strings.Contains(page, "/versions/4/activate") {
		t.Error("the page offers to bring back the active version")
	}
}

// Before a connection is led to where its secrets are not for, whoever saves it is told what that does.
func TestAnotherAddressIsAskedAbout(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	client := s.signedIn(t, access.RoleOwner)
	s.create(t, "stripe", "Stripe")
	c, _ := s.connections.Peek("stripe")
	d := c.Draft()
	d.Auth = connections.Auth{Type: "bearer", Fields: map[string]string{"token": "entered-for-home"}}
	if _, err := s.connections.Update(t.Context(), access.System(), "stripe", d, "", 0); err != nil {
		t.Fatal(err)
	}
	home := strings.TrimSuffix(c.BaseURL, "/")
	says(t, "the form", s.get(t, client, "/connections/stripe/edit"), "Stored secrets are for "+home)
	form := url.Values{
		"name": {"Stripe"}, "environment": {c.Environment}, "kind": {c.Kind}, "base_url": {"https://other.example.net"}, "auth_type": {"bearer"}, "version": {"2"},
	}
	_, page := s.post(t, client, "/connections/stripe/edit", form, http.StatusUnprocessableEntity)
	says(t, "the question", page, "Not saved yet", "https://other.example.net", home, "the account default", `name="moves"`, "Save all the same")
	if c, _ := s.connections.Peek("stripe"); c.Version != 2 {
		t.Fatal("it was saved")
	}
	// Agreeing to one address is not agreeing to another.
	form.Set("moves", "https://third.example.net")
	s.post(t, client, "/connections/stripe/edit", form, http.StatusUnprocessableEntity)
	form.Set("moves", "https://other.example.net")
	s.post(t, client, "/connections/stripe/edit", form, http.StatusSeeOther)
	says(t, "the overview", s.get(t, client, "/connections/stripe"), "What is stored was entered for "+home, "Enter the credential")
	says(t, "the accounts", s.get(t, client, "/connections/stripe/accounts"), "The connection goes to https://other.example.net now.", "For another address", "for "+home)
	says(t, "the rollback", s.get(t, client, "/connections/stripe/versions/2/rollback"), "Calls of the account default work again.")
	// With the secret there is nothing to ask.
	form.Set("moves", "")
	form.Set("version", "3")
	form.Set("base_url", "https://third.example.net")
	form.Set("auth.token", "entered-for-third")
	s.post(t, client, "/connections/stripe/edit", form, http.StatusSeeOther)
	says(t, "a rollback to where the secret is not for", s.get(t, client, "/connections/stripe/versions/3/rollback"), "Calls of the account default will be refused.")
}
