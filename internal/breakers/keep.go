package breakers

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"switchgear/db"
	"switchgear/internal/fault"
	"switchgear/internal/runtime/breaker"
	"switchgear/internal/runtime/ratelimit"
)

// saveLimit bounds what the worker does at the end of the process.
const saveLimit = 10 * time.Second

// Serve stores what changes until ctx ends, and then what is left. It is a supervised worker.
func (s *Service) Serve(ctx context.Context) error {
	flush := time.NewTicker(s.cfg.Flush)
	defer flush.Stop()
	limiters := time.NewTicker(s.cfg.Limiters)
	defer limiters.Stop()
	cleanup := time.NewTicker(s.cfg.Cleanup)
	defer cleanup.Stop()
	for {
		var err error
		select {
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), saveLimit)
			defer cancel()
			if err := s.Save(last); err != nil {
				s.deps.Logger.LogAttrs(last, slog.LevelError, "the state of breakers is not stored", slog.Any("error", err))
			}
			return ctx.Err()
		case <-flush.C:
			if err = s.flush(ctx); err == nil && s.stale.Load() {
				err = s.settle(ctx)
			}
		case <-limiters.C:
			err = s.saveLimiters(ctx)
		case <-cleanup.C:
			err = s.cleanup(ctx)
		}
		if err != nil {
			s.deps.Logger.LogAttrs(ctx, slog.LevelError, "the state of breakers is not stored yet", slog.Any("error", err))
		}
	}
}

// Save stores everything now. Call it at the end of the process, when the worker of the breakers has ended:
// it then has handed over its last events.
func (s *Service) Save(ctx context.Context) error {
	if err := s.flush(ctx); err != nil {
		return err
	}
	// A hold that was made a little longer is no event.
	if err := s.saveStates(ctx, s.deps.Breakers.Export()); err != nil {
		return err
	}
	return s.saveLimiters(ctx)
}

// flush stores the events that wait, with the states after them, and forgets the commands that are in them.
func (s *Service) flush(ctx context.Context) error {
	s.saving.Lock()
	defer s.saving.Unlock()
	events := s.deps.Inbox.take()
	if lost := s.deps.Inbox.Dropped() + s.deps.Breakers.Dropped(); lost > s.lost {
		states := s.deps.Breakers.Export()
		if err := s.store.saveStates(ctx, states, s.deps.Now()); err != nil {
			s.deps.Inbox.putBack(events)
			return fmt.Errorf("breakers: store states: %w", err)
		}
		s.lost = lost
		s.note(states)
	}
	states := lastStates(events)
	done := s.finished(states)
	if len(events) == 0 && len(done) == 0 {
		return nil
	}
	versions, err := s.versions()
	if err == nil {
		err = s.store.save(ctx, events, versions, states, done, s.deps.Now())
	}
	if err != nil {
		s.deps.Inbox.putBack(events)
		return fmt.Errorf("breakers: store events: %w", err)
	}
	s.note(states)
	for _, id := range done {
		delete(s.applied, id)
	}
	changed := map[string]bool{}
	for _, e := range events {
		changed[e.Key.Connection] = true
	}
	if len(changed) > 0 {
		s.pasts.forget(changed)
		s.announce(keys(changed)...)
	}
	return nil
}

// lastStates are the states of the breakers after their last events.
func lastStates(events []breaker.Event) []breaker.Durable {
	place := map[breaker.Key]int{}
	var out []breaker.Durable
	for _, e := range events {
		i, seen := place[e.Key]
		if !seen {
			i = len(out)
			place[e.Key] = i
			out = append(out, breaker.Durable{})
		}
		out[i] = e.Durable
	}
	return out
}

// note remembers which events are stored. The caller holds saving.
func (s *Service) note(states []breaker.Durable) {
	for _, d := range states {
		s.saved[d.Key] = d.Seq
	}
}

// finished are the commands whose effect is stored once the given states are. The caller holds saving.
func (s *Service) finished(states []breaker.Durable) []string {
	next := map[breaker.Key]uint64{}
	for _, d := range states {
		next[d.Key] = d.Seq
	}
	var done []string
	for id, m := range s.applied {
		if max(s.saved[m.key], next[m.key]) >= m.seq {
			done = append(done, id)
		}
	}
	slices.Sort(done)
	return done
}

// versions are the active versions of all connections.
func (s *Service) versions() (map[string]int, error) {
	known, err := s.known()
	if err != nil {
		return nil, err
	}
	out := make(map[string]int, len(known))
	for id, c := range known {
		out[id] = c.Version
	}
	return out, nil
}

func (s *Service) saveStates(ctx context.Context, states []breaker.Durable) error {
	s.saving.Lock()
	defer s.saving.Unlock()
	// What never changed is as good as not there.
	states = slices.DeleteFunc(states, func(d breaker.Durable) bool { return d.Seq == 0 })
	if err := s.store.saveStates(ctx, states, s.deps.Now()); err != nil {
		return fmt.Errorf("breakers: store states: %w", err)
	}
	s.note(states)
	return nil
}

// saveLimiters stores what changed of what limiters have to remember.
func (s *Service) saveLimiters(ctx context.Context) error {
	s.saving.Lock()
	defer s.saving.Unlock()
	now := map[string]string{}
	for id, state := range s.deps.Limiters.Export() {
		text, err := json.Marshal(state)
		if err != nil {
			return fmt.Errorf("breakers: encode the state of a limiter: %w", err)
		}
		now[id] = string(text)
	}
	changed := map[string]string{}
	for id, text := range now {
		if s.limits[id] != text {
			changed[id] = text
		}
	}
	var gone []string
	for id := range s.limits {
		if _, ok := now[id]; !ok {
			gone = append(gone, id)
		}
	}
	if len(changed)+len(gone) == 0 {
		return nil
	}
	if err := s.store.saveLimiters(ctx, changed, gone, s.deps.Now()); err != nil {
		return fmt.Errorf("breakers: store limiters: %w", err)
	}
	s.limits = now
	return nil
}

// cleanup deletes old events, and the states of connections that are gone.
func (s *Service) cleanup(ctx context.Context) error {
	if err := s.store.prune(ctx, s.deps.Now().Add(-s.cfg.MaxAge)); err != nil {
		return fmt.Errorf("breakers: delete old events: %w", err)
	}
	known, err := s.known()
	if err != nil {
		return err
	}
	s.saving.Lock()
	defer s.saving.Unlock()
	if err := s.store.forget(ctx, func(id string) bool { return known[id] == nil }); err != nil {
		return fmt.Errorf("breakers: forget connections: %w", err)
	}
	for key := range s.saved {
		if known[key.Connection] == nil {
			delete(s.saved, key)
		}
	}
	return nil
}

// Restore takes up what was stored: the states of breakers, the commands that were not carried out, the
// state of limiters. Call it once, before the first call, when the policies of all connections are known to
// the registries. Rows of connections that are gone are deleted. One row that cannot be used does not keep
// the others from it; the error then is only logged.
func (s *Service) Restore(ctx context.Context) error {
	known, err := s.known()
	if err != nil {
		return err
	}
	if err := s.store.forget(ctx, func(id string) bool { return known[id] == nil }); err != nil {
		return fmt.Errorf("breakers: forget connections: %w", err)
	}
	kept, err := s.store.load(ctx)
	if err != nil {
		return fmt.Errorf("breakers: load: %w", err)
	}
	states := make([]breaker.Durable, 0, len(kept.states))
	for _, text := range kept.states {
		d, err := breaker.DecodeDurable([]byte(text))
		if err != nil {
			s.deps.Logger.LogAttrs(ctx, slog.LevelError, "the stored state of a breaker is not used", slog.Any("error", err))
			continue
		}
		states = append(states, d)
	}
	gone, err := s.deps.Breakers.Restore(states)
	if err != nil {
		s.deps.Logger.LogAttrs(ctx, slog.LevelError, "the stored state of breakers is not used", slog.Any("error", err))
	}
	// A connection that cannot be called at present keeps what is stored.
	gone = slices.DeleteFunc(gone, func(k breaker.Key) bool {
		_, err := s.deps.Breakers.Breaker(breaker.Key{Connection: k.Connection})
		return err != nil
	})
	if err := s.store.drop(ctx, gone); err != nil {
		return fmt.Errorf("breakers: forget operations: %w", err)
	}
	limiters := map[string]ratelimit.State{}
	for id, text := range kept.limiters {
		var state ratelimit.State
		if err := json.Unmarshal([]byte(text), &state); err != nil {
			s.deps.Logger.LogAttrs(ctx, slog.LevelError, "the stored state of a limiter is not used",
				slog.String("connection_id", id), slog.Any("error", err))
			continue
		}
		limiters[id] = state
	}
	s.deps.Limiters.Import(limiters)
	s.saving.Lock()
	s.limits = kept.limiters
	s.saving.Unlock()
	for _, c := range kept.commands {
		s.redo(ctx, c)
	}
	return nil
}

// settle carries out what is stored of commands that were not acknowledged.
func (s *Service) settle(ctx context.Context) error {
	if err := s.lock(ctx); err != nil {
		return err
	}
	defer s.unlock()
	return s.settleLocked(ctx)
}

func (s *Service) settleLocked(ctx context.Context) error {
	kept, err := s.store.load(ctx)
	if err != nil {
		return fmt.Errorf("breakers: look for commands: %w", err)
	}
	s.stale.Store(false)
	for _, c := range kept.commands {
		s.saving.Lock()
		_, done := s.applied[c.id]
		s.saving.Unlock()
		if !done {
			s.redo(ctx, c)
		}
	}
	return nil
}

// redo carries out a command that is stored. What has come to its end since, or changes nothing any more, is
// done.
func (s *Service) redo(ctx context.Context, c command) {
	b, err := s.deps.Breakers.Breaker(c.key)
	if err == nil && (c.until.IsZero() || c.until.After(s.deps.Now())) {
		err = c.apply(b)
	}
	seq := uint64(0)
	if b != nil {
		seq = b.Durable().Seq
	}
	s.carriedOut(c.id, c.key, seq)
	if err != nil && !fault.Is(err, fault.Conflict) {
		s.deps.Logger.LogAttrs(ctx, slog.LevelWarn, "a stored command to a breaker cannot be carried out",
			slog.String("breaker", c.key.String()), slog.String("verb", string(c.verb)), slog.Any("error", err))
	}
}

// carriedOut notes that a stored command may be deleted once the event of that number is stored.
func (s *Service) carriedOut(id string, key breaker.Key, seq uint64) {
	s.saving.Lock()
	defer s.saving.Unlock()
	s.applied[id] = mark{key, seq}
}

// command is a command as it is stored.
type command struct {
	id     string
	key    breaker.Key
	verb   Verb
	actor  string
	reason string
	until  time.Time
	at     time.Time
}

func keys(set map[string]bool) []string {
	out := make([]string, 0, len(set))
	for k := range set {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}

func newCommand(key breaker.Key, verb Verb, actor string, o Order, now time.Time) command {
	return command{id: db.NewID("bcm"), key: key, verb: verb, actor: actor, reason: o.Reason, until: o.Until, at: now}
}
