package app

import (
	"bytes"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"switchgear/internal/config"
	"switchgear/internal/nettest"
	"switchgear/internal/telemetry"
)

// The credentials of connections and accounts are nowhere either, whatever calls with them come to.
func TestCanaryOfCredentials(t *testing.T) {
	t.Parallel()
	up := newUpstream(t)
	p := start(t, map[string]string{"METRICS_ADDR": "127.0.0.1:0", "EGRESS_ALLOW": up.egressRule(t)})
	owner, secrets := p.owner(t), map[string]string{}
	var pages strings.Builder
	see := func(got page) page {
		_, _ = fmt.Fprintln(&pages, got.header, got.body)
		return got
	}
	callWithCanaries(t, p.cfg, owner, up, secrets, see)
	rotateWithCanaries(t, owner, secrets, see)
	// Both kinds of keys are rotated by the page, with the password once more.
	for what, says := range map[string]string{"data": "The new data key is in use.", "master": "Back up the new key file"} {
		if got := see(owner.post("/settings/keys/"+what, url.Values{"reason": {"canary"}, "password": {ownerPassword}})); !strings.Contains(got.body, says) {
			t.Errorf("rotate %s: status %d, %s is not said", what, got.status, says)
		}
	}
	// A secret that was shown is on that one page, and nowhere else.
	see(owner.post("/settings/reveal/allow", url.Values{"reason": {"canary"}, "password": {ownerPassword}}))
	if shown := owner.post("/connections/orders/accounts/default/reveal", url.Values{"field": {"token"}, "reason": {"canary"}, "password": {ownerPassword}}); shown.status != 200 ||
		!strings.Contains(shown.body, upstreamSecret) || shown.header.Get("Cache-Control") != "no-store" || strings.Contains(shown.body, secrets["credential of an account"]) {
		t.Errorf("the page of a secret: status %d", shown.status)
	}
	key, err := os.ReadFile(p.cfg.EffectiveKeyFile())
	if err != nil {
		t.Fatal(err)
	}
	previous, err := os.ReadFile(p.cfg.EffectiveKeyFile() + ".previous")
	if err != nil || bytes.Equal(key, previous) {
		t.Fatalf("the key before is not beside the present one: %v", err)
	}
	secrets["master key"], secrets["previous master key"] = strings.TrimSpace(string(key)), strings.TrimSpace(string(previous))
	for _, path := range []string{
		"/settings/keys", "/", "/connections", "/connections/orders", "/connections/orders/accounts", "/connections/orders/accounts/default/rotate",
		"/connections/orders/accounts/second/rotate", "/credentials", "/connections/orders/edit", "/connections/orders/versions",
		"/connections/orders/calls", "/calls", "/audit?limit=200", "/keys", "/about", "/settings/reveal", "/connections/orders/accounts/default/reveal",
	} {
		if got := see(owner.get(path)); got.status != 200 {
			t.Errorf("%s: status %d", path, got.status)
		}
	}
	see(owner.get("http://" + p.MetricsAddr() + "/metrics"))
	haystacks := map[string]string{"pages and metrics": pages.String(), "log": p.logs.String()}
	addFiles(t, haystacks, filepath.Join(p.dir, "data")) // with its WAL, while the process runs
	if !strings.Contains(haystacks["console.db"]+haystacks["console.db-wal"], "/canary/path") {
		t.Error("the search does not see the calls")
	}
	p.stop(t)
	haystacks["log after stop"] = p.logs.String()
	addFiles(t, haystacks, filepath.Join(p.dir, "data"))
	wantNowhere(t, secrets, haystacks)
}

// A process that dies with every goroutine on its lips does not say them.
func TestCrashOutputHoldsNoSecret(t *testing.T) {
	t.Parallel()
	up := newUpstream(t)
	dir := t.TempDir()
	cmd, said, setUp := startChild(t, dir, up.egressRule(t), "GOTRACEBACK=all")
	cfg, err := childConfig(dir, up.egressRule(t))
	if err != nil {
		t.Fatal(err)
	}
	owner := newBrowser(t, "http://"+setUp.Host)
	owner.setUp(setUp.Query().Get("token"))
	secrets := map[string]string{"password": ownerPassword}
	callWithCanaries(t, cfg, owner, up, secrets, func(got page) page { return got })
	if err := cmd.Process.Signal(syscall.SIGQUIT); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err == nil || !strings.Contains(said.String(), "SIGQUIT: quit") || !strings.Contains(said.String(), "net/http.(*Server).Serve") {
		t.Errorf("the child did not crash as it should: %v\n%s", err, said.String())
	}
	wantNowhere(t, secrets, map[string]string{"crash output and log": said.String()})
}

// rotateWithCanaries stages credentials that are refused, tested in vain, switched to, rolled back and destroyed.
func rotateWithCanaries(t *testing.T, owner *browser, secrets map[string]string, see func(page) page) {
	t.Helper()
	secrets["staged credential"] = "canary-staged-credential-4725"
	secrets["refused staged credential"] = "canary-refused-staged-credential 4726"
	secrets["switched credential"] = "canary-switched-credential-4727"
	for _, step := range []struct {
		path   string
		form   url.Values
		status int
	}{
		{"second/rotate", url.Values{"auth.token": {secrets["refused staged credential"]}}, 400},
		{"second/rotate", url.Values{"auth.token": {secrets["staged credential"]}}, 200},
		{"second/rotate/test", url.Values{"path": {"/canary"}}, 200},
		{"second/rotate/switch", url.Values{"keep": {"1h"}}, 409},
		{"second/rotate/discard", url.Values{"reason": {"canary"}}, 200},
		{"second/rotate", url.Values{"auth.token": {secrets["switched credential"]}}, 200},
		{"second/rotate/switch", url.Values{"keep": {"1h"}, "anyway": {"on"}, "reason": {"canary"}}, 200},
		{"second/rotate/rollback", nil, 200},
		{"second/rotate/switch", url.Values{"keep": {"1h"}, "anyway": {"on"}, "reason": {"canary"}}, 200},
		{"second/rotate/destroy", url.Values{"reason": {"canary"}}, 200},
		{"default/rotate", url.Values{"auth.token": {secrets["staged credential"]}}, 200},
	} {
		account, below, _ := strings.Cut(step.path, "/rotate")
		if below != "" { // the form of a step says which state it was made for
			if step.form == nil {
				step.form = url.Values{}
			}
			shown := owner.get("/connections/orders/accounts/" + account + "/rotate").body
			_, rest, _ := strings.Cut(shown, `name="revision" value="`)
			revision, _, _ := strings.Cut(rest, `"`)
			step.form.Set("revision", revision)
		}
		if got := see(owner.post("/connections/orders/accounts/"+step.path, step.form)); got.status != step.status {
			t.Errorf("%s: %d, want %d", step.path, got.status, step.status)
		}
	}
}

// callWithCanaries makes a connection with two accounts and calls it in the ways that go well and go wrong.
// It adds the credentials to secrets.
func callWithCanaries(t *testing.T, cfg config.Config, owner *browser, up *upstream, secrets map[string]string, see func(page) page) {
	t.Helper()
	secrets["credential"] = upstreamSecret
	secrets["refused credential"] = "canary-refused-credential 4721" // a token has no space
	secrets["credential of an account"] = "canary-account-credential-4722"
	secrets["credential in a query"] = "canary-query-credential-4723"
	secrets["old credential"] = "canary-old-credential-4724"
	form := url.Values{
		"provider": {"generic-rest"}, "name": {"Orders"}, "slug": {"orders"}, "environment": {"development"}, "kind": {"rest"},
		"base_url": {up.URL}, "auth_type": {"bearer"}, "auth.token": {secrets["refused credential"]},
	}
	if got := see(owner.post("/connections/new", form)); got.status != 400 {
		t.Errorf("a refused credential: %d", got.status)
	}
	form.Set("auth.token", secrets["old credential"])
	if got := see(owner.post("/connections/new", form)); got.path != "/connections/orders" {
		t.Fatalf("create: %d at %s\n%s", got.status, got.path, got.body)
	}
	for account, fields := range map[string]url.Values{
		"default": {"auth_type": {"bearer"}, "auth.token": {upstreamSecret}},
		"second":  {"auth_type": {"bearer"}, "auth.token": {secrets["credential of an account"]}},
		"third":   {"auth_type": {"api_key"}, "auth.in": {"query"}, "auth.name": {"sid"}, "auth.key": {secrets["credential in a query"]}},
	} {
		fields.Set("account", account)
		fields.Set("reason", "canary")
		if got := see(owner.post("/connections/orders/accounts", fields)); got.status != 200 || got.path != "/connections/orders/accounts" {
			t.Errorf("account %s: %d at %s\n%s", account, got.status, got.path, got.body)
		}
	}
	see(owner.post("/connections/orders/test", nil))
	key, err := Administer(t.Context(), cfg, telemetry.Discard(), CreateKey(), KeyCreate{Name: "canary caller", Scopes: []string{"call:orders"}})
	if err != nil {
		t.Fatal(err)
	}
	secrets["calling key"] = key.Key
	app := newBrowser(t, owner.base)
	for account, status := range map[string]int{"default": 200, "second": 401, "third": 401, "nobody": 404} {
		got := app.get("/proxy/orders/canary/path?x=1", "Authorization", "Bearer "+key.Key, "Switchgear-Account", account)
		if got.status != status {
			t.Errorf("call as %s: %d %s, want %d", account, got.status, got.body, status)
		}
		if account != "third" { // What that answers is the upstream's.
			see(got)
		}
		if account != "nobody" {
			see(owner.waitFor("/calls/"+got.header.Get("X-Request-Id"), 200))
		}
	}
	// The upstream is gone: errors name the URL, and that has the credential in it.
	nettest.Silence(t, up.Server)
	for _, account := range []string{"default", "third"} {
		got := see(app.get("/proxy/orders/canary/path", "Authorization", "Bearer "+key.Key, "Switchgear-Account", account))
		if got.status != 502 {
			t.Errorf("without an upstream: %d", got.status)
		}
		see(owner.waitFor("/calls/"+got.header.Get("X-Request-Id"), 200))
	}
	see(owner.post("/connections/orders/test", nil))
}
