package app

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"switchgear/internal/alerts/channels"
	"switchgear/internal/telemetry"
)

// Real calls open a breaker; the signed message of it arrives, and that of its end. A restart in between tells
// nothing again, and no secret is anywhere.
func TestAlertOverTheWire(t *testing.T) {
	t.Parallel()
	var broken atomic.Bool
	up := &upstream{Server: httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if broken.Load() {
			w.WriteHeader(http.StatusInternalServerError)
		}
	}))}
	t.Cleanup(up.Close)
	secret := channels.NewSecret()
	verifier, err := standardwebhooks.NewWebhook(secret)
	if err != nil {
		t.Fatal(err)
	}
	arrived := make(chan channels.Message, 20)
	receiver := &upstream{Server: httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		if err := verifier.Verify(body, r.Header); err != nil {
			t.Errorf("the signature: %v", err)
		}
		var message struct{ Data channels.Message }
		if err := json.Unmarshal(body, &message); err != nil {
			t.Error(err)
		}
		arrived <- message.Data
	}))}
	t.Cleanup(receiver.Close)
	dir, settings := t.TempDir(), map[string]string{"EGRESS_ALLOW": up.egressRule(t) + "," + receiver.egressRule(t), "METRICS_ADDR": "127.0.0.1:0"}
	p := startIn(t, dir, settings)
	p.owner(t)
	made, err := Administer(t.Context(), p.cfg, telemetry.Discard(), CreateKey(), KeyCreate{Name: "deploy", Scopes: []string{"api:write", "call:*"}})
	if err != nil {
		t.Fatal(err)
	}
	send := func(method, path, body string, want int) page {
		t.Helper()
		got := p.browser(t).do(method, path, "application/json", strings.NewReader(body), "Authorization", "Bearer "+made.Key)
		if got.status != want {
			t.Fatalf("%s %s: %d %s", method, path, got.status, got.body)
		}
		return got
	}
	send(http.MethodPost, "/api/v1/connections", `{"name":"Orders","slug":"orders","provider":"generic-rest","base_url":"`+up.URL+`",
		"auth":{"type":"bearer","fields":{"token":"sk_test_1"}},"policy":{"retry":{"max_attempts":1},"breaker":{"min_calls":2,"open_for":"1h","half_open_calls":1}}}`, http.StatusCreated)
	var channel struct{ ID string }
	if err := json.Unmarshal([]byte(send(http.MethodPost, "/api/v1/alert-channels",
		`{"name":"on call","kind":"webhook","settings":{"url":"`+receiver.URL+`","signing_secret":"`+secret+`"}}`, http.StatusCreated).body), &channel); err != nil {
		t.Fatal(err)
	}
	send(http.MethodPut, "/api/v1/alert-rules/arl_default_breaker_opened", `{"name":"Breaker opened","kind":"breaker_opened","severity":"critical","channels":["`+channel.ID+`"]}`, http.StatusOK)
	send(http.MethodPost, "/api/v1/alert-channels/"+channel.ID+"/test", "", http.StatusOK)
	if got := <-arrived; got.Event != channels.EventTest {
		t.Errorf("%+v", got)
	}

	broken.Store(true)
	for range 2 {
		send(http.MethodGet, "/proxy/orders/v1", "", http.StatusInternalServerError)
	}
	opened := <-arrived
	if opened.Event != channels.EventFiring || opened.Connection != "orders" || opened.RuleKind != "breaker_opened" || !strings.Contains(opened.Why, "Open because") ||
		opened.URL != p.url("/alerts/"+opened.AlertID) {
		t.Errorf("%+v", opened)
	}
	send(http.MethodPost, "/api/v1/alerts/"+opened.AlertID+"/acknowledge", `{"note":"looking"}`, http.StatusOK)
	// What arrived is noted a moment later: the test and what fires.
	p.browser(t).waitUntil("http://"+p.MetricsAddr()+"/metrics", func(got page) bool {
		return strings.Contains(got.body, `switchgear_alerts_firing{severity="critical"} 1`) &&
			strings.Contains(got.body, `switchgear_alert_notifications_total{channel_kind="webhook",result="delivered"} 2`)
	})

	p.stop(t)
	p = startIn(t, dir, settings)
	broken.Store(false)
	send(http.MethodPost, "/api/v1/connections/orders/breaker/reset", `{"reason":"the vendor is back"}`, http.StatusOK)
	ended := <-arrived
	if ended.Event != channels.EventResolved || ended.AlertID != opened.AlertID || ended.ID == opened.ID || ended.ResolvedAt.IsZero() {
		t.Errorf("after the restart: %+v", ended)
	}
	if got := send(http.MethodGet, "/api/v1/alerts?filter[connection]=orders", "", http.StatusOK); !strings.Contains(got.body, `"status":"resolved"`) || !strings.Contains(got.body, `"note":"looking"`) {
		t.Errorf("%s", got.body)
	}
	if strings.Contains(p.logs.String(), secret) {
		t.Error("the secret is in the log")
	}
}
