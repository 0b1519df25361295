package calls

import (
	"flag"
	"strings"
	"testing"
	"time"

	"switchgear/web/templates/gallery/gallerytest"
	"switchgear/web/templates/ui"
)

var update = flag.Bool("update", false, "write the golden files anew")

func TestGallery(t *testing.T) {
	t.Parallel()
	gallerytest.RunPages(t, Gallery(), *update)
}

func TestTook(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]string{
		0: "0 µs", 840 * time.Microsecond: "840 µs", time.Millisecond: "1 ms", 12400 * time.Microsecond: "12.4 ms",
		99960 * time.Microsecond: "99 ms", 183 * time.Millisecond: "183 ms", 999999 * time.Microsecond: "999 ms",
		8100 * time.Millisecond: "8.1 s", 125 * time.Second: "2 min 5 s", -1: "—",
	} {
		if got := Took(d); got != want {
			t.Errorf("Took(%d) = %q, want %q", d, got, want)
		}
	}
}

func TestSize(t *testing.T) {
	t.Parallel()
	for n, want := range map[int64]string{
		-1: "0 B", 0: "0 B", 999: "999 B", 1000: "1 kB", 1234: "1.2 kB", 104_000_000: "104 MB", 999_999_999: "1 GB", 5e15: "5000 TB",
	} {
		if got := Size(n); got != want {
			t.Errorf("Size(%d) = %q, want %q", n, got, want)
		}
	}
}

// The drawing marks where in the call a step ran, and never runs over its end.
func TestCourse(t *testing.T) {
	t.Parallel()
	ms := time.Millisecond
	for name, tt := range map[string]struct {
		at, took, span time.Duration
		want           string
	}{
		"all":       {0, 150 * ms, 150 * ms, "###############"},
		"first":     {0, 10 * ms, 150 * ms, "#.............."},
		"instant":   {75 * ms, 0, 150 * ms, ".......#......."},
		"last":      {140 * ms, 10 * ms, 150 * ms, "..............#"},
		"too long":  {140 * ms, 900 * ms, 150 * ms, "..............#"},
		"no length": {0, 0, 0, "#.............."},
	} {
		var got strings.Builder
		for _, s := range (Step{At: tt.at, Took: tt.took}).course(tt.span).Slices {
			mark := "#"
			if s.Tone == ui.ToneNone {
				mark = "."
			}
			got.WriteString(mark)
		}
		if got.String() != tt.want {
			t.Errorf("%s: %s, want %s", name, got.String(), tt.want)
		}
	}
}

// A filter starts at the newest call again; a refresh stays on its page; a list at a connection's own
// address does not name the connection twice.
func TestAddresses(t *testing.T) {
	t.Parallel()
	v := ListView{Connection: "stripe", Class: "5", Path: "/v1/a b", Cursor: "c.1", Limit: 20}
	own := v
	own.Address = "/connections/stripe/calls"
	for got, want := range map[string]string{
		v.url(""):         "/calls?class=5&connection=stripe&limit=20&path=%2Fv1%2Fa+b",
		v.url(v.Cursor):   "/calls?class=5&connection=stripe&cursor=c.1&limit=20&path=%2Fv1%2Fa+b",
		own.url(v.Cursor): "/connections/stripe/calls?class=5&cursor=c.1&limit=20&path=%2Fv1%2Fa+b",
	} {
		if got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

func TestWhyAConnectionTookNoTime(t *testing.T) {
	t.Parallel()
	for want, call := range map[string]Row{
		"it was never sent":           {Outcome: "rejected_local"},
		"no connection came about":    {Outcome: "connect_failed", Attempts: 3},
		"an open connection was used": {Outcome: "success", Attempts: 1},
	} {
		if got := (CallView{Call: call}).toConnect(); got != want {
			t.Errorf("%s after %d attempts: %q, want %q", call.Outcome, call.Attempts, got, want)
		}
	}
}

// A call that failed leads to where one looks next, as long as its connection exists.
func TestAFailedCallLeadsOn(t *testing.T) {
	t.Parallel()
	v := CallView{Call: Row{Connection: "stripe"}}
	if got := len(v.next()); got != 2 {
		t.Errorf("%d links, want 2", got)
	}
	v.Gone = true
	if got := len(v.next()); got != 0 {
		t.Errorf("%d links to a connection that is gone", got)
	}
}
