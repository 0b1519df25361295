package breaker

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"switchgear/internal/fault"
)

const ada = "ada@example.com"

// small trips at 2 of 4 and probes with 2.
func small() Config {
	return Config{
		FailureRatio: 0.5, MinCalls: 4, Window: 10 * time.Second, OpenFor: 10 * time.Second, MaxOpenFor: 40 * time.Second,
		HealthyAfter: time.Minute, HalfOpenCalls: 2, HalfOpenTimeout: 30 * time.Second,
	}
}

// rig is a registry whose worker does not run: the test makes its visits and takes the events itself.
type rig struct {
	*testing.T
	r   *Registry
	cfg map[string]Config // by the key's text
}

var (
	stripe  = Key{Connection: "stripe"}
	charges = Key{Connection: "stripe", Operation: "charges"}
)

// bubble runs a test where time moves only when everybody waits.
func bubble(t *testing.T, cfg Config, f func(r *rig, b *Breaker)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, cfg)
		f(r, r.breaker(stripe))
	})
}

func newRig(t *testing.T, cfg Config) *rig {
	t.Helper()
	r := &rig{T: t, cfg: map[string]Config{stripe.String(): cfg, charges.String(): cfg}}
	registry, err := NewRegistry(Deps{
		Config: func(k Key) (Config, error) {
			if cfg, ok := r.cfg[k.String()]; ok {
				return cfg, nil
			}
			return Config{}, fault.New(fault.NotFound, "", "no such breaker")
		},
		Record: func(_ context.Context, _ []Event) { t.Error("nobody serves") },
	}, Settings{})
	if err != nil {
		t.Fatal(err)
	}
	r.r = registry
	return r
}

func (r *rig) breaker(k Key) *Breaker {
	r.Helper()
	b, err := r.r.Breaker(k)
	if err != nil {
		r.Fatal(err)
	}
	return b
}

// allow wants a permit.
func (r *rig) allow(b *Breaker) *Permit {
	r.Helper()
	p, err := b.Allow()
	if err != nil {
		r.Fatalf("not admitted: %v", err)
	}
	return p
}

// rejected wants a rejection.
func (r *rig) rejected(b *Breaker) *RejectedError {
	r.Helper()
	p, err := b.Allow()
	if err == nil {
		p.Cancel()
		r.Fatalf("admitted in state %s", b.Snapshot().State)
	}
	rejected, ok := errors.AsType[*RejectedError](err)
	if !ok {
		r.Fatalf("the error is %T: %v", err, err)
	}
	return rejected
}

// calls makes admitted calls, one a letter: s success, f failure, e excluded, S and F the same but slow.
func (r *rig) calls(b *Breaker, letters string) {
	r.Helper()
	for i, l := range letters {
		r.allow(b).Done(result(l, fmt.Sprintf("req_%d", i)))
	}
}

func result(letter rune, id string) Result {
	res := Result{Outcome: "unavailable", Label: "Unavailable", RequestID: id}
	switch letter {
	case 's', 'S':
		res.Verdict, res.Outcome = Success, "success"
	case 'f', 'F':
		res.Verdict = Failure
	default:
		res.Verdict, res.Outcome = Excluded, "canceled"
	}
	res.Slow = letter == 'S' || letter == 'F'
	return res
}

// want compares the state that calls meet and the automatic one.
func (r *rig) want(b *Breaker, state, auto State) {
	r.Helper()
	b.tick()
	if s := b.Snapshot(); s.State != state || s.WouldBe != auto {
		r.Fatalf("state %s (%s), want %s (%s)", s.State, s.WouldBe, state, auto)
	}
}

// story takes the events since the last look, each as "from→to cause".
func (r *rig) story() []string {
	events := r.r.queue.take()
	if len(events) == 0 {
		return nil
	}
	lines := make([]string, 0, len(events))
	for _, e := range events {
		lines = append(lines, fmt.Sprintf("%s→%s %s", e.From, e.To, e.Cause))
	}
	return lines
}

func (r *rig) wantStory(want ...string) {
	r.Helper()
	if diff := cmp.Diff(want, r.story()); diff != "" {
		r.Fatalf("events (-want +got):\n%s", diff)
	}
}

func (r *rig) ok(err error) {
	r.Helper()
	if err != nil {
		r.Fatal(err)
	}
}

// pass lets time go by, in a bubble.
func pass(d time.Duration) { time.Sleep(d) }

func order(reason string) Order { return Order{Actor: ada, Reason: reason} }

func orderFor(reason string, d time.Duration) Order {
	return Order{Actor: ada, Reason: reason, Until: time.Now().Add(d)}
}

// into brings a closed breaker with [small] into an automatic state.
func (r *rig) into(b *Breaker, s State) {
	r.Helper()
	switch s {
	case StateOpen:
		r.calls(b, "ffff")
	case StateHalfOpen:
		r.calls(b, "ffff")
		pass(10 * time.Second)
	case StateHeld:
		r.ok(b.Hold(orderFor("maintenance", 5*time.Second)))
	case StateClosed, StateForcedOpen, StateForcedClosed, StateObserve:
	}
	r.want(b, s, s)
}
