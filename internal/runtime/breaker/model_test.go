package breaker

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// model is a breaker in the simplest form that can be thought of: it keeps every call in a list and counts
// when asked. It shares no code with the real one but the types.
type model struct {
	cfg   Config
	mode  Mode
	lease time.Time

	state        State
	since        time.Time
	began        time.Time // of the counts, which start again with an instance
	open, hold   time.Time
	backoff      int
	failing      bool // opened by failures
	generation   int
	calls        []judged
	inFlight     int // probes
	full         time.Time
	rampFrom     time.Time
	credit       float64
	rejections   []time.Time
	passed       []time.Time // that would have been rejected
	rejectionsAt time.Time   // where the steps of both begin
}

type judged struct {
	began   time.Time
	verdict Verdict
	slow    bool
}

// within reports whether two times lie in one window of ten steps that begins at start.
func (m *model) within(start, then, now time.Time) bool {
	step := m.cfg.Window / 10
	return now.Sub(start)/step-then.Sub(start)/step < 10
}

func (m *model) counts(now time.Time) Counts {
	var c Counts
	for _, k := range m.calls {
		if m.state == StateClosed && !m.within(m.began, k.began, now) {
			continue
		}
		if k.slow {
			c.Slow++
		}
		switch k.verdict {
		case Success:
			c.Successes++
		case Failure:
			c.Failures++
		case Excluded:
			c.Excluded++
		}
	}
	// The row of failures at the end.
	for i := len(m.calls) - 1; i >= 0 && m.calls[i].verdict != Success; i-- {
		if m.calls[i].verdict == Failure && (m.state != StateClosed || m.within(m.began, m.calls[i].began, now)) {
			c.ConsecutiveFailures++
		}
	}
	for _, t := range m.rejections {
		if m.within(m.rejectionsAt, t, now) {
			c.Rejected++
		}
	}
	for _, t := range m.passed {
		if m.within(m.rejectionsAt, t, now) {
			c.WouldReject++
		}
	}
	return c
}

func (m *model) to(now time.Time, s State) {
	m.state, m.since, m.began = s, now, now
	m.calls, m.inFlight, m.full = nil, 0, time.Time{}
	m.generation++
	if s != StateClosed {
		m.rampFrom = time.Time{}
	}
}

func (m *model) decay(now time.Time) {
	if m.state == StateClosed {
		m.backoff = max(0, m.backoff-int(now.Sub(m.since)/m.cfg.HealthyAfter))
	}
}

func (m *model) openFor() time.Duration {
	d := m.cfg.OpenFor
	for range m.backoff {
		d = min(2*d, m.cfg.MaxOpenFor)
	}
	return d
}

func (m *model) fail(now time.Time) {
	m.decay(now)
	d := m.openFor()
	if d < m.cfg.MaxOpenFor {
		m.backoff++
	}
	m.open, m.failing = now.Add(d), true
	m.to(now, StateOpen)
}

func (m *model) advance(now time.Time) {
	reached := func(t time.Time) bool { return !t.IsZero() && !now.Before(t) }
	if reached(m.lease) {
		m.mode, m.lease = ModeAuto, time.Time{}
	}
	if m.state == StateHeld && reached(m.hold) {
		m.hold = time.Time{}
		m.to(now, StateOpen)
	}
	if m.state == StateOpen && !now.Before(m.open) {
		m.open = time.Time{}
		m.to(now, StateHalfOpen)
	}
	if m.state == StateHalfOpen && !m.full.IsZero() && now.Sub(m.full) >= m.cfg.HalfOpenTimeout {
		m.fail(now)
	}
}

func (m *model) ramp(now time.Time) (share float64, ramping bool) {
	if m.rampFrom.IsZero() || now.Sub(m.rampFrom) >= m.cfg.RampFor {
		return 1, false
	}
	return max(0.1, float64(now.Sub(m.rampFrom))/float64(m.cfg.RampFor)), true
}

// allow returns whether the call passes, and whether it is watched.
func (m *model) allow(now time.Time) (passes, watched bool) {
	m.advance(now)
	if m.mode == ModeForcedOpen {
		m.rejections = append(m.rejections, now)
		return false, false
	}
	ok := m.state == StateClosed
	if share, ramping := m.ramp(now); ok && ramping {
		if m.credit += share; m.credit < 1 {
			ok = false
		} else {
			m.credit--
		}
	}
	if m.state == StateHalfOpen {
		succeeded := 0
		for _, k := range m.calls {
			if k.verdict == Success {
				succeeded++
			}
		}
		if ok = m.inFlight+succeeded < m.cfg.HalfOpenCalls; ok {
			if m.inFlight++; m.inFlight+succeeded == m.cfg.HalfOpenCalls {
				m.full = now
			}
		}
	}
	switch {
	case ok:
		return true, true
	case m.mode == ModeAuto:
		m.rejections = append(m.rejections, now)
		return false, false
	}
	m.passed = append(m.passed, now)
	return true, false
}

func (m *model) done(now time.Time, generation int, k judged) {
	m.advance(now)
	if generation != m.generation {
		return
	}
	if m.state == StateClosed && !m.within(m.began, k.began, now) {
		k = judged{began: k.began} // too old to count
	}
	m.calls = append(m.calls, k)
	c := m.counts(now)
	n := c.Successes + c.Failures
	if m.state == StateHalfOpen {
		m.inFlight--
		switch {
		case k.verdict == Failure:
			m.fail(now)
		case k.verdict == Excluded:
			m.full = time.Time{}
		case c.Successes < m.cfg.HalfOpenCalls:
		case m.cfg.SlowRatio > 0 && float64(c.Slow) >= m.cfg.SlowRatio*float64(c.Successes):
			m.fail(now)
		default:
			failing := m.failing
			m.failing, m.open = false, time.Time{}
			m.to(now, StateClosed)
			if failing && m.cfg.RampFor > 0 {
				m.rampFrom, m.credit = now, 1
			}
		}
		return
	}
	if k.verdict == Excluded {
		return
	}
	if n >= m.cfg.MinCalls && (float64(c.Failures) >= m.cfg.FailureRatio*float64(n) || m.cfg.SlowRatio > 0 && float64(c.Slow) >= m.cfg.SlowRatio*float64(n)) ||
		m.cfg.ConsecutiveFailures > 0 && c.ConsecutiveFailures >= m.cfg.ConsecutiveFailures {
		m.fail(now)
	}
}

// again starts the counts afresh in the same state.
func (m *model) again(now time.Time) {
	since, ramp := m.since, m.rampFrom
	m.to(now, m.state)
	m.since, m.rampFrom = since, ramp
	m.rejections, m.passed, m.rejectionsAt = nil, nil, now
}

// pair runs the real breaker beside the model.
type pair struct {
	*rig
	b       *Breaker
	m       *model
	rng     *rand.Rand
	atOnce  bool // calls end when they begin, so that failures in a row are well defined
	permits []flight
	seq     uint64
	log     []string
}

type flight struct {
	p          *Permit
	began      time.Time
	watched    bool
	generation int
}

func (p *pair) say(format string, args ...any) { p.log = append(p.log, fmt.Sprintf(format, args...)) }

func (p *pair) pick(durations ...time.Duration) time.Duration {
	return durations[p.rng.IntN(len(durations))]
}

func (p *pair) call() {
	now := time.Now()
	permit, err := p.b.Allow()
	passes, watched := p.m.allow(now)
	p.say("call %v", err)
	if (err == nil) != passes {
		p.Fatalf("admitted: %v, the model says %v", err, passes)
	}
	if rejected, ok := errors.AsType[*RejectedError](err); ok && rejected.State != effective(p.m.mode, p.m.state) {
		p.Fatalf("rejected in state %s, the model is %s", rejected.State, p.m.state)
	}
	if err != nil {
		return
	}
	p.permits = append(p.permits, flight{permit, now, watched, p.m.generation})
	if p.atOnce && p.rng.IntN(20) > 0 {
		p.finish(len(p.permits) - 1)
	}
}

func (p *pair) finish(i int) {
	f := p.permits[i]
	p.permits = append(p.permits[:i], p.permits[i+1:]...)
	k := judged{began: f.began, verdict: []Verdict{Success, Success, Failure, Excluded}[p.rng.IntN(4)], slow: p.rng.IntN(3) == 0}
	if p.rng.IntN(4) == 0 {
		k.verdict = Failure // outages come in runs
	}
	if k.verdict == Excluded {
		k.slow = false
	}
	p.say("finish %s slow %v", k.verdict, k.slow)
	f.p.Done(Result{Verdict: k.verdict, Slow: k.slow, Outcome: "x", RequestID: "r"})
	if p.rng.IntN(2) == 0 {
		f.p.Cancel()
	}
	if f.watched {
		p.m.done(time.Now(), f.generation, k)
	} else {
		p.m.advance(time.Now())
	}
}

func (p *pair) command() {
	now := time.Now()
	m := p.m
	m.advance(now)
	conflict := func(err error, is bool) {
		if (err != nil) != is {
			p.Fatalf("the command answers %v, a conflict is %v", err, is)
		}
	}
	forced := m.mode == ModeForcedOpen || m.mode == ModeForcedClosed
	stopped := m.state == StateOpen || m.state == StateHeld
	kind := p.rng.IntN(9)
	p.say("command %d", kind)
	switch kind {
	case 0:
		if conflict(p.b.Trip(order("x")), forced || stopped); !forced && !stopped {
			m.decay(now)
			m.open, m.failing = now.Add(m.openFor()), true
			m.to(now, StateOpen)
		}
	case 1:
		p.ok(p.b.Reset(order("x")))
		m.open, m.hold, m.backoff, m.failing = time.Time{}, time.Time{}, 0, false
		m.state = StateClosed
		m.again(now)
		m.since, m.rampFrom = now, time.Time{}
	case 2:
		d := p.pick(time.Second, 30*time.Second)
		p.ok(p.b.Hold(orderFor("x", d)))
		p.held(now, now.Add(d))
	case 3:
		until := now.Add(p.pick(-time.Second, time.Second, 5*time.Second, 50*time.Second))
		p.b.HoldForUpstream(until, "x")
		if until.After(now) && until.After(m.hold) && (m.state != StateOpen || until.After(m.open)) {
			p.held(now, until)
		}
	case 4:
		if conflict(p.b.Probe(order("x")), forced || m.state == StateClosed); !forced && stopped {
			m.open, m.hold = time.Time{}, time.Time{}
			m.to(now, StateHalfOpen)
		}
	case 5, 6:
		mode := Modes()[p.rng.IntN(4)]
		o := orderFor("x", p.pick(time.Second, 20*time.Second))
		if conflict(p.b.SetMode(mode, o), mode == ModeAuto && m.mode == ModeAuto); mode == ModeAuto {
			o.Until = time.Time{}
		}
		m.mode, m.lease = mode, o.Until
	case 7:
		cfg := m.cfg
		cfg.MinCalls = 3 + p.rng.IntN(4)
		cfg.OpenFor = p.pick(5*time.Second, 10*time.Second)
		if p.b.configure(cfg); cfg != m.cfg {
			m.cfg = cfg
			m.again(now)
		}
	case 8:
		d := p.b.Durable()
		p.cfg[stripe.String()] = m.cfg
		p.rig = &rig{T: p.T, r: newRig(p.T, m.cfg).r, cfg: p.cfg}
		_, err := p.r.Restore([]Durable{d})
		p.ok(err)
		p.b = p.breaker(stripe)
		m.again(now)
		m.rampFrom = time.Time{}
		m.failing = m.state == StateHalfOpen || !m.open.IsZero()
	}
}

func (p *pair) held(now, until time.Time) {
	m := p.m
	if m.state == StateClosed || m.state == StateHalfOpen {
		m.decay(now)
	}
	m.hold = until
	if m.state != StateHeld {
		m.to(now, StateHeld)
	}
}

// compare wants both to be in the same place.
func (p *pair) compare() {
	p.b.tick()
	now := time.Now()
	p.m.advance(now)
	s := p.b.Snapshot()
	m := p.m
	until := time.Time{}
	if m.state == StateOpen || m.state == StateHeld {
		until = m.open
		if m.state == StateHeld && m.hold.After(until) {
			until = m.hold
		}
	}
	share, _ := m.ramp(now)
	counts := m.counts(now)
	if !p.atOnce {
		counts.ConsecutiveFailures = s.Counts.ConsecutiveFailures
	}
	type view struct {
		Mode         Mode
		State, Would State
		Until, Lease string
		Counts       Counts
		Share        string
	}
	want := view{m.mode, effective(m.mode, m.state), m.state, until.UTC().String(), m.lease.UTC().String(), counts, fmt.Sprintf("%.6f", share)}
	got := view{
		s.Mode, s.State, s.WouldBe, s.Until.Round(0).UTC().String(), s.Lease.Until.Round(0).UTC().String(), s.Counts,
		fmt.Sprintf("%.6f", s.RampShare),
	}
	want.Until, want.Lease = until.Round(0).UTC().String(), m.lease.Round(0).UTC().String()
	if diff := cmp.Diff(want, got); diff != "" {
		p.Fatalf("(-model +breaker):\n%s\nafter %q", diff, p.log[max(0, len(p.log)-12):])
	}
	for _, e := range p.r.queue.take() {
		if e.Seq != p.seq+1 {
			p.Fatalf("event %d follows %d", e.Seq, p.seq)
		}
		p.seq = e.Seq
		if err := e.Durable.Validate(); err != nil {
			p.Fatalf("event %d carries a state that cannot be taken up: %v", e.Seq, err)
		}
	}
}

// TestModel runs random sequences of calls, results, time steps and commands through the breaker and the
// model. The seeds are fixed; a failure names its own.
func TestModel(t *testing.T) {
	t.Parallel()
	const rounds, length = 300, 400
	for seed := range uint64(rounds) {
		synctest.Test(t, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(seed, 20))
			cfg := small()
			cfg.RampFor = time.Duration(rng.IntN(2)) * 8 * time.Second
			cfg.SlowRatio = []float64{0, 0.75}[rng.IntN(2)]
			p := &pair{rig: newRig(t, cfg), rng: rng, atOnce: seed%2 == 0}
			if p.atOnce {
				cfg.ConsecutiveFailures = 3
				p.cfg[stripe.String()] = cfg
			}
			p.b = p.breaker(stripe)
			now := time.Now()
			p.m = &model{cfg: cfg, mode: ModeAuto, state: StateClosed, since: now, began: now, rejectionsAt: now}
			defer func() {
				if t.Failed() {
					t.Logf("seed %d", seed)
				}
			}()
			for range length {
				switch n := rng.IntN(100); {
				case n < 45:
					p.call()
				case n < 75 && len(p.permits) > 0:
					p.finish(rng.IntN(len(p.permits)))
				case n < 95:
					d := p.pick(time.Millisecond, 100*time.Millisecond, time.Second, time.Second, 3*time.Second, 10*time.Second, 45*time.Second)
					p.say("%s pass", d)
					pass(d)
				default:
					p.command()
					pass(time.Millisecond)
				}
				p.compare()
			}
		})
	}
}
