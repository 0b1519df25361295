// Package health says how connections are: one status for each, always with the sentence why and since when.
//
// A status is computed from memory: the calls of the last minutes, what the breakers and limiters published,
// which credentials can be used, and what the last request of ours showed. The worker judges the connections
// that may have changed, and no others, however many there are; from that it makes a [Board], which everybody
// who looks shares, as long as somebody does. Whoever looks first, or before the worker did, does its work.
// Invariants:
//
//   - A Board is never older than a second, and what [BoardTopic] announces is on the next one.
//   - Where nothing happens nothing is computed, but for calls that grow old, once a minute.
//   - Idle is not healthy: without a call or a check nothing is known to work.
//   - Looking changes nothing: neither breakers nor limiters, and it sends no request.
//   - A change of a status is stored by the worker, once; what it cannot store it tries again.
//   - A health check is a request of ours: it passes the egress guard, is no call of an application, and is
//     not sent where calls are held back or tell more. While a breaker is half-open it is one of its probes.
package health

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"switchgear/db"
	"switchgear/internal/access"
	"switchgear/internal/calls"
	"switchgear/internal/connections"
	"switchgear/internal/runtime"
	"switchgear/internal/runtime/breaker"
	"switchgear/internal/runtime/ratelimit"
)

// What is announced, and may be followed.
const (
	// Topic is announced when the status of any connection changed.
	Topic = "health"
	// BoardTopic is announced when there is anything new to see on a [Board], a call that ended for one: at
	// most once for each.
	BoardTopic = "board"
)

// Directory knows the connections; *connections.Service is one.
type Directory interface {
	Standings(a access.Actor) ([]*connections.Standing, error)
	Target(slug, account string) (runtime.Target, error)
	Versions(ctx context.Context, a access.Actor, slug string) ([]connections.Version, error)
}

// Traffic knows what was called; *calls.Log does.
type Traffic interface {
	Weights() func(connectionID string) calls.Weight
	// Touched are the connections whose weight may have changed since it was asked last, but for time.
	Touched() []string
}

// Protections are what guards calls; *runtime.Protections are some.
type Protections interface {
	Breakers() *breaker.Registry
	Limiters() *ratelimit.Registry
	RejectedCredentials() map[string]runtime.RejectedCredential
}

// Deps are what a Service works with; all are required.
type Deps struct {
	DB          *db.DB
	Connections Directory
	Traffic     Traffic
	Protections Protections
	// Probe sends a health check; it is [runtime.Probe].
	Probe func(ctx context.Context, t runtime.Target, method, pathAndQuery string) runtime.ProbeResult
	// Notify is called after a change, with the name of what changed. It must not block.
	Notify func(topic string)
	Logger *slog.Logger
	// Now is the clock.
	Now func() time.Time
}

// Config tunes a Service. A zero field stands for the value in its comment.
type Config struct {
	Every       time.Duration // 1s: how long a Board is good
	Least       time.Duration // 200ms: how long after a Board the next one is made at the earliest, when something changed
	Watched     time.Duration // 10s: how long after somebody looked Boards are made before they are asked for
	Checks      int           // 4: health checks under way at once
	MaxAge      time.Duration // 2160h: changes older than this are deleted
	MaxChanges  int           // 500,000: the oldest changes beyond this are deleted
	MaxCheckAge time.Duration // 168h: results of checks older than this are deleted
	Cleanup     time.Duration // 1h: how often deletion runs
}

// Service holds the use cases of this package. It is safe for concurrent use.
type Service struct {
	deps   Deps
	cfg    Config
	store  store
	checks checks
	wake   chan struct{}
	stale  atomic.Bool

	published atomic.Pointer[Board]
	asked     atomic.Int64 // when a person or an application looked last, in nanoseconds

	mu      sync.Mutex // of what follows
	ledger  ledger
	marks   map[string]*mark
	pending []Change
	// changed and fresh are what is not announced yet: that a status changed, that there is anything new.
	changed, fresh bool
}

// New returns a Service that remembers how connections were. Then run Serve, and that of Checker.
func New(ctx context.Context, d Deps, cfg Config) (*Service, error) {
	if d.DB == nil || d.Connections == nil || d.Traffic == nil || d.Protections == nil || d.Probe == nil || d.Notify == nil || d.Logger == nil || d.Now == nil {
		return nil, errors.New("health: every dependency is required")
	}
	s := newService(d, cfg)
	var err error
	if s.marks, s.checks.last, err = s.store.load(ctx); err != nil {
		return nil, fmt.Errorf("health: load: %w", err)
	}
	return s, nil
}

func newService(d Deps, cfg Config) *Service {
	cfg.Every = cmp.Or(cfg.Every, time.Second)
	cfg.Least = cmp.Or(cfg.Least, 200*time.Millisecond)
	cfg.Watched = cmp.Or(cfg.Watched, 10*time.Second)
	cfg.Checks = cmp.Or(cfg.Checks, 4)
	cfg.MaxAge = cmp.Or(cfg.MaxAge, 90*24*time.Hour)
	cfg.MaxChanges = cmp.Or(cfg.MaxChanges, 500_000)
	cfg.MaxCheckAge = cmp.Or(cfg.MaxCheckAge, 7*24*time.Hour)
	cfg.Cleanup = cmp.Or(cfg.Cleanup, time.Hour)
	return &Service{
		deps: d, cfg: cfg, store: store{db: d.DB}, wake: make(chan struct{}, 1),
		checks: checks{due: map[string]time.Time{}, running: map[string]bool{}},
	}
}

// Wake makes the next look see what changed since the last Board. It never blocks.
func (s *Service) Wake() {
	s.stale.Store(true)
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// Serve keeps every status up to date, and stores what changed, until ctx ends. It is a supervised worker.
func (s *Service) Serve(ctx context.Context) error {
	// A little more often than a Board gets old, so that whoever looks finds a good one.
	tick := time.NewTicker(s.cfg.Every * 4 / 5)
	defer tick.Stop()
	soon := time.NewTimer(0)
	defer soon.Stop()
	var looked time.Time
	cleanup := time.NewTicker(s.cfg.Cleanup)
	defer cleanup.Stop()
	for {
		var err error
		select {
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
			defer cancel()
			if err := s.save(last); err != nil {
				s.deps.Logger.LogAttrs(last, slog.LevelError, "the health of connections is not stored", slog.Any("error", err))
			}
			return ctx.Err()
		case <-s.wake:
			soon.Reset(s.cfg.Least - time.Since(looked))
		case <-soon.C:
			err, looked = s.look(ctx), time.Now()
		case <-tick.C:
			err, looked = s.look(ctx), time.Now()
		case <-cleanup.C:
			err = s.cleanup(ctx)
		}
		if err != nil {
			s.deps.Logger.LogAttrs(ctx, slog.LevelError, "the health of connections is not stored yet", slog.Any("error", err))
		}
	}
}

func (s *Service) look(ctx context.Context) error {
	all, err := s.deps.Connections.Standings(access.System())
	if err != nil {
		return err
	}
	changed, fresh := s.lookAt(all)
	if fresh {
		s.deps.Notify(BoardTopic)
	}
	err = s.save(ctx)
	if changed { // whoever hears of it may read it in the history
		s.deps.Notify(Topic)
	}
	return err
}

// lookAt brings everything up to date and, while somebody looks, makes a Board. It reports what to announce.
func (s *Service) lookAt(all []*connections.Standing) (changed, fresh bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.deps.Now()
	s.update(all, now)
	if now.Sub(time.Unix(0, s.asked.Load())) < s.cfg.Watched {
		s.published.Store(s.ledger.board(now))
	} else {
		s.published.Store(nil)
	}
	changed, fresh = s.changed, s.fresh
	s.changed, s.fresh = false, false
	return changed, fresh
}

// Board returns every connection with its status. It needs system:read, and reads memory only.
func (s *Service) Board(a access.Actor) (*Board, error) {
	all, err := s.deps.Connections.Standings(a)
	if err != nil {
		return nil, err
	}
	now := s.deps.Now()
	if a.Kind != access.KindSystem { // no worker of ours keeps Boards coming
		s.asked.Store(now.UnixNano())
	}
	if b := s.published.Load(); s.good(b, all, now) {
		return b, nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	now = s.deps.Now()
	if b := s.published.Load(); s.good(b, all, now) { // somebody else was faster
		return b, nil
	}
	s.update(all, now)
	b := s.ledger.board(now)
	s.published.Store(b)
	return b, nil
}

// good reports whether a Board may still be shown.
func (s *Service) good(b *Board, all []*connections.Standing, now time.Time) bool {
	if b == nil {
		return false
	}
	age := now.Sub(b.At)
	if age < 0 || age >= s.cfg.Every || !sameList(b.standings, all) {
		return false
	}
	return age < s.cfg.Least || !s.stale.Load()
}

// save stores what waits for it.
func (s *Service) save(ctx context.Context) error {
	s.mu.Lock()
	changes := s.pending
	s.pending = nil
	s.mu.Unlock()
	results := s.checks.take()
	if len(changes)+len(results) == 0 {
		return nil
	}
	if err := s.store.save(ctx, changes, results); err != nil {
		s.mu.Lock()
		s.pending = append(changes, s.pending...)
		if over := len(s.pending) - maxUnstored; over > 0 {
			s.pending = append([]Change(nil), s.pending[over:]...)
		}
		s.mu.Unlock()
		s.checks.putBack(results)
		return fmt.Errorf("health: store changes: %w", err)
	}
	return nil
}

// cleanup deletes what is old, and what is kept of connections that are gone.
func (s *Service) cleanup(ctx context.Context) error {
	now := s.deps.Now()
	if err := s.store.prune(ctx, now.Add(-s.cfg.MaxAge), s.cfg.MaxChanges, now.Add(-s.cfg.MaxCheckAge)); err != nil {
		return fmt.Errorf("health: delete what is old: %w", err)
	}
	all, err := s.deps.Connections.Standings(access.System())
	if err != nil {
		return err
	}
	known := make(map[string]bool, len(all))
	for i := range all {
		known[all[i].ID] = true
	}
	s.mu.Lock()
	for id := range s.marks {
		if !known[id] {
			delete(s.marks, id)
		}
	}
	s.mu.Unlock()
	return s.store.forget(ctx, func(id string) bool { return !known[id] })
}
