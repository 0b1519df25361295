package ratelimit

import (
	"cmp"
	"math"
	"slices"
	"time"
)

// Snapshot shows a limiter at one moment. Taking it changes nothing.
type Snapshot struct {
	At time.Time
	// Scopes are the sets of limits in use, the connection's own first.
	Scopes []ScopeSnapshot
	// Waiting is how many requests are in the queue, MaxWaiting how many can be.
	Waiting, MaxWaiting int
	Stats               Stats
	// LastThrottled is the last refusal; its At is zero when there was none.
	LastThrottled Throttling
}

// ScopeSnapshot shows the limits of the connection, a group, a credential, or a credential in a group.
type ScopeSnapshot struct {
	Key     Key
	Windows []WindowSnapshot
	Quotas  []QuotaSnapshot
	// Configured is the peak limit that requests here are under, with those of wider scopes; Per is 0 for none.
	Configured Limit
	// Effective is the rate in requests a second that is kept to now: 0 while held, +Inf when nothing limits.
	Effective float64
	// Why says both in words, with the reason: "configured 50/s, effective 12/s because the vendor says 240
	// left for 20 s".
	Why string
	// Hold is not zero from a refusal until a request was answered after it.
	Hold HoldSnapshot
	// Waiting is how many requests in the queue these limits hold up.
	Waiting int
}

// WindowSnapshot shows a configured limit.
type WindowSnapshot struct {
	Limit
	Used, Left int
	// Next is how long until one more can go, 0 when it can now.
	Next time.Duration
}

// QuotaSnapshot shows what the vendor said, and what is left of it by our count.
type QuotaSnapshot struct {
	Quota
	// Left is Remaining less what was let out since.
	Left int64
	// ResetAt is zero when it is not known.
	ResetAt, LearnedAt time.Time
}

// HoldSnapshot shows a hold.
type HoldSnapshot struct {
	Since, Until time.Time
	Reason       string
	// Probing says that the time is over, and one request goes first.
	Probing bool
}

// Throttling is a refusal.
type Throttling struct {
	At     time.Time
	Status int
	// Asked is how long the vendor, or our own backoff, wants the connection left alone.
	Asked time.Duration
	// Source says where Asked was read; empty for our own backoff.
	Source            string
	Group, Credential string
}

// Snapshot shows the limiter now.
func (l *Limiter) Snapshot() Snapshot {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	snap := Snapshot{
		At: l.wall(now), Waiting: l.waiting, MaxWaiting: l.cfg.MaxWaiting, Stats: l.stats, LastThrottled: l.lastThrottled,
		Scopes: make([]ScopeSnapshot, 0, len(l.scopes)),
	}
	for _, s := range l.scopes {
		snap.Scopes = append(snap.Scopes, l.show(s, now))
	}
	slices.SortFunc(snap.Scopes, func(a, b ScopeSnapshot) int {
		return cmp.Or(cmp.Compare(a.Key.Group, b.Key.Group), cmp.Compare(a.Key.Credential, b.Key.Credential))
	})
	return snap
}

// QuotaLeft is the part of the vendor's quota that is left for requests of a key, from 0 to 1: that of the
// scarcest, in any unit. It is [Unknown] when no quota with a limit is known.
func (l *Limiter) QuotaLeft(key Key) float64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	least := float64(Unknown)
	r := l.routeOf(key)
	for _, s := range r.scopes[:r.n] {
		for i := range s.quotas {
			q := &s.quotas[i]
			if q.Limit <= 0 || q.over(now) {
				continue
			}
			if part := min(max(q.leftAt(now), 0)/float64(q.Limit), 1); least < 0 || part < least {
				least = part
			}
		}
	}
	return least
}

// Held reports whether a hold is on for requests of a key, the probe after it included.
func (l *Limiter) Held(key Key) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	r := l.routeOf(key)
	for _, s := range r.scopes[:r.n] {
		if s.hold.on {
			return true
		}
	}
	return false
}

// Holds are the holds of a snapshot alone, by the scope that they are on, in no order. It is cheap enough to
// ask thousands of limiters: calls do not wait for it where there is none.
func (l *Limiter) Holds() map[Key]HoldSnapshot {
	if !l.holding.Load() {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	var holds map[Key]HoldSnapshot
	for _, s := range l.scopes {
		if !s.hold.on {
			continue
		}
		if holds == nil {
			holds = map[Key]HoldSnapshot{}
		}
		holds[s.shown()] = l.showHold(s, now)
	}
	l.holding.Store(holds != nil)
	return holds
}

// held takes note of a hold that begins. The caller holds the lock.
func (l *Limiter) held() {
	if !l.holding.Swap(true) && l.onHold != nil {
		l.onHold()
	}
}

// shown is the key of a scope as others see it.
func (s *scope) shown() Key {
	key := s.key
	if key.Credential == noCredential {
		key.Credential = ""
	}
	return key
}

func (l *Limiter) showHold(s *scope, now int64) HoldSnapshot {
	return HoldSnapshot{Since: l.wall(s.hold.since), Until: l.wall(s.hold.until), Reason: s.hold.reason, Probing: now >= s.hold.until}
}

func (l *Limiter) show(s *scope, now int64) ScopeSnapshot {
	out := ScopeSnapshot{Key: s.shown(), Configured: s.base, Waiting: s.waiting, Why: s.why(&l.cfg, now, l.wall)}
	out.Effective, _ = s.rate(&l.cfg, now)
	if r := s.base.rate(); r > 0 && s.paced() {
		out.Effective = min(out.Effective, r)
	}
	for i := range s.windows {
		w := &s.windows[i]
		used := w.usedAt(now)
		ws := WindowSnapshot{Limit: w.as(), Used: int(used), Left: int(max(0, w.limit-used))}
		if ws.Left == 0 {
			ws.Next = time.Duration(w.earliest(now, 0) - now)
		}
		out.Windows = append(out.Windows, ws)
	}
	for i := range s.quotas {
		q := &s.quotas[i]
		if q.over(now) {
			continue
		}
		if q.earliest(now, 0) > now {
			out.Effective = 0
		}
		qs := QuotaSnapshot{Quota: q.Quota, Left: int64(math.Floor(max(0, q.leftAt(now)))), LearnedAt: l.wall(q.learned)}
		if q.reset > 0 {
			qs.ResetAt = l.wall(q.reset)
		}
		out.Quotas = append(out.Quotas, qs)
	}
	if s.hold.on {
		out.Hold = l.showHold(s, now)
		out.Effective = 0
	}
	return out
}
