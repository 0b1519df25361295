package runtime

import (
	"context"
	"net/http"
	"net/url"
)

// Target is what a connection says about one call. It is a snapshot: a change of the connection makes a
// new one.
type Target struct {
	ConnectionID string
	Slug         string
	Account      string
	Version      int
	// BaseURL is the stored URL: http or https, no user, no fragment. Calls never leave its host.
	BaseURL *url.URL
	Policy  Policy
	// Authorize puts the credential on the outgoing request: headers or query, never another host. An
	// error refuses the call and is answered as it is.
	Authorize func(ctx context.Context, r *http.Request) error
	// Transport sends. It belongs to this version of the connection, so that no pooled connection was
	// made under other egress rules.
	Transport http.RoundTripper
}

// Caller is who makes a call, for its record.
type Caller struct {
	KeyID    string
	KeyName  string
	ClientIP string
}

type callerKey struct{}

// WithCaller returns a context that carries the caller of a gateway request.
func WithCaller(ctx context.Context, c Caller) context.Context {
	return context.WithValue(ctx, callerKey{}, c)
}

func callerOf(ctx context.Context) Caller {
	c, _ := ctx.Value(callerKey{}).(Caller)
	return c
}
