package cache

import (
	"container/list"
	"net/http"
	"time"
)

// entry is an answer that is kept. It is never changed: an answer that was confirmed makes a new entry.
type entry struct {
	answer
	key     key
	names   []string // what the answer varies by
	variant digest
	body    []byte
	size    int64
	// By the policy that the answer was kept under.
	freshUntil time.Time
	useless    time.Time // after this nobody can be answered with it

	space  *space
	recent *list.Element // in the order of use of all
	own    *list.Element // in the order of use of its connection
}

func newEntry(a answer, k key, names []string, variant digest, body []byte, p *Policy) *entry {
	e := &entry{answer: a, key: k, names: names, variant: variant, body: body, size: sizeOf(a.header, body)}
	e.freshUntil = a.received.Add(a.lifetime(p) - a.initialAge)
	e.useless = e.freshUntil.Add(p.maxStale())
	return e
}

// overhead is a generous guess at what an entry takes beside its header and body.
const overhead = 1 << 10

func sizeOf(h http.Header, body []byte) int64 {
	n := int64(overhead + cap(body))
	for name, values := range h {
		n += int64(len(name)) + 64
		for _, v := range values {
			n += int64(len(v)) + 16
		}
	}
	return n
}

// space is the part of one connection.
type space struct {
	byURI map[digest]map[digest][]*entry // by URL, and then by selection: the variants
	used  *list.List                     // of *entry, the last used first
	bytes int64
	open  map[*Call]struct{} // calls under way whose answer may be kept
	// single remembers what is not worth waiting for, because the last answer could not be shared.
	single marked
	// paused remembers what could not be renewed just now.
	paused marked
	counts Counts
}

// marked holds keys until a time. It forgets all of them when there are too many.
type marked map[key]time.Time

func (m marked) has(k key, now time.Time) bool {
	until, ok := m[k]
	return ok && now.Before(until)
}

func (m marked) set(k key, until time.Time) {
	if len(m) >= maxMarked {
		clear(m)
	}
	m[k] = until
}

func (m marked) sweep(now time.Time) {
	for k, until := range m {
		if !now.Before(until) {
			delete(m, k)
		}
	}
}

const (
	maxVariants = 16
	maxMarked   = 4096
)

func newSpace() *space {
	return &space{
		byURI: map[digest]map[digest][]*entry{}, used: list.New(),
		open: map[*Call]struct{}{}, single: marked{}, paused: marked{},
	}
}

// store keeps entries within its limits. It is not safe for concurrent use; the cache locks it.
type store struct {
	maxBytes int64
	maxSpace int64
	bytes    int64
	used     *list.List // of *entry, the last used first
	spaces   map[string]*space
}

func newStore(maxBytes, maxSpace int64) store {
	return store{maxBytes: maxBytes, maxSpace: maxSpace, used: list.New(), spaces: map[string]*space{}}
}

func (s *store) space(connection string) *space {
	sp, ok := s.spaces[connection]
	if !ok {
		sp = newSpace()
		s.spaces[connection] = sp
	}
	return sp
}

// find returns the entry that a request selects. others says that there are variants for other requests.
func (s *store) find(sp *space, h *hasher, k key, request http.Header) (found *entry, others bool) {
	variants := sp.byURI[k.uri][k.selection]
	for _, e := range variants {
		if e.variant != h.variant(e.names, request) {
			continue
		}
		if found == nil || e.received.After(found.received) {
			found = e
		}
	}
	return found, len(variants) > 0
}

// touch marks an entry as just used.
func (s *store) touch(e *entry) {
	s.used.MoveToFront(e.recent)
	e.space.used.MoveToFront(e.own)
}

// put keeps an entry in place of its predecessor, and drops what was not used for longest until the limits
// hold. It reports whether the entry fits at all.
func (s *store) put(sp *space, e *entry) bool {
	if e.size > min(s.maxBytes, s.maxSpace) {
		return false
	}
	for _, old := range sp.byURI[e.key.uri][e.key.selection] {
		if old.variant == e.variant {
			s.remove(old)
			break
		}
	}
	for sp.bytes+e.size > s.maxSpace && s.evict(sp.used) || s.bytes+e.size > s.maxBytes && s.evict(s.used) {
	}
	if v := sp.byURI[e.key.uri][e.key.selection]; len(v) >= maxVariants {
		s.remove(v[0])
		sp.counts.Evicted++
	}
	selections := sp.byURI[e.key.uri]
	if selections == nil {
		selections = map[digest][]*entry{}
		sp.byURI[e.key.uri] = selections
	}
	selections[e.key.selection] = append(selections[e.key.selection], e)
	e.space, e.recent, e.own = sp, s.used.PushFront(e), sp.used.PushFront(e)
	sp.bytes += e.size
	s.bytes += e.size
	return true
}

func (s *store) evict(l *list.List) bool {
	last := l.Back()
	if last == nil {
		return false
	}
	e, ok := last.Value.(*entry)
	if !ok {
		return false
	}
	e.space.counts.Evicted++
	s.remove(e)
	return true
}

// remove drops an entry; one that is gone already is left alone.
func (s *store) remove(e *entry) {
	sp := e.space
	if sp == nil || e.recent == nil {
		return
	}
	s.used.Remove(e.recent)
	sp.used.Remove(e.own)
	e.recent, e.own = nil, nil
	sp.bytes -= e.size
	s.bytes -= e.size
	selections := sp.byURI[e.key.uri]
	old := selections[e.key.selection]
	kept := make([]*entry, 0, len(old))
	for _, v := range old {
		if v != e {
			kept = append(kept, v)
		}
	}
	if len(kept) > 0 {
		selections[e.key.selection] = kept
		return
	}
	delete(selections, e.key.selection)
	if len(selections) == 0 {
		delete(sp.byURI, e.key.uri)
	}
}

// invalidate drops everything of a URL, and keeps calls under way from bringing it back.
func (s *store) invalidate(sp *space, uri digest) {
	for _, variants := range sp.byURI[uri] {
		for _, e := range append([]*entry(nil), variants...) {
			s.remove(e)
			sp.counts.Invalidated++
		}
	}
	for call := range sp.open {
		if call.key.uri == uri {
			call.doomed = true
		}
	}
}

// purge drops everything of a connection.
func (s *store) purge(sp *space) int {
	n := 0
	for e := sp.used.Front(); e != nil; e = sp.used.Front() {
		entry, ok := e.Value.(*entry)
		if !ok {
			break
		}
		s.remove(entry)
		n++
	}
	for call := range sp.open {
		call.doomed = true
	}
	clear(sp.single)
	clear(sp.paused)
	return n
}
