package calls

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"switchgear/db"
	"switchgear/internal/dbtest"
	"switchgear/internal/runtime"
	"switchgear/internal/runtime/bodies"
)

func withBodies(request, response string) func(*runtime.Record) {
	return func(r *runtime.Record) {
		r.Bodies = &runtime.Bodies{Request: bodies.Body{Text: request}, Response: bodies.Body{Text: response, Note: "Cut."}}
	}
}

func TestBodiesAreStoredApart(t *testing.T) {
	t.Parallel()
	l := open(t, dbtest.New(t), Config{})
	stop := serve(t, l)
	want := record(1, withBodies("question", "answer"))
	want.KeyID, want.KeyName, want.UserID, want.UserName = "", "", "usr_1", "ada@example.com"
	want.Operation, want.Cache = "charge", "stale"
	l.Record(want)
	stop()
	got, err := l.Find(t.Context(), "req_1")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	page, err := l.Search(t.Context(), Query{})
	if err != nil || len(page.Calls) != 1 || page.Calls[0].Bodies != nil || page.Calls[0].UserName != "ada@example.com" {
		t.Errorf("the list reads %+v, %v", page.Calls, err)
	}
	if l.waiting.Load() != 0 {
		t.Errorf("%d bytes still count as waiting", l.waiting.Load())
	}
}

// The queue is bounded by what its bodies weigh. Beyond it the call is kept, without them, and counted.
func TestBodiesThatDoNotFitAreDroppedAndCounted(t *testing.T) {
	t.Parallel()
	l := open(t, dbtest.New(t), Config{Bodies: 100})
	for n := range 3 {
		l.Record(record(n, withBodies(strings.Repeat("q", 20), strings.Repeat("a", 20))))
	}
	if got := l.DroppedBodies(); got != 1 || l.Dropped() != 0 {
		t.Errorf("%d bodies dropped, %d entries", got, l.Dropped())
	}
	serve(t, l)()
	for id, note := range map[string]string{"req_0": "Cut.", "req_1": "Cut.", "req_2": "Not kept: bodies came faster than the log could store them."} {
		got, err := l.Find(t.Context(), id)
		if err != nil || got.Bodies == nil || got.Bodies.Response.Note != note {
			t.Errorf("%s: %+v, %v", id, got.Bodies, err)
		}
	}
	if l.waiting.Load() != 0 {
		t.Errorf("%d bytes still count as waiting", l.waiting.Load())
	}
}

// An entry that finds the queue full takes its bytes back.
func TestDroppedEntriesWeighNothing(t *testing.T) {
	t.Parallel()
	l := open(t, dbtest.New(t), Config{Queue: 1})
	for n := range 3 {
		l.Record(record(n, withBodies("12345", "67890")))
	}
	if l.Dropped() != 2 || l.waiting.Load() != 10 {
		t.Errorf("%d dropped, %d bytes waiting", l.Dropped(), l.waiting.Load())
	}
}

func TestBodiesAreDeletedWithTheLogOrBySize(t *testing.T) {
	t.Parallel()
	d := dbtest.New(t)
	l := open(t, d, Config{})
	stop := serve(t, l)
	for n := range 20 {
		l.Record(record(n*3600, withBodies(strings.Repeat("q", 60), strings.Repeat("a", 40))))
	}
	stop()
	count := func(t *testing.T, d *db.DB) (n int) {
		t.Helper()
		if err := d.QueryRow(t.Context(), `SELECT COUNT(*) FROM call_bodies`).Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	for _, step := range []struct {
		name          string
		maxAge        time.Duration
		rows          int
		size          int64
		bodies, calls int
	}{
		{"nothing is due", 100 * time.Hour, 100, 1 << 20, 20, 20},
		{"by size, newest first", 100 * time.Hour, 100, 1250, 12, 20},
		{"with calls that are too old", 10*time.Hour + time.Second, 100, 1 << 20, 11, 11},
		{"with calls that are too many", 100 * time.Hour, 5, 1 << 20, 5, 5},
		{"all", time.Nanosecond, 5, 1 << 20, 1, 1}, // the call of this very moment stays
	} {
		l.cfg.MaxAge, l.cfg.MaxRows, l.cfg.MaxBodies = step.maxAge, step.rows, step.size
		if _, err := l.prune(t.Context()); err != nil {
			t.Fatalf("%s: %v", step.name, err)
		}
		page, err := l.Search(t.Context(), Query{Limit: 100})
		if got := count(t, d); err != nil || got != step.bodies || len(page.Calls) != step.calls {
			t.Errorf("%s: %d bodies of %d calls, want %d of %d, %v", step.name, got, len(page.Calls), step.bodies, step.calls, err)
		}
	}
}
