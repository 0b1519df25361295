package http1

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"net/http/httptrace"
	"strings"
	"sync"
	"time"
)

// Event is a moment of an exchange.
type Event int

// The moments, in their order.
const (
	Asked     Event = iota + 1 // for a connection
	Connected                  // a new connection is there
	Reused                     // a connection that was used before is there
	Sent                       // the request was written, or may have been in part
	FirstByte                  // of an answer
)

// Observer follows one exchange. Its methods are called on the goroutine of the exchange.
type Observer interface {
	Event(e Event)
	// Informational gets the responses before the final one. An error ends the exchange.
	Informational(code int, header http.Header) error
	// Hooks are for what package net does while it connects, and for exchanges that another transport makes.
	Hooks() *httptrace.ClientTrace
}

// Deps are what a [Transport] works with. All are required.
type Deps struct {
	// Dial connects. It decides whether the address may be used.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// Other makes the exchanges that are not plain, and the first one with each host over TLS, which shows
	// what the host speaks.
	Other http.RoundTripper
}

// Config tunes a [Transport]. A zero field stands for the value in its comment.
type Config struct {
	TLS                    *tls.Config   // the zero one
	TLSHandshakeTimeout    time.Duration // 10s
	MaxIdleConnsPerHost    int           // 256
	IdleConnTimeout        time.Duration // 1m
	MaxResponseHeaderBytes int           // 64 KiB, those of informational responses included
	MaxResponseHeaders     int           // 1,000: fields of one header
	// BodyWait is how long a short body may take to arrive. One that takes longer is streamed, by the other
	// transport: an upstream may answer before it has seen all of it. 5ms
	BodyWait time.Duration
}

func (c Config) withDefaults() Config {
	if c.TLS == nil {
		c.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	c.TLS = c.TLS.Clone()
	c.TLS.NextProtos = []string{"http/1.1"}
	if c.TLSHandshakeTimeout <= 0 {
		c.TLSHandshakeTimeout = 10 * time.Second
	}
	if c.MaxIdleConnsPerHost <= 0 {
		c.MaxIdleConnsPerHost = 256
	}
	if c.IdleConnTimeout <= 0 {
		c.IdleConnTimeout = time.Minute
	}
	if c.MaxResponseHeaderBytes <= 0 {
		c.MaxResponseHeaderBytes = 64 << 10
	}
	if c.MaxResponseHeaders <= 0 {
		c.MaxResponseHeaders = 1000
	}
	if c.BodyWait <= 0 {
		c.BodyWait = 5 * time.Millisecond
	}
	return c
}

// Transport makes exchanges. It is safe for concurrent use.
type Transport struct {
	deps Deps
	cfg  Config
	pool pool
	// plain are the hosts that answered in HTTP/1 over TLS. The key is host:port.
	plain sync.Map
}

// New makes a transport with connections of its own.
func New(deps Deps, cfg Config) *Transport {
	cfg = cfg.withDefaults()
	return &Transport{deps: deps, cfg: cfg, pool: pool{perHost: cfg.MaxIdleConnsPerHost, timeout: cfg.IdleConnTimeout}}
}

// CloseIdleConnections closes what no exchange uses, and what is under way when it ends, until there is a
// new exchange.
func (t *Transport) CloseIdleConnections() {
	t.pool.closeIdle()
	if other, ok := t.deps.Other.(interface{ CloseIdleConnections() }); ok {
		other.CloseIdleConnections()
	}
}

// RoundTrip implements http.RoundTripper.
func (t *Transport) RoundTrip(r *http.Request) (*http.Response, error) {
	return t.Exchange(r, nil)
}

// Exchange is RoundTrip with an observer, which may be nil.
func (t *Transport) Exchange(r *http.Request, o Observer) (*http.Response, error) {
	if !plain(r) {
		return t.other(r, o)
	}
	address, secure := hostPort(r)
	if secure {
		if _, known := t.plain.Load(address); !known {
			resp, err := t.other(r, o)
			if err == nil && resp.ProtoMajor == 1 {
				t.plain.Store(address, true)
			}
			return resp, err
		}
	}
	return t.exchange(r, o, address, secure)
}

func (t *Transport) other(r *http.Request, o Observer) (*http.Response, error) {
	if o != nil {
		r = r.WithContext(httptrace.WithClientTrace(r.Context(), o.Hooks()))
	}
	return t.deps.Other.RoundTrip(r)
}

// exchange takes connections until the request left on one of them.
func (t *Transport) exchange(r *http.Request, o Observer, address string, secure bool) (*http.Response, error) {
	ctx := r.Context()
	var body []byte
	for {
		c, reused, err := t.connection(ctx, o, address, secure)
		if err != nil {
			closeBody(r)
			return nil, because(ctx, err)
		}
		if r.ContentLength > 0 && body == nil {
			text, rest, err := prefetch(r, t.cfg.BodyWait)
			if text == nil {
				t.pool.put(c) // Nothing was sent over it.
			}
			switch {
			case err != nil:
				closeBody(r)
				return nil, because(ctx, err)
			case text == nil:
				streamed := *r
				streamed.Body, streamed.GetBody = rest, nil
				return t.other(&streamed, o)
			}
			body = text
			closeBody(r)
			if reused && !c.alive() { // Meanwhile it may have ended.
				c.close()
				continue
			}
		}
		resp, err := c.exchange(r, body, o)
		if err == nil {
			return resp, nil
		}
		if _, unsent := errors.AsType[unsentError](err); !unsent || !reused || ctx.Err() != nil {
			return nil, because(ctx, err)
		}
	}
}

// connection takes one that was used before, or makes one.
func (t *Transport) connection(ctx context.Context, o Observer, address string, secure bool) (c *conn, reused bool, err error) {
	if ctx.Err() != nil {
		return nil, false, context.Cause(ctx)
	}
	tell(o, Asked)
	if c = t.pool.take(address); c != nil {
		tell(o, Reused)
		return c, true, nil
	}
	if c, err = t.connect(ctx, o, address, secure); err != nil {
		return nil, false, err
	}
	tell(o, Connected)
	return c, false, nil
}

// because is the reason why the context ended, if it did: what it broke is not to be blamed.
func because(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if unsent, ok := errors.AsType[unsentError](err); ok {
		return unsent.error
	}
	return err
}

func tell(o Observer, e Event) {
	if o != nil {
		o.Event(e)
	}
}

func closeBody(r *http.Request) {
	if r.Body != nil {
		_ = r.Body.Close()
	}
}

// hostPort is where a request goes.
func hostPort(r *http.Request) (address string, secure bool) {
	secure = r.URL.Scheme == "https"
	if r.URL.Port() != "" {
		return r.URL.Host, secure
	}
	if secure {
		return net.JoinHostPort(r.URL.Hostname(), "443"), true
	}
	return net.JoinHostPort(r.URL.Hostname(), "80"), false
}

// plain reports whether a request is one of those that are made here.
func plain(r *http.Request) bool {
	u := r.URL
	switch {
	case u == nil || u.Scheme != "http" && u.Scheme != "https" || u.Opaque != "" || u.User != nil || !plainHost(u.Host):
		return false
	case r.Host != "" && !plainHost(r.Host):
		return false
	case r.Header == nil || len(r.Trailer) > 0 || len(r.TransferEncoding) > 0 || r.Close || r.Cancel != nil: //nolint:staticcheck // Who uses it is left to net/http.
		return false
	case r.Method == http.MethodConnect || !isToken(r.Method):
		return false
	case r.ContentLength < 0 || r.ContentLength > maxBody || r.ContentLength == 0 && r.Body != nil && r.Body != http.NoBody:
		return false
	case r.ContentLength > 0 && (r.Body == nil || r.Body == http.NoBody):
		return false
	}
	for name := range r.Header {
		switch name {
		case "Expect", "Upgrade", "Connection":
			return false
		}
	}
	return true
}

// plainHost reports whether a host needs no translation before it is dialled or sent.
func plainHost(host string) bool {
	if host == "" {
		return false
	}
	for i := range len(host) {
		switch c := host[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		case strings.IndexByte("-._:[]", c) >= 0:
		default:
			return false
		}
	}
	return !strings.HasSuffix(host, ":")
}
