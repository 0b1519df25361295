package api

import (
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"switchgear/internal/access"
)

// clock is moved by the test.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: time.Date(2026, 11, 27, 3, 0, 0, 0, time.UTC)} }

func (c *clock) read() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) move(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// limitHeaders are what an answer says about limits.
func limitHeaders(a answer) []string {
	names := []string{"RateLimit", "RateLimit-Policy", "X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset", "Retry-After"}
	return each(names, a.header.Get)
}

func TestKeyLimits(t *testing.T) {
	t.Parallel()
	c := newClock()
	w := newLimitedWorld(t, Config{KeyLimits: []Limit{{3, time.Second}, {4, time.Minute}}, ClientLimits: []Limit{{1000, time.Second}}},
		func(d *Deps) { d.Now = c.read })
	other := w.key("other", access.ScopeAPIRead)
	const path = "/api/v1/connections"
	const policy = `"client-1s";q=1000;w=1, "key-1s";q=3;w=1, "key-60s";q=4;w=60`
	epoch := func(after int64) string { return strconv.FormatInt(c.read().Unix()+after, 10) }
	want := func(got answer, status int, headers ...string) {
		t.Helper()
		if diff := cmp.Diff(headers, limitHeaders(got)); got.status != status || diff != "" {
			t.Errorf("%d, want %d (-want +got):\n%s", got.status, status, diff)
		}
	}
	want(w.get(path), 200, `"key-1s";r=2;t=1`, policy, "3", "2", epoch(1), "")
	want(w.get(path), 200, `"key-1s";r=1;t=1`, policy, "3", "1", epoch(1), "")
	want(w.get(path), 200, `"key-1s";r=0;t=1`, policy, "3", "0", epoch(1), "")
	refused := w.get(path)
	want(refused, 429, `"key-1s";r=0;t=1`, policy, "3", "0", epoch(1), "1")
	if e := refused.failure(t); e.Code != "RATE_LIMITED" {
		t.Errorf("%+v", e)
	}
	// What is refused costs nothing: the fourth of the minute is still there.
	c.move(time.Second)
	want(w.get(path), 200, `"key-60s";r=0;t=59`, policy, "4", "0", epoch(59), "")
	want(w.get(path), 429, `"key-60s";r=0;t=59`, policy, "4", "0", epoch(59), "14")
	want(w.send(http.MethodPost, path, w.read, "{}"), 429, `"key-60s";r=0;t=59`, policy, "4", "0", epoch(59), "14")
	// Another key has its own.
	want(w.send(http.MethodGet, path, other, ""), 200, `"key-1s";r=2;t=1`, policy, "3", "2", epoch(1), "")
	c.move(14 * time.Second)
	want(w.get(path), 200, `"key-60s";r=0;t=60`, policy, "4", "0", epoch(60), "")
}

// Whoever tries keys is slowed down by address.
func TestClientLimits(t *testing.T) {
	t.Parallel()
	c := newClock()
	w := newLimitedWorld(t, Config{ClientLimits: []Limit{{4, time.Minute}}}, func(d *Deps) { d.Now = c.read }) // one was used by newWorld
	for range 3 {
		if got := w.send(http.MethodGet, "/api/v1/connections", "sg_guess", ""); got.status != http.StatusUnauthorized || got.header.Get("RateLimit") == "" {
			t.Errorf("%d %v", got.status, got.header)
		}
	}
	for _, path := range []string{"/api/v1/connections", "/api/connections", "/api/v1/openapi.json", "/api/v1/nothing"} {
		if got := w.get(path); got.status != http.StatusTooManyRequests || got.header.Get("Retry-After") != "15" || got.failure(t).Code != "RATE_LIMITED" {
			t.Errorf("%s: %d %v", path, got.status, got.header)
		}
	}
	// Calls of applications and health have nothing to do with it.
	if got := w.get("/livez"); got.status != http.StatusOK {
		t.Errorf("/livez: %d", got.status)
	}
	c.move(15 * time.Second)
	if got := w.get("/api/v1/connections"); got.status != http.StatusOK {
		t.Errorf("after the wait: %d", got.status)
	}
}

func TestLimiterForgetsTheOldest(t *testing.T) {
	t.Parallel()
	c := newClock()
	l := newLimiter("key", []Limit{{1, time.Hour}}, c.read)
	for i := range maxHolders + 1 {
		l.take(strconv.Itoa(i))
		l.take("busy")
	}
	if len(l.holders) != maxHolders || l.recent.Len() != maxHolders {
		t.Errorf("%d holders, %d in order", len(l.holders), l.recent.Len())
	}
	if l.take("busy")[0].wait == 0 {
		t.Error("whoever comes all the time was forgotten")
	}
	if l.take("0")[0].wait != 0 {
		t.Error("whoever was away longest was not forgotten")
	}
}

func TestNetwork(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"192.0.2.1": "192.0.2.1", "::ffff:192.0.2.1": "192.0.2.1", "2001:db8:1:2:3:4:5:6": "2001:db8:1:2::/64", "fe80::1%eth0": "fe80::/64", "": "", "unix": "unix",
	} {
		if got := network(in); got != want {
			t.Errorf("%q became %q, want %q", in, got, want)
		}
	}
}

func BenchmarkTake(b *testing.B) {
	l := newLimiter("key", Config{}.withDefaults().KeyLimits, time.Now)
	names := strings.Fields("a b c d e f g h")
	for i := 0; b.Loop(); i++ {
		l.take(names[i%len(names)])
	}
}
