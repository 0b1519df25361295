package cache

import (
	"errors"
	"io"
	"net/http"
	"slices"
)

// capture passes a body on and keeps a copy. The copy is given up when it outgrows the limit, so that a
// long body costs no more than that; the reader notices nothing.
type capture struct {
	source io.ReadCloser
	resp   *http.Response
	call   *Call
	answer answer
	want   int64 // the length that the upstream announced, or -1
	limit  int64
	buf    []byte
	over   bool
}

const firstCapture = 4 << 10

// Read implements io.Reader.
func (c *capture) Read(p []byte) (int, error) {
	n, err := c.source.Read(p)
	if c.over {
		return n, err
	}
	if n > 0 && !c.add(p[:n]) {
		c.giveUp()
		return n, err
	}
	switch {
	case err == nil:
	case errors.Is(err, io.EOF):
		c.complete()
	default:
		c.broken()
	}
	return n, err
}

// Close implements io.Closer. A body that was closed before its end is not kept.
func (c *capture) Close() error {
	if !c.over {
		if c.want >= 0 && int64(len(c.buf)) == c.want {
			c.complete()
		} else {
			c.broken()
		}
	}
	return c.source.Close()
}

func (c *capture) add(p []byte) bool {
	length := len(c.buf) + len(p)
	if int64(length) > c.limit || c.want >= 0 && int64(length) > c.want {
		return false
	}
	if length > cap(c.buf) {
		size := max(length, 2*cap(c.buf), firstCapture)
		if c.want >= 0 && int64(size) > c.want {
			size = int(c.want)
		}
		size = min(size, int(c.limit))
		if !c.call.cache.reserve(int64(size - cap(c.buf))) {
			return false
		}
		grown := make([]byte, len(c.buf), size)
		copy(grown, c.buf)
		c.buf = grown
	}
	c.buf = append(c.buf, p...)
	return true
}

func (c *capture) complete() {
	if c.want >= 0 && int64(len(c.buf)) != c.want {
		c.broken()
		return
	}
	if len(c.resp.Trailer) > 0 { // They may come unannounced.
		c.giveUp()
		return
	}
	body := c.buf
	if cap(body)-len(body) > len(body)/8 {
		body = slices.Clone(body)
	}
	c.release()
	c.call.keep(c.answer, slices.Clip(body))
}

// giveUp forgets the copy of an answer that cannot be kept, and lets those who wait for it go on.
func (c *capture) giveUp() {
	c.release()
	c.call.unusable(c.answer.status)
}

// broken forgets the copy of an answer that did not come to its end. What was kept before stays.
func (c *capture) broken() {
	c.release()
	if c.call.background {
		c.call.failed(CauseConnectFailed)
		return
	}
	c.call.Close()
}

func (c *capture) release() {
	c.over = true
	c.call.cache.capturing.Add(-int64(cap(c.buf)))
	c.buf = nil
}

// reserve takes bytes from what may be captured at once; false when there are not that many.
func (c *Cache) reserve(n int64) bool {
	if c.capturing.Add(n) > c.cfg.MaxCapture {
		c.capturing.Add(-n)
		return false
	}
	return true
}
