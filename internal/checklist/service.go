package checklist

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"switchgear/db"
	"switchgear/internal/access"
	"switchgear/internal/alerts"
	"switchgear/internal/audit"
	"switchgear/internal/breakers"
	"switchgear/internal/calls"
	"switchgear/internal/connections"
	"switchgear/internal/fault"
	"switchgear/internal/providers"
	"switchgear/internal/runtime"
)

// Topic is what Deps.Notify is called with when a checklist changed.
const Topic = "checklist"

const topicAudit = "audit"

// Connections are what is judged; *connections.Service has them.
type Connections interface {
	Find(ctx context.Context, a access.Actor, slug string) (connections.Connection, error)
	Standings(a access.Actor) ([]*connections.Standing, error)
	EffectivePolicy(c connections.Connection) (runtime.Policy, error)
	LastRollback(ctx context.Context, connectionID string) (connections.Rollback, error)
}

// Breakers tell what they did; *breakers.Service does.
type Breakers interface {
	Transitions(ctx context.Context, connectionID string, from time.Time) (breakers.Transitions, error)
}

// Calls are what was seen; *calls.Log has them.
type Calls interface {
	Totals(ctx context.Context, q calls.RollupQuery) (calls.Figures, error)
	Series(ctx context.Context, q calls.RollupQuery) ([]calls.Point, error)
	Search(ctx context.Context, q calls.Query) (calls.Page, error)
	Called(connectionID string) bool
}

// Alerts knows who would hear of a connection; *alerts.Service does.
type Alerts interface {
	Coverage(ctx context.Context, c connections.Connection) (alerts.Coverage, error)
}

// Catalog finds providers; *providers.Catalog is one.
type Catalog interface {
	Find(slug string) (providers.Provider, error)
}

// Deps are what a Service works with; all are required.
type Deps struct {
	DB          *db.DB
	Audit       *audit.Log
	Connections Connections
	Calls       Calls
	Breakers    Breakers
	Providers   Catalog
	Alerts      Alerts
	// Notify is called after a change, with the name of what changed. It must not block.
	Notify func(topic string)
	Logger *slog.Logger
	// Now is the clock.
	Now func() time.Time
}

// Config tunes a Service. A zero field stands for the value in its comment.
type Config struct {
	// Tick is how often the worker looks for what is due, give or take a fifth. 30s.
	Tick time.Duration
	// Busy is how often a connection with traffic is judged again. 5m.
	Busy time.Duration
	// Quiet is how often one without is. 1h.
	Quiet time.Duration
}

// Service holds the use cases of this package. It is safe for concurrent use.
type Service struct {
	deps  Deps
	cfg   Config
	store store
	// changed wakes the worker.
	changed chan struct{}
	seen    []*connections.Standing // by the last pass; only Serve uses it

	mu        sync.RWMutex
	summaries map[string]*Summary // by the id of the connection; one is never changed
}

// New returns a Service. It fails when a dependency is missing.
func New(d Deps, cfg Config) (*Service, error) {
	if d.DB == nil || d.Audit == nil || d.Connections == nil || d.Calls == nil || d.Breakers == nil || d.Providers == nil || d.Alerts == nil || d.Notify == nil || d.Logger == nil || d.Now == nil {
		return nil, errors.New("checklist: every dependency is required")
	}
	return &Service{
		deps: d, cfg: cfg.withDefaults(), store: store{d.DB}, changed: make(chan struct{}, 1), summaries: map[string]*Summary{},
	}, nil
}

// Changed says that connections may have changed. It never blocks.
func (s *Service) Changed() {
	select {
	case s.changed <- struct{}{}:
	default: // the worker has not come to it yet
	}
}

// Checklist is everything that is known about one connection.
type Checklist struct {
	Connection connections.Connection
	Summary    Summary
	Items      []Result
}

// Of judges one connection now. It needs system:read. A connection that does not exist is a
// fault.NotFound CONNECTION_NOT_FOUND.
func (s *Service) Of(ctx context.Context, a access.Actor, slug string) (Checklist, error) {
	c, err := s.deps.Connections.Find(ctx, a, slug)
	if err != nil {
		return Checklist{}, fmt.Errorf("checklist: %w", err)
	}
	out, err := s.judge(ctx, c, s.problem(c))
	if err != nil {
		return Checklist{}, fmt.Errorf("checklist: %s: %w", slug, err)
	}
	return out, nil
}

// problem is why calls of a connection are refused.
func (s *Service) problem(c connections.Connection) error {
	standings, err := s.deps.Connections.Standings(access.System())
	if err != nil {
		return err
	}
	for _, standing := range standings {
		if standing.ID == c.ID {
			return standing.Problem
		}
	}
	return nil
}

// judge judges every item of a connection and remembers the outcome.
func (s *Service) judge(ctx context.Context, c connections.Connection, problem error) (Checklist, error) {
	out, err := s.look(ctx, c, problem)
	if err == nil {
		s.remember(out.Summary)
	}
	return out, err
}

// Open lists what is not done of the checklist of a connection as it is given: "3 Authentication implemented
// (fail)". It checks no permission and remembers nothing: it is for whoever decides whether a change is made.
func (s *Service) Open(ctx context.Context, c connections.Connection) ([]string, error) {
	list, err := s.look(ctx, c, s.problem(c))
	if err != nil {
		return nil, fmt.Errorf("checklist: %s: %w", c.Slug, err)
	}
	var open []string
	for _, item := range list.Items {
		if !item.Verdict.Done() {
			open = append(open, fmt.Sprintf("%d %s (%s)", item.Number, item.Title, item.Verdict))
		}
	}
	return open, nil
}

// look judges every item of a connection.
func (s *Service) look(ctx context.Context, c connections.Connection, problem error) (Checklist, error) {
	stored, err := s.store.of(ctx, c.ID)
	if err != nil {
		return Checklist{}, err
	}
	facts, err := s.facts(ctx, c, problem)
	if err != nil {
		return Checklist{}, err
	}
	if err := s.events(ctx, &facts, stored); err != nil {
		return Checklist{}, err
	}
	out := Checklist{Connection: c}
	seen := map[time.Time]Traffic{}
	for _, item := range All() {
		history := stored[item.Info().ID]
		from := since(Hash(item, facts), c.UpdatedAt, history, facts.Now, observation)
		traffic, ok := seen[from]
		if !ok {
			if traffic, err = s.traffic(ctx, c, from, facts.Now); err != nil {
				return Checklist{}, err
			}
			seen[from] = traffic
		}
		facts.Traffic = traffic
		out.Items = append(out.Items, assess(item, facts, history))
	}
	out.Summary = summarize(c, problem, out.Items, facts.Now)
	return out, nil
}

// events adds what happened to a connection that is too rare to be looked for in a day.
func (s *Service) events(ctx context.Context, f *Facts, stored map[string][]Evidence) (err error) {
	const long = 30 * 24 * time.Hour
	var item circuitBreaker
	f.Transitions.Since = since(Hash(item, *f), f.Connection.UpdatedAt, stored[item.Info().ID], f.Now, long)
	if f.Transitions.Transitions, err = s.deps.Breakers.Transitions(ctx, f.Connection.ID, f.Transitions.Since); err != nil {
		return err
	}
	f.Rollback, err = s.deps.Connections.LastRollback(ctx, f.Connection.ID)
	return err
}

// facts are those of a connection, without its traffic and events.
func (s *Service) facts(ctx context.Context, c connections.Connection, problem error) (Facts, error) {
	policy, err := s.deps.Connections.EffectivePolicy(c)
	if err != nil {
		// Calls are refused for it as well, which is what the items are about then.
		problem, policy = errors.Join(problem, err), runtime.Policy{}
	}
	provider, err := s.deps.Providers.Find(c.Provider)
	if err != nil && !fault.Is(err, fault.NotFound) {
		return Facts{}, err
	}
	covered, err := s.deps.Alerts.Coverage(ctx, c)
	if err != nil {
		return Facts{}, err
	}
	return Facts{Connection: c, Policy: policy, Provider: provider, Alerts: covered, Problem: problem, Now: s.deps.Now()}, nil
}

// sample is how many of the newest calls are looked at one by one.
const sample = 100

// traffic is what was seen of a connection.
func (s *Service) traffic(ctx context.Context, c connections.Connection, from, now time.Time) (Traffic, error) {
	out := Traffic{Since: from}
	q := calls.RollupQuery{Connection: c.ID, From: from, To: now}
	var err error
	// The minute in which the configuration changed is not counted: it belongs to both.
	if from.After(now.Add(-observation)) {
		q.From = from.Truncate(time.Minute).Add(time.Minute)
	}
	if out.Figures, err = s.deps.Calls.Totals(ctx, q); err != nil || out.Calls == 0 {
		return out, err
	}
	points, err := s.deps.Calls.Series(ctx, q)
	if err != nil {
		return out, err
	}
	out.Minutes = make([]int64, len(points))
	for i, p := range points {
		out.Minutes[i] = p.Calls
	}
	page, err := s.deps.Calls.Search(ctx, calls.Query{Connection: c.Slug, From: from, Limit: sample})
	if err != nil {
		return out, err
	}
	out.Sampled = len(page.Calls)
	for _, r := range page.Calls {
		if r.Operation != "" {
			out.Documented++
		}
		if ended := r.StartedAt.Add(r.Duration); r.Outcome == runtime.OutcomeSuccess && ended.After(out.LastSuccess) {
			out.LastSuccess = ended
		}
	}
	return out, nil
}
