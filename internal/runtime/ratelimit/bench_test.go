package ratelimit_test

import (
	"testing"
	"time"

	"switchgear/internal/runtime/ratelimit"
)

func BenchmarkReserve(b *testing.B) {
	two := limits(1_000_000_000, time.Second, 1_000_000_000, 24*time.Hour)
	for name, c := range map[string]struct {
		cfg ratelimit.Config
		key ratelimit.Key
	}{
		"no limit":     {ratelimit.Config{}, ratelimit.Key{}},
		"two windows":  {ratelimit.Config{Limits: two}, ratelimit.Key{}},
		"three scopes": {ratelimit.Config{Limits: two, Groups: map[string][]ratelimit.Limit{"g": two}, Credential: two}, ratelimit.Key{Group: "g", Credential: "default"}},
		"exact log":    {ratelimit.Config{Limits: limits(500, time.Millisecond)}, ratelimit.Key{}},
	} {
		b.Run(name, func(b *testing.B) {
			l := newLimiter(b, c.cfg)
			ctx := b.Context()
			b.ReportAllocs()
			for b.Loop() {
				g, err := l.Reserve(ctx, c.key, 0)
				if err == nil {
					g.Answered(200, nil)
				}
			}
		})
	}
}

func BenchmarkReserveParallel(b *testing.B) {
	l := newLimiter(b, ratelimit.Config{Limits: limits(1_000_000_000, time.Second, 1_000_000_000, 24*time.Hour)})
	key := ratelimit.Key{Credential: "default"}
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			g, err := l.Reserve(b.Context(), key, 0)
			if err == nil {
				g.Answered(200, nil)
			}
		}
	})
}

func BenchmarkRejected(b *testing.B) {
	l := newLimiter(b, ratelimit.Config{Limits: limits(1, time.Hour)})
	drain(b, l, ratelimit.Key{})
	b.ReportAllocs()
	for b.Loop() {
		_, _ = l.Reserve(b.Context(), ratelimit.Key{}, 0)
	}
}

func BenchmarkAnswered(b *testing.B) {
	for name, h := range map[string][]string{
		"draft": {"RateLimit", `"permin";r=1000000;t=23`, "RateLimit-Policy", `"permin";q=50;w=60`}, "x-ratelimit": {"X-RateLimit-Limit", "5000000", "X-RateLimit-Remaining", "4999999", "X-RateLimit-Reset", "30"},
	} {
		b.Run(name, func(b *testing.B) {
			l := newLimiter(b, ratelimit.Config{Dialect: map[string]string{"draft": "ratelimit-draft"}[name]})
			h := header(h...)
			b.ReportAllocs()
			for b.Loop() {
				g, err := l.Reserve(b.Context(), ratelimit.Key{Credential: "a"}, 0)
				if err == nil {
					g.Answered(200, h)
				}
			}
		})
	}
}
