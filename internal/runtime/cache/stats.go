package cache

import (
	"maps"
	"slices"
	"time"
)

// Counts are numbers since the start of the process. Each call is in one of the first five.
type Counts struct {
	Hits        int64 // answered from the cache, fresh
	Stale       int64 // answered from the cache, past its time
	Revalidated int64 // answered from the cache, after the upstream confirmed it
	Misses      int64 // answered by the upstream, or not at all
	Bypassed    int64 // not looked up: writes, ranges, no-store
	Collapsed   int64 // of the hits and stale ones, those that waited for another call
	Stored      int64
	Evicted     int64 // dropped to make room
	Invalidated int64 // dropped because of a write
}

func (n *Counts) add(r *Response, collapsed bool) {
	switch r.marks.state {
	case StateHit:
		n.Hits++
	case StateStale:
		n.Stale++
	case StateRevalidated:
		n.Revalidated++
	case StateMiss, StateBypass, StateStatic:
	}
	if collapsed {
		n.Collapsed++
	}
}

func (n *Counts) sum(m Counts) {
	n.Hits += m.Hits
	n.Stale += m.Stale
	n.Revalidated += m.Revalidated
	n.Misses += m.Misses
	n.Bypassed += m.Bypassed
	n.Collapsed += m.Collapsed
	n.Stored += m.Stored
	n.Evicted += m.Evicted
	n.Invalidated += m.Invalidated
}

// Stats is what the cache holds and did, for one connection or in total.
type Stats struct {
	Connection string // empty for the total
	Entries    int
	Bytes      int64
	MaxBytes   int64
	// OldestStale is how long ago the oldest answer that is kept stopped being fresh; 0 when all are fresh.
	OldestStale time.Duration
	Counts
}

// Snapshot is the state of the whole cache.
type Snapshot struct {
	Total       Stats
	Connections []Stats // by connection id
}

// Stats is the state of one connection. Reading it changes nothing.
func (c *Cache) Stats(connection string) Stats {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := Stats{Connection: connection, MaxBytes: c.cfg.MaxConnection}
	sp, ok := c.store.spaces[connection]
	if !ok {
		return s
	}
	now := c.now()
	s.Entries, s.Bytes, s.Counts = sp.used.Len(), sp.bytes, sp.counts
	for e := sp.used.Front(); e != nil; e = e.Next() {
		if kept, ok := e.Value.(*entry); ok {
			s.OldestStale = max(s.OldestStale, now.Sub(kept.freshUntil))
		}
	}
	return s
}

// Snapshot is the state of all. The connections are read one after the other, so that calls pass in between.
func (c *Cache) Snapshot() Snapshot {
	out := Snapshot{Total: Stats{MaxBytes: c.cfg.MaxBytes}}
	for _, name := range c.connections() {
		s := c.Stats(name)
		out.Connections = append(out.Connections, s)
		out.Total.Entries += s.Entries
		out.Total.Bytes += s.Bytes
		out.Total.OldestStale = max(out.Total.OldestStale, s.OldestStale)
		out.Total.sum(s.Counts)
	}
	return out
}

func (c *Cache) connections() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Sorted(maps.Keys(c.store.spaces))
}
