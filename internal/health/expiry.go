package health

import (
	"container/heap"
	"time"
)

// expiries are when checks grow too old to say anything, the next first.
type expiries []expiry

type expiry struct {
	at time.Time
	id string
}

func (e *expiries) add(at time.Time, id string) { heap.Push(e, expiry{at, id}) }

// over takes out those that are over.
func (e *expiries) over(now time.Time, dirty map[string]struct{}) {
	for len(*e) > 0 && now.After((*e)[0].at) {
		if x, ok := heap.Pop(e).(expiry); ok {
			dirty[x.id] = struct{}{}
		}
	}
}

// Len, Less, Swap, Push and Pop are for package heap.
func (e *expiries) Len() int           { return len(*e) }
func (e *expiries) Less(i, k int) bool { return (*e)[i].at.Before((*e)[k].at) }
func (e *expiries) Swap(i, k int)      { (*e)[i], (*e)[k] = (*e)[k], (*e)[i] }

func (e *expiries) Push(x any) {
	if one, ok := x.(expiry); ok {
		*e = append(*e, one)
	}
}

func (e *expiries) Pop() any {
	last := len(*e) - 1
	x := (*e)[last]
	*e = (*e)[:last]
	return x
}
