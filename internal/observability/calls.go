package observability

import (
	"maps"
	"net/http"
	"sync"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"

	"switchgear/internal/runtime"
)

// other stands for a method or an outcome that is in no table.
const other = "other"

// Calls counts calls and times them. It is a [runtime.Recorder]: the way of a call costs it a few lookups
// and additions and, but for the first call of a kind, no memory. Make one with [NewCalls].
type Calls struct {
	slugs    func() map[string]string
	calls    *prometheus.CounterVec
	attempts *prometheus.CounterVec
	retries  *prometheus.CounterVec
	hedges   *prometheus.CounterVec
	won      *prometheus.CounterVec
	fallback *prometheus.CounterVec
	duration *prometheus.HistogramVec
	outcomes map[runtime.Outcome]uint8 // numbers from 1 on; 0 is unknown
	known    sync.Map                  // slug → *series
}

// series are the counters of one connection that were needed so far.
type series struct {
	duration prometheus.Observer
	retries  prometheus.Counter

	mu       sync.Mutex // of changes
	counters atomic.Pointer[map[seriesKey]prometheus.Counter]
}

type seriesKey struct{ method, outcome uint8 }

// attempts as a method marks the counters of attempts.
const attemptsMethod = 0xff

// NewCalls makes a recorder. slugs maps the ids of the connections that exist to their slugs.
func NewCalls(slugs func() map[string]string) *Calls {
	c := &Calls{
		slugs: slugs,
		calls: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "switchgear_calls_total", Help: "Calls through the gateway, by connection, method and how they ended.",
		}, []string{"integration", "method", "outcome"}),
		attempts: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "switchgear_attempts_total", Help: "Requests sent to upstreams, or tried to be, by connection and how they ended.",
		}, []string{"integration", "outcome"}),
		retries: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "switchgear_retries_total", Help: "Attempts beyond the first of a call, by connection; without those that raced another one.",
		}, []string{"integration"}),
		hedges: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "switchgear_hedges_total", Help: "Requests that were sent beside one that was slow to answer, by connection.",
		}, []string{"integration"}),
		won: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "switchgear_hedges_won_total", Help: "Those of them that were answered first, by connection.",
		}, []string{"integration"}),
		fallback: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "switchgear_fallbacks_total", Help: "Calls that were answered by something else than their upstream and the cache, by connection and what it was: static or connection.",
		}, []string{"integration", "fallback"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "switchgear_call_duration_seconds",
			Help:    "Time from the request of a caller to the end of the answer, retries and waiting included, by connection.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30},
		}, []string{"integration"}),
		outcomes: map[runtime.Outcome]uint8{},
	}
	for i, rule := range runtime.Rules() {
		c.outcomes[rule.Outcome] = uint8(i + 1)
	}
	return c
}

// Record implements [runtime.Recorder].
func (c *Calls) Record(rec runtime.Record) {
	s := c.of(rec.Slug)
	outcome := c.outcomes[rec.Outcome]
	s.counter(c, seriesKey{methodNumber(rec.Method), outcome}, &rec).Inc()
	s.duration.Observe(rec.Duration.Seconds())
	if again := rec.Attempts - 1 - rec.Hedges - rec.Fallback.Attempts; again > 0 {
		s.retries.Add(float64(again))
	}
	if rec.Hedges > 0 {
		c.hedges.WithLabelValues(rec.Slug).Add(float64(rec.Hedges))
		won := c.won.WithLabelValues(rec.Slug)
		if rec.HedgeWon {
			won.Inc()
		}
	}
	for _, earlier := range rec.Retried {
		s.attempt(c, earlier.Outcome, &rec, 1)
	}
	if f := &rec.Fallback; f.Attempts > 0 { // They went to the other one.
		c.attempts.WithLabelValues(f.Connection, string(f.Outcome)).Add(float64(f.Attempts))
	}
	if rec.Fallback.Kind != "" {
		c.fallback.WithLabelValues(rec.Slug, rec.Fallback.Kind).Inc()
	}
	if n := rec.Attempts - len(rec.Retried) - rec.Fallback.Attempts; n > 0 {
		s.attempt(c, rec.Outcome, &rec, n)
	}
}

// of returns the counters of a connection.
func (c *Calls) of(slug string) *series {
	if known, ok := c.known.Load(slug); ok {
		s, _ := known.(*series)
		return s
	}
	s := &series{duration: c.duration.WithLabelValues(slug), retries: c.retries.WithLabelValues(slug)}
	s.counters.Store(&map[seriesKey]prometheus.Counter{})
	known, _ := c.known.LoadOrStore(slug, s)
	s, _ = known.(*series)
	return s
}

func (s *series) attempt(c *Calls, outcome runtime.Outcome, rec *runtime.Record, n int) {
	s.counter(c, seriesKey{attemptsMethod, c.outcomes[outcome]}, rec).Add(float64(n))
}

// counter returns the counter of a kind of calls, or of attempts, and makes it for the first.
func (s *series) counter(c *Calls, key seriesKey, rec *runtime.Record) prometheus.Counter {
	if found, ok := (*s.counters.Load())[key]; ok {
		return found
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	made := other
	if key.outcome > 0 {
		made = string(runtime.Rules()[key.outcome-1].Outcome)
	}
	var counter prometheus.Counter
	if key.method == attemptsMethod {
		counter = c.attempts.WithLabelValues(rec.Slug, made)
	} else {
		counter = c.calls.WithLabelValues(rec.Slug, methods()[key.method], made)
	}
	next := maps.Clone(*s.counters.Load())
	next[key] = counter
	s.counters.Store(&next)
	return counter
}

// methods are the label values of methods.
func methods() [8]string {
	return [...]string{
		other, http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions,
	}
}

// methodNumber is the index in methods: callers invent methods freely.
func methodNumber(method string) uint8 {
	switch method {
	case http.MethodGet:
		return 1
	case http.MethodHead:
		return 2
	case http.MethodPost:
		return 3
	case http.MethodPut:
		return 4
	case http.MethodPatch:
		return 5
	case http.MethodDelete:
		return 6
	case http.MethodOptions:
		return 7
	}
	return 0
}

// Describe implements [prometheus.Collector].
func (c *Calls) Describe(ch chan<- *prometheus.Desc) {
	for _, vec := range c.all() {
		vec.Describe(ch)
	}
}

// Collect implements [prometheus.Collector]. Connections that no longer exist are forgotten first.
func (c *Calls) Collect(ch chan<- prometheus.Metric) {
	exists := map[string]bool{}
	for _, slug := range c.slugs() {
		exists[slug] = true
	}
	c.known.Range(func(key, _ any) bool {
		if slug, _ := key.(string); !exists[slug] {
			c.known.Delete(key)
			gone := prometheus.Labels{"integration": slug}
			c.calls.DeletePartialMatch(gone)
			c.attempts.DeletePartialMatch(gone)
			c.retries.DeletePartialMatch(gone)
			c.hedges.DeletePartialMatch(gone)
			c.won.DeletePartialMatch(gone)
			c.fallback.DeletePartialMatch(gone)
			c.duration.DeletePartialMatch(gone)
		}
		return true
	})
	for _, vec := range c.all() {
		vec.Collect(ch)
	}
}

func (c *Calls) all() []prometheus.Collector {
	return []prometheus.Collector{c.calls, c.attempts, c.retries, c.hedges, c.won, c.fallback, c.duration}
}
