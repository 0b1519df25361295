package ratelimit

import (
	"cmp"
	"math"
	"slices"
	"time"
)

// maxExact is how many requests a window logs one by one, and into how many spans a larger one is cut.
const maxExact = 512

// entry stands for n requests, none of them later than at.
type entry struct{ at, n int64 }

// window is a sliding log: what was let out in the last per. Times are nanoseconds on the limiter's clock
// and never go backwards.
type window struct {
	limit, per int64
	span       int64 // entries that begin within one span of each other are one; 0 for a window that is exact

	ring        []entry
	head, count int
	begin       int64 // of the newest entry
	used        int64 // in the ring
	since       int64 // the log is complete from here on
}

func newWindow(l Limit, now int64) window {
	w := window{per: int64(l.Per), since: now}
	w.setLimit(int64(l.Requests))
	return w
}

func (w *window) setLimit(requests int64) {
	w.limit, w.span = requests, 0
	if requests > maxExact {
		w.span = w.per / maxExact
	}
}

func (w *window) as() Limit { return Limit{Requests: int(w.limit), Per: time.Duration(w.per)} }

func (w *window) slot(i int) *entry {
	i += w.head
	if i >= len(w.ring) {
		i -= len(w.ring)
	}
	return &w.ring[i]
}

// expire drops what no longer counts.
func (w *window) expire(now int64) {
	for w.count > 0 && w.ring[w.head].at+w.per <= now {
		w.used -= w.ring[w.head].n
		if w.head++; w.head == len(w.ring) {
			w.head = 0
		}
		w.count--
	}
}

// room reports whether one more may go out now.
func (w *window) room(now int64) bool {
	w.expire(now)
	return w.used < w.limit
}

// take logs one request.
func (w *window) take(now int64) { w.add(entry{at: now, n: 1}, now) }

func (w *window) add(e entry, begin int64) {
	w.used += e.n
	if w.count > 0 && begin-w.begin < w.span {
		last := w.slot(w.count - 1)
		last.at, last.n = e.at, last.n+e.n
		return
	}
	if w.count == len(w.ring) {
		w.grow()
	}
	w.count++
	*w.slot(w.count - 1) = e
	w.begin = begin
}

func (w *window) grow() {
	ring := make([]entry, max(8, 2*len(w.ring)))
	n := copy(ring, w.ring[w.head:])
	copy(ring[n:], w.ring[:w.head])
	w.ring, w.head = ring, 0
}

// giveBack takes one request of that time off the log. One that no longer counts, or was never logged here,
// is nothing to give back.
func (w *window) giveBack(at, now int64) {
	if at+w.per <= now || at < w.since {
		return
	}
	i, j := 0, w.count
	for i < j { // The first entry that is not earlier holds it.
		if mid := (i + j) / 2; w.slot(mid).at < at {
			i = mid + 1
		} else {
			j = mid
		}
	}
	if i == w.count || w.span == 0 && w.slot(i).at != at {
		return
	}
	w.used--
	if w.slot(i).n--; w.slot(i).n > 0 {
		return
	}
	// Mostly it is one of the newest, so little moves. Left in place, refunds would make the log grow.
	w.count--
	if i == w.count {
		w.begin = math.MinInt64 / 2 // The next is an entry of its own.
	}
	for ; i < w.count; i++ {
		*w.slot(i) = *w.slot(i + 1)
	}
}

// earliest is when one more may go out after ahead others. It changes nothing.
func (w *window) earliest(now, ahead int64) int64 {
	rounds := min(ahead/w.limit, int64(maxDelay)/w.per)
	at := now
	need := w.used + ahead%w.limit + 1 - w.limit // so many have to expire first
	for i := 0; need > 0 && i < w.count; i++ {
		need -= w.slot(i).n
		at = max(now, w.slot(i).at+w.per)
	}
	return at + rounds*w.per
}

// usedAt counts without changing anything.
func (w *window) usedAt(now int64) int64 {
	used := w.used
	for i := 0; i < w.count && w.slot(i).at+w.per <= now; i++ {
		used -= w.slot(i).n
	}
	return used
}

// fullAt is when everything that counts now has expired; now when nothing does.
func (w *window) fullAt(now int64) int64 {
	if w.count == 0 {
		return now
	}
	return max(now, w.slot(w.count-1).at+w.per)
}

// entries returns the log, the oldest first.
func (w *window) entries() []entry {
	list := make([]entry, 0, w.count)
	for i := range w.count {
		list = append(list, *w.slot(i))
	}
	return list
}

// merge adds older entries to the log.
func (w *window) merge(more []entry, now int64) {
	all := append(w.entries(), more...)
	slices.SortStableFunc(all, func(a, b entry) int { return cmp.Compare(a.at, b.at) })
	w.ring, w.head, w.count, w.used, w.begin = nil, 0, 0, 0, 0
	for _, e := range all {
		w.add(e, e.at)
	}
	w.expire(now)
}
