package app

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"switchgear/internal/telemetry"
)

const upstreamSecret = "canary-upstream-token-0815"

// upstream is an outside system that knows one token. It counts what reaches it.
type upstream struct {
	*httptest.Server

	calls       atomic.Int64
	traceparent atomic.Pointer[string] // of the last call
}

func newUpstream(t *testing.T) *upstream {
	t.Helper()
	u := &upstream{}
	u.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		u.calls.Add(1)
		traceparent := r.Header.Get("Traceparent")
		u.traceparent.Store(&traceparent)
		if r.Header.Get("Authorization") != "Bearer "+upstreamSecret {
			http.Error(w, "who are you?", http.StatusUnauthorized)
			return
		}
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		w.Header().Set("X-Upstream", "yes")
		_, _ = fmt.Fprintf(w, `{"path":%q,"query":%q,"body":%q,"key":%q}`, r.URL.EscapedPath(), r.URL.RawQuery, body, r.Header.Get("X-Api-Key"))
	}))
	t.Cleanup(u.Close)
	return u
}

// egressRule opens the port of the upstream and no other.
func (u *upstream) egressRule(tb testing.TB) string {
	tb.Helper()
	_, port, err := net.SplitHostPort(u.Listener.Addr().String())
	if err != nil {
		tb.Fatal(err)
	}
	return "127.0.0.1=127.0.0.0/8:" + port
}

// The main job: a connection made in the browser, called by an application that never sees the
// credential, and visible in the log.
func TestConnectionFromTheBrowserThroughTheGateway(t *testing.T) {
	t.Parallel()
	up := newUpstream(t)
	p := start(t, map[string]string{"EGRESS_ALLOW": up.egressRule(t)})
	owner := p.owner(t)

	if got := owner.get("/connections/new?q=stripe"); got.status != http.StatusOK || !strings.Contains(got.body, "Stripe") {
		t.Fatalf("catalogue: %d", got.status)
	}
	// What is wrong is said beside its field, and nothing secret comes back.
	bad := owner.post("/connections/new", url.Values{
		"provider": {"generic-rest"}, "name": {"Orders"}, "slug": {"Not A Slug"}, "environment": {"development"}, "kind": {"rest"},
		"base_url": {"ftp://example.com"}, "auth_type": {"bearer"}, "auth.token": {upstreamSecret},
	})
	if bad.status != http.StatusBadRequest || strings.Contains(bad.body, upstreamSecret) || !strings.Contains(bad.body, "field-error") {
		t.Errorf("bad input: %d", bad.status)
	}
	made := owner.post("/connections/new", url.Values{
		"provider": {"generic-rest"}, "name": {"Orders"}, "slug": {"orders"}, "environment": {"development"}, "kind": {"rest"},
		"base_url": {up.URL + "/base"}, "auth_type": {"bearer"}, "auth.token": {upstreamSecret}, "policy.timeout": {"5s"},
	})
	if made.path != "/connections/orders" || !strings.Contains(made.body, "/proxy/orders/") || strings.Contains(made.body, upstreamSecret) {
		t.Fatalf("create: %d at %s\n%s", made.status, made.path, made.body)
	}
	if got := owner.post("/connections/orders/test", nil); got.status != http.StatusOK || !strings.Contains(got.body, "accepted") {
		t.Errorf("test of the credential: %d\n%s", got.status, got.body)
	}

	key, err := Administer(t.Context(), p.cfg, telemetry.Discard(), CreateKey(), KeyCreate{Name: "shop", Scopes: []string{"call:orders"}})
	if err != nil {
		t.Fatal(err)
	}
	app := p.browser(t)
	call := func(path string, header ...string) page {
		t.Helper()
		return app.do(http.MethodPost, path, "text/plain", strings.NewReader("hello"), append([]string{"Authorization", "Bearer " + key.Key}, header...)...)
	}
	got := call("/proxy/orders/v1/a%2Fb/items?x=1&y=%20")
	want := `{"path":"/base/v1/a%2Fb/items","query":"x=1&y=%20","body":"hello","key":""}`
	if got.status != http.StatusOK || got.body != want || got.header.Get("X-Upstream") != "yes" || got.header.Get("Switchgear-Error") != "" {
		t.Errorf("call: %d %s, want %s", got.status, got.body, want)
	}
	if got.header.Get("X-Request-Id") == "" || got.header.Get("Switchgear-Attempts") != "1" {
		t.Errorf("headers of ours: %v", got.header)
	}

	// The call is on the console, without the credential and without the key.
	entry := owner.waitFor("/calls/"+got.header.Get("X-Request-Id"), http.StatusOK)
	for _, secret := range []string{upstreamSecret, key.Key} {
		if strings.Contains(entry.body, secret) {
			t.Error("the log shows a secret")
		}
	}
	if list := owner.get("/calls?connection=orders"); !strings.Contains(list.body, "/v1/a%2Fb/items") {
		t.Error("the call is not in the list")
	}

	// Who used the credential last is on its account.
	if accounts := owner.get("/connections/orders/accounts"); !strings.Contains(accounts.body, "key shop") {
		t.Error("the account does not name the key that used it")
	}

	// Errors of ours can be told from the upstream's.
	for name, tt := range map[string]struct {
		path   string
		header []string
		status int
		code   string
	}{
		"no key":             {"/proxy/orders/", []string{"Authorization", ""}, 401, "API_KEY_MISSING"},
		"another connection": {"/proxy/other/", nil, 403, "FORBIDDEN"},
		"unknown account":    {"/proxy/orders/", []string{"Switchgear-Account", "nobody"}, 404, "ACCOUNT_NOT_FOUND"},
	} {
		if got := call(tt.path, tt.header...); got.status != tt.status || got.header.Get("Switchgear-Error") != tt.code {
			t.Errorf("%s: %d %q %s", name, got.status, got.header.Get("Switchgear-Error"), got.body)
		}
	}

	// Paused, the gateway refuses at once; resumed, it calls again. A new credential is used at once.
	before := up.calls.Load()
	owner.post("/connections/orders/pause", url.Values{"reason": {"maintenance"}})
	if got := call("/proxy/orders/v1"); got.status != http.StatusConflict || got.header.Get("Switchgear-Error") != "CONNECTION_PAUSED" || up.calls.Load() != before {
		t.Errorf("paused: %d %s", got.status, got.body)
	} else if entry := owner.waitFor("/calls/"+got.header.Get("X-Request-Id"), http.StatusOK); !strings.Contains(entry.body, "CONNECTION_PAUSED") {
		t.Error("the log does not say why the call was refused")
	}
	owner.post("/connections/orders/resume", url.Values{"reason": {"done"}})
	owner.post("/connections/orders/accounts", url.Values{"account": {"default"}, "auth_type": {"bearer"}, "auth.token": {"wrong"}, "reason": {"rotation"}})
	if got := call("/proxy/orders/v1"); got.status != http.StatusUnauthorized || got.header.Get("Switchgear-Error") != "" {
		t.Errorf("with a wrong credential: %d %s", got.status, got.body)
	}
	// The rollback brings the good credential back.
	if got := owner.post("/connections/orders/versions/1/activate", url.Values{"reason": {"the new one is wrong"}}); got.path != "/connections/orders/versions" {
		t.Errorf("rollback: %d at %s", got.status, got.path)
	}
	if got := call("/proxy/orders/v1"); got.status != http.StatusOK {
		t.Errorf("after the rollback: %d %s", got.status, got.body)
	}
	if got := owner.post("/connections/orders/delete", url.Values{"confirm": {"orders"}, "reason": {"over"}}); got.path != "/connections" {
		t.Errorf("delete: %d at %s", got.status, got.path)
	}
	if got := call("/proxy/orders/v1"); got.status != http.StatusNotFound {
		t.Errorf("after the deletion: %d", got.status)
	}

	p.stop(t)
	found := map[string]string{"log": p.logs.String()}
	addFiles(t, found, p.cfg.Data)
	for where, text := range found {
		if strings.Contains(text, upstreamSecret) || strings.Contains(text, key.Key) {
			t.Errorf("a secret appears in %s", where)
		}
	}
}

// Without a rule the gateway reaches no private address.
func TestGatewayReachesNoPrivateAddress(t *testing.T) {
	t.Parallel()
	up := newUpstream(t)
	p := start(t, nil)
	owner := p.owner(t)
	got := owner.post("/connections/new", url.Values{
		"provider": {"generic-rest"}, "name": {"Inside"}, "slug": {"inside"}, "base_url": {up.URL}, "auth_type": {"none"},
	})
	if got.status != http.StatusBadRequest || !strings.Contains(got.body, "SWITCHGEAR_EGRESS_ALLOW") && !strings.Contains(got.body, "address") {
		t.Errorf("a connection to a loopback address: %d at %s", got.status, got.path)
	}
	if up.calls.Load() != 0 {
		t.Error("the upstream was called")
	}
}

// No rule opens the process's own listeners.
func TestGatewayDoesNotCallItself(t *testing.T) {
	t.Parallel()
	p := start(t, map[string]string{"EGRESS_ALLOW": "127.0.0.1=127.0.0.0/8:1024-65535"})
	owner := p.owner(t)
	owner.post("/connections/new", url.Values{
		"provider": {"generic-rest"}, "name": {"Myself"}, "slug": {"myself"}, "base_url": {"http://" + p.Addr()}, "auth_type": {"none"},
	})
	key, err := Administer(t.Context(), p.cfg, telemetry.Discard(), CreateKey(), KeyCreate{Name: "loop", Scopes: []string{"call:*"}})
	if err != nil {
		t.Fatal(err)
	}
	got := p.browser(t).get("/proxy/myself/livez", "X-API-Key", key.Key)
	if got.status == http.StatusOK || got.header.Get("Switchgear-Error") == "" {
		t.Errorf("the gateway called itself: %d %s", got.status, got.body)
	}
}
