package access

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"switchgear/db"
	"switchgear/internal/audit"
	"switchgear/internal/dbtest"
	"switchgear/internal/fault"
	"switchgear/internal/telemetry"
)

const goodPassword = "tidal-copper-lantern-94"

// clock is a clock that tests move. It starts at the present because cookies expire by the real one.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) read() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// world is a Service on a real database, and what a test asks of both.
type world struct {
	*Service
	t      *testing.T
	db     *db.DB
	log    *audit.Log
	clock  *clock
	deps   Deps
	mu     sync.Mutex
	topics []string
}

func newWorld(t *testing.T) *world {
	t.Helper()
	return newWorldWith(t, Config{})
}

func newWorldWith(t *testing.T, cfg Config) *world {
	t.Helper()
	w := &world{t: t, db: dbtest.New(t), clock: &clock{now: time.Now().UTC()}}
	mac := func(key string) func([]byte) []byte {
		return func(message []byte) []byte {
			h := hmac.New(sha256.New, []byte(key))
			h.Write(message)
			return h.Sum(nil)
		}
	}
	log, err := audit.New(audit.Deps{DB: w.db, MAC: mac("audit"), Now: w.clock.read})
	if err != nil {
		t.Fatal(err)
	}
	w.log = log
	w.deps = Deps{DB: w.db, Audit: log, KeyMAC: mac("keys"), Notify: func(topic string) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.topics = append(w.topics, topic)
	}, Logger: telemetry.Discard(), Now: w.clock.read}
	if w.Service, err = New(w.deps, cfg); err != nil {
		t.Fatal(err)
	}
	// Whatever a test did, the record of it has to hold.
	t.Cleanup(func() {
		report, err := log.Verify(context.WithoutCancel(t.Context()))
		if err != nil || len(report.Problems) > 0 {
			t.Errorf("the audit record: %+v, %v", report, err)
		}
	})
	return w
}

// user makes a user and the actor that they are.
func (w *world) user(email string, role Role) (User, Actor) {
	w.t.Helper()
	u, err := w.CreateUser(w.t.Context(), System(), NewUser{Email: email, Role: role, Password: telemetry.NewSecret(goodPassword)})
	if err != nil {
		w.t.Fatal(err)
	}
	return u, actorOf(u)
}

func actorOf(u User) Actor {
	return Actor{Kind: KindUser, ID: u.ID, Name: u.Email, Role: u.Role, IP: "192.0.2.1"}
}

// actions are the actions of the record, the oldest first.
func (w *world) actions() []string {
	w.t.Helper()
	page, err := w.log.Search(w.t.Context(), audit.Query{Limit: 500})
	if err != nil {
		w.t.Fatal(err)
	}
	var out []string
	for _, e := range slices.Backward(page.Entries) {
		out = append(out, e.Action)
	}
	return out
}

// newest is the newest entry of the record.
func (w *world) newest() audit.Entry {
	w.t.Helper()
	page, err := w.log.Search(w.t.Context(), audit.Query{Limit: 1})
	if err != nil || len(page.Entries) == 0 {
		w.t.Fatalf("%+v, %v", page, err)
	}
	return page.Entries[0]
}

func (w *world) count(query string, args ...any) int {
	w.t.Helper()
	var n int
	if err := w.db.QueryRow(w.t.Context(), query, args...).Scan(&n); err != nil {
		w.t.Fatal(err)
	}
	return n
}

func (w *world) announced() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	out := w.topics
	w.topics = nil
	return out
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

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
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
