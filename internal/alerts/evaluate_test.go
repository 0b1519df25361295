package alerts

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"switchgear/internal/access"
	"switchgear/internal/alerts/channels"
	"switchgear/internal/calls"
	"switchgear/internal/connections"
	"switchgear/internal/credentials"
	"switchgear/internal/dbtest"
	"switchgear/internal/fault"
	"switchgear/internal/health"
	"switchgear/internal/runtime"
	"switchgear/internal/runtime/breaker"
)

// lookOnce evaluates once, as the worker does.
func (w *world) lookOnce() {
	w.t.Helper()
	must(w.t, w.look(w.t.Context(), true))
}

// down makes all calls of a connection fail, or end well.
func (w *world) down(slug string, down bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.at.IsZero() {
		w.at = w.at.Add(time.Microsecond) // a Board is good for the moment at which it was made
	}
	weight := calls.Weight{Calls: 10, Lately: 10, LastError: "timed out"}
	if down {
		weight.Failed, weight.LatelyFailed = 10, 10
	}
	w.weights[slug] = weight
}

// only leaves one rule, which it makes.
func (w *world) only(d RuleDraft) Rule {
	w.t.Helper()
	rules, err := w.Rules(w.t.Context(), access.System())
	must(w.t, err)
	for _, r := range rules {
		must(w.t, w.DeleteRule(w.t.Context(), access.System(), r.ID, ""))
	}
	if d.Name == "" {
		d.Name = "rule"
	}
	d.Enabled = true
	r, err := w.CreateRule(w.t.Context(), access.System(), d)
	must(w.t, err)
	return r
}

// alerts are the stored ones, each as a line.
func (w *world) lines() []string {
	w.t.Helper()
	page, err := w.List(w.t.Context(), access.System(), Query{Sort: "opened_at"})
	must(w.t, err)
	out := make([]string, 0, len(page.Alerts))
	for _, a := range page.Alerts {
		line := fmt.Sprintf("%s %s %s", a.RuleKind, strings.TrimSuffix(a.Connection+"/"+a.Operation, "/"), a.State)
		if a.Flaps > 0 {
			line += fmt.Sprintf(" flaps=%d", a.Flaps)
		}
		if a.Flapping {
			line += " flapping"
		}
		out = append(out, line)
	}
	return out
}

// told is what was to be sent, the oldest first.
func (w *world) told() []string {
	w.t.Helper()
	all, err := w.store.notifications(w.t.Context(), w.db, `ORDER BY created_at, id`)
	must(w.t, err)
	out := make([]string, 0, len(all))
	for _, n := range all {
		line := string(n.Event)
		if n.State == NotificationSuppressed {
			line += " suppressed"
		}
		out = append(out, line)
	}
	return out
}

func (w *world) want(what string, got []string, want ...string) {
	w.t.Helper()
	if want == nil {
		want = []string{}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		w.t.Errorf("%s: %s", what, diff)
	}
}

// Every kind, by one fact that it is for and one that only looks like it.
func TestKinds(t *testing.T) {
	t.Parallel()
	now := time.Date(2030, 5, 6, 7, 8, 0, 0, time.UTC)
	con := func(slug string) *connections.Connection {
		return &connections.Connection{ID: slug, Slug: slug, State: connections.StateActive, Environment: "production"}
	}
	item := func(slug string, s health.Status) health.Item {
		return health.Item{Standing: &connections.Standing{Connection: con(slug)}, Status: s}
	}
	snap := func(slug, op string, s breaker.State) *breaker.Snapshot {
		return &breaker.Snapshot{Key: breaker.Key{Connection: slug, Operation: op}, State: s, WouldBe: s, Mode: breaker.ModeAuto, Reason: "5 of 5 calls failed", Since: now.Add(-time.Minute)}
	}
	figures := func(all, failed int64) calls.Figures {
		return calls.Figures{Calls: all, Outcomes: map[runtime.Outcome]int64{runtime.OutcomeSuccess: all - failed, runtime.OutcomeServerError: failed}}
	}
	paused := con("paused")
	paused.State = connections.StatePaused
	totals := map[string]calls.Figures{"bad": figures(100, 6), "good": figures(100, 5), "few": figures(49, 49)}
	f := &Facts{
		Now:         now,
		Connections: map[string]*connections.Connection{"a": con("a"), "b": con("b"), "bad": con("bad"), "good": con("good"), "few": con("few"), "paused": paused},
		Called:      []string{"bad", "few", "gone", "good"},
		Breakers: []*breaker.Snapshot{
			snap("a", "", breaker.StateOpen), snap("a", "charge", breaker.StateHalfOpen), snap("b", "", breaker.StateForcedOpen), snap("b", "x", breaker.StateHeld),
			snap("gone", "", breaker.StateOpen), snap("paused", "", breaker.StateOpen),
		},
		Health: []health.Item{
			item("a", health.Status{State: health.StateDown, Why: "All calls fail.", Since: now}),
			item("b", health.Status{State: health.StateCredential, Why: "Not accepted."}),
			item("bad", health.Status{State: health.StateHeld, Why: "429."}),
			item("good", health.Status{State: health.StateHeld, Why: "By a person.", Breaker: &breaker.Snapshot{Hold: breaker.Lease{Actor: "ops"}}}),
			item("few", health.Status{State: health.StateDegraded, Why: "Some calls fail."}),
		},
	}
	f.Totals = func(_ context.Context, q calls.RollupQuery) (calls.Figures, error) {
		if q.To.Sub(q.From) != time.Hour {
			t.Errorf("a window of %s", q.To.Sub(q.From))
		}
		return totals[q.Connection], nil
	}
	f.Expiries = func(context.Context) ([]connections.Expiry, error) {
		ends := func(slug, what string, in time.Duration) connections.Expiry {
			return connections.Expiry{Expiry: credentials.Expiry{ConnectionID: slug, Account: "default", What: what, At: now.Add(in)}, Slug: slug}
		}
		return []connections.Expiry{
			ends("few", credentials.ExpiryConsent, -time.Hour), ends("few", credentials.ExpiryOld, time.Hour), ends("gone", credentials.ExpiryToken, time.Hour), ends("b", credentials.ExpiryCertificate, 13*24*time.Hour),
			ends("b", credentials.ExpiryToken, 14*24*time.Hour), ends("a", credentials.ExpiryToken, 15*24*time.Hour),
		}, nil
	}
	want := map[string][]string{
		"token_expires_soon": {"b/"},
		"breaker_opened":     {"a/", "a/charge"},
		"connection_down":    {"a/"},
		"credential_problem": {"b/"},
		"held_by_vendor":     {"bad/"},
		"error_budget":       {"bad/"},
	}
	if len(want) != len(All()) {
		t.Errorf("%d kinds have a case, there are %d", len(want), len(All()))
	}
	for _, k := range All() {
		info := k.Info()
		params, err := info.complete(nil)
		must(t, err)
		conditions, err := k.Judge(t.Context(), f, params, func(*connections.Connection) bool { return true })
		must(t, err)
		got := make([]string, 0, len(conditions))
		for _, c := range conditions {
			got = append(got, c.Connection.Slug+"/"+c.Operation)
			if c.Why == "" || !strings.HasSuffix(c.Why, ".") || c.Since.After(now) {
				t.Errorf("%s: %+v", info.ID, c)
			}
		}
		if diff := cmp.Diff(want[info.ID], got); diff != "" {
			t.Errorf("%s: %s", info.ID, diff)
		}
		none, err := k.Judge(t.Context(), f, params, func(*connections.Connection) bool { return false })
		must(t, err)
		if len(none) != 0 {
			t.Errorf("%s finds something outside its scope: %v", info.ID, none)
		}
		if info.ID == "" || info.Title == "" || info.About == "" || info.Severity == "" {
			t.Errorf("%+v is not described", info)
		}
		if found, err := LookupKind(info.ID); err != nil || found.Info().ID != info.ID {
			t.Errorf("%s is not found: %v", info.ID, err)
		}
		for _, p := range info.Params {
			if err := p.check(p.Default); err != nil || p.Label == "" {
				t.Errorf("%s.%s: the default is refused: %v", info.ID, p.Key, err)
			}
			if err := p.check("moon"); err == nil {
				t.Errorf("%s.%s takes anything", info.ID, p.Key)
			}
		}
	}
}

// What holds for as long as the rule says is an alert, once; when it ends it is told, once.
func TestForAndResolve(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "stripe", "github")
	hook := w.webhook("hook", "https://a.example.com")
	w.only(RuleDraft{Kind: "connection_down", For: time.Minute, Channels: []string{hook.ID}, NotifyResolved: true, Scope: Scope{Connections: []string{"stripe"}}})
	w.down("stripe", true)
	w.down("github", true)
	w.lookOnce()
	w.pass(30 * time.Second)
	w.lookOnce()
	w.want("before its time", w.lines())
	w.down("stripe", false)
	w.lookOnce()
	w.down("stripe", true)
	w.pass(40 * time.Second)
	w.lookOnce()
	w.want("it began anew", w.lines())
	for range 3 {
		w.pass(time.Minute)
		w.lookOnce()
	}
	w.want("alerts", w.lines(), "connection_down stripe firing")
	w.want("told", w.told(), "firing")
	if got := w.Firing(); got[SeverityCritical] != 1 {
		t.Errorf("firing: %v", got)
	}
	w.down("stripe", false)
	w.lookOnce()
	w.lookOnce()
	w.want("alerts", w.lines(), "connection_down stripe resolved")
	w.want("told", w.told(), "firing", "resolved")
	page, err := w.List(t.Context(), access.System(), Query{})
	must(t, err)
	a := page.Alerts[0]
	if !strings.Contains(a.Why, "10 calls") || !strings.Contains(a.ResolvedWhy, "none failed") || !a.ResolvedAt.Equal(w.now()) || !a.OpenedAt.Before(a.ChangedAt) {
		t.Errorf("%+v", a)
	}
	if len(w.Firing()) != 0 {
		t.Errorf("firing: %v", w.Firing())
	}
}

// Without a channel an alert is there all the same, and nothing is told; a channel that is added hears of it.
func TestWithoutChannel(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "stripe")
	r := w.only(RuleDraft{Kind: "connection_down", NotifyResolved: true})
	w.down("stripe", true)
	w.lookOnce()
	w.want("alerts", w.lines(), "connection_down stripe firing")
	w.want("told", w.told())
	d := r.Draft()
	d.Channels = []string{w.webhook("hook", "https://a.example.com").ID}
	_, err := w.EditRule(t.Context(), access.System(), r.ID, d)
	must(t, err)
	w.lookOnce()
	w.lookOnce()
	w.want("told", w.told(), "firing")
	d.NotifyResolved = false
	_, err = w.EditRule(t.Context(), access.System(), r.ID, d)
	must(t, err)
	w.down("stripe", false)
	w.lookOnce()
	w.want("the end is not to be told", w.told(), "firing")
}

// While every channel is disabled nothing is told; what fires when one is enabled is.
func TestDisabledChannel(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "stripe")
	c := w.webhook("hook", "https://a.example.com")
	w.only(RuleDraft{Kind: "connection_down", NotifyResolved: true, Channels: []string{c.ID}})
	enable := func(on bool) {
		t.Helper()
		d := c.Draft()
		d.Enabled = on
		_, err := w.EditChannel(t.Context(), access.System(), c.ID, d)
		must(t, err)
		w.pass(time.Second)
	}
	w.down("stripe", true)
	w.lookOnce()
	enable(false)
	w.down("stripe", false)
	w.lookOnce()
	w.pass(time.Second)
	w.down("stripe", true)
	w.lookOnce()
	w.want("disabled", w.told(), "firing", "resolved suppressed", "firing suppressed")
	enable(true)
	w.lookOnce()
	w.lookOnce()
	w.want("enabled", w.told(), "firing", "resolved suppressed", "firing suppressed", "firing")
}

// Reminders follow until somebody looks after the alert; what comes back has to be looked after anew.
func TestRepeatAndAcknowledge(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "stripe")
	w.only(RuleDraft{Kind: "connection_down", Repeat: 10 * time.Minute, Channels: []string{w.webhook("hook", "https://a.example.com").ID}})
	w.down("stripe", true)
	w.lookOnce()
	w.pass(10 * time.Minute)
	w.lookOnce()
	w.lookOnce()
	w.pass(10 * time.Minute)
	w.lookOnce()
	w.want("told", w.told(), "firing", "reminder", "reminder")
	page, err := w.List(t.Context(), access.System(), Query{State: StateFiring})
	must(t, err)
	operator := w.person(access.RoleOperator)
	a, err := w.Acknowledge(t.Context(), operator, page.Alerts[0].ID, "looking")
	must(t, err)
	if a.Acknowledged.By != operator.Name || a.Acknowledged.Note != "looking" || !a.Acknowledged.At.Equal(w.now()) {
		t.Errorf("%+v", a)
	}
	w.pass(time.Hour)
	w.lookOnce()
	w.want("acknowledged", w.told(), "firing", "reminder", "reminder")
	w.down("stripe", false)
	w.lookOnce()
	_, err = w.Acknowledge(t.Context(), operator, a.ID, "")
	wantCode(t, err, "ALERT_RESOLVED")
	w.pass(time.Minute)
	w.down("stripe", true)
	w.lookOnce()
	if a, err = w.Get(t.Context(), access.System(), a.ID); err != nil || !a.Acknowledged.At.IsZero() || a.Flaps != 1 {
		t.Errorf("%+v %v", a, err)
	}
}

// What comes back soon is the same alert. After three changes that were told it falls silent, says so once, and
// tells how it is when it is stable.
func TestFlapping(t *testing.T) {
	t.Parallel()
	for _, ends := range []bool{true, false} {
		w := newWorld(t, "stripe")
		w.only(RuleDraft{Kind: "connection_down", NotifyResolved: true, Channels: []string{w.webhook("hook", "https://a.example.com").ID}})
		for i := range 9 {
			w.down("stripe", i%2 == 0)
			w.lookOnce()
			w.pass(time.Minute)
			w.lookOnce()
		}
		w.want("alerts", w.lines(), "connection_down stripe firing flaps=4 flapping")
		w.want("told", w.told(), "firing", "resolved", "firing", "flapping")
		w.start() // the silence outlives the process
		must(t, w.follow(t.Context()))
		last, state := "firing", "connection_down stripe firing flaps=4"
		if ends {
			w.down("stripe", false)
			last, state = "resolved", "connection_down stripe resolved flaps=4"
		}
		w.lookOnce()
		w.pass(9 * time.Minute)
		if ends {
			w.lookOnce()
			w.want("not stable yet", w.told(), "firing", "resolved", "firing", "flapping")
		}
		w.pass(2 * time.Minute)
		w.lookOnce()
		w.lookOnce()
		w.want("stable", w.told(), "firing", "resolved", "firing", "flapping", last)
		w.want("alerts", w.lines(), state)
	}
}

// What comes back late is another alert.
func TestAnotherAlert(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "stripe")
	w.only(RuleDraft{Kind: "connection_down", NotifyResolved: true, Channels: []string{w.webhook("hook", "https://a.example.com").ID}})
	for i := range 3 {
		w.down("stripe", i%2 == 0)
		w.lookOnce()
		w.pass(11 * time.Minute)
		w.lookOnce()
	}
	w.want("alerts", w.lines(), "connection_down stripe resolved", "connection_down stripe firing")
	w.want("told", w.told(), "firing", "resolved", "firing")
}

// A mute keeps what it covers from being sent, and what is left of it is told when it ends.
func TestMute(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "stripe", "github")
	r := w.only(RuleDraft{Kind: "connection_down", NotifyResolved: true, Channels: []string{w.webhook("hook", "https://a.example.com").ID}})
	_, err := w.CreateMute(t.Context(), access.System(), MuteDraft{RuleID: r.ID, Connection: "stripe", Until: w.now().Add(time.Hour), Reason: "planned work"})
	must(t, err)
	w.down("stripe", true)
	w.lookOnce()
	w.want("alerts", w.lines(), "connection_down stripe firing")
	w.want("muted", w.told(), "firing suppressed")
	page, err := w.Notifications(t.Context(), access.System(), NotificationQuery{State: NotificationSuppressed})
	must(t, err)
	if n := page.Notifications[0]; n.Reason != "Muted by switchgear until 2030-05-06 08:08 UTC: planned work" || n.FinishedAt.IsZero() {
		t.Errorf("%+v", n)
	}
	w.pass(59 * time.Minute)
	w.lookOnce()
	w.want("still muted", w.told(), "firing suppressed")
	w.pass(2 * time.Minute)
	w.lookOnce()
	w.lookOnce()
	w.want("the mute has ended", w.told(), "firing suppressed", "firing")

	// Another one while it fires: the end is not told, and what is not covered is.
	m, err := w.CreateMute(t.Context(), access.System(), MuteDraft{Connection: "stripe", Until: w.now().Add(time.Hour), Reason: "more work"})
	must(t, err)
	w.pass(time.Minute)
	w.lookOnce()
	w.down("stripe", false)
	w.lookOnce()
	w.down("github", true)
	w.lookOnce()
	w.want("the end is muted", w.told(), "firing suppressed", "firing", "resolved suppressed", "firing")
	must(t, w.EndMute(t.Context(), access.System(), m.ID))
	w.lookOnce()
	if n := len(w.told()); n != 4 {
		t.Errorf("what ended while it was muted is told: %v", w.told())
	}

	// A mute of everything that is ended by a person.
	m, err = w.CreateMute(t.Context(), access.System(), MuteDraft{Until: w.now().Add(time.Hour), Reason: "everything"})
	must(t, err)
	w.pass(time.Minute)
	w.lookOnce()
	must(t, w.EndMute(t.Context(), access.System(), m.ID))
	w.lookOnce()
	w.lookOnce()
	if got := w.told(); len(got) != 5 || got[4] != "firing" {
		t.Errorf("what still fires is not told once: %v", got)
	}
}

// A restart tells nothing again, and ends what ended meanwhile.
func TestRestart(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "stripe", "github")
	w.only(RuleDraft{Kind: "connection_down", NotifyResolved: true, Channels: []string{w.webhook("hook", "https://a.example.com").ID}})
	w.down("stripe", true)
	w.down("github", true)
	w.lookOnce()
	w.start()
	w.down("github", false)
	must(t, w.follow(t.Context()))
	w.pass(time.Minute)
	w.lookOnce()
	w.lookOnce()
	got := w.lines()
	if len(got) != 2 || strings.Count(strings.Join(got, " "), "firing") != 1 {
		t.Errorf("%v", got)
	}
	w.want("told", w.told(), "firing", "firing", "resolved")
}

// A rule that cannot be judged leaves its alerts as they are; one that is disabled or deleted ends them.
func TestUnjudged(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "stripe")
	r := w.only(RuleDraft{Kind: "error_budget", NotifyResolved: true, Channels: []string{w.webhook("hook", "https://a.example.com").ID}})
	w.down("stripe", false)
	w.figures["stripe"] = calls.Figures{Calls: 100, Outcomes: map[runtime.Outcome]int64{runtime.OutcomeServerError: 50}}
	w.lookOnce()
	w.want("alerts", w.lines(), "error_budget stripe firing")
	w.totals = errors.New("no database")
	w.pass(time.Minute)
	if err := w.look(t.Context(), true); err == nil {
		t.Error("the error is lost")
	}
	w.want("not judged", w.lines(), "error_budget stripe firing")
	w.totals = nil
	must(t, w.look(t.Context(), false))
	w.want("between the windows", w.lines(), "error_budget stripe firing")
	d := r.Draft()
	d.Enabled = false
	_, err := w.EditRule(t.Context(), access.System(), r.ID, d)
	must(t, err)
	must(t, w.look(t.Context(), false))
	w.want("disabled", w.lines(), "error_budget stripe resolved")
	w.want("told", w.told(), "firing", "resolved")
	page, err := w.List(t.Context(), access.System(), Query{RuleID: r.ID, Connection: "stripe", Severity: SeverityWarning, State: StateResolved})
	must(t, err)
	if page.Total != 1 || page.Alerts[0].ResolvedWhy != "The rule was disabled." {
		t.Errorf("%+v", page)
	}
	d.Enabled = true
	_, err = w.EditRule(t.Context(), access.System(), r.ID, d)
	must(t, err)
	w.lookOnce()
	must(t, w.DeleteRule(t.Context(), access.System(), r.ID, ""))
	w.lookOnce()
	w.want("deleted", w.lines(), "error_budget stripe resolved flaps=1")
	if got := w.Firing(); len(got) != 0 {
		t.Errorf("firing: %v", got)
	}
}

// What is stored is told; what is not stored is tried again.
func TestNotStored(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "stripe")
	w.only(RuleDraft{Kind: "connection_down", Channels: []string{w.webhook("hook", "https://a.example.com").ID}})
	w.exec(`ALTER TABLE alert_notifications RENAME TO hidden`)
	w.down("stripe", true)
	if err := w.look(t.Context(), false); err == nil {
		t.Error("the error is lost")
	}
	w.want("alerts", w.lines())
	w.exec(`ALTER TABLE hidden RENAME TO alert_notifications`)
	w.lookOnce()
	w.want("alerts", w.lines(), "connection_down stripe firing")
	w.want("told", w.told(), "firing")
}

// The worker looks when it is woken and by itself.
func TestServe(t *testing.T) {
	t.Parallel()
	d := dbtest.New(t)
	synctest.Test(t, func(t *testing.T) {
		w := newWorldOn(t, d)
		w.at = time.Time{}
		w.list = []*connections.Standing{{Connection: &connections.Connection{ID: "stripe", Slug: "stripe", Name: "Stripe", State: connections.StateActive}}}
		hook := w.webhook("hook", "https://a.example.com")
		w.only(RuleDraft{Kind: "connection_down", For: 3 * time.Second, Channels: []string{hook.ID}})
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- w.Serve(ctx) }()
		time.Sleep(2 * time.Second)
		w.down("stripe", true)
		time.Sleep(2 * time.Second)
		w.want("before its time", w.lines())
		time.Sleep(3 * time.Second)
		w.want("alerts", w.lines(), "connection_down stripe firing")
		w.down("stripe", false)
		w.Wake()
		time.Sleep(300 * time.Millisecond)
		w.want("alerts", w.lines(), "connection_down stripe resolved")
		must(t, w.store.prune(ctx, time.Now().Add(time.Minute), 10))
		w.want("what is old is deleted", w.lines())
		stop()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
}

func TestNothingThere(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	_, err := w.Get(t.Context(), access.System(), "alr_none")
	if !fault.Is(err, fault.NotFound) {
		t.Error(err)
	}
	if _, err := channels.Lookup("pigeon"); fault.CodeOf(err) != "UNKNOWN_CHANNEL_KIND" {
		t.Error(err)
	}
}
