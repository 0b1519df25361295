package http1

import (
	"sync"
	"time"
)

// pool keeps connections that no exchange uses. The one that was used last is taken first, so that those
// that are not needed grow old.
type pool struct {
	perHost int
	timeout time.Duration

	mu      sync.Mutex
	idle    map[string][]*conn // by address; the oldest first
	reaper  *time.Timer        // runs while there is something in idle
	retired bool               // what comes back is closed
}

// take returns a connection that still lives, or nil.
func (p *pool) take(address string) *conn {
	for {
		c := p.pop(address)
		if c == nil || c.alive() {
			return c
		}
		c.close()
	}
}

func (p *pool) pop(address string) *conn {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.retired = false
	conns := p.idle[address]
	if len(conns) == 0 {
		return nil
	}
	last := len(conns) - 1
	c := conns[last]
	conns[last] = nil
	p.idle[address] = conns[:last]
	if time.Since(c.idleAt) >= p.timeout { // The reaper is late. What is below is older still.
		p.drop(address)
		c.close()
		return nil
	}
	return c
}

// drop closes everything that is idle for an address. mu is held.
func (p *pool) drop(address string) {
	for _, c := range p.idle[address] {
		c.close()
	}
	delete(p.idle, address)
}

// put keeps a connection for later.
func (p *pool) put(c *conn) {
	if c.socket == nil { // Nobody could say whether it lives.
		c.close()
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	conns := p.idle[c.address]
	if p.retired || len(conns) >= p.perHost {
		c.close()
		return
	}
	if p.idle == nil {
		p.idle = map[string][]*conn{}
	}
	c.idleAt = time.Now()
	p.idle[c.address] = append(conns, c)
	if p.reaper == nil {
		p.reaper = time.AfterFunc(p.timeout, p.reap)
	}
}

// reap closes what was idle for too long, and comes back when the next one is due.
func (p *pool) reap() {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	next := time.Duration(-1)
	for address, conns := range p.idle {
		old := 0
		for old < len(conns) && now.Sub(conns[old].idleAt) >= p.timeout {
			conns[old].close()
			old++
		}
		if old == len(conns) {
			delete(p.idle, address)
			continue
		}
		p.idle[address] = append([]*conn(nil), conns[old:]...)
		if left := p.timeout - now.Sub(conns[old].idleAt); next < 0 || left < next {
			next = left
		}
	}
	if next < 0 {
		p.reaper = nil
		return
	}
	p.reaper.Reset(next)
}

func (p *pool) closeIdle() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.retired = true
	for address := range p.idle {
		p.drop(address)
	}
	if p.reaper != nil {
		p.reaper.Stop()
		p.reaper = nil
	}
}
