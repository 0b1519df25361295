package credentials

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"net"
	"net/http"
	"strings"
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

func signingKey(t *testing.T) string {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

// The secret of a client that an account has of its own goes to no other server when the client that it shares the
// rest with is changed, and that of a shared client to none that an account names.
func TestSecretOfAnAccountStaysAtItsServer(t *testing.T) {
	t.Parallel()
	const here, there, kind = "https://as.example.com", "https://collect.example.net", "oauth2_authorization_code"
	shared := func(w *tokenWorld, at string, more ...string) {
		w.put(DefaultAccount, kind, append([]string{"authorize_url", at + "/authorize", "token_url", at + "/token", "client_id", "switchgear", "client_secret", "theirs"}, more...)...)
	}
	try := func(w *tokenWorld, account string, pairs ...string) error {
		return w.db.InTx(t.Context(), func(tx *db.Tx) error {
			_, err := w.Put(t.Context(), tx, holderOf(account), kind, mapOf(pairs))
			return err
		})
	}
	// refused wants the client of an account not to be used: about a field, with what to do.
	refused := func(w *tokenWorld, account, field string) {
		t.Helper()
		err := w.db.InTx(t.Context(), func(tx *db.Tx) error {
			cfg, _, err := w.Client(t.Context(), tx, "con_1", account)
			if cfg.ClientSecret != "" {
				t.Errorf("%s: the client is told to be at %s", account, cfg.TokenURL)
			}
			return err
		})
		wantCode(t, err, fault.Invalid, "AUTH_FIELD_REQUIRED")
		if f, ok := errors.AsType[*fault.Error](err); !ok || f.Details.Field != authtype.FieldPath(field) || f.Details.Suggestion == "" {
			t.Errorf("about %+v", err)
		}
	}
	used := func(w *tokenWorld, account, secret, at string) {
		t.Helper()
		w.tx(func(ctx context.Context, tx *db.Tx) error {
			cfg, _, err := w.Client(ctx, tx, "con_1", account)
			if cfg.ClientSecret != secret || OriginOf(cfg.TokenURL) != at {
				t.Errorf("%s: the secret is used at %s", account, cfg.TokenURL)
			}
			return err
		})
	}
	own := []string{"client_id", "acme", "client_secret", "own"}
	t.Run("the shared client is changed", func(t *testing.T) {
		t.Parallel()
		w := newTokenWorld(t, rotating)
		w.put("acme", kind, own...)
		w.put("plain", kind)
		used(w, "acme", "own", here)
		shared(w, there)
		refused(w, "acme", "client_secret")
		used(w, "plain", "theirs", there)
		w.put("acme", kind, "client_id", "acme", "scopes", "read") // Nothing secret: it stays where it was.
		refused(w, "acme", "client_secret")
		shared(w, here)
		used(w, "acme", "own", here)
		shared(w, there)
		w.put("acme", kind, own...) // the same one, by who knows it
		used(w, "acme", "own", there)
	})
	t.Run("another endpoint of the shared client", func(t *testing.T) {
		t.Parallel()
		for _, key := range []string{"revoke_url", "device_authorization_url"} {
			w := newTokenWorld(t, rotating)
			kind := map[string]string{"revoke_url": kind, "device_authorization_url": "oauth2_device_code"}[key]
			client := []string{"token_url", here + "/token", "client_id", "switchgear", "client_secret", "theirs", "device_authorization_url", here + "/device"}
			if kind != "oauth2_device_code" {
				client = append(client[:6:6], "authorize_url", here+"/authorize")
			}
			w.put(DefaultAccount, kind, client...)
			w.put("acme", kind, own...)
			w.put(DefaultAccount, kind, append(client, key, here+"/v2")...)
			used(w, "acme", "own", here)
			w.put(DefaultAccount, kind, append(client, key, there)...)
			refused(w, "acme", "client_secret")
		}
	})
	t.Run("one of two secrets is entered again", func(t *testing.T) {
		t.Parallel()
		w := newTokenWorld(t, rotating)
		mine := append([]string{"algorithm", "ES256"}, own...)
		both := append([]string{"private_key", signingKey(t)}, mine...)
		w.put("acme", kind, both...)
		shared(w, there)
		err := try(w, "acme", mine...)
		wantCode(t, err, fault.Invalid, "AUTH_FIELD_REQUIRED")
		if f, ok := errors.AsType[*fault.Error](err); !ok || f.Details.Field != authtype.FieldPath("private_key") {
			t.Errorf("about %+v", err)
		}
		refused(w, "acme", "client_secret")
		w.put("acme", kind, both...)
		used(w, "acme", "own", there)
	})
	t.Run("a server of the account", func(t *testing.T) {
		t.Parallel()
		w := newTokenWorld(t, rotating)
		public := []string{"authorize_url", here + "/authorize", "token_url", here + "/token", "client_id", "switchgear"}
		w.tx(func(ctx context.Context, tx *db.Tx) error { return w.Delete(ctx, tx, "con_1", DefaultAccount) })
		w.put(DefaultAccount, kind, public...)
		w.put("acme", kind, "token_url", there+"/token")
		used(w, "acme", "", there) // There is nothing secret of a public client.
		shared(w, here)
		refused(w, "acme", "client_secret")
		w.put("acme", kind, "token_url", there+"/token", "client_secret", "own")
		used(w, "acme", "own", there)
	})
	t.Run("with a token of it", func(t *testing.T) {
		t.Parallel()
		w := newTokenWorld(t, rotating)
		w.put("acme", kind, own...)
		w.tx(func(ctx context.Context, tx *db.Tx) error {
			_, err := w.PutToken(ctx, tx, holderOf("acme"), oauth.Token{Access: "a", Refresh: "r", ExpiresIn: time.Minute})
			return err
		})
		w.pass(2 * time.Minute)
		shared(w, there, "revoke_url", there+"/revoke")
		_, err := sent(t, w.set(w.Vault), "acme")
		wantCode(t, err, fault.Unavailable, "CREDENTIAL_RENEWAL_FAILED")
		// Another consent is of no help: it is refused as well.
		if why := fault.PublicMessage(err); !strings.Contains(why, "("+oauth.CodeClientServer+")") || !strings.Contains(why, "Enter the client secret of the account again") || strings.Contains(why, "Connect") {
			t.Errorf("the advice: %s", why)
		}
		if gone, got := w.revoke("acme"); got != (Revoked{RevokedFailed, oauth.CodeClientServer}) || !strings.Contains(NotRevoked(got.Code), "the client secret of the account was entered for") {
			t.Errorf("revoked %s: %+v", gone.Of().Account, got)
		}
		if asked := w.endpoint.Asked("refresh_token") + w.endpoint.Asked("revoke"); asked > 0 {
			t.Errorf("the server was asked %d times", asked)
		}
	})
	withoutServers := func(w *tokenWorld) { // as an older release stored it
		w.tx(func(ctx context.Context, tx *db.Tx) error {
			r, err := w.store.current(ctx, tx, "con_1", "acme")
			if err != nil {
				return err
			}
			if r.sealed, r.keyID, err = w.sealer.Seal(r.aad(), []byte(`{"client_id":"acme","client_secret":"own"}`)); err != nil {
				return err
			}
			return w.store.bind(ctx, tx, r)
		})
	}
	t.Run("of an older release, moved since", func(t *testing.T) {
		t.Parallel()
		w := newTokenWorld(t, rotating)
		w.put("acme", kind, own...)
		w.tx(func(ctx context.Context, tx *db.Tx) error {
			_, err := w.PutToken(ctx, tx, holderOf("acme"), oauth.Token{Access: "a", Refresh: "r", ExpiresIn: time.Minute})
			return err
		})
		withoutServers(w)
		shared(w, there)
		w.tx(func(ctx context.Context, tx *db.Tx) error {
			_, err := w.Bind(ctx, tx, func(Credential) (string, error) { return upstream, nil })
			return err
		})
		refused(w, "acme", "client_secret")
	})
	t.Run("of an older release", func(t *testing.T) {
		t.Parallel()
		w := newTokenWorld(t, rotating)
		w.put("acme", kind, own...)
		withoutServers(w)
		refused(w, "acme", "client_secret") // not before it is bound
		for _, want := range []int{1, 0} {
			w.tx(func(ctx context.Context, tx *db.Tx) error {
				n, err := w.Bind(ctx, tx, func(Credential) (string, error) { return upstream, nil })
				if n != want {
					t.Errorf("%d values were bound, want %d", n, want)
				}
				return err
			})
		}
		used(w, "acme", "own", here)
		shared(w, there)
		refused(w, "acme", "client_secret")
	})
}

// A consent stays with the server that it was given at: another path of the same server forgets none.
func TestConsentStaysWithItsServer(t *testing.T) {
	t.Parallel()
	const here = "https://as.example.com"
	for name, c := range map[string]struct {
		change []string
		kept   bool
	}{
		"the path of the token URL":         {[]string{"token_url", here + "/v2/token"}, true},
		"the path of the authorize URL":     {[]string{"authorize_url", here + "/v2/authorize"}, true},
		"the same port, written out":        {[]string{"token_url", "https://AS.example.com:443/token"}, true},
		"a new secret":                      {[]string{"client_secret", "another"}, true},
		"scopes":                            {[]string{"scopes", "read"}, true},
		"another host of the token URL":     {[]string{"token_url", "https://other.example.com/token", "client_secret", "another"}, false},
		"another port of the token URL":     {[]string{"token_url", here + ":8443/token", "client_secret", "another"}, false},
		"another scheme of the token URL":   {[]string{"token_url", "http://as.example.com/token", "client_secret", "another"}, false},
		"another host of the authorize URL": {[]string{"authorize_url", "https://other.example.com/authorize"}, false},
		"another client":                    {[]string{"client_id", "another", "client_secret", "another"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newTokenWorld(t, rotating)
			values := append([]string{"authorize_url", here + "/authorize", "token_url", here + "/token", "client_id", "switchgear"}, c.change...)
			w.put(DefaultAccount, "oauth2_authorization_code", values...)
			got, err := authorized(t.Context(), w.set(w.Vault))
			if c.kept && (err != nil || got != "Bearer access-1") || !c.kept && fault.CodeOf(err) != "CREDENTIAL_NOT_CONNECTED" {
				t.Errorf("%q, %v", got, err)
			}
		})
	}
}

// What an account enters over the client that it shares is compared with that client.
func TestConsentStaysWithTheServerOfTheSharedClient(t *testing.T) {
	t.Parallel()
	const here, kind = "https://as.example.com", "oauth2_authorization_code"
	own := []string{"token_url", here + "/v2/token"}
	for name, c := range map[string]struct {
		before, change []string
		kept           bool
	}{
		"the path of the token URL":      {nil, own, true},
		"the path of the authorize URL":  {nil, []string{"authorize_url", here + "/v2/authorize"}, true},
		"what the shared client has":     {nil, []string{"token_url", here + "/token", "client_id", "switchgear"}, true},
		"back to the shared client":      {own, nil, true},
		"scopes":                         {nil, []string{"scopes", "read"}, true},
		"another host":                   {nil, []string{"token_url", "https://other.example.com/token", "client_secret", "own"}, false},
		"another client":                 {nil, []string{"client_id", "acme", "client_secret", "own"}, false},
		"back from another client of it": {[]string{"client_id", "acme", "client_secret", "own"}, []string{"client_secret", "own"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newTokenWorld(t, rotating)
			w.put("acme", kind, c.before...)
			w.tx(func(ctx context.Context, tx *db.Tx) error {
				_, err := w.PutToken(ctx, tx, holderOf("acme"), oauth.Token{Access: "a", Refresh: "r", ExpiresIn: time.Minute})
				return err
			})
			w.pass(2 * time.Minute)
			w.put("acme", kind, c.change...)
			got, err := sent(t, w.set(w.Vault), "acme")
			if c.kept && (err != nil || got != "Bearer access-1") || !c.kept && fault.CodeOf(err) != "CREDENTIAL_NOT_CONNECTED" {
				t.Errorf("%q, %v", got, err)
			}
		})
	}
}
