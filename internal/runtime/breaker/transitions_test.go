package breaker

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"switchgear/internal/fault"
)

func TestTrips(t *testing.T) {
	t.Parallel()
	with := func(change func(*Config)) Config {
		c := small()
		change(&c)
		return c
	}
	consecutive := with(func(c *Config) { c.ConsecutiveFailures, c.MinCalls = 3, 100 })
	slow := with(func(c *Config) { c.SlowRatio, c.FailureRatio = 0.5, 1 })
	for name, c := range map[string]struct {
		cfg    Config
		calls  string
		reason string // empty: stays closed
	}{
		"below the minimum":               {small(), "fff", ""},
		"at the minimum":                  {small(), "ffff", "4 of 4 calls failed: 100 %, trips at 50 %"},
		"ratio reached by a failure":      {small(), "sssff", ""},
		"ratio reached exactly":           {small(), "sfsf", "2 of 4 calls failed: 50 %, trips at 50 %"},
		"minimum reached by a success":    {small(), "ffss", "2 of 4 calls failed: 50 %, trips at 50 %"},
		"excluded calls do not count":     {small(), "fefeefe", ""},
		"excluded calls do not dilute":    {small(), "feeeeffef", "4 of 4 calls failed: 100 %, trips at 50 %"},
		"failures in a row":               {consecutive, "sffsfff", "3 calls in a row failed, 2 are allowed to"},
		"a success breaks the row":        {consecutive, "ffsffsff", ""},
		"an excluded call does not":       {consecutive, "ffef", "3 calls in a row failed, 2 are allowed to"},
		"slow successes":                  {slow, "sSsS", "2 of 4 calls were slow: 50 %, trips at 50 %"},
		"slow failures count as slow":     {slow, "sFsF", "2 of 4 calls were slow: 50 %, trips at 50 %"},
		"slow, below the minimum":         {slow, "SSS", ""},
		"slow, minimum reached by a fast": {slow, "SSss", "2 of 4 calls were slow: 50 %, trips at 50 %"},
		"slow without a slow ratio":       {small(), "SSSSSSSS", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bubble(t, c.cfg, func(r *rig, b *Breaker) {
				r.calls(b, c.calls)
				if c.reason == "" {
					r.want(b, StateClosed, StateClosed)
					r.wantStory()
					return
				}
				r.want(b, StateOpen, StateOpen)
				s := b.Snapshot()
				if s.Last.Reason != c.reason || s.Last.Cause != CauseAuto || s.Reason != c.reason {
					t.Errorf("reason %q (%q), cause %s, want %q", s.Last.Reason, s.Reason, s.Last.Cause, c.reason)
				}
				if wait := time.Until(s.Until); wait != 10*time.Second {
					t.Errorf("next probe in %s", wait)
				}
				rejected := r.rejected(b)
				want := &RejectedError{
					Key: stripe, Mode: ModeAuto, State: StateOpen, Reason: c.reason, Until: s.Until, RetryAfter: 10 * time.Second,
				}
				if diff := cmp.Diff(want, rejected); diff != "" {
					t.Errorf("rejection (-want +got):\n%s", diff)
				}
			})
		})
	}
}

func TestEventOfATrip(t *testing.T) {
	t.Parallel()
	bubble(t, small(), func(r *rig, b *Breaker) {
		pass(3 * time.Second)
		r.calls(b, "seefSf")
		events := r.r.queue.take()
		want := []Event{{
			Key: stripe, Epoch: 1, Seq: 1, At: time.Now(), From: StateClosed, To: StateOpen, Mode: ModeAuto, Cause: CauseAuto,
			Reason:      "2 of 4 calls failed: 50 %, trips at 50 %",
			Counts:      Counts{Successes: 2, Failures: 2, Excluded: 2, Slow: 1, ConsecutiveFailures: 1},
			LastOutcome: "unavailable", Samples: []string{"req_3", "req_5"}, Until: time.Now().Add(10 * time.Second),
			Durable: Durable{
				Key: stripe, Mode: ModeAuto, State: StateOpen, Since: time.Now(), Reason: "2 of 4 calls failed: 50 %, trips at 50 %",
				OpenUntil: time.Now().Add(10 * time.Second), Backoff: 1, Epoch: 1, Seq: 1,
			},
		}}
		if diff := cmp.Diff(want, events); diff != "" {
			t.Errorf("events (-want +got):\n%s", diff)
		}
		if s := b.Snapshot(); !cmp.Equal(s.Last, events[0]) || s.LastFailure != (LastFailure{"unavailable", "req_5", time.Now()}) {
			t.Errorf("the snapshot tells %+v, %+v", s.Last, s.LastFailure)
		}
	})
}

// An event names the last five calls that failed, and none from before the breaker was closed.
func TestSamples(t *testing.T) {
	t.Parallel()
	cfg := small()
	cfg.MinCalls = 8
	bubble(t, cfg, func(r *rig, b *Breaker) {
		r.calls(b, "ffffffff")
		pass(10 * time.Second)
		r.allow(b).Done(Result{Verdict: Failure, RequestID: "probe"})
		pass(20 * time.Second)
		r.calls(b, "ss")
		for range 8 {
			r.allow(b).Done(Result{Verdict: Failure, RequestID: "later"})
		}
		var got [][]string
		for _, e := range r.r.queue.take() {
			if e.To == StateOpen {
				got = append(got, e.Samples)
			}
		}
		want := [][]string{
			{"req_3", "req_4", "req_5", "req_6", "req_7"}, {"req_4", "req_5", "req_6", "req_7", "probe"}, {"later", "later", "later", "later", "later"},
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
	bubble(t, small(), func(r *rig, b *Breaker) {
		r.into(b, StateHalfOpen)
		r.calls(b, "ss")
		for range 4 {
			r.allow(b).Done(Result{Verdict: Failure}) // without an id
		}
		if got := b.Snapshot().Last.Samples; len(got) != 0 {
			t.Errorf("names %q", got)
		}
	})
}

// What a person, a drill or the upstream asked for has an author and a reason, and no call is to blame for it:
// neither those that failed before nor one that was only slow.
func TestCommandsBlameNoCall(t *testing.T) {
	t.Parallel()
	for name, command := range map[string]func(b *Breaker) error{
		"trip": func(b *Breaker) error { return b.Trip(Order{Actor: "ada", Reason: "maintenance"}) },
		"hold": func(b *Breaker) error {
			return b.Hold(Order{Actor: "ada", Reason: "maintenance", Until: time.Now().Add(time.Minute)})
		},
		"force open": func(b *Breaker) error {
			return b.SetMode(ModeForcedOpen, Order{Actor: "ada", Reason: "maintenance", Until: time.Now().Add(time.Minute)})
		},
		"the upstream": func(b *Breaker) error {
			b.HoldForUpstream(time.Now().Add(time.Minute), "Retry-After")
			return nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bubble(t, small(), func(r *rig, b *Breaker) {
				r.allow(b).Done(Result{Verdict: Success, Slow: true, Outcome: "success", RequestID: "slow"})
				r.allow(b).Done(Result{Verdict: Failure, Outcome: "unavailable", RequestID: "failed"})
				if err := command(b); err != nil {
					t.Fatal(err)
				}
				if e := b.Snapshot().Last; len(e.Samples) > 0 || e.LastOutcome != "" {
					t.Errorf("%s→%s blames %q, %s", e.From, e.To, e.Samples, e.LastOutcome)
				}
			})
		})
	}
}

// Who tripped a breaker is told while it is open, to callers' records and over a restart, and not after it closed.
func TestWhoTrippedIsTold(t *testing.T) {
	t.Parallel()
	bubble(t, small(), func(r *rig, b *Breaker) {
		r.ok(b.Trip(Order{Actor: "ada", Reason: "maintenance"}))
		if e := r.rejected(b); e.Actor != "ada" || e.Reason != "maintenance" {
			t.Errorf("refused by %q: %s", e.Actor, e.Reason)
		}
		s := b.Snapshot()
		if s.Actor != "ada" || s.Why() != "Open, tripped by ada: maintenance." {
			t.Errorf("%q, %s", s.Actor, s.Why())
		}
		if d := b.Durable(); d.Actor != "ada" {
			t.Errorf("kept as tripped by %q", d.Actor)
		}
		pass(time.Minute)
		r.calls(b, "ss")
		if s := b.Snapshot(); s.State != StateClosed || s.Actor != "" {
			t.Errorf("%s, tripped by %q", s.State, s.Actor)
		}
		r.calls(b, "ffff")
		if s := b.Snapshot(); s.State != StateOpen || s.Actor != "" {
			t.Errorf("%s, tripped by %q", s.State, s.Actor)
		}
	})
}

// A breaker that opens because calls fail names those that failed, and one that opens because they are slow
// those that were slow.
func TestOnlyGuiltyCallsAreNamed(t *testing.T) {
	t.Parallel()
	cfg := small()
	cfg.SlowRatio = 1
	bubble(t, cfg, func(r *rig, b *Breaker) {
		r.allow(b).Done(Result{Verdict: Success, Slow: true, RequestID: "slow"})
		r.allow(b).Done(Result{Verdict: Success, RequestID: "good"})
		for range 2 {
			r.allow(b).Done(Result{Verdict: Failure, Outcome: "unavailable", RequestID: "failed"})
		}
		if e := b.Snapshot().Last; !slices.Equal(e.Samples, []string{"failed", "failed"}) || e.LastOutcome != "unavailable" {
			t.Errorf("names %q, %s", e.Samples, e.LastOutcome)
		}
	})
	bubble(t, cfg, func(r *rig, b *Breaker) {
		r.allow(b).Done(Result{Verdict: Failure, Slow: true, Outcome: "timeout", RequestID: "failed"})
		for range 3 {
			r.allow(b).Done(Result{Verdict: Success, Slow: true, Outcome: "success", RequestID: "slow"})
		}
		if e := b.Snapshot().Last; !slices.Equal(e.Samples, []string{"failed", "slow", "slow", "slow"}) || e.LastOutcome != "" {
			t.Errorf("names %q, %q", e.Samples, e.LastOutcome)
		}
	})
}

func TestWindowRolls(t *testing.T) {
	t.Parallel()
	cfg := small()
	cfg.SlowRatio, cfg.FailureRatio = 0.9, 0.9
	bubble(t, cfg, func(r *rig, b *Breaker) {
		r.calls(b, "fF")
		pass(5 * time.Second)
		r.calls(b, "s")
		b.tick()
		if got, want := b.Snapshot().Counts, (Counts{Successes: 1, Failures: 2, Slow: 1}); got != want {
			t.Errorf("after 5s %+v, want %+v", got, want)
		}
		pass(5 * time.Second)
		b.tick()
		if got, want := b.Snapshot().Counts, (Counts{Successes: 1}); got != want {
			t.Errorf("after 10s %+v, want %+v", got, want)
		}
		late := r.allow(b)
		pass(11 * time.Second)
		late.Done(result('F', ""))
		b.tick()
		if got := b.Snapshot().Counts; got != (Counts{}) {
			t.Errorf("a call that began before the window counts: %+v", got)
		}
	})
}

// Successes that leave the window can lift the ratio; the next call that is judged then trips.
func TestRatioReachedByTime(t *testing.T) {
	t.Parallel()
	bubble(t, small(), func(r *rig, b *Breaker) {
		r.calls(b, "ssssss")
		pass(5 * time.Second)
		r.calls(b, "sfsf")
		pass(5 * time.Second)
		r.want(b, StateClosed, StateClosed)
		if why := b.Snapshot().Why(); why != "4 of 4 minimum calls, failures 50 % of 50 %: trips with the next call that is judged." {
			t.Error(why)
		}
		r.calls(b, "e")
		r.want(b, StateClosed, StateClosed)
		r.calls(b, "f")
		r.want(b, StateOpen, StateOpen)
	})
}

func TestRecovers(t *testing.T) {
	t.Parallel()
	bubble(t, small(), func(r *rig, b *Breaker) {
		r.into(b, StateOpen)
		pass(10*time.Second - 1)
		_ = r.rejected(b)
		pass(1)
		one, two := r.allow(b), r.allow(b)
		busy := r.rejected(b)
		if busy.State != StateHalfOpen || busy.RetryAfter != time.Second || !busy.Until.IsZero() {
			t.Errorf("third probe: %+v", busy)
		}
		one.Done(Result{Verdict: Success})
		_ = r.rejected(b)
		b.tick()
		if s := b.Snapshot(); s.ProbesUsed != 2 || s.ProbesSucceeded != 1 {
			t.Errorf("%d used, %d succeeded", s.ProbesUsed, s.ProbesSucceeded)
		}
		two.Done(Result{Verdict: Success})
		r.want(b, StateClosed, StateClosed)
		r.calls(b, "fff") // the probes are not in the window
		r.want(b, StateClosed, StateClosed)
		r.wantStory("closed→open auto", "open→half_open auto", "half_open→closed auto")
		if total := b.Snapshot().OpenTotal; total != 10*time.Second {
			t.Errorf("open for %s in total", total)
		}
	})
}

func TestSlowProbes(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		ratio float64
		calls string
		want  State
	}{{0.6, "ss", StateClosed}, {0.6, "sS", StateClosed}, {0.6, "SS", StateOpen}, {0.5, "Ss", StateOpen}, {0, "SS", StateClosed}} {
		cfg, calls, want := small(), c.calls, c.want
		cfg.SlowRatio = c.ratio
		t.Run(fmt.Sprintf("%s of %v", calls, c.ratio), func(t *testing.T) {
			t.Parallel()
			bubble(t, cfg, func(r *rig, b *Breaker) {
				r.into(b, StateHalfOpen)
				r.calls(b, calls)
				r.want(b, want, want)
			})
		})
	}
}

func TestOpenTimeDoublesAndDecays(t *testing.T) {
	t.Parallel()
	bubble(t, small(), func(r *rig, b *Breaker) {
		openFor := func() time.Duration { return time.Until(b.Snapshot().Until) }
		r.into(b, StateOpen)
		for i, want := range []time.Duration{10 * time.Second, 20 * time.Second, 40 * time.Second, 40 * time.Second} {
			s := b.Snapshot()
			if got := openFor(); got != want || s.Reopens != i {
				t.Fatalf("opening %d: %s, %d reopens, want %s", i, got, s.Reopens, want)
			}
			pass(want)
			r.calls(b, "f")
			r.want(b, StateOpen, StateOpen)
		}
		pass(40 * time.Second)
		r.calls(b, "ss")
		if got := b.Snapshot().Reopens; got != 0 {
			t.Errorf("%d reopens after it closed", got)
		}
		// One healthy minute takes one of the two doublings back.
		pass(time.Minute)
		r.into(b, StateOpen)
		if got := openFor(); got != 20*time.Second {
			t.Errorf("after a healthy minute it opens for %s", got)
		}
		pass(20 * time.Second)
		r.calls(b, "ss")
		pass(10 * time.Minute)
		r.into(b, StateOpen)
		if got := openFor(); got != 10*time.Second {
			t.Errorf("after ten healthy minutes it opens for %s", got)
		}
	})
}

func TestRamp(t *testing.T) {
	t.Parallel()
	cfg := small()
	cfg.RampFor = 10 * time.Second
	bubble(t, cfg, func(r *rig, b *Breaker) {
		r.into(b, StateHalfOpen)
		r.calls(b, "ss")
		r.want(b, StateClosed, StateClosed)
		for second, want := range []int{10, 10, 20, 30, 40, 50, 60, 70, 80, 90, 100, 100} {
			admitted := 0
			for range 100 {
				if p, err := b.Allow(); err == nil {
					p.Done(Result{Verdict: Success})
					admitted++
				} else if rejected, ok := errors.AsType[*RejectedError](err); !ok || rejected.State != StateClosed || !strings.HasPrefix(rejected.Reason, "recovering, ") {
					t.Fatalf("rejected with %v", err)
				}
			}
			if admitted < want-1 || admitted > want+1 {
				t.Errorf("second %d: %d of 100 admitted, want %d", second, admitted, want)
			}
			b.tick()
			if got := b.Snapshot().RampShare; got < float64(want)/100-1e-9 || got > float64(want)/100+1e-9 {
				t.Errorf("second %d: share %v", second, got)
			}
			pass(time.Second)
		}
		if got := b.Snapshot().State; got != StateClosed {
			t.Errorf("the ramp left it %s", got)
		}
	})
}

// Neither a hold nor a reset is a failure to recover from slowly.
func TestNoRamp(t *testing.T) {
	t.Parallel()
	cfg := small()
	cfg.RampFor = time.Hour
	for name, recover := range map[string]func(r *rig, b *Breaker){
		"after a hold": func(r *rig, b *Breaker) {
			b.HoldForUpstream(time.Now().Add(time.Second), "Retry-After")
			pass(time.Second)
			r.calls(b, "ss")
		},
		"after a reset": func(r *rig, b *Breaker) {
			r.into(b, StateHalfOpen)
			r.ok(b.Reset(order("fixed")))
		},
		"reset within one": func(r *rig, b *Breaker) {
			r.into(b, StateHalfOpen)
			r.calls(b, "ss")
			r.ok(b.Reset(order("fixed")))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bubble(t, cfg, func(r *rig, b *Breaker) {
				recover(r, b)
				r.want(b, StateClosed, StateClosed)
				r.calls(b, strings.Repeat("s", 50))
			})
		})
	}
}

func TestHolds(t *testing.T) {
	t.Parallel()
	in := func(d time.Duration) time.Time { return time.Now().Add(d) }
	bubble(t, small(), func(r *rig, b *Breaker) {
		b.HoldForUpstream(in(-time.Second), "past")
		b.HoldForUpstream(in(0), "now")
		r.wantStory()
		b.HoldForUpstream(in(5*time.Second), "Retry-After: 5")
		b.HoldForUpstream(in(3*time.Second), "Retry-After: 3")
		b.HoldForUpstream(in(6*time.Second), "Retry-After: 6")
		r.wantStory("closed→held hold")
		rejected := r.rejected(b)
		if rejected.State != StateHeld || rejected.Reason != "Retry-After: 5" || rejected.RetryAfter != 6*time.Second {
			t.Errorf("held: %+v", rejected)
		}
		pass(time.Second)
		b.HoldForUpstream(in(time.Minute), "Retry-After: 60")
		r.wantStory("held→held hold")
		if s := b.Snapshot(); s.Hold.Reason != "Retry-After: 60" || time.Since(s.WouldBeSince) != time.Second || time.Since(s.Hold.Since) != time.Second {
			t.Errorf("%+v", s)
		}
		b.HoldForUpstream(in(100*24*time.Hour), "Retry-After: absurd")
		if got := b.Snapshot().Until; !got.Equal(in(24 * time.Hour)) {
			t.Errorf("held until %s", got)
		}
		r.ok(b.Hold(orderFor("shorter", time.Second)))
		pass(time.Second)
		r.calls(b, "ee") // throttled again: neither closes nor opens, and frees its slots
		r.want(b, StateHalfOpen, StateHalfOpen)
		r.calls(b, "ss")
		r.want(b, StateClosed, StateClosed)
		r.wantStory("held→held hold", "held→held manual", "held→half_open auto", "half_open→closed auto")

		// Of a hold and an open time the later one counts.
		r.into(b, StateOpen)
		b.HoldForUpstream(in(4*time.Second), "shorter than the open time")
		r.want(b, StateOpen, StateOpen)
		r.ok(b.Hold(orderFor("shorter", 4*time.Second)))
		if got := time.Until(b.Snapshot().Until); got != 10*time.Second {
			t.Errorf("the hold cut the open time to %s", got)
		}
		pass(4 * time.Second)
		r.want(b, StateOpen, StateOpen)
		b.HoldForUpstream(in(20*time.Second), "longer")
		pass(20*time.Second - 1)
		r.want(b, StateHeld, StateHeld)
		pass(1)
		r.want(b, StateHalfOpen, StateHalfOpen)
		r.wantStory("closed→open auto", "open→held manual", "held→open auto", "open→held hold", "held→half_open auto")
	})
}

func TestModes(t *testing.T) {
	t.Parallel()
	bubble(t, small(), func(r *rig, b *Breaker) {
		r.ok(b.SetMode(ModeForcedOpen, orderFor("vendor migration", time.Minute)))
		rejected := r.rejected(b)
		if rejected.State != StateForcedOpen || rejected.Actor != ada || rejected.Reason != "vendor migration" || rejected.RetryAfter != time.Minute {
			t.Errorf("forced open: %+v", rejected)
		}
		r.want(b, StateForcedOpen, StateClosed)
		pass(time.Minute)
		r.calls(b, "s")
		r.wantStory("closed→forced_open manual", "forced_open→closed lease_expired")
		if total := b.Snapshot().OpenTotal; total != time.Minute {
			t.Errorf("open for %s in total", total)
		}
	})
	for _, mode := range []Mode{ModeForcedClosed, ModeObserve} {
		bubble(t, small(), func(r *rig, b *Breaker) {
			r.ok(b.SetMode(mode, orderFor("we know", time.Hour)))
			r.calls(b, "ffff")
			r.want(b, State(mode), StateOpen)
			r.calls(b, "sssfff") // passes, and is not judged by the open breaker
			b.tick()
			s := b.Snapshot()
			if s.Counts != (Counts{WouldReject: 6}) || s.Refused != 0 || s.OpenTotal != 0 {
				t.Errorf("%s: %+v, %d refused, open for %s", mode, s.Counts, s.Refused, s.OpenTotal)
			}
			pass(10 * time.Second)
			probe, second, beyond := r.allow(b), r.allow(b), r.allow(b)
			r.want(b, State(mode), StateHalfOpen)
			beyond.Done(Result{Verdict: Failure}) // not one of the probes
			r.want(b, State(mode), StateHalfOpen)
			probe.Done(Result{Verdict: Success})
			second.Done(Result{Verdict: Success})
			r.want(b, State(mode), StateClosed)
			r.calls(b, "ffff")
			r.ok(b.SetMode(ModeAuto, Order{Actor: ada}))
			r.want(b, StateOpen, StateOpen)
			r.wantStory("closed→"+string(mode)+" manual", "closed→open auto", "open→half_open auto", "half_open→closed auto", "closed→open auto",
				string(mode)+"→open manual")
		})
	}
}

func TestRejectedErrorIsAFault(t *testing.T) {
	t.Parallel()
	bubble(t, small(), func(r *rig, b *Breaker) {
		r.ok(b.SetMode(ModeForcedOpen, orderFor("secret plan", 90*time.Second)))
		var err error = r.rejected(b)
		f, ok := errors.AsType[*fault.Error](err)
		if !ok || f.Kind != fault.Unavailable || f.Code != CodeOpen || f.RetryAfter != 90*time.Second {
			t.Fatalf("%+v", f)
		}
		if want := "The circuit breaker of the connection is forced open; nothing was sent."; f.Message != want {
			t.Errorf("%q, want %q", f.Message, want)
		}
		if want := "breaker stripe is forced_open: secret plan"; err.Error() != want {
			t.Errorf("%q, want %q", err, want)
		}
		for _, s := range States() {
			err := &RejectedError{Key: charges, State: s}
			f, _ := errors.AsType[*fault.Error](error(err))
			if want := "The circuit breaker of the operation is " + s.words() + "; nothing was sent."; s != StateClosed && f.Message != want || s.words() == "" || f.Details.Suggestion == "" {
				t.Errorf("%q, want %q", f.Message, want)
			}
		}
	})
}

func TestOperationAndConnection(t *testing.T) {
	t.Parallel()
	bubble(t, small(), func(r *rig, connection *Breaker) {
		operation := r.breaker(charges)
		r.calls(operation, "ff")
		connection.tick()
		operation.tick()
		if c, o := connection.Snapshot().Counts.Failures, operation.Snapshot().Counts.Failures; c != 2 || o != 2 {
			t.Errorf("a call counts %d for the connection and %d for the operation", c, o)
		}
		// The way to the upstream is the connection's affair.
		for range 2 {
			r.allow(operation).Done(Result{Verdict: Failure, Local: true, Outcome: "connect_failed"})
		}
		r.want(connection, StateOpen, StateOpen)
		r.want(operation, StateClosed, StateClosed)
		if got := operation.Snapshot().Counts; got != (Counts{Failures: 2, Excluded: 2, ConsecutiveFailures: 2}) {
			t.Errorf("operation %+v", got)
		}
		rejected := r.rejected(operation)
		if !rejected.BecauseOfConnection() || rejected.Key != stripe || rejected.Operation != "charges" {
			t.Errorf("%+v", rejected)
		}
		r.ok(connection.Reset(order("go on")))
		r.calls(operation, "ff")
		r.want(operation, StateOpen, StateOpen)
		rejected = r.rejected(operation)
		if rejected.BecauseOfConnection() || rejected.Key != charges {
			t.Errorf("%+v", rejected)
		}
		r.calls(connection, "s") // others still pass
		r.want(operation, StateOpen, StateOpen)
		// A call that the operation rejects gives the connection's probe back.
		r.ok(connection.Trip(order("try")))
		r.ok(operation.SetMode(ModeForcedOpen, orderFor("try", time.Hour)))
		pass(10 * time.Second)
		for range 5 {
			_ = r.rejected(operation)
		}
		r.calls(connection, "ss")
		r.want(connection, StateClosed, StateClosed)
	})
	bubble(t, small(), func(r *rig, b *Breaker) { // a call without an operation
		r.allow(b).Done(Result{Verdict: Failure, Local: true})
		b.tick()
		if got := b.Snapshot().Counts.Failures; got != 1 {
			t.Errorf("%d failures", got)
		}
	})
}
