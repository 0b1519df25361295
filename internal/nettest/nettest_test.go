package nettest_test

import (
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"syscall"
	"testing"

	"switchgear/internal/nettest"
)

// What answered refuses, and nobody else is given its port.
func TestSilence(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.NotFoundHandler())
	get := func() error {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL, nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := server.Client().Do(r)
		if err != nil {
			return err
		}
		_, err = io.Copy(io.Discard, resp.Body)
		return errors.Join(err, resp.Body.Close())
	}
	if err := get(); err != nil {
		t.Fatal(err)
	}
	nettest.Silence(t, server)
	for range 3 {
		if err := get(); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("%v", err)
		}
	}
	// Every port that the system gives away is another one.
	for range 1000 {
		l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp4", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		if l.Addr().String() == server.Listener.Addr().String() {
			t.Errorf("%s is given away", l.Addr())
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
