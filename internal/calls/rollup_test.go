package calls

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"switchgear/db"
	"switchgear/internal/dbtest"
	"switchgear/internal/fault"
	"switchgear/internal/runtime"
	"switchgear/internal/telemetry"
)

func mustStore(tb testing.TB, l *Log, batch ...runtime.Record) {
	tb.Helper()
	if err := l.store.insert(tb.Context(), batch, l.minutes, l.deps.Now()); err != nil {
		tb.Fatal(err)
	}
	l.reopenHours(batch)
}

func series(t *testing.T, l *Log, q RollupQuery) []Point {
	t.Helper()
	points, err := l.Series(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	return points
}

func totals(t *testing.T, l *Log, q RollupQuery) Figures {
	t.Helper()
	f, err := l.Totals(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func exec(t *testing.T, l *Log, query string, args ...any) {
	t.Helper()
	err := l.deps.DB.InTx(t.Context(), func(tx *db.Tx) error {
		_, err := tx.Exec(t.Context(), query, args...)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// hours counts the sums by the hour that are made.
func hours(t *testing.T, l *Log) int {
	t.Helper()
	var n int
	if err := l.deps.DB.QueryRow(t.Context(), `SELECT COUNT(*) FROM call_rollups WHERE seconds = 3600`).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func TestSeries(t *testing.T) {
	t.Parallel()
	l := open(t, dbtest.New(t), Config{})
	stop := serve(t, l)
	at := noon().Truncate(time.Minute)
	l.Record(record(1, func(r *runtime.Record) { r.StartedAt = at; r.Duration = 10 * time.Millisecond }))
	l.Record(record(2, func(r *runtime.Record) {
		r.StartedAt, r.Duration, r.Attempts, r.Outcome = at.Add(59*time.Second), 30*time.Millisecond, 3, runtime.OutcomeTimeout
	}))
	l.Record(record(3, func(r *runtime.Record) { r.StartedAt = at.Add(2 * time.Minute) }))
	l.Record(record(4, func(r *runtime.Record) { r.StartedAt, r.ConnectionID = at, "con_2" }))
	l.Record(record(1, func(r *runtime.Record) { r.StartedAt = at })) // an id that is in the log already
	stop()
	points := series(t, l, RollupQuery{Connection: "con_1", From: at.Add(time.Second), To: at.Add(2*time.Minute + time.Second)})
	if len(points) != 3 || !points[0].At.Equal(at) || !points[2].At.Equal(at.Add(2*time.Minute)) {
		t.Fatalf("%+v", points)
	}
	p := points[0]
	if p.P50 < 9900*time.Microsecond || p.P50 > 10100*time.Microsecond {
		t.Errorf("p50 %s", p.P50)
	}
	p.P50, p.P95, p.P99 = 0, 0, 0
	want := Figures{
		Calls: 2, Attempts: 4, RequestBytes: 20, ResponseBytes: 4000, Mean: 20 * time.Millisecond,
		Outcomes: map[runtime.Outcome]int64{runtime.OutcomeSuccess: 1, runtime.OutcomeTimeout: 1},
		Refused:  map[string]int64{},
	}
	if diff := cmp.Diff(want, p.Figures); diff != "" || p.Failed() != 1 {
		t.Errorf("%d failed, (-want +got):\n%s", p.Failed(), diff)
	}
	if points[1].Calls != 0 || points[1].P99 != 0 || points[2].Calls != 1 {
		t.Errorf("%+v", points[1:])
	}
	if all := series(t, l, RollupQuery{From: at, To: at.Add(time.Minute)}); len(all) != 1 || all[0].Calls != 3 {
		t.Errorf("all connections: %+v", all)
	}
	if f := totals(t, l, RollupQuery{Connection: "con_1", From: at, To: at.Add(time.Hour)}); f.Calls != 3 || f.Attempts != 5 {
		t.Errorf("%+v", f)
	}
	if none := series(t, l, RollupQuery{From: at, To: at}); len(none) != 0 {
		t.Errorf("no time at all: %+v", none)
	}
}

func TestSeriesRefuses(t *testing.T) {
	t.Parallel()
	l := open(t, dbtest.New(t), Config{})
	for name, q := range map[string]RollupQuery{
		"seconds":         {From: noon(), To: noon(), Step: time.Second},
		"half a minute":   {From: noon(), To: noon(), Step: 90 * time.Second},
		"negative":        {From: noon(), To: noon(), Step: -time.Minute},
		"too many points": {From: noon().Add(-maxPoints * time.Minute), To: noon()},
	} {
		if _, err := l.Series(t.Context(), q); !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Whatever comes, in whatever order and batches, with hours made in between and the log opened anew: each
// query counts exactly the calls that were accepted.
func TestRollupsAreTheSumOfTheCalls(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(3, 4))
	d := dbtest.New(t)
	l := open(t, d, Config{})
	accepted := make([]runtime.Record, 0, 2000)
	outcomes := runtime.Rules()
	id := 0
	for step := range 40 {
		batch := make([]runtime.Record, 0, 30)
		for range rng.IntN(30) {
			id++
			r := record(id, func(r *runtime.Record) {
				r.ConnectionID = fmt.Sprintf("con_%d", rng.IntN(3))
				r.StartedAt = noon().Add(-time.Duration(rng.Int64N(int64(30 * time.Hour)))).Truncate(time.Microsecond)
				r.Duration = time.Duration(rng.Int64N(int64(time.Minute)))
				r.Attempts, r.RequestBytes, r.ResponseBytes = 1+rng.IntN(3), rng.Int64N(1000), rng.Int64N(100_000)
				r.Outcome = outcomes[rng.IntN(len(outcomes))].Outcome
				if rng.IntN(3) == 0 {
					r.LimitWait = time.Duration(rng.Int64N(int64(time.Minute)))
				}
				if r.Outcome == runtime.OutcomeRejectedLocal {
					r.ErrorCode = []string{"BREAKER_OPEN", "CONNECTION_RATE_LIMITED"}[rng.IntN(2)]
				}
			})
			batch = append(batch, r)
			accepted = append(accepted, r)
		}
		if len(accepted) > 0 && rng.IntN(3) == 0 {
			batch = append(batch, accepted[rng.IntN(len(accepted))]) // once more: not accepted
		}
		mustStore(t, l, batch...)
		switch step % 10 {
		case 3:
			if err := l.keepRollups(t.Context()); err != nil {
				t.Fatal(err)
			}
		case 7:
			l = open(t, d, Config{})
		}
		from := noon().Add(-time.Duration(rng.Int64N(int64(30 * time.Hour)))).Truncate(time.Minute)
		to := from.Add(time.Duration(rng.IntN(300)) * time.Minute)
		for _, connection := range []string{"", "con_1"} {
			q := RollupQuery{Connection: connection, From: from, To: to}
			check(t, accepted, q, totals(t, l, q))
			for _, size := range []time.Duration{time.Minute, 7 * time.Minute, time.Hour, 3 * time.Hour} {
				q.Step = size
				for _, p := range series(t, l, q) {
					check(t, accepted, RollupQuery{Connection: connection, From: p.At, To: p.At.Add(size)}, p.Figures)
				}
			}
		}
		if t.Failed() {
			t.Fatalf("at step %d", step)
		}
	}
	if err := l.keepRollups(t.Context()); err != nil {
		t.Fatal(err)
	}
	if hours(t, l) < 60 {
		t.Errorf("only %d hours are made", hours(t, l))
	}
}

// check compares figures with the calls that they stand for.
func check(t *testing.T, accepted []runtime.Record, q RollupQuery, got Figures) {
	t.Helper()
	want := Figures{Outcomes: map[runtime.Outcome]int64{}, Refused: map[string]int64{}}
	var durations []time.Duration
	var sum time.Duration
	for _, r := range accepted {
		if q.Connection != "" && r.ConnectionID != q.Connection || r.StartedAt.Before(q.From) || !r.StartedAt.Before(q.To) {
			continue
		}
		want.Calls++
		want.Attempts += int64(r.Attempts)
		want.RequestBytes += r.RequestBytes
		want.ResponseBytes += r.ResponseBytes
		want.Outcomes[r.Outcome]++
		if r.LimitWait > 0 {
			want.Waits++
			want.Waited += r.LimitWait.Truncate(time.Microsecond)
		}
		if r.Outcome == runtime.OutcomeRejectedLocal {
			want.Refused[r.ErrorCode]++
		}
		durations = append(durations, r.Duration)
		sum += r.Duration.Truncate(time.Microsecond)
	}
	if want.Calls > 0 {
		want.Mean = sum / time.Duration(want.Calls)
		slices.Sort(durations)
		for _, p := range []struct {
			rank float64
			got  time.Duration
		}{{0.5, got.P50}, {0.95, got.P95}, {0.99, got.P99}} {
			exact := durations[int(p.rank*float64(len(durations)-1))]
			if off := math.Abs(float64(p.got-exact)) - 1000; off > accuracy*float64(exact)*1.0001 {
				t.Errorf("%+v: percentile %g is %s, want %s", q, p.rank, p.got, exact)
			}
		}
	}
	got.P50, got.P95, got.P99 = 0, 0, 0
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%+v (-want +got):\n%s", q, diff)
	}
}

func TestRestartInMidMinute(t *testing.T) {
	t.Parallel()
	d := dbtest.New(t)
	at := noon().Truncate(time.Minute)
	for n := range 3 {
		l := open(t, d, Config{})
		stop := serve(t, l)
		l.Record(record(n, func(r *runtime.Record) { r.StartedAt = at.Add(time.Duration(n) * time.Second) }))
		stop()
	}
	if points := series(t, open(t, d, Config{}), RollupQuery{From: at, To: at.Add(time.Minute)}); points[0].Calls != 3 {
		t.Errorf("%+v", points)
	}
}

// A batch that is not stored is not counted.
func TestRollupsRollBackWithTheirCalls(t *testing.T) {
	t.Parallel()
	l := open(t, dbtest.New(t), Config{})
	exec(t, l, `CREATE TRIGGER no_bodies BEFORE INSERT ON call_bodies BEGIN SELECT RAISE(ABORT, 'full'); END`)
	good := record(1, nil)
	bad := record(2, func(r *runtime.Record) { r.Bodies = &runtime.Bodies{} })
	if err := l.store.insert(t.Context(), []runtime.Record{good, bad}, l.minutes, noon()); err == nil {
		t.Fatal("stored")
	}
	q := RollupQuery{From: noon().Add(-time.Hour), To: noon()}
	if f := totals(t, l, q); f.Calls != 0 {
		t.Errorf("%+v", f)
	}
	mustStore(t, l, good) // Nor is it counted by what was left in memory.
	if f := totals(t, l, q); f.Calls != 1 {
		t.Errorf("%+v", f)
	}
}

// What is kept in memory of the open minutes is bounded.
func TestOpenMinutesAreBounded(t *testing.T) {
	t.Parallel()
	l := open(t, dbtest.New(t), Config{})
	for round := range 3 {
		batch := make([]runtime.Record, 0, 800)
		for n := range 800 {
			batch = append(batch, record(round*1000+n, func(r *runtime.Record) {
				r.StartedAt, r.ConnectionID = noon().Add(time.Duration(round)*3*time.Minute), fmt.Sprintf("con_%d", n)
			}))
		}
		mustStore(t, l, batch...)
		if n := len(l.minutes.sums); n > maxOpenMinutes || n < 800 {
			t.Errorf("%d minutes are open", n)
		}
	}
	batch := make([]runtime.Record, 0, 2000)
	for n := range 2000 {
		batch = append(batch, record(9000+n, func(r *runtime.Record) {
			r.StartedAt, r.ConnectionID = noon().Add(time.Hour), fmt.Sprintf("con_%d", n)
		}))
	}
	for range 2 {
		mustStore(t, l, batch...)
		if n := len(l.minutes.sums); n > maxOpenMinutes {
			t.Errorf("%d minutes are open", n)
		}
	}
	if f := totals(t, l, RollupQuery{From: noon().Add(-time.Hour), To: noon().Add(2 * time.Hour)}); f.Calls != 4400 {
		t.Errorf("%d calls", f.Calls)
	}
}

func TestHoursAreMadeOnceTheyAreOver(t *testing.T) {
	t.Parallel()
	d := dbtest.New(t)
	l := open(t, d, Config{})
	for n := range 300 { // noon() is 12:00:30, and the hour until then is not over for sure
		mustStore(t, l, record(n, func(r *runtime.Record) {
			r.StartedAt, r.ConnectionID = noon().Add(-time.Duration(n)*time.Minute), fmt.Sprintf("con_%d", n%2)
		}))
	}
	keep := func(want int) {
		t.Helper()
		if err := l.keepRollups(t.Context()); err != nil || hours(t, l) != want {
			t.Errorf("%d hours, want %d; %v", hours(t, l), want, err)
		}
	}
	keep(8) // 7 to 10 o'clock, of two connections
	before := totals(t, l, RollupQuery{From: noon().Add(-6 * time.Hour), To: noon()})
	late := record(1000, func(r *runtime.Record) { r.StartedAt = noon().Add(-3 * time.Hour) })
	mustStore(t, l, late)
	if got := totals(t, l, RollupQuery{From: noon().Add(-6 * time.Hour), To: noon()}); hours(t, l) != 7 || got.Calls != before.Calls+1 {
		t.Errorf("%d hours, %d calls", hours(t, l), got.Calls)
	}
	keep(8)
	// Stored, and then the process ended before the hour was made again.
	mustStore(t, l, record(1001, func(r *runtime.Record) { r.StartedAt = noon().Add(-3 * time.Hour) }))
	l = open(t, d, Config{})
	keep(8)
	if got := totals(t, l, RollupQuery{From: noon().Add(-6 * time.Hour), To: noon()}); got.Calls != before.Calls+2 {
		t.Errorf("%d calls", got.Calls)
	}
}

// More hours than one transaction makes: the rest follows.
func TestManyHours(t *testing.T) {
	t.Parallel()
	l := open(t, dbtest.New(t), Config{})
	batch := make([]runtime.Record, 0, 250)
	for n := range 250 {
		batch = append(batch, record(n, func(r *runtime.Record) {
			r.StartedAt, r.ConnectionID = noon().Add(-3*time.Hour), fmt.Sprintf("con_%d", n)
		}))
	}
	mustStore(t, l, batch...)
	if err := l.keepRollups(t.Context()); err != nil || hours(t, l) != 250 {
		t.Errorf("%d hours, %v", hours(t, l), err)
	}
}

func TestRollupRetention(t *testing.T) {
	t.Parallel()
	l := open(t, dbtest.New(t), Config{MaxRollup: 48 * time.Hour})
	batch := make([]runtime.Record, 0, 100)
	for n := range 100 {
		batch = append(batch, record(n, func(r *runtime.Record) { r.StartedAt = noon().Add(-time.Duration(n) * time.Hour) }))
	}
	mustStore(t, l, batch...)
	for range 2 { // what is too old may be summed up once more before it goes
		if _, err := l.prune(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	var oldest, rows int64
	if err := l.deps.DB.QueryRow(t.Context(), `SELECT MIN(at), COUNT(*) FROM call_rollups WHERE seconds = 60`).Scan(&oldest, &rows); err != nil {
		t.Fatal(err)
	}
	if want := noon().Add(-48 * time.Hour).UnixMicro(); oldest != want-30e6 || rows != 49 {
		t.Errorf("%d minutes, the oldest %s", rows, time.UnixMicro(oldest).UTC())
	}
	if got := totals(t, l, RollupQuery{From: noon().Add(-1000 * time.Hour), To: noon().Add(time.Minute)}); got.Calls != 49 {
		t.Errorf("%d calls", got.Calls)
	}
}

// A stored sketch that cannot be read is an error, not a figure.
func TestBrokenRollup(t *testing.T) {
	t.Parallel()
	for name, latency := range map[string]string{"not base64": "###", "not a sketch": "////"} {
		l := open(t, dbtest.New(t), Config{})
		mustStore(t, l, record(1, nil))
		exec(t, l, `UPDATE call_rollups SET latency = $1`, latency)
		if _, err := l.Totals(t.Context(), RollupQuery{From: noon().Add(-time.Hour), To: noon()}); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// BenchmarkInsert compares storing a batch with and without its rollups, taking turns so that both meet the
// same machine. The ratio is that of the medians.
func BenchmarkInsert(b *testing.B) {
	for _, connections := range []int{1, 32, 512} {
		b.Run(fmt.Sprintf("connections=%d", connections), func(b *testing.B) {
			var logs [2]*Log
			for i := range logs {
				var err error
				logs[i], err = New(b.Context(), Deps{DB: dbtest.New(b), Logger: telemetry.Discard(), Notify: func(string) {}, Now: noon}, Config{})
				if err != nil {
					b.Fatal(err)
				}
			}
			rng := rand.New(rand.NewPCG(5, 6))
			id := 0
			var took [2][]time.Duration
			for b.Loop() {
				batch := make([]runtime.Record, 512)
				for i := range batch {
					id++
					batch[i] = record(id, func(r *runtime.Record) {
						r.ConnectionID = fmt.Sprintf("con_%d", rng.IntN(connections))
						r.StartedAt = noon().Add(time.Duration(id/5_000) * time.Second)
						r.Duration = time.Duration(rng.ExpFloat64() * float64(50*time.Millisecond))
					})
				}
				for i, l := range logs {
					began := time.Now()
					err := l.store.db.InTx(b.Context(), func(tx *db.Tx) error {
						accepted, err := l.store.insertCalls(b.Context(), tx, batch)
						if err != nil || i == 0 {
							return err
						}
						return addRollups(b.Context(), tx, accepted, l.minutes, noon())
					})
					l.minutes.settle(err)
					if err != nil {
						b.Fatal(err)
					}
					took[i] = append(took[i], time.Since(began))
				}
			}
			median := func(d []time.Duration) float64 { slices.Sort(d); return float64(d[len(d)/2]) }
			b.ReportMetric(median(took[0])/512/1000, "µs/call")
			b.ReportMetric(median(took[1])/median(took[0]), "with/without")
		})
	}
}

// BenchmarkSeries reads 30 days of one connection that was called every minute.
func BenchmarkSeries(b *testing.B) {
	l, err := New(b.Context(), Deps{DB: dbtest.New(b), Logger: telemetry.Discard(), Notify: func(string) {}, Now: noon}, Config{MaxAge: 31 * 24 * time.Hour})
	if err != nil {
		b.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(7, 8))
	from := noon().Add(-30 * 24 * time.Hour)
	err = l.store.db.InTx(b.Context(), func(tx *db.Tx) error {
		for minute := range 30 * 24 * 60 {
			var sum rollup
			for range 30 {
				r := record(0, func(r *runtime.Record) { r.Duration = time.Duration(rng.ExpFloat64() * float64(50*time.Millisecond)) })
				if err := sum.count(&r); err != nil {
					return err
				}
			}
			if err := putRollup(b.Context(), tx, bucketKey{"con_1", "", floor(from, time.Minute).Add(time.Duration(minute) * time.Minute)}, 60, &sum); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		b.Fatal(err)
	}
	read := func(b *testing.B) {
		b.Helper()
		for b.Loop() {
			if _, err := l.Series(b.Context(), RollupQuery{Connection: "con_1", From: from, To: noon(), Step: 6 * time.Hour}); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.Run("minutes", read)
	for range 10 {
		if err := l.keepRollups(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
	b.Run("hours", read)
	b.Run("an hour by the minute", func(b *testing.B) {
		for b.Loop() {
			if _, err := l.Series(b.Context(), RollupQuery{Connection: "con_1", From: noon().Add(-time.Hour), To: noon()}); err != nil {
				b.Fatal(err)
			}
		}
	})
}
