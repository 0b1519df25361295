package app

import (
	"bytes"
	"net/http"
	goruntime "runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"switchgear/internal/runtime"
	"switchgear/internal/runtime/breaker"
	"switchgear/internal/sandbox"
)

// span is a time in which all calls had to be refused: from the answer to a force-open until the command
// that takes it back is sent.
type span struct{ from, to time.Time }

// flipped is one call of the test, and what became of it.
type flipped struct {
	id         string
	began, end time.Time
	page
}

// A thousand calls at once while people command the breaker from all sides: each call ends, the counts of
// callers, log and provider agree, nothing is sent while calls are refused, and afterwards every place is
// free and nobody is left.
//
// It is not parallel to other tests, so that it can look for what it left behind.
//
//nolint:paralleltest // See above.
func TestThousandCallsOnABreakerThatFlips(t *testing.T) {
	const callers, each, places = 1000, 2, 40
	f := startFaulty(t, "generic-rest", `{"timeout":"10m","retry":{"max_attempts":2,"base_delay":"1ms","max_delay":"1ms","budget_ratio":1},
		"bulkhead":{"max_in_flight":`+strconv.Itoa(places)+`,"max_wait":"5m"},
		"breaker":{"min_calls":10,"failure_ratio":0.9,"open_for":"100ms","max_open_for":"100ms","ramp":"0s"}}`,
		sandbox.Script{Path: "/shop/*", Loop: true, Steps: []sandbox.Step{
			{Delay: sandbox.Duration(time.Millisecond), Status: 200, Repeat: 5}, {Status: 503}, {Reset: sandbox.ResetRequest}, {Status: 404}, {Status: 500},
		}})

	// All are there at once, each for one call after the other.
	var ended atomic.Int64
	start := make(chan struct{})
	crowd := make([]flipped, each*callers)
	results := []flipped(nil)
	one := func(n int) flipped {
		r := flipped{id: strconv.Itoa(n), began: time.Now()}
		r.page = f.call(t, []string{"GET", "POST", "PUT"}[n%3], "/orders?call="+r.id)
		r.end = time.Now()
		return r
	}
	var callersLeft sync.WaitGroup
	for caller := range callers {
		callersLeft.Go(func() {
			<-start
			for n := range each {
				crowd[caller*each+n] = one(caller*each + n)
				ended.Add(1)
			}
		})
	}
	close(start)
	// after waits for more calls to end, or for the last.
	after := func(more int64) (over bool) {
		tick := time.NewTicker(time.Millisecond)
		defer tick.Stop()
		for want := min(ended.Load()+more, each*callers); ended.Load() < want; {
			<-tick.C
		}
		return ended.Load() == each*callers
	}
	command := func(verb, body string) (sent time.Time) {
		t.Helper()
		sent = time.Now()
		if got := f.send(t, http.MethodPost, "/api/v1/connections/"+shop+"/breaker/"+verb, body); got.status != http.StatusOK && got.status != http.StatusConflict {
			t.Errorf("%s: %d %s", verb, got.status, got.body)
		}
		return sent
	}
	// Two people at once; only one of them refuses calls by force, so that it is known when they are.
	var other sync.WaitGroup
	other.Go(func() {
		for over := false; !over; {
			command("trip", `{"reason":"flip"}`)
			after(20)
			command("reset", `{"reason":"flip"}`)
			over = after(100)
		}
	})
	var refused []span
	for over := false; !over; {
		after(100)
		command("force-open", `{"reason":"flip","for":"1h"}`)
		from := time.Now()
		for range 5 { // Among all the others, these are sure to begin and end meanwhile.
			results = append(results, one(len(crowd)+len(results)))
		}
		after(100)
		refused = append(refused, span{from, command("auto", `{"reason":"flip"}`)})
		after(100)
		command("hold", `{"reason":"flip","for":"1s"}`)
		after(20)
		command("reset", `{"reason":"flip"}`)
		over = after(100)
	}
	callersLeft.Wait()
	other.Wait()
	results = append(results, crowd...)
	command("reset", `{"reason":"the end"}`)

	f.checkCounts(t, results)
	f.checkSpans(t, results, refused)
	f.checkPlaces(t, places)
	f.stop(t)
	f.client.CloseIdleConnections()
	nobodyIsLeft(t)
}

// checkCounts compares what callers got with the log and with what arrived.
func (f *faulty) checkCounts(t *testing.T, results []flipped) {
	t.Helper()
	arrivals := map[string]int{}
	for _, r := range f.arrived() {
		arrivals[strings.TrimPrefix(r.Query, "call=")]++
	}
	records := map[string]runtime.Record{}
	for _, r := range f.logged(t, len(results)) {
		records[r.ID] = r
	}
	passed, turnedAway := 0, 0
	for _, r := range results {
		rec, ok := records[r.header.Get("X-Request-Id")]
		if !ok {
			t.Errorf("call %s was answered %d and is not in the log", r.id, r.status)
			continue
		}
		if n := arrivals[r.id]; rec.Status != r.status || rec.Attempts != n || r.header.Get("Switchgear-Attempts") != strconv.Itoa(n) {
			t.Errorf("call %s: answered %d after %s attempts, in the log %d after %d, arrived %d times", r.id, r.status,
				r.header.Get("Switchgear-Attempts"), rec.Status, rec.Attempts, n)
		}
		if code := r.header.Get("Switchgear-Error"); code != rec.ErrorCode {
			t.Errorf("call %s: answered %s, in the log %s", r.id, code, rec.ErrorCode)
		}
		switch {
		case rec.Attempts > 0:
			passed++
		case rec.ErrorCode == breaker.CodeOpen:
			turnedAway++
		default:
			t.Errorf("call %s: %d %s", r.id, r.status, r.body)
		}
	}
	if passed == 0 || turnedAway == 0 {
		t.Errorf("%d calls passed and %d were refused: the breaker did not flip", passed, turnedAway)
	}
}

// checkSpans looks for calls that were sent although they began after everything was refused.
func (f *faulty) checkSpans(t *testing.T, results []flipped, refused []span) {
	t.Helper()
	began, within := map[string]time.Time{}, 0
	for _, r := range results {
		began[r.id] = r.began
		for _, s := range refused {
			if r.began.After(s.from) && r.end.Before(s.to) {
				within++
				if r.header.Get("Switchgear-Error") != breaker.CodeOpen {
					t.Errorf("call %s was answered %d %q while every call was refused", r.id, r.status, r.body)
				}
			}
		}
	}
	for _, r := range f.arrived() {
		for _, s := range refused {
			if id := strings.TrimPrefix(r.Query, "call="); r.Time.After(s.from) && r.Time.Before(s.to) && began[id].After(s.from) {
				t.Errorf("call %s arrived %s after everything was refused", id, r.Time.Sub(s.from))
			}
		}
	}
	if within == 0 {
		t.Error("no call fell into a time in which all were refused")
	}
}

// checkPlaces sends as many calls as there are places, which the provider answers once all of them are there.
func (f *faulty) checkPlaces(t *testing.T, places int) {
	t.Helper()
	for _, g := range f.core.protections.Guards() {
		if n := g.Bulkhead.InFlight; n != 0 {
			t.Errorf("%d places are taken by nobody", n)
		}
	}
	before := len(f.arrived())
	if err := f.provider.SetScripts(always(sandbox.Step{Hang: true})); err != nil {
		t.Fatal(err)
	}
	var callers sync.WaitGroup
	for range places {
		callers.Go(func() { f.call(t, http.MethodPost, "/orders") })
	}
	if !poll(t.Context(), func() bool { return len(f.arrived()) >= before+places }) {
		t.Errorf("%d of %d calls arrived at once", len(f.arrived())-before, places)
	}
	f.provider.Close() // They end.
	callers.Wait()
}

// nobodyIsLeft waits until no goroutine of ours is there but the test's.
func nobodyIsLeft(t *testing.T) {
	t.Helper()
	var left []string
	if !poll(t.Context(), func() bool {
		all := make([]byte, 16<<20)
		left = nil
		for stack := range bytes.SplitSeq(all[:goruntime.Stack(all, true)], []byte("\n\n")) {
			if text := string(stack); strings.Contains(text, "switchgear/") && !strings.Contains(text, "testing.tRunner") && !strings.Contains(text, "internal/app.TestMain") {
				left = append(left, text)
			}
		}
		return len(left) == 0
	}) {
		t.Errorf("%d goroutines are left, such as\n%s", len(left), left[0])
	}
}
