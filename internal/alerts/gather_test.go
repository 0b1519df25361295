package alerts

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"switchgear/internal/access"
	"switchgear/internal/alerts/channels"
)

// crowd makes n connections and returns their slugs.
func (w *world) crowd(n int) []string {
	slugs := make([]string, n)
	for i := range slugs {
		slugs[i] = fmt.Sprintf("c%04d", i)
	}
	w.connect(slugs...)
	return slugs
}

func (w *world) allDown(down bool, slugs ...string) {
	for _, slug := range slugs {
		w.down(slug, down)
	}
	w.lookOnce()
}

// messages are what is to be sent, the oldest first.
func (w *world) messages() []channels.Message {
	w.t.Helper()
	all, err := w.store.notifications(w.t.Context(), w.db, `WHERE state <> 'suppressed' ORDER BY created_at, id`)
	must(w.t, err)
	out := make([]channels.Message, len(all))
	for i := range all {
		out[i] = all[i].Message
	}
	return out
}

func (w *world) count(state State) int {
	w.t.Helper()
	page, err := w.List(w.t.Context(), access.System(), Query{State: state})
	must(w.t, err)
	return page.Total
}

// Many at once are one message with their number and the first names, and so are their ends; every alert is
// in the history.
func TestStorm(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	slugs := w.crowd(1200)
	rule := w.only(RuleDraft{Kind: "connection_down", NotifyResolved: true, Channels: []string{w.webhook("hook", "https://a.example.com").ID, w.webhook("second", "https://b.example.com").ID}})
	w.allDown(true, slugs...)
	w.lookOnce()
	w.want("told of the beginning", w.told(), "summary", "summary")
	if n := w.count(StateFiring); n != len(slugs) {
		t.Errorf("%d fire", n)
	}
	m := w.messages()[0]
	for _, want := range []string{"More than 20 alerts of this rule changed within 1h", "1200 fire: c0000, c0001,", "c0009 and 1190 more.", "In all, 1200 fire now."} {
		if !strings.Contains(m.Why, want) {
			t.Errorf("%q is not in %q", want, m.Why)
		}
	}
	if m.Title() != "[SUMMARY] rule: 1200 fired, 1200 firing now" || m.Fired != 1200 || m.URL != "https://console.example.com/alerts?rule="+rule.ID || m.Type() != "alert.summary" {
		t.Errorf("%q, %+v", m.Title(), m)
	}
	page, err := w.List(t.Context(), access.System(), Query{Limit: 1})
	must(t, err)
	if a := page.Alerts[0]; !a.SummarisedAt.Equal(w.now()) {
		t.Errorf("the alert does not say that it was told: %+v", a)
	}

	w.allDown(false, slugs[:700]...)
	w.want("told of the end, at once", w.told(), "summary", "summary")
	w.pass(30 * time.Second)
	w.allDown(false, slugs[700:1100]...)
	w.pass(31 * time.Second)
	w.lookOnce()
	w.lookOnce()
	w.want("told of the end", w.told(), "summary", "summary", "summary", "summary")
	if m := w.messages()[2]; !strings.Contains(m.Why, "1100 are over: c0000,") || !strings.Contains(m.Why, "In all, 100 fire now.") || m.Ended != 1100 || m.Firing != 100 {
		t.Errorf("%+v", m)
	}
	if n := w.count(StateResolved); n != 1100 {
		t.Errorf("%d resolved", n)
	}

	// An hour later a single one is told by itself again.
	w.pass(time.Hour)
	w.allDown(false, slugs[1199])
	w.want("told of one", w.told()[4:], "resolved", "resolved")
}

// A few are told one by one; those that follow within the hour, together. What waits to be told outlives the
// process.
func TestStormBegins(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	slugs := w.crowd(80)
	w.only(RuleDraft{Kind: "connection_down", Channels: []string{w.webhook("hook", "https://a.example.com").ID}})
	w.allDown(true, slugs[:15]...)
	w.pass(time.Minute)
	w.start()
	must(t, w.follow(t.Context()))
	w.allDown(true, slugs[:25]...)
	want := append(repeated("firing", 15), "summary")
	w.want("told", w.told(), want...)
	if m := w.messages()[15]; !strings.Contains(m.Why, "10 fire: c0015,") || !strings.Contains(m.Why, "In all, 25 fire now.") {
		t.Errorf("%q", m.Why)
	}
	w.pass(10 * time.Second)
	w.allDown(true, slugs...)
	w.want("told too soon", w.told(), want...)
	w.start()
	must(t, w.follow(t.Context()))
	w.pass(10 * time.Second)
	w.allDown(true, slugs...)
	w.want("told too soon after a restart", w.told(), want...)
	w.pass(time.Minute)
	w.allDown(true, slugs...)
	w.want("told", w.told(), append(want, "summary")...)
	if m := w.messages()[16]; !strings.Contains(m.Why, "55 fire: c0025,") || m.Firing != 80 {
		t.Errorf("%q", m.Why)
	}
}

// Reminders of many are one message, too, and what a mute kept back is told together at its end.
func TestStormOfReminders(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	slugs := w.crowd(50)
	rule := w.only(RuleDraft{Kind: "connection_down", Repeat: 10 * time.Minute, Channels: []string{w.webhook("hook", "https://a.example.com").ID}})
	operator := w.person(access.RoleOperator)
	_, err := w.CreateMute(t.Context(), operator, MuteDraft{RuleID: rule.ID, Until: w.now().Add(time.Hour), Reason: "known"})
	must(t, err)
	w.allDown(true, slugs...)
	w.want("muted", w.told(), repeated("firing suppressed", 50)...)
	w.pass(time.Hour + time.Second)
	w.allDown(true, slugs...)
	w.want("at the end of the mute", w.told()[50:], "summary")
	w.pass(10*time.Minute + time.Second)
	w.allDown(true, slugs...)
	w.want("reminded", w.told()[50:], "summary", "summary")
}

func repeated(s string, n int) []string {
	return strings.Split(strings.TrimSuffix(strings.Repeat(s+"|", n), "|"), "|")
}
