package cache

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"switchgear/internal/fault"
	"switchgear/internal/telemetry"
)

// task is an answer to be renewed.
type task struct {
	call    *Call
	refresh Refresh
}

// Serve renews answers in the background and drops old ones, until ctx ends. It is a supervised worker; it
// returns when all that it began has ended.
func (c *Cache) Serve(ctx context.Context) error {
	if !c.serving.CompareAndSwap(false, true) {
		return fault.New(fault.Internal, "", "cache: Serve runs already")
	}
	var workers sync.WaitGroup
	for range c.cfg.Workers {
		workers.Go(func() { c.work(ctx) })
	}
	sweep := time.NewTicker(c.cfg.Sweep)
	defer sweep.Stop()
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case <-sweep.C:
			c.sweep()
		}
	}
	workers.Wait()
	c.stop()
	return ctx.Err()
}

// stop lets go of what is still queued. Tasks are queued under the lock, while serving is set.
func (c *Cache) stop() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.serving.Store(false)
	for {
		select {
		case t := <-c.tasks:
			t.call.end(resultNotStored, "")
		default:
			return
		}
	}
}

func (c *Cache) work(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case t := <-c.tasks:
			c.renewNow(ctx, t)
		}
	}
}

// renewNow fetches one answer. Whatever happens, the call ends.
func (c *Cache) renewNow(ctx context.Context, t task) {
	defer t.call.Close()
	defer telemetry.RecoverPanic(func(err error) {
		t.call.failed(CauseConnectFailed)
		c.logger.LogAttrs(ctx, slog.LevelError, "cache refresh broken off", slog.Any("error", err))
	})
	ctx, cancel := context.WithTimeout(ctx, c.cfg.RefreshTimeout)
	defer cancel()
	resp, err := t.refresh(ctx, t.call.refreshHeader())
	if err != nil {
		t.call.failed(causeOf(err))
		return
	}
	defer func() { _ = resp.Body.Close() }() // The one that is there by then: Answered replaces it.
	if t.call.Answered(resp) != nil {
		return // confirmed
	}
	body, ok := resp.Body.(*capture)
	if !ok {
		return // nothing to keep
	}
	buffer := make([]byte, 32<<10)
	for !body.over {
		if _, err := body.Read(buffer); err != nil {
			return
		}
	}
}

// sweep drops what is too old to be of any use, a connection at a time so that calls pass in between.
func (c *Cache) sweep() {
	for _, name := range c.connections() {
		c.mu.Lock()
		sp := c.store.space(name)
		now := c.now()
		for e := sp.used.Back(); e != nil; {
			before := e.Prev()
			if old, ok := e.Value.(*entry); ok && now.After(old.useless) {
				c.store.remove(old)
			}
			e = before
		}
		sp.single.sweep(now)
		sp.paused.sweep(now)
		c.mu.Unlock()
	}
}
