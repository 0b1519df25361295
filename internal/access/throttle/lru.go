package throttle

import "container/list"

// lru is a bounded map that forgets the least recently used value first. It is not safe for concurrent use.
type lru[V any] struct {
	limit  int
	values map[key]*list.Element
	recent *list.List // of *item[V], the most recently used first
}

type item[V any] struct {
	key   key
	value V
}

func newLRU[V any](limit int) *lru[V] {
	return &lru[V]{limit: limit, values: map[key]*list.Element{}, recent: list.New()}
}

// get returns the value and counts as a use of it.
func (l *lru[V]) get(k key) (V, bool) {
	el, ok := l.values[k]
	if !ok {
		var none V
		return none, false
	}
	l.recent.MoveToFront(el)
	return el.Value.(*item[V]).value, true
}

// put adds a value that is not there yet. busy says which values have to stay when room is made.
func (l *lru[V]) put(k key, v V, busy func(V) bool) {
	for el := l.recent.Back(); el != nil && len(l.values) >= l.limit; {
		previous := el.Prev()
		if it := el.Value.(*item[V]); !busy(it.value) {
			l.drop(it.key)
		}
		el = previous
	}
	l.values[k] = l.recent.PushFront(&item[V]{k, v})
}

func (l *lru[V]) drop(k key) {
	if el, ok := l.values[k]; ok {
		l.recent.Remove(el)
		delete(l.values, k)
	}
}

// prune drops every value that is old.
func (l *lru[V]) prune(old func(V) bool) {
	for el := l.recent.Back(); el != nil; {
		previous := el.Prev()
		if it := el.Value.(*item[V]); old(it.value) {
			l.drop(it.key)
		}
		el = previous
	}
}
