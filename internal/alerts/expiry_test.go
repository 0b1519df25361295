package alerts

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"switchgear/internal/access"
	"switchgear/internal/connections"
	"switchgear/internal/credentials"
)

const day = 24 * time.Hour

// ending makes the credentials of stripe end, by account.
func (w *world) ending(at map[string]time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.expiries = nil
	for account, end := range at {
		w.expiries = append(w.expiries, connections.Expiry{Slug: "stripe", Expiry: credentials.Expiry{
			ConnectionID: "stripe", Account: account, What: credentials.ExpiryToken, At: end,
		}})
	}
	slices.SortFunc(w.expiries, func(a, b connections.Expiry) int { return a.At.Compare(b.At) })
}

// expiring has rules for 14 days, 3 days and 1 day, made in an order that is not theirs.
func expiring(t *testing.T) *world {
	t.Helper()
	w := newWorld(t, "stripe")
	hook := w.webhook("hook", "https://a.example.com")
	rule := func(within string) RuleDraft {
		return RuleDraft{
			Name: within, Kind: "token_expires_soon", Enabled: true, NotifyResolved: true, Channels: []string{hook.ID}, Params: map[string]string{paramWithin: within},
		}
	}
	w.only(rule("72h"))
	for _, within := range []string{"336h", "24h"} {
		_, err := w.CreateRule(t.Context(), access.System(), rule(within))
		must(t, err)
	}
	return w
}

// news is what was to be sent, each as its event and its rule.
func (w *world) news() []string {
	w.t.Helper()
	all := w.messages()
	out := make([]string, 0, len(all))
	for _, m := range all {
		out = append(out, fmt.Sprintf("%s %s", m.Event, m.Rule))
	}
	return out
}

// A token that is stored with little time left is one message, of an alert that begins when it is seen.
func TestExpiryIsSeenOnce(t *testing.T) {
	t.Parallel()
	w := expiring(t)
	w.ending(map[string]time.Time{"default": w.now().Add(42 * time.Minute)})
	seen := w.now()
	w.lookOnce()
	w.pass(5 * time.Minute)
	w.lookOnce()
	w.want("told", w.news(), "firing 24h")
	page, err := w.List(t.Context(), access.System(), Query{})
	must(t, err)
	if len(page.Alerts) != 3 {
		t.Errorf("%d alerts", len(page.Alerts))
	}
	for _, a := range page.Alerts {
		if !a.OpenedAt.Equal(seen) || !a.FiredAt.Equal(seen) {
			t.Errorf("%s opened at %s, fired at %s, seen at %s", a.RuleName, a.OpenedAt, a.FiredAt, seen)
		}
		if (a.RuleName == "24h") != (a.CarriedBy == "") {
			t.Errorf("%s is carried by %q", a.RuleName, a.CarriedBy)
		}
	}
	w.ending(map[string]time.Time{"default": w.now().Add(90 * day)})
	w.lookOnce()
	w.want("told of the end", w.news(), "firing 24h", "resolved 24h")
	// How the calls go has nothing to do with it.
	if why := w.messages()[1].Why; !strings.Contains(why, "ends later") || strings.Contains(why, "calls") {
		t.Errorf("it ended since %q", why)
	}
}

// Each step tells as time passes, across a restart too, and the end once.
func TestExpiryEscalates(t *testing.T) {
	t.Parallel()
	w := expiring(t)
	w.ending(map[string]time.Time{"default": w.now().Add(15 * day)})
	for _, step := range []struct {
		pass time.Duration
		want []string
	}{
		{0, []string{}},
		{2 * day, []string{"firing 336h"}},
		{day, []string{"firing 336h"}},
		{9*day + time.Hour, []string{"firing 336h", "firing 72h"}},
		{time.Hour, []string{"firing 336h", "firing 72h"}},
		{2 * day, []string{"firing 336h", "firing 72h", "firing 24h"}},
		{time.Hour, []string{"firing 336h", "firing 72h", "firing 24h"}},
	} {
		w.pass(step.pass)
		w.lookOnce()
		w.want("told after "+step.pass.String(), w.news(), step.want...)
	}
	w.start()
	must(t, w.follow(t.Context()))
	w.lookOnce()
	if n, err := w.Unacknowledged(t.Context(), access.System()); err != nil || n != 1 {
		t.Errorf("%d to look after, %v", n, err)
	}
	w.ending(nil)
	w.lookOnce()
	w.want("told of the end", w.news(), "firing 336h", "firing 72h", "firing 24h", "resolved 24h")
}

// A credential that ends later than another one of the connection is told of by itself.
func TestExpiryOfAnotherAccount(t *testing.T) {
	t.Parallel()
	w := expiring(t)
	first := w.now().Add(time.Hour)
	w.ending(map[string]time.Time{"acme": first})
	w.lookOnce()
	w.ending(map[string]time.Time{"acme": first, "bolt": w.now().Add(10 * day)})
	w.pass(time.Minute)
	w.lookOnce()
	w.want("told", w.news(), "firing 24h", "firing 336h")
	if m := w.messages()[1]; !strings.Contains(m.Why, "bolt") {
		t.Errorf("the second message is %q", m.Why)
	}
}

// What a token that took the place of another one still has to be told of, is told with its own end.
func TestExpiryAfterShortRotation(t *testing.T) {
	t.Parallel()
	w := expiring(t)
	w.ending(map[string]time.Time{"default": w.now().Add(time.Hour)})
	w.lookOnce()
	w.pass(time.Minute)
	end := w.now().Add(10 * day)
	w.ending(map[string]time.Time{"default": end})
	w.lookOnce()
	w.want("told", slices.Sorted(slices.Values(w.news())), "firing 24h", "firing 336h", "resolved 24h")
	for _, m := range w.messages() {
		if m.Rule == "336h" && !strings.Contains(m.Why, end.Format("2 Jan 2006")) {
			t.Errorf("told %q, it ends at %s", m.Why, end)
		}
	}
}

// Rules that told nobody until now tell it once, too, when they get a channel.
func TestExpiryGetsAChannel(t *testing.T) {
	t.Parallel()
	w := expiring(t)
	rules, err := w.Rules(t.Context(), access.System())
	must(t, err)
	channels := rules[0].Channels
	give := func(channels []string) {
		for _, r := range rules {
			d := r.Draft()
			d.Channels = channels
			_, err := w.EditRule(t.Context(), access.System(), r.ID, d)
			must(t, err)
		}
	}
	give(nil)
	w.ending(map[string]time.Time{"default": w.now().Add(time.Hour)})
	w.lookOnce()
	w.want("told nobody", w.news())
	w.pass(time.Minute)
	give(channels)
	w.lookOnce()
	w.want("told", w.news(), "firing 24h")
}
