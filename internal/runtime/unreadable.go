package runtime

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"syscall"

	"switchgear/internal/runtime/egress/http1"
)

// unreadable reports whether an exchange failed because what came back is not HTTP, rather than because nothing
// more came. answered says that something had come. The parser of net/http has no types for its errors: over
// HTTP/1 one that neither ends nor breaks the connection is taken for its own.
func unreadable(err error, answered, h2 bool) bool {
	if _, ok := http1.Malformed(err); ok {
		return true
	}
	if !answered || errors.Is(err, errReplay) || errors.Is(err, errAttempts) {
		return false
	}
	if h2 {
		stream, ok := errors.AsType[streamError](err)
		const protocolError, fromPeer = 1, "received from peer"
		return ok && stream.Code == protocolError && (stream.Cause == nil || stream.Cause.Error() != fromPeer)
	}
	return !broken(err)
}

// broken reports whether err is the end of a connection, orderly or not.
func broken(err error) bool {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) || isTLS(err) {
		return true
	}
	if _, ok := errors.AsType[net.Error](err); ok {
		return true
	}
	if _, ok := errors.AsType[tls.AlertError](err); ok {
		return true
	}
	_, ok := errors.AsType[syscall.Errno](err)
	return ok
}

// streamError is that of net/http over HTTP/2, which offers itself to every struct with the same fields.
type streamError struct {
	StreamID uint32
	Code     uint32
	Cause    error
}

// Error implements error.
func (e streamError) Error() string { return "the stream ended" }
