package checklist

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/json"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"switchgear/db"
	"switchgear/internal/access"
	"switchgear/internal/alerts"
	"switchgear/internal/audit"
	"switchgear/internal/breakers"
	"switchgear/internal/calls"
	"switchgear/internal/connections"
	"switchgear/internal/dbtest"
	"switchgear/internal/fault"
	"switchgear/internal/providers"
	"switchgear/internal/runtime"
	"switchgear/internal/telemetry"
)

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

var noon = time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC)

// good are facts with which nothing is wrong.
func good() Facts {
	policy := runtime.DefaultPolicy()
	policy.Timeout, policy.AttemptTimeout = runtime.Duration(10*time.Second), runtime.Duration(4*time.Second)
	policy.RateLimits = []runtime.RateLimit{{Requests: 90, Per: runtime.Duration(time.Second)}}
	policy.Operations = []runtime.Operation{{ID: "charge", Method: "POST", Path: "/v1/charges"}}
	f := Facts{
		Connection: connections.Connection{
			ID: "con_1", Slug: "stripe", Name: "Stripe live", Kind: connections.KindREST, Provider: "stripe", Environment: "production", BaseURL: "https://api.stripe.com",
			AuthType: "bearer", AuthSecrets: []string{"token"}, CredentialMark: "token=a", State: connections.StateActive, Version: 3, LastKnownGood: 2,
			CreatedAt: noon.Add(-100 * 24 * time.Hour), UpdatedAt: noon.Add(-48 * time.Hour),
			Requirements: connections.Requirements{
				Owner: "Payments", Purpose: "Charges cards.", DataClass: "personal", Criticality: "critical",
				SLO:            connections.SLO{Availability: 99, P95: runtime.Duration(800 * time.Millisecond)},
				ExpectedVolume: connections.Volume{Calls: 60, Per: runtime.Duration(time.Minute)},
			},
			Documentation: connections.Documentation{
				Runbook: strings.Repeat("Look. ", 50), Contacts: []connections.Contact{{Name: "On call", Reach: "ops@example.com"}},
				StatusURL: "https://status.stripe.com", DocsURL: "https://docs.stripe.com",
			},
		},
		Policy:   policy,
		Provider: providers.Provider{Slug: "stripe", Docs: "https://docs.stripe.com", Policy: json.RawMessage(`{"rate_limits":[{"requests":100,"per":"1s"}]}`)},
		Now:      noon,
	}
	f.Alerts = alerts.Coverage{Rules: []string{"Breaker opened"}, Channels: []string{"on call"}, DeliveredAt: noon.Add(-time.Hour), Over: "on call"}
	f.Traffic = traffic(f.Now, 1000, map[runtime.Outcome]int64{runtime.OutcomeSuccess: 1000})
	return f
}

// traffic is a day with so many calls, 40 of them in the last minute.
func traffic(now time.Time, n int64, outcomes map[runtime.Outcome]int64) Traffic {
	minutes := make([]int64, 1440)
	minutes[1439] = min(n, 40)
	return Traffic{
		Since: now.Add(-observation), Minutes: minutes, Sampled: int(min(n, sample)), Documented: int(min(n, sample)), LastSuccess: now.Add(-time.Minute),
		Figures: calls.Figures{Calls: n, Attempts: n, Outcomes: outcomes, P95: 300 * time.Millisecond},
	}
}

func item(t *testing.T, id string) Item {
	t.Helper()
	found, err := Lookup(id)
	must(t, err)
	return found
}

// world is a Service on a real database with one connection and its traffic made up.
type world struct {
	*Service
	t   *testing.T
	db  *db.DB
	log *audit.Log

	mu     sync.Mutex
	now    time.Time
	facts  Facts
	others []connections.Connection
	figure calls.Figures
	called bool
	asked  int
	found  int // how often a connection was read to be judged
	// standings are those of the last list, by id: one that did not change is the same in the next.
	standings map[string]*connections.Standing
	// watchedFrom is from when on transitions were asked for last.
	watchedFrom time.Time
	topics      []string
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, db: dbtest.New(t), now: noon, facts: good()}
	var err error
	w.log, err = audit.New(audit.Deps{DB: w.db, Now: w.clock, MAC: func(message []byte) []byte {
		h := hmac.New(sha256.New, []byte("audit"))
		h.Write(message)
		return h.Sum(nil)
	}})
	must(t, err)
	w.Service, err = New(Deps{
		DB: w.db, Audit: w.log, Connections: w, Calls: w, Breakers: w, Providers: providerOf{w}, Alerts: w, Logger: telemetry.Discard(), Now: w.clock,
		Notify: func(topic string) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.topics = append(w.topics, topic)
		},
	}, Config{})
	must(t, err)
	w.stored(w.facts.Connection)
	return w
}

func (w *world) clock() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

func (w *world) pass(d time.Duration) {
	w.t.Helper()
	w.mu.Lock()
	w.now = w.now.Add(d)
	w.mu.Unlock()
	must(w.t, w.Service.pass(w.t.Context(), true))
}

// edit changes the connection, as a new version.
func (w *world) edit(change func(f *Facts)) {
	w.t.Helper()
	w.mu.Lock()
	change(&w.facts)
	w.facts.Connection.Version++
	w.facts.Connection.UpdatedAt = w.now
	c := w.facts.Connection
	w.mu.Unlock()
	w.exec(`UPDATE connections SET version = $2 WHERE id = $1`, c.ID, c.Version)
}

func (w *world) exec(query string, args ...any) {
	w.t.Helper()
	must(w.t, w.db.InTx(w.t.Context(), func(tx *db.Tx) error {
		_, err := tx.Exec(w.t.Context(), query, args...)
		return err
	}))
}

func (w *world) stored(c connections.Connection) {
	w.t.Helper()
	w.exec(`INSERT INTO connections (id, slug, version, created_at, updated_at, name_key, kind, provider, environment, state, search_key)
		VALUES ($1, $2, $3, 0, 0, $2, 'rest', '', '', 'active', $2)`, c.ID, c.Slug, c.Version)
}

// user stores a user and returns the actor that they are.
func (w *world) user(role access.Role) access.Actor {
	w.t.Helper()
	a := access.Actor{Kind: access.KindUser, ID: db.NewID("usr"), Name: string(role) + "@example.com", Role: role, IP: "192.0.2.1"}
	w.exec(`INSERT INTO users (id, email, name, role, password_hash, created_at, updated_at, password_changed_at, search)
		VALUES ($1, $2, '', $3, '', 0, 0, 0, $2)`, a.ID, a.Name, role)
	return a
}

func (w *world) count(query string) (n int) {
	w.t.Helper()
	must(w.t, w.db.QueryRow(w.t.Context(), query).Scan(&n))
	return n
}

func (w *world) result(id string) Result {
	w.t.Helper()
	list, err := w.Of(w.t.Context(), access.System(), "stripe")
	must(w.t, err)
	i := slices.IndexFunc(list.Items, func(r Result) bool { return r.ID == id })
	if i < 0 {
		w.t.Fatalf("there is no %s", id)
	}
	return list.Items[i]
}

// The world is what the service asks.

func (w *world) all() []connections.Connection {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.facts.Connection.ID == "" {
		return w.others
	}
	return append([]connections.Connection{w.facts.Connection}, w.others...)
}

func (w *world) Find(_ context.Context, a access.Actor, slug string) (connections.Connection, error) {
	if err := a.Require(access.PermissionSystemRead); err != nil {
		return connections.Connection{}, err
	}
	for _, c := range w.all() {
		if c.Slug == slug {
			w.mu.Lock()
			w.found++
			w.mu.Unlock()
			return c, nil
		}
	}
	return connections.Connection{}, fault.New(fault.NotFound, "CONNECTION_NOT_FOUND", "There is no such connection.")
}

func (w *world) Standings(a access.Actor) ([]*connections.Standing, error) {
	if err := a.Require(access.PermissionSystemRead); err != nil {
		return nil, err
	}
	var out []*connections.Standing
	next := map[string]*connections.Standing{}
	for _, c := range w.all() {
		standing := &connections.Standing{Connection: &c, Problem: w.facts.Problem}
		if before := w.standings[c.ID]; before != nil && before.Version == c.Version && before.Problem == standing.Problem { //nolint:errorlint // the same one
			standing = before
		}
		next[c.ID], out = standing, append(out, standing)
	}
	w.standings = next
	slices.SortFunc(out, func(a, b *connections.Standing) int {
		return strings.Compare(strings.ToLower(a.Name), strings.ToLower(b.Name))
	})
	return out, nil
}

func (w *world) EffectivePolicy(connections.Connection) (runtime.Policy, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.facts.Policy, nil
}

func (w *world) Totals(_ context.Context, q calls.RollupQuery) (calls.Figures, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.asked++
	if q.From.After(w.now.Add(-23 * time.Hour)) {
		return calls.Figures{}, nil // all traffic was a day ago
	}
	return w.figure, nil
}

func (w *world) Series(context.Context, calls.RollupQuery) ([]calls.Point, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return []calls.Point{{At: w.now, Figures: w.figure}}, nil
}

func (w *world) Search(context.Context, calls.Query) (calls.Page, error) {
	return calls.Page{Calls: []runtime.Record{{Operation: "charge", Outcome: runtime.OutcomeSuccess, StartedAt: w.clock()}, {Outcome: runtime.OutcomeTimeout}}}, nil
}

func (w *world) Called(string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.called
}

func (w *world) Coverage(context.Context, connections.Connection) (alerts.Coverage, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.facts.Alerts, nil
}

func (w *world) LastRollback(context.Context, string) (connections.Rollback, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.facts.Rollback, nil
}

func (w *world) Transitions(_ context.Context, _ string, from time.Time) (breakers.Transitions, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.watchedFrom = from
	return w.facts.Transitions.Transitions, nil
}

// providerOf has one name for the method of the catalogue and for that of the connections.
type providerOf struct{ *world }

func (p providerOf) Find(string) (providers.Provider, error) { return p.facts.Provider, nil }
