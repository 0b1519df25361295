package calls

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"switchgear/internal/fault"
	"switchgear/internal/runtime"
)

// provenCalls is how many successful calls in a row prove that a version works.
const provenCalls = 20

// proof follows the newest version of a connection that was called. A version is known to be good when
// its last 20 calls that say something about it succeeded, and none of its calls failed within Window.
//
// A failure is an outcome that counts against the upstream, or a credential that was not accepted: a
// version brings both. What else did not succeed (a 4xx, a limit, a caller that went away) says nothing
// about the version, neither way.
type proof struct {
	version   int
	successes int
	failedAt  time.Time
	done      bool
}

// add takes note of a call and reports whether it proves its version, at most once for each.
func (p *proof) add(rec runtime.Record, ended time.Time) bool {
	switch {
	case rec.Version < p.version:
		return false // it began before the version was replaced
	case rec.Version > p.version:
		*p = proof{version: rec.Version}
	}
	switch {
	case rec.Outcome.Failure() || rec.Outcome == runtime.OutcomeUnauthenticated:
		p.successes, p.failedAt = 0, later(p.failedAt, ended)
	case rec.Outcome == runtime.OutcomeSuccess:
		p.successes++
	}
	if p.done || p.successes < provenCalls || ended.Sub(p.failedAt) < Window {
		return false
	}
	p.done = true
	return true
}

// provenVersions collects what was proven until somebody fetches it.
type provenVersions struct {
	mu       sync.Mutex
	versions map[string]int
}

func (p *provenVersions) put(connectionID string, version int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.versions == nil {
		p.versions = map[string]int{}
	}
	p.versions[connectionID] = max(p.versions[connectionID], version)
}

func (p *provenVersions) take() map[string]int {
	p.mu.Lock()
	defer p.mu.Unlock()
	taken := p.versions
	p.versions = nil
	return taken
}

// Marks notes which versions of connections, by their ids, were seen to work, all or none of those that it is given;
// *connections.Service does.
type Marks interface {
	MarkKnownGood(ctx context.Context, versions map[string]int) error
}

// JudgeDeps are what a Judge works with; all are required.
type JudgeDeps struct {
	Log    *Log
	Marks  Marks
	Logger *slog.Logger
}

// Judge writes down which versions real traffic has proven. Make one with [NewJudge]; Serve must run.
type Judge struct{ deps JudgeDeps }

// NewJudge makes a Judge.
func NewJudge(deps JudgeDeps) (*Judge, error) {
	if deps.Log == nil || deps.Marks == nil || deps.Logger == nil {
		return nil, fault.New(fault.Internal, "", "calls: a dependency is missing")
	}
	return &Judge{deps: deps}, nil
}

// judgeInterval is how long a proof waits to be written down.
const judgeInterval = 2 * time.Second

// Serve writes down what was proven until ctx ends. It is a supervised worker: a call only notes its proof
// in memory. What cannot be stored is tried again.
func (j *Judge) Serve(ctx context.Context) error {
	tick := time.NewTicker(judgeInterval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
			j.write(ctx)
		}
	}
}

// provenAtOnce is how many proofs are written down together: nobody else changes a connection meanwhile.
const provenAtOnce = 500

func (j *Judge) write(ctx context.Context) {
	proven := j.deps.Log.recent.proven.take()
	for ids := range slices.Chunk(slices.Sorted(maps.Keys(proven)), provenAtOnce) {
		together := make(map[string]int, len(ids))
		for _, id := range ids {
			together[id] = proven[id]
		}
		if err := j.deps.Marks.MarkKnownGood(ctx, together); err != nil {
			for id, version := range together {
				j.deps.Log.recent.proven.put(id, version)
			}
			j.deps.Logger.LogAttrs(ctx, slog.LevelWarn, "versions that work are not marked yet",
				slog.Int("connections", len(ids)), slog.Any("error", err))
		}
	}
}
