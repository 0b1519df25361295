package connections

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"switchgear/db"
	"switchgear/internal/access"
	"switchgear/internal/audit"
	"switchgear/internal/credentials"
	"switchgear/internal/credentials/vaulttest"
	"switchgear/internal/fault"
	"switchgear/internal/providers"
	"switchgear/internal/runtime"
	"switchgear/internal/runtime/egress"
	"switchgear/internal/runtime/egress/http1"
	"switchgear/internal/telemetry"
)

const canary = "canary-conn-4711"

// shelf is a catalogue of two providers.
type shelf struct{}

func (shelf) Find(slug string) (providers.Provider, error) {
	switch slug {
	case "acme":
		return providers.Provider{
			Slug: "acme", Name: "Acme", Kind: KindREST, BaseURL: "https://api.acme.example", RateLimit: providers.RateLimit{Dialect: "github"},
			Auth: []providers.Auth{
				{Type: "api_key", Fields: map[string]string{"in": "header", "name": "X-Acme", "prefix": "Key"}},
				{Type: "basic", Fields: map[string]string{"username": "api"}},
			},
			Policy: json.RawMessage(`{"rate_limits":[{"requests":10,"per":"1s"}],"timeout":"7s"}`),
		}, nil
	case "shop":
		return providers.Provider{Slug: "shop", Kind: KindREST, BaseURL: "https://{shop}.example.com", Auth: []providers.Auth{{Type: "bearer"}}}, nil
	}
	return providers.Provider{}, fault.New(fault.NotFound, "", "no provider")
}

// guarded is the real guard that also counts.
type guarded struct {
	*egress.Guard
	mu   sync.Mutex
	made []*http1.Transport
}

func (g *guarded) NewCalls(cfg egress.TransportConfig) *http1.Transport {
	t := g.Guard.NewCalls(cfg)
	g.mu.Lock()
	defer g.mu.Unlock()
	g.made = append(g.made, t)
	return t
}

func (g *guarded) count() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.made)
}

// shields remembers which policies hold, by connection.
type shields struct {
	mu  sync.Mutex
	set map[string]runtime.PolicySet
}

func (s *shields) Apply(set runtime.PolicySet) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.set[set.ConnectionID] = set
	return nil
}

func (s *shields) Forget(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.set, id)
}

// of returns the policy that holds for a connection.
func (s *shields) of(id string) (runtime.PolicySet, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	set, ok := s.set[id]
	return set, ok
}

// world is a Service on a real database, and what a test asks of both.
type world struct {
	*Service
	t      *testing.T
	dir    string
	deps   Deps
	db     *db.DB
	log    *audit.Log
	vault  *credentials.Vault
	sealer *credentials.Sealer
	guard  *guarded
	shield *shields
	logs   *bytes.Buffer
	mu     sync.Mutex
	now    time.Time
	topics []string

	// incomplete is what is open of every checklist, and asked of which connections it was wanted to be known.
	incomplete, asked []string
	unjudged          error
}

func (w *world) clock() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = w.now.Add(time.Second)
	return w.now
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, dir: t.TempDir(), now: time.Date(2026, 11, 24, 3, 0, 0, 0, time.UTC), logs: &bytes.Buffer{}}
	var err error
	w.db, err = db.Open(t.Context(), db.Config{Dir: w.dir})
	must(t, err)
	t.Cleanup(func() { _ = w.db.Close() })
	ring, err := credentials.OpenKeyring(t.Context(), credentials.Deps{
		DB: w.db, Logger: telemetry.Discard(), Now: time.Now,
		Source: credentials.KeySource{Value: telemetry.NewSecret(base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{1}, 32)))},
	})
	must(t, err)
	sealer, err := ring.Sealer(credentials.PurposeCredential)
	must(t, err)
	w.sealer = sealer
	w.vault = vaulttest.Open(t, w.db, sealer, w.clock)
	w.log, err = audit.New(audit.Deps{DB: w.db, Now: w.clock, MAC: func(message []byte) []byte {
		h := hmac.New(sha256.New, []byte("audit"))
		h.Write(message)
		return h.Sum(nil)
	}})
	must(t, err)
	rules, err := egress.ParseRules([]string{"127.0.0.1=127.0.0.0/8:1024-65535"})
	must(t, err)
	w.guard = &guarded{Guard: egress.New(egress.Config{Rules: rules})}
	w.shield = &shields{set: map[string]runtime.PolicySet{}}
	w.deps = Deps{
		Protections: w.shield,
		Open: func(_ context.Context, c Connection) ([]string, error) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.asked = append(w.asked, c.Environment+" "+strconv.Itoa(c.Version))
			return w.incomplete, w.unjudged
		},
		DB: w.db, Audit: w.log, Vault: w.vault, Providers: shelf{}, Egress: w.guard,
		Notify: func(topic string) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.topics = append(w.topics, topic)
		},
		Logger: slog.New(slog.NewJSONHandler(w.logs, nil)), Now: w.clock,
	}
	w.Service, err = New(t.Context(), w.deps)
	must(t, err)
	// Whatever a test did, the record of it has to hold.
	t.Cleanup(func() {
		if t.Name() == "TestSecretsAreNowhere" {
			return // it closes the database itself
		}
		report, err := w.log.Verify(context.WithoutCancel(t.Context()))
		if err != nil || len(report.Problems) > 0 {
			t.Errorf("the audit record: %+v, %v", report, err)
		}
	})
	return w
}

// admin is an actor who may do everything and is not stored.
func admin() access.Actor { return access.CommandLine("root") }

// user stores a user and returns the actor that they are.
func (w *world) user(role access.Role) access.Actor {
	w.t.Helper()
	a := access.Actor{Kind: access.KindUser, ID: db.NewID("usr"), Role: role, IP: "192.0.2.1"}
	a.Name = a.ID + "@example.com"
	w.exec(`INSERT INTO users (id, email, name, role, password_hash, created_at, updated_at, password_changed_at, search)
		VALUES ($1, $2, '', $3, '', 0, 0, 0, $2)`, a.ID, a.Name, role)
	return a
}

func (w *world) exec(query string, args ...any) {
	w.t.Helper()
	must(w.t, w.db.InTx(w.t.Context(), func(tx *db.Tx) error {
		_, err := tx.Exec(w.t.Context(), query, args...)
		return err
	}))
}

func (w *world) count(query string) (n int) {
	w.t.Helper()
	must(w.t, w.db.QueryRow(w.t.Context(), query).Scan(&n))
	return n
}

// draft is a valid one.
func draft(slug string) Draft {
	return Draft{
		Name: "Stripe live", Slug: slug, Kind: KindREST, Environment: "production", BaseURL: "https://api.example.com",
		Auth: Auth{Type: "bearer", Fields: map[string]string{"token": "first"}},
	}
}

func (w *world) create(slug string) Connection {
	w.t.Helper()
	c, err := w.Create(w.t.Context(), admin(), draft(slug), "")
	must(w.t, err)
	return c
}

// update edits the present definition.
func (w *world) update(slug string, change func(*Draft)) Connection {
	w.t.Helper()
	c, err := w.Find(w.t.Context(), admin(), slug)
	must(w.t, err)
	d := c.Draft()
	change(&d)
	c, err = w.Update(w.t.Context(), admin(), slug, d, "", c.Version)
	must(w.t, err)
	return c
}

// call puts the credential on a request and returns its Authorization header and target.
func (w *world) call(slug, account string) (string, runtime.Target, error) {
	w.t.Helper()
	target, err := w.Target(slug, account)
	if err != nil {
		return "", target, err
	}
	r := httptest.NewRequest(http.MethodGet, target.BaseURL.String(), nil)
	err = target.Authorize(w.t.Context(), r)
	return r.Header.Get("Authorization"), target, err
}

func (w *world) wantSent(slug, account, want string) {
	w.t.Helper()
	if got, _, err := w.call(slug, account); err != nil || got != want {
		w.t.Errorf("%s/%s sent %q, %v; want %q", slug, account, got, err, want)
	}
}

// actions are the actions of the record, the oldest first.
func (w *world) actions() []string {
	w.t.Helper()
	entries := w.entries()
	out := make([]string, len(entries))
	for i, e := range entries {
		out[i] = e.Action
	}
	return out
}

func (w *world) entries() []audit.Entry {
	w.t.Helper()
	page, err := w.log.Search(w.t.Context(), audit.Query{Limit: 500})
	must(w.t, err)
	slices.Reverse(page.Entries)
	return page.Entries
}

func (w *world) announced() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	out := w.topics
	w.topics = nil
	return out
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantCode(t *testing.T, err error, kind fault.Kind, code string) {
	t.Helper()
	if !fault.Is(err, kind) || fault.CodeOf(err) != code {
		t.Errorf("got %v (%v %s), want %v %s", err, fault.KindOf(err), fault.CodeOf(err), kind, code)
	}
}

func wantField(t *testing.T, err error, code, field string) {
	t.Helper()
	wantCode(t, err, fault.Invalid, code)
	if f, ok := errors.AsType[*fault.Error](err); ok && f.Details.Field != field {
		t.Errorf("the error is about the field %q, want %q", f.Details.Field, field)
	}
}

// parallel runs fn n times at once and returns the errors.
func parallel(n int, fn func(i int) error) []error {
	errs := make([]error, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { errs[i] = fn(i) })
	}
	wg.Wait()
	return errs
}

func succeeded(errs []error) (n int) {
	for _, err := range errs {
		if err == nil {
			n++
		}
	}
	return n
}

func words(list []string) string { return strings.Join(list, " ") }

// nothing is a transaction that does nothing.
func nothing(*db.Tx) error { return nil }

// waiting is a transaction that says when it began and goes on until it is let go.
func waiting(began chan<- struct{}, on <-chan struct{}) func(*db.Tx) error {
	return func(*db.Tx) error {
		close(began)
		<-on
		return nil
	}
}

// only drops what comes beside an error.
func only[T any](_ T, err error) error { return err }
