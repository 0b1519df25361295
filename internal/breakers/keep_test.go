package breakers

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"switchgear/db"
	"switchgear/internal/fault"
	"switchgear/internal/runtime/breaker"
)

// A process that dies at once after an acknowledgement has stored no event. The next one finds the command.
func TestAcknowledgedCommandsSurviveACrash(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.mustCommand("", ForceOpen, Order{Reason: "maintenance", For: time.Hour})
	w.mustCommand("charge", Hold, Order{Reason: "the vendor called", For: time.Hour})
	if n := w.count(`SELECT COUNT(*) FROM breaker_events`); n != 0 {
		t.Fatalf("%d events are stored already", n)
	}
	w.restart()
	s, _ := w.registry.Snapshot(stripe)
	if s.State != breaker.StateForcedOpen || s.Lease.Reason != "maintenance" || s.Lease.Actor != "root" || w.state("charge") != breaker.StateHeld {
		t.Errorf("after the crash: %+v, charge %s", s, w.state("charge"))
	}
	// It is in the history then, once, and is not carried out again.
	w.stored()
	w.mustCommand("", Auto, Order{Reason: "done"})
	w.stored()
	if n := w.count(`SELECT COUNT(*) FROM breaker_commands`); n != 0 {
		t.Errorf("%d commands are still stored", n)
	}
	w.restart()
	if w.state("") != breaker.StateClosed {
		t.Errorf("carried out again: %s", w.state(""))
	}
	if n := w.count(`SELECT COUNT(*) FROM breaker_events WHERE cause = 'manual' AND connection_id = $1`, stripeID); n != 3 {
		t.Errorf("%d manual events", n)
	}
}

// A process that dies between the commit and the effect, or one that does not know whether the commit
// succeeded, has the row and not the effect.
func TestStoredCommandsAreCarriedOut(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	store := func(c command) {
		must(t, w.db.InTx(t.Context(), func(tx *db.Tx) error { return w.store.insertCommand(t.Context(), tx, c) }))
	}
	now := time.Now()
	store(newCommand(stripe, ForceClosed, "ada", Order{Reason: "over", Until: now.Add(-time.Second)}, now.Add(-time.Hour)))
	store(newCommand(stripe, ForceOpen, "ada", Order{Reason: "night", Until: now.Add(time.Hour)}, now))
	store(newCommand(charge, Auto, "ada", Order{Reason: "changes nothing"}, now))
	store(newCommand(charge, "explode", "ada", Order{Reason: "of another release"}, now))
	w.restart()
	if s, _ := w.registry.Snapshot(stripe); s.State != breaker.StateForcedOpen || s.Lease.Reason != "night" {
		t.Errorf("%+v", s)
	}
	w.stored()
	if n := w.count(`SELECT COUNT(*) FROM breaker_commands`); n != 0 {
		t.Errorf("%d commands are still stored", n)
	}

	// The same while the process goes on: the worker looks.
	c := newCommand(stripe, ForceClosed, "ada", Order{Reason: "unknown commit", Until: now.Add(time.Hour)}, now)
	store(c)
	w.stale.Store(true)
	must(t, w.settle(t.Context()))
	if s, _ := w.registry.Snapshot(stripe); s.State != breaker.StateForcedClosed || w.stale.Load() {
		t.Errorf("%+v", s)
	}
	before, _ := w.registry.Snapshot(stripe)
	must(t, w.settle(t.Context())) // what is carried out is not carried out again
	if after, _ := w.registry.Snapshot(stripe); after.Last.Seq != before.Last.Seq {
		t.Error("carried out twice")
	}
}

// When it is unknown whether a command was stored, the answer says so, and the breaker follows what is there.
func TestUnknownCommit(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	unknown := fault.New(fault.Unavailable, "COMMIT_UNKNOWN", "Perhaps.")
	for _, stored := range []bool{false, true} {
		w.inTx = func(ctx context.Context, fn func(tx *db.Tx) error) error {
			err := w.db.InTx(ctx, func(tx *db.Tx) error {
				if err := fn(tx); err != nil || stored {
					return err
				}
				return unknown
			})
			if err == nil {
				err = unknown
			}
			return err
		}
		_, err := w.command("", ForceOpen, Order{})
		if fault.CodeOf(err) != "COMMIT_UNKNOWN" || (w.state("") == breaker.StateForcedOpen) != stored || (len(w.entries()) == 1) != stored || w.stale.Load() {
			t.Errorf("stored: %t, then %v, %s, %d audit entries", stored, err, w.state(""), len(w.entries()))
		}
	}
	w.stored()
	if n := w.count(`SELECT COUNT(*) FROM breaker_commands`); n != 0 {
		t.Errorf("%d commands are still stored", n)
	}
}

// The worker stores what breakers do by themselves, and a restart takes it up.
func TestRestart(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fail(stripe, 2)
	w.mustCommand("charge", Observe, Order{Reason: "looking"})
	w.hold(stripeID, "")
	w.hand()
	must(t, w.Save(t.Context()))
	opened, _ := w.registry.Snapshot(stripe)
	w.restart()
	s, _ := w.registry.Snapshot(stripe)
	if s.State != breaker.StateOpen || !s.Until.Equal(opened.Until.Round(0)) || s.Reason != opened.Reason || w.state("charge") != breaker.StateObserve {
		t.Errorf("open until %s, was %s: %+v; charge %s", s.Until, opened.Until, s, w.state("charge"))
	}
	l, _ := w.limiters.Get(stripeID)
	if scopes := l.Snapshot().Scopes; !slices.ContainsFunc(w.holds(stripeID), func(h VendorHold) bool { return h.Group == "" }) {
		t.Errorf("the limiter forgot the hold: %+v", scopes)
	}
	w.stored()
	h, err := w.History(t.Context(), root(), HistoryQuery{Connection: "stripe"})
	must(t, err)
	var seqs []uint64
	for _, c := range h.Changes {
		if c.Event.Key == stripe {
			seqs = append(seqs, c.Event.Seq)
		}
	}
	if !slices.Equal(seqs, []uint64{2, 1}) {
		t.Errorf("numbers across the restart: %v", seqs)
	}
}

func TestRestartAfterTheEnd(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.mustCommand("", ForceOpen, Order{For: time.Hour})
	w.mustCommand("charge", Hold, Order{For: time.Hour})
	w.stored()
	w.back(2 * time.Hour)
	w.restart()
	if w.state("") != breaker.StateClosed || w.state("charge") != breaker.StateHalfOpen {
		t.Errorf("connection %s, charge %s", w.state(""), w.state("charge"))
	}
	w.stored()
	if n := w.count(`SELECT COUNT(*) FROM breaker_events WHERE cause = 'lease_expired'`); n != 1 {
		t.Errorf("%d leases ended", n)
	}
}

// back moves the ends of everything that is stored back.
func (w *world) back(d time.Duration) {
	w.t.Helper()
	k, err := w.store.load(w.t.Context())
	must(w.t, err)
	states := make([]breaker.Durable, len(k.states))
	for i, text := range k.states {
		states[i], err = breaker.DecodeDurable([]byte(text))
		must(w.t, err)
		for _, at := range []*time.Time{&states[i].Lease.Until, &states[i].OpenUntil, &states[i].Hold.Until} {
			if !at.IsZero() {
				*at = at.Add(-d)
			}
		}
	}
	must(w.t, w.store.saveStates(w.t.Context(), states, time.Now()))
}

func TestRestoreDropsWhatIsGone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, slug := range []string{"stripe", "github"} {
		_, err := w.Command(t.Context(), root(), slug, "", ForceOpen, Order{Reason: "because"})
		must(t, err)
	}
	w.hold(githubID, "")
	w.stored()
	must(t, w.Save(t.Context()))
	w.exec(`INSERT INTO breaker_states (connection_id, operation, state, updated_at)
		SELECT connection_id, 'old', replace(state, '"connection":"con_stripe"', '"connection":"con_stripe","operation":"old"'), 0
		FROM breaker_states WHERE connection_id = 'con_stripe'`)
	w.exec(`INSERT INTO breaker_states (connection_id, operation, state, updated_at) VALUES ('con_stripe', 'broken', '{', 0)`)
	w.directory.remove("github")
	w.restart()
	for table, want := range map[string]int{"breaker_states": 2, "limiter_states": 0, "breaker_commands": 0} {
		if n := w.count(`SELECT COUNT(*) FROM ` + table); n != want {
			t.Errorf("%s has %d rows, want %d", table, n, want)
		}
	}
	if w.state("") != breaker.StateForcedOpen || w.count(`SELECT COUNT(*) FROM breaker_events WHERE connection_id = $1`, githubID) == 0 {
		t.Errorf("stripe is %s, or the history of the other is gone", w.state(""))
	}
}

// A store that fails loses nothing: the events are stored once it works again, and once.
func TestFlushIsTriedAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.exec(`CREATE TRIGGER refuse BEFORE INSERT ON breaker_states BEGIN SELECT RAISE(ABORT, 'no'); END`)
	w.fail(stripe, 2)
	w.hand()
	if err := w.flush(t.Context()); err == nil || w.count(`SELECT COUNT(*) FROM breaker_events`) != 0 {
		t.Fatalf("events without their state: %v", err)
	}
	w.exec(`DROP TRIGGER refuse`)
	b, err := w.registry.Breaker(stripe)
	must(t, err)
	must(t, b.Reset(breaker.Order{Actor: "ada", Reason: "r"}))
	w.stored()
	h, err := w.History(t.Context(), root(), HistoryQuery{})
	must(t, err)
	if len(h.Changes) != 2 || h.Changes[0].Event.Cause != breaker.CauseReset || h.Changes[1].Event.To != breaker.StateOpen || h.Changes[1].Version != 7 ||
		h.Changes[1].Event.LastOutcome != "server_error" || h.Changes[1].Event.Counts.Failures != 2 || !slices.Equal(h.Changes[1].Event.Samples, []string{"req_1", "req_1"}) {
		t.Errorf("%+v", h.Changes)
	}
	// The same events again change nothing.
	for _, c := range h.Changes {
		w.deps.Inbox.Changed(t.Context(), []breaker.Event{{Key: stripe, Seq: c.Event.Seq, At: c.Event.At, Durable: b.Durable()}})
	}
	must(t, w.flush(t.Context()))
	if n := w.count(`SELECT COUNT(*) FROM breaker_events`); n != 2 {
		t.Errorf("%d events", n)
	}
}

func TestInboxIsBounded(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.mustCommand("", ForceOpen, Order{For: time.Hour})
	inbox := w.deps.Inbox
	inbox.limit = 3
	for i := range 5 {
		inbox.Changed(t.Context(), []breaker.Event{{Key: stripe, Seq: uint64(i + 10), At: time.UnixMicro(int64(i)), Durable: breaker.Durable{
			Key: stripe, Mode: breaker.ModeAuto, State: breaker.StateClosed, Seq: uint64(i + 10),
		}}})
	}
	if inbox.Dropped() != 2 {
		t.Errorf("%d dropped", inbox.Dropped())
	}
	// What was lost of the history is not lost of the states.
	inbox.take()
	must(t, w.flush(t.Context()))
	w.restart()
	if w.state("") != breaker.StateForcedOpen {
		t.Errorf("the state is lost: %s", w.state(""))
	}
}

func TestServeStoresAtTheEnd(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fail(stripe, 2)
	w.hold(stripeID, "")
	w.hand()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := w.Serve(ctx); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if w.count(`SELECT COUNT(*) FROM breaker_events`) != 1 || w.count(`SELECT COUNT(*) FROM limiter_states`) != 1 {
		t.Error("something is not stored")
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if got := strings.Join(w.topics, " "); got != "breakers breakers:con_stripe" {
		t.Errorf("announced %q", got)
	}
}

func TestLimitersAreStoredWhenTheyChange(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.hold(stripeID, "")
	must(t, w.saveLimiters(t.Context()))
	w.exec(`UPDATE limiter_states SET updated_at = 5`)
	must(t, w.saveLimiters(t.Context()))
	if n := w.count(`SELECT updated_at FROM limiter_states`); n != 5 {
		t.Error("stored again without a change")
	}
	w.hold(githubID, "")
	must(t, w.saveLimiters(t.Context()))
	if n := w.count(`SELECT COUNT(*) FROM limiter_states WHERE updated_at <> 5`); n != 1 {
		t.Errorf("%d changes are stored", n)
	}
	w.limiters.Remove(stripeID)
	w.limiters.Remove(githubID)
	must(t, w.saveLimiters(t.Context()))
	if n := w.count(`SELECT COUNT(*) FROM limiter_states`); n != 0 {
		t.Error("kept for nobody")
	}
}

func TestCleanup(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fail(stripe, 2)
	w.stored()
	w.mustCommand("", Reset, Order{})
	w.stored()
	w.exec(`UPDATE breaker_events SET at = $1 WHERE seq = 1`, db.Micros(time.Now().Add(-91*24*time.Hour)))
	must(t, w.cleanup(t.Context()))
	if n := w.count(`SELECT COUNT(*) FROM breaker_events`); n != 1 {
		t.Errorf("%d events", n)
	}
	w.directory.remove("stripe")
	must(t, w.cleanup(t.Context()))
	if w.count(`SELECT COUNT(*) FROM breaker_states`) != 0 || w.count(`SELECT COUNT(*) FROM breaker_events`) != 1 || len(w.saved) != 0 {
		t.Error("the connection is not forgotten, or its history is")
	}
}
