package breakers

import (
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"switchgear/internal/fault"
	"switchgear/internal/runtime/breaker"
)

// Verb is something that a person does to a breaker.
type Verb string

// The verbs.
const (
	Trip        Verb = "trip"         // open now; it recovers by itself
	Reset       Verb = "reset"        // closed, as if nothing had happened
	ForceOpen   Verb = "force-open"   // refuse every call for a time
	ForceClosed Verb = "force-closed" // let every call pass for a time
	Observe     Verb = "observe"      // let every call pass and count what would have been refused
	Auto        Verb = "auto"         // take an override back
	Hold        Verb = "hold"         // refuse every call for a time, then probe
	Probe       Verb = "probe"        // let probes through now, and send one
)

// Verbs lists every verb.
func Verbs() []Verb { return []Verb{Trip, Reset, ForceOpen, ForceClosed, Observe, Auto, Hold, Probe} }

// ParseVerb returns the verb of that name, or a fault.Invalid about the field verb.
func ParseVerb(name string) (Verb, error) {
	if v := Verb(name); slices.Contains(Verbs(), v) {
		return v, nil
	}
	return "", fault.Field("UNKNOWN_VERB", "verb", "There is no such command to a breaker.").
		WithSuggestion("Use one of trip, reset, force-open, force-closed, observe, auto, hold, probe.")
}

// term says whether a verb takes an end: not at all, if one wishes, or always.
func (v Verb) term() (takes, needs bool) {
	switch v {
	case ForceOpen, ForceClosed, Hold:
		return true, true
	case Trip, Observe:
		return true, false
	case Reset, Auto, Probe:
	}
	return false, false
}

const (
	// DefaultFor is how long what needs an end lasts when nobody says.
	DefaultFor = 30 * time.Minute
	// MaxFor is the longest that may be asked for: whoever wants more has to come back and look.
	MaxFor    = 24 * time.Hour
	minFor    = time.Second
	maxReason = 500 // bytes
)

// Order says why somebody gives a command, and for how long.
type Order struct {
	Reason string
	// For is how long what is ordered lasts, Until when it ends: at most one of them.
	For   time.Duration
	Until time.Time
}

// complete checks an order and fills in its end.
func (v Verb) complete(o Order, now time.Time) (Order, error) {
	o.Reason = strings.TrimSpace(o.Reason)
	switch {
	case o.Reason == "":
		return o, fault.Field("REASON_REQUIRED", "reason", "Give a reason: it is kept in the history and shown to whoever looks next.")
	case len(o.Reason) > maxReason:
		return o, fault.Field("INVALID_REASON", "reason", fmt.Sprintf("The reason can have at most %d bytes.", maxReason))
	case !utf8.ValidString(o.Reason) || strings.ContainsFunc(o.Reason, hidden):
		return o, fault.Field("INVALID_REASON", "reason", "Use letters, digits and signs only: it contains a character that cannot be shown.")
	}
	takes, needs := v.term()
	field := "for"
	if o.For == 0 && !o.Until.IsZero() {
		field = "until"
	}
	switch {
	case !takes && (o.For != 0 || !o.Until.IsZero()):
		return o, fault.Field("INVALID_END", field, "This happens at once and does not last: leave the time out.")
	case o.For != 0 && !o.Until.IsZero():
		return o, fault.Field("INVALID_END", "for", "Say for how long or until when, not both.")
	case o.For != 0:
		o.Until = now.Add(o.For)
	case o.Until.IsZero() && needs:
		o.Until = now.Add(DefaultFor)
	}
	switch {
	case o.Until.IsZero():
	case o.Until.Before(now.Add(minFor)):
		return o, fault.Field("INVALID_END", field, "The end must lie in the future.")
	case o.Until.After(now.Add(MaxFor)):
		return o, fault.Field("INVALID_END", field, "At most 24 hours: whoever wants more has to look again.")
	}
	o.For = 0
	return o, nil
}

// hidden reports characters that are not seen or turn the line around.
func hidden(r rune) bool {
	return unicode.IsControl(r) || r >= '\u202A' && r <= '\u202E' || r >= '\u2066' && r <= '\u2069' || r == '\u2028' || r == '\u2029'
}

// apply gives the command to a breaker.
func (c command) apply(b *breaker.Breaker) error {
	o := breaker.Order{Actor: c.actor, Reason: c.reason, Until: c.until}
	switch c.verb {
	case Trip:
		return b.Trip(o)
	case Reset:
		return b.Reset(o)
	case ForceOpen:
		return b.SetMode(breaker.ModeForcedOpen, o)
	case ForceClosed:
		return b.SetMode(breaker.ModeForcedClosed, o)
	case Observe:
		return b.SetMode(breaker.ModeObserve, o)
	case Auto:
		return b.SetMode(breaker.ModeAuto, o)
	case Hold:
		return b.Hold(o)
	case Probe:
		return b.Probe(o)
	}
	return fault.New(fault.Internal, "", "there is no command "+string(c.verb)+" to a breaker")
}

// rehearse gives the command to a copy of a breaker. It returns why it would fail.
func (c command) rehearse(b *breaker.Breaker) error {
	registry, err := breaker.NewRegistry(breaker.Deps{
		Config: func(breaker.Key) (breaker.Config, error) { return b.Snapshot().Config, nil },
		Record: discard,
	}, breaker.Settings{})
	if err != nil {
		return err
	}
	if _, err := registry.Restore([]breaker.Durable{b.Durable()}); err != nil {
		return err
	}
	double, err := registry.Breaker(c.key)
	if err != nil {
		return err
	}
	return c.apply(double)
}

// Consequence says in a sentence or two what a command does, given what the breaker is now. The zero time
// stands for no end.
func (v Verb) Consequence(s breaker.Snapshot, until time.Time) string {
	end := moment(until)
	switch v {
	case Trip:
		if until.IsZero() {
			return fmt.Sprintf("Calls are refused with 503 for about %s. Then %s decide whether they come back.", openFor(s), probes(s))
		}
		return fmt.Sprintf("Calls are refused with 503 until %s. Then %s decide whether they come back.", end, probes(s))
	case Reset:
		if s.Mode != "" && s.Mode != breaker.ModeAuto {
			return "Counts, open time and hold are forgotten. The override stays in force."
		}
		return "Counts, open time and hold are forgotten, and every call goes out from now on."
	case ForceOpen:
		return fmt.Sprintf("Every call is refused with 503 until %s, whatever the upstream does. Then the breaker decides again.", end)
	case ForceClosed:
		return fmt.Sprintf("Every call goes out until %s, even if all of them fail: nothing holds calls back from an upstream that is down. Then the breaker decides again.", end)
	case Observe:
		if until.IsZero() {
			return "Every call goes out, until somebody takes this back. What the breaker would have refused is counted."
		}
		return fmt.Sprintf("Every call goes out until %s. What the breaker would have refused is counted.", end)
	case Auto:
		if s.WouldBe == "" || s.Mode == breaker.ModeAuto {
			return "The breaker decides by itself."
		}
		return fmt.Sprintf("The override ends now, and the breaker decides by itself: it is %s.", Word(s.WouldBe))
	case Hold:
		return fmt.Sprintf("Calls are refused with 503 until %s. Then %s decide whether they come back.", end, probes(s))
	case Probe:
		return fmt.Sprintf("The next %s go out, and one request to the health path is sent now. If all succeed, the breaker closes; if one fails, it opens again.", probes(s))
	}
	return ""
}

func moment(t time.Time) string { return t.UTC().Format("15:04:05 UTC on 2 January") }

func probes(s breaker.Snapshot) string {
	switch n := s.Config.HalfOpenCalls; n {
	case 0:
		return "probes"
	case 1:
		return "a probe"
	default:
		return fmt.Sprintf("%d probes", n)
	}
}

func openFor(s breaker.Snapshot) string {
	if s.Config.OpenFor == 0 {
		return "its open time"
	}
	return s.Config.OpenFor.String()
}

// Word is a state in the words of a sentence.
func Word(s breaker.State) string {
	switch s {
	case breaker.StateHalfOpen:
		return "half-open"
	case breaker.StateForcedOpen:
		return "forced open"
	case breaker.StateForcedClosed:
		return "forced closed"
	case breaker.StateObserve:
		return "observing"
	case breaker.StateClosed, breaker.StateOpen, breaker.StateHeld:
	}
	return string(s)
}
