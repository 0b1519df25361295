package runtime

import (
	"context"
	"net/http"
	"net/url"

	"switchgear/internal/runtime/bodies"
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
	// Operations are those of the policy, resolved.
	Operations []OperationPolicy
	// CredentialID and CredentialVersion say which credential Authorize puts on; with a token that was renewed
	// it is still the same. Another version is another credential: what is known about the old one, and answers
	// kept for it, do not count for it.
	CredentialID      string
	CredentialVersion int64
	// Authorize puts the credential on the outgoing request: headers or query, never another host. An
	// error refuses the call and is answered as it is.
	Authorize func(ctx context.Context, r *http.Request) error
	// Ready reports whether what Authorize puts on is at hand, and Obtain waits until it is: for a token that
	// another system has to give first. A call waits for it within its time and outside of every queue and
	// place, so that a slow token endpoint holds up nobody else; who leaves does not end it for the others.
	// Both are nil where Authorize needs nobody.
	Ready  func() bool
	Obtain func(ctx context.Context) error
	// SignsBody reports whether Authorize needs the body of a content type. Such a body is kept until it has
	// arrived whole, and Authorize finds it in GetBody; all others stream. nil where none is needed.
	SignsBody func(contentType string) bool
	// Refresh gets a new credential after the upstream did not accept the present one, and returns what puts
	// it on. nil where the auth type has nothing to refresh.
	Refresh func(ctx context.Context) (func(ctx context.Context, r *http.Request) error, error)
	// Transport sends. It belongs to this version of the connection, so that no pooled connection was
	// made under other egress rules.
	Transport http.RoundTripper
	// LogBodies records the beginning of both bodies, redacted.
	LogBodies bool
}

// Caller is who makes a call, for its record: an application with its key, or a person at the console.
type Caller struct {
	KeyID    string
	KeyName  string
	UserID   string
	UserName string
	ClientIP string
	// Alternate finds the connection that a call may be sent through when its own fails, with an account of
	// the same name. An error says why it may not be asked. nil: no other connection is asked. It is only
	// needed where [Target.HasAlternate].
	Alternate func(slug, account string) (Target, error)
	// Plain wants to know how the upstream is: nothing stands in for it but the cache.
	Plain bool
	// Watch, if set, is filled in before [Proxy.Serve] returns or panics.
	Watch *Watch
}

// Watch is what somebody sees of a call who sends it by hand.
type Watch struct {
	Record Record
	// Response is the beginning of the answer as it came, at most 256 KiB, except for the credential of the
	// connection: an upstream may repeat it, and nobody is to read it here. It must not be stored.
	Response bodies.Body
}

type callerKey struct{}

// WithCaller returns a context that carries the caller of a gateway request.
func WithCaller(ctx context.Context, c Caller) context.Context {
	return &callerContext{Context: ctx, caller: c}
}

// CallingKey is the API key that a call is made with, from the context of its request; both are empty when a
// person or the console itself makes it.
func CallingKey(ctx context.Context) (id, name string) {
	c := callerOf(ctx)
	return c.KeyID, c.KeyName
}

// callerContext is what context.WithValue makes, in one piece: every call has one.
type callerContext struct {
	context.Context //nolint:containedctx // It is one.

	caller Caller
}

// Value implements context.Context.
func (c *callerContext) Value(key any) any {
	if key == (callerKey{}) {
		return &c.caller
	}
	return c.Context.Value(key)
}

// callerOf is the caller of a call; it is read only.
func callerOf(ctx context.Context) *Caller {
	if c, ok := ctx.Value(callerKey{}).(*Caller); ok {
		return c
	}
	return &Caller{}
}
