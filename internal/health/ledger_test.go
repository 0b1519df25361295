package health

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"switchgear/internal/access"
	"switchgear/internal/calls"
	"switchgear/internal/connections"
	"switchgear/internal/dbtest"
	"switchgear/internal/fault"
	"switchgear/internal/runtime"
	"switchgear/internal/runtime/breaker"
)

func slugs(n int) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = fmt.Sprintf("c-%04d", i)
	}
	return out
}

// said is what a Board says of all connections, in order.
type said struct {
	Items, Incidents    []Item
	States              map[State]int
	Breakers, NotClosed int
}

func everything(b *Board) said {
	out := said{States: b.States, Breakers: b.Breakers, NotClosed: b.NotClosed}
	out.Items, _ = b.Page(nil, 0, b.Len())
	out.Incidents, _ = b.Incidents(b.Len())
	return out
}

func byIdentity[T any]() cmp.Option { return cmp.Comparer(func(a, b *T) bool { return a == b }) }

// Judging only what may have changed comes to the same as judging everything, whatever happens in between.
func TestChangesComeToTheSameAsALookAtEverything(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		names := append(slugs(60), "stripe")
		w := newWorld(t, nil, names...)
		random := rand.New(rand.NewPCG(1, 2))
		some := func() string { return names[random.IntN(len(names))] }
		board := func() *Board {
			t.Helper()
			b, err := w.Board(access.System())
			must(t, err)
			return b
		}
		for step := range 150 {
			for range random.IntN(4) {
				one := some()
				switch random.IntN(9) {
				case 0, 1, 2:
					failed := random.IntN(3) * random.IntN(40)
					w.called(one, calls.Weight{Calls: 40, Failed: failed, Lately: 40, LatelyFailed: failed, LastCall: time.Now(), Sum: calls.Sum{Calls: int64(step), Failed: int64(failed)}})
				case 3:
					w.called(one, calls.Weight{LastCall: time.Now()})
				case 4:
					w.change(one, func(c *connections.Standing) { c.State = connections.StatePaused })
				case 5:
					w.change(one, func(c *connections.Standing) {
						c.State, c.Problem, c.Account = connections.StateActive, fault.New(fault.Unavailable, "", "revoked"), []string{"", "default"}[random.IntN(2)]
						c.Environment = []string{"", "production"}[step%2]
					})
				case 6:
					w.change(one, func(c *connections.Standing) {
						c.State, c.Problem, c.Check = connections.StateActive, nil, runtime.HealthCheck{Enabled: true, Path: "/", Every: runtime.Duration(time.Minute)}
					})
				case 7:
					w.checks.finished(Check{ConnectionID: one, At: time.Now(), Outcome: []runtime.Outcome{runtime.OutcomeSuccess, runtime.OutcomeTimeout}[random.IntN(2)]})
				case 8:
					if permit, err := w.breakers.Allow(breaker.Key{Connection: one}); err == nil {
						permit.Done(breaker.Result{Verdict: breaker.Failure, Outcome: "unavailable"})
					}
				}
			}
			switch random.IntN(12) {
			case 0: // one comes, or goes
				w.mu.Lock()
				if i := random.IntN(len(w.list)); len(w.list) > 40 {
					w.list = append(append([]*connections.Standing(nil), w.list[:i]...), w.list[i+1:]...)
				}
				w.mu.Unlock()
			case 1:
				if len(w.limiters.Holds()) == 0 {
					w.throttle([]string{"", "default"}[random.IntN(2)])
				}
			case 2:
				w.rejected = map[string]runtime.RejectedCredential{some(): {Account: "default", Since: time.Now()}}
			}
			time.Sleep(time.Duration(random.IntN(20)) * time.Second)
			got := everything(board())
			kept := w.ledger
			w.published.Store(nil)
			w.ledger = ledger{}
			want := everything(board())
			w.ledger = kept
			w.published.Store(nil)
			if diff := cmp.Diff(want, got, byIdentity[breaker.Snapshot](), byIdentity[connections.Connection](), cmpopts.IgnoreUnexported(connections.Standing{}), cmpopts.EquateErrors()); diff != "" {
				t.Fatalf("step %d (-everything +changes):\n%s", step, diff)
			}
		}
	})
}

// Only what may have changed is judged; where nothing happens, nothing is, and nobody is told.
func TestOnlyWhatChangedIsJudged(t *testing.T) {
	t.Parallel()
	d := dbtest.New(t)
	w := newWorld(t, d, slugs(500)...)
	w.at = start()
	judged := func(what string, want int, topics ...string) {
		t.Helper()
		w.topics = nil
		before := w.ledger.judged
		must(t, w.look(t.Context()))
		if got := w.ledger.judged - before; got != want {
			t.Errorf("%s: %d connections are judged, want %d", what, got, want)
		}
		if diff := cmp.Diff(topics, w.topics); diff != "" {
			t.Errorf("%s is announced (-want +got):\n%s", what, diff)
		}
		w.pass(time.Second)
	}
	judged("the first look", 500, BoardTopic)
	judged("nothing", 0)
	w.called("c-0007", calls.Weight{Calls: 1, Lately: 1})
	judged("a first call", 1, BoardTopic, Topic)
	for range 1000 {
		w.called("c-0007", calls.Weight{Calls: 2, Lately: 2})
	}
	judged("a thousand calls of one", 1, BoardTopic)
	w.change("c-0009", func(c *connections.Standing) { c.State = connections.StatePaused })
	judged("a change", 1, BoardTopic, Topic)
	w.change("c-0009", func(c *connections.Standing) { c.State = connections.StateActive })
	judged("another", 1, BoardTopic, Topic)
	w.fail(breaker.Key{Connection: "c-0100"})
	judged("an open breaker", 1, BoardTopic, Topic)
	judged("as long as it is open", 1, BoardTopic)
	must(t, command(w, breaker.Key{Connection: "c-0100"}).Reset(breaker.Order{Actor: "ada", Reason: "fixed"}))
	judged("when it closed", 1, BoardTopic, Topic)
	judged("then", 0)
	w.checks.finished(Check{ConnectionID: "c-0200", At: w.now(), Outcome: runtime.OutcomeSuccess})
	judged("a check", 1, BoardTopic)
	w.rejected = map[string]runtime.RejectedCredential{"c-0300": {Account: "default"}}
	judged("a credential that is not accepted", 1, BoardTopic, Topic)
	w.rejected = nil
	judged("one that is again", 1, BoardTopic, Topic)
	w.pass(time.Minute)
	judged("another minute", 1, BoardTopic) // what was called
	w.mu.Lock()
	w.list = append([]*connections.Standing(nil), w.list[1:]...)
	w.mu.Unlock()
	judged("one that is gone", 0, BoardTopic)
	if w.published.Load() != nil {
		t.Error("a Board is kept that nobody looks at")
	}
}

// While somebody looks, Boards are there before they are asked for, and what happened is on one within a
// second, by the time that it is announced; a thousand changes make a few. When nobody looks any more there are none.
func TestBoardsAreMadeAheadWhileSomebodyLooks(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, dbtest.New(t), slugs(50)...)
		told := make(chan string, 1000)
		w.deps.Notify = func(topic string) { told <- topic }
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- w.Serve(ctx) }()
		look := func() *Board {
			t.Helper()
			b, err := w.Board(access.Actor{Kind: access.KindUser, Role: access.RoleViewer})
			must(t, err)
			return b
		}
		synctest.Wait()
		clear := func() {
			for len(told) > 0 {
				<-told
			}
		}
		clear()
		look()
		var made atomic.Int64
		for range 40 { // at any moment, also when a Board gets old
			time.Sleep(170 * time.Millisecond)
			synctest.Wait()
			before := w.published.Load()
			if look() != before {
				made.Add(1)
			}
		}
		if made.Load() != 0 {
			t.Errorf("%d of 40 had to make a Board themselves", made.Load())
		}

		for range 5 {
			time.Sleep(333 * time.Millisecond)
			clear()
			began := time.Now()
			w.called("c-0003", calls.Weight{Calls: 7, Lately: 7, LastCall: began})
			for topic := ""; topic != BoardTopic; {
				topic = <-told
			}
			if took := time.Since(began); took > time.Second {
				t.Errorf("a call is announced after %s", took)
			}
			if it, _ := look().Of("c-0003"); !it.Traffic.LastCall.Equal(began) {
				t.Error("it is announced and not on the Board")
			}
		}

		synctest.Wait() // nobody judges while it is read how often that was done
		clear()
		before := w.ledger.judged
		for i := range 1000 {
			w.called(fmt.Sprintf("c-%04d", i%10), calls.Weight{Calls: i, Lately: i})
			w.Wake()
			time.Sleep(time.Millisecond)
			look()
		}
		synctest.Wait()
		if n := w.ledger.judged - before; n > 10*12 {
			t.Errorf("%d times a connection was judged for a thousand changes of ten in a second", n)
		}
		if n := len(told); n > 12 {
			t.Errorf("told %d times", n)
		}

		time.Sleep(w.cfg.Watched + 2*w.cfg.Every)
		synctest.Wait()
		if w.published.Load() != nil {
			t.Error("Boards are made for nobody")
		}
		if _, err := w.Board(access.System()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(w.cfg.Every)
		synctest.Wait()
		if w.published.Load() != nil {
			t.Error("Boards are made for the program itself")
		}
		clear()
		before = w.ledger.judged
		time.Sleep(30 * time.Second)
		synctest.Wait()
		if n := w.ledger.judged - before; n > 10 || len(told) > 1 { // a minute may have begun
			t.Errorf("%d times a connection was judged and %d times something was told while nothing happened", n, len(told))
		}
		stop()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
}

// What was a state for minutes was it in each of them, looked at or not.
func TestCourse(t *testing.T) {
	t.Parallel()
	var c course
	if got, _ := c.until(100); got != ([Minutes]State{}) {
		t.Errorf("before anything: %v", got)
	}
	c.note(clockAt(100, 0), levelOf(StateHealthy), false)
	c.note(clockAt(102, 0), levelOf(StateDown), true)
	c.note(clockAt(102, 0), levelOf(StateHealthy), true)
	c.note(clockAt(105, 0), levelOf(StateIdle), false)
	c.note(clockAt(90, 0), levelOf(StateIdle), false) // the clock was set back
	want := [Minutes]State{6: StateHealthy, 7: StateHealthy, 8: StateDown, 9: StateHealthy, 10: StateHealthy, 11: StateIdle, 12: StateIdle, 13: StateIdle, 14: StateIdle}
	if diff := cmp.Diff(want, states(c.until(108))); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got, _ := c.until(1000); got != [Minutes]State(filled(StateIdle)) {
		t.Errorf("long after: %v", got)
	}
	// A state that reaches into a minute counts there; one that ended when the minute began does not.
	c.note(clockAt(1000, 0), levelOf(StateHeld), false)
	c.note(clockAt(1001, 0), levelOf(StateHealthy), true)
	c.note(clockAt(1002, 0), levelOf(StatePaused), false)
	got, _ := c.until(1002)
	if diff := cmp.Diff([]State{StateHeld, StateHeld, StatePaused}, got[Minutes-3:]); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func clockAt(minute, second int64) time.Time { return time.Unix(60*minute+second, 0) }

func states(s [Minutes]State, _ [Minutes]Span) [Minutes]State { return s }

// A state of seconds is that of its minute when it is the worst, with when it was so.
func TestCourseOfSeconds(t *testing.T) {
	t.Parallel()
	var c course
	note := func(second int64, s State) { c.note(clockAt(100, second), levelOf(s), true) }
	want := func(what string, minute int64, state State, from, to int64) {
		t.Helper()
		got, spans := c.until(minute)
		last := spans[Minutes-1]
		if got[Minutes-1] != state || !last.From.Equal(clockAt(100, from)) || !last.To.Equal(clockAt(100, to)) {
			t.Errorf("%s: %s from %s to %s", what, got[Minutes-1], last.From, last.To)
		}
	}
	c.note(clockAt(99, 0), levelOf(StateHealthy), false)
	note(12, StateDown)
	want("it began", 100, StateDown, 12, 60)
	note(16, StateHealthy)
	want("it ended", 100, StateDown, 12, 16)
	note(30, StateDegraded)
	want("something better", 100, StateDown, 12, 16)
	note(40, StateDown)
	note(45, StateHealthy)
	want("once more", 100, StateDown, 12, 45)
	want("the next minute", 101, StateHealthy, 60, 120)
	c.note(clockAt(101, 50), levelOf(StateDown), true)
	c.note(clockAt(102, 7), levelOf(StateHealthy), true)
	want("over the end of a minute", 102, StateDown, 120, 127)
}

func filled(s State) []State {
	out := make([]State, Minutes)
	for i := range out {
		out[i] = s
	}
	return out
}

// BenchmarkBoard is the next Board of 10,000 connections, after that many were called.
func BenchmarkBoard(b *testing.B) {
	for _, changes := range []int{0, 1, 100, 10_000} {
		b.Run(fmt.Sprintf("changes=%d", changes), func(b *testing.B) {
			w := newWorld(b, nil, slugs(10_000)...)
			w.at = start()
			b.ReportAllocs()
			for n := 0; b.Loop(); n++ {
				for i := range changes {
					w.called(w.list[i].ID, calls.Weight{Calls: 40, Failed: (n + i) % 40, Lately: 40, LatelyFailed: (n + i) % 40})
				}
				w.pass(time.Second)
				if _, err := w.Board(access.System()); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
