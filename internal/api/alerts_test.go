package api

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"switchgear/db"
	"switchgear/internal/alerts"
	"switchgear/internal/audit"
	"switchgear/internal/credentials"
	"switchgear/internal/health"
	"switchgear/internal/runtime"
	"switchgear/internal/runtime/egress"
)

// openAlerts makes what keeps and tells alerts, without its workers.
func (w *world) openAlerts(log *audit.Log, sealer *credentials.Sealer, guard *egress.Guard, protections *runtime.Protections, logger *slog.Logger) *alerts.Service {
	w.t.Helper()
	quiet := func(string) {}
	board, err := health.New(w.t.Context(), health.Deps{
		DB: w.db, Connections: w.connections, Traffic: w.calls, Protections: protections, Probe: runtime.Probe, Notify: quiet, Logger: logger, Now: time.Now,
	}, health.Config{})
	must(w.t, err)
	sender, err := alerts.NewSender(alerts.SenderDeps{DB: w.db, Sealer: sealer, Guard: guard, Notify: quiet, Logger: logger, Now: time.Now}, alerts.SenderConfig{})
	must(w.t, err)
	service, err := alerts.New(w.t.Context(), alerts.Deps{
		DB: w.db, Audit: log, Sealer: sealer, Connections: w.connections, Health: board, Breakers: protections.Breakers(), Calls: w.calls, Outbox: sender,
		BaseURL: func() string { return "https://console.example.com" }, Notify: quiet, Logger: logger, Now: time.Now,
	}, alerts.Config{})
	must(w.t, err)
	return service
}

// fired is an alert as the evaluator stores it.
func (w *world) fired(id, slug, severity, state string, opened int64) {
	w.t.Helper()
	must(w.t, w.db.InTx(w.t.Context(), func(tx *db.Tx) error {
		_, err := tx.Exec(w.t.Context(), `INSERT INTO alerts (id, fingerprint, rule_id, rule_name, rule_kind, severity, connection_id, connection, connection_name,
			environment, operation, state, why, resolved_why, opened_at, changed_at, acknowledged_by, acknowledged_note, flaps, flapping, announced, owed, told, fired_at)
			VALUES ($1, $1, 'arl_1', 'Down', 'connection_down', $3, $2, $2, $2, 'production', '', $4, 'All calls fail.', '', $5, $5, '', '', 0, 0, 0, 0, '[]', $5)`,
			id, slug, severity, state, opened)
		return err
	}))
}

func TestAlerts(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fired("alr_1", "stripe", "critical", "firing", 1)
	w.fired("alr_2", "github", "warning", "firing", 2)
	w.fired("alr_3", "stripe", "critical", "resolved", 3)
	for query, want := range map[string]string{
		"":                           "alr_2 alr_1 alr_3",
		"?sort=opened_at":            "alr_1 alr_2 alr_3",
		"?sort=-opened_at&limit=2":   "alr_3 alr_2",
		"?filter[status]=resolved":   "alr_3",
		"?filter[connection]=stripe": "alr_1 alr_3",
		"?filter[severity]=warning":  "alr_2",
		"?filter[rule]=arl_2":        "",
	} {
		var list struct{ Data []Alert }
		w.get("/api/v1/alerts"+query).decode(t, &list)
		if got := strings.Join(each(list.Data, func(a Alert) string { return a.ID }), " "); got != want {
			t.Errorf("%s: %q, want %q", query, got, want)
		}
	}
	for _, bad := range []string{"?filter[status]=odd", "?filter[severity]=odd", "?sort=why"} {
		if got := w.get("/api/v1/alerts" + bad); got.status != http.StatusBadRequest {
			t.Errorf("%s: %d", bad, got.status)
		}
	}
	if got := w.send(http.MethodPost, "/api/v1/alerts/alr_1/acknowledge", w.read, `{"note":"looking"}`); got.status != http.StatusForbidden {
		t.Errorf("acknowledged with a key that may read: %d", got.status)
	}
	var a Alert
	w.do(http.MethodPost, "/api/v1/alerts/alr_1/acknowledge", `{"note":"looking"}`).decode(t, &a)
	if a.Acknowledged == nil || a.Acknowledged.Note != "looking" || a.Acknowledged.By != "deploy" {
		t.Errorf("%+v", a)
	}
	for path, status := range map[string]int{
		"/alerts/alr_1": 200, "/alerts/alr_1/notifications": 200, "/alerts/alr_1/notifications?filter[status]=odd": 400, "/alerts/alr_9": 404,
		"/alerts/alr_9/notifications": 404, "/alert-rules": 200, "/alert-channels": 200, "/alert-mutes": 200, "/alert-channels/ach_9/notifications": 404,
		"/alert-rules/arl_9": 404, "/alert-channels/ach_9": 404, "/alert-mutes/amu_9": 404,
	} {
		if got := w.get("/api/v1" + path); got.status != status {
			t.Errorf("%s: %d %s", path, got.status, got.body)
		}
	}
	if got := w.do(http.MethodPost, "/api/v1/alerts/alr_3/acknowledge", `{}`); got.status != http.StatusConflict {
		t.Errorf("what is over is acknowledged: %d", got.status)
	}
}

func TestAlertChannels(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	arrived := make(chan http.Header, 10)
	receiver := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { arrived <- r.Header }))
	t.Cleanup(receiver.Close)
	secret := "whsec_" + strings.Repeat("QUFB", 10)
	const path = "/api/v1/alert-channels"
	if got := w.do(http.MethodPost, path, `{"name":"hook","kind":"webhook","settings":{"url":"https://a.example.com"}}`); got.failure(t).Code != "SECRET_MISSING" {
		t.Errorf("without a secret: %s", got.body)
	}
	if got := w.do(http.MethodPost, path, `{"name":"hook","kind":"pigeon"}`); got.failure(t).Code != "UNKNOWN_CHANNEL_KIND" {
		t.Errorf("unknown kind: %s", got.body)
	}
	made := w.do(http.MethodPost, path, `{"name":"hook","kind":"webhook","settings":{"url":"`+receiver.URL+`","signing_secret":"`+secret+`"}}`)
	var c AlertChannel
	made.decode(t, &c)
	if made.status != http.StatusCreated || made.header.Get("Location") != path+"/"+c.ID || len(c.Secrets) != 1 || c.Settings["url"] != receiver.URL {
		t.Fatalf("%d %s", made.status, made.body)
	}
	chat := w.do(http.MethodPost, path, `{"name":"chat","kind":"slack","settings":{"url":"https://hooks.example.com/`+canary+`"}}`)
	if chat.status != http.StatusCreated {
		t.Errorf("%d %s", chat.status, chat.body)
	}
	var n AlertNotification
	w.do(http.MethodPost, path+"/"+c.ID+"/test", ``).decode(t, &n)
	if n.Status != "delivered" || n.Event != "test" || (<-arrived).Get("Webhook-Id") != n.ID {
		t.Errorf("%+v", n)
	}
	rotated := w.do(http.MethodPost, path+"/"+c.ID+"/rotate", `{"signing_secret":"whsec_`+strings.Repeat("QUFD", 10)+`","grace":"24h"}`)
	if rotated.decode(t, &c); c.PreviousUntil.Before(time.Now()) {
		t.Errorf("%s", rotated.body)
	}
	for _, bad := range []string{`{"signing_secret":""}`, `{"signing_secret":"short"}`, `{"signing_secret":"` + secret + `","grace":"soon"}`} {
		if got := w.do(http.MethodPost, path+"/"+c.ID+"/rotate", bad); got.status != http.StatusBadRequest {
			t.Errorf("%s: %d", bad, got.status)
		}
	}
	if got := w.do(http.MethodPut, path+"/"+c.ID, `{"name":"hook two","kind":"webhook","settings":{"url":"`+receiver.URL+`"}}`); got.status != http.StatusOK {
		t.Errorf("%d %s", got.status, got.body)
	}
	w.do(http.MethodPost, path+"/"+c.ID+"/test", ``)
	if got := (<-arrived).Get("Webhook-Signature"); len(strings.Fields(got)) != 2 {
		t.Errorf("an edit lost the secrets: %q", got)
	}
	var list struct {
		Data []AlertNotification
		Meta Meta
	}
	if w.get(path+"/"+c.ID+"/notifications").decode(t, &list); list.Meta.Total != 2 || list.Data[1].Channel != "hook" {
		t.Errorf("%+v", list)
	}
	rule := w.do(http.MethodPost, "/api/v1/alert-rules", `{"name":"Budget","kind":"error_budget","for":"1m","repeat":"4h","params":{"window":"30m"},"channels":["`+c.ID+`"]}`)
	var r AlertRule
	rule.decode(t, &r)
	if rule.status != http.StatusCreated || !r.Enabled || !r.NotifyResolved || r.Severity != "warning" || r.Params["min_calls"] != "50" || r.For != "1m0s" {
		t.Errorf("%d %s", rule.status, rule.body)
	}
	if got := w.do(http.MethodDelete, path+"/"+c.ID, ""); got.failure(t).Code != "CHANNEL_IN_USE" {
		t.Errorf("%s", got.body)
	}
	for _, bad := range []string{`{"name":"x","kind":"error_budget","for":"soon"}`, `{"name":"x","kind":"error_budget","repeat":"1s"}`, `{"name":"x","kind":"odd"}`, `{"name":"x","kind":"error_budget","colour":"red"}`} {
		if got := w.do(http.MethodPost, "/api/v1/alert-rules", bad); got.status != http.StatusBadRequest {
			t.Errorf("%s: %d %s", bad, got.status, got.body)
		}
	}
	if got := w.do(http.MethodPut, "/api/v1/alert-rules/"+r.ID, `{"name":"Budget","kind":"error_budget","enabled":false}`); got.status != http.StatusOK || !strings.Contains(got.body, `"enabled":false`) {
		t.Errorf("%d %s", got.status, got.body)
	}
	for _, target := range []string{"/api/v1/alert-rules/" + r.ID, path + "/" + c.ID} {
		if got := w.do(http.MethodDelete, target+"?reason=over", ""); got.status != http.StatusNoContent {
			t.Errorf("%s: %d %s", target, got.status, got.body)
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, hidden := range []string{canary, secret, "QUFDQUFD"} {
		if strings.Contains(w.all.String(), hidden) || strings.Contains(w.logs.String(), hidden) {
			t.Errorf("%s came out", hidden)
		}
	}
}

func TestAlertMutes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.create("stripe")
	const path = "/api/v1/alert-mutes"
	until := time.Now().Add(time.Hour).UTC().Format(time.RFC3339)
	made := w.do(http.MethodPost, path, `{"connection":"stripe","until":"`+until+`","reason":"planned work"}`)
	var m AlertMute
	made.decode(t, &m)
	if made.status != http.StatusCreated || m.By != "deploy" || m.Connection != "stripe" {
		t.Fatalf("%d %s", made.status, made.body)
	}
	if got := w.do(http.MethodPost, path, `{"until":"2099-01-01T00:00:00Z","reason":"for ever"}`); got.failure(t).Code != "INVALID_UNTIL" {
		t.Errorf("%s", got.body)
	}
	if got := w.do(http.MethodPut, path+"/"+m.ID, `{"until":"`+until+`","reason":"takes longer"}`); !strings.Contains(got.body, "takes longer") {
		t.Errorf("%s", got.body)
	}
	if got := w.get(path + "/" + m.ID); got.status != http.StatusOK {
		t.Errorf("%s", got.body)
	}
	if got := w.do(http.MethodDelete, path+"/"+m.ID, ""); got.status != http.StatusNoContent {
		t.Errorf("%s", got.body)
	}
	if got := w.get(path + "/" + m.ID); got.status != http.StatusNotFound {
		t.Errorf("%s", got.body)
	}
}
