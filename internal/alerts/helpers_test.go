package alerts

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"switchgear/db"
	"switchgear/internal/access"
	"switchgear/internal/audit"
	"switchgear/internal/calls"
	"switchgear/internal/connections"
	"switchgear/internal/credentials"
	"switchgear/internal/dbtest"
	"switchgear/internal/health"
	"switchgear/internal/runtime"
	"switchgear/internal/runtime/breaker"
	"switchgear/internal/runtime/egress"
	"switchgear/internal/runtime/ratelimit"
	"switchgear/internal/telemetry"
)

// canary is part of every secret that goes in. It must never come out.
const canary = "canary-alerts-4711"

// world is a Service and a Sender on a database, with a clock, and with what they watch made by hand.
type world struct {
	*Service
	t        *testing.T
	db       *db.DB
	audit    *audit.Log
	sealer   *credentials.Sealer
	sender   *Sender
	health   *health.Service
	guard    *egress.Guard
	breakers *breaker.Registry
	limiters *ratelimit.Registry
	logs     *lockedBuffer

	mu       sync.Mutex
	at       time.Time // the clock; zero for the real one
	list     []*connections.Standing
	weights  map[string]calls.Weight
	rejected map[string]runtime.RejectedCredential
	figures  map[string]calls.Figures
	totals   error
	expiries []connections.Expiry
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

func (w *world) now() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.at.IsZero() {
		return time.Now()
	}
	return w.at
}

func (w *world) pass(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.at = w.at.Add(d)
}

// Standings implements Directory.
func (w *world) Standings(a access.Actor) ([]*connections.Standing, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.list, a.Require(access.PermissionSystemRead)
}

// Expiries implements Directory.
func (w *world) Expiries(context.Context, access.Actor) ([]connections.Expiry, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.expiries, nil
}

// Target implements health.Directory.
func (w *world) Target(string, string) (runtime.Target, error) { return runtime.Target{}, nil }

// Weights implements Calls.
func (w *world) Weights() func(string) calls.Weight {
	return func(id string) calls.Weight {
		w.mu.Lock()
		defer w.mu.Unlock()
		return w.weights[id]
	}
}

// Touched implements health.Traffic: any of them may have been called.
func (w *world) Touched() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	out := make([]string, 0, len(w.weights))
	for id := range w.weights {
		out = append(out, id)
	}
	return out
}

// Versions implements health.Directory.
func (w *world) Versions(context.Context, access.Actor, string) ([]connections.Version, error) {
	return nil, nil
}

// Totals implements Calls.
func (w *world) Totals(_ context.Context, q calls.RollupQuery) (calls.Figures, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.figures[q.Connection], w.totals
}

func (w *world) Breakers() *breaker.Registry   { return w.breakers }
func (w *world) Limiters() *ratelimit.Registry { return w.limiters }

func (w *world) RejectedCredentials() map[string]runtime.RejectedCredential {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.rejected
}

// newWorld has the connections of those slugs; each has its slug as its id and is for production.
func newWorld(t *testing.T, slugs ...string) *world {
	t.Helper()
	w := newWorldOn(t, dbtest.New(t))
	w.connect(slugs...)
	return w
}

func (w *world) connect(slugs ...string) {
	for _, slug := range slugs {
		w.list = append(w.list, &connections.Standing{Connection: &connections.Connection{
			ID: slug, Slug: slug, Name: slug, State: connections.StateActive, Environment: "production",
		}})
	}
}

func newWorldOn(t *testing.T, d *db.DB) *world {
	t.Helper()
	w := &world{
		t: t, db: d, weights: map[string]calls.Weight{}, figures: map[string]calls.Figures{}, logs: &lockedBuffer{},
		at: time.Date(2030, 5, 6, 7, 8, 0, 0, time.UTC),
	}
	ring, err := credentials.OpenKeyring(t.Context(), credentials.Deps{
		DB: d, Logger: telemetry.Discard(), Now: time.Now,
		Source: credentials.KeySource{Value: telemetry.NewSecret(base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{1}, 32)))},
	})
	must(t, err)
	w.sealer, err = ring.Sealer(credentials.PurposeCredential)
	must(t, err)
	w.audit, err = audit.New(audit.Deps{DB: d, Now: w.now, MAC: func(message []byte) []byte {
		h := hmac.New(sha256.New, []byte("audit"))
		h.Write(message)
		return h.Sum(nil)
	}})
	must(t, err)
	rules, err := egress.ParseRules([]string{"127.0.0.1=127.0.0.0/8:1024-65535"})
	must(t, err)
	w.guard = egress.New(egress.Config{Rules: rules})
	w.start()
	return w
}

// start is a new process on the same database.
func (w *world) start() {
	w.t.Helper()
	w.limiters = ratelimit.NewRegistry()
	logger := slog.New(slog.NewJSONHandler(w.logs, &slog.HandlerOptions{Level: slog.LevelDebug}))
	var err error
	w.breakers, err = breaker.NewRegistry(breaker.Deps{
		Config: func(breaker.Key) (breaker.Config, error) {
			return breaker.Config{FailureRatio: 0.5, MinCalls: 2, Window: time.Minute, OpenFor: 30 * time.Second, MaxOpenFor: time.Minute, HealthyAfter: time.Minute, HalfOpenCalls: 1, HalfOpenTimeout: time.Minute}, nil
		},
		Record: func(context.Context, []breaker.Event) {},
	}, breaker.Settings{})
	must(w.t, err)
	quiet := func(string) {}
	w.health, err = health.New(w.t.Context(), health.Deps{
		DB: w.db, Connections: w, Traffic: w, Protections: w, Notify: quiet, Logger: telemetry.Discard(), Now: w.now,
		Probe: func(context.Context, runtime.Target, string, string) runtime.ProbeResult {
			return runtime.ProbeResult{}
		},
	}, health.Config{Every: time.Nanosecond, Least: time.Nanosecond})
	must(w.t, err)
	w.sender, err = NewSender(SenderDeps{DB: w.db, Sealer: w.sealer, Guard: w.guard, Notify: quiet, Logger: logger, Now: w.now}, SenderConfig{})
	must(w.t, err)
	w.Service, err = New(w.t.Context(), Deps{
		DB: w.db, Audit: w.audit, Sealer: w.sealer, Connections: w, Health: w.health, Breakers: w.breakers, Calls: w, Outbox: w.sender,
		BaseURL: func() string { return "https://console.example.com" }, Notify: quiet, Logger: logger, Now: w.now,
	}, Config{})
	must(w.t, err)
}

// person is a user with a role, as they are stored.
func (w *world) person(role access.Role) access.Actor {
	w.t.Helper()
	id := db.NewID("usr")
	w.exec(`INSERT INTO users (id, email, name, role, password_hash, created_at, updated_at, password_changed_at, search) VALUES ($1, $2, '', $3, '', 0, 0, 0, '')`, id, id+"@example.com", string(role))
	return access.Actor{Kind: access.KindUser, ID: id, Name: id + "@example.com", Role: role}
}

func (w *world) exec(query string, args ...any) {
	w.t.Helper()
	must(w.t, w.db.InTx(w.t.Context(), func(tx *db.Tx) error {
		_, err := tx.Exec(w.t.Context(), query, args...)
		return err
	}))
}

// receiver is an HTTP server that notes what it gets and answers as it is told.
type receiver struct {
	*httptest.Server
	mu     sync.Mutex
	got    []received
	answer func(n int, w http.ResponseWriter, r *http.Request)
}

type received struct {
	header http.Header
	body   []byte
}

func newReceiver(t *testing.T, answer func(n int, w http.ResponseWriter, r *http.Request)) *receiver {
	t.Helper()
	rec := &receiver{answer: answer}
	rec.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var b bytes.Buffer
		_, _ = b.ReadFrom(r.Body)
		rec.mu.Lock()
		rec.got = append(rec.got, received{r.Header, b.Bytes()})
		n := len(rec.got)
		rec.mu.Unlock()
		if rec.answer != nil {
			rec.answer(n, w, r)
		}
	}))
	t.Cleanup(rec.Close)
	return rec
}

func (r *receiver) all() []received {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]received(nil), r.got...)
}

// webhook makes a channel to a receiver.
func (w *world) webhook(name, url string) Channel {
	w.t.Helper()
	c, _, err := w.CreateChannel(w.t.Context(), access.System(), ChannelDraft{Name: name, Kind: "webhook", Enabled: true, Settings: map[string]string{"url": url}})
	must(w.t, err)
	return c
}
