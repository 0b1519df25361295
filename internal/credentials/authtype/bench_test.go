package authtype

import (
	"io"
	"net/http"
	"strings"
	"testing"
)

// BenchmarkApply is what each kind costs per call, with the first of its vectors and a body of 1 KiB.
func BenchmarkApply(b *testing.B) {
	body := strings.Repeat("x", 1<<10)
	all := vectors()
	for _, typ := range All() {
		values := all[typ.Kind()][0].values
		b.Run(typ.Kind(), func(b *testing.B) {
			r, err := http.NewRequestWithContext(b.Context(), http.MethodPost, "https://api.example.com/v1/x?a=1&b=2", strings.NewReader(body))
			if err != nil {
				b.Fatal(err)
			}
			r.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(body)), nil }
			use := Use{Values: values, Token: Token{Access: canary}, Now: moment}
			b.ReportAllocs()
			for b.Loop() {
				if err := typ.Apply(r, use); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
