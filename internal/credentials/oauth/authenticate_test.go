package oauth

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/go-cmp/cmp"

	"switchgear/internal/credentials/authtype"
)

const tokenAnswer = `{"access_token":"at-` + canary + `","token_type":"bearer","expires_in":3600,"refresh_token":"rt-` + canary + `"}`

// What a client shows of itself, in each style, and nothing beside it.
func TestClientAuthentication(t *testing.T) {
	for name, tt := range map[string]struct {
		change func(c *Config)
		header string
		form   url.Values
	}{
		"basic": {
			change: func(*Config) {},
			header: "Basic c2hvcDpzZWNyZXQtY2FuYXJ5NDcxMQ==", form: url.Values{},
		},
		"basic, both parts form-encoded": {
			change: func(c *Config) { c.ClientID, c.ClientSecret = "a:b c", "p%+&é" },
			header: "Basic YSUzQWIrYzpwJTI1JTJCJTI2JUMzJUE5", form: url.Values{},
		},
		"post": {
			change: func(c *Config) { c.AuthStyle = authtype.StylePost },
			form:   url.Values{"client_id": {"shop"}, "client_secret": {"secret-" + canary}},
		},
		"public": {
			change: func(c *Config) { c.ClientSecret = "" },
			form:   url.Values{"client_id": {"shop"}},
		},
		"extra parameters never take the place of ours": {
			change: func(c *Config) {
				c.TokenParams = url.Values{"resource": {"https://a.example", "https://b.example"}, "refresh_token": {"other"}, "grant_type": {"other"}, "client_id": {"other"}}
				c.AuthStyle = authtype.StylePost
			},
			form: url.Values{
				"client_id": {"shop"}, "client_secret": {"secret-" + canary}, "resource": {"https://a.example", "https://b.example"},
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			s, seen := server(t, http.StatusOK, "application/json", tokenAnswer)
			cfg := config(s.URL)
			tt.change(&cfg)
			if _, err := client(t, nil).Refresh(t.Context(), cfg, "rt"); err != nil {
				t.Fatal(err)
			}
			got := (*seen)[0]
			tt.form.Set("grant_type", "refresh_token")
			tt.form.Set("refresh_token", "rt")
			if diff := cmp.Diff(tt.form, got.form); diff != "" {
				t.Errorf("form (-want +got):\n%s", diff)
			}
			if got.header.Get("Authorization") != tt.header {
				t.Errorf("authorization %q, want %q", got.header.Get("Authorization"), tt.header)
			}
			if got.header.Get("Accept") != "application/json" || got.header.Get("Content-Type") != "application/x-www-form-urlencoded" {
				t.Errorf("header %v", got.header)
			}
		})
	}
}

// The server verifies the assertion with the public key, as RFC 7523 3 says.
func TestPrivateKeyJWT(t *testing.T) {
	key, text := keyPEM(t)
	s, seen := server(t, http.StatusOK, "application/json", tokenAnswer)
	cfg := config(s.URL)
	cfg.AuthStyle, cfg.PrivateKey, cfg.KeyID, cfg.Algorithm = authtype.StylePrivateKeyJWT, text, "k1", "ES256"
	ids := map[string]bool{}
	for range 2 {
		if _, err := client(t, nil).ClientCredentials(t.Context(), cfg); err != nil {
			t.Fatal(err)
		}
		form := (*seen)[len(*seen)-1].form
		if form.Get("client_assertion_type") != "urn:ietf:params:oauth:client-assertion-type:jwt-bearer" || form.Get("client_id") != "shop" || form.Has("client_secret") {
			t.Errorf("form %v", form)
		}
		claims := verified(t, form.Get("client_assertion"), "k1", &key.PublicKey)
		want := jwt.MapClaims{"iss": "shop", "sub": "shop", "aud": s.URL, "iat": float64(now().Unix()), "exp": float64(now().Add(assertionLife).Unix()), "jti": claims["jti"]}
		if diff := cmp.Diff(want, claims); diff != "" {
			t.Errorf("claims (-want +got):\n%s", diff)
		}
		id, _ := claims["jti"].(string)
		if len(id) < 20 || ids[id] {
			t.Errorf("jti %q is short, or was used before", id)
		}
		ids[id] = true
	}
	cfg.PrivateKey = "-----BEGIN PRIVATE KEY-----\n" + canary
	if e := failed(t, refused(client(t, nil).ClientCredentials(t.Context(), cfg))); e.Code != CodeClientConfig || e.Unknown {
		t.Errorf("a broken key: %+v", e)
	}
}

func verified(t *testing.T, assertion, keyID string, key any) jwt.MapClaims {
	t.Helper()
	token, err := jwt.Parse(assertion, func(token *jwt.Token) (any, error) {
		if id, _ := token.Header["kid"].(string); id != keyID || token.Method.Alg() != "ES256" {
			return nil, errors.New("another key")
		}
		return key, nil
	}, jwt.WithTimeFunc(now))
	if err != nil {
		t.Fatal(err)
	}
	claims, _ := token.Claims.(jwt.MapClaims)
	return claims
}

func refused[T any](_ T, err error) error { return err }

// The grant itself is an assertion: with the claims that were entered, and those that every one has.
func TestJWTBearer(t *testing.T) {
	key, text := keyPEM(t)
	s, seen := server(t, http.StatusOK, "application/json", tokenAnswer)
	cfg := config(s.URL)
	cfg.PrivateKey, cfg.Algorithm, cfg.Scopes, cfg.Subject = text, "ES256", []string{"read", "write"}, "robot@example.com"
	cfg.Claims = `{"aud":"https://aud.example","account":12345678901234567890,"nested":{"a":[1]}}`
	if _, err := client(t, nil).JWTBearer(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	got := (*seen)[0]
	if got.header.Get("Authorization") != "" || got.form.Has("client_id") || got.form.Has("client_secret") {
		t.Errorf("the assertion says who asks, and yet: %v %v", got.header, got.form)
	}
	claims := verified(t, got.form.Get("assertion"), "", &key.PublicKey)
	for name, want := range map[string]any{
		"iss": "shop", "sub": "robot@example.com", "aud": "https://aud.example", "scope": "read write", "account": 12345678901234567890.0,
	} {
		if claims[name] != want {
			t.Errorf("%s: %v, want %v", name, claims[name], want)
		}
	}
	if got.form.Get("grant_type") != "urn:ietf:params:oauth:grant-type:jwt-bearer" || got.form.Get("scope") != "read write" {
		t.Errorf("form %v", got.form)
	}
}

// A server that asks for a certificate gets the one of the client, and nobody else's.
func TestMutualTLS(t *testing.T) {
	key, keyText := keyPEM(t)
	certificate := certificatePEM(t, key, "shop")
	known := x509.NewCertPool()
	known.AppendCertsFromPEM([]byte(certificate))
	var names []string
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		names = append(names, r.TLS.PeerCertificates[0].Subject.CommonName+" "+r.FormValue("client_id"))
		_, _ = io.WriteString(w, tokenAnswer)
	}))
	s.TLS = &tls.Config{MinVersion: tls.VersionTLS12, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: known}
	s.StartTLS()
	t.Cleanup(s.Close)
	roots := x509.NewCertPool()
	roots.AddCert(s.Certificate())

	cfg := config(s.URL)
	cfg.AuthStyle, cfg.ClientCertificate, cfg.ClientKey = authtype.StyleMutualTLS, certificate, keyText
	c := client(t, roots)
	if _, err := c.ClientCredentials(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"shop shop"}, names); diff != "" {
		t.Errorf("certificates (-want +got):\n%s", diff)
	}
	// The same client with another way to authenticate presents nothing.
	cfg.AuthStyle = authtype.StyleBasic
	_ = failed(t, refused(c.ClientCredentials(t.Context(), cfg)))
	other, otherText := keyPEM(t)
	cfg.AuthStyle, cfg.ClientCertificate, cfg.ClientKey = authtype.StyleMutualTLS, certificatePEM(t, other, "thief"), otherText
	_ = failed(t, refused(c.ClientCredentials(t.Context(), cfg)))
	cfg.ClientKey = keyText
	if e := failed(t, refused(c.ClientCredentials(t.Context(), cfg))); e.Code != CodeClientConfig || e.Unknown {
		t.Errorf("a key of another certificate: %+v", e)
	}
	if len(names) != 1 {
		t.Errorf("the server let in %v", names)
	}
}

// A way to authenticate that does not exist sends nothing.
func TestUnknownStyle(t *testing.T) {
	s, seen := server(t, http.StatusOK, "application/json", tokenAnswer)
	for _, style := range []string{"", "auto", "tls_client_auth"} {
		cfg := config(s.URL)
		cfg.AuthStyle = style
		if e := failed(t, refused(client(t, nil).Refresh(t.Context(), cfg, "rt"))); e.Code != CodeClientConfig || e.Unknown {
			t.Errorf("%q: %+v", style, e)
		}
	}
	if len(*seen) != 0 {
		t.Errorf("%d requests", len(*seen))
	}
}

// The address of consent has everything of the protocol; what is set up beside it stays, and replaces nothing.
func TestAuthorizationURL(t *testing.T) {
	cfg := Config{
		AuthorizeURL: "https://as.example/auth?tenant=7&state=fixed", ClientID: "shop", Scopes: []string{"read", "write:all"},
		AuthorizeParams: url.Values{"access_type": {"offline"}, "code_challenge_method": {"plain"}},
	}
	text, err := AuthorizationURL(cfg, "st", "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk", "https://sg.example/oauth/callback/x")
	if err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	want := url.Values{
		"tenant": {"7"}, "access_type": {"offline"}, "state": {"st"}, "client_id": {"shop"}, "response_type": {"code"}, "scope": {"read write:all"},
		"redirect_uri":   {"https://sg.example/oauth/callback/x"},
		"code_challenge": {"E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"}, "code_challenge_method": {"S256"}, // RFC 7636 B
	}
	if diff := cmp.Diff(want, u.Query()); diff != "" || u.Host != "as.example" || u.Path != "/auth" {
		t.Errorf("%s (-want +got):\n%s", text, diff)
	}
	if a, b := NewVerifier(), NewVerifier(); len(a) != 43 || a == b {
		t.Errorf("verifiers %q and %q", a, b)
	}
}

// Exchange and device grants send what their specifications ask for.
func TestGrantForms(t *testing.T) {
	for name, tt := range map[string]struct {
		ask  func(ctx context.Context, c *Client, cfg Config) error
		want url.Values
	}{
		"code": {
			ask: func(ctx context.Context, c *Client, cfg Config) error {
				return refused(c.Exchange(ctx, cfg, "the-code", "the-verifier", "https://sg.example/cb"))
			},
			want: url.Values{"grant_type": {"authorization_code"}, "code": {"the-code"}, "code_verifier": {"the-verifier"}, "redirect_uri": {"https://sg.example/cb"}},
		},
		"client credentials": {
			ask:  func(ctx context.Context, c *Client, cfg Config) error { return refused(c.ClientCredentials(ctx, cfg)) },
			want: url.Values{"grant_type": {"client_credentials"}, "scope": {"read write"}},
		},
		"device": {
			ask:  func(ctx context.Context, c *Client, cfg Config) error { return refused(c.PollDevice(ctx, cfg, "dc")) },
			want: url.Values{"grant_type": {"urn:ietf:params:oauth:grant-type:device_code"}, "device_code": {"dc"}},
		},
		"revocation": {
			ask: func(ctx context.Context, c *Client, cfg Config) error {
				cfg.RevokeURL, cfg.TokenURL = cfg.TokenURL, ""
				return c.Revoke(ctx, cfg, "rt", "refresh_token")
			},
			want: url.Values{"token": {"rt"}, "token_type_hint": {"refresh_token"}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			s, seen := server(t, http.StatusOK, "application/json", tokenAnswer)
			cfg := config(s.URL)
			cfg.Scopes = []string{"read", "write"}
			if err := tt.ask(t.Context(), client(t, nil), cfg); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, (*seen)[0].form); diff != "" {
				t.Errorf("form (-want +got):\n%s", diff)
			}
		})
	}
}

func TestDeviceAuthorization(t *testing.T) {
	for name, tt := range map[string]struct {
		body string
		want Device
		code string
	}{
		"as the specification writes it": {
			body: `{"device_code":"dc","user_code":"AB-CD","verification_uri":"https://as.example/d","verification_uri_complete":"https://as.example/d?c=AB","expires_in":600,"interval":7}`,
			want: Device{Code: "dc", UserCode: "AB-CD", VerificationURL: "https://as.example/d", CompleteURL: "https://as.example/d?c=AB", Interval: 7 * time.Second, ExpiresIn: 10 * time.Minute},
		},
		"the bare minimum": {
			body: `{"device_code":"dc","user_code":"AB-CD","verification_url":"https://as.example/d"}`,
			want: Device{Code: "dc", UserCode: "AB-CD", VerificationURL: "https://as.example/d", Interval: defaultDeviceInterval, ExpiresIn: defaultDeviceLife},
		},
		"an interval without end": {
			body: `{"device_code":"dc","user_code":"AB-CD","verification_uri":"https://as.example/d","interval":86400}`,
			want: Device{Code: "dc", UserCode: "AB-CD", VerificationURL: "https://as.example/d", Interval: maxDeviceInterval, ExpiresIn: defaultDeviceLife},
		},
		"no link is shown that is none": {
			body: `{"device_code":"dc","user_code":"AB-CD","verification_uri":"javascript:alert(1)"}`, code: CodeBadAnswer,
		},
		"nor one beside it": {
			body: `{"device_code":"dc","user_code":"AB-CD","verification_uri":"https://as.example/d","verification_uri_complete":"javascript:alert(1)"}`,
			want: Device{Code: "dc", UserCode: "AB-CD", VerificationURL: "https://as.example/d", Interval: defaultDeviceInterval, ExpiresIn: defaultDeviceLife},
		},
	} {
		t.Run(name, func(t *testing.T) {
			s, seen := server(t, http.StatusOK, "application/json", tt.body)
			cfg := config("")
			cfg.DeviceURL, cfg.Scopes = s.URL, []string{"read"}
			got, err := client(t, nil).StartDevice(t.Context(), cfg)
			if tt.code != "" {
				if e := failed(t, err); e.Code != tt.code || e.Step != StepDevice {
					t.Errorf("%+v", e)
				}
				return
			}
			if err != nil || got != tt.want {
				t.Errorf("%#v, want %#v, %v", got, tt.want, err)
			}
			if form := (*seen)[0].form; form.Get("client_id") != "shop" || form.Get("scope") != "read" {
				t.Errorf("form %v", form)
			}
		})
	}
	if SlowDown(5*time.Second) != 10*time.Second || SlowDown(maxDeviceInterval) != maxDeviceInterval {
		t.Error("a slower interval is five seconds longer, up to a minute")
	}
}
