package breaker

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"switchgear/internal/fault"
)

func TestRegistryMakesOnDemand(t *testing.T) {
	t.Parallel()
	r := newRig(t, small())
	if got := r.r.Snapshots(); len(got) != 0 {
		t.Errorf("%d breakers before the first call", len(got))
	}
	for range 2 {
		p, err := r.r.Allow(charges)
		if err != nil {
			t.Fatal(err)
		}
		p.Cancel()
	}
	snapshots := r.r.Snapshots()
	keys := make([]string, 0, len(snapshots))
	for _, s := range snapshots {
		keys = append(keys, s.Key.String())
	}
	if diff := cmp.Diff([]string{"stripe", "stripe/charges"}, keys); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if b := r.breaker(charges); b.parent != r.breaker(stripe) || b.Key() != charges {
		t.Error("the operation does not ask its connection")
	}
	if s, ok := r.r.Snapshot(charges); !ok || s.Key != charges || s.State != StateClosed {
		t.Errorf("%+v, %v", s, ok)
	}
	for _, k := range []Key{{"other", ""}, {"other", "x"}, {"stripe", "unknown"}} {
		if _, err := r.r.Allow(k); !fault.Is(err, fault.NotFound) {
			t.Errorf("%s: %v", k, err)
		}
	}
	r.cfg["bad"] = Config{MinCalls: -1}
	if _, err := r.r.Breaker(Key{Connection: "bad"}); !fault.Is(err, fault.Invalid) {
		t.Errorf("a configuration that cannot be used: %v", err)
	}
	if _, err := NewRegistry(Deps{Config: nil, Record: nil}, Settings{}); !fault.Is(err, fault.Internal) {
		t.Errorf("without dependencies: %v", err)
	}
}

func TestRefresh(t *testing.T) {
	t.Parallel()
	bubble(t, small(), func(r *rig, connection *Breaker) {
		operation := r.breaker(charges)
		r.into(operation, StateOpen)
		r.ok(connection.Reset(order("only the operation")))
		other := Key{Connection: "other"}
		r.cfg["other"] = small()
		r.breaker(other)

		changed := small()
		changed.MinCalls = 9
		r.cfg[stripe.String()], r.cfg[charges.String()], r.cfg["other"] = changed, changed, changed
		r.ok(r.r.Refresh("stripe"))
		for k, want := range map[Key]int{stripe: 9, charges: 9, other: 4} {
			if s, ok := r.r.Snapshot(k); !ok || s.Config.MinCalls != want {
				t.Errorf("%s: %+v", k, s.Config)
			}
		}
		r.want(operation, StateOpen, StateOpen)

		changed.MinCalls = -1
		r.cfg[stripe.String()] = changed
		if err := r.r.Refresh("stripe"); !fault.Is(err, fault.Invalid) {
			t.Errorf("a configuration that cannot be used: %v", err)
		}
		if got := connection.Snapshot().Config.MinCalls; got != 9 {
			t.Errorf("it is in force: %d", got)
		}
		r.cfg[stripe.String()] = small()
		delete(r.cfg, charges.String())
		r.ok(r.r.Refresh("stripe"))
		if _, ok := r.r.Snapshot(charges); ok {
			t.Error("the breaker of an operation that is gone is still there")
		}
		p := r.allow(connection)
		r.r.Remove("stripe")
		p.Done(Result{Verdict: Failure})
		if got := r.r.Snapshots(); len(got) != 1 || got[0].Key != other {
			t.Errorf("left: %+v", got)
		}
	})
}

// Of several refreshes at once the configuration that was read last is in force.
func TestRefreshesDoNotOvertake(t *testing.T) {
	t.Parallel()
	var read atomic.Int64
	r, err := NewRegistry(Deps{
		Config: func(Key) (Config, error) {
			n := read.Add(1)
			runtime.Gosched() // here another one could overtake
			return Config{MinCalls: int(n)}, nil
		},
		Record: func(context.Context, []Event) {},
	}, Settings{})
	if err != nil {
		t.Fatal(err)
	}
	b, err := r.Breaker(stripe)
	if err != nil {
		t.Fatal(err)
	}
	for range 200 {
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				if err := r.Refresh("stripe"); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if got := int64(b.Snapshot().Config.MinCalls); got != read.Load() {
			t.Fatalf("number %d is in force, %d was read last", got, read.Load())
		}
	}
}

// recorder keeps what the worker hands over.
type recorder struct {
	mu     sync.Mutex
	events []Event
	block  chan struct{} // closed: does not block
}

func (r *recorder) record(_ context.Context, events []Event) {
	<-r.block
	r.mu.Lock()
	defer r.mu.Unlock()
	r.events = append(r.events, events...)
}

// story is what happened to a breaker and when, in seconds since start.
func (r *recorder) story(start time.Time) []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	lines := make([]string, 0, len(r.events))
	for _, e := range r.events {
		lines = append(lines, fmt.Sprintf("%s %.1f %s→%s %s", e.Key, e.At.Sub(start).Seconds(), e.From, e.To, e.Cause))
	}
	return lines
}

func serve(t *testing.T, rec *recorder) (r *Registry, stop func()) {
	t.Helper()
	r, err := NewRegistry(Deps{Config: func(Key) (Config, error) { return small(), nil }, Record: rec.record}, Settings{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- r.Serve(ctx) }()
	return r, func() {
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("served to %v", err)
		}
	}
}

// Without a single call, time-driven changes happen within a tick and are told.
func TestServe(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		rec := &recorder{block: make(chan struct{})}
		close(rec.block)
		r, stop := serve(t, rec)
		start := time.Now()
		one, err := r.Breaker(stripe)
		if err != nil {
			t.Fatal(err)
		}
		two, err := r.Breaker(charges)
		if err != nil {
			t.Fatal(err)
		}
		if err := one.Trip(order("test")); err != nil {
			t.Fatal(err)
		}
		if err := two.SetMode(ModeForcedOpen, orderFor("test", 1200*time.Millisecond)); err != nil {
			t.Fatal(err)
		}
		pass(11 * time.Second)
		for range 2 {
			if _, err := one.Allow(); err != nil { // and never finishes
				t.Fatal(err)
			}
		}
		pass(41 * time.Second)
		want := []string{
			"stripe 0.0 closed→open manual", "stripe/charges 0.0 closed→forced_open manual", "stripe/charges 1.5 forced_open→closed lease_expired",
			"stripe 10.0 open→half_open auto", "stripe 41.0 half_open→open watchdog", "stripe 51.0 open→half_open auto",
		}
		if diff := cmp.Diff(want, rec.story(start)); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		p, err := one.Allow()
		if err != nil {
			t.Fatal(err)
		}
		if got := one.Snapshot().ProbesUsed; got != 0 {
			t.Errorf("%d probes used before the worker looked", got)
		}
		pass(time.Second)
		if got := one.Snapshot().ProbesUsed; got != 1 {
			t.Errorf("%d probes used", got)
		}
		p.Cancel()
		stop()
	})
}

// A recorder that hangs delays events and nothing else, and the end of the worker loses none.
func TestRecorderHangs(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		rec := &recorder{block: make(chan struct{})}
		r, stop := serve(t, rec)
		b, err := r.Breaker(stripe)
		if err != nil {
			t.Fatal(err)
		}
		const resets = 100
		for range resets {
			if err := b.Reset(order("x")); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
		}
		close(rec.block)
		stop()
		if len(rec.events) != resets || r.Dropped() != 0 {
			t.Fatalf("%d events, %d dropped", len(rec.events), r.Dropped())
		}
		for i, e := range rec.events {
			if e.Seq != uint64(i)+1 {
				t.Fatalf("event %d has the number %d", i, e.Seq)
			}
		}
	})
}

// Events that nobody has taken when the worker is told to end are still recorded.
func TestServeRecordsTheRest(t *testing.T) {
	t.Parallel()
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for range 30 {
		rec := &recorder{block: make(chan struct{})}
		close(rec.block)
		r, err := NewRegistry(Deps{Config: func(Key) (Config, error) { return small(), nil }, Record: rec.record}, Settings{})
		if err != nil {
			t.Fatal(err)
		}
		b, err := r.Breaker(stripe)
		if err != nil {
			t.Fatal(err)
		}
		if err := b.Reset(order("x")); err != nil {
			t.Fatal(err)
		}
		if err := r.Serve(ended); !errors.Is(err, context.Canceled) || len(rec.events) != 1 {
			t.Fatalf("%v, %d events", err, len(rec.events))
		}
	}
}

func TestQueueDropsTheOldest(t *testing.T) {
	t.Parallel()
	q := newQueue()
	for i := range uint64(maxQueued + 10) {
		q.push(Event{Seq: i})
	}
	events := q.take()
	if len(events) != maxQueued || events[0].Seq != 10 || events[maxQueued-1].Seq != maxQueued+9 || q.dropped() != 10 {
		t.Errorf("%d events from %d to %d, %d dropped", len(events), events[0].Seq, events[len(events)-1].Seq, q.dropped())
	}
	if len(q.take()) != 0 {
		t.Error("taken twice")
	}
}

// A thousand goroutines call, command and read at once. At the end no call is lost: what was admitted and
// judged in one state adds up, and every event has its number.
func TestThousandGoroutines(t *testing.T) {
	t.Parallel()
	rec := &recorder{block: make(chan struct{})}
	close(rec.block)
	r, stop := serve(t, rec)
	const workers, calls = 1000, 20
	keys := []Key{stripe, charges, {"stripe", "refunds"}, {"github", "issues"}}
	start := make(chan struct{})
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			<-start
			for i := range calls {
				exercise(t, r, keys[(w+i)%len(keys)], w, i)
			}
		})
	}
	close(start)
	wg.Wait()
	for _, k := range keys {
		b, err := r.Breaker(k)
		if err != nil {
			t.Fatal(err)
		}
		if err := b.Reset(order("end")); err != nil {
			t.Error(err)
		}
	}
	stop()
	if r.Dropped() > 0 {
		t.Errorf("%d events dropped", r.Dropped())
	}
	last := map[Key]uint64{}
	for _, e := range rec.events {
		if e.Seq != last[e.Key]+1 {
			t.Fatalf("%s: event %d follows %d", e.Key, e.Seq, last[e.Key])
		}
		last[e.Key] = e.Seq
		if e.Counts.Slow > e.Counts.Judged() || slices.Min([]int{e.Counts.Successes, e.Counts.Failures, e.Counts.Rejected}) < 0 {
			t.Errorf("event %+v", e)
		}
	}
	for _, k := range keys {
		if last[k] == 0 {
			t.Errorf("%s: nothing was told", k)
		}
	}
}

func exercise(t *testing.T, r *Registry, k Key, w, i int) {
	t.Helper()
	p, err := r.Allow(k)
	if _, rejected := errors.AsType[*RejectedError](err); err != nil && !rejected {
		t.Error(err)
		return
	}
	if p != nil {
		verdict := []Verdict{Success, Failure, Success, Excluded, Failure}[(w+i)%5]
		if w%7 > 0 { // some never end
			p.Done(Result{Verdict: verdict, Slow: i%3 == 0, RequestID: "req"})
			p.Cancel()
		}
	}
	b, err := r.Breaker(k)
	if err != nil {
		t.Error(err)
		return
	}
	switch (w + i) % 97 {
	case 0:
		_ = b.Trip(order("x")) // conflicts are expected
	case 1:
		_ = b.Reset(order("x"))
	case 2:
		b.HoldForUpstream(time.Now().Add(time.Millisecond), "x")
	case 3:
		_ = b.Probe(order("x"))
	case 4:
		_ = b.SetMode(Modes()[i%4], orderFor("x", time.Millisecond))
	case 5:
		if err := r.Refresh(k.Connection); err != nil {
			t.Error(err)
		}
	default:
		_ = b.Snapshot().Why()
	}
}

// In the closed state every result counts once, however many goroutines report.
func TestNoResultIsLost(t *testing.T) {
	t.Parallel()
	cfg := small()
	cfg.MinCalls, cfg.Window = 1_000_000, time.Hour
	r := newRig(t, cfg)
	b := r.breaker(charges)
	var wg sync.WaitGroup
	for range 1000 {
		wg.Go(func() {
			for i := range 10 {
				p, err := b.Allow()
				if err != nil {
					t.Error(err)
					return
				}
				p.Done(Result{Verdict: []Verdict{Success, Failure}[i%2]})
			}
		})
	}
	wg.Wait()
	for _, k := range []Key{stripe, charges} {
		b := r.breaker(k)
		b.tick()
		if got := b.Snapshot().Counts; got.Successes != 5000 || got.Failures != 5000 {
			t.Errorf("%s: %+v", k, got)
		}
	}
}

// Who looks for what is not closed finds the same as one who looks at all, also among those that are gone.
func TestEachNotClosed(t *testing.T) {
	t.Parallel()
	bubble(t, small(), func(r *rig, b *Breaker) {
		is := func(want ...string) {
			t.Helper()
			var got, all []string
			r.r.EachNotClosed(func(s *Snapshot) { got = append(got, s.Key.String()+" "+string(s.State)) })
			r.r.Each(func(s *Snapshot) {
				if s.State != StateClosed {
					all = append(all, s.Key.String()+" "+string(s.State))
				}
			})
			slices.Sort(got)
			slices.Sort(all)
			if !slices.Equal(got, want) || !slices.Equal(all, want) {
				t.Errorf("not closed are %q, of all %q, want %q", got, all, want)
			}
		}
		operation := r.breaker(charges)
		is()
		if n := r.r.Len(); n != 2 {
			t.Errorf("%d breakers", n)
		}
		var err error
		check := func() {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
		}
		err = operation.Trip(order("x"))
		check()
		is("stripe/charges open")
		err = b.SetMode(ModeForcedOpen, orderFor("x", time.Minute))
		check()
		is("stripe forced_open", "stripe/charges open")
		pass(61 * time.Second)
		b.tick()
		is("stripe/charges open")
		operation.tick()
		is("stripe/charges half_open")
		err = operation.Reset(order("x"))
		check()
		is()
		err = operation.Trip(order("x"))
		check()
		r.r.Remove("stripe")
		is()
		err = errors.Join(operation.Reset(order("late")), operation.Trip(order("later still")))
		check()
		is()
		if n := len(r.r.notClosed.list()); n != 0 {
			t.Errorf("%d that are gone are kept", n)
		}
	})
}
