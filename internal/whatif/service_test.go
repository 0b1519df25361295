package whatif

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"switchgear/internal/access"
	"switchgear/internal/calls"
	"switchgear/internal/connections"
	"switchgear/internal/fault"
	"switchgear/internal/runtime"
	"switchgear/internal/runtime/breaker"
)

// world is one connection with a made-up log.
type world struct {
	*Service
	t       *testing.T
	page    func(n int) calls.Past // call n of the log, from 0
	n       int
	oldest  time.Time
	dropped int64
	mode    breaker.Mode
	now     time.Time
	took    time.Duration // of one page
	pages   int
	visited func(pages int)
}

func newWorld(t *testing.T, cfg Config) *world {
	t.Helper()
	w := &world{t: t, now: noon().Add(24 * time.Hour), mode: breaker.ModeAuto, oldest: noon().Add(-30 * 24 * time.Hour)}
	w.page = func(n int) calls.Past {
		return calls.Past{
			At: noon().Add(time.Duration(n) * 50 * time.Millisecond), Method: "GET", Path: "/v1/charges", Account: "default",
			Outcome: outcome([]rune("ssssssf")[n%7]), Attempts: 1, Duration: 200 * time.Millisecond, FirstByte: 150 * time.Millisecond,
		}
	}
	var err error
	w.Service, err = New(Deps{Connections: w, Calls: w, Breakers: w, Now: func() time.Time { return w.now }}, cfg)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *world) Find(_ context.Context, a access.Actor, slug string) (connections.Connection, error) {
	if err := a.Require(access.PermissionSystemRead); err != nil {
		return connections.Connection{}, err
	}
	if slug != "stripe" {
		return connections.Connection{}, fault.New(fault.NotFound, "", "There is no such connection.")
	}
	return connections.Connection{ID: "con_1", Slug: "stripe", Version: 3, Policy: json.RawMessage(`{}`)}, nil
}

func (w *world) PolicySet(_ connections.Connection, own json.RawMessage) (runtime.PolicySet, error) {
	policy, err := runtime.MergePolicy(runtime.DefaultPolicy(), own)
	return runtime.PolicySet{ConnectionID: "con_1", Policy: policy}, err
}

func (w *world) Stretch(ctx context.Context, id string, since, until time.Time, most int) (calls.Stretch, error) {
	return w.Newest(ctx, calls.Stretch{ConnectionID: id, Since: since, From: since, Until: until, Calls: w.n, Oldest: w.oldest}, most)
}

func (w *world) Newest(_ context.Context, s calls.Stretch, most int) (calls.Stretch, error) {
	if s.Calls > most {
		s.Older, s.Calls = s.Older+s.Calls-most, most
		s.From = w.page(w.n - most).At
	}
	return s, nil
}

func (w *world) EachPast(ctx context.Context, s calls.Stretch, fn func(page []calls.Past) error) error {
	page := make([]calls.Past, 0, 2000)
	for n := w.n - s.Calls; n < w.n; {
		if err := ctx.Err(); err != nil {
			return err
		}
		page = page[:0]
		for ; n < w.n && len(page) < cap(page); n++ {
			page = append(page, w.page(n))
		}
		w.pages++
		w.now = w.now.Add(w.took)
		if err := fn(page); err != nil {
			return err
		}
		if w.visited != nil {
			w.visited(w.pages)
		}
	}
	return nil
}

func (w *world) Dropped() int64 { return w.dropped }

func (w *world) Snapshot(breaker.Key) (breaker.Snapshot, bool) {
	return breaker.Snapshot{Mode: w.mode}, true
}

func viewer() access.Actor {
	return access.Actor{Kind: access.KindUser, ID: "usr_1", Name: "vera", Role: access.RoleViewer}
}

func (w *world) ask(policy string) Result {
	w.t.Helper()
	r, err := w.Ask(w.t.Context(), viewer(), Question{Slug: "stripe", Policy: json.RawMessage(policy)})
	if err != nil {
		w.t.Fatal(err)
	}
	return r
}

// says wants a caveat, or none, that contains each text.
func (w *world) says(r Result, texts ...string) {
	w.t.Helper()
	if len(r.Caveats) != len(texts)+1 {
		w.t.Errorf("%d caveats, want %d: %q", len(r.Caveats), len(texts)+1, r.Caveats)
		return
	}
	for i, text := range texts {
		if !strings.Contains(r.Caveats[i+1], text) {
			w.t.Errorf("caveat %q does not say %q", r.Caveats[i+1], text)
		}
	}
}

func TestAsk(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Config{})
	w.n = 7000
	r := w.ask(`{"breaker":{"failure_ratio":0.1,"open_for":"10s"}}`)
	if r.Version != 3 || r.Same || r.Sample.Calls != 7000 || r.Sample.Failing != 1000 || r.Sample.Good != 6000 || r.Now.Opened != 0 || r.Edited.Opened == 0 ||
		!r.Since.Equal(w.now.Add(-7*24*time.Hour)) || !r.From.Equal(r.Since) {
		t.Errorf("%+v", r)
	}
	w.says(r)
	if r = w.ask(`{}`); !r.Same || r.Now.Sent != 7000 || r.Edited.Sent != 7000 {
		t.Errorf("%+v", r)
	}
	if s := r.Summary(); s != "The edit changes neither breakers nor limits: both would never have opened." {
		t.Error(s)
	}
	w.n = 0
	if r = w.ask(`{}`); !r.Empty() || r.Summary() != "No calls were recorded in this time, so there is nothing to try the settings on." {
		t.Errorf("%+v", r)
	}
}

func TestCaveats(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		change func(w *world)
		policy string
		want   []string
	}{
		"nothing to say": {policy: `{"breaker":{"min_calls":5}}`},
		"pruned":         {change: func(w *world) { w.oldest = noon() }, want: []string{"The call log begins 2026-03-01 12:00 UTC"}},
		"lost":           {change: func(w *world) { w.dropped = 1200 }, want: []string{"lost 1,200 calls"}},
		"too many": {
			change: func(w *world) { w.n = 5000 },
			want:   []string{"the newest 3,000 are replayed, 2,000 older ones are left out"},
		},
		"refused then": {
			change: func(w *world) {
				w.page = func(n int) calls.Past {
					return calls.Past{At: noon().Add(time.Duration(n)), Outcome: runtime.OutcomeRejectedLocal, ErrorCode: breaker.CodeOpen}
				}
			},
			want: []string{"100 of these calls were refused at the time and never sent"},
		},
		"attempts of which nothing is known": {
			change: func(w *world) {
				page := w.page
				w.page = func(n int) calls.Past {
					c := page(n)
					c.Attempts = 3
					return c
				}
			},
			want: []string{"Of 200 repeated attempts the log does not tell the outcome"},
		},
		"throttled": {
			change: func(w *world) {
				page := w.page
				w.page = func(n int) calls.Past {
					c := page(n)
					c.Outcome = runtime.OutcomeThrottled
					return c
				}
			},
			want: []string{"The vendor answered 100 attempts with a limit of its own"},
		},
		"more is edited": {
			policy: `{"timeout":"5s","retry":{"max_attempts":1},"bulkhead":{"max_in_flight":3},"cache":{"ttl":"1m"},"outcomes":[{"status":404,"outcome":"success"}]}`,
			want:   []string{"also changes timeouts, retries, the bulkhead, the cache, what answers mean: that is not replayed"},
		},
		"overridden": {change: func(w *world) { w.mode = breaker.ModeForcedOpen }, want: []string{"overridden now (forced open)"}},
		"no breaker": {policy: `{"breaker":{"enabled":false}}`, want: []string{"The edited policy has no breaker"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, Config{MaxCalls: 3000})
			w.n = 100
			if tt.change != nil {
				tt.change(w)
			}
			policy := tt.policy
			if policy == "" {
				policy = `{}`
			}
			w.says(w.ask(policy), tt.want...)
		})
	}
}

// What asked the protections for nothing is not replayed, but counted.
func TestWhatIsNotReplayed(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Config{})
	list := []calls.Past{
		{Outcome: runtime.OutcomeSuccess, Cache: "hit"},
		{Outcome: runtime.OutcomeRejectedLocal, ErrorCode: runtime.CodeCredential},
		{Outcome: runtime.OutcomeCanceled},
		{Outcome: runtime.OutcomeRejectedLocal, ErrorCode: breaker.CodeOpen, Cache: "stale"},
		{Outcome: runtime.OutcomeUnauthenticated, Attempts: 1},
	}
	w.n = len(list)
	w.page = func(n int) calls.Past {
		c := list[n]
		c.At = noon().Add(time.Duration(n) * time.Second)
		return c
	}
	if s := w.ask(`{}`).Sample; s.Cached != 1 || s.Unsent != 2 || s.Refused != 1 || s.Calls != 2 || s.Attempts != 1 {
		t.Errorf("%+v", s)
	}
}

// When all calls do not fit into the time, the newest that do are replayed.
func TestBudget(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Config{MaxTime: 10 * time.Second})
	w.n, w.took = 200_000, time.Second // 2,000 calls a second
	r := w.ask(`{}`)
	if r.Sample.Calls >= 20_000 || r.Sample.Calls < 1000 || r.Older+r.Sample.Calls != w.n || !r.From.Equal(w.page(w.n-r.Sample.Calls).At) {
		t.Errorf("replayed %d, left out %d, from %s", r.Sample.Calls, r.Older, r.From)
	}
	w.says(r, "older ones are left out")
}

func TestCancelled(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Config{})
	w.n = 100_000
	ctx, cancel := context.WithCancel(t.Context())
	w.visited = func(pages int) {
		if pages == 3 {
			cancel()
		}
	}
	if _, err := w.Ask(ctx, viewer(), Question{Slug: "stripe"}); !errors.Is(err, context.Canceled) || w.pages != 3 {
		t.Errorf("%v after %d pages", err, w.pages)
	}
	w.visited = nil
	if r := w.ask(`{}`); r.Sample.Calls != w.n {
		t.Errorf("the next one replays %d calls", r.Sample.Calls)
	}
}

func TestRefusedQuestions(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Config{})
	key := access.Actor{Kind: access.KindAPIKey, ID: "key_1", Scopes: []access.Scope{"call:stripe"}}
	for name, tt := range map[string]struct {
		actor access.Actor
		q     Question
		kind  fault.Kind
	}{
		"no right to read":   {key, Question{Slug: "stripe"}, fault.Forbidden},
		"no such connection": {viewer(), Question{Slug: "nobody"}, fault.NotFound},
		"a wrong policy":     {viewer(), Question{Slug: "stripe", Policy: json.RawMessage(`{"breaker":{"window":"0s"}}`)}, fault.Invalid},
		"too far back":       {viewer(), Question{Slug: "stripe", Since: 1000 * time.Hour}, fault.Invalid},
		"no time at all":     {viewer(), Question{Slug: "stripe", Since: time.Second}, fault.Invalid},
	} {
		if _, err := w.Ask(t.Context(), tt.actor, tt.q); !fault.Is(err, tt.kind) {
			t.Errorf("%s: asked: %v", name, err)
		}
		if _, err := w.Start(t.Context(), tt.actor, tt.q); !fault.Is(err, tt.kind) {
			t.Errorf("%s: started: %v", name, err)
		}
	}
}

func TestJobs(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, Config{})
		w.n = 10_000
		gate := make(chan struct{})
		w.visited = func(pages int) {
			if pages == 2 {
				<-gate
			}
		}
		ctx, stop := context.WithCancel(t.Context())
		served := make(chan error, 1)
		go func() { served <- w.Serve(ctx) }()
		q := Question{Slug: "stripe", Policy: json.RawMessage(`{}`)}
		first, err := w.Start(t.Context(), viewer(), q)
		if err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if done, of := first.Progress(); done != 4000 || of != 10_000 {
			t.Errorf("%d of %d", done, of)
		}
		if _, err := first.Result(); !fault.Is(err, fault.Conflict) {
			t.Errorf("a result before its end: %v", err)
		}
		// Somebody else does not see it.
		other := viewer()
		other.ID = "usr_2"
		for _, err := range []error{
			func() error { _, err := w.Job(other, "stripe", first.ID); return err }(),
			func() error { _, err := w.Job(viewer(), "other", first.ID); return err }(),
			w.Cancel(other, "stripe", first.ID),
		} {
			if !fault.Is(err, fault.NotFound) {
				t.Errorf("somebody else: %v", err)
			}
		}
		// The queue is bounded.
		var queued []*Job
		for {
			j, err := w.Start(t.Context(), viewer(), q)
			if err != nil {
				if fault.CodeOf(err) != "WHATIF_BUSY" || len(queued) != maxWaiting {
					t.Errorf("after %d: %v", len(queued), err)
				}
				break
			}
			queued = append(queued, j)
		}
		for _, j := range queued[1:] {
			if err := w.Cancel(viewer(), "stripe", j.ID); err != nil {
				t.Error(err)
			}
		}
		close(gate)
		<-first.Done()
		if r, err := first.Result(); err != nil || r.Sample.Calls != w.n {
			t.Errorf("%+v %v", r, err)
		}
		for n, j := range queued {
			<-j.Done()
			if _, err := j.Result(); (n == 0) != (err == nil) || n > 0 && !errors.Is(err, context.Canceled) {
				t.Errorf("job %d: %v", n, err)
			}
		}
		// A result can be fetched for a while.
		if j, err := w.Job(viewer(), "stripe", first.ID); err != nil || j != first {
			t.Error(err)
		}
		w.now = w.now.Add(11 * time.Minute)
		if _, err := w.Start(t.Context(), viewer(), q); err != nil {
			t.Error(err)
		}
		if _, err := w.Job(viewer(), "stripe", first.ID); !fault.Is(err, fault.NotFound) {
			t.Errorf("an old result: %v", err)
		}
		synctest.Wait()
		stop()
		if err := <-served; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
}

// However many calls go through, what is held is what is under way at once.
func TestMemoryIsBounded(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Config{})
	set := policySet(t, `{"rate_limits":[{"requests":15,"per":"1s"}],"operations":[{"id":"charges","path":"/v1/charges","policy":{"breaker":{"min_calls":10}}}]}`)
	r, err := newReplay(t.Context(), set, set, noon())
	if err != nil {
		t.Fatal(err)
	}
	most := 0
	for n := range 200_000 {
		if err := r.page([]calls.Past{w.page(n)}); err != nil {
			t.Fatal(err)
		}
		most = max(most, len(r.edited.agenda.list)+r.edited.limiter.Waiting())
	}
	// 15 a second of 200 ms are under way, and 20 a second wait for two seconds at most.
	if most > 50 || r.edited.figures.Delayed == 0 || r.edited.figures.Limits.Total() == 0 {
		t.Errorf("%d were held at once; %+v", most, r.edited.figures.Limits)
	}
}

func BenchmarkReplay(b *testing.B) {
	for name, operations := range map[string]int{"connection": 0, "20 operations": 20} {
		b.Run(name, func(b *testing.B) {
			list := make([]string, 0, operations)
			for i := range operations {
				list = append(list, fmt.Sprintf(`{"id":"op%d","path":"/v1/%d","policy":{"breaker":{"min_calls":10}}}`, i, i))
			}
			policy, err := runtime.MergePolicy(runtime.DefaultPolicy(), json.RawMessage(`{"operations":[`+strings.Join(list, ",")+`]}`))
			if err != nil {
				b.Fatal(err)
			}
			set := &runtime.PolicySet{ConnectionID: "con_1", Policy: policy}
			if set.Operations, err = policy.Resolve(); err != nil {
				b.Fatal(err)
			}
			r, err := newReplay(b.Context(), set, set, noon())
			if err != nil {
				b.Fatal(err)
			}
			page := make([]calls.Past, 1)
			b.ReportAllocs()
			for n := 0; b.Loop(); n++ {
				page[0] = calls.Past{
					At: noon().Add(time.Duration(n) * 10 * time.Millisecond), Method: "GET", Path: "/v1/" + strconv.Itoa(n%max(1, operations)), Outcome: outcome([]rune("ssssf")[n%5]),
					Attempts: 1, Duration: 50 * time.Millisecond,
				}
				if err := r.page(page); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
