package api

import (
	"net/http"
	"strings"
	"testing"
)

// Whatever a client sends, it is told what is wrong with it: nothing is our mistake, and nothing is
// changed.
func TestHostileInput(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.create("stripe")
	before := w.get("/api/v1/connections/stripe").body
	deep := strings.Repeat(`{"policy":`, 5000) + `1` + strings.Repeat(`}`, 5000)
	bodies := []string{
		`null`, `0`, `""`, `[]`, `true`, `{`, `{}}`, "\xff\xfe", "{\"name\":\"\xff\"}", `{"name":1e999}`, `{"name":{}}`, `{"name":""}`, `{"name":" "}`,
		`{"name":"a\u0000b"}`, `{"name":"x","auth":null,"policy":5}`, `{"name":"x","policy":[]}`, `{"name":"x","policy":"{}"}`, `{"name":"x","auth":[]}`,
		`{"name":"x","auth":{"type":"none","fields":{"":""}}}`, `{"name":"x","auth":{"type":"bearer","fields":{"token":null}}}`,
		`{"name":"x","base_url":"http://[::1"}`, `{"name":"x","base_url":"https://169.254.169.254/","auth":{"type":"none"}}`,
		`{"name":"x","base_url":"https://x.example","policy":{"rate_limits":[null]},"auth":{"type":"none"}}`,
		`{"name":"x","base_url":"https://x.example","policy":{"rate_limits":[{"requests":-1,"per":"1s"}]},"auth":{"type":"none"}}`,
		`{"name":"x","base_url":"https://x.example","policy":{"retry":{"max_attempts":1e18}},"auth":{"type":"none"}}`,
		`{"name":"x","base_url":"https://x.example","policy":{"retry":{"max_attempts":2.5}},"auth":{"type":"none"}}`,
		`{"name":"x","slug":"../x"}`, `{"name":"x","slug":"new"}`, `{"reason":5}`, `{"version":-1}`, `{"version":1e18}`, `{"version":"1"}`, deep,
	}
	send := func(method, path, body string, header ...string) {
		t.Helper()
		got := w.do(method, path, body, header...)
		if got.status < 400 || got.status >= 500 {
			t.Errorf("%s %s %.80q: %d %s", method, path, body, got.status, got.body)
			return
		}
		got.failure(t)
	}
	for _, body := range bodies {
		send(http.MethodPost, "/api/v1/connections", body)
		send(http.MethodPost, "/api/v1/connections", body, "Idempotency-Key", "k")
		send(http.MethodPut, "/api/v1/connections/stripe", body)
		send(http.MethodPut, "/api/v1/connections/stripe/accounts/default", body)
		send(http.MethodPost, "/api/v1/connections/nobody/pause", body)
		send(http.MethodPost, "/api/v1/connections/nobody/rollback", body)
		send(http.MethodPatch, "/api/v1/connections/nobody", body)
	}
	for _, body := range []string{
		`{"policy":5}`, `{"policy":[]}`, `{"policy":{"retry":[]}}`, `{"policy":{"rate_limits":{}}}`, `{"policy":{"rate_limits":[{"requests":1}]}}`,
		`{"auth":5}`, `{"auth":{"fields":[]}}`, `{"auth":{"type":"unknown"}}`, `{"auth":{"type":null}}`, `{"auth":null}`, `{"slug":"other"}`, `{"id":"x"}`, deep,
	} {
		send(http.MethodPatch, "/api/v1/connections/stripe", body)
	}
	for _, path := range []string{
		"/api/v1/connections/%00", "/api/v1/connections/a%2Fb", "/api/v1/connections/%ff", "/api/v1/connections/" + strings.Repeat("x", 4000),
		"/api/v1/connections/stripe/accounts/%2e%2e%2fx", "/api/v1/connections/stripe/versions/99999999999999999999", "/api/v1/connections/stripe/versions/-1",
		"/api/v1/calls/%27%20OR%201", "/api/v1/calls?filter[class]=9", "/api/v1/calls?filter[status]=x", "/api/v1/connections?sort=name,slug", "/api/v1/connections?sort=--name",
		"/api/v1/connections?filter=x", "/api/v1/providers/..%2f..%2fetc", "/api/v1/connections?page=99999999999999999999", "/api//connections", "/api/v1//connections",
	} {
		send(http.MethodGet, path, "")
	}
	if after := w.get("/api/v1/connections/stripe").body; after != before {
		t.Errorf("something changed:\n%s\n%s", before, after)
	}
	if strings.Contains(w.logs.String(), "request failed") {
		t.Errorf("an error of ours is logged: %s", w.logs.String())
	}
}
