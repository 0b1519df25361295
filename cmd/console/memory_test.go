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

// The bubble shares the heap of all tests, which is small: the collector may wait, and is told so once.
func TestCollectorIsPaced(t *testing.T) {
	t.Parallel()
	runtime.GC() // so that the heap in use is known
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		told := make(chan int, 10)
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			paceCollector(ctx, func(percent int) { told <- percent })
		}()
		time.Sleep(999 * time.Millisecond)
		synctest.Wait()
		if len(told) != 0 {
			t.Errorf("told before anything is known: %d percent", <-told)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if percent := <-told; percent <= 100 || len(told) != 0 {
			t.Errorf("told %d percent, and %d more", percent, len(told))
		}
		cancel()
		<-ended
	})
}
