package alerts

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"switchgear/db"
	"switchgear/internal/access"
	"switchgear/internal/audit"
	"switchgear/internal/calls"
	"switchgear/internal/connections"
	"switchgear/internal/credentials"
	"switchgear/internal/fault"
	"switchgear/internal/health"
	"switchgear/internal/runtime/breaker"
)

// Topic is announced when alerts, rules, channels, mutes or notifications changed.
const Topic = "alerts"

const topicAudit = "audit"

// Directory knows the connections; *connections.Service is one.
type Directory interface {
	Standings(a access.Actor) ([]*connections.Standing, error)
	Expiries(ctx context.Context, a access.Actor) ([]connections.Expiry, error)
}

// Board says how connections are; *health.Service does.
type Board interface {
	Board(a access.Actor) (*health.Board, error)
}

// Breakers are those of all connections; *breaker.Registry has them.
type Breakers interface {
	Each(fn func(*breaker.Snapshot))
}

// Calls are what was seen; *calls.Log has them.
type Calls interface {
	Weights() func(connectionID string) calls.Weight
	Totals(ctx context.Context, q calls.RollupQuery) (calls.Figures, error)
}

// Outbox sends notifications, at least once each, after they were stored.
type Outbox interface {
	// Enqueue stores notifications within tx.
	Enqueue(ctx context.Context, tx *db.Tx, all ...Notification) error
	// Committed says that the transaction of what was enqueued is committed. It never blocks.
	Committed()
	// Deliver tries a stored notification now and returns what became of it.
	Deliver(ctx context.Context, id string) (Notification, error)
}

// Sealer encrypts what is secret of a channel; *credentials.Sealer is one.
type Sealer interface {
	Seal(aad credentials.AAD, plaintext []byte) (sealed string, keyID uint32, err error)
	Open(aad credentials.AAD, sealed string) ([]byte, error)
}

// Deps are what a Service works with; all are required.
type Deps struct {
	DB          *db.DB
	Audit       *audit.Log
	Sealer      Sealer
	Connections Directory
	Health      Board
	Breakers    Breakers
	Calls       Calls
	Outbox      Outbox
	// BaseURL is where people reach the console, for links; empty when that is not known.
	BaseURL func() string
	// Notify is called after a change, with the name of what changed. It must not block.
	Notify func(topic string)
	Logger *slog.Logger
	// Now is the clock.
	Now func() time.Time
}

// Config tunes a Service. A zero field stands for the value in its comment.
type Config struct {
	Every      time.Duration // 1s: how often conditions are judged by what is in memory
	Windows    time.Duration // 30s: how often rules over a window are judged
	Quiet      time.Duration // 10m: what comes back within it after its end is the same alert, and what keeps its state for it is stable
	FlapWindow time.Duration // 1h: the time in which MostTold changes are told at most
	MostTold   int           // 3
	MostApart  int           // 20: how many changes of a rule are told one by one within FlapWindow; the others are told together
	Gather     time.Duration // 1m: how long after a message about many alerts of a rule the next one follows at the earliest
	MaxAge     time.Duration // 2160h: alerts and notifications older than this are deleted
	MaxAlerts  int           // 100,000: the oldest ended alerts beyond this are deleted
	Cleanup    time.Duration // 1h: how often deletion runs
}

func (c Config) withDefaults() Config {
	c.Every = cmp.Or(c.Every, time.Second)
	c.Windows = cmp.Or(c.Windows, 30*time.Second)
	c.Quiet = cmp.Or(c.Quiet, 10*time.Minute)
	c.FlapWindow = cmp.Or(c.FlapWindow, time.Hour)
	c.MostTold = cmp.Or(c.MostTold, 3)
	c.MostApart = cmp.Or(c.MostApart, 20)
	c.Gather = cmp.Or(c.Gather, time.Minute)
	c.MaxAge = cmp.Or(c.MaxAge, 90*24*time.Hour)
	c.MaxAlerts = cmp.Or(c.MaxAlerts, 100_000)
	c.Cleanup = cmp.Or(c.Cleanup, time.Hour)
	return c
}

// Service holds the use cases of this package. It is safe for concurrent use.
type Service struct {
	deps  Deps
	cfg   Config
	store store
	// set is what people decided: rules, channels and mutes.
	set  atomic.Pointer[settings]
	wake chan struct{}
	// firing is how many alerts fire, by severity.
	firing atomic.Pointer[map[Severity]int]
	// mu guards state. It is held while alerts are changed and stored.
	mu    sync.Mutex
	state evaluator
	// loading is held while set is read anew, so that an older reading never replaces a newer one.
	loading sync.Mutex
}

// settings are what people decided, as it is stored. It is never changed once it is published.
type settings struct {
	rules    []Rule
	channels []Channel
	mutes    []Mute
}

func (s *settings) rule(id string) (Rule, bool) {
	i := slices.IndexFunc(s.rules, func(r Rule) bool { return r.ID == id })
	if i < 0 {
		return Rule{}, false
	}
	return s.rules[i], true
}

func (s *settings) channel(id string) (Channel, bool) {
	i := slices.IndexFunc(s.channels, func(c Channel) bool { return c.ID == id })
	if i < 0 {
		return Channel{}, false
	}
	return s.channels[i], true
}

// New returns a Service. Then run Serve.
func New(ctx context.Context, d Deps, cfg Config) (*Service, error) {
	if d.DB == nil || d.Audit == nil || d.Sealer == nil || d.Connections == nil || d.Health == nil || d.Breakers == nil || d.Calls == nil ||
		d.Outbox == nil || d.BaseURL == nil || d.Notify == nil || d.Logger == nil || d.Now == nil {
		return nil, errors.New("alerts: every dependency is required")
	}
	s := &Service{deps: d, cfg: cfg.withDefaults(), store: store{d.DB}, wake: make(chan struct{}, 1), state: newEvaluator()}
	if err := s.load(ctx); err != nil {
		return nil, fmt.Errorf("alerts: load: %w", err)
	}
	return s, nil
}

// load reads rules, channels and mutes.
func (s *Service) load(ctx context.Context) error {
	s.loading.Lock()
	defer s.loading.Unlock()
	var (
		next settings
		err  error
	)
	if next.rules, err = s.store.rules(ctx, s.deps.DB); err != nil {
		return err
	}
	if next.channels, err = s.store.channels(ctx, s.deps.DB); err != nil {
		return err
	}
	// Those that have ended are shown for a day.
	if next.mutes, err = s.store.mutes(ctx, s.deps.DB, s.deps.Now().Add(-24*time.Hour)); err != nil {
		return err
	}
	s.set.Store(&next)
	return nil
}

// moment is the present in the precision of the store.
func (s *Service) moment() time.Time { return db.Time(db.Micros(s.deps.Now())) }

// change runs one change by a person: permission, change and record are one transaction.
func (s *Service) change(ctx context.Context, a access.Actor, p access.Permission, fn func(tx *db.Tx, a access.Actor) (audit.Entry, error)) error {
	if err := a.Require(p); err != nil {
		return err
	}
	err := s.deps.DB.InTx(ctx, func(tx *db.Tx) error {
		a, err := s.authorize(ctx, tx, a, p)
		if err != nil {
			return err
		}
		entry, err := fn(tx, a)
		if err != nil {
			return err
		}
		entry.Actor, entry.IP = audit.Actor{Kind: a.Kind, ID: a.ID, Name: a.Name}, a.IP
		return s.deps.Audit.Record(ctx, tx, entry)
	})
	if err != nil {
		return fmt.Errorf("alerts: %w", err)
	}
	if err := s.load(ctx); err != nil {
		// It is stored; the worker reads it again.
		s.deps.Logger.LogAttrs(ctx, slog.LevelWarn, "alert settings are not read again yet", slog.Any("error", err))
	}
	s.Wake()
	s.deps.Notify(Topic)
	s.deps.Notify(topicAudit)
	return nil
}

// authorize checks within the change that the actor may do it now: role and key may have changed since the
// request began.
func (s *Service) authorize(ctx context.Context, tx *db.Tx, a access.Actor, p access.Permission) (access.Actor, error) {
	switch a.Kind {
	case access.KindAPIKey:
		usable, err := s.store.keyUsable(ctx, tx, a.ID, s.deps.Now())
		if err != nil {
			return a, err
		}
		if !usable {
			return a, fault.New(fault.Unauthenticated, "INVALID_API_KEY", "This API key is not valid any more.")
		}
	case access.KindUser:
		role, err := s.store.role(ctx, tx, a.ID)
		if fault.Is(err, fault.NotFound) {
			return a, fault.New(fault.Unauthenticated, "", "Your account is no longer active.")
		}
		if err != nil {
			return a, err
		}
		a.Role = role
	}
	return a, a.Require(p)
}

const maxReason = 500

// checkText checks a reason or a note. It is required when missing says what is missing.
func checkText(field, text, missing string) (string, error) {
	text = strings.TrimSpace(text)
	switch {
	case text == "" && missing != "":
		return "", fault.Field("REASON_MISSING", field, missing)
	case utf8.RuneCountInString(text) > maxReason:
		return "", fault.Field("INVALID_REASON", field, fmt.Sprintf("Use at most %d characters.", maxReason))
	case !printable(strings.NewReplacer("\r\n", " ", "\n", " ", "\t", " ").Replace(text)):
		return "", fault.Field("INVALID_REASON", field, "It contains a character that cannot be shown.")
	}
	return text, nil
}

// find returns a connection by its slug, or a fault.NotFound CONNECTION_NOT_FOUND.
func (s *Service) find(slug string) (*connections.Connection, error) {
	all, err := s.deps.Connections.Standings(access.System())
	if err != nil {
		return nil, err
	}
	for i := range all {
		if all[i].Slug == slug {
			return all[i].Connection, nil
		}
	}
	return nil, fault.New(fault.NotFound, "CONNECTION_NOT_FOUND", "There is no such connection.")
}
