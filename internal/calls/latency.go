package calls

import (
	"math/bits"
	"time"
)

const (
	// lowest is the exponent of the first octave: shorter calls than 2^lowest µs share one bin.
	lowest  = 5
	octaves = 21 // up to 2^26 µs, which is 67 s; longer calls share the last bin
	parts   = 4  // bins in an octave
	bins    = octaves*parts + 1
)

// histogram counts durations in bins that grow with the duration. What it says about a percentile is at
// most an eighth off.
type histogram [bins]uint32

func bin(d time.Duration) int {
	us := uint64(max(d.Microseconds(), 0))
	exponent := bits.Len64(us) - 1
	if exponent < lowest {
		return 0
	}
	return min(1+(exponent-lowest)*parts+int(us>>(exponent-2)&(parts-1)), bins-1)
}

// middle is the duration that stands for a bin.
func middle(bin int) time.Duration {
	if bin == 0 {
		return (1 << (lowest - 1)) * time.Microsecond
	}
	exponent, part := lowest+(bin-1)/parts, (bin-1)%parts
	width := 1 << (exponent - 2)
	return time.Duration((parts+part)*width+width/2) * time.Microsecond
}

func (h *histogram) add(o *histogram) {
	for i, n := range o {
		h[i] += n
	}
}

func (h *histogram) subtract(o *histogram) {
	for i, n := range o {
		h[i] -= min(n, h[i])
	}
}

// percentile is the duration that p of 100 calls did not exceed, 0 without calls.
func (h *histogram) percentile(p int) time.Duration {
	total := 0
	for _, n := range h {
		total += int(n)
	}
	rank := (total*p + 99) / 100
	for i, n := range h {
		if rank -= int(n); n > 0 && rank <= 0 {
			return middle(i)
		}
	}
	return 0
}
