package breaker

import (
	"errors"
	"strings"
	"testing"
	"time"

	"switchgear/internal/fault"
)

// command is one thing that a person or the upstream can do to a breaker.
type command struct {
	name  string
	cause Cause
	do    func(b *Breaker) error
}

func commands() []command {
	return []command{
		{"trip", CauseManual, func(b *Breaker) error { return b.Trip(order("test")) }},
		{"reset", CauseReset, func(b *Breaker) error { return b.Reset(order("test")) }},
		{"hold", CauseManual, func(b *Breaker) error { return b.Hold(orderFor("test", time.Minute)) }},
		{"upstream", CauseHold, func(b *Breaker) error { b.HoldForUpstream(time.Now().Add(2*time.Minute), "test"); return nil }},
		{"probe", CauseManual, func(b *Breaker) error { return b.Probe(order("test")) }},
		{"force open", CauseManual, func(b *Breaker) error { return b.SetMode(ModeForcedOpen, orderFor("test", time.Hour)) }},
		{"force closed", CauseManual, func(b *Breaker) error { return b.SetMode(ModeForcedClosed, orderFor("test", time.Hour)) }},
		{"observe", CauseManual, func(b *Breaker) error { return b.SetMode(ModeObserve, order("test")) }},
		{"auto", CauseManual, func(b *Breaker) error { return b.SetMode(ModeAuto, order("test")) }},
		{"configure", CauseConfig, func(b *Breaker) error {
			cfg := b.Snapshot().Config
			cfg.MinCalls++
			b.configure(cfg)
			return nil
		}},
	}
}

// Every command in every state: what calls meet then, and in brackets the automatic state. A minus stands
// for a conflict, which changes nothing.
func TestCommands(t *testing.T) {
	t.Parallel()
	const table = `
             | trip          | reset           | hold          | upstream      | probe               | force open             | force closed             | observe            | auto            | configure
closed       | open(open)    | closed(closed)  | held(held)    | held(held)    | -                   | forced_open(closed)    | forced_closed(closed)    | observe(closed)    | -               | closed(closed)
open         | -             | closed(closed)  | held(held)    | held(held)    | half_open(half_open)| forced_open(open)      | forced_closed(open)      | observe(open)      | -               | open(open)
half_open    | open(open)    | closed(closed)  | held(held)    | held(held)    | half_open(half_open)| forced_open(half_open) | forced_closed(half_open) | observe(half_open) | -               | half_open(half_open)
held         | -             | closed(closed)  | held(held)    | held(held)    | half_open(half_open)| forced_open(held)      | forced_closed(held)      | observe(held)      | -               | held(held)
forced_open closed      | - | forced_open(closed)   | forced_open(held)   | forced_open(held)   | - | forced_open(closed)    | forced_closed(closed)    | observe(closed)    | closed(closed)       | forced_open(closed)
forced_open open        | - | forced_open(closed)   | forced_open(held)   | forced_open(held)   | - | forced_open(open)      | forced_closed(open)      | observe(open)      | open(open)           | forced_open(open)
forced_open half_open   | - | forced_open(closed)   | forced_open(held)   | forced_open(held)   | - | forced_open(half_open) | forced_closed(half_open) | observe(half_open) | half_open(half_open) | forced_open(half_open)
forced_open held        | - | forced_open(closed)   | forced_open(held)   | forced_open(held)   | - | forced_open(held)      | forced_closed(held)      | observe(held)      | held(held)           | forced_open(held)
forced_closed closed    | - | forced_closed(closed) | forced_closed(held) | forced_closed(held) | - | forced_open(closed)    | forced_closed(closed)    | observe(closed)    | closed(closed)       | forced_closed(closed)
forced_closed open      | - | forced_closed(closed) | forced_closed(held) | forced_closed(held) | - | forced_open(open)      | forced_closed(open)      | observe(open)      | open(open)           | forced_closed(open)
forced_closed half_open | - | forced_closed(closed) | forced_closed(held) | forced_closed(held) | - | forced_open(half_open) | forced_closed(half_open) | observe(half_open) | half_open(half_open) | forced_closed(half_open)
forced_closed held      | - | forced_closed(closed) | forced_closed(held) | forced_closed(held) | - | forced_open(held)      | forced_closed(held)      | observe(held)      | held(held)           | forced_closed(held)
observe closed    | observe(open) | observe(closed) | observe(held) | observe(held) | -                  | forced_open(closed)    | forced_closed(closed)    | observe(closed)    | closed(closed)       | observe(closed)
observe open      | -             | observe(closed) | observe(held) | observe(held) | observe(half_open) | forced_open(open)      | forced_closed(open)      | observe(open)      | open(open)           | observe(open)
observe half_open | observe(open) | observe(closed) | observe(held) | observe(held) | observe(half_open) | forced_open(half_open) | forced_closed(half_open) | observe(half_open) | half_open(half_open) | observe(half_open)
observe held      | -             | observe(closed) | observe(held) | observe(held) | observe(half_open) | forced_open(held)      | forced_closed(held)      | observe(held)      | held(held)           | observe(held)`

	rows := strings.Split(strings.TrimPrefix(table, "\n"), "\n")
	if want := len(Modes()) * len(automatic()); len(rows)-1 != want {
		t.Fatalf("%d rows for %d states", len(rows)-1, want)
	}
	for _, row := range rows[1:] {
		cells := strings.Split(row, "|")
		mode, auto, overridden := strings.Cut(strings.TrimSpace(cells[0]), " ")
		if !overridden {
			mode, auto = string(ModeAuto), mode
		}
		for i, c := range commands() {
			t.Run(mode+" "+auto+", "+c.name, func(t *testing.T) {
				t.Parallel()
				bubble(t, small(), func(r *rig, b *Breaker) {
					r.into(b, State(auto))
					if overridden {
						r.ok(b.SetMode(Mode(mode), orderFor("before", 30*time.Minute)))
					}
					pass(time.Millisecond)
					checkCommand(r, b, c, strings.TrimSpace(cells[i+1]))
				})
			})
		}
	}
}

func checkCommand(r *rig, b *Breaker, c command, want string) {
	r.Helper()
	before := b.Snapshot()
	r.r.queue.take()
	err := c.do(b)
	events := r.r.queue.take()
	if want == "-" {
		if !fault.Is(err, fault.Conflict) || len(events) > 0 || b.Snapshot().WouldBe != before.WouldBe {
			r.Errorf("not refused: %v, %d events", err, len(events))
		}
		return
	}
	r.ok(err)
	s := b.Snapshot()
	if got := string(s.State) + "(" + string(s.WouldBe) + ")"; got != want {
		r.Errorf("%s, want %s", got, want)
	}
	if len(events) != 1 {
		r.Fatalf("%d events", len(events))
	}
	e := events[0]
	if e.Cause != c.cause || e.Seq != before.Last.Seq+1 || e.Mode != s.Mode || (e.Reason != "test" && e.Reason != "the thresholds changed") {
		r.Errorf("event %+v", e)
	}
	if person := c.cause == CauseManual || c.cause == CauseReset; person != (e.Actor == ada) {
		r.Errorf("the actor is %q", e.Actor)
	}
	// What calls meet is what the state says.
	pass(time.Millisecond)
	p, err := b.Allow()
	rejected, isRejected := errors.AsType[*RejectedError](err)
	if s.State.rejects() != isRejected || (isRejected && rejected.State != s.State) {
		r.Errorf("in state %s a call meets %v", s.State, err)
	}
	if p != nil {
		p.Cancel()
	}
	if s.State.rejects() && rejected.RetryAfter <= 0 {
		r.Errorf("retry after %s", rejected.RetryAfter)
	}
}

func TestOrdersAreChecked(t *testing.T) {
	t.Parallel()
	bubble(t, small(), func(r *rig, b *Breaker) {
		forced := func(o Order) error { return b.SetMode(ModeForcedOpen, o) }
		for name, c := range map[string]struct {
			err         error
			code, field string
		}{
			"nobody":            {b.Trip(Order{Reason: "x"}), "ACTOR_REQUIRED", "actor"},
			"trip, no reason":   {b.Trip(Order{Actor: ada, Reason: " \n"}), "REASON_REQUIRED", "reason"},
			"reset, no reason":  {b.Reset(Order{Actor: ada}), "REASON_REQUIRED", "reason"},
			"probe, no reason":  {b.Probe(Order{Actor: ada}), "REASON_REQUIRED", "reason"},
			"long reason":       {b.Trip(order(strings.Repeat("x", 501))), "INVALID_REASON", "reason"},
			"hold, no end":      {b.Hold(order("x")), "END_REQUIRED", "for"},
			"forced, no end":    {forced(order("x")), "END_REQUIRED", "for"},
			"forced, no reason": {forced(orderFor("", time.Hour)), "REASON_REQUIRED", "reason"},
			"observe, none":     {b.SetMode(ModeObserve, Order{Actor: ada}), "REASON_REQUIRED", "reason"},
			"end now":           {forced(orderFor("x", 0)), "INVALID_END", "for"},
			"end far away":      {forced(orderFor("x", 31*24*time.Hour+1)), "INVALID_END", "for"},
			"unknown mode":      {b.SetMode("off", order("x")), "UNKNOWN_MODE", "mode"},
		} {
			f, ok := errors.AsType[*fault.Error](c.err)
			if !ok || f.Kind != fault.Invalid || f.Code != c.code || f.Details.Field != c.field {
				r.Errorf("%s: %v", name, c.err)
			}
		}
		r.wantStory()
		r.want(b, StateClosed, StateClosed)
	})
}

// A command meets the breaker as it is now, also when no call and no worker came by for long.
func TestCommandsAfterSilence(t *testing.T) {
	t.Parallel()
	bubble(t, small(), func(r *rig, b *Breaker) {
		r.into(b, StateOpen)
		pass(time.Hour)
		r.ok(b.Trip(order("not yet")))
		r.ok(b.SetMode(ModeForcedOpen, orderFor("stop", time.Second)))
		pass(time.Minute)
		r.ok(b.Probe(order("x")))
		r.wantStory("closed→open auto", "open→half_open auto", "half_open→open manual", "open→forced_open manual",
			"forced_open→open lease_expired", "open→half_open auto", "half_open→half_open manual")
	})
}

func TestTripUntil(t *testing.T) {
	t.Parallel()
	bubble(t, small(), func(r *rig, b *Breaker) {
		r.ok(b.Trip(Order{Actor: "drill", Reason: "breaker drill", Until: time.Now().Add(3 * time.Second), Drill: true}))
		pass(3*time.Second - 1)
		_ = r.rejected(b)
		pass(1)
		r.calls(b, "ss")
		r.want(b, StateClosed, StateClosed)
		r.ok(b.Reset(Order{Actor: "drill", Reason: "breaker drill", Drill: true}))
		r.wantStory("closed→open drill", "open→half_open auto", "half_open→closed auto", "closed→closed drill")
		r.into(b, StateOpen) // a trip by hand is no failure: the next open time is the first
		if got := time.Until(b.Snapshot().Until); got != 10*time.Second {
			t.Errorf("opens for %s", got)
		}
	})
}

func TestConfigure(t *testing.T) {
	t.Parallel()
	bubble(t, small(), func(r *rig, b *Breaker) {
		r.ok(b.SetMode(ModeObserve, order("roll out")))
		r.calls(b, "fff")
		old := r.allow(b)
		cfg := small()
		b.configure(cfg)
		r.wantStory("closed→observe manual")
		cfg.MinCalls, cfg.OpenFor = 2, 20*time.Second
		b.configure(cfg)
		old.Done(Result{Verdict: Failure}) // belongs to the instance before
		r.want(b, StateObserve, StateClosed)
		r.calls(b, "f")
		r.want(b, StateObserve, StateClosed)
		r.calls(b, "f")
		r.want(b, StateObserve, StateOpen)
		if s := b.Snapshot(); time.Until(s.Until) != 20*time.Second || s.Lease.Reason != "roll out" || s.Epoch != 2 {
			t.Errorf("%+v", s)
		}
		until := b.Snapshot().Until
		cfg.OpenFor = time.Minute
		b.configure(cfg)
		if got := b.Snapshot().Until; !got.Equal(until) {
			t.Errorf("the open time moved to %s", got)
		}
		r.wantStory("closed→closed config", "closed→open auto", "open→open config")
	})
}

// What was allowed before a wait holds after it only in the state in which it was, whoever changed that.
func TestStands(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		from State
		then func(r *rig, connection, operation *Breaker)
		want bool
	}{
		"nothing happens":              {StateClosed, func(_ *rig, _, _ *Breaker) { pass(time.Hour) }, true},
		"others succeed":               {StateClosed, func(r *rig, _, b *Breaker) { r.calls(b, "sssss") }, true},
		"others open it":               {StateClosed, func(r *rig, _, b *Breaker) { r.calls(b, "ffff") }, false},
		"others open the connection's": {StateClosed, func(r *rig, b, _ *Breaker) { r.calls(b, "ffff") }, false},
		"tripped":                      {StateClosed, func(r *rig, b, _ *Breaker) { r.ok(b.Trip(order("down"))) }, false},
		"held":                         {StateClosed, func(r *rig, b, _ *Breaker) { r.ok(b.Hold(orderFor("down", time.Hour))) }, false},
		"reset":                        {StateClosed, func(r *rig, b, _ *Breaker) { r.ok(b.Reset(order("well"))) }, false},
		"forced open":                  {StateClosed, func(r *rig, b, _ *Breaker) { r.ok(b.SetMode(ModeForcedOpen, orderFor("stop", time.Hour))) }, false},
		"forced open, but that is over": {StateClosed, func(r *rig, b, _ *Breaker) {
			r.ok(b.SetMode(ModeForcedOpen, orderFor("stop", time.Hour)))
			pass(time.Hour)
		}, true},
		"forced closed":                  {StateClosed, func(r *rig, b, _ *Breaker) { r.ok(b.SetMode(ModeForcedClosed, orderFor("go", time.Hour))) }, true},
		"the time of the probes is over": {StateHalfOpen, func(r *rig, _, b *Breaker) { r.allow(b); pass(30 * time.Second) }, false},
		"the other probe fails":          {StateHalfOpen, func(r *rig, _, b *Breaker) { r.calls(b, "f") }, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bubble(t, small(), func(r *rig, connection *Breaker) {
				operation := r.breaker(charges)
				r.into(operation, c.from)
				p := r.allow(operation)
				c.then(r, connection, operation)
				if got := p.Stands(); got != c.want {
					t.Errorf("stands: %v", got)
				}
				p.Cancel()
			})
		})
	}
	// What passes an open breaker without being counted does so as long as the override lasts.
	bubble(t, small(), func(r *rig, b *Breaker) {
		r.into(b, StateOpen)
		r.ok(b.SetMode(ModeForcedClosed, orderFor("go", time.Minute)))
		p := r.allow(b)
		if !p.Stands() {
			t.Error("it does not stand")
		}
		pass(time.Minute)
		if p.Stands() {
			t.Error("it stands although the override ended")
		}
	})
}
