package audit

import (
	"testing"
	"time"
)

func TestURL(t *testing.T) {
	t.Parallel()
	for want, v := range map[string]ListView{
		"/audit":                   {Number: 1, Limit: usualLimit},
		"/audit?limit=20&page=3":   {Number: 3, Limit: 20},
		"/audit?actor=a%26b&q=x+y": {Search: "x y", Actor: "a&b", Number: 1, Limit: usualLimit},
		"/audit?action=key.create&from=2026-01-01&target=t&to=2026-01-31": {Action: "key.create", Target: "t", From: "2026-01-01", To: "2026-01-31"},
	} {
		if got := v.url("/audit"); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestTook(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]string{
		time.Microsecond: "less than 1 ms", 38500 * time.Microsecond: "38 ms", 1240 * time.Millisecond: "1.2 s", 65 * time.Second: "65.0 s",
	} {
		if got := took(d); got != want {
			t.Errorf("took(%s) = %q, want %q", d, got, want)
		}
	}
}
