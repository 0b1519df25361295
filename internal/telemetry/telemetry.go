// Package telemetry is what the process says about itself: structured logs with redaction, request
// ids, and the Prometheus registry.
//
// Invariants: a log line never carries a [Secret], nor the value of an attribute whose key names one
// (see [NewLogger]); no metric label has an unbounded set of values; nothing here is global, so that
// tests run side by side.
package telemetry

import (
	"context"
	"crypto/rand"
	"io"
	"log/slog"
	"strings"
	"time"
)

// NewLogger returns a JSON logger (one object a line, times in UTC) that redacts attributes whose key
// names a secret, at any depth of groups, and masks what looks like a credential anywhere (see [Mask]).
func NewLogger(w io.Writer, level slog.Leveler) *slog.Logger {
	return slog.New(slog.NewJSONHandler(newMasker(w), &slog.HandlerOptions{Level: level, ReplaceAttr: redact}))
}

// Discard returns a logger that writes nothing, for tests and one-shot commands.
func Discard() *slog.Logger { return slog.New(slog.DiscardHandler) }

func redact(_ []string, a slog.Attr) slog.Attr {
	if a.Value.Kind() == slog.KindTime {
		return slog.String(a.Key, a.Value.Time().UTC().Format(time.RFC3339Nano))
	}
	if IsSecretKey(a.Key) && a.Value.Kind() != slog.KindGroup {
		return slog.String(a.Key, Redacted)
	}
	return a
}

// IsSecretKey reports whether a field, header or attribute of this name is expected to hold a secret.
// Names that only mention one (token_expiry, password_changed_at, key_id) are not secret.
func IsSecretKey(name string) bool {
	n := strings.ToLower(strings.NewReplacer("-", "_", " ", "_", ".", "_").Replace(name))
	switch n {
	case "authorization", "proxy_authorization", "cookie", "set_cookie", "password", "passwd",
		"passphrase", "secret", "token", "api_key", "apikey", "x_api_key", "private_key", "master_key",
		"session", "signature", "credential", "credentials", "code_verifier", "jwt", "assertion":
		return true
	}
	for _, suffix := range []string{
		"_password", "_secret", "_token", "_api_key", "_apikey", "_private_key", "_cookie",
		"_passphrase", "_signature",
	} {
		if strings.HasSuffix(n, suffix) {
			return true
		}
	}
	return false
}

type requestIDKey struct{}

// NewRequestID returns an id of the form req_<26 letters and digits>: the time in milliseconds and 80 random
// bits. It cannot be guessed, and ids sort by their time, so that an index of them grows at its end.
func NewRequestID() string {
	const (
		alphabet = "0123456789abcdefghijklmnopqrstuv" // in the order of bytes
		prefix   = "req_"
		moment   = 10 // characters of five bits
		size     = len(prefix) + 26
	)
	var random [16]byte
	_, _ = rand.Read(random[:]) // never fails: the program ends instead
	var id [size]byte
	copy(id[:], prefix)
	for i, ms := len(prefix)+moment-1, uint64(time.Now().UnixMilli()); i >= len(prefix); i-- {
		id[i] = alphabet[ms&31]
		ms >>= 5
	}
	for i, b := range random {
		id[len(prefix)+moment+i] = alphabet[b&31]
	}
	return string(id[:])
}

// WithRequestID returns a context that carries the id.
func WithRequestID(ctx context.Context, id string) context.Context {
	return &requestContext{Context: ctx, id: id}
}

// requestContext is what context.WithValue makes, in one piece: every request has one.
type requestContext struct {
	context.Context //nolint:containedctx // It is one.

	id string
}

// Value implements context.Context.
func (c *requestContext) Value(key any) any {
	if key == (requestIDKey{}) {
		return &c.id
	}
	return c.Context.Value(key)
}

// RequestID returns the id that WithRequestID stored, or nothing.
func RequestID(ctx context.Context) string {
	if id, ok := ctx.Value(requestIDKey{}).(*string); ok {
		return *id
	}
	return ""
}
