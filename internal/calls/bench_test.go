package calls

import (
	"fmt"
	"testing"
	"time"

	"switchgear/internal/dbtest"
	"switchgear/internal/runtime"
	"switchgear/internal/telemetry"
)

// BenchmarkStore is how many entries a second the log stores, in batches as Serve makes them under load,
// each batch on disk before the next.
func BenchmarkStore(b *testing.B) {
	d := dbtest.New(b)
	s := store{db: d}
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
		if err := s.insert(b.Context(), batch); err != nil {
			b.Fatal(err)
		}
		stored += len(batch)
	}
	b.ReportMetric(float64(stored)/b.Elapsed().Seconds(), "entries/s")
}
