package about

import "testing"

func TestSize(t *testing.T) {
	t.Parallel()
	for bytes, want := range map[int64]string{
		0: "0 B", 999: "999 B", 1000: "1.0 kB", 1_482_752: "1.5 MB", 999_949: "999.9 kB", 999_950: "1.0 MB", 999_950_000: "1.0 GB",
		1_280_000_000_000: "1.3 TB", 5_000_000_000_000_000: "5000.0 TB",
	} {
		if got := size(bytes); got != want {
			t.Errorf("size(%d) = %q, want %q", bytes, got, want)
		}
	}
}
