package connect

import (
	"time"

	"switchgear/internal/connections"
	"switchgear/internal/credentials"
)

// The states of a flow.
const (
	StatusPending = "pending" // the person has not come back
	StatusWorking = "working" // the code is being exchanged
	StatusDone    = "done"
	StatusFailed  = "failed"
)

// Flow is what may be known about a consent on its way.
type Flow struct {
	ID, ConnectionID, Slug, Account string
	// SessionID is the link that it belongs to; empty for somebody at the console.
	SessionID string
	// Provider names the redirect URI; Grant is authorization_code or device_code.
	Provider, Grant string
	Status          string
	// RedirectURI is what has to be registered at the provider; empty for a device.
	RedirectURI string
	// Server is the host that the person is sent to.
	Server string
	// Requested are the scopes that were asked for, Granted those that came; nil means all of them.
	Requested, Granted []string
	// UserCode is typed in at VerificationURL; CompleteURL holds both and may be empty.
	UserCode, VerificationURL, CompleteURL string
	Interval                               time.Duration
	// PollAt is when a device may be asked about next.
	PollAt time.Time
	// Step, Code and Problem say what failed, and what to do about it.
	Step, Code, Problem           string
	Actor                         Actor
	CreatedAt, ExpiresAt, EndedAt time.Time
	binding, sealed               string
	tokenURL, issuer              string
	issuerRequired                bool
	// origin is where the connection went to when the person was asked: the token is for nothing else.
	origin string
	// claimed says that the link it belongs to is held by this flow.
	claimed bool
}

// unchanged refuses to go on with another client than the flow began with, or for another address.
func (f Flow) unchanged(now connections.TokenClient) error {
	if err := f.sameClient(now.Config); err != nil {
		return err
	}
	if credentials.OriginOf(now.Connection.BaseURL) != f.origin {
		return connections.ErrMoved()
	}
	return nil
}

// Actor is who began a flow.
type Actor struct{ Kind, ID, Name string }

// Missing are the scopes that were asked for and not granted.
func (f Flow) Missing() []string {
	if f.Granted == nil {
		return nil
	}
	granted := map[string]bool{}
	for _, s := range f.Granted {
		granted[s] = true
	}
	var out []string
	for _, s := range f.Requested {
		if !granted[s] {
			out = append(out, s)
		}
	}
	return out
}
