package breakers

import (
	"strconv"
	"testing"
	"time"

	"switchgear/internal/connections"
	"switchgear/internal/runtime/breaker"
	"switchgear/internal/runtime/ratelimit"
)

// A page of the list of 10,000 connections, all of which were called.
func BenchmarkList(b *testing.B) {
	w := newWorld(b)
	for i := range 10_000 {
		id := "con_" + strconv.Itoa(i)
		w.directory.all = append(w.directory.all, connections.Connection{ID: id, Slug: "slug-" + strconv.Itoa(i)})
	}
	registry, err := breaker.NewRegistry(breaker.Deps{
		Config: func(breaker.Key) (breaker.Config, error) { return breaker.Config{}, nil }, Record: discard,
	}, breaker.Settings{})
	must(b, err)
	w.deps.Breakers = registry
	for _, c := range w.directory.all {
		_, err := registry.Breaker(breaker.Key{Connection: c.ID})
		must(b, err)
		l, err := w.limiters.Configure(c.ID, ratelimit.Config{Limits: []ratelimit.Limit{{Requests: 100, Per: time.Hour}}})
		must(b, err)
		grant, err := l.Reserve(b.Context(), ratelimit.Key{Credential: "default"}, 0)
		must(b, err)
		grant.Answered(200, nil)
	}
	for b.Loop() {
		if page, err := w.List(b.Context(), root(), Query{}); err != nil || page.Total != len(w.directory.all) {
			b.Fatal(page.Total, err)
		}
	}
}
