package runtime

import (
	"encoding/json"
	"errors"
	"testing"

	"switchgear/internal/fault"
)

func TestHealthCheckOfAPolicy(t *testing.T) {
	t.Parallel()
	p, err := MergePolicy(DefaultPolicy(), json.RawMessage(`{"health_check":{"path":"/v1/account?limit=1","every":"1m"},"operations":[{"id":"a","path":"/a"}]}`))
	if err != nil || !p.HealthCheck.Active() || p.HealthCheck.Method != "GET" {
		t.Fatalf("%+v, %v", p.HealthCheck, err)
	}
	if DefaultPolicy().HealthCheck.Active() {
		t.Error("there is a check without a path")
	}
	operations, err := p.Resolve()
	if err != nil || operations[0].Effective.HealthCheck != (HealthCheck{}) {
		t.Errorf("an operation has a check: %v, %v", operations, err)
	}
	for patch, field := range map[string]string{
		`{"health_check":{"timeout":"2m"}}`:                                    "policy.health_check.timeout",
		`{"health_check":{"expected_status":99}}`:                              "policy.health_check.expected_status",
		`{"health_check":{"every":"9s"}}`:                                      "policy.health_check.every",
		`{"health_check":{"method":"POST"}}`:                                   "policy.health_check.method",
		`{"health_check":{"path":"https://elsewhere.example.com"}}`:            "policy.health_check.path",
		`{"health_check":{"path":"//elsewhere.example.com"}}`:                  "policy.health_check.path",
		`{"health_check":{"path":"/a/../../x"}}`:                               "policy.health_check.path",
		`{"health_check":{"path":"/%2e%2e/x"}}`:                                "policy.health_check.path",
		`{"health_check":{"path":"/%zz"}}`:                                     "policy.health_check.path",
		`{"health_check":{"path":"/v1/{id}"}}`:                                 "policy.health_check.path",
		`{"health_check":{"url":"/"}}`:                                         "policy.health_check.url",
		`{"operations":[{"id":"a","path":"/a","policy":{"health_check":{}}}]}`: "policy.operations[0].policy.health_check",
	} {
		_, err := MergePolicy(DefaultPolicy(), json.RawMessage(patch))
		if e, ok := errors.AsType[*fault.Error](err); !ok || e.Details.Field != field {
			t.Errorf("%s: %v, want %s", patch, err, field)
		}
	}
}
