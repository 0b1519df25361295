package ratelimit

import (
	"math"
	"time"
)

// Key says which limits a request falls under, besides those of its connection. Empty parts fall under none.
type Key struct {
	// Group is an operation group.
	Group string
	// Credential is an account.
	Credential string
}

// scope is a set of limits that hold together: those of the connection (the zero Key), of a group, of a
// credential, or of both.
type scope struct {
	key     Key
	windows []window
	// base is the slowest of the peak limits that a request here is under, what "configured" means.
	base Limit

	quotas []quota
	cut    cut
	pace   pace
	meter  meter
	hold   hold

	waiting int    // requests in the queue that this scope holds up
	pass    uint64 // the last pass through the queue in which it did
}

// quota is a learned limit.
type quota struct {
	Quota

	left     float64 // by our own count since it was learned
	learned  int64
	reset    int64 // when it is whole again; 0 when that is not known
	block    int64 // with nothing left, nothing goes out before this
	paceOver int64 // the time over which what is left is spread when no reset is known
}

// cut is what a 429 did to the rate. It recovers by a tenth of full each step.
type cut struct {
	rate, full float64
	at         int64 // of the refusal; requests sent before it are no news
	from, step int64
	count      int // refusals in a row
}

// pace is a token bucket. It smooths; what it promises is only the mean.
type pace struct {
	on     bool
	tokens float64
	at     int64
}

// hold stops everything until a time, and then lets one request go first.
type hold struct {
	on     bool
	since  int64
	until  int64
	probe  int64 // when the request that goes first left; 0 while there is none
	reason string
}

// probeTimeout is how long the others wait for the request that goes first.
const probeTimeout = int64(30 * time.Second)

// meter counts what is let out, in slices of ten seconds.
type meter struct{ slice, now, before int64 }

const meterSlice = int64(10 * time.Second)

func (m *meter) roll(now int64) {
	switch s := now / meterSlice; s {
	case m.slice:
	case m.slice + 1:
		m.slice, m.before, m.now = s, m.now, 0
	default:
		m.slice, m.before, m.now = s, 0, 0
	}
}

func (m *meter) count(now int64) { m.roll(now); m.now++ }

// rate is requests a second over the last ten seconds or so.
func (m *meter) rate(now int64) float64 {
	c := *m
	c.roll(now)
	passed := float64(now%meterSlice) / float64(meterSlice)
	return (float64(c.before)*(1-passed) + float64(c.now)) / 10
}

// cause says which of its limits a scope holds a request up for.
type cause uint8

const (
	byNothing cause = iota
	byWindow
	byQuota
	byPace
	byHold
	byProbe
)

// verdict is when a scope lets a request out, and what it waits for.
type verdict struct {
	at     int64
	by     cause
	scope  *scope
	window Limit // for byWindow
}

func (v *verdict) later(at int64, by cause, s *scope) bool {
	if at <= v.at {
		return false
	}
	v.at, v.by, v.scope, v.window = at, by, s, Limit{}
	return true
}

// fit moves v to when this scope lets one more out behind ahead others.
func (s *scope) fit(c *Config, now, ahead int64, v *verdict) {
	if s.hold.on {
		switch {
		case now < s.hold.until:
			v.later(s.hold.until, byHold, s)
		case s.hold.probe != 0 && now < s.hold.probe+probeTimeout:
			v.later(s.hold.probe+probeTimeout, byProbe, s)
		}
	}
	for i := range s.windows {
		w := &s.windows[i]
		if ahead == 0 && w.room(now) {
			continue
		}
		if v.later(w.earliest(now, ahead), byWindow, s) {
			v.window = w.as()
		}
	}
	if len(s.quotas) == 0 && s.cut.rate == 0 {
		return
	}
	for i := range s.quotas {
		v.later(s.quotas[i].earliest(now, float64(ahead)), byQuota, s)
	}
	rate, _ := s.effective(c, now)
	s.fill(c, rate, now)
	if missing := float64(ahead+1) - s.pace.tokens; s.pace.on && missing > 1e-9 {
		v.later(now+waitFor(missing, rate), byPace, s)
	}
}

// take counts one request. It reports whether that is the one that goes first after a hold.
func (s *scope) take(now int64) (probe bool) {
	for i := range s.windows {
		s.windows[i].take(now)
	}
	for i := range s.quotas {
		s.quotas[i].spend(now, 1)
	}
	if s.pace.on {
		s.pace.tokens--
	}
	s.meter.count(now)
	if s.hold.on {
		s.hold.probe = now
		return true
	}
	return false
}

// giveBack undoes take.
func (s *scope) giveBack(at, now int64) {
	for i := range s.windows {
		s.windows[i].giveBack(at, now)
	}
	for i := range s.quotas {
		if s.quotas[i].learned <= at {
			s.quotas[i].spend(now, -1)
		}
	}
	if s.pace.on {
		s.pace.tokens++
	}
}

// effective is the rate that learning allows, +Inf when it has nothing to say, and the quota that is the
// reason (nil when it is the cut). It drops what is over.
func (s *scope) effective(c *Config, now int64) (float64, *quota) {
	for i := 0; i < len(s.quotas); i++ {
		if s.quotas[i].over(now) {
			s.quotas = append(s.quotas[:i], s.quotas[i+1:]...)
			i--
		}
	}
	if s.cut.rate > 0 && s.cut.current(now) >= s.cut.full {
		s.cut = cut{at: s.cut.at, count: s.cut.count}
	}
	return s.rate(c, now)
}

// rate is effective without changing anything.
func (s *scope) rate(c *Config, now int64) (float64, *quota) {
	rate, reason := math.Inf(1), (*quota)(nil)
	configured := s.base.rate()
	floor := c.floor(configured)
	for i := range s.quotas {
		q := &s.quotas[i]
		if q.over(now) {
			continue
		}
		if r, ok := q.rate(now, float64(c.Reserve)); ok && max(floor, r) < rate {
			rate, reason = max(floor, r), q
		}
	}
	if s.cut.rate > 0 {
		if r := s.cut.current(now); r < s.cut.full && max(floor, r) < rate {
			rate, reason = max(floor, r), nil
		}
	}
	if s.paced() && rate >= configured {
		return math.Inf(1), nil // The windows are stricter.
	}
	return rate, reason
}

// waitFor is how long it takes until so much has come in: never nothing, so that rounding cannot make a
// loop, and never beyond what can be added to a time.
func waitFor(missing, rate float64) int64 {
	return int64(min(max(math.Ceil(missing/rate*1e9), float64(time.Microsecond)), float64(maxDelay)))
}

// paced reports whether the configured limit says how fast requests can go. What is allowed in a day or an
// hour does not: all of it may go at once.
func (s *scope) paced() bool { return s.base.Per > 0 && s.base.Per <= time.Minute }

// floor is the rate below which learning never goes.
func (c *Config) floor(configured float64) float64 {
	switch {
	case c.Floor > 0:
		return c.Floor
	case configured > 0:
		return min(1, configured/10)
	}
	return 1
}

// fill brings the bucket up to date, and switches it on or off.
func (s *scope) fill(c *Config, rate float64, now int64) {
	if math.IsInf(rate, 1) {
		s.pace.on = false
		return
	}
	burst := max(1, rate)
	for i := range s.quotas {
		// What is left in plenty need not be dealt out by the drop.
		if q := &s.quotas[i]; q.Unit == UnitRequests && q.reset > 0 {
			burst = max(burst, min((q.leftAt(now)-float64(c.Reserve))/10, 1e6))
			break
		}
	}
	if s.cut.rate > 0 {
		burst = max(1, rate/10) // The upstream has just said that it was too much.
	}
	if !s.pace.on {
		s.pace = pace{on: true, tokens: burst, at: now}
		return
	}
	if now > s.pace.at { // It may begin after a hold.
		s.pace.tokens = min(burst, s.pace.tokens+float64(now-s.pace.at)/1e9*rate)
		s.pace.at = now
	}
}

// current is the rate after the recovery so far.
func (c *cut) current(now int64) float64 {
	if now <= c.from {
		return c.rate
	}
	return c.rate + float64((now-c.from)/c.step)*c.full/10
}

// recovered is when the full rate is back.
func (c *cut) recovered() int64 {
	steps := math.Ceil((c.full - c.rate) / (c.full / 10))
	return c.from + int64(steps)*c.step
}

// over reports whether the quota says nothing any more.
func (q *quota) over(now int64) bool {
	switch {
	case q.reset > 0:
		return now >= q.reset
	case q.Refill > 0:
		return q.leftAt(now) >= float64(q.Limit)
	}
	return now >= q.learned+q.paceOver
}

func (q *quota) leftAt(now int64) float64 {
	if q.Refill > 0 {
		return min(float64(q.Limit), q.left+float64(now-q.learned)/1e9*q.Refill)
	}
	return q.left
}

func (q *quota) spend(now int64, n float64) {
	if q.Unit != UnitRequests {
		return
	}
	if q.Refill > 0 {
		q.left, q.learned = q.leftAt(now), now
	}
	q.left -= n
}

// rate is the pace at which what is left lasts until the reset. It reports false for a quota that sets none.
func (q *quota) rate(now int64, reserve float64) (float64, bool) {
	switch {
	case q.Unit != UnitRequests:
		return 0, false
	case q.Refill > 0:
		return q.Refill, q.leftAt(now) < float64(q.Limit)/2
	case q.reset > 0:
		return max(0, (q.left-reserve)/(float64(q.reset-now)/1e9)), true
	case q.paceOver <= int64(time.Minute):
		return max(0, (q.left-reserve)/(float64(q.paceOver)/1e9)), true
	}
	// A long window whose end is not told: only its last tenth is dealt out.
	scarce := q.Limit > 0 && q.left < float64(q.Limit)/10 || q.Limit <= 0 && q.left < 50
	return max(0, (q.left-reserve)/(float64(q.paceOver)/1e9)), scarce
}

// earliest is when the quota has room for one more behind ahead others; what is used up for certain is
// not asked for.
func (q *quota) earliest(now int64, ahead float64) int64 {
	switch {
	case q.over(now):
		return now
	case q.Refill > 0:
		if missing := ahead + 1 - q.leftAt(now); missing > 1e-9 {
			return now + waitFor(missing, q.Refill)
		}
		return now
	case q.Unit != UnitRequests && q.left > 0, q.Unit == UnitRequests && q.left >= ahead+1:
		return now
	}
	return max(now, q.block)
}
