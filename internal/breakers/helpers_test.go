package breakers

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"switchgear/db"
	"switchgear/internal/access"
	"switchgear/internal/audit"
	"switchgear/internal/connections"
	"switchgear/internal/dbtest"
	"switchgear/internal/fault"
	"switchgear/internal/runtime"
	"switchgear/internal/runtime/breaker"
	"switchgear/internal/runtime/ratelimit"
	"switchgear/internal/telemetry"
)

// directory is a few connections. Each has the operation charge, whose rate limits are its own.
type directory struct {
	mu  sync.Mutex
	all []connections.Connection
}

func (d *directory) Peek(slug string) (connections.Connection, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, c := range d.all {
		if c.Slug == slug {
			return c, true
		}
	}
	return connections.Connection{}, false
}

func (d *directory) Standings(a access.Actor) ([]*connections.Standing, error) {
	if err := a.Require(access.PermissionSystemRead); err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	out := make([]*connections.Standing, len(d.all))
	for i := range d.all {
		c := d.all[i]
		out[i] = &connections.Standing{Connection: &c}
	}
	return out, nil
}

func (d *directory) EffectivePolicy(connections.Connection) (runtime.Policy, error) {
	return runtime.MergePolicy(runtime.DefaultPolicy(), json.RawMessage(
		`{"operations":[{"id":"charge","method":"POST","path":"/v1/charges","policy":{"rate_limits":[{"requests":1,"per":"1s"}]}}]}`))
}

func (d *directory) remove(slug string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.all = slices.DeleteFunc(d.all, func(c connections.Connection) bool { return c.Slug == slug })
}

// prober answers every probe alike and remembers them.
type prober struct {
	err   error
	asked []string
}

func (p *prober) Probe(_ context.Context, slug, operation string) (ProbeResult, error) {
	p.asked = append(p.asked, slug+"/"+operation)
	return ProbeResult{Method: "GET", Path: "/health", Status: 200, Outcome: runtime.OutcomeSuccess}, p.err
}

// world is a Service on a database, with registries that one process would have.
type world struct {
	*Service
	t         testing.TB
	db        *db.DB
	directory *directory
	audit     *audit.Log
	prober    *prober
	registry  *breaker.Registry
	limiters  *ratelimit.Registry

	mu     sync.Mutex
	topics []string
}

const (
	stripeID = "con_stripe"
	githubID = "con_github"
)

func newWorld(tb testing.TB) *world {
	tb.Helper()
	w := &world{t: tb, db: dbtest.New(tb), directory: &directory{all: []connections.Connection{
		{ID: stripeID, Slug: "stripe", Name: "Stripe live", Version: 7, Environment: "production"},
		{ID: githubID, Slug: "github", Name: "GitHub", Version: 1},
	}}}
	var err error
	w.audit, err = audit.New(audit.Deps{DB: w.db, Now: time.Now, MAC: func(message []byte) []byte {
		h := hmac.New(sha256.New, []byte("audit"))
		h.Write(message)
		return h.Sum(nil)
	}})
	must(tb, err)
	for _, c := range w.directory.all {
		w.exec(`INSERT INTO connections (id, slug, version, created_at, updated_at, name_key, kind, provider, environment, state, search_key)
			VALUES ($1, $2, $3, 0, 0, '', '', '', '', '', '')`, c.ID, c.Slug, c.Version)
	}
	w.start()
	return w
}

// start is a new process on the same database, before Restore.
func (w *world) start() {
	w.t.Helper()
	inbox := NewInbox()
	w.limiters, w.prober = ratelimit.NewRegistry(), &prober{}
	var err error
	w.registry, err = breaker.NewRegistry(breaker.Deps{Config: w.config, Record: inbox.Changed}, breaker.Settings{})
	must(w.t, err)
	for _, c := range w.directory.all {
		_, err := w.limiters.Configure(c.ID, ratelimit.Config{
			Limits: []ratelimit.Limit{{Requests: 100, Per: time.Hour}}, Groups: map[string][]ratelimit.Limit{"charge": {{Requests: 50, Per: time.Hour}}},
		})
		must(w.t, err)
	}
	w.Service, err = New(Deps{
		DB: w.db, Audit: w.audit, Connections: w.directory, Inbox: inbox, Breakers: w.registry, Limiters: w.limiters, Prober: w.prober,
		Notify: func(topic string) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.topics = append(w.topics, topic)
		},
		Logger: telemetry.Discard(), Now: time.Now,
	}, Config{})
	must(w.t, err)
}

// config trips at two failures of two.
func (w *world) config(key breaker.Key) (breaker.Config, error) {
	known, err := w.known()
	if err != nil || known[key.Connection] == nil || key.Operation != "" && key.Operation != "charge" {
		return breaker.Config{}, fault.New(fault.NotFound, "", "no such breaker")
	}
	return breaker.Config{MinCalls: 2, OpenFor: 10 * time.Minute, HalfOpenCalls: 2}, nil
}

// restart is what a kill -9 leaves: the database.
func (w *world) restart() {
	w.t.Helper()
	w.start()
	must(w.t, w.Restore(w.t.Context()))
}

// hand makes the registry hand over its events.
func (w *world) hand() {
	w.t.Helper()
	ctx, cancel := context.WithCancel(w.t.Context())
	cancel()
	if err := w.registry.Serve(ctx); !errors.Is(err, context.Canceled) {
		w.t.Fatal(err)
	}
}

// stored hands over and stores.
func (w *world) stored() {
	w.t.Helper()
	w.hand()
	must(w.t, w.flush(w.t.Context()))
}

func (w *world) exec(query string, args ...any) {
	w.t.Helper()
	must(w.t, w.db.InTx(w.t.Context(), func(tx *db.Tx) error {
		_, err := tx.Exec(w.t.Context(), query, args...)
		return err
	}))
}

func (w *world) count(query string, args ...any) (n int) {
	w.t.Helper()
	must(w.t, w.db.QueryRow(w.t.Context(), query, args...).Scan(&n))
	return n
}

// fail lets a call of a connection fail n times.
func (w *world) fail(key breaker.Key, n int) {
	w.t.Helper()
	for range n {
		p, err := w.registry.Allow(key)
		must(w.t, err)
		p.Done(breaker.Result{Verdict: breaker.Failure, Outcome: "server_error", RequestID: "req_1"})
	}
}

// hold lets the vendor ask for a pause.
func (w *world) hold(connectionID, group string) {
	w.t.Helper()
	l, _ := w.limiters.Get(connectionID)
	g, err := l.Reserve(w.t.Context(), ratelimit.Key{Group: group}, 0)
	must(w.t, err)
	g.Answered(429, map[string][]string{"Retry-After": {"600"}})
}

// command gives one as somebody who may, for a reason.
func (w *world) command(operation string, v Verb, o Order) (Done, error) {
	w.t.Helper()
	if o.Reason == "" {
		o.Reason = "because"
	}
	return w.Command(w.t.Context(), root(), "stripe", operation, v, o)
}

func (w *world) mustCommand(operation string, v Verb, o Order) Done {
	w.t.Helper()
	d, err := w.command(operation, v, o)
	must(w.t, err)
	return d
}

// state is what calls of a connection meet.
func (w *world) state(operation string) breaker.State {
	w.t.Helper()
	return w.row(w.connection(), operation).State
}

func (w *world) connection() connections.Connection {
	c, _ := w.directory.Peek("stripe")
	return c
}

func (w *world) entries() []audit.Entry {
	w.t.Helper()
	page, err := w.audit.Search(w.t.Context(), audit.Query{Limit: 500})
	must(w.t, err)
	slices.Reverse(page.Entries)
	return page.Entries
}

// user stores a user and returns the actor that they are.
func (w *world) user(role access.Role) access.Actor {
	w.t.Helper()
	a := access.Actor{Kind: access.KindUser, ID: db.NewID("usr"), Role: role, IP: "192.0.2.1"}
	a.Name = a.ID + "@example.com"
	w.exec(`INSERT INTO users (id, email, name, role, password_hash, created_at, updated_at, password_changed_at, search)
		VALUES ($1, $2, '', $3, '', 0, 0, 0, $2)`, a.ID, a.Name, role)
	return a
}

func root() access.Actor { return access.CommandLine("root") }

var (
	stripe = breaker.Key{Connection: stripeID}
	charge = breaker.Key{Connection: stripeID, Operation: "charge"}
)

func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

func wantField(t *testing.T, err error, code, field string) {
	t.Helper()
	f, ok := errors.AsType[*fault.Error](err)
	if !ok || f.Kind != fault.Invalid || f.Code != code || f.Details.Field != field {
		t.Errorf("got %v, want %s about %s", err, code, field)
	}
}
