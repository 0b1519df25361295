package app

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"

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
	documented := map[string]bool{}
	for _, name := range regexp.MustCompile("`(switchgear_[a-z_]+)`").FindAllStringSubmatch(document(t, "README.md"), -1) {
		documented[name[1]] = true
	}
	exposed := map[string]bool{}
	for name := range everyMetric(t) {
		for _, suffix := range []string{"_bucket", "_sum", "_count"} {
			name = strings.TrimSuffix(name, suffix)
		}
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

// The dashboard and the alert rules can be read, and every metric and label in them exists.
func TestDashboardAndAlerts(t *testing.T) {
	t.Parallel()
	known := everyMetric(t)
	for where, expr := range expressions(t) {
		for _, problem := range checkExpression(expr, known) {
			t.Errorf("%s: %s in %s", where, problem, expr)
		}
	}
	// The check itself finds what is wrong.
	for expr, want := range map[string]string{
		`sum by (integration) (rate(switchgear_calls_totals[5m]))`:          "no metric switchgear_calls_totals",
		`switchgear_breaker_state{connection="x"} > 1`:                      "no label connection",
		`sum by (colour) (switchgear_breaker_state)`:                        "no label colour",
		`rate(switchgear_calls_total_bucket[5m])`:                           "no metric switchgear_calls_total_bucket",
		`histogram_quantile(0.9, switchgear_call_duration_seconds)`:         "no metric switchgear_call_duration_seconds",
		`rate(switchgear_calls_total{outcome="success"[5m])`:                "brackets do not match",
		`switchgear_breaker_state{operation="a}b"} and on (integration) up`: "",
	} {
		if got := strings.Join(checkExpression(expr, known), ", "); got != want {
			t.Errorf("%s: %q, want %q", expr, got, want)
		}
	}
}

// expressions are those of the dashboard and of the alert rules, by where they stand.
func expressions(t *testing.T) map[string]string {
	t.Helper()
	out := map[string]string{}
	var dashboard struct {
		Title  string
		Panels []struct {
			ID      int
			Type    string
			Title   string
			GridPos struct{ H, W, X, Y int }
			Targets []struct{ Expr string }
		}
	}
	if err := json.Unmarshal([]byte(document(t, "dashboard.json")), &dashboard); err != nil {
		t.Fatal(err)
	}
	ids := map[int]bool{}
	for _, p := range dashboard.Panels {
		if ids[p.ID] || p.Title == "" || p.GridPos.W+p.GridPos.X > 24 || p.Type != "row" && len(p.Targets) == 0 {
			t.Errorf("dashboard: panel %d %q is not whole", p.ID, p.Title)
		}
		ids[p.ID] = true
		for i, target := range p.Targets {
			out[fmt.Sprintf("panel %q, query %d", p.Title, i+1)] = target.Expr
		}
	}
	var alerts struct {
		Groups []struct {
			Name  string
			Rules []struct {
				Alert, Expr, For    string
				Labels, Annotations map[string]string
			}
		}
	}
	if err := yaml.UnmarshalWithOptions([]byte(document(t, "alerts.yaml")), &alerts, yaml.DisallowUnknownField()); err != nil {
		t.Fatal(err)
	}
	for _, g := range alerts.Groups {
		for _, r := range g.Rules {
			if r.Alert == "" || out["alert "+r.Alert] != "" || r.Labels["severity"] == "" || r.Annotations["summary"] == "" || r.Annotations["description"] == "" {
				t.Errorf("alerts: %q is not whole", r.Alert)
			}
			if _, err := time.ParseDuration(r.For); r.For != "" && err != nil {
				t.Errorf("alerts: %s for %q", r.Alert, r.For)
			}
			out["alert "+r.Alert] = r.Expr
		}
	}
	if len(out) < 40 {
		t.Errorf("only %d expressions were found", len(out))
	}
	return out
}

// checkExpression reads a PromQL expression as far as is needed to know which metrics and labels it uses.
func checkExpression(expr string, known map[string]map[string]bool) (problems []string) {
	bare := regexp.MustCompile(`"(\\.|[^"\\])*"`).ReplaceAllString(expr, `""`)
	for _, pair := range []string{"()", "[]", "{}"} {
		if strings.Count(bare, pair[:1]) != strings.Count(bare, pair[1:]) {
			return []string{"brackets do not match"}
		}
	}
	label := func(name string) {
		switch name {
		case "job", "instance", "le", "":
			return
		}
		for _, labels := range known {
			if labels[name] {
				return
			}
		}
		problems = append(problems, "no label "+name)
	}
	matchers, ranges := regexp.MustCompile(`\{[^}]*\}`), regexp.MustCompile(`\[[^]]*\]`)
	for _, matcher := range matchers.FindAllString(bare, -1) {
		for part := range strings.SplitSeq(strings.Trim(matcher, "{}"), ",") {
			label(strings.TrimSpace(part[:max(0, strings.IndexAny(part, "=!"))]))
		}
	}
	bare = ranges.ReplaceAllString(matchers.ReplaceAllString(bare, ""), "")
	grouping := regexp.MustCompile(`\b(by|without|on|ignoring|group_left|group_right)\s*\(([^)]*)\)`)
	for _, m := range grouping.FindAllStringSubmatch(bare, -1) {
		for name := range strings.SplitSeq(m[2], ",") {
			label(strings.TrimSpace(name))
		}
	}
	bare = grouping.ReplaceAllString(bare, "")
	for _, m := range regexp.MustCompile(`\b([a-zA-Z_:][a-zA-Z0-9_:]*)(\s*\()?`).FindAllStringSubmatch(bare, -1) {
		switch name := m[1]; {
		case m[2] != "", name == "or", name == "and", name == "unless", name == "bool", name == "up": // a function, an operator; Prometheus's own
		case known[name] == nil:
			problems = append(problems, "no metric "+name)
		}
	}
	return problems
}

func document(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "observability", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// everyMetric lists the metrics that an instance can expose, with their labels: those of one that runs, and
// those that appear only with what a policy asks for. Of a histogram there
// are its series.
func everyMetric(t *testing.T) map[string]map[string]bool {
	t.Helper()
	o := startObserved(t, newUpstream(t), map[string]string{"OTLP_ENDPOINT": newSpanSink(t).URL})
	o.call(t, "/proxy/orders/v1")
	golden, err := os.ReadFile(filepath.Join("..", "observability", "testdata", "exposition.golden"))
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]map[string]bool{}
	for line := range strings.Lines(o.scrape(t) + "\n" + string(golden)) {
		name, rest, _ := strings.Cut(strings.TrimSpace(line), "{")
		if rest == "" {
			name, _, _ = strings.Cut(name, " ")
		}
		if name == "" || name == "#" {
			continue
		}
		if out[name] == nil {
			out[name] = map[string]bool{}
		}
		for _, label := range regexp.MustCompile(`([a-z_]+)="`).FindAllStringSubmatch(rest, -1) {
			out[name][label[1]] = true
		}
	}
	return out
}
