package breakers

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"switchgear/db"
	"switchgear/internal/access"
	"switchgear/internal/fault"
	"switchgear/internal/runtime"
	"switchgear/internal/runtime/breaker"
)

func TestList(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	names := func(q Query) string {
		t.Helper()
		page, err := w.List(t.Context(), root(), q)
		must(t, err)
		var b strings.Builder
		for _, r := range page.Breakers {
			_, _ = fmt.Fprintf(&b, "%s/%s=%s ", r.Connection, r.Operation, r.State)
		}
		return b.String() + strconv.Itoa(page.Total)
	}
	if got := names(Query{}); got != "github/=closed stripe/=closed 2" {
		t.Errorf("before any call: %s", got)
	}
	if page, err := w.List(t.Context(), root(), Query{}); err != nil || page.Breakers[0].Called || page.Breakers[0].Why != "No calls yet: nothing to judge." || len(w.registry.Snapshots()) != 0 {
		t.Errorf("%+v, %v", page, err)
	}
	w.fail(charge, 2)
	w.hold(githubID, "")
	for q, want := range map[Query]string{
		{}:                               "github/=held stripe/=open stripe/charge=open 3",
		{Connection: "github"}:           "github/=held 1",
		{State: "open"}:                  "stripe/=open stripe/charge=open 2",
		{State: "held"}:                  "github/=held 1",
		{State: "observe"}:               "0",
		{Sort: "-connection"}:            "stripe/charge=open stripe/=open github/=held 3",
		{Sort: "-operation", Limit: 1}:   "stripe/charge=open 3",
		{Sort: "state", Limit: 1}:        "github/=held 3",
		{Sort: "since", Limit: 1}:        "github/=held 3",
		{Page: 3, Limit: 1}:              "stripe/charge=open 3",
		{Page: 9, Limit: 1}:              "3",
		{Page: 1 << 60, Limit: 1 << 60}:  "3",
		{Connection: "nothing", Page: 1}: "0",
	} {
		if got := names(q); got != want {
			t.Errorf("%+v: %s, want %s", q, got, want)
		}
	}
	_, err := w.List(t.Context(), root(), Query{State: "ajar"})
	wantField(t, err, "UNKNOWN_STATE", "state")
	_, err = w.List(t.Context(), root(), Query{Sort: "colour"})
	wantField(t, err, "UNKNOWN_SORT", "sort")
}

func TestGet(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d, err := w.Get(t.Context(), root(), "stripe")
	must(t, err)
	if d.Connection.State != breaker.StateClosed || d.Connection.Called || len(d.Operations) != 1 || d.Operations[0].Operation != "charge" || d.Connection.Watch != nil {
		t.Errorf("%+v", d)
	}
	// A pause for the operation is not one for the connection, and an override stays in sight.
	w.hold(stripeID, "charge")
	w.fail(stripe, 1)
	d, err = w.Get(t.Context(), root(), "stripe")
	must(t, err)
	if d.Connection.Called == false || len(d.Operations[0].Vendor) == 0 || !d.Operations[0].Refuses() || !strings.Contains(d.Operations[0].Why, "the vendor asked") {
		t.Errorf("%+v", d)
	}
	w.mustCommand("charge", Observe, Order{})
	if d, err = w.Get(t.Context(), root(), "stripe"); err != nil || d.Operations[0].State != breaker.StateObserve || len(d.Operations[0].Vendor) == 0 || d.Operations[0].Watch == nil {
		t.Errorf("%+v, %v", d, err)
	}
	if _, err := w.Get(t.Context(), root(), "nothing"); fault.CodeOf(err) != "CONNECTION_NOT_FOUND" {
		t.Error(err)
	}
	own, err := w.Own(root(), "stripe")
	must(t, err)
	if with := d.Connection; own.State != with.State || own.Operation != "" || own.Connection != with.Connection || len(own.Vendor) != len(with.Vendor) || own.Snapshot.Refused != with.Snapshot.Refused {
		t.Errorf("alone it is %+v, with its operations %+v", own, with.Breaker)
	}
}

func TestConsequences(t *testing.T) {
	t.Parallel()
	until := time.Date(2026, 11, 27, 14, 30, 0, 0, time.UTC)
	s := breaker.Snapshot{Config: breaker.Config{HalfOpenCalls: 3, OpenFor: 30 * time.Second}, Mode: breaker.ModeForcedOpen, WouldBe: breaker.StateHalfOpen}
	for v, want := range map[Verb]string{
		Trip:        "Calls are refused with 503 until 14:30:00 UTC on 27 November. Then 3 probes decide whether they come back.",
		Reset:       "Counts, open time and hold are forgotten. The override stays in force.",
		ForceOpen:   "Every call is refused with 503 until 14:30:00 UTC on 27 November, whatever the upstream does. Then the breaker decides again.",
		ForceClosed: "Every call goes out until 14:30:00 UTC on 27 November, even if all of them fail: nothing holds calls back from an upstream that is down. Then the breaker decides again.",
		Observe:     "Every call goes out until 14:30:00 UTC on 27 November. What the breaker would have refused is counted.",
		Auto:        "The override ends now, and the breaker decides by itself: it is half-open.",
		Hold:        "Calls are refused with 503 until 14:30:00 UTC on 27 November. Then 3 probes decide whether they come back.",
		Probe:       "The next 3 probes go out, and one request to the health path is sent now. If all succeed, the breaker closes; if one fails, it opens again.",
	} {
		if diff := cmp.Diff(want, v.Consequence(s, until)); diff != "" {
			t.Errorf("%s: %s", v, diff)
		}
	}
	if got := Trip.Consequence(s, time.Time{}); !strings.Contains(got, "for about 30s") {
		t.Error(got)
	}
}

func TestDidItWork(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.Record(runtime.Record{ConnectionID: stripeID, StartedAt: time.Now()}) // no command waits for it
	given := w.mustCommand("charge", ForceOpen, Order{Reason: "night"})
	call := func(operation string, o runtime.Outcome, at time.Time) {
		w.Record(runtime.Record{ConnectionID: stripeID, Operation: operation, Outcome: o, StartedAt: at, Duration: time.Millisecond})
	}
	now := time.Now()
	call("charge", runtime.OutcomeSuccess, now.Add(-time.Hour)) // began before
	call("", runtime.OutcomeSuccess, now)                       // not of the operation
	call("charge", runtime.OutcomeServerError, now)
	call("charge", runtime.OutcomeSuccess, now)
	for range 30 {
		call("charge", runtime.OutcomeRejectedLocal, now)
	}
	watch := w.watches.find(charge)
	want := &Watch{
		Given: Given{Verb: ForceOpen, Actor: "root", Reason: "night", Until: given.Breaker.Snapshot.Lease.Until, At: watch.Given.At}, Calls: 20, Of: 20,
		Refused: 18, Failed: 1, First: now.Add(time.Millisecond), Last: now.Add(time.Millisecond),
		Outcomes: map[runtime.Outcome]int{runtime.OutcomeServerError: 1, runtime.OutcomeSuccess: 1, runtime.OutcomeRejectedLocal: 18},
	}
	if diff := cmp.Diff(want, watch); diff != "" || !watch.Complete() {
		t.Error(diff)
	}
	if n := w.watches.open.Load(); n != 0 {
		t.Errorf("%d commands still wait", n)
	}
	// The next command begins afresh; that of the connection counts the calls of all operations.
	w.mustCommand("charge", Auto, Order{})
	w.mustCommand("", Reset, Order{})
	call("charge", runtime.OutcomeSuccess, time.Now())
	if a, b := w.watches.find(charge), w.watches.find(stripe); a.Calls != 1 || b.Calls != 1 || a.Given.Verb != Auto || b.Given.Verb != Reset {
		t.Errorf("%+v, %+v", a, b)
	}
}

func TestWatchesAreBounded(t *testing.T) {
	t.Parallel()
	var w watches
	for i := range maxWatches + 10 {
		w.begin(breaker.Key{Connection: strconv.Itoa(i)}, Given{})
	}
	w.begin(breaker.Key{Connection: "500"}, Given{})
	if len(w.byKey) != maxWatches || len(w.order) != maxWatches || w.open.Load() != maxWatches || w.find(breaker.Key{Connection: "9"}) != nil || w.find(breaker.Key{Connection: "10"}) == nil {
		t.Errorf("%d, %d, %d", len(w.byKey), len(w.order), w.open.Load())
	}
}

// What a breaker does by itself counts, and nothing that people did.
func TestTransitions(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fail(charge, 2) // opens both
	w.mustCommand("", Reset, Order{Reason: "one"})
	w.mustCommand("", Trip, Order{Reason: "two"})
	w.stored()
	later := time.Now().Add(time.Hour).Truncate(time.Microsecond)
	for i, row := range [][3]string{
		{"open", "half_open", "auto"}, {"half_open", "closed", "auto"}, {"half_open", "open", "auto"}, {"half_open", "open", "watchdog"}, {"held", "open", "auto"},
	} {
		w.exec(`INSERT INTO breaker_events (id, connection_id, operation, epoch, seq, at, from_state, to_state, mode, cause, actor, reason, counts, last_outcome, samples, config_version)
			VALUES ($1, $2, '', 1, $3, $4, $5, $6, 'auto', $7, '', '', '{}', '', '[]', 1)`, "bev_t"+strconv.Itoa(i), stripeID, 100+i, db.Micros(later), row[0], row[1], row[2])
	}
	got, err := w.Transitions(t.Context(), stripeID, later.Add(-2*time.Hour))
	must(t, err)
	if got.Opened != 3 || got.Recovered != 1 || got.Stuck != 1 || !got.LastOpened.Equal(later) || !got.LastRecovered.Equal(later) {
		t.Errorf("%+v", got)
	}
	if got, err := w.Transitions(t.Context(), stripeID, later.Add(time.Second)); err != nil || got != (Transitions{}) {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestHistory(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fail(charge, 2) // opens both
	w.mustCommand("", Reset, Order{Reason: "one"})
	w.mustCommand("charge", Hold, Order{Reason: "two"})
	_, err := w.Command(t.Context(), root(), "github", "", ForceOpen, Order{Reason: "three"})
	must(t, err)
	w.stored()
	w.exec(`UPDATE breaker_events SET at = 1000000 * (SELECT COUNT(*) FROM breaker_events o WHERE o.id <= breaker_events.id)`)
	read := func(q HistoryQuery) (string, History) {
		t.Helper()
		h, err := w.History(t.Context(), root(), q)
		must(t, err)
		var b strings.Builder
		for _, c := range h.Changes {
			_, _ = fmt.Fprintf(&b, "%s/%s>%s ", c.Connection, c.Event.Key.Operation, c.Event.To)
		}
		return b.String(), h
	}
	all, _ := read(HistoryQuery{})
	if n := strings.Count(all, ">"); n != 5 {
		t.Fatalf("%d changes: %s", n, all)
	}
	// Pages, by cursor and by number, make the whole.
	var byCursor, byNumber strings.Builder
	q := HistoryQuery{Limit: 2}
	for {
		text, h := read(q)
		byCursor.WriteString(text)
		if q.Cursor = h.Next; q.Cursor == "" {
			break
		}
	}
	for page := 1; page <= 3; page++ {
		text, h := read(HistoryQuery{Limit: 2, Page: page})
		byNumber.WriteString(text)
		if h.Total != 5 {
			t.Errorf("page %d of %d", page, h.Total)
		}
	}
	if byCursor.String() != all || byNumber.String() != all {
		t.Errorf("by cursor %s, by number %s, want %s", byCursor.String(), byNumber.String(), all)
	}
	first, h := read(HistoryQuery{Oldest: true, Limit: 4})
	rest, _ := read(HistoryQuery{Oldest: true, Cursor: h.Next})
	backwards := strings.Fields(first + rest)
	slices.Reverse(backwards)
	if strings.Join(backwards, " ")+" " != all {
		t.Errorf("the oldest first: %s %s, want the reverse of %s", first, rest, all)
	}
	for _, tt := range []struct {
		q    HistoryQuery
		want int
	}{
		{HistoryQuery{Connection: "github"}, 1},
		{HistoryQuery{Connection: "stripe", Operation: "charge"}, 2},
		{HistoryQuery{Cause: "reset"}, 1},
		{HistoryQuery{Cause: "manual"}, 2},
		{HistoryQuery{Cause: "auto", Connection: "stripe"}, 2},
		{HistoryQuery{From: time.Unix(2, 0), To: time.Unix(4, 0)}, 2},
	} {
		if text, h := read(tt.q); len(h.Changes) != tt.want {
			t.Errorf("%+v: %s", tt.q, text)
		}
	}
	for field, q := range map[string]HistoryQuery{
		"cause": {Cause: "weather"}, "to": {From: time.Unix(4, 0), To: time.Unix(2, 0)}, "cursor": {Cursor: "a.b"},
	} {
		_, err := w.History(t.Context(), root(), q)
		code := map[string]string{"cause": "UNKNOWN_CAUSE", "to": "INVALID_RANGE", "cursor": "INVALID_CURSOR"}[field]
		wantField(t, err, code, field)
	}
	if _, err := w.History(t.Context(), root(), HistoryQuery{Connection: "nothing"}); fault.CodeOf(err) != "CONNECTION_NOT_FOUND" {
		t.Error(err)
	}
	w.directory.remove("github")
	if _, h := read(HistoryQuery{}); len(h.Changes) != 5 {
		t.Error("the history of a connection that is gone is gone")
	}
}

func TestExport(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	reasons := []string{`=HYPERLINK("http://evil")`, "+1", "-1", "@SUM(A1)", `quotes " and, commas`}
	for _, r := range reasons {
		w.mustCommand("", ForceOpen, Order{Reason: r})
	}
	w.stored()
	var out bytes.Buffer
	must(t, w.Export(t.Context(), root(), HistoryQuery{Connection: "stripe"}, &out))
	lines, err := csv.NewReader(&out).ReadAll()
	must(t, err)
	if len(lines) != len(reasons)+1 || lines[0][9] != "reason" {
		t.Fatalf("%q", lines)
	}
	for i, r := range reasons {
		got, want := lines[len(reasons)-i][9], "'"+r
		if i == 4 {
			want = r
		}
		if got != want {
			t.Errorf("%q is %q", r, got)
		}
	}
	if err := w.Export(t.Context(), root(), HistoryQuery{Connection: "nothing"}, &out); fault.CodeOf(err) != "CONNECTION_NOT_FOUND" {
		t.Error(err)
	}
}

// What keeps calls back comes first, by how many of them; what is chosen narrows the rows and not the counts.
func TestByImpact(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	names := func(q ImpactQuery) string {
		t.Helper()
		found, err := w.ByImpact(t.Context(), root(), q)
		must(t, err)
		var b strings.Builder
		for _, r := range found.Breakers {
			_, _ = fmt.Fprintf(&b, "%s/%s=%s ", r.Connection, r.Operation, r.State)
		}
		return b.String() + fmt.Sprint(found.Total, found.All, found.Attention, found.Overridden)
	}
	if got := names(ImpactQuery{}); got != "github/=closed stripe/=closed 2 2 0 0" {
		t.Errorf("before any call: %s", got)
	}
	w.fail(charge, 2)
	_, err := w.Command(t.Context(), root(), "github", "", Observe, Order{Reason: "look"})
	must(t, err)
	for q, want := range map[ImpactQuery]string{
		{}:                              "stripe/=open stripe/charge=open github/=observe 3 3 2 1",
		{Show: ShowAttention, Limit: 1}: "stripe/=open 2 3 2 1",
		{Show: ShowOverridden}:          "github/=observe 1 3 2 1",
		{Show: "observe"}:               "github/=observe 1 3 2 1",
		{Show: "ajar"}:                  "0 3 2 1",
		{Search: " CHAR"}:               "stripe/charge=open 1 3 2 1",
		{Search: "git", Page: 2}:        "1 3 2 1",
		{Search: "stripe LIVE"}:         "stripe/=open stripe/charge=open 2 3 2 1",
		{Page: 1 << 60, Limit: 1 << 60}: "3 3 2 1",
	} {
		if got := names(q); got != want {
			t.Errorf("%+v: %s, want %s", q, got, want)
		}
	}
	if _, err := w.ByImpact(t.Context(), access.Actor{}, ImpactQuery{}); !fault.Is(err, fault.Forbidden) && !fault.Is(err, fault.Unauthenticated) {
		t.Errorf("somebody: %v", err)
	}
}
