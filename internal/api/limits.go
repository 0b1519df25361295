package api

import (
	"container/list"
	"context"
	"fmt"
	"math"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/go-chi/chi/v5/middleware"
	"golang.org/x/time/rate"

	"switchgear/internal/fault"
)

// Limit allows a number of requests in a window, which is whole seconds.
type Limit struct {
	Requests int
	Per      time.Duration
}

// Config are the tunables; zero values mean the defaults.
type Config struct {
	// KeyLimits are what one API key may ask of the API, all of them at once (100 a second, 3000 a minute).
	KeyLimits []Limit
	// ClientLimits are the same for one client address, whatever key it shows (200 a second, 6000 a minute).
	ClientLimits []Limit
}

func (c Config) withDefaults() Config {
	if len(c.KeyLimits) == 0 {
		c.KeyLimits = []Limit{{100, time.Second}, {3000, time.Minute}}
	}
	if len(c.ClientLimits) == 0 {
		c.ClientLimits = []Limit{{200, time.Second}, {6000, time.Minute}}
	}
	return c
}

// maxHolders bounds how many keys or addresses a limiter remembers. Whoever was away longest is
// forgotten first, and begins with full buckets again.
const maxHolders = 10_000

// limiter has token buckets of several windows for each of many holders. It is safe for concurrent use.
type limiter struct {
	name   string // of the policies, such as key
	limits []Limit
	now    func() time.Time

	mu      sync.Mutex
	holders map[string]*list.Element
	recent  list.List // of *holder, the latest first
}

type holder struct {
	name    string
	buckets []*rate.Limiter
}

func newLimiter(name string, limits []Limit, now func() time.Time) *limiter {
	return &limiter{name: name, limits: limits, now: now, holders: map[string]*list.Element{}}
}

// quota is what a holder has left.
type quota struct {
	policy string
	window int // in seconds
	limit  int
	left   int
	full   time.Duration // until the bucket is full again
	wait   time.Duration // until a request is allowed; 0 when it is
}

// take takes a token of every window, or of none when one is empty. It returns the state of all windows.
func (l *limiter) take(name string) []quota {
	l.mu.Lock()
	defer l.mu.Unlock()
	now, h := l.now(), l.holder(name)
	refused := slices.ContainsFunc(h.buckets, func(b *rate.Limiter) bool { return b.TokensAt(now) < 1 })
	out := make([]quota, len(h.buckets))
	for i, b := range h.buckets {
		if !refused {
			b.AllowN(now, 1)
		}
		window, tokens := int(l.limits[i].Per/time.Second), b.TokensAt(now)
		q := quota{policy: fmt.Sprintf("%s-%ds", l.name, window), window: window, limit: l.limits[i].Requests}
		q.left = int(max(tokens, 0))
		q.full = seconds((float64(q.limit) - tokens) / float64(b.Limit()))
		if refused && tokens < 1 {
			q.wait = seconds((1 - tokens) / float64(b.Limit()))
		}
		out[i] = q
	}
	return out
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

func (l *limiter) holder(name string) *holder {
	if e, ok := l.holders[name]; ok {
		l.recent.MoveToFront(e)
		if h, ok := e.Value.(*holder); ok {
			return h
		}
	}
	h := &holder{name: name, buckets: make([]*rate.Limiter, len(l.limits))}
	for i, limit := range l.limits {
		h.buckets[i] = rate.NewLimiter(rate.Limit(float64(limit.Requests)/limit.Per.Seconds()), limit.Requests)
	}
	l.holders[name] = l.recent.PushFront(h)
	if l.recent.Len() > maxHolders {
		if oldest, ok := l.recent.Remove(l.recent.Back()).(*holder); ok {
			delete(l.holders, oldest.name)
		}
	}
	return h
}

// limits are the limiters of the API.
type limits struct {
	keys, clients *limiter
	now           func() time.Time
	refuse        func(w http.ResponseWriter, r *http.Request, err error)
}

type quotasOfRequest struct{}

// clientLimit bounds what one address may ask, before anything is looked up for it: it also slows down
// whoever tries keys.
func (l *limits) clientLimit(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		quotas := l.clients.take(network(middleware.GetClientIP(r.Context())))
		if err := l.announce(w, quotas); err != nil {
			l.refuse(w, r, err)
			return
		}
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), quotasOfRequest{}, quotas)))
	})
}

// keyLimit bounds what one API key may ask.
func (l *limits) keyLimit(w http.ResponseWriter, r *http.Request, keyID string) error {
	quotas, _ := r.Context().Value(quotasOfRequest{}).([]quota)
	return l.announce(w, slices.Concat(quotas, l.keys.take(keyID)))
}

// network is the address as far as one client can choose it: an IPv6 client has a network of addresses.
func network(ip string) string {
	a, err := netip.ParseAddr(ip)
	if err != nil {
		return ip
	}
	if a = a.Unmap(); a.Is4() {
		return a.String()
	}
	p, err := a.WithZone("").Prefix(64)
	if err != nil {
		return ip
	}
	return p.String()
}

// announce tells the client all policies and the one that is nearest to its end, and returns a
// fault.RateLimited when a request is not allowed.
func (l *limits) announce(w http.ResponseWriter, quotas []quota) error {
	nearest, wait := quotas[0], time.Duration(0)
	policies := make([]string, len(quotas))
	for i, q := range quotas {
		policies[i] = fmt.Sprintf("%q;q=%d;w=%d", q.policy, q.limit, q.window)
		wait = max(wait, q.wait)
		if q.wait > nearest.wait || q.wait == nearest.wait && q.left*nearest.limit < nearest.left*q.limit {
			nearest = q
		}
	}
	reset := int64(math.Ceil(nearest.full.Seconds()))
	h := w.Header()
	h.Set("RateLimit-Policy", strings.Join(policies, ", "))
	h.Set("RateLimit", fmt.Sprintf("%q;r=%d;t=%d", nearest.policy, nearest.left, reset))
	h.Set("X-RateLimit-Limit", strconv.Itoa(nearest.limit))
	h.Set("X-RateLimit-Remaining", strconv.Itoa(nearest.left))
	h.Set("X-RateLimit-Reset", strconv.FormatInt(l.now().Unix()+reset, 10))
	if wait == 0 {
		return nil
	}
	return fault.New(fault.RateLimited, "", "Too many requests to the API.").WithRetryAfter(wait).
		WithSuggestion("Wait as long as Retry-After says; RateLimit-Policy lists what is allowed.")
}
