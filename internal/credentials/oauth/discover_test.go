package oauth

import (
	"crypto/x509"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"switchgear/internal/credentials/authtype"
)

// documents serves texts by their path; SELF in them stands for the address of the server.
func documents(t *testing.T, texts map[string]string) (*httptest.Server, *x509.CertPool, *[]string) {
	t.Helper()
	var asked []string
	var s *httptest.Server
	s = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.URL.Path)
		text, ok := texts[r.URL.EscapedPath()]
		if !ok {
			http.NotFound(w, r)
			return
		}
		text = strings.ReplaceAll(text, "SELF", s.URL)
		if to, redirects := strings.CutPrefix(text, "-> "); redirects {
			http.Redirect(w, r, to, http.StatusFound)
			return
		}
		if told, challenges := strings.CutPrefix(text, "401 "); challenges {
			w.Header().Set("WWW-Authenticate", told)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		_, _ = io.WriteString(w, text)
	}))
	t.Cleanup(s.Close)
	roots := x509.NewCertPool()
	roots.AddCert(s.Certificate())
	return s, roots, &asked
}

func metadata(issuer string) string {
	return `{"issuer":"` + issuer + `","authorization_endpoint":"` + issuer + `/authorize","token_endpoint":"` + issuer + `/token"}`
}

func TestDiscover(t *testing.T) {
	const (
		rfc8414 = "/.well-known/oauth-authorization-server"
		oidc    = "/.well-known/openid-configuration"
		guarded = "/.well-known/oauth-protected-resource"
	)
	for name, tt := range map[string]struct {
		ask       string
		documents map[string]string
		// issuer and source are where it was found; code is why it was not.
		issuer, source string
		code           string
	}{
		"an issuer":                       {documents: map[string]string{rfc8414: metadata("SELF")}, issuer: "SELF", source: rfc8414},
		"with a slash at its end":         {ask: "/", documents: map[string]string{rfc8414: metadata("SELF")}, issuer: "SELF", source: rfc8414},
		"that writes itself with a slash": {documents: map[string]string{rfc8414: metadata("SELF/")}, issuer: "SELF/", source: rfc8414},
		"OpenID Connect":                  {documents: map[string]string{oidc: metadata("SELF")}, issuer: "SELF", source: oidc},
		"a path, in front of which":       {ask: "/tenant/7", documents: map[string]string{rfc8414 + "/tenant/7": metadata("SELF/tenant/7")}, issuer: "SELF/tenant/7", source: rfc8414 + "/tenant/7"},
		"a path, behind which":            {ask: "/tenant/7", documents: map[string]string{"/tenant/7" + oidc: metadata("SELF/tenant/7")}, issuer: "SELF/tenant/7", source: "/tenant/7" + oidc},
		"the document":                    {ask: oidc, documents: map[string]string{oidc: metadata("SELF")}, issuer: "SELF", source: oidc},
		"the document behind a path":      {ask: "/tenant/7" + oidc, documents: map[string]string{"/tenant/7" + oidc: metadata("SELF/tenant/7")}, issuer: "SELF/tenant/7", source: "/tenant/7" + oidc},
		"the document before a path":      {ask: rfc8414 + "/tenant/7", documents: map[string]string{rfc8414 + "/tenant/7": metadata("SELF/tenant/7")}, issuer: "SELF/tenant/7", source: rfc8414 + "/tenant/7"},
		"an API of the same host":         {ask: "/api/v1", documents: map[string]string{rfc8414: metadata("SELF")}, issuer: "SELF", source: rfc8414},
		"an API that says who guards it": {
			ask: "/api", documents: map[string]string{
				guarded + "/api":  `{"resource":"SELF/api","authorization_servers":["SELF/as"]}`,
				rfc8414 + "/as":   metadata("SELF/as"),
				"/as" + rfc8414:   metadata("SELF/wrong"),
				"/unrelated/path": "x",
			}, issuer: "SELF/as", source: rfc8414 + "/as",
		},
		"an API that says where it says so": {
			ask: "/api/v1", documents: map[string]string{
				"/api/v1":        `401 Bearer error="invalid_token", resource_metadata="SELF/meta"`,
				"/meta":          `{"resource":"SELF/api","authorization_servers":["SELF/as"]}`,
				rfc8414 + "/as":  metadata("SELF/as"),
				guarded + "/api": `{"resource":"SELF/api","authorization_servers":["SELF/never"]}`,
			}, issuer: "SELF/as", source: rfc8414 + "/as",
		},
		"an API that speaks for another": {
			ask: "/api", documents: map[string]string{
				guarded + "/api": `{"resource":"https://bank.example/api","authorization_servers":["SELF/as"]}`, rfc8414 + "/as": metadata("SELF/as"),
			}, code: CodeBadAnswer,
		},
		"an API with a longer name than asked for": {
			ask: "/api", documents: map[string]string{
				guarded + "/api": `{"resource":"SELF/ap","authorization_servers":["SELF/as"]}`, rfc8414 + "/as": metadata("SELF/as"),
			}, code: CodeBadAnswer,
		},
		"metadata elsewhere is not asked for": {
			ask: "/api", documents: map[string]string{"/api": `401 Bearer resource_metadata="https://evil.example/meta"`}, code: CodeBadAnswer,
		},
		"guards that are not safe": {
			ask: "/api", documents: map[string]string{guarded + "/api": `{"resource":"SELF/api","authorization_servers":["http://127.0.0.1:1/as","ftp://x","",7]}`}, code: CodeBadAnswer,
		},
		"guards that guard each other": {
			ask: "/api", documents: map[string]string{guarded + "/api": `{"resource":"SELF/api","authorization_servers":["SELF/api","SELF/api","SELF/api","SELF/api"]}`}, code: CodeBadAnswer,
		},
		"another issuer":      {documents: map[string]string{rfc8414: metadata("https://evil.example")}, code: CodeIssuer},
		"no issuer":           {documents: map[string]string{rfc8414: `{"token_endpoint":"SELF/token"}`}, code: CodeBadAnswer},
		"no endpoint":         {documents: map[string]string{rfc8414: `{"issuer":"SELF"}`}, code: CodeBadAnswer},
		"endpoints unsafe":    {documents: map[string]string{rfc8414: `{"issuer":"SELF","token_endpoint":"http://as.example/token"}`}, code: CodeBadAnswer},
		"a page":              {documents: map[string]string{rfc8414: "<html>", oidc: "<html>"}, code: CodeBadAnswer},
		"a document too long": {documents: map[string]string{rfc8414: `{"x":"` + strings.Repeat("x", maxAnswer) + `"}`}, code: CodeBadAnswer},
		"a redirect":          {documents: map[string]string{rfc8414: "-> SELF/real", "/real": metadata("SELF")}, code: CodeBadAnswer},
		"a redirect in a loop": {
			documents: map[string]string{rfc8414: "-> SELF" + oidc, oidc: "-> SELF" + rfc8414}, code: CodeBadAnswer,
		},
		"nothing": {code: CodeBadAnswer},
	} {
		t.Run(name, func(t *testing.T) {
			s, roots, asked := documents(t, tt.documents)
			m, err := client(t, roots).Discover(t.Context(), " "+s.URL+tt.ask+"?x=1#y ")
			if tt.code != "" {
				if e := failed(t, err); e.Code != tt.code || e.Step != StepDiscovery || e.Unknown {
					t.Errorf("%+v, want %s", e, tt.code)
				}
			} else {
				issuer := strings.ReplaceAll(tt.issuer, "SELF", s.URL)
				if err != nil || m.Issuer != issuer || m.Source != s.URL+tt.source || m.TokenURL != issuer+"/token" && m.TokenURL != issuer+"token" && m.TokenURL != strings.TrimSuffix(issuer, "/")+"//token" {
					t.Errorf("%+v, %v", m, err)
				}
			}
			if len(*asked) > 25 || slices.Contains(*asked, "/real") {
				t.Errorf("it asked for %d documents: %v", len(*asked), *asked)
			}
		})
	}
	for _, text := range []string{"", "as.example", "ftp://as.example", "https://", "https://user:" + canary + "@as.example", "\x7f"} {
		if e := failed(t, refused(client(t, nil).Discover(t.Context(), text))); e.Code != CodeClientConfig {
			t.Errorf("%q: %+v", text, e)
		}
	}
}

// What is said and left out: defaults of the specification, ways to authenticate that we speak, each once.
func TestMetadata(t *testing.T) {
	for name, tt := range map[string]struct {
		more   string
		styles []string
	}{
		"not told":      {"", []string{authtype.StyleBasic}},
		"each once":     {`,"token_endpoint_auth_methods_supported":["client_secret_post","none","private_key_jwt","self_signed_tls_client_auth","tls_client_auth","client_secret_jwt"]`, []string{authtype.StylePost, authtype.StylePrivateKeyJWT, authtype.StyleMutualTLS}},
		"none we speak": {`,"token_endpoint_auth_methods_supported":["client_secret_jwt"]`, nil},
	} {
		s, roots, _ := documents(t, map[string]string{"/.well-known/openid-configuration": strings.TrimSuffix(metadata("SELF"), "}") + tt.more +
			`,"revocation_endpoint":"SELF/revoke","device_authorization_endpoint":"SELF/device","registration_endpoint":"javascript:x","scopes_supported":["a","",7,"b"],"authorization_response_iss_parameter_supported":true}`})
		m, err := client(t, roots).Discover(t.Context(), s.URL)
		if err != nil {
			t.Fatal(err)
		}
		want := Metadata{
			Issuer: s.URL, AuthorizeURL: s.URL + "/authorize", TokenURL: s.URL + "/token", RevokeURL: s.URL + "/revoke", DeviceURL: s.URL + "/device",
			Scopes: []string{"a", "b"}, AuthStyles: tt.styles, NamesItself: true, Source: s.URL + "/.well-known/openid-configuration",
		}
		if diff := cmp.Diff(want, m); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestRegister(t *testing.T) {
	for name, tt := range map[string]struct {
		reg    Registration
		sent   map[string]any
		status int
		answer string
		want   [3]string // id, secret, style
		code   string
	}{
		"a confidential client": {
			reg:    Registration{Name: "Shop", RedirectURI: "https://sg.example/cb", Scopes: []string{"a", "b"}, AuthStyle: authtype.StyleBasic, Grants: []string{"authorization_code", "refresh_token"}},
			sent:   map[string]any{"client_name": "Shop", "redirect_uris": []any{"https://sg.example/cb"}, "scope": "a b", "response_types": []any{"code"}, "grant_types": []any{"authorization_code", "refresh_token"}, "token_endpoint_auth_method": "client_secret_basic"},
			status: 201, answer: `{"client_id":"c1","client_secret":"s-` + canary + `"}`, want: [3]string{"c1", "s-" + canary, authtype.StyleBasic},
		},
		"the server chooses another way": {
			reg:    Registration{Name: "Shop", RedirectURI: "https://sg.example/cb", AuthStyle: authtype.StyleBasic, Grants: []string{"authorization_code"}},
			sent:   map[string]any{"client_name": "Shop", "redirect_uris": []any{"https://sg.example/cb"}, "response_types": []any{"code"}, "grant_types": []any{"authorization_code"}, "token_endpoint_auth_method": "client_secret_basic"},
			status: 200, answer: `{"client_id":"c1","client_secret":"s","token_endpoint_auth_method":"client_secret_post"}`, want: [3]string{"c1", "s", authtype.StylePost},
		},
		"a public client without a browser": {
			reg:    Registration{Name: "Shop", Grants: []string{"urn:ietf:params:oauth:grant-type:device_code"}},
			sent:   map[string]any{"client_name": "Shop", "response_types": []any{}, "grant_types": []any{"urn:ietf:params:oauth:grant-type:device_code"}, "token_endpoint_auth_method": "none"},
			status: 201, answer: `{"client_id":"c1"}`, want: [3]string{"c1", "", authtype.StylePost},
		},
		"refused":        {status: 400, answer: `{"error":"invalid_redirect_uri","error_description":"` + canary + `"}`, code: "invalid_redirect_uri"},
		"not for us":     {status: 403, answer: canary, code: CodeRefused},
		"without an id":  {status: 201, answer: `{"client_secret":"` + canary + `"}`, code: CodeBadAnswer},
		"with a key":     {reg: Registration{AuthStyle: authtype.StylePrivateKeyJWT}, code: CodeClientConfig},
		"a redirect":     {status: 302, answer: "", code: CodeBadAnswer},
		"too much of it": {status: 201, answer: strings.Repeat("x", maxAnswer+1), code: CodeBadAnswer},
	} {
		t.Run(name, func(t *testing.T) {
			var sent map[string]any
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if err := json.NewDecoder(r.Body).Decode(&sent); err != nil || r.Header.Get("Content-Type") != "application/json" {
					t.Errorf("%v, %v", r.Header, err)
				}
				w.WriteHeader(tt.status)
				_, _ = io.WriteString(w, tt.answer)
			}))
			t.Cleanup(s.Close)
			got, err := client(t, nil).Register(t.Context(), s.URL, tt.reg)
			if tt.code != "" {
				if e := failed(t, err); e.Code != tt.code || e.Step != StepRegister {
					t.Errorf("%+v, want %s", e, tt.code)
				}
				return
			}
			if err != nil || [3]string{got.ClientID, got.ClientSecret, got.AuthStyle} != tt.want {
				t.Errorf("%v, %v", got, err)
			}
			if diff := cmp.Diff(tt.sent, sent); diff != "" {
				t.Errorf("sent (-want +got):\n%s", diff)
			}
		})
	}
}
