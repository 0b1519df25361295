package connect

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"switchgear/db"
	"switchgear/internal/access"
	"switchgear/internal/audit"
	"switchgear/internal/connections"
	"switchgear/internal/credentials"
	"switchgear/internal/credentials/authtype"
	"switchgear/internal/credentials/oauth"
	"switchgear/internal/fault"
	"switchgear/internal/telemetry"
)

// world is a Service on a real database, with a connection and an authorization server that do as told.
type world struct {
	*Service
	t       *testing.T
	db      *db.DB
	at      time.Time
	client  connections.TokenClient
	stored  []oauth.Token
	details []string
	// exchange and poll answer the server's questions; exchanged counts them.
	exchange  func(code, verifier, redirectURI string) (oauth.Token, error)
	poll      func() (oauth.Token, error)
	exchanged atomic.Int64
	polled    atomic.Int64
	names     bool
	log       *audit.Log
	// metadata is what the server says about itself, registered the clients that it was asked for.
	metadata   oauth.Metadata
	registered []oauth.Registration
	// unreachable is why neither can be done.
	unreachable error
	mu          sync.Mutex
	// asked are the actors in whose name accounts were changed, entered the keys that were typed in, told the
	// sessions that ended.
	asked []access.Actor
	// lost is why whoever made a link has no right any more; storing is called while an account is stored.
	lost    error
	storing func()
	entered []connections.Auth
	told    []Session
}

const (
	issuer = "https://as.example.com"
	origin = "https://api.example.com"
)

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, at: time.Date(2026, 11, 24, 3, 0, 0, 0, time.UTC)}
	store, err := db.Open(t.Context(), db.Config{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	w.db = store
	ring, err := credentials.OpenKeyring(t.Context(), credentials.Deps{
		DB: store, Logger: telemetry.Discard(), Now: time.Now,
		Source: credentials.KeySource{Value: telemetry.NewSecret(base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{1}, 32)))},
	})
	if err != nil {
		t.Fatal(err)
	}
	sealer, err := ring.Sealer(credentials.PurposeCredential)
	if err != nil {
		t.Fatal(err)
	}
	w.log, err = audit.New(audit.Deps{DB: store, Now: time.Now, MAC: func(message []byte) []byte { sum := sha256.Sum256(message); return sum[:] }})
	if err != nil {
		t.Fatal(err)
	}
	w.Service, err = New(Deps{
		DB: store, Audit: w.log, Sealer: sealer, Accounts: w, Server: w, Registrar: w, Teller: w, PublicURL: func() string { return "https://console.example.com/" },
		Logger: telemetry.Discard(), Now: func() time.Time { w.mu.Lock(); defer w.mu.Unlock(); return w.at },
	})
	if err != nil {
		t.Fatal(err)
	}
	err = store.InTx(t.Context(), func(tx *db.Tx) error {
		_, err := tx.Exec(t.Context(), `INSERT INTO users (id, email, name, role, password_hash, created_at, updated_at, password_changed_at, search)
			VALUES ('usr_1', 'ada@example.com', 'Ada', 'admin', '', 0, 0, 0, '')`)
		if err != nil {
			return err
		}
		_, err = tx.Exec(t.Context(), `INSERT INTO connections (id, slug, version, created_at, updated_at, name_key, kind, provider, environment, state, search_key)
			VALUES ('con_1', 'github', 1, 0, 0, '', 'rest', '', '', 'active', '')`)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	w.client = connections.TokenClient{
		Connection: connections.Connection{ID: "con_1", Slug: "github", Provider: "github", BaseURL: origin + "/v1"}, Grant: authtype.GrantAuthorizationCode,
		Config: oauth.Config{
			AuthorizeURL: issuer + "/authorize", TokenURL: issuer + "/token", Issuer: issuer, ClientID: "switchgear", ClientSecret: "s3cret",
			AuthStyle: authtype.StyleBasic, Scopes: []string{"read", "write"},
		},
	}
	w.exchange = func(code, verifier, _ string) (oauth.Token, error) {
		if code != "code" || verifier == "" {
			return oauth.Token{}, &oauth.Error{Step: oauth.StepToken, Code: oauth.CodeInvalidGrant, Status: 400}
		}
		return oauth.Token{Access: "access", Scopes: []string{"read"}}, nil
	}
	return w
}

// TokenClient implements Accounts.
func (w *world) TokenClient(_ context.Context, a access.Actor, _, _ string) (connections.TokenClient, error) {
	if w.lost != nil {
		return connections.TokenClient{}, w.lost
	}
	return w.client, a.Require(access.PermissionConfigure)
}

// Find implements Accounts.
func (w *world) Find(_ context.Context, a access.Actor, slug string) (connections.Connection, error) {
	if slug != "github" {
		return connections.Connection{}, fault.New(fault.NotFound, "", "There is no such connection.")
	}
	return w.client.Connection, a.Require(access.PermissionSystemRead)
}

// PutAccount implements Accounts.
func (w *world) PutAccount(_ context.Context, a access.Actor, _, _ string, auth connections.Auth, _ string) (credentials.Credential, error) {
	if w.lost != nil {
		return credentials.Credential{}, w.lost
	}
	w.hook()
	if auth.Origin != credentials.OriginOf(w.client.Connection.BaseURL) {
		return credentials.Credential{}, connections.ErrMoved()
	}
	if auth.Fields["token"] == "" {
		return credentials.Credential{}, fault.Field("AUTH_FIELD_REQUIRED", "auth.fields.token", "Token is missing.")
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.asked, w.entered = append(w.asked, a), append(w.entered, auth)
	return credentials.Credential{}, nil
}

func (w *world) hook() {
	if w.storing != nil {
		w.storing()
	}
}

// Check implements Teller.
func (w *world) Check(context.Context, access.Actor, string) error { return nil }

// Ended implements Teller.
func (w *world) Ended(_ context.Context, s Session) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.told = append(w.told, s)
	return nil
}

// ConnectAccount implements Accounts.
func (w *world) ConnectAccount(_ context.Context, a access.Actor, _, _ string, c connections.Consented) (credentials.Credential, error) {
	w.hook()
	if c.Origin != credentials.OriginOf(w.client.Connection.BaseURL) {
		return credentials.Credential{}, connections.ErrMoved()
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.stored, w.details, w.asked = append(w.stored, c.Token), append(w.details, c.Detail), append(w.asked, a)
	return credentials.Credential{}, nil
}

// Exchange implements Server.
func (w *world) Exchange(_ context.Context, _ oauth.Config, code, verifier, redirectURI string) (oauth.Token, error) {
	w.exchanged.Add(1)
	return w.exchange(code, verifier, redirectURI)
}

// StartDevice implements Server.
func (w *world) StartDevice(context.Context, oauth.Config) (oauth.Device, error) {
	return oauth.Device{Code: "device-secret", UserCode: "ABCD-EFGH", VerificationURL: issuer + "/device", Interval: 5 * time.Second, ExpiresIn: 10 * time.Minute}, nil
}

// PollDevice implements Server.
func (w *world) PollDevice(context.Context, oauth.Config, string) (oauth.Token, error) {
	w.polled.Add(1)
	return w.poll()
}

// Discover implements Server.
func (w *world) Discover(context.Context, string) (oauth.Metadata, error) {
	m := w.metadata
	m.NamesItself = w.names
	return m, w.unreachable
}

func (w *world) pass(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.at = w.at.Add(d)
}

func admin() access.Actor {
	return access.Actor{Kind: access.KindUser, ID: "usr_1", Name: "Ada", Role: access.RoleAdmin}
}

// begin starts a flow and returns it with what the server was told.
func (w *world) begin() (Flow, url.Values) {
	const binding = "browser"
	w.t.Helper()
	f, err := w.Begin(w.t.Context(), admin(), "github", "default", nil, binding)
	if err != nil {
		w.t.Fatal(err)
	}
	address, err := w.Leave(w.t.Context(), admin(), f.ID, binding)
	if err != nil {
		w.t.Fatal(err)
	}
	u, err := url.Parse(address)
	if err != nil {
		w.t.Fatal(err)
	}
	return f, u.Query()
}

func TestConsent(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	f, q := w.begin()
	want := url.Values{
		"response_type": {"code"}, "client_id": {"switchgear"}, "redirect_uri": {"https://console.example.com/oauth/callback/github"},
		"scope": {"read write"}, "code_challenge_method": {"S256"}, "state": q["state"], "code_challenge": q["code_challenge"],
	}
	if diff := cmp.Diff(want, q); diff != "" || len(q.Get("state")) < 43 || len(q.Get("code_challenge")) != 43 {
		t.Errorf("authorization request (-want +got):\n%s", diff)
	}
	done, err := w.Callback(t.Context(), admin(), "github", q.Get("state"), "browser", oauth.Callback{Code: "code", Issuer: issuer})
	if err != nil || done.Status != StatusDone || !cmp.Equal(done.Missing(), []string{"write"}) {
		t.Fatalf("%+v, %v", done, err)
	}
	if len(w.stored) != 1 || w.stored[0].Access != "access" || !strings.Contains(w.details[0], "write") {
		t.Errorf("stored %+v with %q", w.stored, w.details)
	}
	seen, err := w.Service.Find(t.Context(), admin(), f.ID, "browser")
	if err != nil || seen.Status != StatusDone || !cmp.Equal(seen.Granted, []string{"read"}) {
		t.Errorf("found %+v, %v", seen, err)
	}
	// The same answer once more, as a reload or somebody who saw the address sends it.
	if _, err := w.Callback(t.Context(), admin(), "github", q.Get("state"), "browser", oauth.Callback{Code: "code"}); fault.CodeOf(err) != "STATE_UNKNOWN" {
		t.Errorf("second callback: %v", err)
	}
	if w.exchanged.Load() != 1 {
		t.Errorf("%d exchanges", w.exchanged.Load())
	}
}

func TestCallbackRefuses(t *testing.T) {
	t.Parallel()
	other := admin()
	other.ID = "usr_2"
	for name, c := range map[string]struct {
		change   func(w *world)
		actor    access.Actor
		provider string
		binding  string
		state    func(q url.Values) string
		back     oauth.Callback
		code     string // of the error, or of the flow that failed
	}{
		"unknown state":        {state: func(url.Values) string { return "made up" }, code: "STATE_UNKNOWN"},
		"no state":             {state: func(url.Values) string { return "" }, code: "STATE_UNKNOWN"},
		"another browser":      {binding: "theirs", code: "STATE_OF_ANOTHER"},
		"no cookie":            {binding: "-", code: "STATE_OF_ANOTHER"},
		"another person":       {actor: other, code: "STATE_OF_ANOTHER"},
		"another provider":     {provider: "gitlab", code: "STATE_OF_ANOTHER"},
		"too late":             {change: func(w *world) { w.pass(11 * time.Minute) }, code: "STATE_UNKNOWN"},
		"another issuer":       {back: oauth.Callback{Code: "code", Issuer: "https://evil.example.com"}, code: oauth.CodeIssuer},
		"denied":               {back: oauth.Callback{Error: "access_denied"}, code: oauth.CodeDenied},
		"an invented error":    {back: oauth.Callback{Error: "<script>alert(1)</script>"}, code: oauth.CodeRefused},
		"no code":              {back: oauth.Callback{Issuer: issuer}, code: oauth.CodeBadAnswer},
		"code of another":      {back: oauth.Callback{Code: "stolen"}, code: oauth.CodeInvalidGrant},
		"client was changed":   {change: func(w *world) { w.client.Config.TokenURL = "https://evil.example.com/token" }, code: "CLIENT_CHANGED"},
		"connection was moved": {change: func(w *world) { w.client.Connection.BaseURL = "https://evil.example.com" }, code: "CONNECTION_MOVED"},
		"storing is refused": {change: func(w *world) {
			w.exchange = func(string, string, string) (oauth.Token, error) { return oauth.Token{}, errors.New("s3cret") }
		}, code: "INTERNAL"},
		"issuer was promised": {change: func(w *world) { w.names = true }, back: oauth.Callback{Code: "code"}, code: oauth.CodeIssuer},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			if name == "issuer was promised" {
				c.change(w)
			}
			_, q := w.begin()
			if c.change != nil {
				c.change(w)
			}
			actor, provider, binding, state, back := c.actor, c.provider, c.binding, q.Get("state"), c.back
			if actor.Kind == "" {
				actor = admin()
			}
			if provider == "" {
				provider = "github"
			}
			switch binding {
			case "":
				binding = "browser"
			case "-":
				binding = ""
			}
			if c.state != nil {
				state = c.state(q)
			}
			if back == (oauth.Callback{}) {
				back = oauth.Callback{Code: "code", Issuer: issuer}
			}
			f, err := w.Callback(t.Context(), actor, provider, state, binding, back)
			got := fault.CodeOf(err)
			if err == nil {
				got = f.Code
				if f.Status != StatusFailed || f.Step == "" || f.Problem == "" {
					t.Errorf("a failed flow without step or advice: %+v", f)
				}
			}
			if got != c.code && (c.code != "INTERNAL" || f.Status != StatusFailed) {
				t.Errorf("got %q (%+v, %v), want %q", got, f, err, c.code)
			}
			if strings.Contains(f.Problem+f.Code, "s3cret") || strings.Contains(f.Problem+f.Code, "script") {
				t.Errorf("the flow repeats what it must not: %+v", f)
			}
			if len(w.stored) > 0 {
				t.Errorf("stored %+v", w.stored)
			}
			if strings.HasSuffix(got, "_CHANGED") || strings.HasSuffix(got, "_MOVED") {
				if w.exchanged.Load() > 0 {
					t.Error("the code is sent")
				}
			}
			// Whatever it was, the state is of no more use to anybody.
			if c.state == nil {
				if _, err := w.Callback(t.Context(), admin(), "github", q.Get("state"), "browser", oauth.Callback{Code: "code", Issuer: issuer}); fault.CodeOf(err) != "STATE_UNKNOWN" {
					t.Errorf("the state can be used again: %v", err)
				}
			}
		})
	}
}

func TestParallelCallbacksExchangeOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	_, q := w.begin()
	var group sync.WaitGroup
	var done atomic.Int64
	for range 20 {
		group.Go(func() {
			f, err := w.Callback(t.Context(), admin(), "github", q.Get("state"), "browser", oauth.Callback{Code: "code", Issuer: issuer})
			if err == nil && f.Status == StatusDone {
				done.Add(1)
			}
		})
	}
	group.Wait()
	if done.Load() != 1 || w.exchanged.Load() != 1 {
		t.Errorf("%d done, %d exchanges, want 1 and 1", done.Load(), w.exchanged.Load())
	}
}

// A code of one server is not sent to another one.
func TestDeviceCodeStaysAtItsServer(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.client.Grant = authtype.GrantDeviceCode
	w.poll = func() (oauth.Token, error) { return oauth.Token{Access: "access"}, nil }
	f, err := w.Begin(t.Context(), admin(), "github", "default", []string{"read"}, "browser")
	if err != nil {
		t.Fatal(err)
	}
	w.client.Config.TokenURL = "https://evil.example.com/token"
	w.pass(5 * time.Second)
	f, err = w.Poll(t.Context(), admin(), f.ID, "browser")
	if err != nil || f.Status != StatusFailed || f.Code != "CLIENT_CHANGED" || w.polled.Load() != 0 {
		t.Errorf("%s (%s), asked %d times, %v", f.Status, f.Code, w.polled.Load(), err)
	}
}

func TestDeviceIsAskedAtItsPace(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.client.Grant = authtype.GrantDeviceCode
	answers := []error{
		&oauth.Error{Step: oauth.StepToken, Code: oauth.CodePending}, &oauth.Error{Step: oauth.StepToken, Code: oauth.CodeSlowDown},
		&oauth.Error{Step: oauth.StepToken, Code: oauth.CodeServerError}, nil,
	}
	w.poll = func() (oauth.Token, error) {
		if err := answers[w.polled.Load()-1]; err != nil {
			return oauth.Token{}, err
		}
		return oauth.Token{Access: "access"}, nil
	}
	f, err := w.Begin(t.Context(), admin(), "github", "default", []string{"read"}, "browser")
	if err != nil || f.UserCode != "ABCD-EFGH" || f.Server != "as.example.com" {
		t.Fatalf("%+v, %v", f, err)
	}
	look := func(wantPolls int64, wantStatus string) {
		t.Helper()
		for range 5 { // impatient, and in several tabs
			if f, err = w.Poll(t.Context(), admin(), f.ID, "browser"); err != nil {
				t.Fatal(err)
			}
		}
		if w.polled.Load() != wantPolls || f.Status != wantStatus {
			t.Fatalf("%d polls and %s, want %d and %s", w.polled.Load(), f.Status, wantPolls, wantStatus)
		}
	}
	look(0, StatusPending)
	w.pass(5 * time.Second)
	look(1, StatusPending)
	w.pass(5 * time.Second)
	look(2, StatusPending) // from here on slower
	w.pass(6 * time.Second)
	look(2, StatusPending)
	w.pass(5 * time.Second)
	look(3, StatusPending)
	w.pass(11 * time.Second)
	look(4, StatusDone)
	if len(w.stored) != 1 {
		t.Errorf("stored %d tokens", len(w.stored))
	}
}

// A device code is for the server and the address that the person was asked for, and goes to no other.
func TestDeviceCodeStaysWithItsServer(t *testing.T) {
	t.Parallel()
	for code, change := range map[string]func(w *world){
		"CLIENT_CHANGED":   func(w *world) { w.client.Config.TokenURL = "https://evil.example.com/token" },
		"CONNECTION_MOVED": func(w *world) { w.client.Connection.BaseURL = "https://evil.example.com" },
	} {
		w := newWorld(t)
		w.client.Grant = authtype.GrantDeviceCode
		w.poll = func() (oauth.Token, error) { return oauth.Token{Access: "access"}, nil }
		f, err := w.Begin(t.Context(), admin(), "github", "default", nil, "browser")
		if err != nil {
			t.Fatal(err)
		}
		change(w)
		w.pass(5 * time.Second)
		f, err = w.Poll(t.Context(), admin(), f.ID, "browser")
		if err != nil || f.Status != StatusFailed || f.Code != code || f.Problem == "" || w.polled.Load() > 0 || len(w.stored) > 0 {
			t.Errorf("%s: %+v, %v; %d polls, stored %v", code, f, err, w.polled.Load(), w.stored)
		}
	}
}

// Another path is the same address. What is moved while the answer is fetched is not stored either.
func TestMovedAtTheLastMoment(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	_, q := w.begin()
	w.client.Connection.BaseURL = origin + ":443/v2"
	w.storing = func() { w.client.Connection.BaseURL = "https://evil.example.com" }
	f, err := w.Callback(t.Context(), admin(), "github", q.Get("state"), "browser", oauth.Callback{Code: "code", Issuer: issuer})
	if err != nil || f.Status != StatusFailed || f.Code != "CONNECTION_MOVED" || w.exchanged.Load() != 1 || len(w.stored) > 0 {
		t.Errorf("%+v, %v; %d exchanges, stored %v", f, err, w.exchanged.Load(), w.stored)
	}
}

func TestFlowsAreOfTheirBrowser(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	f, q := w.begin()
	if _, err := w.Leave(t.Context(), admin(), f.ID, "theirs"); fault.CodeOf(err) != "CONSENT_ENDED" {
		t.Errorf("another browser may leave: %v", err)
	}
	if _, err := w.Service.Find(t.Context(), access.Actor{}, f.ID, "theirs"); err == nil {
		t.Error("somebody who is not signed in sees the consent of another browser")
	}
	var text string
	if err := w.db.QueryRow(t.Context(), `SELECT state_hash || binding_hash || sealed || settings FROM oauth_flows`).Scan(&text); err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{q.Get("state"), "browser", "s3cret"} {
		if strings.Contains(text, secret) {
			t.Errorf("%q is stored as it is", secret)
		}
	}
	w.pass(time.Hour)
	if late, err := w.Service.Find(t.Context(), admin(), f.ID, "browser"); err != nil || late.Status != StatusFailed || late.Code != oauth.CodeExpired {
		t.Errorf("after an hour: %+v, %v", late, err)
	}
	w.pass(flowsKept)
	if err := w.store.forget(t.Context(), w.at.Add(-flowsKept)); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Service.Find(t.Context(), admin(), f.ID, "browser"); !fault.Is(err, fault.NotFound) {
		t.Errorf("it is kept for ever: %v", err)
	}
}
