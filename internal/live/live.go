// Package live tells open pages that something changed.
//
// A change is announced by topic ("users", "sessions"), after its commit. Each open page holds one
// server-sent event stream and hears only *which* topics changed; the page then asks the normal handler
// for the fragment, so that authorization and rendering exist once. Invariants:
//
//   - [Hub.Publish] never blocks. A subscriber has a set of dirty topics, not a queue: a slow client
//     misses no topic, it only sees several changes as one.
//   - A signal may be lost when the process dies; pages poll slowly as well.
//   - A stream ends by itself: when its client goes, when its session is no longer allowed (checked at
//     every heartbeat), after its maximum life, or when the hub closes.
//   - The hub owns no goroutine; each stream runs in that of its request.
package live

import (
	"cmp"
	"log/slog"
	"slices"
	"sync"
	"time"

	"switchgear/internal/fault"
)

// Deps are what a Hub works with; all are required.
type Deps struct {
	Logger *slog.Logger
	Now    func() time.Time
}

// Config tunes a Hub. A zero field stands for the value in its comment.
type Config struct {
	Heartbeat    time.Duration // 20s: how often an idle stream is written to and its access checked again
	MaxLife      time.Duration // 30m: how long one stream may last before the browser has to reconnect
	WriteTimeout time.Duration // 10s: how long one write may take before the client counts as dead
	Retry        time.Duration // 2s: how long a browser waits before it reconnects
	PerUser      int           // 20: how many streams one user may hold
	MaxTopics    int           // 16: how many topics one stream may follow
}

func (c Config) withDefaults() Config {
	c.Heartbeat = cmp.Or(c.Heartbeat, 20*time.Second)
	c.MaxLife = cmp.Or(c.MaxLife, 30*time.Minute)
	c.WriteTimeout = cmp.Or(c.WriteTimeout, 10*time.Second)
	c.Retry = cmp.Or(c.Retry, 2*time.Second)
	c.PerUser = cmp.Or(c.PerUser, 20)
	c.MaxTopics = cmp.Or(c.MaxTopics, 16)
	return c
}

// Hub connects those who change things with the pages that show them. Make one with [New].
type Hub struct {
	deps Deps
	cfg  Config
	done chan struct{}

	mu      sync.Mutex
	closed  bool
	streams map[*subscriber]struct{}
	perUser map[string]int
	// moment counts publications; last is when each topic was published, as far as it is after forgotten.
	moment, forgotten uint64
	last              map[string]uint64
}

// maxRemembered bounds last: topics can name things, and things come and go.
const maxRemembered = 4096

// New makes a Hub. Close ends it.
func New(deps Deps, cfg Config) *Hub {
	return &Hub{
		deps: deps, cfg: cfg.withDefaults(), done: make(chan struct{}),
		streams: map[*subscriber]struct{}{}, perUser: map[string]int{}, last: map[string]uint64{},
	}
}

// Publish tells every stream that follows one of the topics. Call it after the commit. It never blocks
// and may be called from anywhere, also after Close, when it does nothing.
func (h *Hub) Publish(topics ...string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.moment++
	if len(h.last) >= maxRemembered {
		clear(h.last)
		h.forgotten = h.moment
	}
	for _, t := range topics {
		h.last[t] = h.moment
	}
	for s := range h.streams {
		s.mark(topics)
	}
}

// Moment is the present, as a page notes it before it reads what it shows. A stream that names it hears at
// once what changed between then and its beginning.
func (h *Hub) Moment() uint64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.moment
}

// changedSince returns those of the topics that were published after a moment, all of them when that is
// not known: after a restart moments begin anew.
func (h *Hub) changedSince(moment uint64, topics []string) []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	if moment > h.moment || moment < h.forgotten {
		return topics
	}
	var changed []string
	for _, t := range topics {
		if h.last[t] > moment {
			changed = append(changed, t)
		}
	}
	return changed
}

// Streams is the number of open streams.
func (h *Hub) Streams() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.streams)
}

// Close ends every stream and refuses new ones. It does not wait for them: the HTTP server does. Hand it
// to http.Server.RegisterOnShutdown, because Shutdown would otherwise wait for streams that never end.
// It may be called more than once.
func (h *Hub) Close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.closed {
		h.closed = true
		close(h.done)
	}
}

// subscribe registers a stream; the caller must call leave once.
func (h *Hub) subscribe(user string, topics []string) (s *subscriber, leave func(), err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return nil, nil, fault.New(fault.Unavailable, "SHUTTING_DOWN", "The server is about to stop.").WithRetryAfter(h.cfg.Retry)
	}
	if h.perUser[user] >= h.cfg.PerUser {
		return nil, nil, fault.New(fault.RateLimited, "TOO_MANY_STREAMS", "Too many pages are open at once. Close some of them.").WithRetryAfter(h.cfg.Heartbeat)
	}
	s = newSubscriber(topics)
	h.streams[s] = struct{}{}
	h.perUser[user]++
	return s, func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		delete(h.streams, s)
		if h.perUser[user]--; h.perUser[user] == 0 {
			delete(h.perUser, user)
		}
	}, nil
}

// subscriber is one stream's view of what changed since it last wrote.
type subscriber struct {
	topics []string
	// wake holds at most one signal: "there is something in dirty".
	wake chan struct{}

	mu    sync.Mutex
	dirty map[string]struct{}
}

func newSubscriber(topics []string) *subscriber {
	return &subscriber{topics: topics, wake: make(chan struct{}, 1), dirty: map[string]struct{}{}}
}

func (s *subscriber) mark(topics []string) {
	s.mu.Lock()
	for _, t := range topics {
		if slices.Contains(s.topics, t) {
			s.dirty[t] = struct{}{}
		}
	}
	some := len(s.dirty) > 0
	s.mu.Unlock()
	if !some {
		return
	}
	select {
	case s.wake <- struct{}{}:
	default: // a signal is already waiting
	}
}

// take empties the set and returns it in the order of subscription.
func (s *subscriber) take() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var changed []string
	for _, t := range s.topics {
		if _, ok := s.dirty[t]; ok {
			changed = append(changed, t)
		}
	}
	clear(s.dirty)
	return changed
}
