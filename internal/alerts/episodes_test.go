package alerts

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"switchgear/internal/access"
)

// Each time that an alert fired has its own beginning and end, and only those times count as its duration.
func TestEpisodes(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "stripe")
	w.only(RuleDraft{Kind: "connection_down", Repeat: 5 * time.Minute, Channels: []string{w.webhook("hook", "https://a.example.com").ID}})
	step := func(down bool, after time.Duration) time.Time {
		w.down("stripe", down)
		w.lookOnce()
		at := w.now()
		w.pass(after)
		return at
	}
	first := step(true, 3*time.Minute)
	firstEnd := step(false, 5*time.Minute)
	second := step(true, 6*time.Minute)
	w.lookOnce()
	page, err := w.List(t.Context(), access.System(), Query{})
	must(t, err)
	if len(page.Alerts) != 1 {
		t.Fatalf("%d alerts", len(page.Alerts))
	}
	a, err := w.Get(t.Context(), access.System(), page.Alerts[0].ID)
	must(t, err)
	type times struct{ From, To time.Time }
	episodes := func(a Alert) (out []times) {
		for _, e := range a.Episodes {
			out = append(out, times{e.FiredAt, e.ResolvedAt})
			if e.Why == "" || e.ResolvedAt.IsZero() != (e.ResolvedWhy == "") {
				t.Errorf("%+v", e)
			}
		}
		return out
	}
	if diff := cmp.Diff([]times{{first, firstEnd}, {From: second}}, episodes(a)); diff != "" {
		t.Error(diff)
	}
	if !a.OpenedAt.Equal(first) || !a.FiredAt.Equal(second) || a.Lasted(w.now()).Round(time.Second) != 9*time.Minute {
		t.Errorf("opened %s, fires since %s, for %s", a.OpenedAt, a.FiredAt, a.Lasted(w.now()))
	}
	messages := w.messages()
	if last := messages[len(messages)-1]; last.Event != "reminder" || !last.FiredAt.Equal(second) || !last.OpenedAt.Equal(first) {
		t.Errorf("%+v", last)
	}
	end := step(false, time.Hour)
	a, err = w.Get(t.Context(), access.System(), a.ID)
	must(t, err)
	if diff := cmp.Diff([]times{{first, firstEnd}, {second, end}}, episodes(a)); diff != "" || a.Lasted(w.now()).Round(time.Second) != 9*time.Minute {
		t.Errorf("lasted %s, %s", a.Lasted(w.now()), diff)
	}
	// After a restart the times before are still counted, and what comes later is another alert.
	w.start()
	must(t, w.follow(t.Context()))
	step(true, time.Minute)
	if n := w.count(""); n != 2 {
		t.Errorf("%d alerts", n)
	}
	must(t, w.store.prune(t.Context(), w.now(), 1))
	var left int
	must(t, w.db.QueryRow(t.Context(), `SELECT COUNT(*) FROM alert_episodes`).Scan(&left))
	if left != 1 {
		t.Errorf("%d episodes are left of one alert", left)
	}
}
