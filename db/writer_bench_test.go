package db

import (
	"bytes"
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
)

// BenchmarkWriter measures durable rows per second: each row is on disk when Do returns.
func BenchmarkWriter(b *testing.B) {
	payload := bytes.Repeat([]byte("x"), 300)
	for _, writers := range []int{1, 8, 64, 256} {
		b.Run(fmt.Sprintf("writers=%d", writers), func(b *testing.B) {
			d := openTemp(b)
			createItems(b, d)
			w := serveWriter(b, d)
			ctx := b.Context()
			var next atomic.Int64
			var failed atomic.Pointer[error]
			var group sync.WaitGroup
			b.ResetTimer()
			for range writers {
				group.Go(func() {
					for next.Add(1) <= int64(b.N) {
						if err := insertItem(ctx, w, NewID("evt"), payload); err != nil {
							failed.Store(&err)
							return
						}
					}
				})
			}
			group.Wait()
			b.StopTimer()
			if err := failed.Load(); err != nil {
				b.Fatal(*err)
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "rows/s")
		})
	}
}

func insertItem(ctx context.Context, w *Writer, id string, payload []byte) error {
	return w.Do(ctx, func(tx *Tx) error {
		_, err := tx.Exec(ctx, "INSERT INTO items (id, payload) VALUES ($1, $2)", id, payload)
		return err
	})
}
