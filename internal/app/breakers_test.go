package app

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"switchgear/internal/audit"
	"switchgear/internal/breakers"
	"switchgear/internal/connections"
	"switchgear/internal/nettest"
	"switchgear/internal/runtime"
	"switchgear/internal/runtime/breaker"
	"switchgear/internal/telemetry"
)

// A person refuses all calls of a connection, which survives a restart; what a breaker does by itself is
// taken up again as well, and a probe closes it.
func TestBreakersOverARestart(t *testing.T) {
	t.Parallel()
	var broken atomic.Bool
	up := &upstream{Server: httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if broken.Load() {
			w.WriteHeader(http.StatusInternalServerError)
		}
	}))}
	t.Cleanup(up.Close)
	dir, settings := t.TempDir(), map[string]string{"EGRESS_ALLOW": up.egressRule(t)}
	p := startIn(t, dir, settings)
	p.owner(t)
	made, err := Administer(t.Context(), p.cfg, telemetry.Discard(), CreateKey(), KeyCreate{Name: "deploy", Scopes: []string{"api:write", "call:*"}})
	if err != nil {
		t.Fatal(err)
	}
	send := func(method, path, body string) page {
		t.Helper()
		return p.browser(t).do(method, path, "application/json", strings.NewReader(body), "Authorization", "Bearer "+made.Key)
	}
	call := func(want int) {
		t.Helper()
		if got := send(http.MethodGet, "/proxy/orders/v1", ""); got.status != want {
			t.Errorf("call: %d %s, want %d", got.status, got.body, want)
		}
	}
	wantState := func(state string) {
		t.Helper()
		if got := send(http.MethodGet, "/api/v1/connections/orders/breaker", ""); !strings.Contains(got.body, `"state":"`+state+`"`) {
			t.Errorf("not %s: %d %s", state, got.status, got.body)
		}
	}
	command := func(verb, body string) page {
		t.Helper()
		got := send(http.MethodPost, "/api/v1/connections/orders/breaker/"+verb, body)
		if got.status != http.StatusOK {
			t.Fatalf("%s: %d %s", verb, got.status, got.body)
		}
		return got
	}
	if got := send(http.MethodPost, "/api/v1/connections", `{"name":"Orders","slug":"orders","provider":"stripe","base_url":"`+up.URL+`",
		"auth":{"type":"bearer","fields":{"token":"sk_test_1"}},
		"policy":{"retry":{"max_attempts":1},"breaker":{"min_calls":2,"open_for":"1h","half_open_calls":1}}}`); got.status != http.StatusCreated {
		t.Fatalf("create: %d %s", got.status, got.body)
	}
	call(http.StatusOK)
	command("force-open", `{"reason":"maintenance of the vendor"}`)
	call(http.StatusServiceUnavailable)
	if got := send(http.MethodGet, "/api/v1/connections/orders/breaker", ""); !strings.Contains(got.body, `"refused":1`) || !strings.Contains(got.body, `"calls":1,"of":20`) {
		t.Errorf("what became of the call after the command: %s", got.body)
	}

	p.stop(t)
	p = startIn(t, dir, settings)
	wantState("forced_open")
	call(http.StatusServiceUnavailable)
	command("auto", `{"reason":"the vendor is back"}`)
	call(http.StatusOK)

	broken.Store(true)
	for range 3 {
		send(http.MethodGet, "/proxy/orders/v1", "")
	}
	wantState("open")
	p.stop(t)
	p = startIn(t, dir, settings)
	wantState("open")
	call(http.StatusServiceUnavailable)
	broken.Store(false)
	if got := command("probe", `{"reason":"it looks well"}`); !strings.Contains(got.body, `"status":200,"outcome":"success"`) || !strings.Contains(got.body, `"path":"/v1/`) {
		t.Errorf("probe: %s", got.body)
	}
	wantState("closed")
	call(http.StatusOK)

	entries, err := p.core.audit.Search(t.Context(), audit.Query{Target: "orders", Limit: 100})
	if err != nil {
		t.Fatal(err)
	}
	var actions []string
	for _, e := range entries.Entries {
		if strings.HasPrefix(e.Action, "breaker.") {
			actions = append(actions, e.Action)
		}
	}
	if got := strings.Join(actions, " "); got != "breaker.probe breaker.auto breaker.force-open" {
		t.Errorf("audit: %s", got)
	}
}

// Where there is nothing to ask, or an upstream does not answer, the command is carried out all the same and
// says so.
func TestProbeWithoutAnAnswer(t *testing.T) {
	t.Parallel()
	up := newUpstream(t)
	p := start(t, map[string]string{"EGRESS_ALLOW": up.egressRule(t)})
	p.owner(t)
	for _, tt := range []struct {
		slug, provider, operation string
		check                     string // of the policy
		up                        func()
		want                      breakers.ProbeResult
	}{
		{"plain", "generic-rest", "", "", nil, breakers.ProbeResult{Error: "Neither the policy nor the provider names a health path, so no request was sent. The next calls are the probes."}},
		{"other", "stripe", "charge", "", nil, breakers.ProbeResult{
			Error: "The health path does not belong to this operation, so no request was sent. The next calls are the probes.",
		}},
		{"own", "generic-rest", "", `"health_check":{"path":"/ping"},`, nil, breakers.ProbeResult{Method: "GET", Path: "/ping", Status: 401, Outcome: runtime.OutcomeUnauthenticated}},
		{"refused", "stripe", "", "", nil, breakers.ProbeResult{Method: "GET", Path: "/v1/balance", Status: 401, Outcome: runtime.OutcomeUnauthenticated}},
		{"silent", "stripe", "", "", func() { nettest.Silence(t, up.Server) }, breakers.ProbeResult{
			Method: "GET", Path: "/v1/balance", Status: 502, Outcome: runtime.OutcomeConnectFailed, Error: "The upstream could not be reached; nothing was sent.",
		}},
	} {
		_, err := p.core.connections.Create(t.Context(), admin(), connections.Draft{
			Name: tt.slug, Slug: tt.slug, Provider: tt.provider, BaseURL: up.URL, Auth: connections.Auth{Type: "bearer", Fields: map[string]string{"token": "wrong"}},
			Policy: json.RawMessage(`{` + tt.check + `"retry":{"max_attempts":1},"operations":[{"id":"charge","method":"POST","path":"/v1/charges"}]}`),
		}, "")
		if err != nil {
			t.Fatal(err)
		}
		if tt.up != nil {
			tt.up()
		}
		order := breakers.Order{Reason: "test"}
		if _, err := p.core.breakers.Command(t.Context(), admin(), tt.slug, tt.operation, breakers.Trip, order); err != nil {
			t.Fatal(err)
		}
		done, err := p.core.breakers.Command(t.Context(), admin(), tt.slug, tt.operation, breakers.Probe, order)
		if err != nil || done.Probe == nil {
			t.Errorf("%s: %v", tt.slug, err)
			continue
		}
		got := *done.Probe
		got.RequestID, got.Duration = "", 0
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s: %s", tt.slug, diff)
		}
	}
}

// A process that is killed the moment a command is acknowledged has not lost it.
func TestKilledAfterACommand(t *testing.T) {
	t.Parallel()
	up := newUpstream(t)
	dir := t.TempDir()
	cmd, _, setUp := startChild(t, dir, up.egressRule(t))
	cfg, err := childConfig(dir, up.egressRule(t))
	if err != nil {
		t.Fatal(err)
	}
	made, err := Administer(t.Context(), cfg, telemetry.Discard(), CreateKey(), KeyCreate{Name: "deploy", Scopes: []string{"api:write"}})
	if err != nil {
		t.Fatal(err)
	}
	client := newBrowser(t, "http://"+setUp.Host)
	for _, request := range []struct {
		path, body string
		status     int
	}{
		{"/api/v1/connections", `{"name":"Orders","slug":"orders","base_url":"` + up.URL + `","auth":{"type":"none"}}`, http.StatusCreated},
		{"/api/v1/connections/orders/breaker/force-open", `{"reason":"maintenance"}`, http.StatusOK},
	} {
		got := client.do(http.MethodPost, request.path, "application/json", strings.NewReader(request.body), "Authorization", "Bearer "+made.Key)
		if got.status != request.status {
			t.Fatalf("%s: %d %s", request.path, got.status, got.body)
		}
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err == nil {
		t.Error("the child ended by itself")
	}

	p := startIn(t, dir, map[string]string{"EGRESS_ALLOW": up.egressRule(t)})
	d, err := p.core.breakers.Get(t.Context(), admin(), "orders")
	if err != nil || d.Connection.State != breaker.StateForcedOpen || d.Connection.Snapshot.Lease.Reason != "maintenance" {
		t.Errorf("after the kill: %s, %+v, %v", d.Connection.State, d.Connection.Snapshot.Lease, err)
	}
}
