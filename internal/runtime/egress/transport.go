package egress

import (
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"time"

	"switchgear/internal/runtime/egress/http1"
)

// TransportConfig tunes a transport. The zero value is usable.
type TransportConfig struct {
	// RootCAs replaces the system's certificate authorities.
	RootCAs *x509.CertPool
	// ClientCertificate is asked in the handshake for what to present to a server. nil presents nothing. Make
	// one transport for each certificate: connections that were made with one must not carry calls of another.
	ClientCertificate func(*tls.CertificateRequestInfo) (*tls.Certificate, error)
	// MaxIdleConnsPerHost bounds the connections kept for later. 0 = 256.
	MaxIdleConnsPerHost int
	// IdleConnTimeout closes what was not used. 0 = 60s.
	IdleConnTimeout time.Duration
	// MaxResponseHeaderBytes bounds the headers of an answer. 0 = 64 KiB.
	MaxResponseHeaderBytes int64
	// ExpectContinueTimeout is how long a request with Expect: 100-continue holds its body back. 0 = 1s.
	ExpectContinueTimeout time.Duration
}

func (c TransportConfig) withDefaults() TransportConfig {
	if c.MaxIdleConnsPerHost == 0 {
		c.MaxIdleConnsPerHost = 256
	}
	if c.IdleConnTimeout == 0 {
		c.IdleConnTimeout = time.Minute
	}
	if c.MaxResponseHeaderBytes == 0 {
		c.MaxResponseHeaderBytes = 64 << 10
	}
	if c.ExpectContinueTimeout == 0 {
		c.ExpectContinueTimeout = time.Second
	}
	return c
}

func (c TransportConfig) tls() *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: c.RootCAs, GetClientCertificate: c.ClientCertificate}
}

const handshakeTimeout = 10 * time.Second

// NewCalls makes the transport of calls: plain exchanges over HTTP/1.1 take a short way, everything else
// that of [Guard.NewTransport], which says what holds for both.
func (g *Guard) NewCalls(cfg TransportConfig) *http1.Transport {
	cfg = cfg.withDefaults()
	return http1.New(http1.Deps{Dial: g.dial, Other: g.NewTransport(cfg)}, http1.Config{
		TLS:                    cfg.tls(),
		TLSHandshakeTimeout:    handshakeTimeout,
		MaxIdleConnsPerHost:    cfg.MaxIdleConnsPerHost,
		IdleConnTimeout:        cfg.IdleConnTimeout,
		MaxResponseHeaderBytes: int(cfg.MaxResponseHeaderBytes),
	})
}

// NewTransport makes a transport that connects only where the guard allows it. Each call makes a new one
// with connections of its own; make one per version of a policy, and call CloseIdleConnections on the
// one it replaces. It follows no redirect and unpacks no body: both are up to whoever reads the answer.
func (g *Guard) NewTransport(cfg TransportConfig) *http.Transport {
	cfg = cfg.withDefaults()
	return &http.Transport{
		Proxy:                  nil, // Never from the environment: see the package comment.
		DialContext:            g.dial,
		ForceAttemptHTTP2:      true, // A dialer of our own would switch HTTP/2 off.
		DisableCompression:     true, // Bodies pass as they are; a small one must not become a large one here.
		TLSClientConfig:        cfg.tls(),
		TLSHandshakeTimeout:    handshakeTimeout,
		MaxIdleConnsPerHost:    cfg.MaxIdleConnsPerHost,
		IdleConnTimeout:        cfg.IdleConnTimeout,
		MaxResponseHeaderBytes: cfg.MaxResponseHeaderBytes,
		ExpectContinueTimeout:  cfg.ExpectContinueTimeout,
		// A connection whose other end vanished is noticed, and not used for the next call.
		HTTP2: &http.HTTP2Config{SendPingTimeout: 15 * time.Second, PingTimeout: 5 * time.Second},
	}
}

// NewClient makes a client of a transport of its own. It follows no redirect: the answer is the redirect.
func (g *Guard) NewClient(cfg TransportConfig) *http.Client {
	return &http.Client{
		Transport:     g.NewTransport(cfg),
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}
