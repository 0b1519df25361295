package breaker

import (
	"context"
	"testing"
	"time"
)

// bench is a registry with the thresholds of the product.
func bench(b *testing.B, cfg Config) *Registry {
	b.Helper()
	r, err := NewRegistry(Deps{
		Config: func(Key) (Config, error) { return cfg, nil },
		Record: func(context.Context, []Event) {},
	}, Settings{})
	if err != nil {
		b.Fatal(err)
	}
	return r
}

func call(b *testing.B, r *Registry, k Key) {
	b.Helper()
	p, err := r.Allow(k)
	if err != nil {
		b.Fatal(err)
	}
	p.Done(Result{Verdict: Success, Outcome: "success", RequestID: "req_1"})
}

// BenchmarkCall is the whole cost of the breakers for one call, by one caller and by many.
func BenchmarkCall(b *testing.B) {
	for name, k := range map[string]Key{"connection": stripe, "operation": charges} {
		b.Run(name, func(b *testing.B) {
			r := bench(b, Config{})
			b.ReportAllocs()
			for b.Loop() {
				call(b, r, k)
			}
		})
		b.Run(name+"/parallel", func(b *testing.B) {
			r := bench(b, Config{})
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					call(b, r, k)
				}
			})
		})
	}
	b.Run("after a failure", func(b *testing.B) { // each success is then compared with the thresholds
		r := bench(b, Config{SlowRatio: 0.9})
		p, err := r.Allow(stripe)
		if err != nil {
			b.Fatal(err)
		}
		p.Done(Result{Verdict: Failure, Slow: true})
		b.ReportAllocs()
		for b.Loop() {
			call(b, r, stripe)
		}
	})
}

// BenchmarkRejected is what a call costs that an open breaker stops.
func BenchmarkRejected(b *testing.B) {
	r := bench(b, Config{})
	br, err := r.Breaker(stripe)
	if err != nil {
		b.Fatal(err)
	}
	if err := br.Hold(Order{Actor: ada, Reason: "bench", Until: time.Now().Add(time.Hour)}); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := br.Allow(); err == nil {
			b.Fatal("admitted")
		}
	}
}

// BenchmarkTick is the worker's visit to 10,000 breakers of which a hundred have traffic.
func BenchmarkTick(b *testing.B) {
	r := bench(b, Config{})
	for i := range 10_000 {
		k := Key{Connection: "c", Operation: string(rune('a'+i%26)) + time.Duration(i).String()}
		if _, err := r.Breaker(k); err != nil {
			b.Fatal(err)
		}
		if i < 100 {
			call(b, r, k)
		}
	}
	b.ReportAllocs()
	for b.Loop() {
		for _, br := range r.all() {
			br.tick()
		}
	}
}
