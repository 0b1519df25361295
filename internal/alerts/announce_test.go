package alerts

import (
	"encoding/json"
	"testing"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"switchgear/internal/access"
	"switchgear/internal/alerts/channels"
	"switchgear/internal/fault"
)

// What is no alert goes the same way: stored first, signed, and kept in the list of the channel.
func TestAnnounce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	rec := newReceiver(t, nil)
	secret := channels.NewSecret()
	c := w.hook(rec.URL, secret)
	must(t, w.CheckWebhook(t.Context(), access.System(), c.ID))
	if err := w.CheckWebhook(t.Context(), access.System(), "ach_none"); fault.CodeOf(err) != "CHANNEL_NOT_FOUND" {
		t.Errorf("a channel that is not there: %v", err)
	}
	must(t, w.Announce(t.Context(), c.ID, channels.Message{
		Event: channels.EventConnect, Connection: "github", Why: "The account acme was connected.", SessionID: "cns_1", Account: "acme", Status: "done",
	}))
	w.send()
	got := rec.all()
	if len(got) != 1 {
		t.Fatalf("%d messages", len(got))
	}
	verifier, err := standardwebhooks.NewWebhook(secret)
	must(t, err)
	must(t, verifier.VerifyIgnoringTimestamp(got[0].body, got[0].header))
	var body struct {
		Type string
		Data channels.Message
	}
	must(t, json.Unmarshal(got[0].body, &body))
	if body.Type != "connect_session.done" || body.Data.SessionID != "cns_1" || body.Data.Account != "acme" || body.Data.ID != got[0].header.Get("Webhook-Id") {
		t.Errorf("%s", got[0].body)
	}
	if err := w.Announce(t.Context(), "ach_none", channels.Message{Event: channels.EventConnect}); err == nil {
		t.Error("a channel that is not there is told")
	}
}
