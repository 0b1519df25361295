package app

import (
	"errors"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	"switchgear/db"
	"switchgear/internal/access"
	"switchgear/internal/telemetry"
)

// demoSlugs are the connections of the demonstration.
func demoSlugs() []string { return []string{"demo-shop", "demo-payments", "demo-partner"} }

// calledSince waits until a connection was called after a moment, and returns where it leads.
func (p *process) calledSince(t *testing.T, slug string, moment time.Time) string {
	t.Helper()
	c, err := p.core.connections.Find(t.Context(), access.System(), slug)
	if err != nil {
		t.Fatal(err)
	}
	if !poll(t.Context(), func() bool { return p.core.calls.Recent(c.ID).LastCall.After(moment) }) {
		t.Fatalf("%s is not called", slug)
	}
	return c.BaseURL
}

// The set-up page loads it as well, for who ticks the box.
func TestDemonstrationFromTheSetUp(t *testing.T) {
	t.Parallel()
	p := start(t, nil)
	link, err := url.Parse(p.setupLink(t))
	if err != nil {
		t.Fatal(err)
	}
	b := p.browser(t)
	if got := b.get("/setup?" + link.RawQuery); !strings.Contains(got.body, `name="demo"`) {
		t.Error("the set-up page does not offer the demonstration")
	}
	got := b.post("/setup", url.Values{
		"token": {link.Query().Get("token")}, "email": {"owner@example.com"}, "password": {ownerPassword}, "repeat": {ownerPassword}, "key_saved": {"on"}, "demo": {"on"},
	})
	if got.path != "/" || !strings.Contains(got.body, "The demonstration is running") {
		t.Fatalf("set-up: %d at %s", got.status, got.path)
	}
	p.calledSince(t, "demo-shop", time.Time{})
}

// One button makes connections that are called through the gateway; another removes them, and nothing else.
func TestDemonstrationFromTheBrowser(t *testing.T) {
	t.Parallel()
	up := newUpstream(t)
	p := start(t, map[string]string{"EGRESS_ALLOW": up.egressRule(t)})
	owner := p.owner(t)
	if got := owner.get("/"); !strings.Contains(got.body, "Load the demonstration") {
		t.Error("the first page after the set-up does not offer the demonstration")
	}
	if got := owner.get("/demo/load"); got.status != http.StatusMethodNotAllowed {
		t.Errorf("loading by GET: %d", got.status)
	}
	owner.post("/connections/new", url.Values{
		"provider": {"generic-rest"}, "name": {"Orders"}, "slug": {"orders"}, "base_url": {up.URL}, "auth_type": {"bearer"}, "auth.token": {upstreamSecret},
	})
	if got := owner.post("/demo/load", nil); got.path != "/" || !strings.Contains(got.body, "The demonstration is running.") {
		t.Fatalf("load: %d at %s", got.status, got.path)
	}
	if got := owner.get("/"); !strings.Contains(got.body, "2 of 4") { // the owner, and the connection of their own
		t.Error("what the demonstration made counts as somebody's first steps")
	}
	var base string
	for _, slug := range demoSlugs() {
		base = p.calledSince(t, slug, time.Time{})
		owner.waitForText("/calls?connection="+slug, "/calls/req_")
		if got := owner.get("/connections/" + slug); got.status != http.StatusOK {
			t.Errorf("%s: %d", slug, got.status)
		}
	}
	owner.waitForText("/calls?connection=demo-shop&outcome=success", "/products")
	if got := owner.get("/keys"); !strings.Contains(got.body, "call:demo-partner") {
		t.Error("the key of the application is not in the list")
	}

	if got := owner.get("/about"); !strings.Contains(got.body, strings.TrimPrefix(strings.TrimSuffix(base, "/partner"), "http://")) {
		t.Error("the page about the process does not name the listener of the demonstration")
	}

	// The guard admits this one listener, by its address.
	u, err := url.Parse(base)
	if err != nil {
		t.Fatal(err)
	}
	port := netip.MustParseAddrPort(u.Host).Port()
	for name, target := range map[string]string{
		"another port": "http://" + netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), port+1).String(),
		"another name": "http://localhost:" + u.Port(), "another address": "http://127.0.0.2:" + u.Port(), "the console": "http://" + p.Addr(),
	} {
		got := owner.post("/connections/new", url.Values{
			"provider": {"generic-rest"}, "name": {"Inside"}, "slug": {"inside"}, "base_url": {target}, "auth_type": {"none"},
		})
		if got.status != http.StatusBadRequest {
			t.Errorf("%s (%s): %d at %s", name, target, got.status, got.path)
		}
	}

	if got := owner.get("/demo/remove"); got.status != http.StatusOK || !strings.Contains(got.body, "Demo partner") {
		t.Errorf("the question: %d", got.status)
	}
	if got := owner.post("/demo/remove", nil); got.path != "/" || strings.Contains(got.body, "The demonstration is running.") {
		t.Fatalf("remove: %d at %s", got.status, got.path)
	}
	for _, slug := range demoSlugs() {
		if got := owner.get("/connections/" + slug); got.status != http.StatusNotFound {
			t.Errorf("%s is left: %d", slug, got.status)
		}
	}
	if got := owner.get("/keys?status=active"); strings.Contains(got.body, "call:demo-partner") {
		t.Error("the key is still active")
	}
	audit := owner.get("/audit?limit=200").body
	if !strings.Contains(audit, "demo.load") || !strings.Contains(audit, "demo.remove") {
		t.Error("the audit log does not tell of the demonstration")
	}
	key, err := Administer(t.Context(), p.cfg, telemetry.Discard(), CreateKey(), KeyCreate{Name: "shop", Scopes: []string{"call:orders"}})
	if err != nil {
		t.Fatal(err)
	}
	if got := p.browser(t).get("/proxy/orders/x", "X-API-Key", key.Key); got.status != http.StatusOK {
		t.Errorf("the connection of somebody else: %d %s", got.status, got.body)
	}
	if got := owner.post("/connections/new", url.Values{
		"provider": {"generic-rest"}, "name": {"Late"}, "slug": {"late"}, "base_url": {base}, "auth_type": {"none"},
	}); got.status != http.StatusBadRequest {
		t.Errorf("the address stays admitted: %d", got.status)
	}
}

// The demonstration survives a restart. When another program has its port by then, the connections get a
// version with the new one.
func TestDemonstrationSurvivesARestart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	p := startIn(t, dir, nil)
	p.owner(t).post("/demo/load", nil)
	first := p.calledSince(t, "demo-shop", time.Time{})
	p.stop(t)

	restarted := time.Now()
	p = startIn(t, dir, nil)
	p.calledSince(t, "demo-shop", restarted)
	p.stop(t)

	taken, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = taken.Close() })
	store, err := db.Open(t.Context(), db.Config{Dir: p.cfg.Data})
	if err != nil {
		t.Fatal(err)
	}
	err = store.InTx(t.Context(), func(tx *db.Tx) error {
		_, err := tx.Exec(t.Context(), "UPDATE demo SET port = $1", taken.Addr().(*net.TCPAddr).Port)
		return err
	})
	if err := errors.Join(err, store.Close()); err != nil {
		t.Fatal(err)
	}
	restarted = time.Now()
	p = startIn(t, dir, nil)
	p.calledSince(t, "demo-shop", restarted)
	c, err := p.core.connections.Find(t.Context(), access.System(), "demo-shop")
	if err != nil || c.BaseURL == first || c.Version < 2 {
		t.Errorf("the shop is at %s in version %d, %v", c.BaseURL, c.Version, err)
	}
}

// The command loads the demonstration before the process serves, once.
func TestLoadDemo(t *testing.T) {
	t.Parallel()
	p := startWith(t, t.TempDir(), nil, func(a *App) error { return a.LoadDemo(t.Context()) })
	if !strings.Contains(p.notices.String(), "The demonstration is on") {
		t.Errorf("notices: %s", p.notices)
	}
	for _, slug := range demoSlugs() {
		p.calledSince(t, slug, time.Time{})
	}
	if err := p.LoadDemo(t.Context()); err != nil {
		t.Errorf("again: %v", err)
	}
}

// A gateway with a listener of its own, on every address, is reached by the demonstration too.
func TestDemonstrationFindsTheGateway(t *testing.T) {
	t.Parallel()
	p := startWith(t, t.TempDir(), map[string]string{"GATEWAY_ADDR": "0.0.0.0:0"}, func(a *App) error { return a.LoadDemo(t.Context()) })
	p.calledSince(t, "demo-shop", time.Time{})
}
