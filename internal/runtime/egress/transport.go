package egress

import (
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"time"
)

// TransportConfig tunes a transport. The zero value is usable.
type TransportConfig struct {
	// RootCAs replaces the system's certificate authorities.
	RootCAs *x509.CertPool
	// MaxConnsPerHost bounds the connections to one host. 0 = no bound: the bulkhead is the bound.
	MaxConnsPerHost int
	// MaxIdleConnsPerHost bounds the connections kept for later. 0 = 256.
	MaxIdleConnsPerHost int
	// IdleConnTimeout closes what was not used. 0 = 60s.
	IdleConnTimeout time.Duration
	// MaxResponseHeaderBytes bounds the headers of an answer. 0 = 64 KiB.
	MaxResponseHeaderBytes int64
	// ExpectContinueTimeout is how long a request with Expect: 100-continue holds its body back. 0 = 1s.
	ExpectContinueTimeout time.Duration
}

// NewTransport makes a transport that connects only where the guard allows it. Each call makes a new one
// with connections of its own; make one per version of a policy, and call CloseIdleConnections on the
// one it replaces. It follows no redirect and unpacks no body: both are up to whoever reads the answer.
func (g *Guard) NewTransport(cfg TransportConfig) *http.Transport {
	if cfg.MaxIdleConnsPerHost == 0 {
		cfg.MaxIdleConnsPerHost = 256
	}
	if cfg.IdleConnTimeout == 0 {
		cfg.IdleConnTimeout = time.Minute
	}
	if cfg.MaxResponseHeaderBytes == 0 {
		cfg.MaxResponseHeaderBytes = 64 << 10
	}
	if cfg.ExpectContinueTimeout == 0 {
		cfg.ExpectContinueTimeout = time.Second
	}
	return &http.Transport{
		Proxy:                  nil, // Never from the environment: see the package comment.
		DialContext:            g.dial,
		ForceAttemptHTTP2:      true, // A dialer of our own would switch HTTP/2 off.
		DisableCompression:     true, // Bodies pass as they are; a small one must not become a large one here.
		TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: cfg.RootCAs},
		TLSHandshakeTimeout:    10 * time.Second,
		MaxConnsPerHost:        cfg.MaxConnsPerHost,
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
