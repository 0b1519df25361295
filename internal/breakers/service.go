// Package breakers stores, shows and commands circuit breakers, and keeps what rate limiters must not
// forget over a restart. The breakers themselves are in runtime/breaker; nothing here is on the way of a call.
//
// A command of a person is carried out in this order:
//
//  1. It is tried on a copy of the breaker, so that what would change nothing is refused before anything
//     is written.
//  2. One transaction checks the permission, writes the audit entry and the command.
//  3. After the commit the breaker in memory follows.
//  4. The worker stores the event and the state of the breaker, and deletes the stored command.
//
// So audit entry and effect exist together or not at all: when the commit fails nothing has changed, and
// when the process dies after the commit, the next start finds the command and carries it out. When it is
// unknown whether the commit succeeded, the answer is 503 COMMIT_UNKNOWN; the worker looks, and carries out
// what is there. Commands follow each other one at a time.
//
// What breakers do by themselves is stored by the worker a moment later (Config.Flush): a kill -9 loses at
// most that moment of it. Invariants:
//
//   - Reading changes nothing: lists are made of what the breakers published. A breaker that no call has
//     asked yet does not exist; it is shown as closed, without calls.
//   - An event is stored once, with the state of its breaker, in one transaction.
//   - [Inbox.Changed] and [Service.Record] never block.
package breakers

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"switchgear/db"
	"switchgear/internal/access"
	"switchgear/internal/audit"
	"switchgear/internal/connections"
	"switchgear/internal/runtime"
	"switchgear/internal/runtime/breaker"
	"switchgear/internal/runtime/ratelimit"
)

// Topic is announced when any breaker changed; [TopicOf] when one of a connection did.
const (
	Topic      = "breakers"
	topicAudit = "audit"
)

// TopicOf is announced when a breaker of the connection with that id changed.
func TopicOf(connectionID string) string { return Topic + ":" + connectionID }

// Directory knows the connections; *connections.Service is one.
type Directory interface {
	Peek(slug string) (connections.Connection, bool)
	Standings(a access.Actor) ([]*connections.Standing, error)
	EffectivePolicy(c connections.Connection) (runtime.Policy, error)
}

// Prober sends one request to the health path of a connection, through all protections but as a probe.
type Prober interface {
	Probe(ctx context.Context, slug, operation string) (ProbeResult, error)
}

// ProbeResult is how the request of a probe ended.
type ProbeResult struct {
	RequestID    string
	Method, Path string
	Status       int
	Outcome      runtime.Outcome
	Duration     time.Duration
	// Error says why no request was sent, or why there was no answer; it may be shown.
	Error string
}

// Deps are what a Service works with; all are required.
type Deps struct {
	DB          *db.DB
	Audit       *audit.Log
	Connections Directory
	// Inbox is where Breakers records its events.
	Inbox    *Inbox
	Breakers *breaker.Registry
	Limiters *ratelimit.Registry
	Prober   Prober
	// Notify is called after a change, with the name of what changed. It must not block.
	Notify func(topic string)
	Logger *slog.Logger
	// Now is the clock.
	Now func() time.Time
}

// Config tunes a Service. A zero field stands for the value in its comment.
type Config struct {
	Flush    time.Duration // 250ms: how long a change waits to be stored
	Limiters time.Duration // 10s: how often the state of limiters is stored, when it changed
	MaxAge   time.Duration // 2160h: events older than this are deleted
	Cleanup  time.Duration // 1h: how often deletion runs
}

// Service holds the use cases of this package. It is safe for concurrent use.
type Service struct {
	deps    Deps
	cfg     Config
	store   store
	watches watches
	pasts   pasts
	// inTx is that of the database.
	inTx func(ctx context.Context, fn func(tx *db.Tx) error) error

	// commanding is held by one command at a time. It is a channel because waiting for it ends with the request.
	commanding chan struct{}
	// stale is set when it is unknown whether a command was stored.
	stale atomic.Bool

	// saving guards what follows: it is held while the worker stores.
	saving  sync.Mutex
	lost    int                    // of the events that were dropped, those after which every state was stored
	saved   map[breaker.Key]uint64 // the number of the last event that is stored
	applied map[string]mark        // commands that are carried out and still stored, by id
	limits  map[string]string      // what is stored of limiters
}

// mark is the event after which the state of a breaker has a command in it.
type mark struct {
	key breaker.Key
	seq uint64
}

// New returns a Service. Call [Service.Restore] before the first call, then run Serve.
func New(d Deps, cfg Config) (*Service, error) {
	if d.DB == nil || d.Audit == nil || d.Connections == nil || d.Inbox == nil || d.Breakers == nil || d.Limiters == nil ||
		d.Prober == nil || d.Notify == nil || d.Logger == nil || d.Now == nil {
		return nil, errors.New("breakers: every dependency is required")
	}
	cfg.Flush = cmp.Or(cfg.Flush, 250*time.Millisecond)
	cfg.Limiters = cmp.Or(cfg.Limiters, 10*time.Second)
	cfg.MaxAge = cmp.Or(cfg.MaxAge, 90*24*time.Hour)
	cfg.Cleanup = cmp.Or(cfg.Cleanup, time.Hour)
	return &Service{
		deps: d, cfg: cfg, store: store{db: d.DB}, inTx: d.DB.InTx, commanding: make(chan struct{}, 1),
		saved: map[breaker.Key]uint64{}, applied: map[string]mark{}, limits: map[string]string{},
	}, nil
}

func (s *Service) lock(ctx context.Context) error {
	select {
	case s.commanding <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *Service) unlock() { <-s.commanding }

// announce tells the pages that breakers of a connection changed.
func (s *Service) announce(connectionIDs ...string) {
	s.deps.Notify(Topic)
	for _, id := range connectionIDs {
		s.deps.Notify(TopicOf(id))
	}
}

// known are the connections that exist, by id.
func (s *Service) known() (map[string]*connections.Connection, error) {
	all, err := s.deps.Connections.Standings(access.System())
	if err != nil {
		return nil, err
	}
	out := make(map[string]*connections.Connection, len(all))
	for _, c := range all {
		out[c.ID] = c.Connection
	}
	return out, nil
}

// find returns a connection for who may read it.
func (s *Service) find(a access.Actor, slug string) (connections.Connection, error) {
	if err := a.Require(access.PermissionSystemRead); err != nil {
		return connections.Connection{}, err
	}
	c, ok := s.deps.Connections.Peek(slug)
	if !ok {
		return c, noConnection()
	}
	return c, nil
}

// Inbox takes the events of breakers until they are stored. Make one with [NewInbox]; it is made before the
// breakers, because they are given its method Changed.
type Inbox struct {
	limit int

	mu      sync.Mutex
	events  []breaker.Event
	dropped int
}

// maxWaiting is how many events may wait to be stored. They are rare; so many mean that nothing is stored.
const maxWaiting = 10_000

// NewInbox makes an empty Inbox.
func NewInbox() *Inbox { return &Inbox{limit: maxWaiting} }

// Changed takes events in order. It never blocks; when too many wait, the oldest are lost from the history.
func (i *Inbox) Changed(_ context.Context, events []breaker.Event) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.keep(append(i.events, events...))
}

// keep holds events, the newest as far as there is room.
func (i *Inbox) keep(events []breaker.Event) {
	i.events = events
	if over := len(i.events) - i.limit; over > 0 {
		i.events = append([]breaker.Event(nil), i.events[over:]...)
		i.dropped += over
	}
}

// Dropped is how many events were lost since the start because they could not be stored in time.
func (i *Inbox) Dropped() int {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.dropped
}

func (i *Inbox) take() []breaker.Event {
	i.mu.Lock()
	defer i.mu.Unlock()
	events := i.events
	i.events = nil
	return events
}

// putBack returns events that could not be stored, to be tried again with those that came since.
func (i *Inbox) putBack(events []breaker.Event) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.keep(append(events, i.events...))
}
