// Package nettest gives tests addresses that behave as they need them.
package nettest

import (
	"net"
	"net/http/httptest"
	"syscall"
	"testing"
)

// Silence ends a server, whose address refuses connections until the end of the test. A port that is only given
// back may belong to another program at once, which answers.
func Silence(tb testing.TB, server *httptest.Server) {
	tb.Helper()
	address, ok := server.Listener.Addr().(*net.TCPAddr)
	if !ok || address.IP.To4() == nil {
		tb.Fatalf("nettest: %s is no address of IPv4", server.Listener.Addr())
	}
	server.Close()
	// A socket that has the port and does not listen.
	socket, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	if err != nil {
		tb.Fatalf("nettest: %v", err)
	}
	syscall.CloseOnExec(socket)
	tb.Cleanup(func() { _ = syscall.Close(socket) })
	// What is left of the connections of the server does not keep the port from it.
	if err := syscall.SetsockoptInt(socket, syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1); err != nil {
		tb.Fatalf("nettest: %v", err)
	}
	if err := syscall.Bind(socket, &syscall.SockaddrInet4{Port: address.Port, Addr: [4]byte(address.IP.To4())}); err != nil {
		tb.Fatalf("nettest: %v", err)
	}
}
