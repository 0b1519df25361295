package cache

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

type errReader struct{}

func (errReader) Read([]byte) (int, error) { return 0, errors.New("reset") }

func TestOnlyWholeBodiesAreKept(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 10_000)
	for name, tt := range map[string]struct {
		body    io.Reader
		length  int64
		read    int64 // of the body, before it is closed
		trailer http.Header
		want    bool
	}{
		"known length":              {strings.NewReader(long), 10_000, 1 << 20, nil, true},
		"known, the end not asked":  {strings.NewReader(long), 10_000, 10_000, nil, true},
		"unknown length":            {strings.NewReader(long), -1, 1 << 20, nil, true},
		"unknown, the end not read": {strings.NewReader(long), -1, 10_000, nil, false},
		"closed early":              {strings.NewReader(long), 10_000, 9_999, nil, false},
		"broken":                    {io.MultiReader(strings.NewReader(long), errReader{}), -1, 1 << 20, nil, false},
		"shorter than announced":    {strings.NewReader("x"), 10_000, 1 << 20, nil, false},
		"longer than announced":     {strings.NewReader(long), 10, 1 << 20, nil, false},
		"too long":                  {strings.NewReader(strings.Repeat("x", 20_001)), -1, 1 << 20, nil, false},
		"as long as allowed":        {strings.NewReader(strings.Repeat("x", 20_000)), -1, 1 << 20, nil, true},
		"with a trailer":            {strings.NewReader(long), -1, 1 << 20, http.Header{"Checksum": {"1"}}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCaller(t, &Policy{Mode: ModeOverride, TTL: time.Hour, MaxEntry: 20_000}, nil)
			call := c.cache.Open(t.Context(), Request{Scope: c.scope, Method: "GET", URL: &url.URL{Path: "/"}, Policy: c.policy})
			resp := (&reply{200, header(), tt.body, tt.length}).response()
			if call.Answered(resp) != nil {
				t.Fatal("answered")
			}
			resp.Trailer = tt.trailer
			_, _ = io.CopyBuffer(io.Discard, io.LimitReader(resp.Body, tt.read), make([]byte, 1000))
			_ = resp.Body.Close()
			call.Close()
			if got := c.cache.Stats("con_1").Entries == 1; got != tt.want {
				t.Errorf("kept %v", got)
			}
			if c.cache.capturing.Load() != 0 {
				t.Errorf("%d bytes are still captured", c.cache.capturing.Load())
			}
		})
	}
}

// A caller that goes away must not cost the answer that could stand in later.
func TestAbortKeepsTheOldAnswer(t *testing.T) {
	t.Parallel()
	var n atomic.Int64
	c := newCaller(t, &Policy{Mode: ModeFallback, StaleIfError: time.Hour}, counting(&n))
	c.call(t, "GET", "/a")
	u, _ := url.Parse("https://api.example.com/a")
	call := c.cache.Open(t.Context(), Request{Scope: c.scope, Method: "GET", URL: u, Policy: c.policy})
	resp := answers(200, "new").response()
	call.Answered(resp)
	_ = resp.Body.Close()
	call.Close()
	c.upstream = func(*http.Request) (*reply, error) { return answers(503, ""), nil }
	if w := c.call(t, "GET", "/a"); w.Body.String() != "1" {
		t.Errorf("%d %q", w.Code, w.Body)
	}
}

func TestBytesOfCapturesAreBounded(t *testing.T) {
	t.Parallel()
	c := newCaller(t, &Policy{Mode: ModeOverride, TTL: time.Hour}, nil)
	c.cache = newCache(t, Config{MaxCapture: 20_000})
	bodies := make([]io.ReadCloser, 0, 5)
	for i := range 5 {
		call := c.cache.Open(t.Context(), Request{Scope: c.scope, Method: "GET", URL: &url.URL{Path: "/" + strconv.Itoa(i)}, Policy: c.policy})
		resp := answers(200, strings.Repeat("x", 8000)).response() //nolint:bodyclose // Closed below, with the others.
		call.Answered(resp)
		_, _ = io.ReadFull(resp.Body, make([]byte, 7999))
		bodies = append(bodies, resp.Body)
	}
	if got := c.cache.capturing.Load(); got != 2*7999 {
		t.Errorf("%d bytes", got)
	}
	for _, b := range bodies {
		_, _ = io.Copy(io.Discard, b)
		_ = b.Close()
	}
	if s := c.cache.Stats("con_1"); s.Entries != 2 || c.cache.capturing.Load() != 0 {
		t.Errorf("%d entries", s.Entries)
	}
}

// Whatever is stored, replaced, invalidated and purged: the limits hold at every step, and the books are right.
func TestBytesAreBounded(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(1, 2))
	c := newCaller(t, &Policy{Mode: ModeOverride, TTL: time.Hour}, nil)
	c.cache = newCache(t, Config{MaxBytes: 200_000, MaxConnection: 80_000, MaxEntry: 30_000})
	c.upstream = func(r *http.Request) (*reply, error) {
		if r.Method != http.MethodGet {
			return answers(204, ""), nil
		}
		return answers(200, string(bytes.Repeat([]byte("x"), rng.IntN(40_000))), "Vary: User-Agent"), nil
	}
	for step := range 3000 {
		c.scope.Connection = "con_" + strconv.Itoa(rng.IntN(5))
		path := "/" + strconv.Itoa(rng.IntN(20))
		switch rng.IntN(20) {
		case 0:
			c.call(t, "DELETE", path)
		case 1:
			if rng.IntN(10) == 0 {
				c.cache.Purge(c.scope.Connection)
			}
		default:
			c.call(t, "GET", path, "User-Agent: "+strconv.Itoa(rng.IntN(3)), "Cache-Control: max-age="+strconv.Itoa(rng.IntN(2)*1000))
		}
		s := c.cache.Snapshot()
		if s.Total.Bytes > 200_000 || s.Total.Bytes != c.cache.store.bytes || s.Total.Entries != c.cache.store.used.Len() {
			t.Fatalf("step %d: %+v, %d bytes", step, s.Total, c.cache.store.bytes)
		}
		for _, one := range s.Connections {
			sum, n := int64(0), 0
			for _, selections := range c.cache.store.spaces[one.Connection].byURI {
				for _, variants := range selections {
					for _, e := range variants {
						sum += e.size
						n++
					}
				}
			}
			if one.Bytes > 80_000 || one.Bytes != sum || one.Entries != n {
				t.Fatalf("step %d: %+v, %d bytes in %d entries", step, one, sum, n)
			}
		}
	}
	if s := c.cache.Snapshot().Total; s.Evicted == 0 || s.Hits == 0 || s.Invalidated == 0 {
		t.Errorf("the test did not reach everything: %+v", s)
	}
}

func TestPurgeAndSweep(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var n atomic.Int64
		c := newCaller(t, &Policy{Mode: ModeOverride, TTL: time.Minute, MaxStale: time.Hour}, counting(&n))
		serve(t, c.cache)
		c.call(t, "GET", "/a")
		c.call(t, "GET", "/b")
		other := *c
		other.scope.Connection = "con_2"
		other.call(t, "GET", "/a")
		if got := c.cache.Purge("con_1"); got != 2 || c.cache.Stats("con_1").Entries != 0 || c.cache.Stats("con_2").Entries != 1 || c.cache.Purge("con_9") != 0 {
			t.Errorf("purged %d", got)
		}
		time.Sleep(time.Hour)
		if c.cache.Stats("con_2").Entries != 1 {
			t.Error("dropped while it could be of use")
		}
		time.Sleep(3 * time.Minute)
		if c.cache.Stats("con_2").Entries != 0 {
			t.Error("kept beyond all use")
		}
	})
}
