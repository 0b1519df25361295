package breakers

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"switchgear/db"
	"switchgear/internal/access"
	"switchgear/internal/fault"
	"switchgear/internal/runtime/breaker"
)

// into brings the breaker of stripe into a state.
func (w *world) into(state breaker.State) {
	w.t.Helper()
	b, err := w.registry.Breaker(stripe)
	must(w.t, err)
	o := breaker.Order{Actor: "test", Reason: "test"}
	until := breaker.Order{Actor: "test", Reason: "test", Until: time.Now().Add(time.Hour)}
	switch state {
	case breaker.StateClosed:
	case breaker.StateOpen:
		w.fail(stripe, 2)
	case breaker.StateHalfOpen:
		w.fail(stripe, 2)
		must(w.t, b.Probe(o))
	case breaker.StateHeld:
		must(w.t, b.Hold(until))
	case breaker.StateForcedOpen:
		must(w.t, b.SetMode(breaker.ModeForcedOpen, until))
	case breaker.StateForcedClosed:
		must(w.t, b.SetMode(breaker.ModeForcedClosed, until))
	case breaker.StateObserve:
		must(w.t, b.SetMode(breaker.ModeObserve, o))
	}
	if got := w.state(""); got != state {
		w.t.Fatalf("the breaker is %s, not %s", got, state)
	}
}

// What each command does to a breaker in each state; an empty word stands for a conflict.
func TestCommands(t *testing.T) {
	t.Parallel()
	const closed, open, half, held = "closed", "open", "half_open", "held"
	const forcedOpen, forcedClosed, observe = "forced_open", "forced_closed", "observe"
	states := []breaker.State{closed, open, half, held, forcedOpen, forcedClosed, observe}
	table := map[Verb][]string{
		Trip:        {open, "", open, "", "", "", observe},
		Reset:       {closed, closed, closed, closed, forcedOpen, forcedClosed, observe},
		ForceOpen:   {forcedOpen, forcedOpen, forcedOpen, forcedOpen, forcedOpen, forcedOpen, forcedOpen},
		ForceClosed: {forcedClosed, forcedClosed, forcedClosed, forcedClosed, forcedClosed, forcedClosed, forcedClosed},
		Observe:     {observe, observe, observe, observe, observe, observe, observe},
		Auto:        {"", "", "", "", closed, closed, closed},
		Hold:        {held, held, held, held, forcedOpen, forcedClosed, observe},
		Probe:       {"", half, half, half, "", "", ""},
	}
	w := newWorld(t)
	for _, v := range Verbs() {
		for i, state := range states {
			w.start()
			w.into(state)
			before := len(w.entries())
			choices, err := w.Choices(t.Context(), root(), "stripe", "")
			must(t, err)
			choice := choices[slices.IndexFunc(choices, func(c Choice) bool { return c.Verb == v })]
			done, err := w.command("", v, Order{})
			want := table[v][i]
			if (choice.Unavailable == "") != (want != "") || choice.Consequence == "" {
				t.Errorf("%s when %s is offered as %+v", v, state, choice)
			}
			if want == "" {
				if !fault.Is(err, fault.Conflict) || w.state("") != state || len(w.entries()) != before {
					t.Errorf("%s when %s: %v, then %s, %d audit entries more", v, state, err, w.state(""), len(w.entries())-before)
				}
				continue
			}
			if err != nil || string(w.state("")) != want || string(done.Breaker.State) != want || done.Consequence == "" {
				t.Errorf("%s when %s: %v, then %s, want %s; %+v", v, state, err, w.state(""), want, done)
			}
			if got := w.entries(); len(got) != before+1 || got[before].Action != "breaker."+string(v) || got[before].Reason != "because" ||
				got[before].Details["state"] != string(state) || got[before].Target.ID != stripeID {
				t.Errorf("%s when %s: audit %+v", v, state, got[before:])
			}
		}
	}
}

func TestCommandsNeedARole(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, role := range access.Roles() {
		a := w.user(role)
		_, err := w.Command(t.Context(), a, "stripe", "", Reset, Order{Reason: "because"})
		if may := role == access.RoleOwner || role == access.RoleAdmin || role == access.RoleOperator; may != (err == nil) || !may && !fault.Is(err, fault.Forbidden) {
			t.Errorf("%s: %v", role, err)
		}
		if _, err := w.Get(t.Context(), a, "stripe"); err != nil {
			t.Errorf("%s may not look: %v", role, err)
		}
	}
	for scope, may := range map[access.Scope]bool{access.ScopeAPIRead: false, access.ScopeAPIWrite: true, access.ScopeCallAll: false} {
		a := access.Actor{Kind: access.KindAPIKey, ID: db.NewID("key"), Name: "deploy", Scopes: []access.Scope{scope}}
		w.exec(`INSERT INTO api_keys (id, name, mac, scopes, created_by, created_at, search) VALUES ($1, '', '', '[]', '', 0, '')`, a.ID)
		if _, err := w.Command(t.Context(), a, "stripe", "", Reset, Order{Reason: "because"}); may != (err == nil) || !may && !fault.Is(err, fault.Forbidden) {
			t.Errorf("a key with %s: %v", scope, err)
		}
		if !may {
			continue
		}
		w.exec(`UPDATE api_keys SET revoked_at = 1 WHERE id = $1`, a.ID)
		if _, err := w.Command(t.Context(), a, "stripe", "", Reset, Order{Reason: "because"}); fault.CodeOf(err) != "INVALID_API_KEY" {
			t.Errorf("a revoked key: %v", err)
		}
	}
	// What a session knows of a role may be old.
	a := w.user(access.RoleOperator)
	w.exec(`UPDATE users SET role = 'viewer' WHERE id = $1`, a.ID)
	if _, err := w.Command(t.Context(), a, "stripe", "", ForceOpen, Order{Reason: "because"}); !fault.Is(err, fault.Forbidden) || w.state("") != breaker.StateClosed {
		t.Errorf("a role that was lost: %v, %s", err, w.state(""))
	}
	w.exec(`UPDATE users SET disabled_at = 1 WHERE id = $1`, a.ID)
	if _, err := w.Command(t.Context(), a, "stripe", "", ForceOpen, Order{Reason: "because"}); !fault.Is(err, fault.Unauthenticated) {
		t.Errorf("a user who is disabled: %v", err)
	}
	nobody := access.Actor{}
	if _, err := w.List(t.Context(), nobody, Query{}); !fault.Is(err, fault.Forbidden) {
		t.Errorf("nobody lists: %v", err)
	}
	if _, err := w.Get(t.Context(), nobody, "stripe"); !fault.Is(err, fault.Forbidden) {
		t.Errorf("nobody reads: %v", err)
	}
	if _, err := w.Own(nobody, "stripe"); !fault.Is(err, fault.Forbidden) {
		t.Errorf("nobody reads: %v", err)
	}
	if _, err := w.History(t.Context(), nobody, HistoryQuery{}); !fault.Is(err, fault.Forbidden) {
		t.Errorf("nobody reads the history: %v", err)
	}
}

func TestOrders(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, tt := range []struct {
		name        string
		verb        Verb
		order       Order
		code, field string
	}{
		{"no reason", Trip, Order{Reason: " "}, "REASON_REQUIRED", "reason"},
		{"a long reason", Auto, Order{Reason: strings.Repeat("x", 501)}, "INVALID_REASON", "reason"},
		{"a reason of two lines", Trip, Order{Reason: "a\nb"}, "INVALID_REASON", "reason"},
		{"a reason that turns the line", Trip, Order{Reason: "a\u202Eb"}, "INVALID_REASON", "reason"},
		{"no text", Trip, Order{Reason: "\xff"}, "INVALID_REASON", "reason"},
		{"too long", ForceClosed, Order{Reason: "r", For: 25 * time.Hour}, "INVALID_END", "for"},
		{"too long by a date", ForceOpen, Order{Reason: "r", Until: time.Now().Add(25 * time.Hour)}, "INVALID_END", "until"},
		{"over", Hold, Order{Reason: "r", Until: time.Now().Add(-time.Hour)}, "INVALID_END", "until"},
		{"negative", Hold, Order{Reason: "r", For: -time.Hour}, "INVALID_END", "for"},
		{"twice", Hold, Order{Reason: "r", For: time.Hour, Until: time.Now().Add(time.Hour)}, "INVALID_END", "for"},
		{"a reset that lasts", Reset, Order{Reason: "r", For: time.Hour}, "INVALID_END", "for"},
		{"a probe that lasts", Probe, Order{Reason: "r", Until: time.Now().Add(time.Hour)}, "INVALID_END", "until"},
		{"no verb", "explode", Order{Reason: "r"}, "UNKNOWN_VERB", "verb"},
	} {
		_, err := w.Command(t.Context(), root(), "stripe", "", tt.verb, tt.order)
		t.Log(tt.name)
		wantField(t, err, tt.code, tt.field)
	}
	_, err := w.Command(t.Context(), root(), "stripe", "nothing", Trip, Order{Reason: "r"})
	wantField(t, err, "UNKNOWN_OPERATION", "operation")
	if _, err := w.Command(t.Context(), root(), "nothing", "", Trip, Order{Reason: "r"}); fault.CodeOf(err) != "CONNECTION_NOT_FOUND" {
		t.Errorf("no connection: %v", err)
	}
	if n := len(w.entries()) + w.count(`SELECT COUNT(*) FROM breaker_commands`); n != 0 {
		t.Errorf("refused commands left %d rows", n)
	}
	// An override without a wish ends after half an hour; observing goes on.
	done := w.mustCommand("", ForceClosed, Order{})
	if left := time.Until(done.Breaker.Snapshot.Lease.Until); left > DefaultFor || left < DefaultFor-time.Minute {
		t.Errorf("forced for %s", left)
	}
	if done = w.mustCommand("", Observe, Order{}); !done.Breaker.Snapshot.Lease.Until.IsZero() {
		t.Errorf("observing ends at %s", done.Breaker.Snapshot.Lease.Until)
	}
	// A connection that was deleted in the meantime.
	w.exec(`DELETE FROM connections WHERE slug = 'github'`)
	if _, err := w.Command(t.Context(), root(), "github", "", Trip, Order{Reason: "r"}); fault.CodeOf(err) != "CONNECTION_NOT_FOUND" {
		t.Errorf("deleted: %v", err)
	}
}

// The breaker of an operation is commanded on its own, and so is one that no call has asked yet.
func TestCommandToAnOperation(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.mustCommand("charge", ForceOpen, Order{For: time.Hour})
	if w.state("charge") != breaker.StateForcedOpen || w.state("") != breaker.StateClosed {
		t.Errorf("operation %s, connection %s", w.state("charge"), w.state(""))
	}
	if got := w.entries(); len(got) != 1 || got[0].Details["operation"] != "charge" || got[0].Details["until"] == "" {
		t.Errorf("audit %+v", got)
	}
}

func TestProbeSendsARequest(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fail(stripe, 2)
	done := w.mustCommand("", Probe, Order{})
	if done.Probe == nil || done.Probe.Status != 200 || done.Breaker.State != breaker.StateHalfOpen || !slices.Equal(w.prober.asked, []string{"stripe/"}) {
		t.Errorf("%+v, %+v, %v", done, done.Probe, w.prober.asked)
	}
	// That the request fails is a result of the command, not its failure.
	w.start()
	w.fail(stripe, 2)
	w.prober.err = fault.New(fault.Conflict, "", "The provider has no health path.")
	if done = w.mustCommand("", Probe, Order{}); done.Probe == nil || done.Probe.Error != "The provider has no health path." {
		t.Errorf("%+v", done.Probe)
	}
	if done = w.mustCommand("", Reset, Order{}); done.Probe != nil {
		t.Errorf("a reset sent %+v", done.Probe)
	}
	// Where it is the vendor who holds calls back, the answer says so.
	w.start()
	w.hold(stripeID, "")
	if _, err := w.command("", Probe, Order{}); !fault.Is(err, fault.Conflict) || !strings.Contains(err.Error(), "the vendor asked") {
		t.Errorf("held by the vendor: %v", err)
	}
}

// Commands that come together follow each other, and each has its audit entry, its event and its effect.
func TestParallelCommands(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const n = 20
	errs := make([]error, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			verb := []Verb{ForceOpen, ForceClosed}[i%2]
			_, errs[i] = w.Command(t.Context(), root(), "stripe", []string{"", "charge"}[i/2%2], verb, Order{Reason: fmt.Sprintf("number %d", i)})
		})
	}
	for range n {
		wg.Go(func() {
			_, _ = w.List(t.Context(), root(), Query{})
			_ = w.flush(t.Context())
		})
	}
	wg.Wait()
	for _, err := range errs {
		must(t, err)
	}
	w.stored()
	entries := w.entries()
	if len(entries) != n || w.count(`SELECT COUNT(*) FROM breaker_events WHERE cause = 'manual'`) != n {
		t.Errorf("%d audit entries, %d events", len(entries), w.count(`SELECT COUNT(*) FROM breaker_events`))
	}
	for key, operation := range map[breaker.Key]string{stripe: "", charge: "charge"} {
		last := ""
		for _, e := range entries {
			if e.Details["operation"] == operation {
				last = e.Reason
			}
		}
		if s, _ := w.registry.Snapshot(key); s.Lease.Reason != last {
			t.Errorf("%s follows %q, the last recorded is %q", key, s.Lease.Reason, last)
		}
	}
	if left := w.count(`SELECT COUNT(*) FROM breaker_commands`); left != 0 {
		t.Errorf("%d commands are still stored", left)
	}
}

// What could not be recorded did not happen.
func TestNothingWithoutAnAuditEntry(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.exec(`CREATE TRIGGER refuse BEFORE INSERT ON audit_entries BEGIN SELECT RAISE(ABORT, 'no'); END`)
	if _, err := w.command("", ForceOpen, Order{}); err == nil {
		t.Fatal("the command was acknowledged")
	}
	w.restart()
	if w.state("") != breaker.StateClosed || w.count(`SELECT COUNT(*) FROM breaker_commands`) != 0 {
		t.Errorf("the breaker is %s", w.state(""))
	}
}
