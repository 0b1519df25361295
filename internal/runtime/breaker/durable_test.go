package breaker

import (
	"encoding/json"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"switchgear/internal/fault"
)

// restart writes the state of every breaker, reads it into a registry of its own, and returns that.
func (r *rig) restart(down time.Duration) *rig {
	r.Helper()
	exported := r.r.Export()
	states := make([]Durable, 0, len(exported))
	for _, d := range exported {
		text, err := json.Marshal(d)
		r.ok(err)
		d, err := DecodeDurable(text)
		r.ok(err)
		states = append(states, d)
	}
	pass(down)
	again := newRig(r.T, r.cfg[stripe.String()])
	gone, err := again.r.Restore(states)
	r.ok(err)
	if len(gone) > 0 {
		r.Fatalf("gone: %v", gone)
	}
	return again
}

func TestRestore(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		before      func(r *rig, b *Breaker)
		down        time.Duration
		state, auto State
		story       []string
		after       func(r *rig, b *Breaker) // optional
	}{
		"closed": {func(r *rig, b *Breaker) { r.calls(b, "fff") }, time.Second, StateClosed, StateClosed, nil, nil},
		"open for the rest": {
			func(r *rig, b *Breaker) { r.into(b, StateOpen) }, 6 * time.Second, StateOpen, StateOpen,
			[]string{"closed→open restore"},
			func(r *rig, b *Breaker) {
				s := b.Snapshot()
				if time.Until(s.Until) != 4*time.Second || time.Since(s.Since) != 6*time.Second || s.Epoch != 2 || s.Last.Seq != 2 ||
					s.Why() != "Open because 4 of 4 calls failed: 100 %, trips at 50 %." {
					r.Errorf("%+v", s)
				}
				pass(4*time.Second - 1)
				_ = r.rejected(b)
				pass(1)
				r.calls(b, "f")
				if s := b.Snapshot(); time.Until(s.Until) != 20*time.Second || s.OpenTotal != 10*time.Second {
					r.Errorf("%+v", s)
				}
			},
		},
		"open, the time is over": {
			func(r *rig, b *Breaker) { r.into(b, StateOpen) }, time.Hour, StateHalfOpen, StateHalfOpen,
			[]string{"closed→open restore", "open→half_open auto"},
			probesClose,
		},
		"half-open": {
			func(r *rig, b *Breaker) { r.into(b, StateHalfOpen); r.allow(b); r.allow(b) }, time.Second, StateHalfOpen, StateHalfOpen,
			[]string{"closed→half_open restore"},
			probesClose,
		},
		"held": {
			func(r *rig, b *Breaker) { r.into(b, StateHeld) }, 3 * time.Second, StateHeld, StateHeld,
			[]string{"closed→held restore"},
			func(r *rig, b *Breaker) {
				if rejected := r.rejected(b); rejected.RetryAfter != 2*time.Second || rejected.Actor != ada {
					r.Errorf("%+v", rejected)
				}
			},
		},
		"forced open": {
			func(r *rig, b *Breaker) { r.ok(b.SetMode(ModeForcedOpen, orderFor("stop", time.Hour))) }, time.Minute,
			StateForcedOpen, StateClosed,
			[]string{"closed→forced_open restore"},
			func(r *rig, b *Breaker) {
				s := b.Snapshot()
				if s.OpenTotal != time.Minute || s.Lease.Reason != "stop" || s.Lease.Actor != ada || time.Until(s.Lease.Until) != 59*time.Minute {
					r.Errorf("%+v", s)
				}
			},
		},
		"an override that ended": {
			func(r *rig, b *Breaker) { r.ok(b.SetMode(ModeForcedOpen, orderFor("stop", time.Hour))) }, time.Hour,
			StateClosed, StateClosed,
			[]string{"closed→forced_open restore", "forced_open→closed lease_expired"},
			nil,
		},
		"observing, open beneath": {
			func(r *rig, b *Breaker) { r.ok(b.SetMode(ModeObserve, order("roll out"))); r.calls(b, "ffff") }, time.Second,
			StateObserve, StateOpen,
			[]string{"closed→observe restore"},
			nil,
		},
		"doublings decay over a restart": {
			func(r *rig, b *Breaker) {
				r.into(b, StateHalfOpen)
				r.calls(b, "f")
				pass(20 * time.Second)
				r.calls(b, "ss")
			}, time.Minute, StateClosed, StateClosed, nil,
			func(r *rig, b *Breaker) {
				if got := b.Snapshot().OpenTotal; got != 30*time.Second {
					r.Errorf("open for %s in total", got)
				}
				r.calls(b, "ffff")
				if got := time.Until(b.Snapshot().Until); got != 20*time.Second {
					r.Errorf("opens for %s", got)
				}
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bubble(t, small(), func(r *rig, b *Breaker) {
				c.before(r, b)
				again := r.restart(c.down)
				b = again.breaker(stripe)
				if s := b.Snapshot(); s.State != c.state || s.WouldBe != c.auto {
					t.Fatalf("state %s (%s), want %s (%s)", s.State, s.WouldBe, c.state, c.auto)
				}
				again.wantStory(c.story...)
				if c.after != nil {
					c.after(again, b)
				}
			})
		})
	}
}

func probesClose(r *rig, b *Breaker) {
	r.Helper()
	pass(time.Microsecond)
	r.calls(b, "ss")
	r.want(b, StateClosed, StateClosed)
}

func TestRestoreMany(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, small())
		until := time.Now().Add(time.Minute)
		open := func(connection, operation string) Durable {
			return Durable{Key: Key{connection, operation}, Mode: ModeAuto, State: StateOpen, OpenUntil: until, Seq: 7, Epoch: 3}
		}
		r.cfg["bad"] = Config{MinCalls: -1}
		if _, err := r.r.Restore([]Durable{open("bad", "")}); !fault.Is(err, fault.Invalid) {
			t.Errorf("with a configuration that cannot be used: %v", err)
		}
		broken := open("stripe", "")
		broken.Mode = "off"
		gone, err := r.r.Restore([]Durable{broken, open("deleted", ""), open("stripe", "charges"), open("stripe", "deleted")})
		if !fault.Is(err, fault.Invalid) {
			t.Errorf("the broken one: %v", err)
		}
		if diff := cmp.Diff([]Key{{"deleted", ""}, {"stripe", "deleted"}}, gone); diff != "" {
			t.Errorf("gone (-want +got):\n%s", diff)
		}
		r.want(r.breaker(charges), StateOpen, StateOpen)
		r.want(r.breaker(stripe), StateClosed, StateClosed)
		if s := r.breaker(charges).Snapshot(); s.Epoch != 4 || s.Last.Seq != 8 || !s.Since.Equal(time.Now()) {
			t.Errorf("%+v", s)
		}
	})
}

// A state that was written by a clock ahead of ours.
func TestRestoreFromTheFuture(t *testing.T) {
	t.Parallel()
	bubble(t, small(), func(r *rig, b *Breaker) {
		b.restore(Durable{Key: stripe, Mode: ModeAuto, State: StateClosed, Since: time.Now().Add(100 * time.Hour), Backoff: 1})
		r.into(b, StateOpen)
		if got := time.Until(b.Snapshot().Until); got != 20*time.Second {
			t.Errorf("opens for %s", got)
		}
	})
}

func TestDurableValidate(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for name, c := range map[string]struct {
		change func(*Durable)
		field  string
	}{
		"no connection":        {func(d *Durable) { d.Key.Connection = "" }, "key.connection"},
		"unknown mode":         {func(d *Durable) { d.Mode = "off" }, "mode"},
		"unknown state":        {func(d *Durable) { d.State = "ajar" }, "state"},
		"state of a mode":      {func(d *Durable) { d.State = StateForcedOpen }, "state"},
		"lease without a mode": {func(d *Durable) { d.Lease.Reason = "x" }, "lease"},
		"forced for ever":      {func(d *Durable) { d.Mode = ModeForcedClosed }, "lease.until"},
		"open for ever":        {func(d *Durable) { d.OpenUntil = time.Time{} }, "open_until"},
		"held for ever":        {func(d *Durable) { d.State = StateHeld }, "hold.until"},
		"hold, but not held":   {func(d *Durable) { d.Hold.Until = at }, "hold"},
		"negative doublings":   {func(d *Durable) { d.Backoff = -1 }, "backoff"},
		"absurd doublings":     {func(d *Durable) { d.Backoff = 65 }, "backoff"},
		"negative reopens":     {func(d *Durable) { d.Reopens = -1 }, "reopens"},
		"negative total":       {func(d *Durable) { d.OpenTotal = -1 }, "open_total"},
	} {
		d := Durable{Key: charges, Mode: ModeAuto, State: StateOpen, Since: at, OpenUntil: at}
		if err := d.Validate(); err != nil {
			t.Fatal(err)
		}
		c.change(&d)
		f, ok := errors.AsType[*fault.Error](d.Validate())
		if !ok || f.Kind != fault.Invalid || f.Details.Field != c.field {
			t.Errorf("%s: %v", name, f)
		}
		text, err := json.Marshal(d)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := DecodeDurable(text); !fault.Is(err, fault.Invalid) {
			t.Errorf("%s, decoded: %v", name, err)
		}
	}
	for _, text := range []string{"", "{", "null", "[]", `{"key":{"connection":"a"},"mode":"auto","state":"closed","epoch":1,"seq":1}{}`, `{"key":{"connection":"a"},"mode":"auto","state":"closed","extra":1}`} {
		if _, err := DecodeDurable([]byte(text)); !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// FuzzDurable wants whatever is accepted to survive being written again, and to leave a breaker that can be
// brought to close.
func FuzzDurable(f *testing.F) {
	for _, seed := range []string{
		`{"key":{"connection":"stripe"},"mode":"auto","state":"closed","epoch":1,"seq":1}`,
		`{"key":{"connection":"stripe","operation":"charges"},"mode":"observe","lease":{"reason":"r","actor":"a","since":"2026-01-02T03:04:05Z"},"state":"open","open_until":"2026-01-02T03:04:05.000000001+02:00","backoff":3,"reopens":2,"open_total":5,"epoch":9,"seq":18446744073709551615}`,
		`{"key":{"connection":"s"},"mode":"forced_open","lease":{"until":"9999-12-31T23:59:59Z"},"state":"held","hold":{"until":"0001-01-01T00:00:01Z"},"since":"0000-01-01T00:00:00Z"}`,
		`{"key":{"connection":"s"},"mode":"auto","state":"half_open","since":"9999-01-01T00:00:00Z"}`, `{"key":`, `null`, `{"mode":"AUTO"}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		d, err := DecodeDurable(text)
		if err != nil {
			if !fault.Is(err, fault.Invalid) {
				t.Errorf("not a refusal: %v", err)
			}
			return
		}
		again, err := json.Marshal(d)
		if err != nil {
			t.Fatal(err)
		}
		if e, err := DecodeDurable(again); err != nil || !cmp.Equal(d, e) {
			t.Errorf("%s reads back as %+v, %v", again, e, err)
		}
		b := newBreaker(d.Key, nil, small(), newQueue(), newNotClosed(), clock{})
		b.restore(d)
		b.tick()
		_ = b.Snapshot().Why()
		if err := b.Durable().Validate(); err != nil {
			t.Errorf("restored it exports a state that cannot be taken up: %v", err)
		}
		if err := b.Reset(order("x")); err != nil {
			t.Error(err)
		}
		if s := b.Snapshot(); s.WouldBe != StateClosed || s.OpenTotal < 0 {
			t.Errorf("%+v", s)
		}
	})
}
