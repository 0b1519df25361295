package oauth

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"switchgear/internal/credentials/authtype"
	"switchgear/internal/nettest"
	"switchgear/internal/sandbox"
	"switchgear/internal/telemetry"
)

// parts of a token, which compares without printing it.
type parts struct {
	Access, Refresh, Type string
	Scopes                []string
	ExpiresIn             time.Duration
}

// Servers write the same thing in many ways.
func TestTokenAnswers(t *testing.T) {
	const form = "application/x-www-form-urlencoded"
	for name, tt := range map[string]struct {
		contentType, body string
		want              parts
	}{
		"all of it": {
			body: `{"access_token":"a","refresh_token":"r","token_type":"Bearer","expires_in":3600,"scope":"read write"}`,
			want: parts{"a", "r", "Bearer", []string{"read", "write"}, time.Hour},
		},
		"scopes not told":           {body: `{"access_token":"a"}`, want: parts{Access: "a"}},
		"scopes null":               {body: `{"access_token":"a","scope":null}`, want: parts{Access: "a"}},
		"no scope":                  {body: `{"access_token":"a","scope":""}`, want: parts{Access: "a", Scopes: []string{}}},
		"scopes with commas":        {body: `{"access_token":"a","scope":"repo,user, gist"}`, want: parts{Access: "a", Scopes: []string{"repo", "user", "gist"}}},
		"scopes as a list":          {body: `{"access_token":"a","scope":["read",7,"write"]}`, want: parts{Access: "a", Scopes: []string{"read", "write"}}},
		"expires_in as text":        {body: `{"access_token":"a","expires_in":"3600"}`, want: parts{Access: "a", ExpiresIn: time.Hour}},
		"expires_in with fractions": {body: `{"access_token":"a","expires_in":3599.97}`, want: parts{Access: "a", ExpiresIn: 3599 * time.Second}},
		"expires_in with exponent":  {body: `{"access_token":"a","expires_in":3.6e3}`, want: parts{Access: "a", ExpiresIn: time.Hour}},
		"expires_in zero":           {body: `{"access_token":"a","expires_in":0}`, want: parts{Access: "a"}},
		"expires_in negative":       {body: `{"access_token":"a","expires_in":-1}`, want: parts{Access: "a"}},
		"expires_in huge":           {body: `{"access_token":"a","expires_in":1e300}`, want: parts{Access: "a"}},
		"expires_in beyond numbers": {body: `{"access_token":"a","expires_in":"1e999"}`, want: parts{Access: "a"}},
		"expires_in a word":         {body: `{"access_token":"a","expires_in":"1h30"}`, want: parts{Access: "a"}},
		"expires_in null":           {body: `{"access_token":"a","expires_in":null}`, want: parts{Access: "a"}},
		"expires_in an object":      {body: `{"access_token":"a","expires_in":{"s":1}}`, want: parts{Access: "a"}},
		"a form": {
			contentType: form, body: "access_token=a&refresh_token=r&scope=repo%2Cuser&token_type=bearer&expires_in=60\n",
			want: parts{"a", "r", "bearer", []string{"repo", "user"}, time.Minute},
		},
		"a form that says it is text": {contentType: "text/plain; charset=utf-8", body: "access_token=a", want: parts{Access: "a"}},
		"JSON that says it is a page": {contentType: "text/html", body: `{"access_token":"a"}`, want: parts{Access: "a"}},
		"something behind the object": {body: `{"access_token":"a"} trailing`, want: parts{Access: "a"}},
	} {
		t.Run(name, func(t *testing.T) {
			s, _ := server(t, http.StatusOK, either(tt.contentType, "application/json"), tt.body)
			got, err := client(t, nil).Refresh(t.Context(), config(s.URL), "rt")
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, parts{got.Access, got.Refresh, got.Type, got.Scopes, got.ExpiresIn}); diff != "" {
				t.Errorf("token (-want +got):\n%s", diff)
			}
			if got.TokenURL != config(s.URL).TokenURL || got.RevokeURL != config(s.URL).RevokeURL {
				t.Errorf("it is from %q and %q", got.TokenURL, got.RevokeURL)
			}
		})
	}
}

// Whatever a server says instead of a token: a code that is ours or registered, whether it may have acted, and
// nothing of what it said.
func TestFailedAnswers(t *testing.T) {
	page := "<!doctype html><title>" + canary + "</title>"
	for name, tt := range map[string]struct {
		status      int
		contentType string
		body        string
		code        string
		unknown     bool
	}{
		"an error":                        {400, "application/json", `{"error":"invalid_grant","error_description":"` + canary + `"}`, CodeInvalidGrant, false},
		"an error with status 200":        {200, "application/json", `{"error":"invalid_client"}`, "invalid_client", false},
		"an error in a form":              {200, "application/x-www-form-urlencoded", `error=access_denied&error_description=` + canary, CodeDenied, false},
		"an error of a vendor":            {200, "application/json", `{"error":"bad_refresh_token"}`, CodeInvalidGrant, false},
		"an unknown error":                {400, "application/json", `{"error":"` + canary + `"}`, CodeRefused, false},
		"an unknown error, status 200":    {200, "application/json", `{"ok":false,"error":"` + canary + `"}`, CodeRefused, false},
		"an error that is no text":        {400, "application/json", `{"error":{"message":"` + canary + `"}}`, CodeRefused, false},
		"no error code":                   {401, "application/json", `{}`, CodeRefused, false},
		"a page":                          {200, "text/html", page, CodeBadAnswer, true},
		"a page not found":                {404, "text/html", page, CodeRefused, false},
		"a page that says it is a form":   {200, "application/x-www-form-urlencoded", page, CodeBadAnswer, true},
		"a list":                          {200, "application/json", `["` + canary + `"]`, CodeBadAnswer, true},
		"nothing":                         {200, "application/json", ``, CodeBadAnswer, true},
		"null":                            {200, "application/json", `null`, CodeBadAnswer, true},
		"an object cut short":             {200, "application/json", `{"access_token":"` + canary, CodeBadAnswer, true},
		"a token that is a number":        {200, "application/json", `{"access_token":4711}`, CodeBadAnswer, true},
		"created without a token":         {201, "application/json", `{"hint":"` + canary + `"}`, CodeBadAnswer, true},
		"a redirect":                      {302, "text/html", page, CodeBadAnswer, false},
		"a redirect that keeps the body":  {307, "text/html", page, CodeBadAnswer, false},
		"too many requests":               {429, "application/json", `{"error":"invalid_grant"}`, CodeServerError, false},
		"trouble":                         {500, "application/json", `{"error":"invalid_grant"}`, CodeServerError, true},
		"a gateway without its server":    {502, "text/html", page, CodeServerError, true},
		"one megabyte":                    {200, "application/json", `{"access_token":"` + strings.Repeat(canary, 100_000) + `"}`, CodeBadAnswer, true},
		"one megabyte of a refusal":       {400, "text/html", strings.Repeat(canary, 100_000), CodeBadAnswer, false},
		"one megabyte of a broken server": {503, "text/html", strings.Repeat(canary, 100_000), CodeBadAnswer, true},
	} {
		t.Run(name, func(t *testing.T) {
			s, seen := server(t, tt.status, tt.contentType, tt.body)
			e := failed(t, refused(client(t, nil).Refresh(t.Context(), config(s.URL), "rt-"+canary)))
			if e.Code != tt.code || e.Unknown != tt.unknown || e.Status != tt.status || e.Step != StepToken {
				t.Errorf("%+v, unknown %t; want %s, unknown %t", e, e.Unknown, tt.code, tt.unknown)
			}
			if len(*seen) != 1 {
				t.Errorf("%d requests", len(*seen))
			}
		})
	}
}

// Every registered code has advice of its own, and is repeated as it is.
func TestRegisteredCodes(t *testing.T) {
	general := (&Error{Code: CodeRefused}).Advice()
	for _, code := range registeredCodes() {
		if registered(code) != code {
			t.Errorf("%s is not repeated", code)
		}
		if (&Error{Code: code}).Advice() == general && code != "unsupported_token_type" && code != CodeSlowDown {
			t.Errorf("%s has no advice of its own", code)
		}
	}
	for vendor, code := range vendorCodes() {
		if registered(vendor) != code || registered(code) != code {
			t.Errorf("%s stands for %s, which is not registered", vendor, code)
		}
	}
}

func TestRevocation(t *testing.T) {
	for name, tt := range map[string]struct {
		status     int
		body, code string
	}{
		"done":              {200, "", ""},
		"done, with a body": {200, "OK", ""},
		"refused":           {400, `{"error":"unsupported_token_type"}`, "unsupported_token_type"},
		"refused with 200":  {200, `{"error":"invalid_client"}`, "invalid_client"},
		"trouble":           {503, "", CodeServerError},
	} {
		t.Run(name, func(t *testing.T) {
			s, _ := server(t, tt.status, "application/json", tt.body)
			cfg := config("")
			cfg.RevokeURL, cfg.TokenParams = s.URL, url.Values{"audience": {"x"}}
			err := client(t, nil).Revoke(t.Context(), cfg, "rt-"+canary, "refresh_token")
			if tt.code == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			if e := failed(t, err); e.Code != tt.code || e.Step != StepRevoke {
				t.Errorf("%+v", e)
			}
		})
	}
}

// A server that never answers, or never ends its answer, costs a bounded time, and what it did is not known.
func TestHangingServer(t *testing.T) {
	for name, answer := range map[string]func(r *http.Request) (*http.Response, error){
		"no answer": func(r *http.Request) (*http.Response, error) {
			<-r.Context().Done()
			return nil, r.Context().Err()
		},
		"no end": func(r *http.Request) (*http.Response, error) {
			body, write := io.Pipe()
			context.AfterFunc(r.Context(), func() { _ = write.CloseWithError(r.Context().Err()) })
			return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: body}, nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := through(t, answer)
				began := time.Now()
				e := failed(t, refused(c.Refresh(t.Context(), config("https://as.example/token"), "rt")))
				if time.Since(began) != requestLimit || !errors.Is(e, context.DeadlineExceeded) {
					t.Errorf("after %s: %v", time.Since(began), e.Unwrap())
				}
				if name == "no end" && (e.Code != CodeNoAnswer || !e.Unknown) {
					t.Errorf("%+v", e)
				}
			})
		})
	}
}

// What was never sent can be sent again; what was sent and not answered cannot.
func TestUnknownOutcome(t *testing.T) {
	closed := httptest.NewServer(http.NotFoundHandler())
	nettest.Silence(t, closed)
	for _, address := range []string{closed.URL, "", "http://", "gopher://as.example/"} {
		if e := failed(t, refused(client(t, nil).Refresh(t.Context(), config(address), "rt"))); e.Code != CodeUnreachable || e.Unknown {
			t.Errorf("%q: %+v", address, e)
		}
	}
	var arrived atomic.Int32
	for name, behave := range map[string]func(c net.Conn){
		"closes":         func(net.Conn) {},
		"talks nonsense": func(c net.Conn) { _, _ = io.WriteString(c, canary+"\r\n\r\n") },
		"cuts a head":    func(c net.Conn) { _, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nX: "+canary) },
		"cuts a body": func(c net.Conn) {
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"access_token\":\""+canary)
		},
	} {
		t.Run(name, func(t *testing.T) {
			arrived.Store(0)
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				arrived.Add(1)
				_, _ = io.Copy(io.Discard, r.Body)
				conn, _, err := http.NewResponseController(w).Hijack()
				if err != nil {
					t.Error(err)
					return
				}
				behave(conn)
				_ = conn.Close()
			}))
			t.Cleanup(s.Close)
			e := failed(t, refused(client(t, nil).Refresh(t.Context(), config(s.URL), "rt")))
			if e.Code != CodeNoAnswer || !e.Unknown || arrived.Load() != 1 {
				t.Errorf("%+v after %d requests", e, arrived.Load())
			}
		})
	}
}

// A kept connection that has died must not look like an answer that never came.
func TestDeadConnection(t *testing.T) {
	var asked atomic.Int32
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		_, _ = io.Copy(io.Discard, r.Body)
		_, _ = io.WriteString(w, tokenAnswer)
	}))
	t.Cleanup(s.Close)
	c := client(t, nil)
	for i := range int32(3) {
		if _, err := c.Refresh(t.Context(), config(s.URL), "rt"); err != nil || asked.Load() != i+1 {
			t.Fatalf("request %d: %v, %d arrived", i+1, err, asked.Load())
		}
		s.CloseClientConnections()
	}
}

// Nothing prints a secret, whatever way it is printed.
func TestNothingPrintsSecrets(t *testing.T) {
	cfg := ConfigOf(map[string]string{
		"client_id": "shop", "client_secret": canary, "private_key": canary, "client_key": canary, "token_url": "https://as.example/token",
		"token_params": "password=" + canary, "claims": `{"x":"` + canary + `"}`,
	})
	for _, v := range []any{
		cfg, &cfg,
		Token{Access: canary, Refresh: canary},
		Device{Code: canary, UserCode: canary},
		Callback{Code: canary},
		Registered{ClientID: "shop", ClientSecret: canary},
		[]Config{cfg},
		struct{ C Config }{cfg},
		map[string]Token{"x": {Access: canary}},
	} {
		keepsQuiet(t, v)
	}
	for _, v := range []any{cfg, Token{Access: canary, Refresh: canary}} {
		if text, err := json.Marshal(v); err != nil || strings.Contains(string(text), canary) {
			t.Errorf("%s, %v", text, err)
		}
	}
}

func TestCallback(t *testing.T) {
	const issuer = "https://as.example"
	for query, tt := range map[string]struct {
		required bool
		code     string
	}{
		"code=c&state=s":                                       {},
		"code=c&state=s&iss=https://as.example":                {required: true},
		"code=c&state=s&iss=https://as.example/":               {code: CodeIssuer},
		"code=c&state=s&iss=https://evil.example":              {code: CodeIssuer},
		"error=access_denied&state=s&iss=https://evil.example": {code: CodeIssuer},
		"code=c&state=s#":                                      {required: true, code: CodeIssuer},
		"error=access_denied&error_description=" + canary:      {code: CodeDenied},
		"error=" + canary:                                      {code: CodeRefused},
		"error=access_denied&code=c":                           {code: CodeDenied},
		"":                                                     {code: CodeBadAnswer},
		"code=":                                                {code: CodeBadAnswer},
		"code=c&code=d":                                        {code: CodeBadAnswer},
		"code=c&iss=https://as.example&iss=https://evil.example": {code: CodeBadAnswer},
		"code=c&state=s&state=t":                                 {code: CodeBadAnswer},
	} {
		values, err := url.ParseQuery(strings.TrimSuffix(query, "#"))
		if err != nil {
			t.Fatal(err)
		}
		back, state := CallbackOf(values)
		if state != values.Get("state") {
			t.Errorf("%s: state %q", query, state)
		}
		err = back.Check(Config{Issuer: issuer}, tt.required)
		if tt.code == "" {
			if err != nil {
				t.Errorf("%s: %v", query, err)
			}
			continue
		}
		if e := failed(t, err); e.Code != tt.code || e.Step != StepAuthorize {
			t.Errorf("%s: %+v, want %s", query, e, tt.code)
		}
	}
}

// The grants against the sandbox, which checks everything that it is sent.
func TestSandbox(t *testing.T) {
	clock := now()
	box, err := sandbox.New(sandbox.Deps{Logger: telemetry.Discard(), Now: func() time.Time { return clock }}, sandbox.Config{OAuth: sandbox.OAuth{
		Clients: []sandbox.Client{
			{ID: "shop +1", Secret: telemetry.NewSecret("p%ss w:rd"), RedirectURIs: []string{"https://sg.example/cb"}}, {ID: "public", RedirectURIs: []string{"https://sg.example/cb"}},
		},
		Scopes: []string{"read", "write"}, RotateRefresh: true,
	}})
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewServer(box)
	t.Cleanup(s.Close)
	c := client(t, nil)
	m, err := c.Discover(t.Context(), s.URL)
	if err != nil || !m.NamesItself || m.Source != s.URL+"/.well-known/oauth-authorization-server" {
		t.Fatalf("%+v, %v", m, err)
	}
	for _, tt := range []struct{ id, secret, style string }{
		{"shop +1", "p%ss w:rd", authtype.StyleBasic}, {"shop +1", "p%ss w:rd", authtype.StylePost}, {"public", "", authtype.StyleBasic},
	} {
		cfg := Config{
			AuthorizeURL: m.AuthorizeURL, TokenURL: m.TokenURL, DeviceURL: m.DeviceURL, RevokeURL: m.RevokeURL, Issuer: m.Issuer,
			ClientID: tt.id, ClientSecret: tt.secret, AuthStyle: tt.style, Scopes: []string{"read"},
		}
		verifier := NewVerifier()
		code := consent(t, cfg, verifier)
		if e := failed(t, refused(c.Exchange(t.Context(), cfg, code, NewVerifier(), "https://sg.example/cb"))); e.Code != CodeInvalidGrant {
			t.Errorf("another verifier: %+v", e)
		}
		code = consent(t, cfg, verifier)
		first, err := c.Exchange(t.Context(), cfg, code, verifier, "https://sg.example/cb")
		if err != nil || first.ExpiresIn != time.Hour || !cmp.Equal(first.Scopes, []string{"read"}) {
			t.Fatalf("%s, %s: %v, %v", tt.id, tt.style, first, err)
		}
		second, err := c.Refresh(t.Context(), cfg, first.Refresh)
		if err != nil || second.Refresh == first.Refresh || second.Access == first.Access {
			t.Fatalf("rotation: %v, %v", second, err)
		}
		if err := c.Revoke(t.Context(), cfg, second.Refresh, "refresh_token"); err != nil {
			t.Error(err)
		}
		if e := failed(t, refused(c.Refresh(t.Context(), cfg, second.Refresh))); e.Code != CodeInvalidGrant || e.Unknown {
			t.Errorf("after the revocation: %+v", e)
		}
		device, err := c.StartDevice(t.Context(), cfg)
		if err != nil {
			t.Fatal(err)
		}
		if e := failed(t, refused(c.PollDevice(t.Context(), cfg, device.Code))); e.Code != CodePending {
			t.Errorf("before the consent: %+v", e)
		}
		if e := failed(t, refused(c.PollDevice(t.Context(), cfg, device.Code))); e.Code != CodeSlowDown {
			t.Errorf("at once again: %+v", e)
		}
		clock = clock.Add(device.ExpiresIn)
		if e := failed(t, refused(c.PollDevice(t.Context(), cfg, device.Code))); e.Code != CodeExpired {
			t.Errorf("too late: %+v", e)
		}
		clock = now()
		cfg.ClientSecret = "wrong-" + canary
		if e := failed(t, refused(c.Refresh(t.Context(), cfg, second.Refresh))); e.Code != "invalid_client" {
			t.Errorf("a wrong secret: %+v", e)
		}
	}
}

// consent agrees on the sandbox's page, and returns the code.
func consent(t *testing.T, cfg Config, verifier string) string {
	t.Helper()
	text, err := AuthorizationURL(cfg, "st", verifier, "https://sg.example/cb")
	if err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	form := u.Query()
	form.Set("decision", "approve")
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, cfg.AuthorizeURL, strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	to, err := resp.Location()
	if err != nil {
		t.Fatal(err)
	}
	back, _ := CallbackOf(to.Query())
	if err := back.Check(cfg, true); err != nil {
		t.Fatal(err)
	}
	return back.Code
}
