package calls

import (
	"sync"
	"time"

	"switchgear/internal/runtime"
)

// Window is how far back [Log.Recent] looks, in steps of a minute.
const Window = minutes * time.Minute

const minutes = 15

// Traffic is what one connection did within Window.
type Traffic struct {
	Calls, Failed int
	// PerMinute and FailedPerMinute hold Window in minutes, oldest first.
	PerMinute, FailedPerMinute [minutes]int
	// Latency is the mean duration per minute, zero where there was no call.
	Latency [minutes]time.Duration
	// LastCall, LastSuccess and LastFailure are zero when there was none since the process started or
	// within Window before it.
	LastCall, LastSuccess, LastFailure time.Time
	// LastError says how the last failure ended.
	LastError string
}

// recent keeps the last minutes of every connection in memory.
type recent struct {
	mu    sync.Mutex
	lines map[string]*line
}

type line struct {
	buckets [minutes]bucket
	last    Traffic // only its Last… fields are used
}

// bucket is one minute. A bucket of another minute than its number says is stale and counts as empty.
type bucket struct {
	minute        int64
	calls, failed int
	total         time.Duration
}

func newRecent() *recent { return &recent{lines: map[string]*line{}} }

func (r *recent) add(rec runtime.Record) {
	ended := rec.StartedAt.Add(rec.Duration)
	minute := ended.Unix() / 60
	r.mu.Lock()
	defer r.mu.Unlock()
	l := r.lines[rec.ConnectionID]
	if l == nil {
		l = &line{}
		r.lines[rec.ConnectionID] = l
	}
	b := &l.buckets[minute%minutes]
	if b.minute > minute {
		return // older than what the ring holds by now
	}
	if b.minute < minute {
		*b = bucket{minute: minute}
	}
	b.calls++
	b.total += rec.Duration
	l.last.LastCall = later(l.last.LastCall, ended)
	if rec.Outcome.Failure() {
		b.failed++
		if ended.After(l.last.LastFailure) {
			l.last.LastFailure, l.last.LastError = ended, rec.Outcome.Label()
		}
		return
	}
	l.last.LastSuccess = later(l.last.LastSuccess, ended)
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// Recent is the traffic of a connection within Window.
func (l *Log) Recent(connectionID string) Traffic {
	return l.recent.traffic(connectionID, l.deps.Now())
}

func (r *recent) traffic(connectionID string, now time.Time) Traffic {
	r.mu.Lock()
	defer r.mu.Unlock()
	l := r.lines[connectionID]
	if l == nil {
		return Traffic{}
	}
	t := l.last
	current := now.Unix() / 60
	for i := range minutes {
		minute := current - int64(minutes-1-i)
		b := l.buckets[minute%minutes]
		if b.minute != minute {
			continue
		}
		t.Calls += b.calls
		t.Failed += b.failed
		t.PerMinute[i], t.FailedPerMinute[i] = b.calls, b.failed
		t.Latency[i] = b.total / time.Duration(max(b.calls, 1))
	}
	return t
}
