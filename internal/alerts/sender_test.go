package alerts

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"switchgear/internal/access"
	"switchgear/internal/alerts/channels"
)

// send does what the worker does once, and waits for the attempts.
func (w *world) send() {
	w.t.Helper()
	var running sync.WaitGroup
	for range 5 { // a channel takes one at a time
		_, err := w.sender.pass(w.t.Context(), &running)
		must(w.t, err)
		running.Wait()
	}
}

// fire opens an alert that is told to the channels.
func (w *world) fire(ids ...string) {
	w.t.Helper()
	w.only(RuleDraft{Kind: "connection_down", NotifyResolved: true, Channels: ids})
	w.down("stripe", true)
	w.lookOnce()
}

// sent are the notifications of the one alert there is, the oldest first.
func (w *world) sent() []Notification {
	w.t.Helper()
	all, err := w.store.notifications(w.t.Context(), w.db, `ORDER BY created_at, id`)
	must(w.t, err)
	return all
}

func (w *world) hook(url, secret string) Channel {
	w.t.Helper()
	c, _, err := w.CreateChannel(w.t.Context(), access.System(), ChannelDraft{
		Name: "hook", Kind: "webhook", Enabled: true, Settings: map[string]string{"url": url, channels.SecretField: secret},
	})
	must(w.t, err)
	return c
}

// What arrives is signed so that the library of the scheme accepts it, over the bytes that were sent.
func TestSignedWebhook(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "stripe")
	rec := newReceiver(t, nil)
	secret := channels.NewSecret()
	w.fire(w.hook(rec.URL, secret).ID)
	w.send()
	got := rec.all()
	if len(got) != 1 {
		t.Fatalf("%d messages", len(got))
	}
	verifier, err := standardwebhooks.NewWebhook(secret)
	must(t, err)
	must(t, verifier.VerifyIgnoringTimestamp(got[0].body, got[0].header))
	if err := verifier.VerifyIgnoringTimestamp(append(got[0].body, ' '), got[0].header); err == nil {
		t.Error("another body is accepted")
	}
	var body struct {
		Type string
		Data channels.Message
	}
	must(t, json.Unmarshal(got[0].body, &body))
	n := w.sent()[0]
	if body.Type != "alert.firing" || body.Data.ID != n.ID || got[0].header.Get("Webhook-Id") != n.ID || body.Data.Connection != "stripe" ||
		body.Data.URL != "https://console.example.com/alerts/"+n.AlertID || body.Data.Why == "" {
		t.Errorf("%s", got[0].body)
	}
	if n.State != NotificationDelivered || n.Attempts != 1 || n.FinishedAt.IsZero() {
		t.Errorf("%+v", n)
	}
	if got := w.sender.Counts()[Sent{"webhook", "delivered"}]; got != 1 {
		t.Errorf("counted %d", got)
	}
}

// During the time of grace both secrets verify, afterwards the new one alone.
func TestRotation(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	rec := newReceiver(t, nil)
	old := channels.NewSecret()
	c := w.hook(rec.URL, old)
	_, fresh, err := w.RotateSecret(t.Context(), access.System(), c.ID, "", time.Hour)
	must(t, err)
	check := func(want ...bool) {
		t.Helper()
		_, err := w.SendTest(t.Context(), access.System(), c.ID)
		must(t, err)
		all := rec.all()
		got := all[len(all)-1]
		for i, secret := range []string{old, fresh.Reveal()} {
			verifier, err := standardwebhooks.NewWebhook(secret)
			must(t, err)
			if err := verifier.VerifyIgnoringTimestamp(got.body, got.header); (err == nil) != want[i] {
				t.Errorf("secret %d: %v", i, err)
			}
		}
	}
	check(true, true)
	d := c.Draft()
	d.Name = "renamed" // an edit in between ends no grace
	_, err = w.EditChannel(t.Context(), access.System(), c.ID, d)
	must(t, err)
	check(true, true)
	w.pass(time.Hour)
	check(false, true)
}

func TestReceivers(t *testing.T) {
	t.Parallel()
	elsewhere := newReceiver(t, nil)
	for name, tt := range map[string]struct {
		answer   http.HandlerFunc
		state    NotificationState
		failure  string
		from, to time.Duration // when it is tried again
		disabled bool
	}{
		"500": {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) }, NotificationPending, "The receiver answered 500 Internal Server Error.", 8 * time.Second, 12 * time.Second, false},
		"400": {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(400) }, NotificationPending, "The receiver answered 400 Bad Request.", 8 * time.Second, 12 * time.Second, false},
		"429": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", "120")
			w.WriteHeader(429)
		}, NotificationPending, "The receiver answered 429 Too Many Requests.", 120 * time.Second, 120 * time.Second, false},
		"503 until a time": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", time.Date(2030, 5, 6, 7, 18, 0, 0, time.UTC).Format(http.TimeFormat))
			w.WriteHeader(503)
		}, NotificationPending, "The receiver answered 503 Service Unavailable.", 10*time.Minute - time.Second, 10 * time.Minute, false},
		"429 for a year": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", "31536000")
			w.WriteHeader(429)
		}, NotificationPending, "The receiver answered 429 Too Many Requests.", 6 * time.Hour, 6 * time.Hour, false},
		"410": {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(410) }, NotificationDead, "The receiver answered 410 Gone: it wants no more messages.", 0, 0, true},
		"redirect": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, elsewhere.URL, http.StatusTemporaryRedirect)
		}, NotificationPending, "The receiver answered 307: redirects are not followed.", 8 * time.Second, 12 * time.Second, false},
		"hang":        {func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, NotificationPending, "There was no answer in time.", 8 * time.Second, 12 * time.Second, false},
		"breaks off":  {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, NotificationPending, "The connection failed.", 8 * time.Second, 12 * time.Second, false},
		"talks a lot": {func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(make([]byte, 1<<20)) }, NotificationDelivered, "", 0, 0, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, "stripe")
			w.sender.cfg.Timeout = time.Minute
			if name == "hang" {
				w.sender.cfg.Timeout = 200 * time.Millisecond
			}
			rec := newReceiver(t, func(_ int, w http.ResponseWriter, r *http.Request) { tt.answer(w, r) })
			c := w.webhook("hook", rec.URL)
			w.fire(c.ID)
			w.send()
			n := w.sent()[0]
			if n.State != tt.state || n.LastError != tt.failure || n.Attempts != 1 {
				t.Errorf("%+v", n)
			}
			if wait := n.RunAt.Sub(w.now()); tt.state == NotificationPending && (wait < tt.from || wait > tt.to) {
				t.Errorf("tried again after %s", wait)
			}
			c, err := w.Channel(t.Context(), access.System(), c.ID)
			must(t, err)
			if c.Enabled == tt.disabled || (c.DisabledReason != "") != tt.disabled || c.LastError != tt.failure {
				t.Errorf("%+v", c)
			}
			if tt.disabled { // what follows is not sent
				must(t, w.load(t.Context()))
				w.down("stripe", false)
				w.lookOnce()
				w.send()
				if all := w.sent(); len(all) != 2 || all[1].State != NotificationSuppressed || all[1].Reason != "The channel is disabled." || len(rec.all()) != 1 {
					t.Errorf("%+v", all)
				}
			}
		})
	}
	if n := len(elsewhere.all()); n != 0 {
		t.Errorf("%d redirects were followed", n)
	}
}

// An address that the egress rules keep closed is not dialled.
func TestEgress(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for url, want := range map[string]string{
		"http://169.254.169.254/latest": "The egress rules do not allow this address: link-local.",
		"http://127.0.0.1:80/":          "The egress rules do not allow this address: loopback.",
	} {
		n, err := w.SendTest(t.Context(), access.System(), w.webhook(url, url).ID)
		must(t, err)
		if n.State != NotificationDead || !strings.HasPrefix(n.LastError, want[:40]) {
			t.Errorf("%s: %+v", url, n)
		}
	}
	c, _, err := w.CreateChannel(t.Context(), access.System(), ChannelDraft{Name: "mail", Kind: "email", Enabled: true, Settings: map[string]string{
		"host": "127.0.0.1", "port": "25", "from": "a@example.com", "to": "b@example.com",
	}})
	must(t, err)
	n, err := w.SendTest(t.Context(), access.System(), c.ID)
	must(t, err)
	if !strings.HasPrefix(n.LastError, "The egress rules do not allow this address: ") {
		t.Errorf("%+v", n)
	}
}

// After its attempts a notification is dead, with the last error. It had the same id in all of them.
func TestDead(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "stripe")
	rec := newReceiver(t, func(_ int, w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) })
	w.fire(w.webhook("hook", rec.URL).ID)
	for range 15 {
		w.send()
		w.pass(12 * time.Hour)
	}
	n := w.sent()[0]
	if n.State != NotificationDead || n.Attempts != 10 || n.LastError == "" || len(rec.all()) != 10 {
		t.Errorf("%+v after %d requests", n, len(rec.all()))
	}
	for _, got := range rec.all() {
		if got.header.Get("Webhook-Id") != n.ID {
			t.Errorf("the id is %s", got.header.Get("Webhook-Id"))
		}
	}
}

// The process ends after the commit, or in the middle of an attempt: the next one sends, with the same id.
func TestCrash(t *testing.T) {
	t.Parallel()
	for name, dies := range map[string]func(w *world){
		"before it is claimed": func(*world) {},
		"in an attempt": func(w *world) {
			if _, ok, err := w.sender.claim(w.t.Context()); !ok || err != nil {
				w.t.Fatal(ok, err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, "stripe")
			rec := newReceiver(t, nil)
			w.fire(w.webhook("hook", rec.URL).ID)
			id := w.sent()[0].ID
			dies(w)
			w.start()
			ctx, stop := context.WithCancel(t.Context())
			done := make(chan error, 1)
			arrived := make(chan struct{}, 1)
			rec.answer = func(int, http.ResponseWriter, *http.Request) { arrived <- struct{}{} }
			go func() { done <- w.sender.Serve(ctx) }()
			<-arrived
			stop()
			if err := <-done; !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
			n := w.sent()[0]
			if got := rec.all(); len(got) != 1 || got[0].header.Get("Webhook-Id") != id || n.State != NotificationDelivered {
				t.Errorf("%d messages: %+v", len(got), n)
			}
		})
	}
}

// An attempt that kills the process each time is counted when it begins, so it ends as dead.
func TestPoison(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "stripe")
	rec := newReceiver(t, nil)
	w.fire(w.webhook("hook", rec.URL).ID)
	for range 10 {
		if _, ok, err := w.sender.claim(t.Context()); !ok || err != nil {
			t.Fatal(ok, err)
		}
		w.start()
		must(t, w.store.takeOver(t.Context(), w.sender.boot, w.now()))
	}
	w.send()
	if n := w.sent()[0]; n.State != NotificationDead || n.Attempts != 10 || n.LastError != "The last attempt never came to its end." || len(rec.all()) != 0 {
		t.Errorf("%+v", n)
	}
}

// Whoever lost the lease changes nothing.
func TestFencing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "stripe")
	rec := newReceiver(t, func(_ int, w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) })
	w.fire(w.webhook("hook", rec.URL).ID)
	first, ok, err := w.sender.claim(t.Context())
	if !ok || err != nil {
		t.Fatal(ok, err)
	}
	w.sender.release(first.ChannelID)
	if _, ok, err := w.sender.claim(t.Context()); ok || err != nil {
		t.Errorf("what is leased is claimed again: %v", err)
	}
	w.pass(2 * time.Minute) // the lease is over
	second, ok, err := w.sender.claim(t.Context())
	if !ok || err != nil || second.ID != first.ID || second.token == first.token || second.Attempts != 2 {
		t.Fatalf("%+v %v %v", second, ok, err)
	}
	must(t, w.sender.finish(t.Context(), first, outcome{state: NotificationDelivered}))
	if n := w.sent()[0]; n.State != NotificationSending {
		t.Errorf("the first holder finished what the second one holds: %+v", n)
	}
	must(t, w.sender.finish(t.Context(), second, outcome{state: NotificationDead, failure: "No."}))
	must(t, w.sender.finish(t.Context(), first, outcome{state: NotificationDelivered}))
	if n := w.sent()[0]; n.State != NotificationDead || n.LastError != "No." {
		t.Errorf("%+v", n)
	}
	if got := w.sender.Counts()[Sent{"webhook", "zombie"}]; got != 2 {
		t.Errorf("counted %d", got)
	}
}

// What an alert tells a channel arrives in order, also when the first message has to wait; another channel does
// not wait for it.
func TestOrder(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "stripe")
	slow := newReceiver(t, func(n int, w http.ResponseWriter, _ *http.Request) {
		if n == 1 {
			w.WriteHeader(500)
		}
	})
	fast := newReceiver(t, nil)
	w.fire(w.webhook("slow", slow.URL).ID, w.webhook("fast", fast.URL).ID)
	w.send()
	w.pass(time.Second)
	w.down("stripe", false)
	w.lookOnce()
	w.send()
	if len(slow.all()) != 1 || len(fast.all()) != 2 {
		t.Errorf("%d and %d messages", len(slow.all()), len(fast.all()))
	}
	if due, ok, err := w.store.nextDue(t.Context()); err != nil || !ok || due.Sub(w.now()) < 5*time.Second {
		t.Errorf("what waits for another one is due at %s: %v %v", due, ok, err)
	}
	w.pass(time.Minute)
	w.send()
	arrived := slow.all()
	events := make([]string, 0, len(arrived))
	for _, got := range arrived {
		var body struct{ Type string }
		must(t, json.Unmarshal(got.body, &body))
		events = append(events, body.Type)
	}
	w.want("order", events, "alert.firing", "alert.firing", "alert.resolved")
}

// A channel that is deleted while something waits for it is no error for ever.
func TestDeletedChannel(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "stripe")
	c := w.webhook("hook", "http://127.0.0.1:1")
	w.fire(c.ID)
	w.exec(`DELETE FROM alert_channels`)
	w.send()
	if n := w.sent()[0]; n.State != NotificationSuppressed || n.Reason != "The channel was deleted." {
		t.Errorf("%+v", n)
	}
}

func TestCoverage(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "stripe", "github")
	rec := newReceiver(t, func(n int, w http.ResponseWriter, _ *http.Request) {
		if n > 1 {
			w.WriteHeader(500)
		}
	})
	c := w.webhook("hook", rec.URL)
	w.only(RuleDraft{Kind: "connection_down", Channels: []string{c.ID}, Scope: Scope{Connections: []string{"stripe"}}})
	get := func(i int) Coverage {
		t.Helper()
		got, err := w.Coverage(t.Context(), *w.list[i].Connection)
		must(t, err)
		return got
	}
	if got := get(1); len(got.Rules)+len(got.Channels) != 0 {
		t.Errorf("%+v", got)
	}
	if got := get(0); len(got.Rules) != 1 || len(got.Channels) != 1 || !got.DeliveredAt.IsZero() {
		t.Errorf("%+v", got)
	}
	at := w.now()
	_, err := w.SendTest(t.Context(), access.System(), c.ID)
	must(t, err)
	if got := get(0); !got.DeliveredAt.Equal(at) || got.Over != "hook" || !got.FailedAt.IsZero() {
		t.Errorf("%+v", got)
	}
	w.pass(time.Minute)
	_, err = w.SendTest(t.Context(), access.System(), c.ID)
	must(t, err)
	if got := get(0); !got.DeliveredAt.Equal(at) || !got.FailedAt.Equal(w.now()) {
		t.Errorf("%+v", got)
	}
}
