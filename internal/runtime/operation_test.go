package runtime_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"switchgear/internal/runtime"
)

func resolve(t *testing.T, policy string) []runtime.OperationPolicy {
	t.Helper()
	p, err := runtime.MergePolicy(runtime.DefaultPolicy(), json.RawMessage(policy))
	if err != nil {
		t.Fatal(err)
	}
	operations, err := p.Resolve()
	if err != nil {
		t.Fatal(err)
	}
	return operations
}

func TestMatchOperation(t *testing.T) {
	operations := resolve(t, `{"operations":[
		{"id":"list","method":"GET","path":"/v1/charges"},
		{"id":"one","method":"GET","path":"/v1/charges/{id}"},
		{"id":"refund","path":"/v1/charges/{id}/refund"},
		{"id":"files","path":"/files/*"},
		{"id":"root","path":"/"}]}`)
	for request, want := range map[string]string{
		"GET v1/charges":              "list",
		"POST v1/charges":             "",
		"GET v1/charges/":             "",
		"GET v1/charges/ch_1":         "one",
		"GET v1/charges/ch%2F1":       "one",
		"GET v1/charges/ch_1/":        "",
		"PUT v1/charges/ch_1/refund":  "refund",
		"GET v1/charges/ch_1/refunds": "",
		"GET files":                   "files",
		"GET files/":                  "files",
		"GET files/a/b/c":             "files",
		"GET filesystem":              "",
		"GET ":                        "root",
		"GET v1":                      "",
	} {
		method, path, _ := cut(request)
		got := ""
		if o := runtime.MatchOperation(operations, method, path); o != nil {
			got = o.ID
		}
		if got != want {
			t.Errorf("%q is %q, want %q", request, got, want)
		}
	}
	if n := testing.AllocsPerRun(100, func() { runtime.MatchOperation(operations, "GET", "files/a/b") }); n != 0 {
		t.Errorf("a match allocates %v times", n)
	}
}

func cut(request string) (method, path string, ok bool) {
	for i := range request {
		if request[i] == ' ' {
			return request[:i], request[i+1:], true
		}
	}
	return request, "", false
}

func TestOperationPolicies(t *testing.T) {
	t.Parallel()
	operations := resolve(t, `{"timeout":"10s","rate_limits":[{"requests":90,"per":"1s"}],"operations":[
		{"id":"a","path":"/a","policy":{"timeout":"2s","bulkhead":{"max_in_flight":1}}},
		{"id":"b","path":"/b","group":"slow","policy":{"rate_limits":[{"requests":1,"per":"1s"}]}}]}`)
	a, b := operations[0], operations[1]
	if a.Effective.Timeout.Std() != 2*time.Second || a.Effective.Bulkhead.MaxInFlight != 1 || !a.OwnBulkhead || a.OwnRateLimits || a.LimitGroup() != "a" {
		t.Errorf("%+v", a)
	}
	if b.Effective.Timeout.Std() != 10*time.Second || !b.OwnRateLimits || b.OwnBulkhead || b.LimitGroup() != "group:slow" || b.Effective.RateLimits[0].Requests != 1 {
		t.Errorf("%+v", b)
	}
	if a.Effective.RateLimits[0].Requests != 90 {
		t.Errorf("an operation changed the limits of another: %+v", a.Effective.RateLimits)
	}
}

func TestExplain(t *testing.T) {
	t.Parallel()
	provider := json.RawMessage(`{"rate_limits":[{"requests":90,"per":"1s"}],"timeout":"20s","cache":null}`)
	own := json.RawMessage(`{"timeout":"10s","breaker":{"min_calls":5}}`)
	p, err := runtime.MergePolicy(runtime.DefaultPolicy(), provider)
	if err != nil {
		t.Fatal(err)
	}
	if p, err = runtime.MergePolicy(p, own); err != nil {
		t.Fatal(err)
	}
	got := map[string]runtime.Setting{}
	for _, s := range runtime.Explain(p, "product", runtime.Layer{Name: "provider", Patch: provider}, runtime.Layer{Name: "connection", Patch: own}) {
		got[s.Path] = s
	}
	for _, want := range []runtime.Setting{
		{"timeout", "10s", "connection"},
		{"rate_limits", `[{"requests":90,"per":"1s"}]`, "provider"},
		{"breaker.min_calls", "5", "connection"},
		{"breaker.enabled", "true", "product"},
		{"cache.ttl", "0s", "product"},
	} {
		if diff := cmp.Diff(want, got[want.Path]); diff != "" {
			t.Error(diff)
		}
	}
}
