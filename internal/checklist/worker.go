package checklist

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"switchgear/db"
	"switchgear/internal/access"
	"switchgear/internal/connections"
	"switchgear/internal/fault"
)

func (c Config) withDefaults() Config {
	c.Tick = cmp.Or(c.Tick, 30*time.Second)
	c.Busy = cmp.Or(c.Busy, 5*time.Minute)
	c.Quiet = cmp.Or(c.Quiet, time.Hour)
	return c
}

// sweepEvery is how often evidence of connections that are gone is deleted.
const sweepEvery = time.Hour

// rest is how long the worker leaves changes alone at least after it judged some, so that those of a burst are
// judged together.
const rest = 100 * time.Millisecond

// Serve judges connections when they change and from time to time, until ctx ends. It is a supervised
// worker: lists show what it found last. A change is judged at once, unless others were a moment before: then
// after a rest as long as judging those took.
func (s *Service) Serve(ctx context.Context) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	resting := time.NewTimer(0)
	defer resting.Stop()
	var (
		swept   time.Time
		changed <-chan struct{} // nil while the worker rests
	)
	for {
		var err error
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-timer.C:
			err = s.pass(ctx, true)
			timer.Reset(jitter(s.cfg.Tick))
		case <-resting.C:
			changed = s.changed
			continue
		case <-changed:
			began := time.Now()
			err = s.pass(ctx, false)
			changed = nil
			resting.Reset(max(rest, time.Since(began)))
		}
		if err != nil && ctx.Err() == nil {
			s.deps.Logger.LogAttrs(ctx, slog.LevelWarn, "checklists are not judged yet", slog.Any("error", err))
		}
		if now := s.deps.Now(); now.Sub(swept) >= sweepEvery {
			if err := s.store.sweep(ctx); err != nil && ctx.Err() == nil {
				s.deps.Logger.LogAttrs(ctx, slog.LevelWarn, "evidence of deleted connections is still there", slog.Any("error", err))
			}
			swept = now
		}
	}
}

// batch is how many connections' evidence is stored by one transaction.
const batch = 50

// pass judges what changed since the one before, of all connections also what is due by now, and stores what is
// new about it. What failed is due in the next pass over all. It is for one goroutine at a time.
func (s *Service) pass(ctx context.Context, all bool) error {
	standings, err := s.deps.Connections.Standings(access.System())
	if err != nil {
		return err
	}
	look, gone := differences(s.seen, standings)
	s.forget(gone)
	s.seen = standings
	if all {
		look = standings
		s.forgetOthers(standings)
	}
	var fresh []Evidence
	var failed []error
	judged, different, now := 0, false, s.deps.Now()
	for _, standing := range look {
		before, known := s.remembered(standing.ID)
		if known && !before.outdated(standing) && (!all || !s.due(before, now)) {
			continue
		}
		list, err := s.again(ctx, standing)
		if fault.Is(err, fault.NotFound) {
			continue // deleted in the meantime
		}
		if err != nil {
			failed = append(failed, fmt.Errorf("%s: %w", standing.Slug, err))
			continue
		}
		fresh = append(fresh, s.news(list)...)
		different = different || !known || !before.same(list.Summary)
		if judged++; judged%batch == 0 {
			if err := s.keep(ctx, fresh); err != nil {
				return err
			}
			fresh = nil
		}
	}
	if err := s.keep(ctx, fresh); err != nil {
		return err
	}
	if different {
		s.deps.Notify(Topic)
	}
	return errors.Join(failed...)
}

// again judges a connection as it is stored: what is known to work is not in the snapshot.
func (s *Service) again(ctx context.Context, standing *connections.Standing) (Checklist, error) {
	c, err := s.deps.Connections.Find(ctx, access.System(), standing.Slug)
	if err != nil {
		return Checklist{}, err
	}
	return s.judge(ctx, c, standing.Problem)
}

// outdated reports whether a connection is another than the one that was judged.
func (s *Summary) outdated(standing *connections.Standing) bool {
	return s.Version != standing.Version || s.refused != (standing.Problem != nil)
}

// due reports whether a connection has to be judged again although it did not change.
func (s *Service) due(last Summary, now time.Time) bool {
	if !last.due.IsZero() && !now.Before(last.due) {
		return true
	}
	age := now.Sub(last.At)
	return age >= s.cfg.Quiet || age >= s.cfg.Busy && s.deps.Calls.Called(last.ConnectionID)
}

func (s Summary) same(o Summary) bool {
	if s.Version != o.Version || s.Done != o.Done || len(s.Items) != len(o.Items) {
		return false
	}
	for i := range s.Items {
		if s.Items[i] != o.Items[i] {
			return false
		}
	}
	return true
}

// differences returns what is in one list and not in the one before it, and the ids of the connections that are not
// any more. Most of two lists is the same at both ends, and the same in memory.
func differences(before, after []*connections.Standing) (changed []*connections.Standing, gone []string) {
	for len(before) > 0 && len(after) > 0 && before[0] == after[0] {
		before, after = before[1:], after[1:]
	}
	for len(before) > 0 && len(after) > 0 && before[len(before)-1] == after[len(after)-1] {
		before, after = before[:len(before)-1], after[:len(after)-1]
	}
	old := make(map[string]*connections.Standing, len(before))
	for _, standing := range before {
		old[standing.ID] = standing
	}
	for _, standing := range after {
		if old[standing.ID] != standing {
			changed = append(changed, standing)
		}
		delete(old, standing.ID)
	}
	for id := range old {
		gone = append(gone, id)
	}
	return changed, gone
}

// forget drops the summaries of connections that are gone.
func (s *Service) forget(gone []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, id := range gone {
		delete(s.summaries, id)
	}
}

// forgetOthers drops the summaries of all but some connections: a page may have judged one that it found before the
// deletion after a pass forgot it.
func (s *Service) forgetOthers(standings []*connections.Standing) {
	exists := make(map[string]bool, len(standings))
	for _, standing := range standings {
		exists[standing.ID] = true
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for id := range s.summaries {
		if !exists[id] {
			delete(s.summaries, id)
		}
	}
}

// news is what a judgement shows that is not stored yet: another verdict, or one about another
// configuration.
func (s *Service) news(list Checklist) []Evidence {
	var out []Evidence
	for _, r := range list.Items {
		for _, found := range []struct {
			method Method
			Finding
		}{{MethodStatic, r.Configured}, {MethodObserved, r.Observed}} {
			last := newest(r.History, found.method)
			switch {
			case found.Verdict == "":
				continue
			case found.method == MethodObserved && found.Verdict != VerdictPass && found.Verdict != VerdictFail:
				continue // nothing was observed
			case last != nil && last.Verdict == found.Verdict && last.ConfigHash == r.ConfigHash:
				continue
			}
			e := Evidence{
				ID: db.NewID("evd"), ConnectionID: list.Connection.ID, Item: r.ID, ConfigHash: r.ConfigHash, Method: found.method,
				Verdict: found.Verdict, Measured: found.Measured, Threshold: found.Threshold, Message: found.Message,
				ActorKind: access.KindSystem, ActorName: access.System().Name, At: list.Summary.At,
			}
			// Traffic counts from the edit on, not from when it was noticed.
			if updated := list.Connection.UpdatedAt; found.method == MethodStatic && last != nil && last.ConfigHash != r.ConfigHash && updated.After(last.At) {
				e.At = updated
			}
			out = append(out, e)
		}
	}
	return out
}

func (s *Service) keep(ctx context.Context, fresh []Evidence) error {
	if len(fresh) == 0 {
		return nil
	}
	return s.deps.DB.InTx(ctx, func(tx *db.Tx) error {
		for _, e := range fresh {
			if err := s.store.insert(ctx, tx, e); err != nil {
				return err
			}
		}
		return nil
	})
}
