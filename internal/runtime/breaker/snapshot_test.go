package breaker

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestWhy(t *testing.T) {
	t.Parallel()
	all := small()
	all.ConsecutiveFailures, all.SlowRatio, all.RampFor = 5, 0.8, 20*time.Second
	for name, c := range map[string]struct {
		cfg  Config
		do   func(r *rig, b *Breaker)
		want string
	}{
		"no calls":     {small(), func(*rig, *Breaker) {}, "No calls in the last 10s: nothing to judge."},
		"too few":      {small(), func(r *rig, b *Breaker) { r.calls(b, "sff") }, "3 of 4 minimum calls, failures 66 % of 50 %: not tripped because too few calls were judged."},
		"well":         {small(), func(r *rig, b *Breaker) { r.calls(b, "sssfss") }, "6 of 4 minimum calls, failures 16 % of 50 %: not tripped because no threshold is reached."},
		"all measures": {all, func(r *rig, b *Breaker) { r.calls(b, "sSff") }, "Open because 2 of 4 calls failed: 50 %, trips at 50 %."},
		"every one": {
			all, func(r *rig, b *Breaker) { r.calls(b, "sSf") },
			"3 of 4 minimum calls, failures 33 % of 50 %, 1 of 5 failures in a row, slow calls 33 % of 80 %: not tripped because no threshold is reached.",
		},
		"half-open": {
			small(), func(r *rig, b *Breaker) { r.into(b, StateHalfOpen); r.calls(b, "s") },
			"1 of 2 probes used, 1 succeeded: closes when all succeed, opens again at the first failure.",
		},
		"probe failed": {small(), func(r *rig, b *Breaker) { r.into(b, StateHalfOpen); r.calls(b, "f") }, "Open because a probe failed: Unavailable."},
		"ramp": {
			all, func(r *rig, b *Breaker) {
				r.into(b, StateHalfOpen)
				r.calls(b, "ss")
				pass(5 * time.Second)
				r.calls(b, "s")
			},
			"1 of 4 minimum calls, failures 0 % of 50 %, 0 of 5 failures in a row, slow calls 0 % of 80 %: not tripped because no threshold is reached; recovering, 25 % of the calls are admitted.",
		},
		"held by a person": {small(), func(r *rig, b *Breaker) { r.ok(b.Hold(orderFor("maintenance.", time.Minute))) }, "Held by ada@example.com: maintenance."},
		"held":             {small(), func(_ *rig, b *Breaker) { b.HoldForUpstream(time.Now().Add(time.Minute), "Retry-After: 60") }, "Held for the upstream: Retry-After: 60."},
		"forced": {
			small(), func(r *rig, b *Breaker) {
				r.into(b, StateOpen)
				r.ok(b.SetMode(ModeForcedClosed, orderFor("it lies", time.Minute)))
			},
			"Forced closed by ada@example.com: it lies. Without the override: open. Open because 4 of 4 calls failed: 100 %, trips at 50 %.",
		},
		"observe": {
			small(), func(r *rig, b *Breaker) { r.ok(b.SetMode(ModeObserve, order("roll out"))) },
			"Only observed by ada@example.com: roll out. Without the override: closed. No calls in the last 10s: nothing to judge.",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bubble(t, c.cfg, func(r *rig, b *Breaker) {
				c.do(r, b)
				b.tick()
				if diff := cmp.Diff(c.want, b.Snapshot().Why()); diff != "" {
					t.Errorf("(-want +got):\n%s", diff)
				}
			})
		})
	}
}

// The worker keeps figures fresh that change by time alone.
func TestSnapshotsStayFresh(t *testing.T) {
	t.Parallel()
	bubble(t, small(), func(r *rig, b *Breaker) {
		r.into(b, StateOpen)
		pass(5 * time.Second)
		b.tick()
		if got := b.Snapshot().OpenTotal; got != 5*time.Second {
			t.Errorf("open: %s in total", got)
		}
		r.ok(b.Reset(order("x")))
		r.ok(b.SetMode(ModeForcedOpen, orderFor("x", time.Hour)))
		pass(5 * time.Second)
		b.tick()
		if got := b.Snapshot().OpenTotal; got != 10*time.Second {
			t.Errorf("forced open: %s in total", got)
		}
		r.ok(b.SetMode(ModeAuto, order("x")))
		at := b.Snapshot().At
		pass(time.Hour)
		b.tick()
		if got := b.Snapshot().At; !got.Equal(at) {
			t.Error("an idle breaker is published for nothing")
		}
	})
}

func TestCountsOfNothing(t *testing.T) {
	t.Parallel()
	if f, s := (Counts{}).FailureRatio(), (Counts{Excluded: 3}).SlowRatio(); f != 0 || s != 0 {
		t.Errorf("%v, %v", f, s)
	}
}

func TestSnapshotCountsRejections(t *testing.T) {
	t.Parallel()
	bubble(t, small(), func(r *rig, b *Breaker) {
		r.into(b, StateOpen)
		for range 3 {
			_ = r.rejected(b)
			pass(3 * time.Second)
		}
		b.tick()
		s := b.Snapshot()
		if s.Counts.Rejected != 3 || s.Refused != 3 || s.OpenTotal != 9*time.Second || time.Since(s.Since) != 9*time.Second {
			t.Errorf("%+v", s)
		}
		pass(time.Second)
		r.calls(b, "ss")
		pass(5 * time.Second)
		b.tick()
		if s := b.Snapshot(); s.Counts.Rejected != 1 || s.Refused != 0 || s.OpenTotal != 10*time.Second || time.Since(s.Since) != 5*time.Second {
			t.Errorf("%+v", s)
		}
	})
}
