package alerts

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"time"

	"switchgear/db"
	"switchgear/internal/access"
	"switchgear/internal/connections"
	"switchgear/internal/health"
	"switchgear/internal/runtime/breaker"
)

// least is how long after a look the next one follows at the earliest, whatever changes.
const least = 200 * time.Millisecond

// Wake makes the evaluator look soon, because something may have changed. It never blocks.
func (s *Service) Wake() { signal(s.wake) }

// Serve judges rules until ctx ends. It is a supervised worker.
func (s *Service) Serve(ctx context.Context) error {
	if err := s.follow(ctx); err != nil {
		return fmt.Errorf("alerts: read what is open: %w", err)
	}
	timer := time.NewTimer(0)
	defer timer.Stop()
	cleanup := time.NewTicker(s.cfg.Cleanup)
	defer cleanup.Stop()
	var last, windows time.Time
	problem := ""
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-s.wake:
			timer.Reset(max(0, least-s.deps.Now().Sub(last)))
			continue
		case <-cleanup.C:
			if err := s.store.prune(ctx, s.deps.Now().Add(-s.cfg.MaxAge), s.cfg.MaxAlerts); err != nil && ctx.Err() == nil {
				s.deps.Logger.LogAttrs(ctx, slog.LevelWarn, "old alerts are still there", slog.Any("error", err))
			}
			continue
		case <-timer.C:
		}
		last = s.deps.Now()
		due := last.Sub(windows) >= s.cfg.Windows
		if due {
			windows = last
			if err := s.load(ctx); err != nil && ctx.Err() == nil {
				s.deps.Logger.LogAttrs(ctx, slog.LevelWarn, "alert settings are not read again", slog.Any("error", err))
			}
		}
		err := s.look(ctx, due)
		if err != nil && ctx.Err() == nil && (due || err.Error() != problem) {
			s.deps.Logger.LogAttrs(ctx, slog.LevelError, "alerts are not judged in full", slog.Any("error", err))
		}
		if problem = ""; err != nil {
			problem = err.Error()
		}
		timer.Reset(s.cfg.Every)
	}
}

// evaluator is what is known from one look to the next.
type evaluator struct {
	// followed is the newest alert of each fingerprint, while it fires, may come back or flaps.
	followed map[string]*Alert
	// seen is since when conditions hold that are no alert yet, by fingerprint.
	seen map[string]time.Time
	// windowed is what rules over a window showed last, by the id of the rule.
	windowed map[string]judgement
	// apart is when rules told an alert by itself lately, summarised when they told many at once last.
	apart      map[string][]time.Time
	summarised map[string]time.Time
	// list and byID are the connections of the last look.
	list []*connections.Standing
	byID map[string]*connections.Connection
}

func newEvaluator() evaluator {
	return evaluator{
		followed: map[string]*Alert{}, seen: map[string]time.Time{}, windowed: map[string]judgement{}, apart: map[string][]time.Time{}, summarised: map[string]time.Time{},
	}
}

// judgement is where a rule holds.
type judgement struct {
	rule       Rule
	conditions []Condition
}

// follow reads what an earlier process left.
func (s *Service) follow(ctx context.Context) error {
	all, err := s.store.open(ctx, s.deps.Now().Add(-s.cfg.Quiet))
	if err != nil {
		return err
	}
	apart, summarised, err := s.store.toldLately(ctx, s.deps.Now().Add(-s.cfg.FlapWindow))
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.state = newEvaluator()
	s.state.apart, s.state.summarised = apart, summarised
	for i := range all { // the newest of a fingerprint is the last
		a := &all[i]
		if before := s.state.followed[a.Fingerprint]; before == nil || !before.Firing() {
			s.state.followed[a.Fingerprint] = a
		}
	}
	s.publish()
	return nil
}

// look judges every rule once and stores what changed. windows says whether those over a window are judged, too.
func (s *Service) look(ctx context.Context, windows bool) error {
	set := s.set.Load()
	board, err := s.deps.Health.Board(access.System())
	if err != nil {
		return err
	}
	facts, err := s.facts(board)
	if err != nil {
		return err
	}
	judged, failed := s.judge(ctx, set, facts, windows)
	return errors.Join(failed, s.settle(ctx, set, board, facts, judged))
}

func (s *Service) facts(board *health.Board) (*Facts, error) {
	all, err := s.deps.Connections.Standings(access.System())
	if err != nil {
		return nil, err
	}
	f := &Facts{Now: s.moment(), Connections: s.byID(all), Totals: s.deps.Calls.Totals}
	f.Expiries = func(ctx context.Context) ([]connections.Expiry, error) {
		return s.deps.Connections.Expiries(ctx, access.System())
	}
	f.Health, _ = board.Page(health.State.Attention, 0, board.Len())
	s.deps.Breakers.Each(func(snap *breaker.Snapshot) {
		if snap.State != breaker.StateClosed {
			f.Breakers = append(f.Breakers, snap)
		}
	})
	return f, nil
}

// byID maps connections by their id. The list is another one whenever one of them changed.
func (s *Service) byID(all []*connections.Standing) map[string]*connections.Connection {
	s.mu.Lock()
	defer s.mu.Unlock()
	if st := &s.state; st.byID != nil && len(st.list) == len(all) && (len(all) == 0 || &st.list[0] == &all[0]) {
		return st.byID
	}
	byID := make(map[string]*connections.Connection, len(all))
	for i := range all {
		byID[all[i].ID] = all[i].Connection
	}
	s.state.list, s.state.byID = all, byID
	return byID
}

// judge returns where each rule holds. A rule that cannot be judged is left out.
func (s *Service) judge(ctx context.Context, set *settings, facts *Facts, windows bool) (map[string]judgement, error) {
	s.mu.Lock()
	before := maps.Clone(s.state.windowed)
	s.mu.Unlock()
	out := map[string]judgement{}
	var failed []error
	called := false
	for _, r := range set.rules {
		if !r.Enabled {
			continue
		}
		kind, err := LookupKind(r.Kind)
		if err != nil {
			failed = append(failed, fmt.Errorf("rule %s: %w", r.ID, err))
			continue
		}
		last, known := before[r.ID]
		if kind.Info().Windowed && known && !windows && last.rule.UpdatedAt.Equal(r.UpdatedAt) {
			out[r.ID] = last
			continue
		}
		if kind.Info().Windowed && !called {
			facts.Called, called = s.called(facts), true
		}
		conditions, err := kind.Judge(ctx, facts, r.Params, r.Scope.covers)
		if err != nil {
			failed = append(failed, fmt.Errorf("rule %s: %w", r.ID, err))
			continue
		}
		out[r.ID] = judgement{r, conditions}
	}
	return out, errors.Join(failed...)
}

// called are the connections with calls lately, and those with an alert that may be over.
func (s *Service) called(facts *Facts) []string {
	weight := s.deps.Calls.Weights()
	ids := map[string]bool{}
	for id := range facts.Connections {
		if weight(id).Calls > 0 {
			ids[id] = true
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, a := range s.state.followed {
		if a.Firing() {
			ids[a.ConnectionID] = true
		}
	}
	return slices.Sorted(maps.Keys(ids))
}

// change is one alert that is to be stored, with what is to be told of it.
type change struct {
	alert         *Alert
	notifications []Notification
}

// settle compares what holds with what is open, stores the difference, and then believes it.
func (s *Service) settle(ctx context.Context, set *settings, board *health.Board, facts *Facts, judged map[string]judgement) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	teller := teller{set: set, cfg: s.cfg, now: facts.Now, link: s.link, others: map[string][]*Alert{}, holds: map[string]Condition{}}
	for _, a := range s.state.followed {
		teller.know(a)
	}
	next := map[string]time.Time{}
	holding, changed := map[string]bool{}, map[string]bool{}
	var changes []change
	put := func(c change) {
		changes = append(changes, c)
		changed[c.alert.Fingerprint] = true
		teller.know(c.alert)
	}
	rules := inOrder(set.rules)
	for _, r := range rules {
		for _, c := range judged[r.ID].conditions {
			if key := fingerprint(r.ID, c.Connection.ID, c.Operation); c.About != nil {
				teller.holds[key] = c
			}
		}
	}
	for _, r := range rules {
		for _, c := range judged[r.ID].conditions {
			key := fingerprint(r.ID, c.Connection.ID, c.Operation)
			if holding[key] {
				continue
			}
			holding[key] = true
			before := s.state.followed[key]
			if before != nil && before.Firing() {
				continue
			}
			if since := earliest(facts.Now, c.Since, s.state.seen[key]); facts.Now.Sub(since) < r.For {
				next[key] = since
			} else {
				put(teller.opened(before, r, c, key, since))
			}
		}
	}
	for _, key := range keysInOrder(s.state.followed, rules) {
		a := s.state.followed[key]
		rule, exists := set.rule(a.RuleID)
		_, known := judged[a.RuleID]
		switch {
		case changed[key]:
		case a.Firing() && !holding[key] && (known || !exists || !rule.Enabled):
			put(teller.resolved(a, rule, exists, resolution(a, rule, exists, facts, board)))
		default:
			if c, ok := teller.later(a, rule, exists); ok {
				put(c)
			}
		}
	}
	// What could not be judged is as it was.
	for key, since := range s.state.seen {
		if rule, ok := set.rule(ruleOf(key)); ok && rule.Enabled {
			if _, known := judged[rule.ID]; !known {
				next[key] = since
			}
		}
	}
	s.gather(facts.Now, changes)
	for some := range slices.Chunk(changes, mostAtOnce) {
		if err := s.keep(ctx, some); err != nil {
			return err
		}
		s.believe(ctx, some, facts.Now)
	}
	s.state.seen, s.state.windowed = next, judged
	for key, a := range s.state.followed {
		if !a.Firing() && !a.Flapping && !a.gathered && facts.Now.Sub(a.ChangedAt) > s.cfg.Quiet {
			delete(s.state.followed, key)
		}
	}
	if len(changes) > 0 {
		s.publish()
		s.deps.Notify(Topic)
	}
	return s.summarise(ctx, teller)
}

// mostAtOnce bounds how many changes one transaction stores, so that others can write in between.
const mostAtOnce = 500

// believe takes up what is stored.
func (s *Service) believe(ctx context.Context, changes []change, now time.Time) {
	for i := range changes {
		c := &changes[i]
		if c.alert.ChangedAt.Equal(now) {
			s.log(ctx, c.alert)
		}
		if c.tells() {
			s.state.apart[c.alert.RuleID] = append(s.state.apart[c.alert.RuleID], now)
		}
		s.state.followed[c.alert.Fingerprint] = c.alert
	}
}

// keep stores alerts with what is to be told of them: both or neither.
func (s *Service) keep(ctx context.Context, changes []change) error {
	if len(changes) == 0 {
		return nil
	}
	told := false
	err := s.deps.DB.InTx(ctx, func(tx *db.Tx) error {
		for _, c := range changes {
			if err := s.store.putAlert(ctx, tx, c.alert); err != nil {
				return err
			}
			if err := s.deps.Outbox.Enqueue(ctx, tx, c.notifications...); err != nil {
				return err
			}
			told = told || len(c.notifications) > 0
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("alerts: store changes: %w", err)
	}
	if told {
		s.deps.Outbox.Committed()
	}
	return nil
}

// log writes down what began as loudly as it is urgent, and what ended as information.
func (s *Service) log(ctx context.Context, a *Alert) {
	level := slog.LevelInfo
	if a.Firing() {
		level = map[Severity]slog.Level{SeverityCritical: slog.LevelError, SeverityWarning: slog.LevelWarn}[a.Severity]
	}
	s.deps.Logger.LogAttrs(ctx, level, "alert", slog.String("alert", a.ID), slog.String("state", string(a.State)), slog.String("rule", a.RuleName),
		slog.String("severity", string(a.Severity)), slog.String("integration", a.Connection), slog.String("operation", a.Operation), slog.Int("flaps", a.Flaps))
}

// earliest is the first of the moments that are known.
func earliest(now time.Time, others ...time.Time) time.Time {
	for _, t := range others {
		if !t.IsZero() && t.Before(now) {
			now = db.Time(db.Micros(t))
		}
	}
	return now
}

// publish makes the number of alerts that fire readable without waiting. The caller holds the lock.
func (s *Service) publish() {
	counts := map[Severity]int{}
	for _, a := range s.state.followed {
		if a.Firing() {
			counts[a.Severity]++
		}
	}
	s.firing.Store(&counts)
}

// Firing is how many alerts fire, by severity, from memory. It checks no permission: it is for what the
// process says about itself.
func (s *Service) Firing() map[Severity]int {
	if counts := s.firing.Load(); counts != nil {
		return maps.Clone(*counts)
	}
	return map[Severity]int{}
}

// resolution says how it is since an alert ended.
func resolution(a *Alert, rule Rule, exists bool, facts *Facts, board *health.Board) string {
	c := facts.Connections[a.ConnectionID]
	switch {
	case !exists:
		return "The rule was deleted."
	case !rule.Enabled:
		return "The rule was disabled."
	case c == nil:
		return "The connection was deleted."
	case !rule.Scope.covers(c):
		return "The rule does not cover the connection any more."
	}
	if rule.Kind == (tokenExpiresSoon{}).Info().ID { // How the calls go has nothing to do with it.
		return "Nothing ends that soon any more: the credential was renewed, replaced or taken away, or it ends later."
	}
	if it, ok := board.Of(a.ConnectionID); ok {
		return "The condition does not hold any more. " + it.Status.Why
	}
	return "The condition does not hold any more."
}
