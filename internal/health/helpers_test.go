package health

import (
	"context"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"switchgear/db"
	"switchgear/internal/access"
	"switchgear/internal/calls"
	"switchgear/internal/connections"
	"switchgear/internal/fault"
	"switchgear/internal/runtime"
	"switchgear/internal/runtime/breaker"
	"switchgear/internal/runtime/ratelimit"
	"switchgear/internal/telemetry"
)

// world is a Service with everything around it that a process would have.
type world struct {
	*Service
	t testing.TB

	mu       sync.Mutex
	at       time.Time // the clock; zero for the real one
	list     []*connections.Standing
	weights  map[string]calls.Weight
	touched  []string
	versions map[string][]connections.Version
	rejected map[string]runtime.RejectedCredential
	breakers *breaker.Registry
	limiters *ratelimit.Registry
	asked    []time.Time
	target   runtime.Target // of the last request
	answers  runtime.ProbeResult
	rules    []runtime.OutcomeRule // of every policy
	asking   chan struct{}         // when set, a request waits for it
	topics   []string
}

func (w *world) Standings(a access.Actor) ([]*connections.Standing, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.list, a.Require(access.PermissionSystemRead)
}

func (w *world) Target(slug, _ string) (runtime.Target, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range w.list {
		if c.Slug == slug {
			policy := runtime.DefaultPolicy()
			policy.HealthCheck, policy.Outcomes = c.Check, w.rules
			return runtime.Target{ConnectionID: c.ID, Slug: slug, Policy: policy}, c.Problem
		}
	}
	return runtime.Target{}, fault.New(fault.NotFound, "", "no such connection")
}

func (w *world) Versions(_ context.Context, _ access.Actor, slug string) ([]connections.Version, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.versions[slug], nil
}

func (w *world) Weights() func(string) calls.Weight {
	return func(id string) calls.Weight {
		w.mu.Lock()
		defer w.mu.Unlock()
		return w.weights[id]
	}
}

func (w *world) Touched() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	touched := w.touched
	w.touched = nil
	return touched
}

func (w *world) Breakers() *breaker.Registry   { return w.breakers }
func (w *world) Limiters() *ratelimit.Registry { return w.limiters }

func (w *world) RejectedCredentials() map[string]runtime.RejectedCredential { return w.rejected }

func (w *world) probe(_ context.Context, target runtime.Target, method, path string) runtime.ProbeResult {
	w.mu.Lock()
	w.asked, w.target = append(w.asked, w.clock()), target
	answers, wait := w.answers, w.asking
	w.mu.Unlock()
	if wait != nil {
		<-wait
	}
	answers.Method, answers.URL = method, path
	return answers
}

func (w *world) clock() time.Time {
	if w.at.IsZero() {
		return time.Now()
	}
	return w.at
}

func (w *world) now() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.clock()
}

// newWorld has the connections of those slugs; each has its slug as its id, and no health check. Without a
// database nothing can be stored.
func newWorld(tb testing.TB, d *db.DB, slugs ...string) *world {
	tb.Helper()
	w := &world{t: tb, weights: map[string]calls.Weight{}, limiters: ratelimit.NewRegistry(), answers: runtime.ProbeResult{Status: 200, Outcome: runtime.OutcomeSuccess, Took: 120 * time.Millisecond}}
	var err error
	w.breakers, err = breaker.NewRegistry(breaker.Deps{
		Config: func(breaker.Key) (breaker.Config, error) {
			return breaker.Config{FailureRatio: 0.5, MinCalls: 2, Window: time.Minute, OpenFor: 30 * time.Second, MaxOpenFor: time.Minute, HealthyAfter: time.Minute, HalfOpenCalls: 1, HalfOpenTimeout: time.Minute}, nil
		},
		Record: func(context.Context, []breaker.Event) {},
	}, breaker.Settings{})
	must(tb, err)
	for _, slug := range slugs {
		w.list = append(w.list, &connections.Standing{Connection: &connections.Connection{ID: slug, Slug: slug, Name: slug, State: connections.StateActive}})
	}
	w.start(d)
	return w
}

// start is a new process on the same database.
func (w *world) start(d *db.DB) {
	w.t.Helper()
	deps := Deps{
		DB: d, Connections: w, Traffic: w, Protections: w, Probe: w.probe, Logger: telemetry.Discard(), Now: w.now,
		Notify: func(topic string) { w.topics = append(w.topics, topic) },
	}
	if d == nil {
		deps.DB = &db.DB{}
		w.Service = newService(deps, Config{})
		w.marks, w.checks.last = map[string]*mark{}, map[string]*Check{}
		return
	}
	var err error
	w.Service, err = New(w.t.Context(), deps, Config{})
	must(w.t, err)
}

// change replaces the list, as a change of a connection does.
func (w *world) change(slug string, f func(c *connections.Standing)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	next := slices.Clone(w.list)
	for i, before := range next {
		if before.Slug == slug {
			c, changed := *before.Connection, *before
			changed.Connection = &c
			f(&changed)
			next[i] = &changed
		}
	}
	w.list = next
}

func (w *world) pass(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.at = w.at.Add(d)
}

func (w *world) called(id string, weight calls.Weight) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.weights[id] = weight
	w.touched = append(w.touched, id)
}

// of is a connection on a Board that is made now.
func (w *world) of(id string) Item {
	w.t.Helper()
	w.published.Store(nil)
	b, err := w.Board(access.System())
	must(w.t, err)
	it, ok := b.Of(id)
	if !ok {
		w.t.Fatalf("there is no %s", id)
	}
	return it
}

// fail opens a breaker by two calls. Where it is that of an operation, enough other calls succeed.
func (w *world) fail(key breaker.Key) {
	w.t.Helper()
	call := func(key breaker.Key, verdict breaker.Verdict) {
		permit, err := w.breakers.Allow(key)
		must(w.t, err)
		permit.Done(breaker.Result{Verdict: verdict, Outcome: "unavailable"})
	}
	if key.Operation != "" {
		for range 3 {
			call(breaker.Key{Connection: key.Connection}, breaker.Success)
		}
	}
	call(key, breaker.Failure)
	call(key, breaker.Failure)
}

// throttle has the vendor of stripe ask for a pause of a minute.
func (w *world) throttle(account string) {
	w.t.Helper()
	limiter, err := w.limiters.Configure("stripe", ratelimit.Config{})
	must(w.t, err)
	grant, err := limiter.Reserve(w.t.Context(), ratelimit.Key{Credential: account}, 0)
	must(w.t, err)
	grant.Answered(http.StatusTooManyRequests, http.Header{"Retry-After": {"60"}})
}

func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}
