package credentials

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"testing"
	"time"

	"switchgear/db"
	"switchgear/internal/credentials/authtype"
	"switchgear/internal/credentials/oauth"
	"switchgear/internal/fault"
)

// What is stored of a client is used at no other server than it was entered for.
func TestSecretsOfAClientStayAtTheirServer(t *testing.T) {
	t.Parallel()
	const here, there = "https://as.example.com/", "https://collect.example.net/"
	for name, c := range map[string]struct {
		kind                   string
		before, after, entered []string
		refused                string // the field
	}{
		"client secret, token URL":      {"oauth2_client_credentials", []string{"token_url", here, "client_secret", "s"}, []string{"token_url", there}, nil, "client_secret"},
		"client secret, revocation URL": {"oauth2_authorization_code", []string{"token_url", here, "client_secret", "s"}, []string{"token_url", here, "revoke_url", there}, nil, "client_secret"},
		"client secret, device URL":     {"oauth2_device_code", []string{"token_url", here, "client_secret", "s"}, []string{"token_url", here, "device_authorization_url", there}, nil, "client_secret"},
		"key of private_key_jwt":        {"oauth2_client_credentials", []string{"token_url", here, "private_key", "k"}, []string{"token_url", there}, nil, "private_key"},
		"key of mutual TLS":             {"oauth2_client_credentials", []string{"token_url", here, "client_key", "k"}, []string{"token_url", there}, nil, "client_key"},
		"a secret made up beside a key": {"oauth2_authorization_code", []string{"token_url", here, "client_secret", "s", "private_key", "k"}, []string{"token_url", there}, []string{"client_secret", "made-up"}, "private_key"},
		"assertion for the server":      {"oauth2_jwt_bearer", []string{"token_url", here, "audience", here, "private_key", "k"}, []string{"token_url", there, "audience", here}, nil, "private_key"},
		"every one entered again":       {"oauth2_authorization_code", []string{"token_url", here, "client_secret", "s", "private_key", "k"}, []string{"token_url", there}, []string{"client_secret", "s", "private_key", "k"}, ""},
		"another path":                  {"oauth2_client_credentials", []string{"token_url", here, "client_secret", "s"}, []string{"token_url", here + "v2/token"}, nil, ""},
		"a public client":               {"oauth2_authorization_code", []string{"token_url", here}, []string{"token_url", there}, nil, ""},
		"the address of another field":  {"oauth2_client_credentials", []string{"token_url", here, "revoke_url", there, "client_secret", "s"}, []string{"token_url", there}, nil, ""},
		"no client of OAuth 2":          {"bearer", []string{"token_url", here, "token", "s"}, []string{"token_url", there}, nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			kind, err := authtype.Lookup(c.kind)
			if err != nil {
				t.Fatal(err)
			}
			err = sameServer(kind, mapOf(c.before), mapOf(c.after), mapOf(c.entered))
			if c.refused == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			wantCode(t, err, fault.Invalid, "AUTH_FIELD_REQUIRED")
			if f, ok := errors.AsType[*fault.Error](err); !ok || f.Details.Field != authtype.FieldPath(c.refused) {
				t.Errorf("about %+v", err)
			}
		})
	}
}

// An address that only looks like another one is another one: what counts is what is dialled.
func TestLookalikeServer(t *testing.T) {
	t.Parallel()
	for _, address := range []string{"https://auth.g\u0130thub.com/token", "https://auth.g\u0131thub.com/token", "https://\uFF41uth.github.com/token"} {
		dialled := ""
		client := http.Client{Transport: &http.Transport{DialContext: func(_ context.Context, _, a string) (net.Conn, error) {
			dialled = a
			return nil, net.ErrClosed
		}}}
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
		if err != nil {
			t.Fatal(err)
		}
		if resp, err := client.Do(r); err == nil {
			_ = resp.Body.Close()
		}
		if same := OriginOf(address) == OriginOf("https://auth.github.com/"); same != (dialled == "auth.github.com:443") {
			t.Errorf("%s is dialled at %s; the same origin: %v", address, dialled, same)
		}
	}
}

// revoke ends an account here, and returns what came of telling its service.
func (w *tokenWorld) revoke(account string) (Revocation, Revoked) {
	w.t.Helper()
	var gone Revocation
	w.tx(func(ctx context.Context, tx *db.Tx) (err error) {
		if gone, err = w.Revocation(ctx, tx, "con_1", account); err == nil {
			_, err = w.RevokeHere(ctx, tx, "con_1", account)
		}
		return err
	})
	return gone, gone.Do(w.t.Context())
}

// Tokens go to no server but the one that they are from, whoever edits the client.
func TestTokensStayAtTheirServer(t *testing.T) {
	t.Parallel()
	const here, there = "https://as.example.com", "https://collect.example.net"
	client := func(w *tokenWorld, account, tokenURL, revokeURL string) {
		w.put(account, "oauth2_authorization_code", "authorize_url", here+"/authorize", "token_url", tokenURL+"/token",
			"client_id", "switchgear", "client_secret", "made-up", "revoke_url", revokeURL)
	}
	// nowhere fails the test when anything is sent to the other server.
	nowhere := func(w *tokenWorld) {
		answer := w.endpoint.Answer
		w.endpoint.Answer = func(ctx context.Context, grant string, cfg oauth.Config, token string) (oauth.Token, error) {
			if grant == "revoke" && OriginOf(cfg.RevokeURL) != here || grant != "revoke" && OriginOf(cfg.TokenURL) != here {
				t.Errorf("%s: the token went to %s and %s", grant, cfg.TokenURL, cfg.RevokeURL)
			}
			return answer(ctx, grant, cfg, token)
		}
	}
	told := func(w *tokenWorld, account string, want Revoked) {
		t.Helper()
		gone, got := w.revoke(account)
		if got != want {
			t.Errorf("revoked: %+v, want %+v", got, want)
		}
		w.pass(time.Second) // the newest event
		if err := w.RecordRevoked(t.Context(), gone, got, systemActor()); err != nil {
			t.Fatal(err)
		}
		events, _, err := w.History(t.Context(), "con_1", account, 0, 1)
		if err != nil || got.Code != "" && (events[0].Kind != EventNotRevoked || events[0].Detail != NotRevoked(got.Code)) {
			t.Errorf("history: %+v, %v", events, err)
		}
	}
	t.Run("the revocation URL", func(t *testing.T) {
		t.Parallel()
		w := newTokenWorld(t, rotating)
		nowhere(w)
		client(w, DefaultAccount, here, there+"/revoke")
		// A renewal does not bind the new token to another server.
		if got, err := authorized(t.Context(), w.set(w.Vault)); err != nil || got != "Bearer access-1" {
			t.Fatalf("%q, %v", got, err)
		}
		told(w, DefaultAccount, Revoked{RevokedFailed, oauth.CodeOtherServer})
		client(w, DefaultAccount, here, here+"/v2/revoke")
		w.reconnect()
		told(w, DefaultAccount, Revoked{Result: RevokedDone})
	})
	t.Run("the token URL", func(t *testing.T) {
		t.Parallel()
		w := newTokenWorld(t, rotating)
		nowhere(w)
		client(w, DefaultAccount, there, there+"/revoke")
		if _, err := authorized(t.Context(), w.set(w.Vault)); fault.CodeOf(err) != "CREDENTIAL_NOT_CONNECTED" {
			t.Errorf("got %v", err)
		}
		told(w, DefaultAccount, Revoked{RevokedFailed, codeClientChanged})
		told(w, DefaultAccount, Revoked{}) // once is enough
	})
	t.Run("of the client that an account shares", func(t *testing.T) {
		t.Parallel()
		w := newTokenWorld(t, rotating)
		nowhere(w)
		w.put("acme", "oauth2_authorization_code")
		w.tx(func(ctx context.Context, tx *db.Tx) error {
			_, err := w.PutToken(ctx, tx, holderOf("acme"), oauth.Token{Access: "acme-0", Refresh: "acme-r", ExpiresIn: time.Minute})
			return err
		})
		w.pass(2 * time.Minute)
		client(w, DefaultAccount, there, there+"/revoke")
		if _, err := sent(t, w.set(w.Vault), "acme"); fault.CodeOf(err) != "CREDENTIAL_RENEWAL_FAILED" {
			t.Errorf("got %v", err)
		}
		client(w, DefaultAccount, here, "")
		wantSent(t, w.set(w.Vault), "acme", "Bearer access-1")
		client(w, DefaultAccount, there, there+"/revoke")
		told(w, "acme", Revoked{RevokedFailed, oauth.CodeOtherServer})
	})
	t.Run("after it was asked for", func(t *testing.T) {
		t.Parallel()
		w := newTokenWorld(t, rotating)
		nowhere(w)
		client(w, DefaultAccount, here, there+"/revoke")
		w.tx(func(ctx context.Context, tx *db.Tx) error {
			_, err := w.PutToken(ctx, tx, holderOf(DefaultAccount), oauth.Token{Access: "late", TokenURL: here + "/token"})
			return err
		})
		told(w, DefaultAccount, Revoked{RevokedFailed, oauth.CodeOtherServer})
	})
	t.Run("of an older release", func(t *testing.T) {
		t.Parallel()
		w := newTokenWorld(t, rotating)
		nowhere(w)
		w.tx(func(ctx context.Context, tx *db.Tx) error {
			r, err := w.store.current(ctx, tx, "con_1", DefaultAccount)
			if err != nil {
				return err
			}
			plaintext, err := json.Marshal(map[string]string{"access": "access-0", "refresh": "refresh-0"})
			if err != nil {
				return err
			}
			if r.token.sealed, r.token.keyID, err = w.sealer.Seal(r.held().aad, plaintext); err != nil {
				return err
			}
			return w.store.bindToken(ctx, tx, r)
		})
		if _, err := authorized(t.Context(), w.set(w.Vault)); fault.CodeOf(err) != "CREDENTIAL_RENEWAL_FAILED" {
			t.Errorf("before it is bound: %v", err)
		}
		w.pass(time.Hour)
		for _, want := range []int{1, 0} {
			w.tx(func(ctx context.Context, tx *db.Tx) error {
				n, err := w.Bind(ctx, tx, func(Credential) (string, error) { return upstream, nil })
				if n != want {
					t.Errorf("%d values were bound, want %d", n, want)
				}
				return err
			})
		}
		client(w, DefaultAccount, here, there+"/revoke")
		if got, err := authorized(t.Context(), w.set(w.Vault)); err != nil || got != "Bearer access-1" {
			t.Fatalf("%q, %v", got, err)
		}
		told(w, DefaultAccount, Revoked{RevokedFailed, oauth.CodeOtherServer})
	})
}
