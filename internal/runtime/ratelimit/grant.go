package ratelimit

import (
	"math"
	"net/http"
	"slices"
	"strconv"
	"time"
)

// Grant is the permission to send one request. It belongs to one attempt: it is settled once, by one of its
// methods, and not used by two goroutines at the same time. Settling it again does nothing.
type Grant struct {
	limiter *Limiter
	dialect *dialect
	route   *route
	at      int64
	probe   bool
	waited  bool
	settled bool
}

// Waited reports whether the request was in the queue.
func (g *Grant) Waited() bool { return g.waited }

// Probe reports whether this request goes first after a hold, while others wait for its answer.
func (g *Grant) Probe() bool { return g.probe }

// Refund gives the permission back, because nothing was sent.
func (g *Grant) Refund() {
	if g.limiter == nil || g.settled {
		return
	}
	g.limiter.mu.Lock()
	defer g.limiter.mu.Unlock()
	g.refund()
}

// refund is Refund under the lock.
func (g *Grant) refund() {
	g.settled = true
	l := g.limiter
	now := l.now()
	for _, s := range g.route.scopes[:g.route.n] {
		s.giveBack(g.at, now)
	}
	l.stats.Refunded++
	g.release()
	l.serve(now)
}

// Unanswered says that the request was sent, or may have been, and no answer came.
func (g *Grant) Unanswered() {
	if g.limiter == nil || g.settled {
		return
	}
	g.settled = true
	if !g.probe {
		return
	}
	l := g.limiter
	l.mu.Lock()
	defer l.mu.Unlock()
	g.release()
	l.serve(l.now())
}

// release lets another request go first.
func (g *Grant) release() {
	for _, s := range g.route.scopes[:g.route.n] {
		if s.hold.on && s.hold.probe == g.at {
			s.hold.probe = 0
		}
	}
}

// Answered learns from the answer: status and headers. It returns what it read.
func (g *Grant) Answered(status int, h http.Header) Reading {
	if g.limiter == nil || g.settled {
		return Reading{}
	}
	g.settled = true
	l := g.limiter
	reading := g.dialect.read(status, h, time.Now())
	refused := reading.Throttled || reading.Unavailable
	if !refused && !g.probe && len(reading.Quotas) == 0 {
		return reading
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	s := l.learner(g.route, reading.PerGroup)
	if s != nil {
		s.learn(reading.Quotas, now, l.cfg.MaxHold)
	}
	if refused {
		l.refused(g, s, status, reading, now)
	} else if g.probe {
		for _, s := range g.route.scopes[:g.route.n] {
			if s.hold.on && s.hold.probe == g.at {
				s.hold = hold{}
				s.cut.count = 0
			}
		}
	}
	l.serve(now)
	return reading
}

// learner is the scope that the quotas of an answer belong to: the credential, whose quota it mostly is. A
// quota of a group belongs to nobody when the request names no group.
func (l *Limiter) learner(r *route, perGroup bool) *scope {
	key := Key{Credential: r.key.Credential}
	if perGroup {
		if r.key.Group == "" {
			return nil
		}
		key = partition(r.key)
	}
	s, known := l.scopes[key]
	if !known {
		s = l.scopeOf(key)
		l.reroute()
	}
	return s
}

// learn replaces the quotas of the same name.
func (s *scope) learn(quotas []Quota, now int64, maxHold time.Duration) {
	const most = 8
	for _, told := range quotas {
		s.quotas = slices.DeleteFunc(s.quotas, func(q quota) bool { return q.Name == told.Name })
		q := quota{Quota: told, left: float64(told.Remaining), learned: now}
		switch {
		case told.Remaining == Unknown, told.Reset == 0, len(s.quotas) >= most:
			continue // There is nothing to go by, or it is over already.
		case told.Reset > 0:
			q.reset = now + int64(told.Reset)
			q.block = now + int64(min(told.Reset, maxHold))
		case told.Window > 0:
			q.paceOver = int64(told.Window)
			if told.Window <= time.Minute {
				q.block = now + q.paceOver
			}
		default:
			q.paceOver = int64(5 * time.Minute)
		}
		s.quotas = append(s.quotas, q)
	}
}

// refused holds the connection, or what the refusal is about, and slows it down after a refusal for a limit.
func (l *Limiter) refused(g *Grant, learner *scope, status int, r Reading, now int64) {
	s := g.route.scopes[0]
	if learner != nil && (r.RefusedGroup || l.cfg.HoldCredential) {
		s = learner
	}
	fresh := g.at > s.cut.at // Requests that were under way when the first was refused are no news.
	if r.Throttled {
		l.stats.Throttled++
		if fresh {
			s.cut.count++
		}
	}
	delay := r.Delay
	if r.Source == "" {
		// Nothing is said, so twice as long each time: from a second to a minute.
		delay = max(time.Second<<min(max(s.cut.count-1, 0), 6), l.dialect.minHold)
		delay = min(delay, max(time.Minute, l.dialect.minHold))
	}
	asked := delay
	delay = min(delay, l.cfg.MaxHold)
	if r.Source == sourceRetryAfter && learner != nil {
		// It wins over the resets of the same answer.
		for i := range learner.quotas {
			learner.quotas[i].block = min(learner.quotas[i].block, now+int64(delay))
		}
	}
	if r.Throttled && fresh {
		s.slowDown(&l.cfg, now, now+int64(delay))
	}
	l.lastThrottled = Throttling{At: l.wall(now), Status: status, Asked: asked, Source: r.Source, Group: g.route.key.Group, Credential: g.route.key.Credential}
	reason := "the vendor answered " + strconv.Itoa(status)
	switch r.Source {
	case "":
		reason += " without saying for how long"
	case sourceRetryAfter:
		reason += " with Retry-After " + words(asked)
	default:
		reason += "; " + r.Source + " is in " + words(asked)
	}
	if asked > delay {
		reason += ", cut to " + words(delay)
	}
	until := now + int64(delay)
	if g.probe && s.hold.on && s.hold.probe == g.at {
		s.hold.probe, s.hold.until = 0, until
	}
	if !s.hold.on {
		s.hold = hold{on: true, since: now, until: until, reason: reason}
		l.held()
	} else if until >= s.hold.until {
		s.hold.until, s.hold.reason = until, reason
	}
	g.release()
}

// slowDown halves the effective rate. Without one it starts from what was let out lately.
func (s *scope) slowDown(c *Config, now, from int64) {
	rate, _ := s.effective(c, now)
	full := s.base.rate()
	step := int64(min(max(s.base.Per, time.Second), time.Minute))
	if !s.paced() {
		// What a day allows says nothing about how fast it can go.
		observed := max(s.meter.rate(now), 1)
		if s.cut.rate > 0 {
			observed = max(observed, s.cut.full)
		}
		full, step = observed, int64(10*time.Second)
		if base := s.base.rate(); base > full {
			full = base
		}
	}
	if math.IsInf(rate, 1) {
		rate = full
	}
	rate = max(min(rate, full)/2, c.floor(s.base.rate()))
	s.cut = cut{rate: rate, full: full, at: now, from: from, step: step, count: s.cut.count}
	s.pace = pace{on: true, tokens: 1, at: from}
}
