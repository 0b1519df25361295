package benchtest

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"switchgear/internal/runtime/egress/http1"
)

// floorEnv makes the test binary play one of the proxies below: its name, its address and that of the upstream.
const floorEnv = "SWITCHGEAR_BENCH_FLOOR"

func TestMain(m *testing.M) {
	role := os.Getenv(floorEnv)
	if role == "" {
		os.Exit(m.Run())
	}
	fmt.Fprintln(os.Stderr, serveFloor(strings.Split(role, " ")))
	os.Exit(1)
}

// The floors are what a proxy costs that does nothing but pass on, in Go: without anything of net/http, with its
// server and the transport of the gateway, and the way of the standard library.
const (
	floorSockets = "go sockets"
	floorServer  = "go net/http"
	floorLibrary = "go httputil"
)

// startFloor runs one of them as a process of its own.
func startFloor(b *testing.B, name, upstream string) system {
	b.Helper()
	port := freePort(b)
	own, err := os.Executable()
	if err != nil {
		b.Fatal(err)
	}
	address := "127.0.0.1:" + port
	_, kind, _ := strings.Cut(name, " ")
	pid := spawn(b, port, []string{floorEnv + "=" + strings.Join([]string{kind, address, upstream}, " ")}, own)
	return system{name: name, address: address, request: request("/v1/charges?limit=3", address), pid: pid}
}

// serveFloor never returns without an error.
func serveFloor(role []string) error {
	if len(role) != 3 {
		return fmt.Errorf("%s: a name, an address and an upstream are wanted", floorEnv)
	}
	debug.SetGCPercent(400) // As the console does while it is small.
	kind, address, upstream := "go "+role[0], role[1], role[2]
	if kind == floorSockets {
		return passSockets(address, upstream)
	}
	dialer := &net.Dialer{}
	plain := &http.Transport{DialContext: dialer.DialContext, MaxIdleConnsPerHost: 256}
	var handler http.Handler
	switch kind {
	case floorServer:
		handler = &passing{transport: http1.New(http1.Deps{Dial: dialer.DialContext, Other: plain}, http1.Config{}), upstream: upstream}
	case floorLibrary:
		to := &url.URL{Scheme: "http", Host: upstream}
		handler = &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(to) }, Transport: plain}
	default:
		return fmt.Errorf("%s: unknown name %q", floorEnv, kind)
	}
	server := &http.Server{Addr: address, Handler: handler, ReadHeaderTimeout: 5 * time.Second}
	return server.ListenAndServe()
}

// passing is a handler that passes a request and its answer on, and nothing else.
type passing struct {
	transport http.RoundTripper
	upstream  string
	buffers   sync.Pool
}

func (p *passing) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	u := *r.URL
	u.Scheme, u.Host = "http", p.upstream
	out := (&http.Request{Method: r.Method, URL: &u, Host: p.upstream, Header: r.Header, Body: http.NoBody}).WithContext(r.Context())
	resp, err := p.transport.RoundTrip(out)
	if err != nil {
		w.WriteHeader(http.StatusBadGateway)
		return
	}
	defer func() { _ = resp.Body.Close() }()
	maps.Copy(w.Header(), resp.Header)
	w.WriteHeader(resp.StatusCode)
	buffer, _ := p.buffers.Get().(*[32 << 10]byte)
	if buffer == nil {
		buffer = new([32 << 10]byte)
	}
	defer p.buffers.Put(buffer)
	_, _ = io.CopyBuffer(struct{ io.Writer }{w}, resp.Body, buffer[:])
}

// passSockets passes bytes on with one goroutine and one connection to the upstream for each caller. It looks for
// no more than the ends of messages.
func passSockets(address, upstream string) error {
	l, err := net.Listen("tcp4", address)
	if err != nil {
		return err
	}
	for {
		conn, err := l.Accept()
		if err != nil {
			return err
		}
		go func() {
			defer func() { _ = conn.Close() }()
			_ = passConn(conn, upstream)
		}()
	}
}

func passConn(conn net.Conn, upstream string) error {
	up, err := net.Dial("tcp4", upstream)
	if err != nil {
		return err
	}
	defer func() { _ = up.Close() }()
	from, back := bufio.NewReader(conn), bufio.NewReader(up)
	var message []byte
	for {
		if message, _, err = readHead(from, message[:0]); err != nil {
			return err
		}
		if _, err := up.Write(message); err != nil {
			return err
		}
		answer, length, err := readHead(back, message[:0])
		if err != nil {
			return err
		}
		message = answer
		at := len(message)
		message = append(message, make([]byte, length)...)
		if _, err := io.ReadFull(back, message[at:]); err != nil {
			return err
		}
		if _, err := conn.Write(message); err != nil {
			return err
		}
	}
}

// readHead appends a header to message, and returns the Content-Length that it says.
func readHead(r *bufio.Reader, message []byte) (head []byte, length int, err error) {
	const name = "Content-Length: "
	for {
		line, err := r.ReadSlice('\n')
		if err != nil {
			return nil, 0, err
		}
		message = append(message, line...)
		if rest, ok := bytes.CutPrefix(line, []byte(name)); ok {
			if length, err = strconv.Atoi(string(bytes.TrimSpace(rest))); err != nil {
				return nil, 0, err
			}
		}
		if len(line) <= 2 {
			return message, length, nil
		}
		if len(message) > 64<<10 {
			return nil, 0, errors.New("too long a header")
		}
	}
}
