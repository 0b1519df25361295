package http1

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"
)

// prefetched is a request body that is read ahead, on a goroutine that ends with its last read. It is a body
// too: what was read ahead, and then the rest.
type prefetched struct {
	from io.ReadCloser
	done chan struct{} // closed when nobody reads ahead any more

	mu     sync.Mutex
	buf    []byte // room for all of the body
	n      int    // so much of it was read
	stop   bool   // somebody else reads the rest
	err    error
	passed int // only of the reader of the rest: so much of buf was given
}

// prefetch reads the body of a request, and returns nil as its text when that takes longer. Then p is the
// body to send.
func prefetch(r *http.Request, wait time.Duration) (text []byte, p *prefetched, err error) {
	p = &prefetched{from: r.Body, done: make(chan struct{}), buf: make([]byte, r.ContentLength)}
	go p.read()
	late := time.NewTimer(wait)
	defer late.Stop()
	select {
	case <-p.done:
	case <-late.C:
	case <-r.Context().Done():
		_, _ = p.leave()
		return nil, p, context.Cause(r.Context())
	}
	switch n, err := p.leave(); {
	case n == len(p.buf):
		return p.buf, p, nil
	case errors.Is(err, io.EOF):
		return nil, p, fmt.Errorf("http1: the body of the request has %d bytes and not %d", n, len(p.buf))
	case err != nil:
		return nil, p, err
	}
	return nil, p, nil
}

// read reads ahead until it has everything or is told to stop.
func (p *prefetched) read() {
	defer close(p.done)
	for at := 0; at < len(p.buf); {
		n, err := p.from.Read(p.buf[at:])
		at += n
		p.mu.Lock()
		p.n, p.err = at, err
		stop := p.stop
		p.mu.Unlock()
		if stop || err != nil {
			return
		}
	}
}

// leave says that nobody reads ahead after the read that is under way, and returns how far it came.
func (p *prefetched) leave() (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stop = true
	return p.n, p.err
}

// Read implements io.Reader, once p was left.
func (p *prefetched) Read(to []byte) (int, error) {
	for {
		p.mu.Lock()
		n, err := copy(to, p.buf[p.passed:p.n]), p.err
		p.passed += n
		p.mu.Unlock()
		select {
		case <-p.done:
			switch {
			case n > 0:
				return n, nil
			case err != nil:
				return 0, err
			}
			if n, _ := p.leave(); n > p.passed { // It came in between.
				continue
			}
			return p.from.Read(to)
		default:
			if n > 0 {
				return n, nil
			}
			<-p.done
		}
	}
}

// Close implements io.Closer.
func (p *prefetched) Close() error { return p.from.Close() }
