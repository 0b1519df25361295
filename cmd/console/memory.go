package main

import (
	"context"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

const (
	// spareMemory is how much garbage may lie about before it is collected, where that is more than Go would
	// leave by itself.
	spareMemory = 160 << 20
	mostPercent = 400
)

// collectorPercent is how much garbage may come on top of what is in use, in percent of it: what fits into
// spareMemory, and never less than the usual 100.
func collectorPercent(inUse uint64) int {
	if inUse == 0 {
		return 100
	}
	return int(min(mostPercent, max(100, spareMemory*100/inUse)))
}

// paceCollector lets a small process collect its garbage less often, which takes a sixth of the processor
// time of a call, while a large one keeps the pace of Go: what it spends on that is bounded by spareMemory.
// First, a second after the start, it has what only the start needed given back to the system, once: an idle
// console would keep it for long. It runs until ctx ends. A limit that GOMEMLIMIT sets holds all the same.
func paceCollector(ctx context.Context, set func(percent int), giveBack func()) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	inUse := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	current := 100
	select {
	case <-ctx.Done():
		return
	case <-tick.C:
		giveBack()
	}
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		metrics.Read(inUse)
		// Setting it stops all goroutines for a moment, so small changes are left out.
		next := collectorPercent(inUse[0].Value.Uint64())
		if difference := next - current; difference < -20 || difference > 20 || next == 100 && current != 100 {
			current = next
			set(current)
		}
	}
}

// withPacedCollector runs a server with [paceCollector] beside it, unless GOGC says how often to collect.
func withPacedCollector(ctx context.Context, env environment, run func(context.Context) error) error {
	if env.ownPace {
		return run(ctx)
	}
	pace, stop := context.WithCancel(context.WithoutCancel(ctx))
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		paceCollector(pace, func(percent int) { debug.SetGCPercent(percent) }, debug.FreeOSMemory)
	}()
	defer func() {
		stop()
		<-ended
	}()
	return run(ctx)
}
