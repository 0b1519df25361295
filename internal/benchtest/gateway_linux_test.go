package benchtest

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"text/tabwriter"
	"time"
)

const (
	connections = 32
	rounds      = 5
	round       = 3 * time.Second
	steadyRate  = 1000
)

// BenchmarkGatewayBesideProxies prints the table of docs/benchmarks.md. Every system is asked in every
// round, in another order each time, so that what else the machine does hits all of them; the figures are
// medians over the rounds. It runs once, whatever -benchtime says.
func BenchmarkGatewayBesideProxies(b *testing.B) {
	upstream := startUpstream(b)
	at := upstream.address
	systems := []system{
		upstream, startNginxProxy(b, at), startCaddy(b, at), startGateway(b, at),
		startFloor(b, floorSockets, at), startFloor(b, floorServer, at), startFloor(b, floorLibrary, at),
	}
	full, steady := make([][]sample, len(systems)), make([][]sample, len(systems))
	for n := range rounds {
		for i := range systems {
			i = (i + n) % len(systems)
			s := systems[i]
			measure := func(l load) sample {
				before := s.processorTime(b)
				got, err := l.run(b.Context())
				if err != nil {
					b.Fatalf("%s: %v", s.name, err)
				}
				got.cpu = time.Duration(float64(s.processorTime(b)-before) / (got.rate * l.duration.Seconds()))
				return got
			}
			full[i] = append(full[i], measure(load{address: s.address, requests: [][]byte{s.request}, connections: connections, duration: round}))
			steady[i] = append(steady[i], measure(load{address: s.address, requests: [][]byte{s.request}, connections: connections, duration: round, rate: steadyRate}))
		}
	}
	_, _ = os.Stdout.WriteString(table(systems, full, steady)) // b.Log cuts long texts.
	rate := func(i int) float64 { return median(column(full[i], func(s sample) float64 { return s.rate })) }
	b.ReportMetric(0, "ns/op") // One run is no operation.
	b.ReportMetric(rate(3), "req/s")
	b.ReportMetric(rate(3)/rate(2), "x-caddy")
	b.ReportMetric(rate(3)/rate(1), "x-nginx")
	spent := func(i int) float64 {
		return float64(median(column(full[i], func(s sample) time.Duration { return s.cpu })))
	}
	b.ReportMetric(spent(2)/spent(3), "cpu-x-caddy") // how many calls for the processor time of one of Caddy's
}

func column[T any](samples []sample, of func(sample) T) []T {
	out := make([]T, len(samples))
	for i, s := range samples {
		out[i] = of(s)
	}
	return out
}

// table compares every system with the others at full speed, and with the direct call at a steady rate.
func table(systems []system, full, steady [][]sample) string {
	var text strings.Builder
	out := tabwriter.NewWriter(&text, 0, 0, 2, ' ', tabwriter.AlignRight)
	rate := func(s sample) float64 { return s.rate }
	p50, p99 := func(s sample) time.Duration { return s.p50 }, func(s sample) time.Duration { return s.p99 }
	cpu := func(s sample) time.Duration { return s.cpu }

	_, _ = fmt.Fprintf(&text, "\nFull speed: small JSON, %d connections, medians of %d rounds of %s\n\n", connections, rounds, round)
	_, _ = fmt.Fprint(out, "\treq/s\tp50 µs\tp99 µs\tcpu µs/req")
	for _, s := range systems {
		_, _ = fmt.Fprintf(out, "\t× %s", s.name)
	}
	_, _ = fmt.Fprintln(out, "\t")
	for i, s := range systems {
		_, _ = fmt.Fprintf(out, "%s\t%.0f\t%s\t%s\t%s", s.name, median(column(full[i], rate)),
			micros(median(column(full[i], p50))), micros(median(column(full[i], p99))), micros(median(column(full[i], cpu))))
		for j := range systems {
			// Within each round, then the median: neighbours in time saw the same machine.
			ratios := make([]float64, rounds)
			for n := range ratios {
				ratios[n] = full[i][n].rate / full[j][n].rate
			}
			_, _ = fmt.Fprintf(out, "\t%.2f", median(ratios))
		}
		_, _ = fmt.Fprintln(out, "\t")
	}
	_ = out.Flush()

	_, _ = fmt.Fprintf(&text, "\nSteady: %d requests per second, timed from the moment when each was due\n\n", steadyRate)
	_, _ = fmt.Fprintln(out, "\tp50 µs\tp99 µs\tp50 over direct\tp99 over direct\tcpu µs/req\t")
	for i, s := range systems {
		over := func(of func(sample) time.Duration) string {
			extra := make([]time.Duration, rounds)
			for n := range extra {
				extra[n] = of(steady[i][n]) - of(steady[0][n])
			}
			return micros(median(extra))
		}
		_, _ = fmt.Fprintf(out, "%s\t%s\t%s\t%s\t%s\t%s\t\n", s.name, micros(median(column(steady[i], p50))),
			micros(median(column(steady[i], p99))), over(p50), over(p99), micros(median(column(steady[i], cpu))))
	}
	_ = out.Flush()
	return text.String()
}

func micros(d time.Duration) string { return strconv.FormatInt(d.Microseconds(), 10) }
