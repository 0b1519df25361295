package health

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"switchgear/db"
	"switchgear/internal/access"
	"switchgear/internal/calls"
	"switchgear/internal/connections"
	"switchgear/internal/dbtest"
	"switchgear/internal/fault"
	"switchgear/internal/runtime/breaker"
)

// keep stores changes of a connection, one after the other.
func (w *world) keep(id string, changes ...Change) {
	w.t.Helper()
	for i := range changes {
		changes[i].ConnectionID = id
	}
	must(w.t, w.store.save(w.t.Context(), changes, nil))
}

func TestHistory(t *testing.T) {
	t.Parallel()
	w := newWorld(t, dbtest.New(t), "stripe", "other")
	w.at = start().Add(time.Hour)
	minute := func(n int) time.Time { return start().Add(time.Duration(n) * time.Minute) }
	w.versions = map[string][]connections.Version{"stripe": {
		{Version: 3, Cause: connections.CauseResume, AuthorName: "bob", CreatedAt: minute(30)},
		{Version: 2, Cause: connections.CausePause, AuthorName: "ada", Reason: "maintenance", CreatedAt: minute(20)},
		{Version: 1, Cause: connections.CauseCreate, AuthorName: "eve", CreatedAt: minute(0)},
	}}
	w.keep(
		"stripe",
		Change{At: minute(0), To: StateHealthy, Why: "fine"}, Change{At: minute(10), From: StateHealthy, To: StateDown, Why: "forced", Actor: "ada"},
		Change{At: minute(20), From: StateDown, To: StatePaused, Why: "It is paused."}, Change{At: minute(30), From: StatePaused, To: StateIdle, Why: "idle"},
	)
	w.keep("other", Change{At: minute(5), To: StateDown})
	for name, tt := range map[string]struct {
		q     HistoryQuery
		want  string
		total int
	}{
		"all":        {HistoryQuery{}, "idle by bob for 30m0s, paused by ada for 10m0s, down by ada for 10m0s, healthy by  for 10m0s, ", 4},
		"the oldest": {HistoryQuery{Oldest: true, Limit: 1}, "healthy by  for 10m0s, ", 4},
		"a page":     {HistoryQuery{Page: 2, Limit: 1}, "paused by ada for 10m0s, ", 4},
		"a time":     {HistoryQuery{From: minute(10), To: minute(30)}, "paused by ada for 10m0s, down by ada for 10m0s, ", 2},
		"a state":    {HistoryQuery{State: StateDown}, "down by ada for 10m0s, ", 1},
	} {
		h, err := w.History(t.Context(), access.System(), "stripe", tt.q)
		must(t, err)
		var got strings.Builder
		for _, c := range h.Changes {
			fmt.Fprintf(&got, "%s by %s for %s, ", c.To, c.Actor, c.Lasted(w.now()))
			if c.To == StatePaused && c.Why != "It is paused: maintenance." {
				t.Errorf("why %q", c.Why)
			}
		}
		if got.String() != tt.want || h.Total != tt.total {
			t.Errorf("%s: %d: %s", name, h.Total, got.String())
		}
	}
	for name, q := range map[string]HistoryQuery{"no state": {State: "fine"}, "no time": {From: minute(2), To: minute(1)}} {
		if _, err := w.History(t.Context(), access.System(), "stripe", q); !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A person who gave a command to the breaker that decided is told.
func TestWhoMadeItSo(t *testing.T) {
	t.Parallel()
	key := breaker.Key{Connection: "stripe"}
	for name, tt := range map[string]struct {
		do   func(w *world) error
		want string
	}{
		"forced":  {func(w *world) error { return command(w, key).SetMode(breaker.ModeForcedOpen, order(time.Hour)) }, "ada"},
		"held":    {func(w *world) error { return command(w, key).Hold(order(time.Hour)) }, "ada"},
		"tripped": {func(w *world) error { return command(w, key).Trip(order(time.Hour)) }, "ada"},
		"itself":  {func(w *world) error { w.fail(key); return nil }, ""},
	} {
		w := newWorld(t, dbtest.New(t), "stripe")
		must(t, tt.do(w))
		must(t, w.look(t.Context()))
		h, err := w.History(t.Context(), access.System(), "stripe", HistoryQuery{})
		must(t, err)
		if h.Total != 1 || h.Changes[0].Actor != tt.want {
			t.Errorf("%s: %+v", name, h.Changes)
		}
	}
}

func order(d time.Duration) breaker.Order {
	return breaker.Order{Actor: "ada", Reason: "drill", Until: time.Now().Add(d)}
}

func TestCourseOverDays(t *testing.T) {
	t.Parallel()
	w := newWorld(t, dbtest.New(t), "stripe", "quiet")
	w.at = start()
	ago := func(d time.Duration) time.Time { return start().Add(-d) }
	w.keep(
		"stripe",
		Change{At: ago(50 * time.Hour), From: StateDown, To: StateHealthy}, Change{At: ago(20 * time.Hour), From: StateHealthy, To: StateDown},
		Change{At: ago(18 * time.Hour), From: StateDown, To: StateDegraded}, Change{At: ago(6 * time.Hour), From: StateDegraded, To: StateIdle},
		Change{At: ago(2 * time.Hour), From: StateIdle, To: StateHeld}, Change{At: ago(time.Hour), From: StateHeld, To: StateHealthy},
	)
	course := func(id string, span time.Duration, steps int) Course {
		t.Helper()
		c, err := w.Course(t.Context(), access.System(), id, span, steps)
		must(t, err)
		return c
	}
	got := course("stripe", 24*time.Hour, 8)
	want := Course{
		States: []State{StateHealthy, StateDown, StateDegraded, StateDegraded, StateDegraded, StateDegraded, StateIdle, StateHeld},
		Up:     (4 + 12 + 1) * time.Hour, Known: (4 + 2 + 12 + 1 + 1) * time.Hour,
		Outages: []Outage{{StateDown, ago(20 * time.Hour), ago(18 * time.Hour)}, {StateHeld, ago(2 * time.Hour), ago(time.Hour)}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("a day (-want +got):\n%s", diff)
	}
	if c := course("stripe", 50*time.Hour, 1); c.Known-c.Up != 3*time.Hour || c.States[0] != StateDown {
		t.Errorf("since the first: %+v", c)
	}
	// Before the first change it was what that changed from.
	if c := course("stripe", 51*time.Hour, 51); c.States[0] != StateDown || c.States[1] != StateHealthy || c.Known-c.Up != 4*time.Hour {
		t.Errorf("before the first: %+v", c)
	}
	if c := course("quiet", 24*time.Hour, 2); c.Known != 0 || c.States[0] != "" || c.States[1] != "" {
		t.Errorf("never changed: %+v", c)
	}
	// An outage of seconds is the state of its step, and has its exact times.
	w.keep("quiet", Change{At: ago(30 * time.Hour), To: StateHealthy}, Change{At: ago(7 * time.Hour), From: StateHealthy, To: StateDown}, Change{At: ago(7*time.Hour - 4*time.Second), From: StateDown, To: StateHealthy})
	if diff := cmp.Diff(Course{
		States: []State{StateHealthy, StateHealthy, StateDown, StateHealthy}, Up: 24*time.Hour - 4*time.Second, Known: 24 * time.Hour,
		Outages: []Outage{{StateDown, ago(7 * time.Hour), ago(7*time.Hour - 4*time.Second)}},
	}, course("quiet", 24*time.Hour, 4)); diff != "" {
		t.Errorf("an outage of seconds (-want +got):\n%s", diff)
	}
	if _, err := w.Course(t.Context(), access.Actor{}, "stripe", time.Hour, 1); !fault.Is(err, fault.Forbidden) {
		t.Errorf("nobody: %v", err)
	}
}

// Of a connection that changes without end, only the newest changes are read, and the rest is not known.
func TestCourseIsBounded(t *testing.T) {
	t.Parallel()
	d := dbtest.New(t)
	w := newWorld(t, d, "stripe")
	w.at = start()
	must(t, d.InTx(t.Context(), func(tx *db.Tx) error {
		for i := range maxCourse + 5 {
			from, to := StateDown, StateHealthy
			if i%2 == 0 {
				from, to = to, from
			}
			if _, err := tx.Exec(t.Context(), `INSERT INTO health_changes (id, connection_id, at, from_state, to_state, why) VALUES ($1, 'stripe', $2, $3, $4, '')`,
				fmt.Sprintf("hch_%08d", i), db.Micros(start().Add(-time.Duration(maxCourse+5-i)*time.Second)), string(from), string(to)); err != nil {
				return err
			}
		}
		return nil
	}))
	c, err := w.Course(t.Context(), access.System(), "stripe", 24*time.Hour, 24)
	must(t, err)
	if c.Known != maxCourse*time.Second || c.States[0] != "" || c.States[23] != StateDown {
		t.Errorf("%+v", c)
	}
}

// Whoever is told of a change finds it in the history.
func TestChangeIsStoredBeforeItIsTold(t *testing.T) {
	t.Parallel()
	w := newWorld(t, dbtest.New(t), "stripe")
	w.at = start()
	found := -1
	w.deps.Notify = func(topic string) {
		if topic == Topic {
			h, err := w.History(t.Context(), access.System(), "stripe", HistoryQuery{})
			must(t, err)
			found = h.Total
		}
	}
	w.called("stripe", calls.Weight{Calls: 5, Failed: 5, Lately: 5, LatelyFailed: 5})
	must(t, w.look(t.Context()))
	if found != 1 {
		t.Errorf("%d changes are in the history when one is told", found)
	}
}
