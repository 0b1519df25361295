package calls

import (
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"switchgear/internal/dbtest"
	"switchgear/internal/runtime"
)

// What a histogram says is at most an eighth off, over the whole range that it tells apart.
func TestPercentiles(t *testing.T) {
	t.Parallel()
	for d := 35 * time.Microsecond; d < time.Minute; d = d * 21 / 20 {
		var h histogram
		h[bin(d)]++
		if got := h.percentile(95); got < d*7/8 || got > d*9/8 {
			t.Errorf("%v is shown as %v", d, got)
		}
	}
	var h histogram
	for range 94 {
		h[bin(10*time.Millisecond)]++
	}
	for range 6 {
		h[bin(2*time.Second)]++
	}
	if p50, p95 := h.percentile(50), h.percentile(95); p50 > 12*time.Millisecond || p95 < time.Second {
		t.Errorf("p50 %v, p95 %v", p50, p95)
	}
	var none histogram
	for _, d := range []time.Duration{-time.Second, 0, time.Nanosecond, time.Hour, 1 << 62} {
		none[bin(d)]++ // in range, whatever it is
	}
	if got := new(histogram).percentile(95); got != 0 {
		t.Errorf("without calls: %v", got)
	}
}

func TestTrafficOfOneAndAll(t *testing.T) {
	t.Parallel()
	l := open(t, dbtest.New(t), Config{})
	of := func(connection string, n int, o runtime.Outcome) {
		l.Record(record(n, func(r *runtime.Record) { r.ConnectionID, r.Outcome = connection, o }))
	}
	for _, o := range []runtime.Outcome{
		runtime.OutcomeSuccess, runtime.OutcomeClientError, runtime.OutcomeCanceled, // these are no failures
		runtime.OutcomeUnauthenticated, runtime.OutcomeThrottled, runtime.OutcomeTimeout, runtime.OutcomeRejectedLocal,
	} {
		of("con_1", 1, o)
	}
	of("con_2", 2, runtime.OutcomeSuccess)
	of("con_3", 20*60, runtime.OutcomeTimeout) // older than the window
	if !l.Called("con_1") || l.Called("con_3") || l.Called("con_4") {
		t.Error("called within the window is told wrongly")
	}
	weight := l.Weights()
	of("con_2", 7*60, runtime.OutcomeTimeout) // not lately
	l.Record(record(2, func(r *runtime.Record) { r.ConnectionID, r.Cache = "con_2", "stale" }))
	for id, want := range map[string]Weight{
		"con_1": {Calls: 7, Failed: 3, Refused: 1, Lately: 6, LatelyFailed: 3, LatelyRefused: 1, Sum: Sum{Calls: 7, Failed: 3, Refused: 1}},
		"con_2": {Calls: 3, Failed: 1, Lately: 2, Sum: Sum{Calls: 3, Failed: 1, Stale: 1}},
		"con_3": {Sum: Sum{Calls: 1, Failed: 1}}, "con_4": {},
	} {
		got := weight(id)
		if got.LastCall.IsZero() != (want.Sum.Calls == 0) || got.LastFailure.IsZero() != (want.Sum.Failed == 0) || got.LastFailure.IsZero() != (got.LastError == "") || got.LastRefused.IsZero() != (want.Sum.Refused == 0) {
			t.Errorf("%s: %+v", id, got)
		}
		got.LastCall, got.LastSuccess, got.LastFailure, got.LastRefused, got.LastError = time.Time{}, time.Time{}, time.Time{}, time.Time{}, ""
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s weighs (-want +got):\n%s", id, diff)
		}
	}
	all := func(string) bool { return true }
	if got := l.Total(all); got.Calls != 10 || got.Failed != 4 || got.Refused != 1 || got.P95 < 105*time.Millisecond || got.P95 > 135*time.Millisecond || got.P99 < got.P95 || got.P50 > got.P95 || got.P50 == 0 {
		t.Errorf("all together: %+v", got)
	}
	// Connections that are gone take their calls with them, however many there were.
	left := l.Recent("con_2")
	left.LastCall, left.LastSuccess, left.LastFailure, left.LastError = time.Time{}, time.Time{}, time.Time{}, ""
	if diff := cmp.Diff(left, l.Total(func(id string) bool { return id == "con_2" })); diff != "" {
		t.Errorf("without the others (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(Traffic{}, l.Total(func(string) bool { return false })); diff != "" {
		t.Errorf("without any (-want +got):\n%s", diff)
	}
	if got := l.Recent("con_2"); got.LastFailure.IsZero() || got.LastSuccess.IsZero() || got.P50 == 0 {
		t.Errorf("con_2: %+v", got)
	}
}

// What is kept of a connection that is gone goes with its last minute, and not before: its calls are taken out of the
// total until then. Calls that end meanwhile are not lost, whoever makes and drops what is kept of them.
func TestTotalDropsConnectionsThatAreGone(t *testing.T) {
	t.Parallel()
	l := open(t, dbtest.New(t), Config{})
	now := noon()
	l.deps.Now = func() time.Time { return now }
	for _, id := range []string{"con_1", "con_gone"} {
		l.Record(record(0, func(r *runtime.Record) { r.ConnectionID = id }))
	}
	exists := func(id string) bool { return id == "con_1" }
	look := func(calls, kept int) {
		t.Helper()
		if got := l.Total(exists); got.Calls != calls || len(l.recent.lines) != kept {
			t.Errorf("%s: %d calls, %d connections are kept", now, got.Calls, len(l.recent.lines))
		}
	}
	look(1, 2)
	now = now.Add(Window - time.Minute)
	look(1, 2)
	now = now.Add(2 * time.Minute)
	look(0, 1)
	if l.Recent("con_1").LastCall.IsZero() {
		t.Error("a connection that was not called lately is forgotten")
	}
	late := func(id string) {
		l.Record(record(0, func(r *runtime.Record) { r.ConnectionID, r.StartedAt = id, now }))
	}
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for n := range 50 {
				late("con_" + strconv.Itoa(n))
				l.Total(exists)
			}
		})
	}
	all.Wait()
	look(4, 50)
}

// What we refuse says nothing about the upstream: it is counted apart, and of its moments only the last is remembered, apart as well.
func TestRefusedCallsSayNothingAboutTheUpstream(t *testing.T) {
	t.Parallel()
	d := dbtest.New(t)
	l := open(t, d, Config{})
	stop := serve(t, l)
	var last time.Time
	for n := range 9 {
		r := record(n, func(r *runtime.Record) { r.Outcome, r.Status = runtime.OutcomeRejectedLocal, 503 })
		last = later(last, r.StartedAt.Add(r.Duration))
		l.Record(r)
	}
	got := l.Weights()("con_1")
	if diff := cmp.Diff(Weight{Calls: 9, Refused: 9, LatelyRefused: 9, LastRefused: last, Sum: Sum{Calls: 9, Refused: 9}}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	stop()
	again := open(t, d, Config{})
	if err := again.Remember(t.Context(), "con_1"); err != nil {
		t.Fatal(err)
	}
	if got := again.Recent("con_1"); !got.LastCall.IsZero() || !got.LastFailure.IsZero() || got.LastError != "" {
		t.Errorf("remembered: %+v", got)
	}
}

// What happened before the window, and before the process started, is in the log.
func TestRememberAsksTheLogOnce(t *testing.T) {
	t.Parallel()
	d := dbtest.New(t)
	l := open(t, d, Config{})
	stop := serve(t, l)
	l.Record(record(5*3600, nil))
	l.Record(record(4*3600, func(r *runtime.Record) { r.Outcome, r.Status = runtime.OutcomeTimeout, 504 }))
	stop()
	again := open(t, d, Config{})
	if got := again.Recent("con_1"); got != (Traffic{}) {
		t.Errorf("before anybody asked: %+v", got)
	}
	if err := again.Remember(t.Context(), "con_1", "con_unknown"); err != nil {
		t.Fatal(err)
	}
	got := again.Recent("con_1")
	want := Traffic{
		LastCall: noon().Add(-4*time.Hour + 120*time.Millisecond), LastSuccess: noon().Add(-5*time.Hour + 120*time.Millisecond),
		LastFailure: noon().Add(-4*time.Hour + 120*time.Millisecond), LastError: runtime.OutcomeTimeout.Label(),
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	if err := again.Remember(t.Context(), "con_1", "con_unknown"); err != nil {
		t.Errorf("the log was asked again: %v", err)
	}
}

// A connection is named once for all its calls until somebody asks, and again for those after that.
func TestTouched(t *testing.T) {
	t.Parallel()
	l := open(t, dbtest.New(t), Config{})
	touched := func(want ...string) {
		t.Helper()
		got := l.Touched()
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Errorf("touched are %q, want %q", got, want)
		}
	}
	call := func(connection string) {
		l.Record(record(1, func(r *runtime.Record) { r.ConnectionID = connection }))
	}
	touched()
	for range 100 {
		call("con_1")
		call("con_2")
	}
	touched("con_1", "con_2")
	touched()
	call("con_2")
	touched("con_2")
	if err := l.Remember(t.Context(), "con_3"); err != nil {
		t.Fatal(err)
	}
	touched("con_3")

	// No call is missed that ends while somebody asks.
	const calls = 2000
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for range calls / 4 {
				call("con_4")
			}
		})
	}
	ended := make(chan struct{})
	go func() { all.Wait(); close(ended) }()
	seen, last := 0, false
	for !last {
		select {
		case <-ended:
			last = true
		default:
		}
		for range l.Touched() {
			seen = l.Weights()("con_4").Calls
		}
	}
	if seen != calls {
		t.Errorf("%d of %d calls are seen", seen, calls)
	}
}
