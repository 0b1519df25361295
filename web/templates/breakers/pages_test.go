package breakers

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/html"

	"switchgear/web/templates/ui"
)

func elements(t *testing.T, s ui.State) []*html.Node {
	t.Helper()
	var b bytes.Buffer
	if err := s.View.Render(t.Context(), &b); err != nil {
		t.Fatalf("%s: %s: %v", s.Group, s.Name, err)
	}
	root, err := html.Parse(&b)
	if err != nil {
		t.Fatal(err)
	}
	var out []*html.Node
	for n := range root.Descendants() {
		if n.Type == html.ElementNode {
			out = append(out, n)
		}
	}
	return out
}

func find(t *testing.T, group, name string) []*html.Node {
	t.Helper()
	for _, s := range Gallery() {
		if s.Group == group && s.Name == name {
			return elements(t, s)
		}
	}
	t.Fatalf("the gallery has no state %q of %q", name, group)
	return nil
}

func attribute(n *html.Node, key string) string {
	for _, a := range n.Attr {
		if a.Key == key {
			return a.Val
		}
	}
	return ""
}

func within(n *html.Node, tag string) *html.Node {
	for p := n.Parent; p != nil; p = p.Parent {
		if p.Data == tag {
			return p
		}
	}
	return nil
}

// text is what a page says, with single spaces.
func text(all []*html.Node) string {
	var b strings.Builder
	for n := range all[0].Descendants() {
		if n.Type == html.TextNode {
			b.WriteString(n.Data + " ")
		}
	}
	return strings.Join(strings.Fields(b.String()), " ")
}

// controls lists the names that the form with an action sends, sorted, once each.
func controls(all []*html.Node, action string) []string {
	var names []string
	for _, n := range all {
		if form := within(n, "form"); form != nil && attribute(form, "action") == action && attribute(n, "name") != "" {
			names = append(names, attribute(n, "name"))
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

func TestCommandsSendWhatTheServerReads(t *testing.T) {
	t.Parallel()
	lasting, atOnce := []string{"for", "reason", "until"}, []string{"reason"}
	for verb, want := range map[Verb][]string{
		VerbProbe: atOnce, VerbTrip: lasting, VerbHold: lasting, VerbForceOpen: lasting, VerbForceClosed: lasting, VerbObserve: lasting,
		VerbAuto: atOnce, VerbReset: atOnce,
	} {
		if diff := cmp.Diff(want, controls(find(t, "Breaker command page", string(verb)), "/connections/stripe/breaker/"+string(verb))); diff != "" {
			t.Errorf("page of %s (-want +got):\n%s", verb, diff)
		}
		if diff := cmp.Diff(want, controls(find(t, "Breaker tab", "open"), "/connections/stripe/breaker/"+string(verb)+"?operation=createCharge")); diff != "" {
			t.Errorf("dialog of %s (-want +got):\n%s", verb, diff)
		}
	}
}

// A button that opens a dialog is a link to the page with the same question, and the dialog posts there.
func TestDialogsHaveAPage(t *testing.T) {
	t.Parallel()
	found := 0
	for _, s := range Gallery() {
		all, actions := elements(t, s), map[string]string{}
		for _, n := range all {
			if dialog := within(n, "dialog"); n.Data == "form" && dialog != nil {
				actions[attribute(dialog, "id")] = attribute(n, "action")
			}
		}
		for _, n := range all {
			if opens := attribute(n, "data-open"); opens != "" {
				found++
				if attribute(n, "href") != actions[opens] {
					t.Errorf("%s, %s: %q opens %s, which posts to %q", s.Group, s.Name, attribute(n, "href"), opens, actions[opens])
				}
			}
		}
	}
	if found == 0 {
		t.Error("no dialog in the gallery")
	}
}

// Who may only read is offered nothing but reading.
func TestReadersSeeNoCommands(t *testing.T) {
	t.Parallel()
	for _, n := range find(t, "Breaker tab", "read-only") {
		if n.Data == "form" && attribute(n, "method") == "post" && attribute(n, "action") != "/sign-out" {
			t.Errorf("form to %s", attribute(n, "action"))
		}
		if href := attribute(n, "href"); strings.HasSuffix(href, "/rollback") || strings.Contains(href, "/breaker/force") {
			t.Errorf("link to %s", href)
		}
	}
}

func TestPagesSay(t *testing.T) {
	t.Parallel()
	for name, want := range map[string][]string{
		"closed": {
			"18 of 20 minimum calls, failures 44 % of 50 %: not tripped because no threshold is reached.", "18 of 20 minimum", "44 % of 50 %",
			"Stripe live / createCharge is open since 09:12 UTC (14 min).", "Look at it",
			"configured 90/s, effective 12/s because the vendor says 240 left for 20 s",
		},
		"open": {
			"Stripe live / createCharge is open since 09:12 UTC (14 min).", "Next probe in 22 s", "412 calls refused since then.",
			"Last change: v18 by ops@example.com, 5 min before.", "tripped it", "Export CSV",
		},
		"half-open, after a probe":     {"2 of 3 succeeded", "16 of 20 calls so far: 2 were answered, 0 failed, 14 were refused here."},
		"held by the vendor":           {"The upstream asked for a pause: Retry-After: 61.", "Held by the vendor since", "No request leaves for another 41 s"},
		"held by a person":             {"By ops@example.com: vendor maintenance."},
		"the hold is over":             {"The next call is a probe.", "one request goes first"},
		"forced open with a lease":     {"Ends by itself in 27 min 0 s", "Without the override it would be closed.", "No call since then. The next 20 are watched."},
		"forced closed":                {"Nothing protects the upstream and the callers.", "12 failed"},
		"observing, would be open":     {"Observing · would be open", "31 calls would have been refused."},
		"recovering, after a reset":    {"Stripe live recovers: 46 % of the calls are admitted", "It worked."},
		"no calls yet":                 {"nothing to judge", "No calls in 15 minutes.", "Nothing happened yet.", "Closed · no calls"},
		"history, filter without hits": {"No such change."},
		"history, older part":          {"Newest"},
		"read-only":                    {"Commands are for operators and above."},
		"switched off":                 {"switched off"},
		"the operation is gone":        {"There is no such operation any more."},
	} {
		got := text(find(t, "Breaker tab", name))
		for _, w := range want {
			if !strings.Contains(got, w) {
				t.Errorf("%s: the page does not say %q", name, w)
			}
		}
	}
}

// The first command is the one that leads back to normal; what would change nothing is not offered.
func TestCommandsByState(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		status Status
		want   []Verb
	}{
		{Status{State: StateClosed}, []Verb{VerbTrip}},
		{Status{State: StateHalfOpen}, []Verb{VerbProbe, VerbTrip}},
		{Status{State: StateOpen}, []Verb{VerbProbe}},
		{Status{State: StateHeld}, []Verb{VerbProbe}},
		{Status{State: StateForcedOpen, WouldBe: StateClosed}, []Verb{VerbAuto}},
		{Status{State: StateForcedClosed, WouldBe: StateOpen}, []Verb{VerbAuto}},
		{Status{State: StateObserve, WouldBe: StateOpen}, []Verb{VerbAuto, VerbProbe}},
		{Status{State: StateObserve, WouldBe: StateClosed}, []Verb{VerbAuto, VerbTrip}},
	} {
		want := slices.Concat(tt.want, []Verb{VerbForceOpen, VerbForceClosed, VerbHold, VerbObserve, VerbReset})
		if diff := cmp.Diff(want, tt.status.commands()); diff != "" {
			t.Errorf("%s, would be %s (-want +got):\n%s", tt.status.State, tt.status.WouldBe, diff)
		}
	}
}

// A change long before, or after the breaker opened, is not blamed.
func TestSuspects(t *testing.T) {
	t.Parallel()
	v := openTab()
	for at, want := range map[time.Duration]bool{-time.Minute: true, -23 * time.Hour: true, -25 * time.Hour: false, time.Minute: false} {
		v.Change.At = v.Breaker.Status.Since.Add(at)
		if got := v.changed() != "" && len(v.remedies()) > 0; got != want {
			t.Errorf("changed %s relative to the trip: blamed %v, want %v", at, got, want)
		}
	}
	v.Change = nil
	if v.changed() != "" || v.remedies() != nil {
		t.Error("blames a change that nobody knows of")
	}
}

func TestSpan(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]string{
		0: "0 s", 300 * time.Millisecond: "300 ms", 1500 * time.Millisecond: "1.5 s", 30 * time.Second: "30 s", time.Minute: "1 min",
		200 * time.Second: "3 min 20 s", 2 * time.Hour: "2 h", 49 * time.Hour: "2 d 1 h",
	} {
		if got := Span(d); got != want {
			t.Errorf("%s: %q, want %q", d, got, want)
		}
	}
}

// What is below a threshold never looks as if it had reached it.
func TestSharesAreRoundedDown(t *testing.T) {
	t.Parallel()
	if got := Percent(.4999); got != "49 %" {
		t.Errorf("got %q", got)
	}
	if got := Percent(.5); got != "50 %" {
		t.Errorf("got %q", got)
	}
	if got := fine(.1999); got != "19.9 %" {
		t.Errorf("got %q", got)
	}
}
