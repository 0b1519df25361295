package calls

import (
	"context"
	"errors"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"switchgear/internal/dbtest"
	"switchgear/internal/runtime"
)

func TestPastInOrder(t *testing.T) {
	t.Parallel()
	l := open(t, dbtest.New(t), Config{})
	stop := serve(t, l)
	retried := []runtime.Retried{{Outcome: runtime.OutcomeUnavailable, Status: 503, At: time.Millisecond, Took: 20 * time.Millisecond}}
	const most = 2*pastPage + 7
	for n := range most {
		l.Record(record(n, func(r *runtime.Record) {
			r.StartedAt = noon().Add(-time.Duration(n/3) * time.Second) // Three at once, also over the edge of a page.
			if n == 1 {
				r.Attempts, r.Retried, r.SentAt = 2, retried, 40*time.Millisecond
			}
			if n == 2 {
				r.Outcome, r.ErrorCode, r.Attempts, r.Status = runtime.OutcomeRejectedLocal, "BREAKER_OPEN", 0, 503
			}
		}))
	}
	l.Record(record(1, func(r *runtime.Record) { r.ID, r.ConnectionID = "req_other", "con_2" }))
	stop()
	since, until := noon().Add(-time.Hour), noon().Add(time.Second)
	s, err := l.Stretch(t.Context(), "con_1", since, until, 1_000_000)
	if err != nil {
		t.Fatal(err)
	}
	oldest := noon().Add(-time.Duration((most-1)/3) * time.Second)
	if diff := cmp.Diff(Stretch{ConnectionID: "con_1", Since: since, From: since, Until: until, Calls: most, Oldest: oldest}, s); diff != "" {
		t.Fatal(diff)
	}
	var (
		all   []Past
		pages int
	)
	collect := func(page []Past) error {
		all, pages = append(all, page...), pages+1
		return nil
	}
	if err := l.EachPast(t.Context(), s, collect); err != nil {
		t.Fatal(err)
	}
	if len(all) != most || pages != 3 {
		t.Fatalf("%d calls on %d pages", len(all), pages)
	}
	for i := 1; i < len(all); i++ {
		if all[i].At.Before(all[i-1].At) {
			t.Fatalf("call %d began before the one in front of it", i)
		}
	}
	want := []Past{
		{At: noon(), Method: "GET", Path: "/v1/charges", Account: "default", Outcome: runtime.OutcomeSuccess, Attempts: 1, Duration: 120 * time.Millisecond, FirstByte: 100 * time.Millisecond},
		{At: noon(), Method: "GET", Path: "/v1/charges", Account: "default", Outcome: runtime.OutcomeSuccess, Attempts: 2, Duration: 120 * time.Millisecond, FirstByte: 100 * time.Millisecond, Retried: retried, SentAt: 40 * time.Millisecond},
		{At: noon(), Method: "GET", Path: "/v1/charges", Account: "default", Outcome: runtime.OutcomeRejectedLocal, ErrorCode: "BREAKER_OPEN", Duration: 120 * time.Millisecond, FirstByte: 100 * time.Millisecond},
	}
	if diff := cmp.Diff(want, all[most-3:]); diff != "" {
		t.Errorf("the newest (-want +got):\n%s", diff)
	}
}

// With more calls than may be gone through the newest are, and what is left out is counted.
func TestPastIsCut(t *testing.T) {
	t.Parallel()
	l := open(t, dbtest.New(t), Config{})
	stop := serve(t, l)
	for n := range 10 {
		l.Record(record(n, func(r *runtime.Record) { r.ID = "req_" + strconv.Itoa(n) }))
	}
	stop()
	s, err := l.Stretch(t.Context(), "con_1", noon().Add(-time.Hour), noon().Add(time.Second), 7)
	if err != nil {
		t.Fatal(err)
	}
	if s.Calls != 7 || s.Older != 3 || !s.From.Equal(noon().Add(-6*time.Second)) {
		t.Errorf("%+v", s)
	}
	if s, err = l.Newest(t.Context(), s, 4); err != nil || s.Calls != 4 || s.Older != 6 || !s.From.Equal(noon().Add(-3*time.Second)) {
		t.Errorf("%+v %v", s, err)
	}
	n := 0
	if err := l.EachPast(t.Context(), s, func(page []Past) error { n += len(page); return nil }); err != nil || n != 4 {
		t.Errorf("%d calls, %v", n, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := l.EachPast(ctx, s, func([]Past) error { return nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}
