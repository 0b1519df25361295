package ratelimit

import (
	"cmp"
	"math"
	"slices"
	"time"
)

// durableFrom is the shortest window that is worth remembering over a restart.
const durableFrom = time.Minute

// State is what a limiter has to remember over a restart: the counts of long windows, holds, and what was
// learned. It is written as JSON. Times are milliseconds since 1970.
type State struct {
	Scopes []ScopeState `json:"scopes,omitempty"`
}

// ScopeState is the state of one set of limits.
type ScopeState struct {
	Group      string        `json:"group,omitempty"`
	Credential string        `json:"credential,omitempty"`
	Windows    []WindowState `json:"windows,omitempty"`
	Quotas     []QuotaState  `json:"quotas,omitempty"`
	HoldUntil  int64         `json:"hold_until,omitempty"`
	HoldSince  int64         `json:"hold_since,omitempty"`
	HoldReason string        `json:"hold_reason,omitempty"`
	// CutRate and CutFull are requests a second.
	CutRate float64 `json:"cut_rate,omitempty"`
	CutFull float64 `json:"cut_full,omitempty"`
	CutAt   int64   `json:"cut_at,omitempty"`
	CutFrom int64   `json:"cut_from,omitempty"`
	CutStep int64   `json:"cut_step,omitempty"`
}

// WindowState is the log of one window: pairs of a time and how many were let out up to it.
type WindowState struct {
	PerMillis int64      `json:"per"`
	Log       [][2]int64 `json:"log"`
}

// QuotaState is a learned quota.
type QuotaState struct {
	Name      string  `json:"name,omitempty"`
	Unit      string  `json:"unit"`
	Limit     int64   `json:"limit"`
	Left      float64 `json:"left"`
	LearnedAt int64   `json:"learned_at"`
	ResetAt   int64   `json:"reset_at,omitempty"`
	Window    int64   `json:"window,omitempty"` // milliseconds
	Refill    float64 `json:"refill,omitempty"`
}

// Export returns what a restart must not forget. Windows shorter than a minute are over by then.
func (l *Limiter) Export() State {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	ms := func(at int64) int64 { // Rounded up: a request counts for longer, never for less.
		return l.wall(at).Add(time.Millisecond - 1).UnixMilli()
	}
	var state State
	for key, s := range l.scopes {
		out := ScopeState{Group: key.Group, Credential: key.Credential}
		for i := range s.windows {
			w := &s.windows[i]
			if w.expire(now); time.Duration(w.per) < durableFrom || w.used == 0 {
				continue
			}
			ws := WindowState{PerMillis: w.per / int64(time.Millisecond)}
			for _, e := range w.entries() {
				ws.Log = append(ws.Log, [2]int64{ms(e.at), e.n})
			}
			out.Windows = append(out.Windows, ws)
		}
		for i := range s.quotas {
			q := &s.quotas[i]
			if q.over(now) {
				continue
			}
			qs := QuotaState{
				Name: q.Name, Unit: q.Unit, Limit: q.Limit, Left: max(0, q.leftAt(now)), LearnedAt: ms(q.learned),
				Window: q.Window.Milliseconds(), Refill: q.Refill,
			}
			if q.reset > 0 {
				qs.ResetAt = ms(q.reset)
			}
			out.Quotas = append(out.Quotas, qs)
		}
		if s.hold.on {
			out.HoldSince, out.HoldUntil, out.HoldReason = ms(s.hold.since), ms(s.hold.until), s.hold.reason
		}
		if s.cut.rate > 0 && s.cut.current(now) < s.cut.full {
			out.CutRate, out.CutFull, out.CutAt, out.CutFrom = s.cut.rate, s.cut.full, ms(s.cut.at), ms(s.cut.from)
			out.CutStep = s.cut.step / int64(time.Millisecond)
		}
		if len(out.Windows)+len(out.Quotas) > 0 || out.HoldUntil != 0 || out.CutRate > 0 {
			state.Scopes = append(state.Scopes, out)
		}
	}
	slices.SortFunc(state.Scopes, func(a, b ScopeState) int {
		return cmp.Or(cmp.Compare(a.Group, b.Group), cmp.Compare(a.Credential, b.Credential))
	})
	return state
}

// Import adds what Export returned before a restart. Windows are matched by their length, so import after
// the configuration is set. What makes no sense is left out; a time in the future, as after the clock was
// set back, counts as now.
func (l *Limiter) Import(state State) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	wallNow := time.Now().UnixMilli()
	at := func(ms int64) int64 { // on our clock
		ago := min(max(wallNow-max(ms, 0), -maxDelay.Milliseconds()), maxDelay.Milliseconds())
		return now - ago*int64(time.Millisecond)
	}
	for _, in := range state.Scopes {
		key := Key{Group: in.Group, Credential: in.Credential}
		limits, keep := l.limitsOf(key)
		if !keep || len(limits) == 0 && len(in.Quotas) == 0 && in.HoldUntil == 0 && in.CutRate <= 0 {
			continue
		}
		s := l.scopeOf(key)
		for _, ws := range in.Windows {
			s.importWindow(ws, at, now)
		}
		s.importQuotas(in.Quotas, at, now, l.cfg.MaxHold)
		if until := at(in.HoldUntil); in.HoldUntil > 0 {
			until = min(until, now+int64(l.cfg.MaxHold))
			s.hold = hold{on: true, since: min(at(in.HoldSince), now), until: until, reason: in.HoldReason}
			l.held()
		}
		if in.CutRate > 0 && in.CutFull > in.CutRate && in.CutFull <= maxRequests && in.CutStep > 0 && in.CutStep <= maxDelay.Milliseconds() {
			s.cut = cut{
				rate: in.CutRate, full: in.CutFull, at: min(at(in.CutAt), now), from: min(at(in.CutFrom), now+int64(l.cfg.MaxHold)),
				step: in.CutStep * int64(time.Millisecond), count: 1,
			}
		}
	}
	l.reroute()
	l.serve(now)
}

func (s *scope) importWindow(ws WindowState, at func(int64) int64, now int64) {
	for i := range s.windows {
		w := &s.windows[i]
		if w.per/int64(time.Millisecond) != ws.PerMillis {
			continue
		}
		log := make([]entry, 0, len(ws.Log))
		for _, e := range ws.Log {
			if n := e[1]; n > 0 {
				log = append(log, entry{at: min(at(e[0]), now), n: min(n, maxRequests)})
			}
		}
		w.merge(log, now)
	}
}

func (s *scope) importQuotas(quotas []QuotaState, at func(int64) int64, now int64, maxHold time.Duration) {
	for _, in := range quotas {
		if math.IsNaN(in.Left) || in.Left < 0 || in.Left > 1e15 || math.IsNaN(in.Refill) || in.Refill < 0 || in.Refill > maxRequests || in.Unit == "" {
			continue
		}
		told := Quota{Name: in.Name, Unit: in.Unit, Limit: in.Limit, Remaining: int64(in.Left), Reset: Unknown, Refill: in.Refill}
		told.Window = time.Duration(min(max(in.Window, 0), maxDelay.Milliseconds())) * time.Millisecond
		if in.ResetAt > 0 {
			if told.Reset = time.Duration(at(in.ResetAt) - now); told.Reset <= 0 {
				continue // It was whole again in the meantime.
			}
		}
		s.learn([]Quota{told}, now, maxHold)
		if n := len(s.quotas); n > 0 && s.quotas[n-1].Name == in.Name && in.ResetAt == 0 && in.Refill == 0 {
			s.quotas[n-1].learned = min(at(in.LearnedAt), now)
		}
	}
}
