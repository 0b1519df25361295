package credentials

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"switchgear/db"
	"switchgear/internal/credentials/oauth"
	"switchgear/internal/fault"
)

const elsewhere = "https://collect.example.net"

func TestOriginOf(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]string{
		"https://api.example.com":              "https://api.example.com",
		"https://api.example.com/v2/x":         "https://api.example.com",
		"HTTPS://API.example.com:443/v1":       "https://api.example.com",
		"http://api.example.com:80":            "http://api.example.com",
		"http://api.example.com:443":           "http://api.example.com:443",
		"https://api.example.com:8443":         "https://api.example.com:8443",
		"https://api.example.com.":             "https://api.example.com.",
		"https://[2001:db8::1]":                "https://[2001:db8::1]",
		"https://[2001:db8::1]:443/":           "https://[2001:db8::1]",
		"https://[2001:db8::1]:8443/":          "https://[2001:db8::1]:8443",
		"":                                     noOrigin,
		"https://api.example.com@evil.example": "https://evil.example",
		// As net/http dials them.
		"https://auth.g\u0130thub.com/token": "https://auth.xn--github-qyd.com",
		"https://api.\u212Aernel.org":        "https://api.kernel.org",
		"https://\uFF27ithub.com:443/x":      "https://github.com",
		"https://B\u00DCCHER.example":        "https://xn--bcher-kva.example",
		"https://b%C3%BCcher.example:8443":   "https://xn--bcher-kva.example:8443",
		// No name of a host: it stays as it is, and is no other's.
		"https://A\u0130\u2603_.example": "https://a\u0130\u2603_.example",
	} {
		if got := OriginOf(address); got != want {
			t.Errorf("OriginOf(%q) is %q, want %q", address, got, want)
		}
	}
}

// putAt stores a credential of con_1 as a connection that goes to origin does.
func (w *vaultWorld) putAt(origin, account, kind string, pairs ...string) (c Credential, err error) {
	w.t.Helper()
	return c, w.try(func(ctx context.Context, tx *db.Tx) error {
		c, err = w.Put(ctx, tx, Holder{"con_1", account, origin}, kind, mapOf(pairs))
		return err
	})
}

// Whoever may edit the address of a connection must not get its secrets delivered there.
func TestSecretsStayWithTheirOrigin(t *testing.T) {
	t.Parallel()
	type entry struct {
		kind          string
		first, change []string // a change of what is not secret
		again         []string // every secret once more
	}
	for name, c := range map[string]entry{
		"bearer":    {"bearer", []string{"token", canary}, nil, []string{"token", canary}},
		"api key":   {"api_key", []string{"key", canary}, []string{"name", "X-Other"}, []string{"key", canary}},
		"client":    {"oauth2_client_credentials", []string{"token_url", "https://as.example.com/token", "client_id", "c", "client_secret", canary}, []string{"token_url", "https://as.example.com/token", "client_id", "d"}, []string{"token_url", "https://as.example.com/token", "client_id", "c", "client_secret", canary}},
		"signature": {"hmac_signature", []string{"key_id", "k", "secret", canary}, nil, []string{"key_id", "k", "secret", canary}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newVaultWorld(t)
			first := w.put("default", c.kind, c.first...)
			if first.Origin != upstream {
				t.Fatalf("bound to %q", first.Origin)
			}
			refused := func(set *Set) {
				t.Helper()
				_, _, err := set.Authorizer("default")
				wantCode(t, err, fault.Unavailable, "CREDENTIAL_OTHER_ORIGIN")
				if account, err := set.Problem(); account != "default" || fault.CodeOf(err) != "CREDENTIAL_OTHER_ORIGIN" {
					t.Errorf("the problem is %q, %v", account, err)
				}
			}
			refused(w.load("con_1").At(elsewhere))
			refused(w.load("con_1").At("")) // nobody said where it goes
			if c.change != nil {
				if _, err := w.putAt(elsewhere, "default", c.kind, c.change...); err != nil {
					t.Fatal(err)
				}
				refused(w.load("con_1").At(elsewhere))
			}
			// Whoever knows the secret may have it sent there; even the same one, once more.
			again, err := w.putAt(elsewhere, "default", c.kind, c.again...)
			if err != nil || again.Origin != elsewhere || !cmp.Equal(again.Marks, first.Marks) {
				t.Fatalf("%+v, %v", again, err)
			}
			if _, _, err := w.load("con_1").At(elsewhere).Authorizer("default"); err != nil {
				t.Error(err)
			}
			refused(w.load("con_1"))
			// The version before comes back for the origin that it was entered for.
			w.tx(func(ctx context.Context, tx *db.Tx) error {
				_, err := w.Restore(ctx, tx, "con_1", "default", 1)
				return err
			})
			refused(w.load("con_1").At(elsewhere))
			if _, _, err := w.load("con_1").Authorizer("default"); err != nil {
				t.Error(err)
			}
			// A copy is for the same origin.
			w.tx(func(ctx context.Context, tx *db.Tx) error {
				_, err := w.Copy(ctx, tx, "con_1", "con_2", "default")
				return err
			})
			refused(w.load("con_2").At(elsewhere))
		})
	}
}

func TestEverySecretIsEnteredAgain(t *testing.T) {
	t.Parallel()
	w := newVaultWorld(t)
	w.put("default", "oauth1", "consumer_key", "k", "consumer_secret", canary, "token", "t", "token_secret", canary)
	_, err := w.putAt(elsewhere, "default", "oauth1", "consumer_key", "k", "consumer_secret", "new")
	wantCode(t, err, fault.Invalid, "AUTH_FIELD_REQUIRED")
	if f, ok := errors.AsType[*fault.Error](err); !ok || f.Details.Field != "auth.fields.token" {
		t.Errorf("about %+v", err)
	}
	w.put("free", "none")
	if _, _, err := w.load("con_1").At(elsewhere).Authorizer("free"); err != nil {
		t.Errorf("there is nothing secret about it: %v", err)
	}
}

// The origin is sealed with the values: editing the column does not move the secret.
func TestOriginIsAuthenticated(t *testing.T) {
	t.Parallel()
	for _, origin := range []string{elsewhere, ""} {
		w := newVaultWorld(t)
		w.put("default", "bearer", "token", canary)
		w.exec(`UPDATE credential_versions SET origin = $1`, origin)
		_, _, err := w.load("con_1").At(elsewhere).Authorizer("default")
		wantCode(t, err, fault.Unavailable, "CREDENTIAL_CORRUPT")
	}
}

func TestTokensStayWithTheirOrigin(t *testing.T) {
	t.Parallel()
	w := newTokenWorld(t, rotating)
	here := w.set(w.Vault)
	there := here.At(elsewhere)
	if _, err := authorized(t.Context(), there); fault.CodeOf(err) != "CREDENTIAL_OTHER_ORIGIN" {
		t.Fatalf("got %v", err)
	}
	// A renewal keeps the origin of the consent.
	if got, err := authorized(t.Context(), here); err != nil || got != "Bearer access-1" {
		t.Fatalf("%q, %v", got, err)
	}
	if _, err := authorized(t.Context(), w.set(w.Vault).At(elsewhere)); fault.CodeOf(err) != "CREDENTIAL_OTHER_ORIGIN" {
		t.Fatalf("got %v", err)
	}
	// A consent for the new origin is not used by calls that still go to the one before.
	w.tx(func(ctx context.Context, tx *db.Tx) error {
		_, err := w.PutToken(ctx, tx, Holder{"con_1", DefaultAccount, elsewhere}, oauth.Token{Access: "moved", Refresh: "moved-r", ExpiresIn: time.Minute})
		return err
	})
	if got, err := authorized(t.Context(), w.set(w.Vault).At(elsewhere)); err != nil || got != "Bearer access-2" && got != "Bearer moved" {
		t.Errorf("%q, %v", got, err)
	}
	w.pass(2 * time.Minute)
	if got, err := authorized(t.Context(), w.set(w.Vault).At(elsewhere)); err != nil || got == "Bearer moved" {
		t.Errorf("%q, %v", got, err)
	}
	if _, err := authorized(t.Context(), here); fault.CodeOf(err) != "CREDENTIAL_OTHER_ORIGIN" {
		t.Errorf("a call to the origin before: %v", err)
	}
}

// What an installation stored before there were origins is bound once, and opens before and after.
func TestBindStoredCredentials(t *testing.T) {
	t.Parallel()
	w := newTokenWorld(t, rotating)
	w.tx(func(ctx context.Context, tx *db.Tx) error {
		for _, token := range []string{"t1", "t2"} {
			if _, err := w.Put(ctx, tx, Holder{"con_1", "acme", ""}, "bearer", map[string]string{"token": token}); err != nil {
				return err
			}
		}
		if _, err := w.Put(ctx, tx, Holder{"con_1", "broken", ""}, "bearer", map[string]string{"token": "b"}); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `UPDATE credential_versions SET sealed = 'AAAA' WHERE credential_id = (SELECT id FROM credentials WHERE account = 'broken')`); err != nil {
			return err
		}
		_, err := w.PutToken(ctx, tx, Holder{"con_1", DefaultAccount, ""}, oauth.Token{Access: "access-0", Refresh: "refresh-0", ExpiresIn: time.Hour})
		return err
	})
	for _, account := range []string{"acme", DefaultAccount} {
		_, _, err := w.set(w.Vault).Authorizer(account)
		wantCode(t, err, fault.Unavailable, "CREDENTIAL_OTHER_ORIGIN") // not before it is bound
	}
	var asked []string
	bind := func() (n int) {
		w.tx(func(ctx context.Context, tx *db.Tx) (err error) {
			n, err = w.Bind(ctx, tx, func(c Credential) (string, error) {
				asked = append(asked, fmt.Sprint(c.Account, " ", c.Version))
				return upstream, nil
			})
			return err
		})
		return n
	}
	if n := bind(); n != 3 { // two versions and a token
		t.Errorf("%d values were bound", n)
	}
	if n := bind(); n != 0 {
		t.Errorf("%d values were bound again", n)
	}
	wantSent(t, w.set(w.Vault), "acme", "Bearer t2")
	wantSent(t, w.set(w.Vault), DefaultAccount, "Bearer access-0")
	_, _, err := w.set(w.Vault).Authorizer("broken")
	wantCode(t, err, fault.Unavailable, "CREDENTIAL_CORRUPT")
}

func TestStagedSecretIsForItsOrigin(t *testing.T) {
	t.Parallel()
	w := newVaultWorld(t)
	w.put("default", "bearer", "token", "old")
	w.stage("default", "token", "new")
	var trial *Set
	w.tx(func(ctx context.Context, tx *db.Tx) (err error) {
		trial, _, err = w.Trial(ctx, tx, "con_1", "default", 0)
		return err
	})
	wantSent(t, trial.At(upstream), "default", "Bearer new")
	refused := func(s *Set) {
		t.Helper()
		_, _, err := s.Authorizer("default")
		wantCode(t, err, fault.Unavailable, "CREDENTIAL_OTHER_ORIGIN")
	}
	refused(trial.At(elsewhere))
	w.tx(func(ctx context.Context, tx *db.Tx) error {
		_, _, err := w.Switch(ctx, tx, "con_1", "default", Switchover{Anyway: true, Reason: "a test"}, ada())
		return err
	})
	wantSent(t, w.load("con_1"), "default", "Bearer new")
	refused(w.load("con_1").At(elsewhere))
	w.tx(func(ctx context.Context, tx *db.Tx) error {
		_, _, err := w.RollBack(ctx, tx, "con_1", "default", 0, ada())
		return err
	})
	wantSent(t, w.load("con_1"), "default", "Bearer old")
	refused(w.load("con_1").At(elsewhere))
}
