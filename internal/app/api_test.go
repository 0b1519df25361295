package app

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"switchgear/internal/telemetry"
)

// A program defines a connection by the machine API; applications call it at once, and a rollback is
// followed as quickly. What the API made is on the console, and nothing holds a secret.
func TestConnectionByTheAPIThroughTheGateway(t *testing.T) {
	t.Parallel()
	up := newUpstream(t)
	p := start(t, map[string]string{"EGRESS_ALLOW": up.egressRule(t)})
	owner := p.owner(t)
	made, err := Administer(t.Context(), p.cfg, telemetry.Discard(), CreateKey(), KeyCreate{Name: "deploy", Scopes: []string{"api:write", "call:*"}})
	if err != nil {
		t.Fatal(err)
	}
	client := p.browser(t)
	send := func(method, path, contentType string, body any, header ...string) page {
		t.Helper()
		text, err := json.Marshal(body)
		if err != nil {
			t.Fatal(err)
		}
		return client.do(method, path, contentType, strings.NewReader(string(text)), append([]string{"Authorization", "Bearer " + made.Key}, header...)...)
	}
	call := func(want int) {
		t.Helper()
		if got := send(http.MethodPost, "/proxy/orders/v1", "text/plain", ""); got.status != want || got.header.Get("Switchgear-Error") != "" {
			t.Errorf("call: %d %s, want %d", got.status, got.body, want)
		}
	}

	created := send(http.MethodPost, "/api/v1/connections", "application/json", map[string]any{
		"name": "Orders", "slug": "orders", "kind": "rest", "environment": "production", "base_url": up.URL,
		"auth": map[string]any{"type": "bearer", "fields": map[string]any{"token": upstreamSecret}}, "policy": map[string]any{"timeout": "5s"},
	}, "Idempotency-Key", `"orders-1"`)
	if created.status != http.StatusCreated || created.header.Get("Location") != "/api/v1/connections/orders" {
		t.Fatalf("create: %d %s", created.status, created.body)
	}
	call(http.StatusOK)

	patched := send(http.MethodPatch, "/api/v1/connections/orders?reason=rotation", "application/merge-patch+json",
		map[string]any{"auth": map[string]any{"fields": map[string]any{"token": "wrong-" + upstreamSecret}}}, "If-Match", created.header.Get("ETag"))
	if patched.status != http.StatusOK || patched.header.Get("ETag") != `"2"` {
		t.Fatalf("patch: %d %s", patched.status, patched.body)
	}
	call(http.StatusUnauthorized)
	if got := send(http.MethodPost, "/api/v1/connections/orders/rollback", "application/json", map[string]any{"reason": "the new one is wrong"}); got.status != http.StatusOK {
		t.Fatalf("rollback: %d %s", got.status, got.body)
	}
	call(http.StatusOK)

	if got := owner.get("/connections/orders/versions"); got.status != http.StatusOK || !strings.Contains(got.body, "deploy") || !strings.Contains(got.body, "the new one is wrong") {
		t.Errorf("versions on the console: %d", got.status)
	}
	pages := created.body + patched.body + owner.get("/connections/orders").body + send(http.MethodGet, "/api/v1/connections/orders/versions", "", nil).body
	p.stop(t)
	found := map[string]string{"log": p.logs.String(), "pages": pages}
	addFiles(t, found, p.cfg.Data)
	for where, text := range found {
		if strings.Contains(text, upstreamSecret) || strings.Contains(text, made.Key) {
			t.Errorf("a secret appears in %s", where)
		}
	}
	if !strings.Contains(found["console.db"], "orders-1") {
		t.Error("the search does not see the database")
	}
}
