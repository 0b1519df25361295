package app

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/zitadel/oidc/v3/example/server/exampleop"
	"github.com/zitadel/oidc/v3/example/server/storage"
)

const (
	idpClient = "switchgear"
	idpSecret = "idp canary +%: secret"
	idpUser   = "test-user@127.0.0.1"
	idpPass   = "verysecure"
)

// idp is a certified OpenID provider, with an API that asks it whom a token belongs to.
type idp struct {
	server, api *httptest.Server
	storage     *storage.Storage
	handler     atomic.Pointer[http.Handler]

	// deny has the person decline on the page where they would sign in; iss is added to the answer that the
	// browser takes back; short makes the next token end at once.
	deny, short atomic.Bool
	iss         atomic.Pointer[string]

	mu        sync.Mutex
	back      []string     // where browsers were sent back to
	exchanges []url.Values // what the token endpoint was asked
	refresh   []string     // the refresh tokens that it gave
}

// newIDP listens, so that a console can be told of it, and serves once the console's address is known.
func newIDP(t *testing.T) *idp {
	t.Helper()
	i := &idp{}
	i.server = httptest.NewServer(http.HandlerFunc(i.serve))
	t.Cleanup(i.server.Close)
	i.api = httptest.NewServer(http.HandlerFunc(i.serveAPI))
	t.Cleanup(i.api.Close)
	return i
}

// egressRule opens the ports of both.
func (i *idp) egressRule() string {
	port := func(s *httptest.Server) string { return s.URL[strings.LastIndexByte(s.URL, ':')+1:] }
	return "127.0.0.1=127.0.0.0/8:" + port(i.server) + "+" + port(i.api)
}

// register makes the one client, with its redirect URI.
func (i *idp) register(redirectURI string) {
	clients := map[string]*storage.Client{idpClient: storage.WebClient(idpClient, idpSecret, redirectURI)}
	i.storage = storage.NewStorageWithClients(storage.NewUserStore(i.server.URL), clients)
	var h http.Handler = exampleop.SetupServer(i.server.URL, i.storage, nil, false)
	i.handler.Store(&h)
}

func (i *idp) serve(w http.ResponseWriter, r *http.Request) {
	h := i.handler.Load()
	if h == nil || r.URL.Path == "/favicon.ico" {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	if r.URL.Path == "/login/username" && r.Method == http.MethodGet && i.deny.Load() {
		asked, err := i.storage.AuthRequestByID(r.Context(), r.URL.Query().Get("authRequestID"))
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		http.Redirect(w, r, asked.GetRedirectURI()+"?"+url.Values{"error": {"access_denied"}, "state": {asked.GetState()}}.Encode(), http.StatusFound)
		return
	}
	if r.URL.Path == "/oauth/token" {
		text, _ := io.ReadAll(r.Body)
		form, _ := url.ParseQuery(string(text))
		i.mu.Lock()
		i.exchanges = append(i.exchanges, form)
		i.mu.Unlock()
		r.Body = io.NopCloser(bytes.NewReader(text))
	}
	rec := httptest.NewRecorder()
	(*h).ServeHTTP(rec, r)
	body := rec.Body.Bytes()
	if to := rec.Header().Get("Location"); strings.Contains(to, "/oauth/callback/") {
		if iss := i.iss.Load(); iss != nil {
			to += "&iss=" + url.QueryEscape(*iss)
			rec.Header().Set("Location", to)
		}
		i.mu.Lock()
		i.back = append(i.back, to)
		i.mu.Unlock()
	}
	if r.URL.Path == "/oauth/token" && rec.Code == http.StatusOK {
		body = i.given(body)
		rec.Header().Del("Content-Length")
	}
	maps.Copy(w.Header(), rec.Header())
	w.WriteHeader(rec.Code)
	_, _ = w.Write(body)
}

// given takes note of a token, and has it end at once if that is asked for.
func (i *idp) given(body []byte) []byte {
	var fields map[string]any
	if json.Unmarshal(body, &fields) != nil {
		return body
	}
	refresh, _ := fields["refresh_token"].(string)
	i.mu.Lock()
	i.refresh = append(i.refresh, refresh)
	i.mu.Unlock()
	if i.short.CompareAndSwap(true, false) {
		fields["expires_in"] = "1"
		body, _ = json.Marshal(fields)
	}
	return body
}

// serveAPI answers with the subject of a token that the provider knows.
func (i *idp) serveAPI(w http.ResponseWriter, r *http.Request) {
	subject, status := i.userinfo(r.Context(), r.Header.Get("Authorization"))
	if status != http.StatusOK {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	_, _ = io.WriteString(w, "hello "+subject)
}

func (i *idp) userinfo(ctx context.Context, authorization string) (string, int) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, i.server.URL+"/userinfo", http.NoBody)
	if err != nil {
		return "", 0
	}
	r.Header.Set("Authorization", authorization)
	resp, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		return "", 0
	}
	defer func() { _ = resp.Body.Close() }()
	var claims struct {
		Subject string `json:"sub"`
	}
	if json.NewDecoder(resp.Body).Decode(&claims) != nil {
		return "", 0
	}
	return claims.Subject, resp.StatusCode
}

// lastBack is where the last browser was sent back to, as a path of the console.
func (i *idp) lastBack() string {
	i.mu.Lock()
	defer i.mu.Unlock()
	u, err := url.Parse(i.back[len(i.back)-1])
	if err != nil {
		return ""
	}
	return u.RequestURI()
}

// asked are the grants that the token endpoint was asked for.
func (i *idp) asked(grant string) []url.Values {
	i.mu.Lock()
	defer i.mu.Unlock()
	var out []url.Values
	for _, form := range i.exchanges {
		if form.Get("grant_type") == grant {
			out = append(out, form)
		}
	}
	return out
}

// refreshTokens are those that it gave, in order.
func (i *idp) refreshTokens() []string {
	i.mu.Lock()
	defer i.mu.Unlock()
	return slices.Clone(i.refresh)
}
