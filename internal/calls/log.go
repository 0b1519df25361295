// Package calls is the call log: what went through the gateway, how it ended and how long each step took.
//
// Recording never slows a call down: [Log.Record] hands over to a bounded queue and returns. When the
// queue is full the entry is dropped and counted, visibly ([Log.Dropped]); the figures of [Log.Recent]
// still count the call, because they are kept in memory and not through the queue. Invariants:
//
//   - No entry holds a credential: the runtime hands over redacted headers and queries.
//   - An entry is written once; a row is never changed afterwards, only deleted by age or number.
//   - Bodies are kept apart, redacted before they come here; when too many of them wait, the entry is
//     stored without them, which is counted too ([Log.DroppedBodies]).
//   - Nothing here is needed to make a call: a log that cannot write loses entries, never traffic.
//   - What the traffic says about a version is noted in memory by the call and written by a [Judge].
package calls

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"switchgear/db"
	"switchgear/internal/fault"
	"switchgear/internal/runtime"
	"switchgear/internal/runtime/bodies"
)

// Deps are what a Log works with; all are required.
type Deps struct {
	DB     *db.DB
	Logger *slog.Logger
	// Notify is called after entries were stored, at most once in Config.Announce, with the topic "calls".
	// Every entry is followed by a call.
	Notify func(topic string)
	Now    func() time.Time
}

// Config tunes a Log. A zero field stands for the value in its comment.
type Config struct {
	Queue     int           // 8192: entries that may wait to be stored
	Bodies    int64         // 32 MiB: bodies that may wait with them
	Batch     int           // 2048: entries stored by one transaction
	Flush     time.Duration // 100ms: how long an entry waits for company
	MaxAge    time.Duration // 168h: entries older than this are deleted
	MaxRows   int           // 1,000,000: the oldest beyond this are deleted
	MaxBodies int64         // 512 MiB: the oldest bodies beyond this are deleted
	MaxRollup time.Duration // 2160h: figures by the minute and the hour older than this are deleted
	Retention time.Duration // 1m: how often deletion runs
	Scan      int           // 5,000: calls that one search looks at
	Announce  time.Duration // 1s: how often Notify is called at most
}

func (c Config) withDefaults() Config {
	c.Queue = cmp.Or(c.Queue, 8192)
	c.Batch = cmp.Or(c.Batch, 2048)
	c.Flush = cmp.Or(c.Flush, 100*time.Millisecond)
	c.MaxAge = cmp.Or(c.MaxAge, 7*24*time.Hour)
	c.MaxRows = cmp.Or(c.MaxRows, 1_000_000)
	c.Bodies = cmp.Or(c.Bodies, 32<<20)
	c.MaxBodies = cmp.Or(c.MaxBodies, 512<<20)
	c.MaxRollup = cmp.Or(c.MaxRollup, 90*24*time.Hour)
	c.Retention = cmp.Or(c.Retention, time.Minute)
	c.Scan = cmp.Or(c.Scan, 5_000)
	c.Announce = cmp.Or(c.Announce, time.Second)
	return c
}

// Log records calls and finds them again. Make one with [New]; Serve must run for entries to be stored.
type Log struct {
	deps    Deps
	cfg     Config
	store   store
	queue   chan runtime.Record
	dropped atomic.Int64
	waiting atomic.Int64 // bytes of bodies in the queue
	bodies  atomic.Int64 // dropped ones
	recent  *recent
	// Only Serve uses these.
	batch   []runtime.Record // room for the next batch, empty in between
	minutes openMinutes
	hours   time.Time // until when the figures by the hour are made
}

// New makes a Log and reads what the last minutes were like.
func New(ctx context.Context, deps Deps, cfg Config) (*Log, error) {
	if deps.DB == nil || deps.Logger == nil || deps.Notify == nil || deps.Now == nil {
		return nil, fault.New(fault.Internal, "", "calls: a dependency is missing")
	}
	cfg = cfg.withDefaults()
	l := &Log{deps: deps, cfg: cfg, store: newStore(deps.DB), queue: make(chan runtime.Record, cfg.Queue), recent: newRecent(), minutes: newOpenMinutes()}
	err := l.store.since(ctx, deps.Now().Add(-Window), func(r runtime.Record) { l.recent.add(r) })
	if err != nil {
		return nil, fmt.Errorf("calls: read the last minutes: %w", err)
	}
	return l, nil
}

// Record takes note of a finished call. It implements runtime.Recorder, never blocks, and may be called
// from anywhere.
func (l *Log) Record(r runtime.Record) {
	l.recent.add(r)
	size := bodyBytes(&r)
	if size > 0 && l.waiting.Add(size) > l.cfg.Bodies {
		l.waiting.Add(-size)
		l.bodies.Add(1)
		size = 0
		gone := bodies.Body{Note: "Not kept: bodies came faster than the log could store them."}
		r.Bodies = &runtime.Bodies{Request: gone, Response: gone}
	}
	select {
	case l.queue <- r:
	default:
		l.waiting.Add(-size)
		l.dropped.Add(1)
	}
}

// bodyBytes is what the bodies of an entry weigh.
func bodyBytes(r *runtime.Record) int64 {
	if r.Bodies == nil {
		return 0
	}
	return int64(len(r.Bodies.Request.Text) + len(r.Bodies.Response.Text))
}

// DroppedBodies is how many entries were stored without their bodies since the start, because bodies came
// faster than the disk takes them.
func (l *Log) DroppedBodies() int64 { return l.bodies.Load() }

// Queue is how many entries wait to be stored, and how many may.
func (l *Log) Queue() (waiting, capacity int) { return len(l.queue), cap(l.queue) }

// Dropped is how many entries were not stored since the start, because they came faster than the disk
// takes them or because storing failed.
func (l *Log) Dropped() int64 { return l.dropped.Load() }

// Serve stores entries until ctx ends, and then what is still waiting. It is a supervised worker.
func (l *Log) Serve(ctx context.Context) error {
	retention := time.NewTicker(l.cfg.Retention)
	defer retention.Stop()
	// The timer runs while announcing has to wait; what is stored meanwhile is announced by its end.
	wait := time.NewTimer(0)
	<-wait.C
	defer wait.Stop()
	waiting, unannounced := false, false
	announce := func() {
		waiting, unannounced = true, false
		wait.Reset(l.cfg.Announce)
		l.deps.Notify("calls")
	}
	for {
		select {
		case <-ctx.Done():
			l.drain(context.WithoutCancel(ctx))
			return ctx.Err()
		case <-retention.C:
			more, err := l.prune(ctx)
			if err != nil {
				l.deps.Logger.LogAttrs(ctx, slog.LevelError, "call log not pruned", slog.Any("error", err))
			}
			// What arrives in the meantime is stored between two parts of a large deletion.
			next := l.cfg.Retention
			if more {
				next = min(next, l.cfg.Flush)
			}
			retention.Reset(next)
		case first := <-l.queue:
			l.gather(ctx, first)
			l.save(ctx, l.batch)
			clear(l.batch) // What a call recorded is not held on to.
			if unannounced = true; !waiting {
				announce()
			}
		case <-wait.C:
			if waiting = false; unannounced {
				announce()
			}
		}
	}
}

// prune deletes what is too old or too much, and reports whether there is more of it.
func (l *Log) prune(ctx context.Context) (more bool, err error) {
	before := l.deps.Now().Add(-l.cfg.MaxAge)
	if more, err = l.store.prune(ctx, before, l.cfg.MaxRows); err != nil || more {
		return more, err
	}
	if err := l.store.pruneBodies(ctx, before, l.cfg.MaxBodies); err != nil {
		return false, err
	}
	return false, l.keepRollups(ctx)
}

// gather waits a moment for more entries, so that one transaction stores many. It fills l.batch.
func (l *Log) gather(ctx context.Context, first runtime.Record) {
	l.batch = append(l.batch[:0], first)
	window := time.NewTimer(l.cfg.Flush)
	defer window.Stop()
	for len(l.batch) < l.cfg.Batch {
		select {
		case r := <-l.queue:
			l.batch = append(l.batch, r)
		case <-window.C:
			return
		case <-ctx.Done():
			return
		}
	}
}

func (l *Log) drain(ctx context.Context) {
	for {
		var batch []runtime.Record
		for len(batch) < l.cfg.Batch && len(l.queue) > 0 {
			batch = append(batch, <-l.queue)
		}
		if len(batch) == 0 {
			return
		}
		l.save(ctx, batch)
	}
}

// save stores a batch on a context of its own: the end of the process must not cut a commit short.
func (l *Log) save(ctx context.Context, batch []runtime.Record) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	var size int64
	for i := range batch {
		size += bodyBytes(&batch[i])
	}
	defer l.waiting.Add(-size)
	l.reopenHours(batch)
	if err := l.store.insert(ctx, batch, l.minutes, l.deps.Now()); err != nil {
		l.dropped.Add(int64(len(batch)))
		l.deps.Logger.LogAttrs(ctx, slog.LevelError, "calls not logged", slog.Int("entries", len(batch)), slog.Any("error", err))
	}
}
