package app

import (
	"encoding/json"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
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

// The commands of docs/api.md, one after the other, as somebody would type them.
func TestDocumentedCommands(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "api.md"))
	if err != nil {
		t.Fatal(err)
	}
	p := start(t, nil)
	made, err := Administer(t.Context(), p.cfg, telemetry.Discard(), CreateKey(), KeyCreate{Name: "deploy", Scopes: []string{"api:write"}})
	if err != nil {
		t.Fatal(err)
	}
	var script strings.Builder
	script.WriteString("set -euo pipefail\ncurl() { command curl --fail-with-body --show-error \"$@\"; echo; }\n")
	for _, block := range regexp.MustCompile("(?s)```sh\n(.*?)```").FindAllStringSubmatch(string(text), -1) {
		if !strings.HasPrefix(block[1], "export API_KEY=") { // that one makes the key
			script.WriteString(block[1])
		}
	}
	if n := strings.Count(script.String(), "$API/"); n < 5 {
		t.Fatalf("%d commands", n)
	}
	cmd := exec.CommandContext(t.Context(), "bash", "-c", script.String())
	cmd.Env = append(os.Environ(), "API_KEY="+made.Key, "API="+p.url("/api/v1"))
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v:\n%s", err, out)
	}
	for _, want := range []string{`"version":1`, `"total":1`, `"timeout":"20s"`, `"before":"10s"`, `"version":3`} {
		if !strings.Contains(string(out), want) {
			t.Errorf("%s is not in\n%s", want, out)
		}
	}
}

// With a listener of its own for machines, the API and its page are there, style sheet included, and not
// on the console's.
func TestAPIOnItsOwnListener(t *testing.T) {
	t.Parallel()
	p := start(t, map[string]string{"GATEWAY_ADDR": "127.0.0.1:0"})
	visitor := p.browser(t)
	machine := "http://" + p.GatewayAddr()
	docs := visitor.get(machine + "/api/docs")
	css := regexp.MustCompile(`href="(/static/css/[^"]+)"`).FindStringSubmatch(docs.body)
	if docs.status != http.StatusOK || len(css) == 0 {
		t.Fatalf("page: %d %s", docs.status, docs.body)
	}
	if got := visitor.get(machine + css[1]); got.status != http.StatusOK || !strings.HasPrefix(got.header.Get("Content-Type"), "text/css") {
		t.Errorf("style sheet: %d", got.status)
	}
	if got := visitor.get(machine + "/api/v1/connections"); got.status != http.StatusUnauthorized {
		t.Errorf("API: %d", got.status)
	}
	// What the pages tell to copy leads to the listener that answers it.
	owner := p.owner(t)
	owner.post("/connections/new", url.Values{
		"provider": {"generic-rest"}, "name": {"Orders"}, "slug": {"orders"}, "base_url": {"https://api.example.com"}, "auth_type": {"none"},
	})
	if got := owner.get("/connections/orders"); !strings.Contains(got.body, machine+"/proxy/orders/") {
		t.Errorf("the page of the connection does not name %s", machine)
	}
	if got := p.browser(t).get("/api/v1/openapi.json"); got.status == http.StatusOK && strings.Contains(got.body, "openapi") {
		t.Errorf("on the console's listener: %d", got.status)
	}
}
