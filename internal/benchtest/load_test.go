package benchtest

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// caller sends one request again and again over one connection, and reads the answers.
type caller struct {
	conn    net.Conn
	reader  *bufio.Reader
	request []byte
}

func newCaller(ctx context.Context, address string, request []byte) (*caller, error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	return &caller{conn: conn, reader: bufio.NewReaderSize(conn, 8<<10), request: request}, nil
}

// call makes one exchange. Only 200 with a known length counts: everything else would be measured as
// something that it is not.
func (c *caller) call() error {
	if _, err := c.conn.Write(c.request); err != nil {
		return err
	}
	line, err := c.reader.ReadSlice('\n')
	if err != nil {
		return err
	}
	if !bytes.HasPrefix(line, []byte("HTTP/1.1 200 ")) {
		return fmt.Errorf("answered %q", line)
	}
	length := -1
	for {
		if line, err = c.reader.ReadSlice('\n'); err != nil {
			return err
		}
		if len(line) <= 2 {
			break
		}
		const name = "content-length:"
		if len(line) > len(name) && strings.EqualFold(string(line[:len(name)]), name) {
			if length, err = strconv.Atoi(string(bytes.TrimSpace(line[len(name):]))); err != nil {
				return err
			}
		}
	}
	if length < 0 {
		return errors.New("an answer without Content-Length")
	}
	_, err = c.reader.Discard(length)
	return err
}

// sample is what one round of one system took.
type sample struct {
	rate     float64 // requests per second
	p50, p99 time.Duration
	cpu      time.Duration // of the system's processes, per request
}

// load is one round: how, and how long.
type load struct {
	address     string
	requests    [][]byte // the callers send them by turns, each its own
	connections int
	duration    time.Duration
	rate        int // requests per second, evenly spaced; 0 = as fast as the answers come
}

// run makes the load. With a rate, the time of a request counts from the moment when it was due, also
// when nothing was free to send it: a system that stalls does not get fewer requests to be slow with.
func (l load) run(ctx context.Context) (sample, error) {
	callers := make([]*caller, l.connections)
	for i := range callers {
		c, err := newCaller(ctx, l.address, l.requests[i%len(l.requests)])
		if err != nil {
			return sample{}, err
		}
		defer func() { _ = c.conn.Close() }()
		// The first request of a connection pays for it; it is not what is measured here.
		if err := c.call(); err != nil {
			return sample{}, err
		}
		if err := c.conn.SetDeadline(time.Now().Add(l.duration + 10*time.Second)); err != nil {
			return sample{}, err
		}
		callers[i] = c
	}
	var (
		wg     sync.WaitGroup
		failed atomic.Pointer[error]
		took   = make([][]time.Duration, len(callers))
		due    = make(chan time.Time, 1<<16)
		began  = time.Now()
		end    = began.Add(l.duration)
	)
	for i, c := range callers {
		took[i] = make([]time.Duration, 0, 1<<16)
		wg.Go(func() {
			at := time.Now()
			for at.Before(end) && failed.Load() == nil {
				if l.rate > 0 {
					var ok bool
					if at, ok = <-due; !ok {
						return
					}
				}
				if err := c.call(); err != nil {
					failed.CompareAndSwap(nil, &err)
					return
				}
				now := time.Now()
				took[i] = append(took[i], now.Sub(at))
				at = now
				if l.rate > 0 {
					at = began // The schedule ends it.
				}
			}
		})
	}
	if l.rate > 0 {
		pace(began, l.rate, int(l.duration.Seconds()*float64(l.rate)), due)
	}
	wg.Wait()
	spent := time.Since(began)
	if err := failed.Load(); err != nil {
		return sample{}, *err
	}
	all := slices.Concat(took...)
	slices.Sort(all)
	return sample{rate: float64(len(all)) / spent.Seconds(), p50: percentile(all, 50), p99: percentile(all, 99)}, nil
}

// pace says when each of n requests is due. It waits in the system and not in the scheduler of Go, whose
// timers may be a millisecond late on an idle machine.
func pace(began time.Time, rate, n int, due chan<- time.Time) {
	defer close(due)
	for i := range n {
		at := began.Add(time.Duration(i) * time.Second / time.Duration(rate))
		for left := time.Until(at); left > 0; left = time.Until(at) {
			nap := syscall.NsecToTimespec(int64(left))
			_ = syscall.Nanosleep(&nap, nil) // Woken early, it goes round again.
		}
		due <- at
	}
}

// percentile of sorted durations.
func percentile(sorted []time.Duration, p int) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[min(len(sorted)-1, len(sorted)*p/100)]
}

func median[T int64 | float64 | time.Duration](values []T) T {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[len(sorted)/2]
}

func TestLoad(t *testing.T) {
	t.Parallel()
	var seen atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen.Add(1)
		if r.URL.Path == "/bad" {
			w.WriteHeader(http.StatusBadGateway)
		}
		_, _ = io.WriteString(w, `{"id":"x"}`)
	}))
	t.Cleanup(server.Close)
	address := server.Listener.Addr().String()
	request := []byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n")

	got, err := load{address: address, requests: [][]byte{request}, connections: 4, duration: 50 * time.Millisecond}.run(t.Context())
	if err != nil || got.rate <= 0 || got.p50 <= 0 || got.p99 < got.p50 || seen.Load() < 5 {
		t.Errorf("closed loop: %+v, %v, %d requests", got, err, seen.Load())
	}
	seen.Store(0)
	if _, err := (load{address: address, requests: [][]byte{request}, connections: 2, duration: 100 * time.Millisecond, rate: 1000}).run(t.Context()); err != nil || seen.Load() != 102 {
		t.Errorf("100 requests were due, after one on each connection: %d, %v", seen.Load(), err)
	}
	bad := []byte("GET /bad HTTP/1.1\r\nHost: x\r\n\r\n")
	if _, err := (load{address: address, requests: [][]byte{bad}, connections: 1, duration: time.Second}).run(t.Context()); err == nil {
		t.Error("an error of the system is measured as an answer")
	}
}

func TestPercentiles(t *testing.T) {
	t.Parallel()
	values := make([]time.Duration, 200)
	for i := range values {
		values[i] = time.Duration(i + 1)
	}
	if p50, p99 := percentile(values, 50), percentile(values, 99); p50 != 101 || p99 != 199 {
		t.Errorf("p50 %d, p99 %d", p50, p99)
	}
	if percentile(nil, 99) != 0 || percentile(values[:1], 99) != 1 {
		t.Error("short lists")
	}
	if got := median([]int64{9, 1, 5}); got != 5 {
		t.Errorf("median %d", got)
	}
}
