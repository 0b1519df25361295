package connections

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"switchgear/db"
	"switchgear/internal/access"
	"switchgear/internal/audit"
	"switchgear/internal/credentials"
	"switchgear/internal/credentials/oauth"
	"switchgear/internal/fault"
	"switchgear/internal/runtime"
	"switchgear/internal/runtime/breaker"
	"switchgear/internal/runtime/egress"
	"switchgear/internal/sandbox"
	"switchgear/internal/telemetry"
)

// renewEnv makes the test binary play another process, which uses the account of the data directory that it names.
const renewEnv = "SWITCHGEAR_RENEWAL_TEST_CHILD"

// tokenServer is a provider whose refresh tokens are used once: a second use ends the grant.
type tokenServer struct {
	*httptest.Server
	t     *testing.T
	asked atomic.Int64 // for a renewal
	calls atomic.Int64 // of the API
	deny  atomic.Bool  // every call of the API
}

func newTokenServer(t *testing.T) *tokenServer {
	t.Helper()
	pretend, err := sandbox.New(sandbox.Deps{Logger: telemetry.Discard(), Now: time.Now}, sandbox.Config{
		APIs: []sandbox.API{{Prefix: "/me", Auth: sandbox.Auth{Kind: sandbox.AuthOAuth}, Collections: map[string]int{"items": 1}}},
		OAuth: sandbox.OAuth{RotateRefresh: true, Clients: []sandbox.Client{
			{ID: "app", Secret: telemetry.NewSecret("app secret"), RedirectURIs: []string{"http://127.0.0.1:1/callback"}},
		}},
	})
	must(t, err)
	t.Cleanup(pretend.Close)
	s := &tokenServer{t: t}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == "/oauth/token":
			body, _ := io.ReadAll(r.Body)
			if bytes.Contains(body, []byte("grant_type=refresh_token")) {
				s.asked.Add(1)
			}
			r.Body = io.NopCloser(bytes.NewReader(body))
		case strings.HasPrefix(r.URL.Path, "/me"):
			s.calls.Add(1)
			if s.deny.Load() {
				w.WriteHeader(http.StatusUnauthorized)
				return
			}
		}
		pretend.ServeHTTP(w, r)
	}))
	t.Cleanup(s.Close)
	return s
}

// consent is what a person's consent leads to.
func (s *tokenServer) consent() oauth.Token {
	s.t.Helper()
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	verifier := "a-verifier-that-is-long-enough-for-anyone-0123456789"
	resp, err := client.PostForm(s.URL+"/oauth/authorize", url.Values{
		"response_type": {"code"}, "client_id": {"app"}, "redirect_uri": {"http://127.0.0.1:1/callback"}, "scope": {"read"},
		"code_challenge": {challengeOf(verifier)}, "code_challenge_method": {"S256"}, "decision": {"approve"},
	})
	must(s.t, err)
	_ = resp.Body.Close()
	back, err := url.Parse(resp.Header.Get("Location"))
	must(s.t, err)
	ask, err := oauth.New(oauth.Deps{Transport: func(*tls.Certificate) http.RoundTripper { return http.DefaultTransport }, Now: time.Now})
	must(s.t, err)
	token, err := ask.Exchange(s.t.Context(), oauth.ConfigOf(s.fields()), back.Query().Get("code"), verifier, "http://127.0.0.1:1/callback")
	must(s.t, err)
	return token
}

func (s *tokenServer) fields() map[string]string {
	return map[string]string{
		"authorize_url": s.URL + "/oauth/authorize", "token_url": s.URL + "/oauth/token", "revoke_url": s.URL + "/oauth/revoke",
		"client_id": "app", "client_secret": "app secret", "auth_style": "basic",
	}
}

func challengeOf(verifier string) string {
	sum := sha256.Sum256([]byte(verifier))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// silent is a token endpoint that got the answer and says so, and then nothing more.
type silent struct{ *oauth.Client }

func (s silent) Refresh(ctx context.Context, cfg oauth.Config, token string) (oauth.Token, error) {
	if _, err := s.Client.Refresh(ctx, cfg, token); err != nil {
		return oauth.Token{}, err
	}
	fmt.Println("answered")
	<-ctx.Done()
	return oauth.Token{}, ctx.Err()
}

// node is one process with the connection "api".
type node struct {
	*Service
	vault       *credentials.Vault
	protections *runtime.Protections
	db          *db.DB
}

// openNode opens a data directory the way that the product does, with a clock that is off by some time.
func openNode(ctx context.Context, dir string, off time.Duration, mute bool) (*node, error) {
	d, err := db.Open(ctx, db.Config{Dir: dir})
	if err != nil {
		return nil, err
	}
	return newNode(ctx, d, off, mute)
}

// newNode is one of the processes that share a database.
func newNode(ctx context.Context, d *db.DB, off time.Duration, mute bool) (*node, error) {
	ring, err := credentials.OpenKeyring(ctx, credentials.Deps{
		DB: d, Logger: telemetry.Discard(), Now: time.Now,
		Source: credentials.KeySource{Value: telemetry.NewSecret(base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{1}, 32)))},
	})
	if err != nil {
		return nil, err
	}
	sealer, err := ring.Sealer(credentials.PurposeCredential)
	if err != nil {
		return nil, err
	}
	client, err := oauth.New(oauth.Deps{Transport: func(*tls.Certificate) http.RoundTripper { return http.DefaultTransport }, Now: time.Now})
	if err != nil {
		return nil, err
	}
	n := &node{db: d}
	deps := credentials.VaultDeps{
		DB: d, Sealer: sealer, Endpoint: client, Key: runtime.CallingKey, Logger: telemetry.Discard(), Now: func() time.Time { return time.Now().Add(off) },
		Changed: func(ctx context.Context, connectionID, account string) {
			n.CredentialChanged(ctx, connectionID, account)
		},
	}
	if mute {
		deps.Endpoint = silent{client}
	}
	if n.vault, err = credentials.NewVault(deps); err != nil {
		return nil, err
	}
	log, err := audit.New(audit.Deps{DB: d, Now: time.Now, MAC: macOf})
	if err != nil {
		return nil, err
	}
	rules, err := egress.ParseRules([]string{"127.0.0.1=127.0.0.0/8:1024-65535"})
	if err != nil {
		return nil, err
	}
	n.protections, err = runtime.NewProtections(runtime.ProtectionsDeps{
		Logger: telemetry.Discard(), Now: time.Now, Changed: func(context.Context, []breaker.Event) {},
	}, runtime.ProtectionsConfig{})
	if err != nil {
		return nil, err
	}
	n.Service, err = New(ctx, Deps{
		Open: func(context.Context, Connection) ([]string, error) { return nil, nil }, Protections: n.protections, DB: d, Audit: log, Vault: n.vault, Providers: shelf{}, Egress: egress.New(egress.Config{Rules: rules}),
		Notify: func(string) {}, Logger: telemetry.Discard(), Now: time.Now,
	})
	return n, err
}

// prepare makes the connection with an account whose access token has ended, unless fresh.
func (s *tokenServer) prepare(dir string, fresh bool) {
	s.t.Helper()
	// A process whose clock was behind: what it stored ended long ago.
	off := -24 * time.Hour
	if fresh {
		off = -30 * time.Second
	}
	n, err := openNode(s.t.Context(), dir, off, false)
	must(s.t, err)
	defer func() { _ = n.db.Close() }()
	d := draft("api")
	d.BaseURL, d.Auth = s.URL, Auth{Type: "oauth2_authorization_code", Fields: s.fields()}
	d.Policy = json.RawMessage(`{"bulkhead":{"max_in_flight":25,"max_wait":"30s"},"rate_limits":[],"retry":{"max_attempts":2}}`)
	_, err = n.Create(s.t.Context(), admin(), d, "")
	must(s.t, err)
	_, err = n.ConnectAccount(s.t.Context(), admin(), "api", "default", Consented{Token: s.consent(), Event: credentials.EventConnected})
	must(s.t, err)
}

// reopen is the process that calls.
func (s *tokenServer) reopen(dir string, off time.Duration) *node {
	s.t.Helper()
	n, err := openNode(s.t.Context(), dir, off, false)
	must(s.t, err)
	s.t.Cleanup(func() { _ = n.db.Close() })
	return n
}

type forgetful struct{}

func (forgetful) Record(runtime.Record) {}

// gateway serves the calls of a process.
func (n *node) gateway(t *testing.T) string {
	t.Helper()
	proxy := runtime.NewProxy(runtime.ProxyDeps{
		Logger: telemetry.Discard(), Now: time.Now, Recorder: forgetful{}, Protections: n.protections,
	}, runtime.ProxyConfig{})
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		target, err := n.Target("api", "")
		if err == nil {
			err = proxy.Serve(w, r, target, strings.TrimPrefix(r.URL.Path, "/"))
		}
		if err != nil {
			w.WriteHeader(fault.KindOf(err).Status())
		}
	}))
	t.Cleanup(s.Close)
	return s.URL
}

// callMany sends calls at once and returns how many ended with each status.
func callMany(t *testing.T, url string, calls int) map[int]int {
	t.Helper()
	var (
		mu    sync.Mutex
		group sync.WaitGroup
	)
	got := map[int]int{}
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: calls}}
	defer client.CloseIdleConnections()
	for range calls {
		group.Go(func() {
			status := 0
			r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url+"/me/items", nil)
			if err == nil {
				var resp *http.Response
				if resp, err = client.Do(r); err == nil {
					status = resp.StatusCode
					_ = resp.Body.Close()
				}
			}
			mu.Lock()
			defer mu.Unlock()
			got[status]++
		})
	}
	group.Wait()
	return got
}

// Many calls at once with a token that has ended, or that the service ended early: one renewal, and none fails.
func TestManyCallsThroughTheGatewayRenewOnce(t *testing.T) {
	t.Parallel()
	for name, fresh := range map[string]bool{"a token that has ended": false, "a token that the service ended": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, dir := newTokenServer(t), t.TempDir()
			s.prepare(dir, fresh)
			n := s.reopen(dir, 0)
			if fresh {
				s.revokeAccess(n)
			}
			if got := callMany(t, n.gateway(t), 200); got[200] != 200 || s.asked.Load() != 1 {
				t.Errorf("%v, %d renewals", got, s.asked.Load())
			}
		})
	}
}

// revokeAccess ends the access token at the service, and not the grant.
func (s *tokenServer) revokeAccess(n *node) {
	s.t.Helper()
	target, err := n.Target("api", "")
	must(s.t, err)
	r := httptest.NewRequest(http.MethodGet, s.URL, nil)
	must(s.t, target.Authorize(s.t.Context(), r))
	ask, err := oauth.New(oauth.Deps{Transport: func(*tls.Certificate) http.RoundTripper { return http.DefaultTransport }, Now: time.Now})
	must(s.t, err)
	must(s.t, ask.Revoke(s.t.Context(), oauth.ConfigOf(s.fields()), strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "), "access_token"))
}

// A service that refuses every token is asked for one renewal and one repeat, and then left alone.
func TestServiceThatRefusesEveryTokenIsLeftAlone(t *testing.T) {
	t.Parallel()
	s, dir := newTokenServer(t), t.TempDir()
	s.prepare(dir, true)
	n := s.reopen(dir, 0)
	s.deny.Store(true)
	gateway := n.gateway(t)
	if got := callMany(t, gateway, 1); got[401] != 1 || s.asked.Load() != 1 || s.calls.Load() != 2 {
		t.Fatalf("%v, %d renewals, %d calls", got, s.asked.Load(), s.calls.Load())
	}
	for range 30 {
		callMany(t, gateway, 1)
	}
	c, _ := n.Peek("api")
	if _, rejected := n.protections.CredentialRejected(c.ID, "default"); !rejected || s.asked.Load() != 1 || s.calls.Load() > 8 {
		t.Errorf("held back %v, %d renewals, %d calls", rejected, s.asked.Load(), s.calls.Load())
	}
}

// childOfRenewal is the process of TestKilledBeforeTheTokenIsStored.
func childOfRenewal(dir string) error {
	n, err := openNode(context.Background(), dir, 0, true)
	if err != nil {
		return err
	}
	target, err := n.Target("api", "")
	if err != nil {
		return err
	}
	return target.Authorize(context.Background(), httptest.NewRequest(http.MethodGet, "http://127.0.0.1/", nil))
}

// Nodes on one database renew a token once, and every call of each has the new one. What they share is the
// database; a data directory serves one process, so they are two of everything else in this one.
func TestNodesRenewOnce(t *testing.T) {
	t.Parallel()
	s, dir := newTokenServer(t), t.TempDir()
	s.prepare(dir, false)
	first := s.reopen(dir, 0)
	second, err := newNode(t.Context(), first.db, 0, false)
	must(t, err)
	var group sync.WaitGroup
	for _, n := range []*node{first, second} {
		gateway := n.gateway(t)
		group.Go(func() {
			if got := callMany(t, gateway, 100); got[200] != 100 {
				t.Errorf("%v", got)
			}
		})
	}
	group.Wait()
	if s.asked.Load() != 1 {
		t.Errorf("%d renewals", s.asked.Load())
	}
}

// A process that is killed between the answer of the token endpoint and the commit leaves an account that a
// person has to connect again, after one cautious retry.
func TestKilledBeforeTheTokenIsStored(t *testing.T) {
	t.Parallel()
	s, dir := newTokenServer(t), t.TempDir()
	s.prepare(dir, false)
	binary, err := os.Executable()
	must(t, err)
	cmd := exec.CommandContext(t.Context(), binary)
	cmd.Env, cmd.Stderr = append(os.Environ(), renewEnv+"="+dir), os.Stderr
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	lines := bufio.NewScanner(out)
	for lines.Scan() && lines.Text() != "answered" {
		t.Logf("the child said %q", lines.Text())
	}
	must(t, cmd.Process.Kill())
	_ = cmd.Wait()
	n := s.reopen(dir, time.Minute) // once the lease is over
	gateway := n.gateway(t)
	for range 3 {
		if got := callMany(t, gateway, 50); got[503] != 50 {
			t.Errorf("%v", got)
		}
	}
	accounts, err := n.Accounts(t.Context(), access.System(), "api")
	must(t, err)
	if s.asked.Load() != 2 || accounts[0].State != credentials.StateNeedsReauth || s.calls.Load() != 0 {
		t.Errorf("%d renewals, %s, %d calls", s.asked.Load(), accounts[0].State, s.calls.Load())
	}
	events, _, err := n.vault.History(t.Context(), accounts[0].ConnectionID, "default", 0, 10)
	must(t, err)
	if events[0].Kind != credentials.EventNeedsReauth || !strings.Contains(events[0].Detail, "never arrived") {
		t.Errorf("history: %+v", events[0])
	}
	// A person consents, and everything goes on with the same account.
	_, err = n.ConnectAccount(t.Context(), admin(), "api", "default", Consented{Token: s.consent(), Event: credentials.EventConnected})
	must(t, err)
	if got := callMany(t, gateway, 5); got[200] != 5 {
		t.Errorf("after the consent: %v", got)
	}
}
