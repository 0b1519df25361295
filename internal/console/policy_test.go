package console

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"switchgear/internal/access"
	"switchgear/internal/runtime"
	connectionsview "switchgear/web/templates/connections"
)

// The form shows each setting once, and what is saved unchanged is the same policy again.
func TestPolicyOfTheFormGoesBothWays(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		raw  string
		want connectionsview.FormView
	}{
		"nothing":    {`{}`, connectionsview.FormView{}},
		"the fields": {`{"attempt_timeout":"1s","retry":{"max_attempts":5},"timeout":"2s"}`, connectionsview.FormView{Timeout: "2s", AttemptTimeout: "1s", MaxAttempts: "5"}},
		"hedging":    {`{"fallback":{"static":{"status":200}},"hedge":{"after":"200ms","max":2}}`, connectionsview.FormView{HedgeAfter: "200ms", Policy: "{\n  \"fallback\": {\n    \"static\": {\n      \"status\": 200\n    }\n  },\n  \"hedge\": {\n    \"max\": 2\n  }\n}"}},
		"fallback":   {`{"fallback":{"connection":"b"},"hedge":{"after":"1s"}}`, connectionsview.FormView{HedgeAfter: "1s", FallbackConnection: "b"}},
		"the rest":   {`{"cache":{"ttl":"30s"}}`, connectionsview.FormView{Policy: "{\n  \"cache\": {\n    \"ttl\": \"30s\"\n  }\n}"}},
		"a check": {
			`{"health_check":{"enabled":false,"every":"1m","expected_status":204,"method":"HEAD","path":"/up","timeout":"2s"}}`,
			connectionsview.FormView{Health: connectionsview.HealthForm{Enabled: "false", Every: "1m", ExpectedStatus: "204", Method: "HEAD", Path: "/up", Timeout: "2s"}},
		},
		"more of a check": {`{"health_check":{"later":1,"path":"/up"}}`, connectionsview.FormView{
			Health: connectionsview.HealthForm{Path: "/up"}, Policy: "{\n  \"health_check\": {\n    \"later\": 1\n  }\n}",
		}},
		"parts of it": {`{"retry":{"budget_ratio":0.1,"max_attempts":2}}`, connectionsview.FormView{MaxAttempts: "2", Policy: "{\n  \"retry\": {\n    \"budget_ratio\": 0.1\n  }\n}"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got connectionsview.FormView
			splitPolicy(&got, json.RawMessage(c.raw))
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
			back, err := policyOf(got)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.raw, string(back)); diff != "" {
				t.Errorf("saved again: %s", diff)
			}
		})
	}
}

func TestPolicyFacts(t *testing.T) {
	t.Parallel()
	said := func(p runtime.Policy) map[string]string {
		out := map[string]string{}
		for _, f := range policyFacts(p) {
			out[f.Key] = f.Value
		}
		return out
	}
	want := map[string]string{
		"Timeout": "30s", "Attempt timeout": "not set", "Attempts": "3", "Hedging": "off", "Rate limits": "none configured", "At once": "100", "Breaker": "on", "Cache": "off", "Fallback": "none",
	}
	if diff := cmp.Diff(want, said(runtime.DefaultPolicy())); diff != "" {
		t.Error(diff)
	}
	p := runtime.DefaultPolicy()
	p.AttemptTimeout, p.Breaker.Enabled, p.Cache.StaleIfError = runtime.Duration(time.Second), false, runtime.Duration(time.Hour)
	p.RateLimits = []runtime.RateLimit{{Requests: 90, Per: runtime.Duration(time.Second)}, {Requests: 1000, Per: runtime.Duration(time.Hour), Scope: runtime.ScopeCredential}}
	p.Fallback.Connection = "backup"
	want["Fallback"] = "connection backup"
	p.Operations, p.Hedge.After = make([]runtime.Operation, 2), runtime.Duration(200*time.Millisecond)
	want["Attempt timeout"], want["Breaker"], want["Cache"], want["Rate limits"], want["Operations"], want["Hedging"] = "1s", "off", "on", "90 per 1s, 1000 per 1h for each account", "2", "after 200ms"
	if diff := cmp.Diff(want, said(p)); diff != "" {
		t.Error(diff)
	}
}

// A test of a credential that nobody answers says what happened, and not that the fault is ours.
func TestCredentialTestWithoutAnswer(t *testing.T) {
	t.Parallel()
	s := newSite(t, "127.0.0.1=127.0.0.0/8:1")
	client := s.signedIn(t, access.RoleOwner)
	status, _, _ := s.submit(t, client, "/connections/new", url.Values{
		"provider": {"generic-rest"}, "name": {"Gone"}, "environment": {"development"}, "kind": {"rest"}, "base_url": {"http://127.0.0.1:1"}, "auth_type": {"none"},
	})
	if status != http.StatusSeeOther {
		t.Fatalf("create: %d", status)
	}
	_, _, page := s.submit(t, client, "/connections/gone/test", nil)
	if !strings.Contains(page, "connection refused") || strings.Contains(page, "our side") || !strings.Contains(page, "Check host and port") {
		t.Error(page)
	}
}

// A search of the catalogue is answered with the list alone.
func TestCatalogueSearchIsAFragment(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	client := s.signedIn(t, access.RoleOwner)
	_, _, page := s.do(t, client, http.MethodGet, "/connections/new?q=stripe", nil, "HX-Request", "true")
	if !strings.HasPrefix(strings.TrimSpace(page), `<div id="providers"`) || !strings.Contains(page, "provider=stripe") || strings.Contains(page, "provider=brevo") {
		t.Error(page)
	}
}

// Whoever finds a connection paused sees who did it, and why; and a call that was rejected says by what.
func TestPauseIsExplained(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	client := s.signedIn(t, access.RoleOwner)
	s.create(t, "stripe", "Stripe")
	for _, why := range []string{"first try", "maintenance of the vendor"} {
		if status, _, _ := s.submit(t, client, "/connections/stripe/pause", url.Values{"reason": {why}}); status != http.StatusSeeOther {
			t.Fatalf("pause: %d", status)
		}
		if _, _, page := s.do(t, client, http.MethodGet, "/connections/stripe", nil); !strings.Contains(page, ": "+why) {
			t.Errorf("%q is missing", why)
		}
		if status, _, _ := s.submit(t, client, "/connections/stripe/resume", url.Values{"reason": {"over"}}); status != http.StatusSeeOther {
			t.Fatalf("resume: %d", status)
		}
	}
	refused := callRow(runtime.Record{Outcome: runtime.OutcomeRejectedLocal, ErrorCode: "BREAKER_OPEN"})
	failed := callRow(runtime.Record{Outcome: runtime.OutcomeTimeout, ErrorCode: "UPSTREAM_TIMEOUT"})
	if refused.Refusal != "BREAKER_OPEN" || failed.Refusal != "" {
		t.Errorf("refusals %q and %q", refused.Refusal, failed.Refusal)
	}
}

// From a connection one comes to a key that may call it, and from the key to a call.
func TestKeyForAConnection(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	client := s.signedIn(t, access.RoleOwner)
	s.create(t, "stripe", "Stripe")
	_, _, page := s.do(t, client, http.MethodGet, "/connections/stripe", nil)
	if !strings.Contains(page, "/keys/new?connections=stripe") {
		t.Error("the connection does not lead to a key")
	}
	_, _, page = s.do(t, client, http.MethodGet, "/keys/new?connections=stripe", nil)
	if !strings.Contains(page, `name="connections" value="stripe"`) {
		t.Error(page)
	}
	pages := keyPages{Console: &Console{cfg: Config{GatewayURL: func() string { return s.URL }}}}
	for scope, want := range map[access.Scope]string{"call:stripe": "/proxy/stripe/", "api:read": "/metrics", "call:*": ""} {
		if got := pages.example(access.Key{Scopes: []access.Scope{scope}}); !strings.HasSuffix(got, want) || (want == "") != (got == "") {
			t.Errorf("%s: %q", scope, got)
		}
	}
	viewer := s.signedIn(t, access.RoleViewer)
	if _, _, page := s.do(t, viewer, http.MethodGet, "/connections/stripe", nil); strings.Contains(page, "/keys/new") {
		t.Error("a viewer is offered what is refused")
	}
}
