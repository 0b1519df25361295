package calls

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"switchgear/internal/runtime"
)

// Window is how far back [Log.Recent] looks, in steps of a minute.
const Window = minutes * time.Minute

const minutes = 15

// Traffic is what one connection did within Window. Failed calls are all that neither succeeded nor ended
// for what the caller asked or did: a client error (4xx without an outcome of its own), or a caller that
// went away. Those that we did not let out are Refused and no failures: they say nothing about the upstream.
type Traffic struct {
	Calls, Failed, Refused int
	// PerMinute, FailedPerMinute and RefusedPerMinute hold Window in minutes, oldest first.
	PerMinute, FailedPerMinute, RefusedPerMinute [minutes]int
	// Latency is the mean duration per minute, zero where there was no call.
	Latency [minutes]time.Duration
	// P50, P95 and P99 are what so many of 100 calls did not exceed, an eighth off at most; zero without calls.
	P50, P95, P99 time.Duration
	// LastCall, LastSuccess and LastFailure leave out what we refused. They are zero when none is known: since the
	// process started or within Window before it, or in the log once it was asked by [Log.Remember].
	LastCall, LastSuccess, LastFailure time.Time
	// LastError says how the last failure ended.
	LastError string
}

// Weight is how much a connection was called within Window, and how it went lately.
type Weight struct {
	// Refused are those that we did not let out: paused, without a credential, over a limit, kept back by a breaker.
	// They say nothing about the upstream and are not among Failed.
	Calls, Failed, Refused int
	// Lately and LatelyFailed ended within the last [Lately], without those that we refused, which are LatelyRefused.
	Lately, LatelyFailed, LatelyRefused int
	// LastCall, LastSuccess, LastFailure and LastError are as in [Traffic].
	LastCall, LastSuccess, LastFailure time.Time
	LastError                          string
	// LastRefused is when a call was refused last, since the process started.
	LastRefused time.Time
	// Sum counts since the process started, or a little before.
	Sum Sum
	// Refusals are the accounts that have no credential to go out with, within [RefusalsKept], by name.
	Refusals []Refusal
	// Reasons are why others of LatelyRefused were refused, the most frequent first, without what is told by its
	// cause: paused, kept back by a breaker, without a credential.
	Reasons []Reason
	// Passed counts the calls that got out since the last one of Reasons.
	Passed int
}

// Lately is how far back Weight.Lately looks, the minute under way included.
const Lately = lately * time.Minute

const lately = 5

// Sum counts calls. Refused ones were not let out by us, Stale ones were answered from the cache past their time.
type Sum struct{ Calls, Failed, Refused, Stale int64 }

// recent keeps the last minutes of every connection in memory, and those of all together.
type recent struct {
	mu    sync.RWMutex // of the map; each line has its own
	lines map[string]*line
	total line
	// touched are the connections whose weight may have changed and was not asked for yet.
	touched touched
	// proven are the versions that were seen to work and not fetched yet.
	proven provenVersions
}

type line struct {
	mu      sync.Mutex
	buckets [minutes]bucket
	last    moments
	sum     Sum
	// remembered is set when the log was asked for what happened before the process started.
	remembered bool
	proof      proof
	refusals   refusals
	passed     int         // calls that got out since one was refused
	touched    atomic.Bool // it is in the list of touched ones
	// whole says that it is of all connections together, of which nobody asks why calls were refused.
	whole bool
}

// moments are when a call of a connection got out last, and how that went.
type moments struct {
	call, success, failure, refused time.Time
	problem                         string
}

// bucket is one minute. A bucket of another minute than its number says is stale and counts as empty.
type bucket struct {
	minute  int64
	calls   int
	failed  int
	refused int            // which did not fail
	reasons map[string]int // of those that were refused, nil mostly
	total   time.Duration
	latency *histogram
}

func newRecent() *recent { return &recent{lines: map[string]*line{}, total: line{whole: true}} }

// line returns that of a connection; it is made when there is none and make says so.
func (r *recent) line(connectionID string, create bool) *line {
	r.mu.RLock()
	l := r.lines[connectionID]
	r.mu.RUnlock()
	if l != nil || !create {
		return l
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.made(connectionID)
}

// made is line for who holds the lock.
func (r *recent) made(connectionID string) *line {
	l := r.lines[connectionID]
	if l == nil {
		l = &line{}
		r.lines[connectionID] = l
	}
	return l
}

func (r *recent) add(rec runtime.Record) {
	r.total.add(rec)
	l, version, proven := r.count(rec)
	if proven {
		r.proven.put(rec.ConnectionID, version)
	}
	r.touched.put(rec.ConnectionID, l)
}

// count adds a call to the line of its connection, which cannot be dropped meanwhile.
func (r *recent) count(rec runtime.Record) (l *line, version int, proven bool) {
	r.mu.RLock()
	if l = r.lines[rec.ConnectionID]; l != nil {
		defer r.mu.RUnlock()
		version, proven = l.add(rec)
		return l, version, proven
	}
	r.mu.RUnlock()
	r.mu.Lock()
	defer r.mu.Unlock()
	l = r.made(rec.ConnectionID)
	version, proven = l.add(rec)
	return l, version, proven
}

// drop forgets connections that were not called within Window.
func (r *recent) drop(now int64, connectionIDs []string) {
	if len(connectionIDs) == 0 {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, id := range connectionIDs {
		if l := r.lines[id]; l != nil && l.idle(now) {
			delete(r.lines, id)
		}
	}
}

// touched lists lines, each once until it is taken: of a thousand calls of one connection only the first
// waits for the list.
type touched struct {
	mu    sync.Mutex
	lines map[string]*line
}

func (t *touched) put(connectionID string, l *line) {
	if l.touched.Swap(true) {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.lines == nil {
		t.lines = map[string]*line{}
	}
	t.lines[connectionID] = l
}

// take empties the list. What is put from now on is in the next one.
func (t *touched) take() []string {
	t.mu.Lock()
	lines := t.lines
	t.lines = nil
	t.mu.Unlock()
	out := make([]string, 0, len(lines))
	for id, l := range lines {
		l.touched.Store(false)
		out = append(out, id)
	}
	return out
}

// add counts a call. It returns the version that this call proves to work, if it does.
func (l *line) add(rec runtime.Record) (version int, proven bool) {
	ended := rec.StartedAt.Add(rec.Duration)
	minute := ended.Unix() / 60
	l.mu.Lock()
	defer l.mu.Unlock()
	proven = l.proof.add(rec, ended)
	l.sum.add(&rec)
	if !l.whole {
		l.refusals.note(&rec)
	}
	b := &l.buckets[minute%minutes]
	if b.minute > minute {
		return rec.Version, proven // older than what the ring holds by now
	}
	if b.minute < minute {
		latency := b.latency
		if latency == nil {
			latency = &histogram{}
		}
		*latency = histogram{}
		*b = bucket{minute: minute, latency: latency}
	}
	b.calls++
	b.total += rec.Duration
	b.latency[bin(rec.Duration)]++
	if failed(rec.Outcome) {
		b.failed++
	}
	switch {
	case !refused(rec.Outcome):
		l.passed++
	case !l.whole && telling(rec.ErrorCode):
		l.passed = 0
		if b.reasons == nil {
			b.reasons = map[string]int{}
		}
		b.reasons[rec.ErrorCode]++
		fallthrough
	default:
		b.refused++
		l.last.refused = later(l.last.refused, ended)
	}
	l.remember(ended, rec.Outcome)
	return rec.Version, proven
}

func (s *Sum) add(rec *runtime.Record) {
	s.Calls++
	if failed(rec.Outcome) {
		s.Failed++
	}
	if refused(rec.Outcome) {
		s.Refused++
	}
	if rec.Cache == "stale" {
		s.Stale++
	}
}

func (l *line) failed(at time.Time, outcome runtime.Outcome) {
	if at.After(l.last.failure) {
		l.last.failure, l.last.problem = at, outcome.Label()
	}
}

// failed reports whether a call with this outcome got out and did not bring what the application wanted, and not
// for what the application asked: every outcome that is not in notFailed.
func failed(o runtime.Outcome) bool { return !slices.Contains(notFailed(), o) }

// notFailed are success, a client error, a caller that went away, and what was not let out by us.
func notFailed() []runtime.Outcome {
	return []runtime.Outcome{runtime.OutcomeSuccess, runtime.OutcomeClientError, runtime.OutcomeCanceled, runtime.OutcomeRejectedLocal}
}

// refused reports whether a call with this outcome was not let out by us.
func refused(o runtime.Outcome) bool { return o == runtime.OutcomeRejectedLocal }

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// Recent is the traffic of a connection within Window.
func (l *Log) Recent(connectionID string) Traffic {
	if line := l.recent.line(connectionID, false); line != nil {
		return line.traffic(l.deps.Now())
	}
	return Traffic{}
}

// Called reports whether a connection was called within Window.
func (l *Log) Called(connectionID string) bool {
	line := l.recent.line(connectionID, false)
	return line != nil && line.called(l.deps.Now().Unix()/60)
}

// Total is the traffic within Window of the connections that exist, all together, without moments. exists tells by an
// id; what others did before they were deleted, and calls of no connection, do not count. Others that were not called
// within Window are forgotten.
func (l *Log) Total(exists func(connectionID string) bool) Traffic {
	now := l.deps.Now().Unix() / 60
	var others []*line
	var idle []string
	l.recent.mu.RLock()
	for id, line := range l.recent.lines {
		switch {
		case exists(id):
		case line.idle(now):
			idle = append(idle, id)
		default:
			others = append(others, line)
		}
	}
	l.recent.mu.RUnlock()
	l.recent.drop(now, idle)
	total := l.recent.total.figures(now)
	for _, line := range others {
		total.subtract(line.figures(now))
	}
	return total.traffic()
}

// Weights returns how much a connection was called within Window, by its id: one moment for all that are
// asked for. It reads memory only.
func (l *Log) Weights() func(connectionID string) Weight {
	now := l.deps.Now().Unix() / 60
	return func(connectionID string) Weight {
		if line := l.recent.line(connectionID, false); line != nil {
			return line.weight(now)
		}
		return Weight{}
	}
}

// Touched returns the connections whose Weight may have changed since it was called last, for another reason
// than that time passed. It is for one who follows all of them.
func (l *Log) Touched() []string { return l.recent.touched.take() }

// Remember looks up in the log when the connections last succeeded and failed, where that is not known from
// memory. It asks once for each connection, and looks at a bounded number of its newest calls.
func (l *Log) Remember(ctx context.Context, connectionIDs ...string) error {
	for _, id := range connectionIDs {
		line := l.recent.line(id, true)
		if !line.forgot() {
			continue
		}
		err := l.store.newest(ctx, id, line.recall)
		if err != nil {
			return fmt.Errorf("calls: the last calls of %s: %w", id, err)
		}
		line.learned()
		l.recent.touched.put(id, line)
	}
	return nil
}

// forgot reports whether the log may know more about the last calls than the memory.
func (l *line) forgot() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return !l.remembered && (l.last.success.IsZero() || l.last.failure.IsZero())
}

func (l *line) learned() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.remembered = true
}

// recall takes note of a call from the log.
func (l *line) recall(at time.Time, o runtime.Outcome) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.remember(at, o)
}

// remember keeps the moment of a call. The line is locked.
func (l *line) remember(at time.Time, o runtime.Outcome) {
	if refused(o) {
		return
	}
	l.last.call = later(l.last.call, at)
	switch {
	case o == runtime.OutcomeSuccess:
		l.last.success = later(l.last.success, at)
	case failed(o):
		l.failed(at, o)
	}
}

func (l *line) called(now int64) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range l.buckets {
		if b := &l.buckets[i]; b.minute > now-minutes && b.minute <= now && b.calls > 0 {
			return true
		}
	}
	return false
}

// idle reports whether there was no call within Window, nor after it.
func (l *line) idle(now int64) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range l.buckets {
		if l.buckets[i].minute > now-minutes {
			return false
		}
	}
	return true
}

func (l *line) weight(now int64) (w Weight) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range l.buckets {
		if b := &l.buckets[i]; b.minute > now-minutes && b.minute <= now {
			w.Calls += b.calls
			w.Failed += b.failed
			w.Refused += b.refused
			if b.minute > now-lately {
				w.Lately += b.calls - b.refused
				w.LatelyFailed += b.failed
				w.LatelyRefused += b.refused
				w.Reasons = addReasons(w.Reasons, b.reasons)
			}
		}
	}
	w.LastCall, w.LastSuccess, w.LastFailure, w.LastError = l.last.call, l.last.success, l.last.failure, l.last.problem
	w.LastRefused = l.last.refused
	w.Sum = l.sum
	w.Refusals = l.refusals.list(now)
	if len(w.Reasons) > 0 {
		slices.SortFunc(w.Reasons, mostFirst)
		w.Passed = l.passed
	}
	return w
}

func (l *line) traffic(now time.Time) Traffic {
	t := l.figures(now.Unix() / 60).traffic()
	l.mu.Lock()
	defer l.mu.Unlock()
	t.LastCall, t.LastSuccess, t.LastFailure, t.LastError = l.last.call, l.last.success, l.last.failure, l.last.problem
	return t
}

// figures are the minutes of Window, oldest first.
type figures struct {
	calls, failed, refused [minutes]int
	spent                  [minutes]time.Duration
	latency                histogram
}

func (l *line) figures(now int64) *figures {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := &figures{}
	for i := range minutes {
		minute := now - int64(minutes-1-i)
		b := &l.buckets[minute%minutes]
		if b.minute != minute {
			continue
		}
		out.calls[i], out.failed[i], out.refused[i], out.spent[i] = b.calls, b.failed, b.refused, b.total
		out.latency.add(b.latency)
	}
	return out
}

// subtract takes out what a part of it did. A call that was counted in between makes nothing negative.
func (f *figures) subtract(part *figures) {
	for i := range minutes {
		f.calls[i] = max(0, f.calls[i]-part.calls[i])
		f.failed[i] = max(0, f.failed[i]-part.failed[i])
		f.refused[i] = max(0, f.refused[i]-part.refused[i])
		f.spent[i] = max(0, f.spent[i]-part.spent[i])
	}
	f.latency.subtract(&part.latency)
}

func (f *figures) traffic() Traffic {
	t := Traffic{PerMinute: f.calls, FailedPerMinute: f.failed, RefusedPerMinute: f.refused}
	for i := range minutes {
		t.Calls += f.calls[i]
		t.Failed += f.failed[i]
		t.Refused += f.refused[i]
		t.Latency[i] = f.spent[i] / time.Duration(max(f.calls[i], 1))
	}
	t.P50, t.P95, t.P99 = f.latency.percentile(50), f.latency.percentile(95), f.latency.percentile(99)
	return t
}
