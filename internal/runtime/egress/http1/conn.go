package http1

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"net/http/httptrace"
	"os"
	"time"
)

// conn is a connection to an upstream. One exchange uses it at a time.
type conn struct {
	net.Conn         // over TLS if there is any
	socket   *socket // nil when it cannot be asked whether it lives
	tls      *tls.ConnectionState
	pool     *pool
	address  string
	br       *bufio.Reader
	out      []byte   // room for a request
	in       []byte   // room for the header of an answer
	names    []string // room for the names of a request's header
	limits   limits
	stop     func() // ends whatever reads or writes; made once
	idleAt   time.Time
}

// limits bound what is read of an answer before its body.
type limits struct{ bytes, fields int }

// unsentError is an error before anything of the request had left.
type unsentError struct{ error }

func (e unsentError) Unwrap() error { return e.error }

// connect makes a new connection.
func (t *Transport) connect(ctx context.Context, o Observer, address string, secure bool) (*conn, error) {
	var hooks *httptrace.ClientTrace
	if o != nil {
		hooks = o.Hooks()
		ctx = httptrace.WithClientTrace(ctx, hooks)
	}
	dialled, err := t.deps.Dial(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	c := &conn{
		Conn: dialled, socket: newSocket(dialled), pool: &t.pool, address: address,
		limits: limits{bytes: t.cfg.MaxResponseHeaderBytes, fields: t.cfg.MaxResponseHeaders},
	}
	if secure {
		if err := c.handshake(ctx, t.cfg, hooks); err != nil {
			_ = dialled.Close()
			t.plain.Delete(address) // The next exchange finds out what the host speaks by now.
			return nil, err
		}
	}
	c.br = bufio.NewReaderSize(c.Conn, 4<<10)
	c.stop = func() { _ = c.SetDeadline(time.Unix(1, 0)) } // A connection without deadlines runs into its own errors.
	return c, nil
}

func (c *conn) handshake(ctx context.Context, cfg Config, hooks *httptrace.ClientTrace) error {
	ctx, cancel := context.WithTimeout(ctx, cfg.TLSHandshakeTimeout)
	defer cancel()
	config := cfg.TLS
	if config.ServerName == "" {
		host, _, err := net.SplitHostPort(c.address)
		if err != nil {
			return err
		}
		config = config.Clone()
		config.ServerName = host
	}
	under := c.Conn
	if c.socket != nil {
		under = c.socket
	}
	secure := tls.Client(under, config)
	if hooks != nil && hooks.TLSHandshakeStart != nil {
		hooks.TLSHandshakeStart()
	}
	err := secure.HandshakeContext(ctx)
	state := secure.ConnectionState()
	if err == nil && state.NegotiatedProtocol != "" && state.NegotiatedProtocol != "http/1.1" {
		err = errors.New("http1: the server chose a protocol that was not offered")
	}
	if hooks != nil && hooks.TLSHandshakeDone != nil {
		hooks.TLSHandshakeDone(state, err)
	}
	if err != nil {
		return err
	}
	c.Conn, c.tls = secure, &state
	return nil
}

func (c *conn) close() { _ = c.Close() }

// alive reports whether the other end has neither closed the connection nor said anything since its last
// answer. It does not wait.
func (c *conn) alive() bool {
	if c.br.Buffered() > 0 {
		return false
	}
	if c.tls == nil {
		return c.socket.quiet()
	}
	// TLS has to look itself: it keeps what it has read too much, and what is there may be about TLS only.
	c.socket.probing = true
	defer func() { c.socket.probing = false }()
	var one [1]byte
	n, err := c.Read(one[:])
	return n == 0 && errors.Is(err, os.ErrDeadlineExceeded)
}

// exchange writes a request and reads the header of its answer. After an error the connection is closed.
func (c *conn) exchange(r *http.Request, body []byte, o Observer) (*http.Response, error) {
	if err := c.compose(r, body); err != nil {
		c.pool.put(c) // It has not been touched.
		return nil, err
	}
	release := context.AfterFunc(r.Context(), c.stop)
	resp, err := c.converse(r, o)
	if err != nil {
		release()
		c.close()
		return nil, err
	}
	resp.Request, resp.TLS = r, c.tls
	c.attachBody(resp, release)
	return resp, nil
}

func (c *conn) converse(r *http.Request, o Observer) (*http.Response, error) {
	n, err := c.Write(c.out)
	if cap(c.out) > keptRoom {
		c.out = nil
	}
	if n > 0 || err == nil {
		tell(o, Sent)
	}
	if err != nil {
		if n == 0 {
			return nil, unsentError{err}
		}
		return nil, err
	}
	if _, err := c.br.Peek(1); err != nil {
		return nil, unexpected(err)
	}
	tell(o, FirstByte)
	left := c.limits.bytes
	for {
		resp, length, err := c.readResponse(r.Method, left)
		if err != nil {
			return nil, err
		}
		left -= length
		// What follows 101 is another protocol, so it is the end of this one.
		if resp.StatusCode < 100 || resp.StatusCode > 199 || resp.StatusCode == http.StatusSwitchingProtocols {
			return resp, nil
		}
		if o != nil {
			if err := o.Informational(resp.StatusCode, resp.Header); err != nil {
				return nil, err
			}
		}
	}
}
