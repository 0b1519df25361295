package cache

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestStaleWhileRevalidate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var n atomic.Int64
		hold := make(chan struct{})
		c := newCaller(t, &Policy{Mode: ModeRespect, StaleWhileRevalidate: time.Hour}, nil)
		c.refresh = true
		c.upstream = func(r *http.Request) (*reply, error) {
			if n.Load() > 0 {
				<-hold
			}
			if r.Header.Get("If-None-Match") != "" {
				return nil, errors.New("the condition of the caller went along")
			}
			return answers(200, strconv.FormatInt(n.Add(1), 10), "Cache-Control: max-age=60"), nil
		}
		serve(t, c.cache)
		c.call(t, "GET", "/a")
		time.Sleep(2 * time.Minute)
		for range 50 {
			expect(t, c.call(t, "GET", "/a", `If-None-Match: "7"`), "1", "stale", "switchgear; hit; ttl=-60")
		}
		close(hold)
		synctest.Wait()
		expect(t, c.call(t, "GET", "/a"), "2", "hit", "switchgear; hit; ttl=60")
		if n.Load() != 2 {
			t.Errorf("%d calls", n.Load())
		}
		if s := c.cache.Stats("con_1"); s.Stale != 50 || s.Misses != 1 || s.Hits != 1 {
			t.Errorf("%+v", s)
		}
	})
}

// An answer that is stale as soon as it comes is renewed by every call, one at a time.
func TestStaleFromTheBeginningIsRenewedEachTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var n atomic.Int64
		c := newCaller(t, respect(), counting(&n, "Cache-Control: max-age=0, stale-while-revalidate=60"))
		c.refresh = true
		serve(t, c.cache)
		c.call(t, "GET", "/a")
		for want := range 5 {
			expect(t, c.call(t, "GET", "/a"), strconv.Itoa(want+1), "stale", "switchgear; hit; ttl=0")
			synctest.Wait()
		}
	})
}

// A refresh that fails keeps the old answer, and the next one waits a while.
func TestRefreshThatFails(t *testing.T) {
	t.Parallel()
	for name, fail := range map[string]func() (*reply, error){
		"error": func() (*reply, error) { return nil, errors.New("refused") },
		"503":   func() (*reply, error) { return answers(503, ""), nil },
		"panic": func() (*reply, error) { panic("broken") },
		"body": func() (*reply, error) {
			resp := answers(200, "x", "Cache-Control: max-age=60")
			resp.body, resp.length = io.MultiReader(strings.NewReader("x"), errReader{}), -1
			return resp, nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var n atomic.Int64
				c := newCaller(t, &Policy{Mode: ModeRespect, StaleWhileRevalidate: time.Hour}, counting(&n, "Cache-Control: max-age=60"))
				c.refresh = true
				serve(t, c.cache)
				c.call(t, "GET", "/a")
				time.Sleep(2 * time.Minute)
				c.upstream = func(*http.Request) (*reply, error) { n.Add(1); return fail() }
				for range 3 {
					if w := c.call(t, "GET", "/a"); w.Body.String() != "1" || w.Header().Get(StateHeader) != "stale" {
						t.Errorf("%q %v", w.Body, w.Header())
					}
					synctest.Wait()
				}
				if n.Load() != 2 {
					t.Errorf("%d calls before the pause was over", n.Load())
				}
				time.Sleep(10 * time.Second)
				c.call(t, "GET", "/a")
				synctest.Wait()
				if n.Load() != 3 {
					t.Errorf("%d calls after it", n.Load())
				}
			})
		})
	}
}

// Without its worker the cache asks in the foreground, and a worker that ends leaves nobody waiting.
func TestServeEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var n atomic.Int64
		c := newCaller(t, &Policy{Mode: ModeRespect, StaleWhileRevalidate: time.Hour}, nil)
		c.cache = newCache(t, Config{Workers: 1, Queue: 2})
		c.refresh = true
		hold := make(chan struct{})
		c.upstream = func(r *http.Request) (*reply, error) {
			if n.Add(1) > 3 && r.Context() != context.Background() {
				select {
				case <-hold:
				case <-r.Context().Done():
					return nil, r.Context().Err()
				}
			}
			return answers(200, "x", "Cache-Control: max-age=60"), nil
		}
		paths := []string{"/a", "/b", "/c"}
		for _, p := range paths {
			c.call(t, "GET", p)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- c.cache.Serve(ctx) }()
		synctest.Wait()
		if err := c.cache.Serve(ctx); err == nil {
			t.Error("Serve ran twice")
		}
		time.Sleep(2 * time.Minute)
		for _, p := range paths {
			if w := c.call(t, "GET", p); w.Header().Get(StateHeader) != "stale" {
				t.Errorf("%v", w.Header())
			}
		}
		synctest.Wait()
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		if len(c.cache.flights) != 0 || len(c.cache.store.spaces["con_1"].open) != 0 {
			t.Error("something is still open")
		}
		before := time.Now()
		for _, p := range paths[1:] {
			if w := c.call(t, "GET", p); w.Header().Get(StateHeader) != "miss" || time.Since(before) != 0 {
				t.Errorf("%v", w.Header())
			}
		}
	})
}

func TestSingleFlight(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var n atomic.Int64
		c := newCaller(t, &Policy{Mode: ModeOverride, TTL: time.Minute}, nil)
		c.upstream = func(*http.Request) (*reply, error) {
			time.Sleep(time.Second)
			return answers(200, strconv.FormatInt(n.Add(1), 10)), nil
		}
		var all sync.WaitGroup
		var hits atomic.Int64
		for range 1000 {
			all.Go(func() {
				w := c.call(t, "GET", "/a")
				if w.Body.String() != "1" {
					t.Errorf("%q", w.Body)
				}
				if w.Header().Get(StatusHeader) == "switchgear; hit; ttl=60; collapsed" {
					hits.Add(1)
				}
			})
		}
		all.Wait()
		if n.Load() != 1 || hits.Load() != 999 {
			t.Errorf("%d calls, %d answered by the one", n.Load(), hits.Load())
		}
		if s := c.cache.Stats("con_1"); s.Hits != 999 || s.Misses != 1 || s.Collapsed != 999 {
			t.Errorf("%+v", s)
		}
	})
}

// Those who wait go on when there is nothing to wait for, or when it takes too long.
func TestSingleFlightEnds(t *testing.T) {
	t.Parallel()
	type outcome struct {
		took  time.Duration
		calls int64
		state string
	}
	for name, tt := range map[string]struct {
		policy Policy
		resp   func() (*reply, error)
		first  bool // a stale answer is kept beforehand
		want   outcome
	}{
		"not storable":          {Policy{Mode: ModeRespect}, func() (*reply, error) { return answers(200, "x", "Cache-Control: no-store"), nil }, false, outcome{2 * time.Second, 10, "miss"}},
		"too long":              {Policy{Mode: ModeOverride, TTL: time.Hour, MaxEntry: 1}, func() (*reply, error) { return answers(200, "xx"), nil }, false, outcome{2 * time.Second, 10, "miss"}},
		"too long, as it shows": {Policy{Mode: ModeOverride, TTL: time.Hour, MaxEntry: 1}, func() (*reply, error) { r := answers(200, "xx"); r.length = -1; return r, nil }, false, outcome{2 * time.Second, 10, "miss"}},
		"failed":                {Policy{Mode: ModeOverride, TTL: time.Hour}, func() (*reply, error) { return nil, errors.New("x") }, false, outcome{2 * time.Second, 10, ""}},
		"failed, with a stale":  {Policy{Mode: ModeOverride, TTL: time.Minute, StaleIfError: 2 * time.Hour}, func() (*reply, error) { return nil, errors.New("x") }, true, outcome{time.Second, 1, "stale"}},
		"longer than the bound": {Policy{Mode: ModeOverride, TTL: time.Hour, Wait: 100 * time.Millisecond}, func() (*reply, error) { return answers(200, "x"), nil }, false, outcome{1100 * time.Millisecond, 10, "miss"}},
		"nobody waits":          {Policy{Mode: ModeOverride, TTL: time.Hour, Wait: -1}, func() (*reply, error) { return answers(200, "x"), nil }, false, outcome{time.Second, 10, "miss"}},
		"nobody waits, always":  {Policy{Mode: ModeFallback}, func() (*reply, error) { return answers(200, "x", `Etag: "1"`), nil }, false, outcome{time.Second, 10, "miss"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var n atomic.Int64
				c := newCaller(t, &tt.policy, func(*http.Request) (*reply, error) { return answers(200, "old"), nil })
				if tt.first {
					c.call(t, "GET", "/a")
					time.Sleep(time.Hour)
				}
				c.upstream = func(*http.Request) (*reply, error) {
					n.Add(1)
					time.Sleep(time.Second)
					return tt.resp()
				}
				began := time.Now()
				var all sync.WaitGroup
				for range 10 {
					all.Go(func() {
						if w := c.call(t, "GET", "/a"); w.Header().Get(StateHeader) != tt.want.state {
							t.Errorf("%v", w.Header())
						}
					})
				}
				all.Wait()
				if got := (outcome{time.Since(began), n.Load(), tt.want.state}); got != tt.want {
					t.Errorf("%+v, want %+v", got, tt.want)
				}
				if len(c.cache.flights) != 0 || len(c.cache.store.spaces["con_1"].open) != 0 || c.cache.capturing.Load() != 0 {
					t.Error("something is still open")
				}
			})
		})
	}
}
