package breakers

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"switchgear/db"
	"switchgear/internal/access"
	"switchgear/internal/fault"
	"switchgear/internal/runtime/breaker"
)

func (w *world) changed(at time.Time, seq int, operation string, from, to breaker.State) {
	w.t.Helper()
	w.exec(`INSERT INTO breaker_events (id, connection_id, operation, epoch, seq, at, from_state, to_state, mode, cause, actor, reason, counts, last_outcome, samples, config_version)
		VALUES ($1, $2, $3, 1, $4, $5, $6, $7, 'auto', 'auto', '', '', '{}', '', '[]', 1)`, db.NewID("bev"), stripeID, operation, seq, db.Micros(at), string(from), string(to))
}

func (w *world) courses(list ...Breaker) []Course {
	w.t.Helper()
	out, err := w.Courses(w.t.Context(), root(), list)
	must(w.t, err)
	return out
}

func TestCourses(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	now := time.Now()
	const open, closed, half = breaker.StateOpen, breaker.StateClosed, breaker.StateHalfOpen
	w.changed(now.Add(-40*24*time.Hour), 1, "", closed, open) // before what is counted, and open until after it
	w.changed(now.Add(-OpenSpan+time.Hour), 2, "", open, half)
	w.changed(now.Add(-OpenSpan+2*time.Hour), 3, "", half, closed)
	w.changed(now.Add(-3*time.Hour), 4, "", closed, open)
	w.changed(now.Add(-2*time.Hour), 5, "", open, half)
	w.changed(now.Add(-90*time.Minute), 6, "", half, breaker.StateForcedClosed)
	w.changed(now.Add(-10*time.Minute), 7, "", breaker.StateForcedClosed, closed)
	w.changed(now.Add(-20*time.Minute), 1, "charge", closed, breaker.StateHeld)
	own, charge := w.row(w.connection(), ""), w.row(w.connection(), "charge")
	got := w.courses(own, charge, Breaker{ConnectionID: githubID, Called: true, Snapshot: breaker.Snapshot{State: closed}}, Breaker{ConnectionID: githubID, Operation: "new"})
	near := func(d, want time.Duration) bool { return d > want-time.Minute && d < want+time.Minute }
	if !near(got[0].OpenTime, 2*time.Hour) || !near(got[1].OpenTime, 20*time.Minute) || got[2].OpenTime != 0 || !near(now.Sub(got[0].Since), OpenSpan) {
		t.Errorf("open for %s of %s, %s, %s", got[0].OpenTime, now.Sub(got[0].Since), got[1].OpenTime, got[2].OpenTime)
	}
	for ago, want := range map[time.Duration]breaker.State{
		20 * time.Hour: closed, 3*time.Hour - 10*time.Minute: open, 100 * time.Minute: half, 75 * time.Minute: breaker.StateForcedClosed, 0: breaker.StateForcedClosed,
	} {
		if s := got[0].Slices[courseSlices-1-int(ago/CourseStep)]; s != want {
			t.Errorf("%s ago: %q, not %q", ago, s, want)
		}
	}
	if s := got[1].Slices; s[0] != closed || s[courseSlices-1] != breaker.StateHeld {
		t.Errorf("operation: %v", s)
	}
	if got[2].Slices[0] != closed || got[3].Slices[0] != "" || got[3].Slices[courseSlices-1] != "" {
		t.Errorf("without history %v, never called %v", got[2].Slices, got[3].Slices)
	}
	if _, err := w.Courses(t.Context(), access.Actor{}, nil); !fault.Is(err, fault.Forbidden) {
		t.Errorf("without a role: %v", err)
	}
}

func TestShares(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	now := time.Now().UTC().Truncate(time.Microsecond)
	const open, closed, half = breaker.StateOpen, breaker.StateClosed, breaker.StateHalfOpen
	w.changed(now.Add(-50*time.Minute), 1, "", closed, open)
	w.changed(now.Add(-25*time.Minute), 2, "", open, half)
	w.changed(now.Add(-23*time.Minute), 3, "", half, closed)
	w.changed(now.Add(-5*time.Minute), 1, "charge", closed, breaker.StateForcedOpen)
	shares := func(b Breaker, from time.Time, n int) []Share {
		t.Helper()
		got, err := w.Shares(t.Context(), root(), b, from, 20*time.Minute, n)
		must(t, err)
		return got
	}
	exactly := cmpopts.EquateApprox(0, 0.01) // the clock goes on meanwhile
	from := now.Add(-time.Hour)
	if diff := cmp.Diff([]Share{{Open: 0.5, Known: 1}, {Open: 0.75, HalfOpen: 0.1, Known: 1}, {Known: 1}}, shares(w.row(w.connection(), ""), from, 3), exactly); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]Share{{Known: 1}, {Known: 1}, {Open: 0.25, Known: 1}, {}}, shares(w.row(w.connection(), "charge"), from, 4), exactly); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]Share{{}, {}}, shares(Breaker{ConnectionID: githubID, Operation: "new"}, from, 2)); diff != "" {
		t.Errorf("never called: %s", diff)
	}
	if diff := cmp.Diff([]Share{{}, {Known: 0.5}}, shares(w.row(w.connection(), ""), now.Add(-OpenSpan-30*time.Minute), 2), exactly); diff != "" {
		t.Errorf("before what is kept: %s", diff)
	}
	if _, err := w.Shares(t.Context(), access.Actor{}, Breaker{}, from, time.Minute, 1); !fault.Is(err, fault.Forbidden) {
		t.Errorf("without a role: %v", err)
	}
}

// What was read is kept until a breaker of the connection changes.
func TestCoursesAreReadOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		list := []Breaker{w.row(w.connection(), "")}
		if got := w.courses(list...)[0]; got.OpenTime != 0 {
			t.Fatalf("%+v", got)
		}
		w.changed(time.Now().Add(-time.Hour), 99, "", breaker.StateClosed, breaker.StateOpen)
		if got := w.courses(list...)[0]; got.OpenTime != 0 {
			t.Error("the history is read although nothing was stored")
		}
		w.fail(stripe, 2)
		w.stored()
		if got := w.courses(list...)[0]; got.OpenTime < time.Hour {
			t.Errorf("open for %s after a change", got.OpenTime)
		}
	})
}

// Of a connection whose breakers change without end, what is older than the part that is read counts as unknown.
func TestCoursesAreBounded(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	now := time.Now()
	must(t, w.db.InTx(t.Context(), func(tx *db.Tx) error {
		for i := range maxSteps + 10 {
			states := []breaker.State{breaker.StateClosed, breaker.StateOpen}
			if _, err := tx.Exec(t.Context(), `INSERT INTO breaker_events (id, connection_id, operation, epoch, seq, at, from_state, to_state, mode, cause, actor, reason, counts, last_outcome, samples, config_version)
				VALUES ($1, $2, '', 1, $3, $4, $5, $6, 'auto', 'auto', '', '', '{}', '', '[]', 1)`,
				db.NewID("bev"), stripeID, i, db.Micros(now.Add(-time.Duration(maxSteps+10-i)*time.Second)), string(states[i%2]), string(states[1-i%2])); err != nil {
				return err
			}
		}
		return nil
	}))
	got := w.courses(w.row(w.connection(), ""))[0]
	if d := now.Sub(got.Since); d < maxSteps*time.Second-time.Minute || d > maxSteps*time.Second+time.Minute || got.Slices[0] != "" || got.OpenTime > maxSteps*time.Second/2+time.Minute {
		t.Errorf("since %s, open for %s, first %q", d, got.OpenTime, got.Slices[0])
	}
}
