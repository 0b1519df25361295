package http1

import (
	"errors"
	"io"
	"net"
	"os"
	"syscall"
)

// socket is a connection that can be asked whether there is something to read, without waiting for it.
type socket struct {
	net.Conn
	raw syscall.RawConn
	// probing makes Read return at once: a deadline that has passed stands for nothing to read.
	probing bool

	// Made once, because every exchange needs them.
	peek func(fd uintptr) bool
	read func(fd uintptr) bool
	buf  [1]byte
	into []byte
	n    int
	err  error
}

// newSocket returns nil for a connection that cannot be asked.
func newSocket(c net.Conn) *socket {
	asked, ok := c.(syscall.Conn)
	if !ok {
		return nil
	}
	raw, err := asked.SyscallConn()
	if err != nil {
		return nil
	}
	s := &socket{Conn: c, raw: raw}
	s.peek = func(fd uintptr) bool {
		_, _, s.err = syscall.Recvfrom(int(fd), s.buf[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		return true
	}
	s.read = func(fd uintptr) bool {
		s.n, s.err = syscall.Read(int(fd), s.into)
		return true
	}
	return s
}

// quiet reports whether nothing has come. It is false at the end of the stream too, and after an error.
func (s *socket) quiet() bool {
	return s.raw.Read(s.peek) == nil && errors.Is(s.err, syscall.EAGAIN)
}

// Read implements net.Conn.
func (s *socket) Read(p []byte) (int, error) {
	if !s.probing {
		return s.Conn.Read(p)
	}
	s.into, s.n, s.err = p, 0, nil
	err := s.raw.Read(s.read)
	s.into = nil
	switch {
	case err != nil:
		return 0, err
	case errors.Is(s.err, syscall.EAGAIN), errors.Is(s.err, syscall.EINTR):
		return 0, os.ErrDeadlineExceeded
	case s.err != nil:
		return 0, s.err
	case s.n <= 0:
		return 0, io.EOF
	}
	return s.n, nil
}
