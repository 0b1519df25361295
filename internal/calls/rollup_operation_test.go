package calls

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"switchgear/internal/dbtest"
	"switchgear/internal/runtime"
)

// The calls of an operation are counted by themselves as well, by the minute and by the hour, also when they
// come late.
func TestOperationsAreToldApart(t *testing.T) {
	t.Parallel()
	d := dbtest.New(t)
	l := open(t, d, Config{})
	at := noon().Truncate(time.Hour).Add(-2 * time.Hour)
	call := func(n int, operation string, took time.Duration) runtime.Record {
		return record(n, func(r *runtime.Record) {
			r.StartedAt, r.Operation, r.Duration = at.Add(time.Duration(n)*time.Minute), operation, took
		})
	}
	mustStore(t, l, call(1, "charge", time.Second), call(2, "charge", time.Second), call(3, "refund", time.Millisecond), call(4, "", time.Millisecond))
	for _, made := range []bool{false, true} {
		if made {
			if err := l.keepRollups(t.Context()); err != nil {
				t.Fatal(err)
			}
			if n := hours(t, l); n != 3 { // all, charge, refund
				t.Errorf("%d hours are made", n)
			}
		}
		for operation, want := range map[string]int64{"": 4, "charge": 2, "refund": 1, "nothing": 0} {
			q := RollupQuery{Connection: "con_1", Operation: operation, From: at, To: at.Add(time.Hour), Step: time.Hour}
			if points := series(t, l, q); len(points) != 1 || points[0].Calls != want {
				t.Errorf("made %t: %q: %+v", made, operation, points)
			}
			if f := totals(t, l, q); f.Calls != want || operation == "charge" && (f.P50 < 990*time.Millisecond || f.P50 > 1010*time.Millisecond) {
				t.Errorf("made %t: %q: %+v", made, operation, f)
			}
		}
		if f := totals(t, l, RollupQuery{From: at, To: at.Add(time.Hour)}); f.Calls != 4 {
			t.Errorf("all connections: %d", f.Calls)
		}
	}
	mustStore(t, l, call(5, "charge", time.Second))
	if f := totals(t, l, RollupQuery{Connection: "con_1", Operation: "charge", From: at, To: at.Add(time.Hour)}); f.Calls != 3 {
		t.Errorf("with a late one: %d", f.Calls)
	}
	for _, l := range []*Log{l, open(t, d, Config{})} {
		names, err := l.Operations(t.Context(), "con_1")
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]string{"charge", "refund"}, names); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
}

// However many operations there are, a bounded number is told apart; the others are counted together, also
// by the next process.
func TestOperationsAreBounded(t *testing.T) {
	t.Parallel()
	d := dbtest.New(t)
	at := noon().Truncate(time.Minute)
	n := 0
	for range 2 {
		l := open(t, d, Config{})
		batch := make([]runtime.Record, 0, maxOperations+20)
		for i := range maxOperations + 20 {
			n++
			batch = append(batch, record(n, func(r *runtime.Record) { r.StartedAt, r.Operation = at, fmt.Sprintf("operation%03d", i) }))
		}
		mustStore(t, l, batch...)
	}
	l := open(t, d, Config{})
	names, err := l.Operations(t.Context(), "con_1")
	if err != nil {
		t.Fatal(err)
	}
	if len(names) != maxOperations+1 || !slices.Contains(names, OtherOperations) {
		t.Errorf("%d: %v", len(names), names)
	}
	for operation, want := range map[string]int64{"": 140, OtherOperations: 40, "operation000": 2, "operation060": 0} {
		if f := totals(t, l, RollupQuery{Connection: "con_1", Operation: operation, From: at, To: at.Add(time.Minute)}); f.Calls != want {
			t.Errorf("%q: %d, not %d", operation, f.Calls, want)
		}
	}
}
