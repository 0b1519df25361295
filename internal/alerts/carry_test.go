package alerts

import (
	"slices"
	"testing"
	"time"

	"switchgear/internal/access"
	"switchgear/internal/runtime/breaker"
)

// fail opens the breaker of stripe.
func (w *world) fail() {
	w.t.Helper()
	for range 2 {
		permit, err := w.breakers.Allow(breaker.Key{Connection: "stripe"})
		must(w.t, err)
		permit.Done(breaker.Result{Verdict: breaker.Failure, Outcome: "unavailable"})
	}
	w.pass(time.Microsecond)
}

// mend closes it.
func (w *world) mend() {
	w.t.Helper()
	b, err := w.breakers.Breaker(breaker.Key{Connection: "stripe"})
	must(w.t, err)
	must(w.t, b.Reset(breaker.Order{Actor: "ada", Reason: "mended"}))
	w.pass(time.Microsecond)
}

// both has a rule for breakers and one for connections that are down.
func both(t *testing.T) (w *world, carrier, carried func() Alert) {
	t.Helper()
	w = newWorld(t, "stripe")
	hook := w.webhook("hook", "https://a.example.com")
	w.only(RuleDraft{Name: "down", Kind: "connection_down", NotifyResolved: true, Channels: []string{hook.ID}})
	_, err := w.CreateRule(t.Context(), access.System(), RuleDraft{Name: "opened", Kind: "breaker_opened", Enabled: true, NotifyResolved: true, Channels: []string{hook.ID}})
	must(t, err)
	of := func(kind string) func() Alert {
		return func() Alert {
			t.Helper()
			page, err := w.List(t.Context(), access.System(), Query{Sort: "-opened_at"})
			must(t, err)
			for _, a := range page.Alerts {
				if a.RuleKind == kind {
					return a
				}
			}
			t.Fatalf("there is no alert of %s", kind)
			return Alert{}
		}
	}
	return w, of("breaker_opened"), of("connection_down")
}

// An open breaker is one incident and one message, though two rules see it; both are in the history.
func TestOneIncident(t *testing.T) {
	t.Parallel()
	w, opened, down := both(t)
	w.fail()
	w.lookOnce()
	w.lookOnce()
	w.want("told", w.told(), "firing")
	w.want("alerts", slices.Sorted(slices.Values(w.lines())), "breaker_opened stripe firing", "connection_down stripe firing")
	if m := w.messages()[0]; m.RuleKind != "breaker_opened" {
		t.Errorf("the message is that of %s", m.RuleKind)
	}
	if opened().CarriedBy != "" || down().CarriedBy != opened().ID {
		t.Errorf("carried by %q and %q", opened().CarriedBy, down().CarriedBy)
	}
	if n, err := w.Unacknowledged(t.Context(), access.System()); err != nil || n != 1 {
		t.Errorf("%d to look after, %v", n, err)
	}
	w.mend()
	w.lookOnce()
	w.want("told of the end", w.told(), "firing", "resolved")
	w.want("alerts", slices.Sorted(slices.Values(w.lines())), "breaker_opened stripe resolved", "connection_down stripe resolved")
}

// Where the connection was down before its breaker opened, it is the other way round.
func TestDownBeforeItsBreaker(t *testing.T) {
	t.Parallel()
	w, opened, down := both(t)
	w.down("stripe", true)
	w.lookOnce()
	w.fail()
	w.lookOnce()
	w.want("told", w.told(), "firing")
	if down().CarriedBy != "" || opened().CarriedBy != down().ID {
		t.Errorf("carried by %q and %q", down().CarriedBy, opened().CarriedBy)
	}
}

// What goes on after the alert that told of it ended is told by itself.
func TestIncidentGoesOn(t *testing.T) {
	t.Parallel()
	w, opened, down := both(t)
	w.fail()
	w.lookOnce()
	w.down("stripe", true)
	w.mend()
	w.lookOnce()
	w.lookOnce()
	w.want("told", slices.Sorted(slices.Values(w.told())), "firing", "firing", "resolved")
	if opened().State != StateResolved || down().State != StateFiring || down().CarriedBy != "" {
		t.Errorf("%+v, %+v", opened(), down())
	}
}

// A channel that only one of the rules tells is not left out.
func TestIncidentOfAnotherChannel(t *testing.T) {
	t.Parallel()
	w, _, down := both(t)
	rules, err := w.Rules(t.Context(), access.System())
	must(t, err)
	for _, r := range rules {
		if r.Kind == "connection_down" {
			d := r.Draft()
			d.Channels = append(d.Channels, w.webhook("boss", "https://b.example.com").ID)
			_, err := w.EditRule(t.Context(), access.System(), r.ID, d)
			must(t, err)
		}
	}
	w.fail()
	w.lookOnce()
	w.want("told", w.told(), "firing", "firing", "firing")
	if down().CarriedBy != "" {
		t.Error("it is told by another alert, which one of its channels does not hear of")
	}
}
