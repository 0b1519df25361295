package console

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"switchgear/internal/access"
	"switchgear/internal/connections"
	connectionsview "switchgear/web/templates/connections"
)

// looked lets the worker store how connections are.
func (g *guarded) looked(t *testing.T) {
	t.Helper()
	if _, err := g.health.Board(access.System()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := g.health.Serve(ctx); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
}

// The tab says how a connection is, how it was and who made it so; the check can be sent by hand.
func TestHealthPage(t *testing.T) {
	t.Parallel()
	g := newGuarded(t)
	viewer := g.signedIn(t, access.RoleViewer)
	const page = "/connections/guarded/health"
	says(t, "the tab at the beginning", g.page(t, viewer, page), "Idle · no traffic", "Nothing happened yet.", "none: the policy names no path for it", "24 hours", "30 days")
	silent(t, "the tab of a viewer", g.page(t, viewer, page), "Check now")

	owner := g.owner
	form := url.Values{
		"provider": {"generic-rest"}, "version": {"1"}, "name": {"Guarded"}, "environment": {"development"}, "kind": {"rest"}, "base_url": {g.upstream.URL}, "auth_type": {"bearer"},
		"policy": {`{"retry":{"max_attempts":1}}`}, "policy.health_check.path": {"/up?deep=1"}, "policy.health_check.every": {"1m"}, "policy.health_check.expected_status": {"204"},
	}
	post := func(path string, form url.Values) (int, string, string) {
		t.Helper()
		status, header, text := g.do(t, owner, http.MethodPost, path, strings.NewReader(form.Encode()), "Content-Type", "application/x-www-form-urlencoded")
		return status, header.Get("Location"), text
	}
	bad := maps.Clone(form)
	bad.Set("policy.health_check.expected_status", "99")
	if status, _, text := post("/connections/guarded/edit", bad); status != http.StatusBadRequest || !strings.Contains(text, "It must be between 200 and 599.") {
		t.Errorf("a status that is none: %d", status)
	}
	bad.Set("policy.health_check.expected_status", "soon")
	if status, _, text := post("/connections/guarded/edit", bad); status != http.StatusBadRequest || !strings.Contains(text, "Write a status such as 204.") {
		t.Errorf("no status: %d", status)
	}
	if status, _, text := post("/connections/guarded/edit", form); status != http.StatusSeeOther {
		t.Fatalf("%d %s", status, text)
	}
	says(t, "the form", g.page(t, owner, "/connections/guarded/edit"), `value="/up?deep=1"`, `value="204"`, `value="1m"`, "Left empty: 10s, from the product.", "none yet", "Check now")
	says(t, "the tab of the policy", g.page(t, viewer, "/connections/guarded/breaker"), "health_check.expected_status")

	// From the form: what was entered stays, and nothing is saved.
	form.Set("version", "2")
	form.Set("change", "check")
	form.Set("name", "Renamed, perhaps")
	status, _, text := post("/connections/guarded/edit", form)
	says(t, "the form after a check", text, "The health check did not succeed: 200 OK, where 204 is expected.", `value="Renamed, perhaps"`)
	if c, _ := g.connections.Peek("guarded"); status != http.StatusOK || c.Name != "Guarded" || c.Version != 2 {
		t.Errorf("%d: %+v", status, c)
	}
	g.status.Store(http.StatusNoContent)
	status, location, _ := post(page+"/check", url.Values{})
	if status != http.StatusSeeOther || location != page {
		t.Fatalf("%d %s", status, location)
	}
	says(t, "the tab after a check", g.page(t, owner, page), "The health check was answered with 204 No Content.", "GET /up?deep=1", "Sent every 1 min where nobody calls.", "Healthy")
	g.looked(t)

	if _, err := g.connections.Pause(t.Context(), access.System(), "guarded", "maintenance", 0); err != nil {
		t.Fatal(err)
	}
	g.looked(t)
	part := g.page(t, viewer, page, "HX-Request", "true", "HX-Target", connectionsview.HealthRegion)
	says(t, "the part", part, "It is paused: maintenance.", "so far", "Healthy", "100 %")
	if strings.Contains(part, "<html") {
		t.Error("the part is the whole page")
	}
	says(t, "a state", g.page(t, viewer, page+"?state=down"), "No such change.")
	says(t, "a time", g.page(t, viewer, page+"?from=2001-01-01&to=2001-02-01"), "No such change.")
	says(t, "no date", g.page(t, viewer, page+"?from=soon"), "Write a date as 2026-01-31.")
	says(t, "no state", g.page(t, viewer, page+"?state=fine"), "No such change.")
	if status, _, _ := post(page+"/check", url.Values{}); status != http.StatusSeeOther {
		t.Errorf("a check of what is paused: %d", status)
	}
	says(t, "the tab after a check that was not sent", g.page(t, owner, page), "paused")
	says(t, "the first tab", g.page(t, viewer, "/connections/guarded"), `href="/connections/guarded/health"`, "Paused")
	if status, _, _ := g.do(t, viewer, http.MethodGet, "/connections/nothing/health", nil); status != http.StatusNotFound {
		t.Errorf("no connection: %d", status)
	}
}

// A path that comes from the provider is shown with where it comes from.
func TestHealthCheckOfTheProvider(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	owner := s.signedIn(t, access.RoleOwner)
	provider, err := s.connections.Create(t.Context(), access.System(), connections.Draft{
		Name: "Stripe", Provider: "stripe", Auth: connections.Auth{Type: "bearer", Fields: map[string]string{"token": "x"}},
	}, "")
	if err != nil {
		t.Fatal(err)
	}
	settings, err := s.connections.Settings(provider, "")
	if err != nil {
		t.Fatal(err)
	}
	origins := map[string]string{}
	path := ""
	for _, setting := range settings {
		origins[setting.Path] = setting.Origin
		if setting.Path == "health_check.path" {
			path = setting.Value
		}
	}
	if path == "" || origins["health_check.path"] != "provider" || origins["health_check.every"] != "product" {
		t.Errorf("%q %v", path, origins)
	}
	status, _, text := s.do(t, owner, http.MethodGet, "/connections/stripe/edit", nil)
	if status != http.StatusOK || !strings.Contains(text, "Left empty: "+path+", from the provider.") {
		t.Errorf("%d: the form does not say that %s comes from the provider", status, path)
	}
}
