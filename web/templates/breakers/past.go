package breakers

import (
	"strconv"
	"time"

	"github.com/a-h/templ"

	"switchgear/web/templates/ui"
)

// Past is how a breaker was lately.
type Past struct {
	// States are the worst of each step, oldest first; empty where nothing is known.
	States []string
	Step   time.Duration
	// Open is how long no call passed since Since.
	Open  time.Duration
	Since time.Time
}

// ribbon draws the states; those that last are one slice.
func (p Past) ribbon() ui.Ribbon {
	out := ui.Ribbon{Label: "Nothing is known of the last " + Span(p.whole())}
	kept, known := 0, 0
	for i := 0; i < len(p.States); {
		s, n := p.States[i], 1
		for i+n < len(p.States) && p.States[i+n] == s {
			n++
		}
		slice := ui.Slice{Tone: tone(s), Wide: n, Title: Span(time.Duration(len(p.States)-i)*p.Step) + " ago: " + stateInText(s)}
		if n > 1 {
			slice.Title += ", for " + Span(time.Duration(n)*p.Step)
		}
		switch s {
		case "":
			slice.Tone, slice.Title = ui.ToneIdle, "Not known"
		case StateClosed:
			known += n
		default:
			known, kept = known+n, kept+n
		}
		out.Slices = append(out.Slices, slice)
		i += n
	}
	switch {
	case kept > 0:
		out.Label = "Not closed in " + strconv.Itoa(kept) + " of the last " + strconv.Itoa(len(p.States)) + " steps of " + Span(p.Step)
	case known > 0:
		out.Label = "Closed for the last " + Span(time.Duration(known)*p.Step)
	}
	return out
}

func (p Past) whole() time.Duration { return time.Duration(len(p.States)) * p.Step }

// past is the ribbon; nothing where nothing was looked up.
func (r Row) past() templ.Component {
	if len(r.Past.States) == 0 {
		return ui.Text("")
	}
	return r.Past.ribbon()
}

// open is how long no call passed in the last days; none is no news.
func (r Row) open(now time.Time) templ.Component {
	if r.Past.Open == 0 {
		return ui.Text("")
	}
	whole := now.Sub(r.Past.Since)
	if whole <= 0 {
		return ui.Text(Span(r.Past.Open.Truncate(time.Second)))
	}
	return ui.Lines(ui.Text(Span(r.Past.Open.Truncate(time.Second))), ui.Muted(fine(float64(r.Past.Open)/float64(whole))+" of "+Span(whole.Round(time.Hour))))
}
