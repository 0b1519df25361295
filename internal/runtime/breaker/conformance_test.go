package breaker

import (
	"errors"
	"testing"
	"time"
)

// Never wedges: whatever becomes of the probes, in the end the breaker admits calls, and when the upstream
// is well it closes.
func TestNeverWedges(t *testing.T) {
	t.Parallel()
	for name, probes := range map[string]func(r *rig, b *Breaker){
		"excluded": func(r *rig, b *Breaker) { r.calls(b, "eeeeeeeeee") },
		"canceled": func(r *rig, b *Breaker) {
			for range 10 {
				r.allow(b).Cancel()
			}
		},
		"panics": func(r *rig, b *Breaker) {
			for range 10 {
				func() {
					defer func() {
						if recover() == nil {
							r.Error("no panic")
						}
					}()
					p := r.allow(b)
					defer p.Cancel()
					panic("in the middle of a call")
				}()
			}
		},
		"verdict that does not exist": func(r *rig, b *Breaker) {
			for range 10 {
				r.allow(b).Done(Result{Verdict: "maybe", Slow: true})
			}
		},
		"excluded, then finished again": func(r *rig, b *Breaker) {
			for range 10 {
				p := r.allow(b)
				p.Cancel()
				p.Done(Result{Verdict: Failure})
				p.Done(Result{Verdict: Success})
				p.Cancel()
			}
		},
		"late results of the state before": func(r *rig, b *Breaker) {
			one, two := r.allow(b), r.allow(b)
			one.Done(Result{Verdict: Failure})
			pass(20 * time.Second)
			r.want(b, StateHalfOpen, StateHalfOpen)
			two.Done(Result{Verdict: Failure})
			r.want(b, StateHalfOpen, StateHalfOpen)
		},
		"late results of an instance before": func(r *rig, b *Breaker) {
			one, two := r.allow(b), r.allow(b)
			r.ok(b.Reset(order("fixed")))
			one.Done(Result{Verdict: Failure})
			two.Done(Result{Verdict: Failure})
			r.calls(b, "ff")
			r.want(b, StateClosed, StateClosed)
			r.ok(b.Reset(order("fixed")))
		},
		"never finished": func(r *rig, b *Breaker) {
			one, two := r.allow(b), r.allow(b)
			pass(30*time.Second - 1)
			_ = r.rejected(b)
			pass(1)
			r.want(b, StateOpen, StateOpen)
			if s := b.Snapshot(); s.Last.Cause != CauseWatchdog || s.Last.Reason != "30s passed and the probes did not end" {
				r.Errorf("%+v", s.Last)
			}
			pass(20 * time.Second)
			one.Done(Result{Verdict: Failure})
			two.Done(Result{Verdict: Failure})
			r.want(b, StateHalfOpen, StateHalfOpen)
		},
		"one never finished, the other excluded": func(r *rig, b *Breaker) {
			r.allow(b)
			for range 5 {
				r.allow(b).Cancel()
				pass(29 * time.Second)
			}
			r.want(b, StateHalfOpen, StateHalfOpen)
			r.calls(b, "s")
			_ = r.rejected(b)
			pass(30 * time.Second)
			r.want(b, StateOpen, StateOpen)
			pass(20 * time.Second)
		},
		"no traffic for long": func(r *rig, b *Breaker) {
			pass(100 * time.Hour)
			r.want(b, StateHalfOpen, StateHalfOpen)
		},
		"new thresholds": func(r *rig, b *Breaker) {
			r.allow(b)
			r.allow(b)
			cfg := small()
			cfg.MinCalls = 5
			b.configure(cfg)
			pass(time.Millisecond)
		},
		"a hold in between": func(r *rig, b *Breaker) {
			one, two := r.allow(b), r.allow(b)
			b.HoldForUpstream(time.Now().Add(time.Second), "Retry-After")
			one.Done(Result{Verdict: Excluded})
			two.Done(Result{Verdict: Excluded})
			pass(time.Second)
		},
		"an override in between": func(r *rig, b *Breaker) {
			r.allow(b)
			r.allow(b)
			r.ok(b.SetMode(ModeForcedOpen, orderFor("stop", time.Hour)))
			pass(30 * time.Second)
			r.want(b, StateForcedOpen, StateOpen) // the watchdog
			pass(20 * time.Second)
			r.want(b, StateForcedOpen, StateHalfOpen)
			pass(time.Hour)
		},
		"probe by hand at once": func(r *rig, b *Breaker) {
			r.calls(b, "f")
			r.ok(b.Probe(order("now")))
			pass(time.Millisecond)
		},
		"restart": func(r *rig, b *Breaker) {
			r.allow(b)
			r.allow(b)
			b.restore(b.Durable())
			pass(time.Millisecond)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bubble(t, small(), func(r *rig, b *Breaker) {
				r.into(b, StateHalfOpen)
				probes(r, b)
				r.calls(b, "ss")
				r.want(b, StateClosed, StateClosed)
				r.calls(b, "ssssssss")
			})
			// The same without anybody visiting: calls alone move it.
			bubble(t, small(), func(r *rig, b *Breaker) {
				r.calls(b, "ffff")
				pass(10 * time.Second)
				r.allow(b)
				r.allow(b)
				pass(30 * time.Second)
				if r.rejected(b).State != StateOpen {
					t.Error("the watchdog did not bite")
				}
				pass(20 * time.Second)
				r.calls(b, "ss")
				if got := b.Snapshot().State; got != StateClosed {
					t.Errorf("state %s", got)
				}
			})
		})
	}
}

// A watchdog counts as a failed recovery: the open time doubles.
func TestWatchdogBacksOff(t *testing.T) {
	t.Parallel()
	bubble(t, small(), func(r *rig, b *Breaker) {
		r.into(b, StateHalfOpen)
		r.allow(b)
		r.allow(b)
		pass(30 * time.Second)
		r.want(b, StateOpen, StateOpen)
		s := b.Snapshot()
		if time.Until(s.Until) != 20*time.Second || s.Reopens != 1 || s.Epoch != 2 {
			t.Errorf("until %s, %d reopens, epoch %d", time.Until(s.Until), s.Reopens, s.Epoch)
		}
	})
}

// Reading changes nothing: neither states nor what a later call meets.
func TestReadingIsPassive(t *testing.T) {
	t.Parallel()
	bubble(t, small(), func(r *rig, b *Breaker) {
		r.into(b, StateOpen)
		r.r.queue.take()
		pass(time.Hour)
		before := b.Snapshot()
		for range 1000 {
			s := b.Snapshot()
			_ = s.Why()
			if all := r.r.Snapshots(); len(all) != 1 || all[0].State != StateOpen {
				t.Fatalf("%+v", all)
			}
			if _, ok := r.r.Snapshot(charges); ok {
				t.Fatal("reading made a breaker")
			}
			b.Durable()
			r.r.Export()
		}
		if after := b.Snapshot(); after.State != StateOpen || !after.At.Equal(before.At) {
			t.Errorf("reading moved it to %s", after.State)
		}
		r.wantStory()
		p, err := b.Allow()
		if err != nil {
			t.Fatal(err)
		}
		r.wantStory("open→half_open auto")
		p.Done(Result{Verdict: Success})
	})
}

// What a reader does with a snapshot or an event does not reach the breaker.
func TestSnapshotsAreCopies(t *testing.T) {
	t.Parallel()
	bubble(t, small(), func(r *rig, b *Breaker) {
		r.calls(b, "fff")
		first := b.Snapshot()
		first.State, first.Counts.Failures = StateOpen, 99
		r.calls(b, "f")
		samples := append([]string(nil), b.Snapshot().Last.Samples...)
		pass(10 * time.Second)
		for range 20 {
			p, err := b.Allow()
			if errors.Is(err, errFailed) {
				t.Fatal(err)
			}
			if p != nil {
				p.Done(Result{Verdict: Failure, RequestID: "other"})
			}
			pass(time.Minute)
		}
		for _, e := range r.r.queue.take() {
			if e.Seq == 1 && len(e.Samples) != len(samples) {
				t.Errorf("the first event now names %q", e.Samples)
			} else if e.Seq == 1 && e.Samples[3] != samples[3] {
				t.Errorf("the first event now names %q", e.Samples)
			}
		}
	})
}
