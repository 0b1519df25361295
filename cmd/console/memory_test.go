package main

import (
	"context"
	"runtime"
	"testing"
	"testing/synctest"
	"time"
)

func TestCollectorPercent(t *testing.T) {
	t.Parallel()
	for inUse, want := range map[uint64]int{
		0: 100, 1: 400, 10 << 20: 400, 40 << 20: 400, 80 << 20: 200, 160 << 20: 100, 161 << 20: 100, 4 << 30: 100, 1 << 60: 100,
	} {
		if got := collectorPercent(inUse); got != want {
			t.Errorf("%d bytes in use: %d percent, not %d", inUse, got, want)
		}
	}
}

// The bubble shares the heap of all tests, which is small: the collector may wait, and is told so once. What
// the start needed is given back once, before that.
func TestCollectorIsPaced(t *testing.T) {
	t.Parallel()
	runtime.GC() // so that the heap in use is known
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		told, given := make(chan int, 10), make(chan int, 10)
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			paceCollector(ctx, func(percent int) { told <- percent }, func() { given <- len(told) })
		}()
		time.Sleep(999 * time.Millisecond)
		synctest.Wait()
		if len(told)+len(given) != 0 {
			t.Errorf("%d times told and %d times given back before anything is known", len(told), len(given))
		}
		time.Sleep(3 * time.Second)
		synctest.Wait()
		if percent := <-told; percent <= 100 || len(told) != 0 {
			t.Errorf("told %d percent, and %d more", percent, len(told))
		}
		if before := <-given; before != 0 || len(given) != 0 {
			t.Errorf("memory is given back after %d times told, and %d times more", before, len(given))
		}
		cancel()
		<-ended
	})
}
