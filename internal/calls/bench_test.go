package calls

import (
	"fmt"
	"testing"
	"time"

	"switchgear/internal/dbtest"
	"switchgear/internal/runtime"
	"switchgear/internal/telemetry"
)

// BenchmarkStore is how many entries a second the log stores, with their sums by the minute, in batches as
// Serve makes them under load: each batch is on disk before the next.
func BenchmarkStore(b *testing.B) {
	l, err := New(b.Context(), Deps{DB: dbtest.New(b), Logger: telemetry.Discard(), Notify: func(string) {}, Now: noon}, Config{})
	if err != nil {
		b.Fatal(err)
	}
	batch := make([]runtime.Record, 512)
	stored := 0
	at := noon()
	for b.Loop() {
		for i := range batch {
			at = at.Add(time.Millisecond)
			batch[i] = record(0, func(r *runtime.Record) {
				r.ID, r.StartedAt = telemetry.NewRequestID(), at
				r.Slug = fmt.Sprintf("connection-%d", i%97)
				r.ConnectionID = "con_" + r.Slug
			})
		}
		l.save(b.Context(), batch)
		stored += len(batch)
	}
	if n := l.Dropped(); n > 0 {
		b.Fatalf("%d entries were not stored", n)
	}
	b.ReportMetric(float64(stored)/b.Elapsed().Seconds(), "entries/s")
}
