package whatif

import (
	"context"
	"crypto/rand"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"switchgear/internal/access"
	"switchgear/internal/fault"
)

// Bounds of what waits and of what is kept.
const (
	maxWaiting = 8
	maxKept    = 64
)

// Job is a question that is answered in the background, for somebody who wants to see how far it is and may
// take it back.
type Job struct {
	ID string

	owner    string
	slug     string
	question prepared
	cancel   context.CancelFunc
	ctx      context.Context //nolint:containedctx // The job ends when it is taken back, not with the request that asked.
	total    atomic.Int64
	passed   atomic.Int64
	done     chan struct{}
	// result and err are set before done is closed.
	result Result
	err    error
	ended  time.Time
}

// Done is closed when there is an answer.
func (j *Job) Done() <-chan struct{} { return j.done }

// Progress is how many of how many calls were replayed. It is 0 of 0 while others are before it.
func (j *Job) Progress() (done, of int) { return int(j.passed.Load()), int(j.total.Load()) }

// Result is the answer, once Done is closed. A job that was taken back has an error that is context.Canceled.
func (j *Job) Result() (Result, error) {
	select {
	case <-j.done:
		return j.result, j.err
	default:
		return Result{}, fault.New(fault.Conflict, "", "It is not done yet.")
	}
}

// jobs are those that wait, run, or were answered lately.
type jobs struct {
	queue chan *Job

	mu   sync.Mutex
	byID map[string]*Job
}

func newJobs() jobs { return jobs{queue: make(chan *Job, maxWaiting), byID: map[string]*Job{}} }

// Start asks a question in the background. When too many wait already it is fault.Unavailable.
func (s *Service) Start(ctx context.Context, a access.Actor, q Question) (*Job, error) {
	p, err := s.prepare(ctx, a, q)
	if err != nil {
		return nil, err
	}
	j := &Job{ID: rand.Text(), owner: a.ID, slug: p.connection.Slug, question: p, done: make(chan struct{})}
	j.ctx, j.cancel = context.WithCancel(context.WithoutCancel(ctx))
	s.jobs.mu.Lock()
	defer s.jobs.mu.Unlock()
	s.forget()
	if len(s.jobs.byID) >= maxKept {
		j.cancel()
		return nil, busy()
	}
	select {
	case s.jobs.queue <- j:
	default:
		j.cancel()
		return nil, busy()
	}
	s.jobs.byID[j.ID] = j
	return j, nil
}

// forget drops answers that nobody fetched in time. The caller holds the lock.
func (s *Service) forget() {
	for id, j := range s.jobs.byID {
		select {
		case <-j.done:
			if s.deps.Now().Sub(j.ended) > s.cfg.Keep {
				delete(s.jobs.byID, id)
			}
		default:
		}
	}
}

// Job finds a job of the same person about a connection; fault.NotFound when there is none, or no more.
func (s *Service) Job(a access.Actor, slug, id string) (*Job, error) {
	s.jobs.mu.Lock()
	defer s.jobs.mu.Unlock()
	j, ok := s.jobs.byID[id]
	if !ok || j.owner != a.ID || j.slug != slug {
		return nil, fault.New(fault.NotFound, "", "There is no such replay, or its result is no longer kept. Ask again.")
	}
	return j, nil
}

// Cancel takes a job back. Its result is not kept.
func (s *Service) Cancel(a access.Actor, slug, id string) error {
	j, err := s.Job(a, slug, id)
	if err != nil {
		return err
	}
	j.cancel()
	s.jobs.mu.Lock()
	defer s.jobs.mu.Unlock()
	delete(s.jobs.byID, id)
	return nil
}

// Serve answers jobs, one after the other, until ctx ends. It is a supervised worker.
func (s *Service) Serve(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case j := <-s.jobs.queue:
			s.answer(ctx, j)
		}
	}
}

func (s *Service) answer(ctx context.Context, j *Job) {
	defer j.cancel()
	stop := context.AfterFunc(ctx, j.cancel)
	defer stop()
	//nolint:contextcheck // The job has a context of its own, which ends with this one too.
	result, err := s.run(j.ctx, j.question, func(done, of int) {
		j.passed.Store(int64(done))
		j.total.Store(int64(of))
	})
	if err != nil && j.ctx.Err() != nil && !errors.Is(err, context.Canceled) {
		err = j.ctx.Err()
	}
	s.jobs.mu.Lock()
	j.result, j.err, j.ended = result, err, s.deps.Now()
	s.jobs.mu.Unlock()
	close(j.done)
}
