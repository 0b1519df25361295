package health

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"switchgear/internal/access"
	"switchgear/internal/calls"
	"switchgear/internal/connections"
	"switchgear/internal/dbtest"
	"switchgear/internal/fault"
	"switchgear/internal/runtime"
	"switchgear/internal/runtime/breaker"
)

func start() time.Time { return time.Date(2026, 3, 14, 12, 0, 0, 0, time.UTC) }

// A change is stored once, with since when it is so, and a new process goes on from there.
func TestChangesAreRemembered(t *testing.T) {
	t.Parallel()
	d := dbtest.New(t)
	w := newWorld(t, d, "stripe", "idle")
	w.at = start()
	look := func() { w.t.Helper(); must(t, w.look(t.Context())) }
	failing := calls.Weight{Calls: 9, Failed: 9, Lately: 9, LatelyFailed: 9, LastError: "Unavailable"}
	fine := calls.Weight{Calls: 9, Lately: 9}

	w.called("stripe", fine)
	look()
	w.pass(time.Minute)
	look()
	w.called("stripe", failing)
	look()
	w.pass(10 * time.Minute)
	w.start(d)
	look()
	if got := w.of("stripe").Status.Since; !got.Equal(start().Add(time.Minute)) {
		t.Errorf("after a restart it is down since %s", got)
	}
	w.called("stripe", fine)
	look()
	got, err := w.History(t.Context(), access.System(), "stripe", HistoryQuery{From: start().Add(-time.Hour)})
	must(t, err)
	down, up := start().Add(time.Minute), start().Add(11*time.Minute)
	want := []Change{
		{ConnectionID: "stripe", At: up, From: StateDown, To: StateHealthy, Why: "9 calls in the last 5 minutes, none failed."},
		{ConnectionID: "stripe", At: down, From: StateHealthy, To: StateDown, Why: "All of the 9 calls in the last 5 minutes failed. The last one: Unavailable.", Until: up},
		{ConnectionID: "stripe", At: start(), To: StateHealthy, Why: "9 calls in the last 5 minutes, none failed.", Until: down},
	}
	if diff := cmp.Diff(want, got.Changes); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if none, _ := w.History(t.Context(), access.System(), "idle", HistoryQuery{}); none.Total != 0 {
		t.Errorf("what was never called has a history: %v", none)
	}
	if _, err := w.History(t.Context(), access.Actor{}, "stripe", HistoryQuery{}); !fault.Is(err, fault.Forbidden) && !fault.Is(err, fault.Unauthenticated) {
		t.Errorf("nobody: %v", err)
	}
	announced := slices.DeleteFunc(w.topics, func(topic string) bool { return topic != Topic })
	if diff := cmp.Diff([]string{Topic, Topic, Topic}, announced); diff != "" {
		t.Errorf("announced (-want +got):\n%s", diff)
	}
}

// What is old goes, and what is kept of connections that are gone; what cannot be stored is tried again.
func TestCleanupAndRetry(t *testing.T) {
	t.Parallel()
	d := dbtest.New(t)
	w := newWorld(t, d, "stripe", "gone")
	w.at = start()
	for _, id := range []string{"stripe", "gone"} {
		w.called(id, calls.Weight{Calls: 1, Lately: 1})
		w.checks.finished(Check{ConnectionID: id, At: w.now(), Method: "GET", Path: "/v1", Status: 503, Outcome: runtime.OutcomeUnavailable, Took: time.Second})
	}
	ended, cancel := contextThatEnded(t)
	cancel()
	if err := w.look(ended); err == nil {
		t.Fatal("stored without a database")
	}
	must(t, w.look(t.Context()))
	w.start(d)
	if c, ok := w.Check("stripe"); !ok || c.Status != 503 || c.InARow != 1 || !c.FailingSince.Equal(start()) {
		t.Errorf("the last check after a restart: %+v", c)
	}
	w.list = w.list[:1]
	w.pass(91 * 24 * time.Hour)
	must(t, w.cleanup(t.Context()))
	for table, want := range map[string]int{"health_changes": 0, "health_checks": 0, "health_states": 1} {
		var n int
		must(t, d.QueryRow(t.Context(), `SELECT COUNT(*) FROM `+table).Scan(&n))
		if n != want {
			t.Errorf("%s has %d rows, want %d", table, n, want)
		}
	}
	// The number is bounded as well.
	w.cfg.MaxChanges = 2
	for range 4 {
		w.pass(time.Minute)
		w.called("stripe", calls.Weight{Calls: 2, Failed: 2, Lately: 2, LatelyFailed: 2})
		must(t, w.look(t.Context()))
		w.pass(time.Minute)
		w.called("stripe", calls.Weight{Calls: 1, Lately: 1})
		must(t, w.look(t.Context()))
	}
	must(t, w.cleanup(t.Context()))
	if got, _ := w.History(t.Context(), access.System(), "stripe", HistoryQuery{}); got.Total != 2 || got.Changes[0].To != StateHealthy {
		t.Errorf("what is left: %+v", got)
	}
}

// A Board is shared for a second, and made anew when a connection changed or somebody says so.
func TestBoardIsShared(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil, "stripe")
	w.at = start()
	board := func() *Board {
		t.Helper()
		b, err := w.Board(access.System())
		must(t, err)
		return b
	}
	first := board()
	w.pass(999 * time.Millisecond)
	if board() != first {
		t.Error("made anew within a second")
	}
	w.pass(time.Millisecond)
	second := board()
	if second == first {
		t.Error("still the old one")
	}
	w.change("stripe", func(c *connections.Standing) { c.State = connections.StatePaused })
	third := board()
	if it, _ := third.Of("stripe"); it.Status.State != StatePaused {
		t.Errorf("a change of the connection is not seen: %s", it.Status.State)
	}
	w.Wake()
	if board() != third {
		t.Error("many changes would make many boards")
	}
	w.pass(200 * time.Millisecond)
	if board() == third {
		t.Error("a change is not seen")
	}
	if _, err := w.Board(access.Actor{}); err == nil {
		t.Error("anybody may look")
	}
}

// An incident keeps what opened the breaker and counts the calls since, whatever its probes do meanwhile.
func TestTrip(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil, "stripe")
	w.called("stripe", calls.Weight{Sum: calls.Sum{Calls: 100}})
	w.of("stripe")
	w.fail(breaker.Key{Connection: "stripe"})
	w.called("stripe", calls.Weight{Sum: calls.Sum{Calls: 110, Failed: 6, Refused: 4, Stale: 3}})
	got := w.of("stripe")
	if got.Trip == nil || got.Trip.Counts.Failures != 2 || got.Trip.Window != time.Minute {
		t.Errorf("trip %+v", got.Trip)
	}
	if diff := cmp.Diff(calls.Sum{Calls: 10, Failed: 6, Refused: 4, Stale: 3}, got.Since); diff != "" {
		t.Errorf("since (-want +got):\n%s", diff)
	}
	w.called("stripe", calls.Weight{Sum: calls.Sum{Calls: 112, Failed: 8, Refused: 6, Stale: 3}})
	if got := w.of("stripe"); got.Since.Refused != 6 || got.States[Minutes-1] != StateDown {
		t.Errorf("later %+v, states %v", got.Since, got.States)
	}
	// What a person opens was not opened by calls.
	b := command(w, breaker.Key{Connection: "stripe"})
	must(t, b.Probe(breaker.Order{Actor: "ada", Reason: "look"}))
	must(t, b.Trip(breaker.Order{Actor: "ada", Reason: "no"}))
	if got := w.of("stripe"); got.Trip != nil || !strings.Contains(got.Status.Why, "tripped by ada: no") {
		t.Errorf("tripped by a person: %+v, %s", got.Trip, got.Status.Why)
	}
	must(t, b.Reset(breaker.Order{Actor: "ada", Reason: "fixed"}))
	if got := w.of("stripe"); got.Trip != nil || got.Status.State != StateIdle || got.States[Minutes-1] != StateDown {
		t.Errorf("after it closed: %+v", got)
	}
}

// What is counted since an incident began is not what was counted since the connection needs attention: each state
// begins anew, as its time does.
func TestEachStateCountsItsOwnCalls(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil, "stripe")
	w.at = start()
	w.called("stripe", calls.Weight{Calls: 10, Failed: 4, Lately: 10, LatelyFailed: 4, LastFailure: start(), Sum: calls.Sum{Calls: 10, Failed: 4}})
	w.of("stripe")
	w.called("stripe", calls.Weight{Calls: 30, Failed: 23, Refused: 19, Lately: 11, LatelyFailed: 4, LastFailure: start(), Sum: calls.Sum{Calls: 30, Failed: 23, Refused: 19}})
	if got := w.of("stripe"); got.Status.State != StateDegraded {
		t.Fatalf("%s: %s", got.Status.State, got.Status.Why)
	}
	must(t, command(w, breaker.Key{Connection: "stripe"}).Hold(breaker.Order{Actor: "ada", Reason: "look", Until: time.Now().Add(time.Hour)}))
	if got := w.of("stripe"); got.Status.State != StateHeld || got.Since != (calls.Sum{}) {
		t.Errorf("%s, since then %+v", got.Status.State, got.Since)
	}
	w.called("stripe", calls.Weight{Calls: 32, Failed: 25, Refused: 21, Sum: calls.Sum{Calls: 32, Failed: 25, Refused: 21}})
	if got := w.of("stripe"); got.Since.Refused != 2 {
		t.Errorf("since then %+v", got.Since)
	}
}
