package app

import (
	"maps"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"switchgear/internal/telemetry"
)

// observed is a console that called an upstream, with a key for calls.
type observed struct {
	*process
	owner *browser
	key   string
}

func (o *observed) call(t *testing.T, path string, header ...string) page {
	t.Helper()
	return o.browser(t).get(path, append([]string{"X-API-Key", o.key}, header...)...)
}

func (o *observed) scrape(t *testing.T) string {
	t.Helper()
	got := o.browser(t).get("http://" + o.MetricsAddr() + "/metrics")
	if got.status != http.StatusOK {
		t.Fatalf("metrics: %d\n%s", got.status, got.body)
	}
	return got.body
}

func startObserved(t *testing.T, up *upstream, settings map[string]string) *observed {
	t.Helper()
	all := map[string]string{"METRICS_ADDR": "127.0.0.1:0", "EGRESS_ALLOW": up.egressRule(t)}
	maps.Copy(all, settings)
	o := &observed{process: start(t, all)}
	o.owner = o.process.owner(t)
	made := o.owner.post("/connections/new", url.Values{
		"provider": {"generic-rest"}, "name": {"Orders"}, "slug": {"orders"}, "base_url": {up.URL}, "auth_type": {"bearer"},
		"auth.token": {upstreamSecret},
	})
	if made.path != "/connections/orders" {
		t.Fatalf("create: %d at %s\n%s", made.status, made.path, made.body)
	}
	key, err := Administer(t.Context(), o.cfg, telemetry.Discard(), CreateKey(), KeyCreate{Name: "shop", Scopes: []string{"call:*"}})
	if err != nil {
		t.Fatal(err)
	}
	o.key = key.Key
	return o
}

// Calls, and the state of what guards them, show in the metrics; a deleted connection leaves them.
func TestMetricsOfCalls(t *testing.T) {
	t.Parallel()
	up := newUpstream(t)
	o := startObserved(t, up, nil)
	for range 2 {
		if got := o.call(t, "/proxy/orders/v1"); got.status != http.StatusOK {
			t.Fatalf("call: %d %s", got.status, got.body)
		}
	}
	got := o.scrape(t)
	for _, line := range []string{
		`switchgear_calls_total{integration="orders",method="GET",outcome="success"} 2`,
		`switchgear_attempts_total{integration="orders",outcome="success"} 2`,
		`switchgear_call_duration_seconds_count{integration="orders"} 2`,
		`switchgear_breaker_state{integration="orders",operation=""} 0`,
		`switchgear_credentials{integration="orders",standing="accepted"} 1`,
		`switchgear_bulkhead_in_flight{integration="orders",operation=""} 0`,
		`switchgear_call_log_dropped_total 0`,
	} {
		if !strings.Contains(got, line+"\n") {
			t.Errorf("no line %s in\n%s", line, got)
		}
	}
	o.owner.post("/connections/orders/delete", url.Values{"confirm": {"orders"}, "reason": {"over"}})
	if got := o.scrape(t); strings.Contains(got, `"orders"`) {
		t.Errorf("after the deletion:\n%s", got)
	}
}

// Whoever reads a metric finds it explained.
func TestMetricsAreDocumented(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "observability", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	documented := map[string]bool{}
	for _, name := range regexp.MustCompile("`(switchgear_[a-z_]+)`").FindAllStringSubmatch(string(text), -1) {
		documented[name[1]] = true
	}
	exposed := map[string]bool{}
	for _, name := range everyMetric(t) {
		exposed[name] = true
		if strings.HasPrefix(name, "switchgear_") && !documented[name] {
			t.Errorf("%s is not in docs/observability/README.md", name)
		}
	}
	for name := range documented {
		if !exposed[name] {
			t.Errorf("docs/observability/README.md explains %s, which no instance exposes", name)
		}
	}
}

// everyMetric lists the metrics that an instance can expose: those of one that runs, and those that appear
// only with what a policy asks for.
func everyMetric(t *testing.T) []string {
	t.Helper()
	o := startObserved(t, newUpstream(t), nil)
	o.call(t, "/proxy/orders/v1")
	golden, err := os.ReadFile(filepath.Join("..", "observability", "testdata", "exposition.golden"))
	if err != nil {
		t.Fatal(err)
	}
	types := regexp.MustCompile(`(?m)^# TYPE (\S+) `).FindAllStringSubmatch(o.scrape(t)+"\n"+string(golden), -1)
	names := make([]string, len(types))
	for i, m := range types {
		names[i] = m[1]
	}
	return names
}
