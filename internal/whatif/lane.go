package whatif

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"switchgear/internal/runtime"
	"switchgear/internal/runtime/breaker"
	"switchgear/internal/runtime/ratelimit"
)

// call is what happened, as far as a replay needs it.
type call struct {
	at                    time.Time
	method, path, account string
	// outcome is how the call ended.
	outcome runtime.Outcome
	// refused is true when we refused it then: nobody knows how it would have ended.
	refused bool
	// earlier are the attempts before the last one.
	earlier []attempt
	last    attempt
}

// attempt is one try. Times count from the start of the call: when it began, and when its end was known.
type attempt struct {
	outcome      runtime.Outcome
	began, ended time.Duration
	took         time.Duration // until there was an answer
}

func (c *call) attempt(n int) attempt {
	if n < len(c.earlier) {
		return c.earlier[n]
	}
	return c.last
}

// lane takes calls through one set of protections. One goroutine uses it.
type lane struct {
	ctx      context.Context //nolint:containedctx // A lane is one replay, and ends with it.
	set      *runtime.PolicySet
	clock    time.Time
	breakers *breaker.Registry
	limiter  *ratelimit.Replay[*flight]
	agenda   agenda
	due      time.Time // when time alone changes a breaker
	figures  Figures
	open     map[breaker.Key]int // index of the opening, -1 for one that is not listed
	since    map[breaker.Key]time.Time
}

// flight is a call on its way through a lane.
type flight struct {
	call
	policy *runtime.Policy
	key    breaker.Key
	limits ratelimit.Key
	n      int           // the attempt that it is at
	late   time.Duration // by so much it is behind what happened
	permit *breaker.Permit
	grant  ratelimit.Grant
}

func newLane(ctx context.Context, set *runtime.PolicySet, from time.Time) (*lane, error) {
	l := &lane{ctx: ctx, set: set, clock: from, open: map[breaker.Key]int{}, since: map[breaker.Key]time.Time{}}
	var err error
	l.breakers, err = breaker.NewRegistry(breaker.Deps{
		Config: func(k breaker.Key) (breaker.Config, error) {
			policy, _ := set.Of(k.Operation)
			return policy.BreakerConfig(), nil
		},
		Record: func(_ context.Context, events []breaker.Event) { l.record(events) },
	}, breaker.Settings{Now: func() time.Time { return l.clock }})
	if err != nil {
		return nil, err
	}
	l.limiter, err = ratelimit.NewReplay[*flight](set.LimiterConfig(), from)
	return l, err
}

// send lets everything happen that comes before the call, and then the call.
func (l *lane) send(c *call) error {
	l.until(c.at)
	op := runtime.MatchOperation(l.set.Operations, c.method, strings.TrimPrefix(c.path, "/"))
	f := &flight{call: *c, policy: &l.set.Policy}
	if op != nil {
		f.policy = &op.Effective
	}
	f.key, f.limits = runtime.Keys(l.set.ConnectionID, c.account, op)
	return l.begin(f, c.at)
}

// until lets everything happen up to a time.
func (l *lane) until(to time.Time) {
	for {
		at, kind := l.next()
		if kind == nothing || at.After(to) {
			l.clock = to
			return
		}
		l.clock = at
		switch kind {
		case somethingDue:
			l.due = l.breakers.Visit(l.ctx)
		case turn:
			for _, t := range l.limiter.Advance(at) {
				l.turn(t)
			}
		case planned:
			l.happen(l.agenda.pop(), at)
		case nothing:
		}
	}
}

// kind is what happens next.
type kind uint8

const (
	nothing kind = iota
	somethingDue
	planned
	turn
)

func (l *lane) next() (at time.Time, k kind) {
	earlier := func(t time.Time, what kind) {
		if !t.IsZero() && (k == nothing || t.Before(at)) {
			at, k = t, what
		}
	}
	earlier(l.due, somethingDue)
	earlier(l.agenda.first(), planned)
	earlier(l.limiter.Next(), turn)
	return at, k
}

// begin asks for the leave of the protections for the next attempt, in the order in which they are asked live.
func (l *lane) begin(f *flight, at time.Time) error {
	permit, err := l.breakers.Allow(f.key)
	if err != nil {
		if _, ok := errors.AsType[*breaker.RejectedError](err); !ok {
			return err
		}
		l.figures.Breaker.add(&f.call)
		l.visit()
		return nil
	}
	f.permit = permit
	if t, done := l.limiter.Ask(at, f.limits, f.policy.RateLimitWait.Std(), f); done {
		l.turn(t)
	}
	l.visit()
	return nil
}

// turn is the end of the wait for a limit.
func (l *lane) turn(t ratelimit.Turn[*flight]) {
	f := t.Of
	if t.Rejected != nil {
		f.permit.Cancel()
		l.figures.Limits.add(&f.call)
		l.visit()
		return
	}
	// A breaker that opened while the call waited stops it, too.
	if t.Grant.Waited() && !f.permit.Stands() {
		f.permit.Cancel()
		var err error
		if f.permit, err = l.breakers.Allow(f.key); err != nil {
			l.limiter.Refund(t.At, &t.Grant)
			l.figures.Breaker.add(&f.call)
			l.visit()
			return
		}
	}
	if waited := t.At.Sub(t.Asked); waited > 0 {
		f.late += waited
		l.figures.Delayed++
		l.figures.LongestWait = max(l.figures.LongestWait, waited)
	}
	f.grant = t.Grant
	if f.refused {
		f.permit.Cancel() // It says nothing about the upstream.
		l.figures.Sent++
		l.visit()
		return
	}
	l.agenda.push(f.at.Add(f.attempt(f.n).ended+f.late), f)
}

// happen is what was planned: the end of an attempt, or the beginning of the next one.
func (l *lane) happen(f *flight, at time.Time) {
	if f.permit == nil {
		if err := l.begin(f, at); err != nil {
			l.figures.Broken++
		}
		return
	}
	a := f.attempt(f.n)
	rule, _ := a.outcome.Rule()
	if rule.Limiter == runtime.LimitRefund {
		l.limiter.Refund(at, &f.grant)
	}
	f.permit.Done(f.policy.Judge(rule, f.policy.Slow(a.took)))
	f.permit = nil
	if f.n++; f.n <= len(f.earlier) {
		l.agenda.push(f.at.Add(max(f.attempt(f.n).began, a.ended)+f.late), f)
	} else {
		l.figures.Sent++
	}
	l.visit()
}

func (l *lane) visit() { l.due = l.breakers.Visit(l.ctx) }

// record counts what breakers did.
func (l *lane) record(events []breaker.Event) {
	for _, e := range events {
		if e.From == breaker.StateOpen && e.To != breaker.StateOpen {
			l.closeOpening(e.Key, e.At)
		}
		if e.To != breaker.StateOpen || e.From == breaker.StateOpen {
			continue
		}
		again := e.From == breaker.StateHalfOpen
		if again {
			l.figures.Reopened++
		} else {
			l.figures.Opened++
		}
		l.open[e.Key], l.since[e.Key] = -1, e.At
		if len(l.figures.Openings) < maxOpenings {
			l.open[e.Key] = len(l.figures.Openings)
			l.figures.Openings = append(l.figures.Openings, Opening{At: e.At, Operation: e.Key.Operation, Reason: e.Reason, Again: again})
		}
	}
}

func (l *lane) closeOpening(key breaker.Key, at time.Time) {
	i, ok := l.open[key]
	if !ok {
		return
	}
	took := at.Sub(l.since[key])
	l.figures.OpenFor += took
	if i >= 0 {
		l.figures.Openings[i].For = took
	}
	delete(l.open, key)
}

// finish lets everything end that has begun. Breakers that are open then are counted up to the end.
func (l *lane) finish(end time.Time) Figures {
	l.until(end)
	for key := range l.open {
		l.closeOpening(key, end)
	}
	slices.SortStableFunc(l.figures.Openings, func(a, b Opening) int {
		return cmp.Or(a.At.Compare(b.At), strings.Compare(a.Operation, b.Operation))
	})
	return l.figures
}
