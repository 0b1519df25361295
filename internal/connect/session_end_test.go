package connect

import (
	"net/url"
	"testing"

	"switchgear/internal/access"
	"switchgear/internal/credentials/oauth"
	"switchgear/internal/fault"
)

// A link is worth no more than the right of who made it.
func TestLinkDiesWithTheRightOfItsMaker(t *testing.T) {
	t.Parallel()
	for name, lost := range map[string]error{
		"key revoked, user gone": fault.New(fault.Unauthenticated, "INVALID_API_KEY", "This API key is not valid any more."),
		"another role":           fault.New(fault.Forbidden, "", "You may not do this."),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			s, token := w.link(NewSession{Account: "acme"})
			q := w.consent(token, "browser") // under way when the right is lost
			w.lost = lost
			if _, err := w.Visit(t.Context(), token, ""); fault.CodeOf(err) != CodeLinkNotValid {
				t.Errorf("it opens: %v", err)
			}
			if _, err := w.BeginSession(t.Context(), token, "browser", ""); fault.CodeOf(err) != CodeLinkNotValid {
				t.Errorf("a consent begins: %v", err)
			}
			if _, err := w.Enter(t.Context(), token, "", origin, map[string]string{"token": "key"}); fault.CodeOf(err) != CodeLinkNotValid {
				t.Errorf("it takes a key: %v", err)
			}
			if f, err := w.Callback(t.Context(), access.Actor{}, "github", q.Get("state"), "browser", oauth.Callback{Code: "code", Issuer: issuer}); err == nil && f.Status != StatusFailed {
				t.Errorf("a consent under way counts: %+v", f)
			}
			if len(w.stored)+len(w.entered) > 0 {
				t.Errorf("stored: %v, %v", w.stored, w.entered)
			}
			// The right comes back, as when a role was taken away by mistake: so does the link, until it ends.
			w.lost = nil
			if _, err := w.Visit(t.Context(), token, ""); err != nil {
				t.Errorf("%s: %v", s.ID, err)
			}
		})
	}
}

// Withdrawing a link and using it, in both orders: after it was withdrawn nothing is stored, and what is being
// stored is not told to be withdrawn.
func TestWithdrawnWhileItIsUsed(t *testing.T) {
	t.Parallel()
	revoke := func(w *world, s Session) error { return w.RevokeSession(t.Context(), admin(), s.ID) }
	for name, use := range map[string]func(w *world, token string) error{
		"key": func(w *world, token string) error {
			_, err := w.Enter(t.Context(), token, "", origin, map[string]string{"token": "key"})
			return err
		},
		"consent": func(w *world, token string) error {
			q := w.consent(token, "browser")
			_, err := w.Callback(t.Context(), access.Actor{}, "github", q.Get("state"), "browser", oauth.Callback{Code: "code", Issuer: issuer})
			return err
		},
	} {
		t.Run(name+", stored first", func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			s, token := w.link(NewSession{Account: "acme"})
			var withdrawn error
			w.storing = func() { withdrawn = revoke(w, s) }
			if err := use(w, token); err != nil || len(w.stored)+len(w.entered) != 1 {
				t.Fatalf("stored %d, %v", len(w.stored)+len(w.entered), err)
			}
			if fault.CodeOf(withdrawn) != "LINK_IN_USE" {
				t.Errorf("withdrawn: %v", withdrawn)
			}
			if got, err := w.Session(t.Context(), admin(), s.ID); err != nil || got.Status != SessionDone {
				t.Errorf("%+v, %v", got, err)
			}
			if err := revoke(w, s); err != nil { // It stays as it is.
				t.Error(err)
			}
		})
	}
	// Withdrawn first: between the answer of the server and the moment of storing.
	w := newWorld(t)
	s, token := w.link(NewSession{Account: "acme"})
	exchange := w.exchange
	w.exchange = func(code, verifier, uri string) (oauth.Token, error) {
		if err := revoke(w, s); err != nil {
			t.Error(err)
		}
		return exchange(code, verifier, uri)
	}
	q := w.consent(token, "browser")
	f, err := w.Callback(t.Context(), access.Actor{}, "github", q.Get("state"), "browser", oauth.Callback{Code: "code", Issuer: issuer})
	if err != nil || f.Status != StatusFailed || len(w.stored) > 0 {
		t.Errorf("%+v, %v, stored %v", f, err, w.stored)
	}
	if got, err := w.Session(t.Context(), admin(), s.ID); err != nil || got.Status != SessionRevoked {
		t.Errorf("%+v, %v", got, err)
	}
}

// A consent that fails says nothing about a link that another one has used or is using.
func TestFailureOfAnotherConsent(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s, token := w.link(NewSession{Account: "acme", ChannelID: "ach_1"})
	first, second, third := w.consent(token, "first browser"), w.consent(token, "second browser"), w.consent(token, "third browser")
	elsewhere := func(q url.Values) {
		t.Helper()
		if _, err := w.Callback(t.Context(), access.Actor{}, "github", q.Get("state"), "yet another", oauth.Callback{Code: "code", Issuer: issuer}); fault.CodeOf(err) != "STATE_OF_ANOTHER" {
			t.Error(err)
		}
	}
	w.storing = func() {
		elsewhere(second)
		if _, err := w.Visit(t.Context(), token, ""); fault.CodeOf(err) != CodeLinkNotValid {
			t.Errorf("it can be used again while it is used: %v", err)
		}
	}
	if f, err := w.Callback(t.Context(), access.Actor{}, "github", first.Get("state"), "first browser", oauth.Callback{Code: "code", Issuer: issuer}); err != nil || f.Status != StatusDone {
		t.Fatalf("%+v, %v", f, err)
	}
	elsewhere(third)
	if got, err := w.Session(t.Context(), admin(), s.ID); err != nil || got.Status != SessionDone || len(w.stored) != 1 {
		t.Errorf("%+v, %v, stored %d", got, err, len(w.stored))
	}
	if len(w.told) != 1 || w.told[0].Status != SessionDone {
		t.Errorf("told %+v", w.told)
	}
	// What fails while it is being stored frees the link.
	w = newWorld(t)
	s, token = w.link(NewSession{Account: "acme", ChannelID: "ach_1"})
	q := w.consent(token, "browser")
	w.storing = func() { w.client.Connection.BaseURL = "https://evil.example.com" }
	if f, err := w.Callback(t.Context(), access.Actor{}, "github", q.Get("state"), "browser", oauth.Callback{Code: "code", Issuer: issuer}); err != nil || f.Code != "CONNECTION_MOVED" {
		t.Fatalf("%+v, %v", f, err)
	}
	if got, err := w.Session(t.Context(), admin(), s.ID); err != nil || got.Status != SessionFailed || len(w.told) != 1 || w.told[0].Code != "CONNECTION_MOVED" {
		t.Errorf("%+v, %v, told %+v", got, err, w.told)
	}
}

// Keys are for the address that the page showed.
func TestKeysOfAMovedConnection(t *testing.T) {
	t.Parallel()
	for _, shown := range []string{"", "https://other.example.com"} {
		w := newWorld(t)
		s, token := w.link(NewSession{Account: "acme"})
		if _, err := w.Enter(t.Context(), token, "", shown, map[string]string{"token": "key"}); fault.CodeOf(err) != "CONNECTION_MOVED" || len(w.entered) > 0 {
			t.Errorf("shown %q: %v, stored %v", shown, err, w.entered)
		}
		if got, err := w.Session(t.Context(), admin(), s.ID); err != nil || !got.usable() {
			t.Errorf("shown %q: %+v, %v", shown, got, err)
		}
	}
}
