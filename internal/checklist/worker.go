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

// Serve judges connections when they change and from time to time, until ctx ends. It is a supervised
// worker: lists show what it found last.
func (s *Service) Serve(ctx context.Context) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	var swept time.Time
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-timer.C:
			timer.Reset(jitter(s.cfg.Tick))
		case <-s.changed:
		}
		if err := s.pass(ctx); err != nil && ctx.Err() == nil {
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

// pass judges what is due and stores what is new about it.
func (s *Service) pass(ctx context.Context) error {
	standings, err := s.deps.Connections.Standings(access.System())
	if err != nil {
		return err
	}
	s.forget(standings)
	var fresh []Evidence
	var failed []error
	judged, different := 0, false
	for _, standing := range standings {
		before, known := s.remembered(standing.ID)
		if known && !s.due(before, standing) {
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
func (s *Service) again(ctx context.Context, standing connections.Standing) (Checklist, error) {
	c, err := s.deps.Connections.Find(ctx, access.System(), standing.Slug)
	if err != nil {
		return Checklist{}, err
	}
	return s.judge(ctx, c, standing.Problem)
}

// due reports whether a connection has to be judged again.
func (s *Service) due(last Summary, standing connections.Standing) bool {
	now := s.deps.Now()
	switch {
	case last.Version != standing.Version, last.refused != (standing.Problem != nil):
		return true
	case !last.due.IsZero() && !now.Before(last.due):
		return true
	case s.deps.Calls.Recent(standing.ID).Calls > 0:
		return now.Sub(last.At) >= s.cfg.Busy
	}
	return now.Sub(last.At) >= s.cfg.Quiet
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

// forget drops the summaries of connections that are gone.
func (s *Service) forget(standings []connections.Standing) {
	there := make(map[string]bool, len(standings))
	for _, standing := range standings {
		there[standing.ID] = true
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for id := range s.summaries {
		if !there[id] {
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
