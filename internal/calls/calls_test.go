package calls

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"switchgear/db"
	"switchgear/internal/dbtest"
	"switchgear/internal/fault"
	"switchgear/internal/runtime"
	"switchgear/internal/telemetry"
)

func noon() time.Time { return time.Date(2026, 11, 24, 12, 0, 30, 0, time.UTC) }

func open(t *testing.T, d *db.DB, cfg Config) *Log {
	t.Helper()
	l, err := New(t.Context(), Deps{DB: d, Logger: telemetry.Discard(), Notify: func(string) {}, Now: noon}, cfg)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func record(n int, change func(*runtime.Record)) runtime.Record {
	r := runtime.Record{
		ID: "req_" + strconv.Itoa(n), ConnectionID: "con_1", Slug: "stripe", Account: "default", Version: 3, Method: "GET",
		Host: "api.stripe.com", Path: "/v1/charges", Status: 200, Outcome: runtime.OutcomeSuccess, Attempts: 1,
		StartedAt: noon().Add(-time.Duration(n) * time.Second), Duration: 120 * time.Millisecond, FirstByte: 100 * time.Millisecond,
		RequestBytes: 10, ResponseBytes: 2000, KeyID: "k", KeyName: "billing", ClientIP: "127.0.0.1",
		ResponseHeader: http.Header{"Content-Type": {"application/json"}}, Steps: []runtime.Step{{Name: "connect", Took: time.Millisecond}},
	}
	if change != nil {
		change(&r)
	}
	return r
}

// serve runs the log until the returned function is called, which waits for everything to be stored.
func serve(t *testing.T, l *Log) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan error, 1)
	go func() { done <- l.Serve(ctx) }()
	return sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil && !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
}

func TestStoredAndFoundAgain(t *testing.T) {
	t.Parallel()
	l := open(t, dbtest.New(t), Config{})
	stop := serve(t, l)
	want := record(1, nil)
	l.Record(want)
	stop()
	got, err := l.Find(t.Context(), "req_1")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if _, err := l.Find(t.Context(), "req_2"); !fault.Is(err, fault.NotFound) {
		t.Errorf("unknown call: %v", err)
	}
}

// The log has a filter for exactly the calls that the figures count as failed, whatever their status.
func TestSearchForFailures(t *testing.T) {
	t.Parallel()
	l := open(t, dbtest.New(t), Config{})
	stop := serve(t, l)
	var want []string
	for i, rule := range runtime.Rules() {
		r := record(i, func(r *runtime.Record) { r.Outcome = rule.Outcome })
		l.Record(r)
		if rule.Breaker == runtime.VerdictFailure || rule.Outcome == runtime.OutcomeThrottled {
			want = append(want, r.ID)
		}
	}
	stop()
	traffic := l.Recent("con_1")
	page, err := l.Search(t.Context(), Query{Connection: "stripe", Outcome: AnyFailure})
	if err != nil {
		t.Fatal(err)
	}
	all, err := l.Search(t.Context(), Query{Outcome: AnyFailure})
	if err != nil {
		t.Fatal(err)
	}
	list, err := l.List(t.Context(), Query{Outcome: AnyFailure}, 1)
	if err != nil {
		t.Fatal(err)
	}
	if n := traffic.Failed; n < len(want) || len(page.Calls) != n || len(all.Calls) != n || list.Total != n || traffic.Refused != 1 {
		t.Errorf("%d failed; the log has %d of the connection and %d of all, and counts %d", n, len(page.Calls), len(all.Calls), list.Total)
	}
	for _, r := range page.Calls {
		if r.Outcome == runtime.OutcomeRejectedLocal || r.Outcome == runtime.OutcomeSuccess || r.Outcome == runtime.OutcomeClientError || r.Outcome == runtime.OutcomeCanceled {
			t.Errorf("%s is no failure", r.Outcome)
		}
	}
}

func TestSearch(t *testing.T) {
	t.Parallel()
	l := open(t, dbtest.New(t), Config{})
	stop := serve(t, l)
	l.Record(record(1, nil))
	l.Record(record(2, func(r *runtime.Record) { r.Status, r.Outcome, r.Path = 503, runtime.OutcomeUnavailable, "/v1/100%_off" }))
	l.Record(record(3, func(r *runtime.Record) { r.Slug, r.ConnectionID, r.Method = "hubspot", "con_2", "POST" }))
	l.Record(record(4, func(r *runtime.Record) { r.Status, r.Outcome = 404, runtime.OutcomeClientError }))
	stop()
	for name, tt := range map[string]struct {
		query Query
		want  string
	}{
		"all, newest first":   {Query{}, "req_1 req_2 req_3 req_4"},
		"connection":          {Query{Connection: "hubspot"}, "req_3"},
		"outcome":             {Query{Outcome: string(runtime.OutcomeUnavailable)}, "req_2"},
		"status":              {Query{Status: 404}, "req_4"},
		"class":               {Query{Class: 5}, "req_2"},
		"method, lower case":  {Query{Method: "post"}, "req_3"},
		"path is taken plain": {Query{Path: "100%_"}, "req_2"},
		"request id":          {Query{RequestID: "req_3"}, "req_3"},
		"time":                {Query{From: noon().Add(-3 * time.Second), To: noon().Add(-time.Second)}, "req_2 req_3"},
		"both":                {Query{Connection: "stripe", Class: 2}, "req_1"},
		"nothing":             {Query{Connection: "' OR 1=1 --"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			page, err := l.Search(t.Context(), tt.query)
			if err != nil {
				t.Fatal(err)
			}
			ids := make([]string, 0, len(page.Calls))
			for _, r := range page.Calls {
				ids = append(ids, r.ID)
			}
			if got := strings.Join(ids, " "); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
	if _, err := l.Search(t.Context(), Query{Cursor: "nonsense"}); !fault.Is(err, fault.Invalid) {
		t.Errorf("a broken cursor: %v", err)
	}
}

// Pages stay what they are while newer calls arrive, also where many calls share a moment.
// A list counts, and pages by number from either end.
func TestList(t *testing.T) {
	t.Parallel()
	l := open(t, dbtest.New(t), Config{})
	stop := serve(t, l)
	for n := range 5 {
		l.Record(record(n, nil))
	}
	l.Record(record(5, func(r *runtime.Record) { r.Slug = "hubspot" }))
	stop()
	for name, tt := range map[string]struct {
		query Query
		page  int
		want  string
		total int
	}{
		"newest first":    {Query{Connection: "stripe", Limit: 2}, 1, "req_0 req_1", 5},
		"last page":       {Query{Connection: "stripe", Limit: 2}, 3, "req_4", 5},
		"beyond the last": {Query{Connection: "stripe", Limit: 2}, 4, "", 5},
		"oldest first":    {Query{Limit: 2, Oldest: true}, 1, "req_5 req_4", 6},
		"a cursor":        {Query{Limit: 1, Cursor: "nonsense"}, 0, "req_0", 6},
		"defaults":        {Query{Connection: "hubspot"}, 0, "req_5", 1},
	} {
		list, err := l.List(t.Context(), tt.query, tt.page)
		if err != nil {
			t.Fatal(err)
		}
		ids := make([]string, len(list.Calls))
		for i, r := range list.Calls {
			ids[i] = r.ID
		}
		if got := strings.Join(ids, " "); got != tt.want || list.Total != tt.total {
			t.Errorf("%s: got %q of %d, want %q of %d", name, got, list.Total, tt.want, tt.total)
		}
	}
}

func TestPagesAreStable(t *testing.T) {
	t.Parallel()
	l := open(t, dbtest.New(t), Config{})
	stop := serve(t, l)
	for n := range 25 {
		l.Record(record(n, func(r *runtime.Record) { r.StartedAt = noon() }))
	}
	stop()
	seen := map[string]bool{}
	q := Query{Limit: 10}
	for pages := 1; ; pages++ {
		page, err := l.Search(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range page.Calls {
			if seen[r.ID] {
				t.Errorf("%s is on two pages", r.ID)
			}
			seen[r.ID] = true
		}
		if page.Next == "" {
			if pages != 3 || len(seen) != 25 {
				t.Errorf("%d calls on %d pages", len(seen), pages)
			}
			return
		}
		q.Cursor = page.Next
		stop := serve(t, l)
		l.Record(record(100+pages, func(r *runtime.Record) { r.StartedAt = noon().Add(time.Second) }))
		stop()
	}
}

// A full queue costs entries, never time, and says so.
func TestFullQueueDropsAndCounts(t *testing.T) {
	t.Parallel()
	l := open(t, dbtest.New(t), Config{Queue: 4})
	for n := range 10 {
		l.Record(record(n, nil))
	}
	if got := l.Dropped(); got != 6 {
		t.Errorf("dropped %d, want 6", got)
	}
	if got := l.Recent("con_1").Calls; got != 10 {
		t.Errorf("the figures count %d calls, want all 10", got)
	}
	serve(t, l)()
	page, err := l.Search(t.Context(), Query{})
	if err != nil || len(page.Calls) != 4 {
		t.Errorf("%d entries stored, %v", len(page.Calls), err)
	}
}

func TestRecentSurvivesARestart(t *testing.T) {
	t.Parallel()
	d := dbtest.New(t)
	l := open(t, d, Config{})
	stop := serve(t, l)
	l.Record(record(1, nil))
	l.Record(record(65, func(r *runtime.Record) { r.Outcome, r.Status = runtime.OutcomeUnavailable, 503 }))
	l.Record(record(20*60, nil)) // older than the window
	stop()
	for name, log := range map[string]*Log{"before": l, "after": open(t, d, Config{})} {
		got := log.Recent("con_1")
		if got.Calls != 2 || got.Failed != 1 || got.PerMinute[minutes-1] != 1 || got.FailedPerMinute[minutes-2] != 1 {
			t.Errorf("%s: %+v", name, got)
		}
		if got.Latency[minutes-1] != 120*time.Millisecond || got.LastError == "" || !got.LastSuccess.After(got.LastFailure) {
			t.Errorf("%s: %+v", name, got)
		}
	}
	if got := l.Recent("con_unknown"); got != (Traffic{}) {
		t.Errorf("a connection without calls: %+v", got)
	}
}

func TestRetention(t *testing.T) {
	t.Parallel()
	l := open(t, dbtest.New(t), Config{})
	stop := serve(t, l)
	for n := range 20 {
		l.Record(record(n*3600, nil))
	}
	stop()
	count := func() int {
		page, err := l.Search(t.Context(), Query{Limit: 200})
		if err != nil {
			t.Fatal(err)
		}
		return len(page.Calls)
	}
	if more, err := l.store.prune(t.Context(), noon().Add(-10*time.Hour-time.Second), 1000); err != nil || more || count() != 11 {
		t.Errorf("by age: %d left, %v", count(), err)
	}
	if more, err := l.store.prune(t.Context(), noon().Add(-1000*time.Hour), 5); err != nil || more || count() != 5 {
		t.Errorf("by number: %d left, %v", count(), err)
	}
}

// Deletion keeps up with whatever was stored: in parts, one right after the other.
func TestRetentionGoesOnUntilItIsDone(t *testing.T) {
	t.Parallel()
	l := open(t, dbtest.New(t), Config{MaxRows: 7})
	batch := make([]runtime.Record, pruned+100)
	for n := range batch {
		batch[n] = record(n, nil)
	}
	if err := l.store.insert(t.Context(), batch, l.minutes, noon()); err != nil {
		t.Fatal(err)
	}
	for _, want := range []bool{true, false} {
		if more, err := l.prune(t.Context()); err != nil || more != want {
			t.Errorf("more to delete: %v, want %v, %v", more, want, err)
		}
	}
	page, err := l.Search(t.Context(), Query{})
	if err != nil || len(page.Calls) != 7 || page.Calls[0].ID != "req_0" {
		t.Errorf("left are %v, %v", ids(page.Calls), err)
	}
}

// An entry that is stored right after another one was announced is announced as well.
func TestEveryEntryIsAnnounced(t *testing.T) {
	t.Parallel()
	heard := make(chan string, 100)
	l, err := New(t.Context(), Deps{DB: dbtest.New(t), Logger: telemetry.Discard(), Notify: func(topic string) { heard <- topic }, Now: noon},
		Config{Flush: time.Millisecond, Announce: 50 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	stop := serve(t, l)
	defer stop()
	for n := range 3 {
		l.Record(record(n, nil))
		select {
		case topic := <-heard:
			if _, err := l.Find(t.Context(), "req_"+strconv.Itoa(n)); err != nil || topic != "calls" {
				t.Errorf("announced %q before it was stored: %v", topic, err)
			}
		case <-t.Context().Done():
			t.Fatalf("entry %d was never announced", n)
		}
	}
}

// An entry that is there already is not stored again, and keeps none of those from being stored that come with it.
func TestRepeatedEntriesAreStoredOnce(t *testing.T) {
	t.Parallel()
	l := open(t, dbtest.New(t), Config{})
	for _, batch := range [][]int{{1}, {2, 1, 3}, {4, 4}, {5, 6, 7, 8, 9, 10, 11, 12, 13, 5, 14}, {1, 2}} {
		records := make([]runtime.Record, 0, len(batch))
		for _, n := range batch {
			records = append(records, record(n, nil))
		}
		l.save(t.Context(), records)
	}
	list, err := l.List(t.Context(), Query{Limit: 100}, 1)
	if err != nil || list.Total != 14 || l.Dropped() != 0 {
		t.Errorf("%d entries, %d dropped: %v", list.Total, l.Dropped(), err)
	}
	totals, err := l.Totals(t.Context(), RollupQuery{From: noon().Add(-time.Hour), To: noon().Add(time.Minute)})
	if err != nil || totals.Calls != 14 {
		t.Errorf("%d calls in the figures: %v", totals.Calls, err)
	}
}
