package whatif

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"switchgear/internal/access"
	"switchgear/internal/calls"
	"switchgear/internal/connections"
	"switchgear/internal/fault"
	"switchgear/internal/runtime"
	"switchgear/internal/runtime/breaker"
)

// definitions are the connections; *connections.Service has them.
type definitions interface {
	Find(ctx context.Context, a access.Actor, slug string) (connections.Connection, error)
	PolicySet(c connections.Connection, own json.RawMessage) (runtime.PolicySet, error)
}

// callLog is what happened; *calls.Log knows it.
type callLog interface {
	Stretch(ctx context.Context, connectionID string, since, until time.Time, most int) (calls.Stretch, error)
	Newest(ctx context.Context, s calls.Stretch, most int) (calls.Stretch, error)
	EachPast(ctx context.Context, s calls.Stretch, fn func(page []calls.Past) error) error
	Dropped() int64
}

// overrides says what the live breakers are; *breaker.Registry does.
type overrides interface {
	Snapshot(key breaker.Key) (breaker.Snapshot, bool)
}

// Deps are what a Service works with; all are required.
type Deps struct {
	Connections definitions
	Calls       callLog
	Breakers    overrides
	Now         func() time.Time
}

// Config tunes a Service. A zero field stands for the value in its comment.
type Config struct {
	MaxCalls  int           // 1,000,000: of more, the newest are replayed
	MaxTime   time.Duration // 20s: a replay that would take longer is made of the newest calls that fit
	MaxWindow time.Duration // 744h: how far back may be asked for
	Keep      time.Duration // 10m: how long the result of a job can be fetched
}

func (c Config) withDefaults() Config {
	c.MaxCalls = cmp.Or(c.MaxCalls, 1_000_000)
	c.MaxTime = cmp.Or(c.MaxTime, 20*time.Second)
	c.MaxWindow = cmp.Or(c.MaxWindow, 31*24*time.Hour)
	c.Keep = cmp.Or(c.Keep, 10*time.Minute)
	return c
}

// DefaultWindow is how far back is looked when nobody says otherwise.
const DefaultWindow = 7 * 24 * time.Hour

// Service answers what other settings would have done. Serve must run for jobs to be done.
type Service struct {
	deps Deps
	cfg  Config
	// turn is held by the one replay that runs: it uses a core, and calls need them too.
	turn chan struct{}
	jobs jobs
}

// New makes a Service.
func New(deps Deps, cfg Config) (*Service, error) {
	if deps.Connections == nil || deps.Calls == nil || deps.Breakers == nil || deps.Now == nil {
		return nil, fault.New(fault.Internal, "", "whatif: a dependency is missing")
	}
	return &Service{deps: deps, cfg: cfg.withDefaults(), turn: make(chan struct{}, 1), jobs: newJobs()}, nil
}

// Question is what somebody wants to know.
type Question struct {
	Slug string
	// Policy would be the whole policy of the connection's own.
	Policy json.RawMessage
	// Of is the version whose policy that is, 0 for an edit.
	Of int
	// Since is how far back to look, 0 stands for DefaultWindow.
	Since time.Duration
}

// Result is what two policies would have done to the same calls.
type Result struct {
	Slug string
	// Version is whose policy is in force.
	Version int
	// Of is the version that the policy was of, 0 for an edit.
	Of int
	// Since and Until are what was asked for, From what was replayed: later than Since where calls were too many.
	Since, From, Until time.Time
	Sample             Sample
	// Older is how many calls were left out because they are too many.
	Older       int
	Now, Edited Figures
	// Same is true when both policies have the same breakers and limits.
	Same bool
	// Caveats say what the figures cannot know, in sentences.
	Caveats []string
}

// Empty reports whether there was nothing to go by.
func (r *Result) Empty() bool { return r.Sample.Calls == 0 }

// Summary says what the edited policy would have done, and the one in force.
func (r *Result) Summary() string {
	switch {
	case r.Empty():
		return "No calls were recorded in this time, so there is nothing to try the settings on."
	case r.Same:
		if r.Of > 0 {
			return fmt.Sprintf("Going back to v%d changes neither breakers nor limits: both %s.", r.Of, r.Now.Sentence())
		}
		return "The edit changes neither breakers nor limits: both " + r.Now.Sentence() + "."
	}
	if r.Of > 0 {
		return fmt.Sprintf("The settings of v%d %s. Those in force %s.", r.Of, r.Edited.Sentence(), r.Now.Sentence())
	}
	return "The edited settings " + r.Edited.Sentence() + ". Those in force " + r.Now.Sentence() + "."
}

// prepared is a question that passed every check.
type prepared struct {
	connection   connections.Connection
	now, edited  runtime.PolicySet
	since, until time.Time
	of           int
}

// prepare checks a question. It needs the permission to read connections; what is wrong with the policy is
// fault.Invalid with its field, as when it is saved.
func (s *Service) prepare(ctx context.Context, a access.Actor, q Question) (prepared, error) {
	if q.Since = cmp.Or(q.Since, DefaultWindow); q.Since < time.Minute || q.Since > s.cfg.MaxWindow {
		return prepared{}, fault.Field("INVALID_SINCE", "since", fmt.Sprintf("It must be between 1m and %s.", hours(s.cfg.MaxWindow))).WithValue(q.Since.String())
	}
	c, err := s.deps.Connections.Find(ctx, a, q.Slug)
	if err != nil {
		return prepared{}, err
	}
	p := prepared{connection: c, until: s.deps.Now(), of: q.Of}
	p.since = p.until.Add(-q.Since)
	if p.edited, err = s.deps.Connections.PolicySet(c, q.Policy); err != nil {
		return prepared{}, err
	}
	p.now, err = s.deps.Connections.PolicySet(c, c.Policy)
	return p, err
}

func hours(d time.Duration) string { return fmt.Sprintf("%dh", int(d/time.Hour)) }

// Ask answers a question while the caller waits, for as long as ctx allows.
func (s *Service) Ask(ctx context.Context, a access.Actor, q Question) (Result, error) {
	p, err := s.prepare(ctx, a, q)
	if err != nil {
		return Result{}, err
	}
	return s.run(ctx, p, func(int, int) {})
}

// run replays the calls. progress is told how many of how many are done.
func (s *Service) run(ctx context.Context, p prepared, progress func(done, of int)) (Result, error) {
	patience := time.NewTimer(s.cfg.MaxTime)
	defer patience.Stop()
	select {
	case s.turn <- struct{}{}:
		defer func() { <-s.turn }()
	case <-patience.C:
		return Result{}, busy()
	case <-ctx.Done():
		return Result{}, context.Cause(ctx)
	}
	part, err := s.deps.Calls.Stretch(ctx, p.connection.ID, p.since, p.until, s.cfg.MaxCalls)
	if err != nil {
		return Result{}, err
	}
	began := s.deps.Now()
	for {
		r, err := s.replay(ctx, p, part, began, progress)
		slow, ok := errors.AsType[*tooSlowError](err)
		if !ok {
			if err != nil {
				return Result{}, err
			}
			return s.result(p, part, r), nil
		}
		if part, err = s.deps.Calls.Newest(ctx, part, slow.fit); err != nil {
			return Result{}, err
		}
	}
}

func busy() error {
	return fault.New(fault.Unavailable, "WHATIF_BUSY", "Others replay calls right now. Try again in a moment.").WithRetryAfter(10 * time.Second)
}

// tooSlowError says that not all calls can be replayed in time, but so many.
type tooSlowError struct{ fit int }

func (e *tooSlowError) Error() string { return fmt.Sprintf("only %d calls fit into the time", e.fit) }

// measured is how many calls are replayed before the rest is estimated.
const measured = 20_000

func (s *Service) replay(ctx context.Context, p prepared, part calls.Stretch, began time.Time, progress func(done, of int)) (*replay, error) {
	r, err := newReplay(ctx, &p.now, &p.edited, part.From)
	if err != nil {
		return nil, err
	}
	started, done, next := s.deps.Now(), 0, measured
	err = s.deps.Calls.EachPast(ctx, part, func(page []calls.Past) error {
		if err := r.page(page); err != nil {
			return err
		}
		done += len(page)
		progress(done, max(done, part.Calls))
		if done < next {
			return nil
		}
		next += measured
		now := s.deps.Now()
		spent, left := now.Sub(started), s.cfg.MaxTime-now.Sub(began)
		ahead := max(0, part.Calls-done)
		if need := time.Duration(float64(spent) / float64(done) * float64(ahead)); need > left {
			// Half of what would fit: a second beginning after this one must not be in vain.
			fit := int(float64(max(0, left)) / float64(max(1, spent)) * float64(done) / 2)
			return &tooSlowError{fit: min(max(fit, 1_000), part.Calls/2)}
		}
		return nil
	})
	return r, err
}

func (s *Service) result(p prepared, part calls.Stretch, r *replay) Result {
	out := Result{
		Slug: p.connection.Slug, Version: p.connection.Version, Of: p.of, Since: part.Since, From: part.From, Until: part.Until, Older: part.Older,
		Sample: r.sample, Now: r.now.finish(part.Until), Edited: r.edited.finish(part.Until),
	}
	out.Same = sameProtections(&p.now, &p.edited)
	out.Caveats = s.caveats(p, part, &out)
	return out
}
