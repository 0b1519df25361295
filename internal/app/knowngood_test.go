package app

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"switchgear/internal/telemetry"
)

// Real traffic that goes well proves the version that it went through, and the page of the versions says so.
func TestTrafficProvesAVersion(t *testing.T) {
	t.Parallel()
	up := newUpstream(t)
	p := start(t, map[string]string{"EGRESS_ALLOW": up.egressRule(t)})
	owner := p.owner(t)
	owner.post("/connections/new", url.Values{
		"provider": {"generic-rest"}, "name": {"Orders"}, "slug": {"orders"}, "base_url": {up.URL}, "auth_type": {"bearer"}, "auth.token": {upstreamSecret},
	})
	key, err := Administer(t.Context(), p.cfg, telemetry.Discard(), CreateKey(), KeyCreate{Name: "shop", Scopes: []string{"call:orders"}})
	if err != nil {
		t.Fatal(err)
	}
	app := p.browser(t)
	call := func() {
		t.Helper()
		for range 20 {
			if got := app.get("/proxy/orders/", "Authorization", "Bearer "+key.Key); got.status != http.StatusOK {
				t.Fatalf("call: %d %s", got.status, got.body)
			}
		}
	}
	if page := owner.get("/connections/orders/versions"); strings.Contains(page.body, "Last known good") {
		t.Error("a version is good before the first call")
	}
	call()
	owner.waitForText("/connections/orders/versions", "Last known good")
	// The next version has to prove itself.
	owner.post("/connections/orders/pause", url.Values{"reason": {"maintenance"}})
	owner.post("/connections/orders/resume", url.Values{"reason": {"done"}})
	if c, err := p.core.connections.Find(t.Context(), admin(), "orders"); err != nil || c.Version != 3 || c.LastKnownGood != 1 {
		t.Errorf("version %d, of which %d is good, %v", c.Version, c.LastKnownGood, err)
	}
	call()
	owner.waitForText("/connections/orders", `/connections/orders/versions">v3</a>`)
}
