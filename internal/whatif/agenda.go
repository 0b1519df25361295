package whatif

import (
	"container/heap"
	"time"
)

// agenda is what is planned, the earliest first; of several at once, what was planned first.
type agenda struct {
	list plans
	n    uint64
}

type plan struct {
	at time.Time
	n  uint64
	f  *flight
}

func (a *agenda) push(at time.Time, f *flight) {
	a.n++
	heap.Push(&a.list, plan{at, a.n, f})
}

func (a *agenda) pop() *flight {
	p, _ := heap.Pop(&a.list).(plan)
	return p.f
}

// first is when the next is planned; zero when nothing is.
func (a *agenda) first() time.Time {
	if len(a.list) == 0 {
		return time.Time{}
	}
	return a.list[0].at
}

type plans []plan

func (p plans) Len() int { return len(p) }

func (p plans) Less(i, j int) bool {
	if p[i].at.Equal(p[j].at) {
		return p[i].n < p[j].n
	}
	return p[i].at.Before(p[j].at)
}

func (p plans) Swap(i, j int) { p[i], p[j] = p[j], p[i] }

// Push is of container/heap.
func (p *plans) Push(x any) {
	next, _ := x.(plan)
	*p = append(*p, next)
}

// Pop is of container/heap.
func (p *plans) Pop() any {
	old := *p
	last := old[len(old)-1]
	old[len(old)-1] = plan{}
	*p = old[:len(old)-1]
	return last
}
