package http1

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"sync"
)

// body is the body of an answer on its way. When it was read to the end, its connection is free for the next
// exchange; closed before that, the connection is closed with it.
type body struct {
	conn    *conn
	resp    *http.Response
	release func() bool // of the context; false when it has interrupted the connection
	chunked io.Reader   // nil without chunks
	left    int64       // without chunks; negative up to the end of the connection
	err     error       // of the last read, which all further ones repeat
	mu      sync.Mutex  // of over
	over    bool        // the connection is no longer ours
}

// attachBody gives an answer its body. release ends the watch over the context.
func (c *conn) attachBody(resp *http.Response, release func() bool) {
	b := &body{conn: c, resp: resp, release: release, left: resp.ContentLength}
	chunked := len(resp.TransferEncoding) > 0
	switch {
	case resp.StatusCode == http.StatusSwitchingProtocols:
		b.finish(false) // Nobody here speaks another protocol.
		resp.Body = http.NoBody
	case resp.Request.Method != http.MethodHead && !hasBody(resp.StatusCode):
		b.finish(!chunked) // Chunks that must not be are not waited for.
		resp.Body = http.NoBody
	case resp.Request.Method == http.MethodHead, resp.ContentLength == 0:
		b.finish(true)
		resp.Body = http.NoBody
	case chunked:
		b.chunked = httputil.NewChunkedReader(c.br)
		resp.Body = b
	default:
		resp.Body = b
	}
}

// finish lets go of the connection, which is whole or has to be closed.
func (b *body) finish(whole bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.over {
		return
	}
	b.over = true
	// Once the context may have interrupted it, nobody knows when the interruption takes place.
	if !b.release() || !whole || b.resp.Close || b.conn.br.Buffered() > 0 {
		b.conn.close()
		return
	}
	b.conn.pool.put(b.conn)
}

// Read implements io.Reader.
func (b *body) Read(p []byte) (n int, err error) {
	if b.err != nil {
		return 0, b.err
	}
	if b.closed() {
		return 0, http.ErrBodyReadAfterClose
	}
	switch {
	case b.chunked != nil:
		n, err = b.chunked.Read(p)
		switch {
		case err == nil:
		case errors.Is(err, io.EOF):
			if failed := b.conn.readTrailer(b.resp); failed != nil {
				err = failed
			}
		case !lost(err):
			err = errChunks
		}
	case b.left < 0:
		n, err = b.conn.br.Read(p)
	default:
		if int64(len(p)) > b.left {
			p = p[:b.left]
		}
		n, err = b.conn.br.Read(p)
		b.left -= int64(n)
		switch {
		case b.left == 0:
			err = io.EOF
		case errors.Is(err, io.EOF):
			err = io.ErrUnexpectedEOF
		}
	}
	if err == nil {
		return n, nil
	}
	b.finish(errors.Is(err, io.EOF))
	if !errors.Is(err, io.EOF) {
		err = because(b.resp.Request.Context(), err)
	}
	b.err = err
	return n, err
}

// lost reports whether err is about the connection, and not about what came over it.
func lost(err error) bool {
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return true
	}
	if _, ok := errors.AsType[net.Error](err); ok {
		return true
	}
	_, ok := errors.AsType[tls.RecordHeaderError](err)
	return ok
}

func (b *body) closed() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.over
}

// Close implements io.Closer. A read that is under way ends with an error.
func (b *body) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.over {
		b.over = true
		b.release()
		b.conn.close()
	}
	return nil
}
