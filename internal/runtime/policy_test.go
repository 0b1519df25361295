package runtime_test

import (
	"encoding/json"
	"errors"
	"math"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"switchgear/internal/fault"
	"switchgear/internal/runtime"
)

const printed = `{"timeout":"10s","retry":{"max_attempts":3},"rate_limits":[{"requests":90,"per":"1s"}],
	"breaker":{"failure_ratio":0.5,"min_calls":20,"window":"60s","open_for":"30s","half_open_calls":3},
	"bulkhead":{"max_in_flight":25},"cache":{"ttl":"0s","stale_if_error":"10m"}}`

func seconds(n int) runtime.Duration { return runtime.Duration(time.Duration(n) * time.Second) }

func TestMergePolicy(t *testing.T) {
	t.Parallel()
	whole := runtime.DefaultPolicy()
	whole.Timeout, whole.Bulkhead.MaxInFlight, whole.Cache.StaleIfError = seconds(10), 25, seconds(600)
	whole.RateLimits = []runtime.RateLimit{{Requests: 90, Per: seconds(1)}}
	changed := func(change func(*runtime.Policy)) runtime.Policy {
		p := whole
		p.RateLimits = append([]runtime.RateLimit(nil), whole.RateLimits...)
		change(&p)
		return p
	}
	got, err := runtime.MergePolicy(runtime.DefaultPolicy(), json.RawMessage(printed))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(whole, got); diff != "" {
		t.Fatalf("the printed policy (-want +got):\n%s", diff)
	}
	for patch, want := range map[string]runtime.Policy{
		``:                                  whole,
		`  `:                                whole,
		`{}`:                                whole,
		`null`:                              whole,
		`{"retry":null,"rate_limits":null}`: whole,
		`{"timeout":"1m30s"}`:               changed(func(p *runtime.Policy) { p.Timeout = seconds(90) }),
		`{"attempt_timeout":"2s"}`:          changed(func(p *runtime.Policy) { p.AttemptTimeout = seconds(2) }),
		`{"breaker":{"enabled":false}}`:     changed(func(p *runtime.Policy) { p.Breaker.Enabled = false }),
		`{"retry":{"idempotency_key":"Idempotency-Key"}}`: changed(func(p *runtime.Policy) { p.Retry.IdempotencyKey = "Idempotency-Key" }),
		`{"outcomes":[{"status":409,"outcome":"success"}]}`: changed(func(p *runtime.Policy) {
			p.Outcomes = []runtime.OutcomeRule{{Status: 409, Outcome: runtime.OutcomeSuccess}}
		}),
		`{"operations":[{"id":"charge","method":"POST","path":"/v1/charges","policy":{"timeout":"3s"}}]}`: changed(func(p *runtime.Policy) {
			p.Operations = []runtime.Operation{{ID: "charge", Method: "POST", Path: "/v1/charges", Policy: json.RawMessage(`{"timeout":"3s"}`)}}
		}),
		`{"breaker":{"failure_ratio":1}}`: changed(func(p *runtime.Policy) { p.Breaker.FailureRatio = 1 }),
		`{"rate_limits":[]}`:              changed(func(p *runtime.Policy) { p.RateLimits = []runtime.RateLimit{} }),
		`{"rate_limits":[{"requests":1,"per":"1m"},{"requests":5,"per":"24h"}]}`: changed(func(p *runtime.Policy) {
			p.RateLimits = []runtime.RateLimit{{Requests: 1, Per: seconds(60)}, {Requests: 5, Per: seconds(86400)}}
		}),
	} {
		got, err := runtime.MergePolicy(whole, json.RawMessage(patch))
		if err != nil {
			t.Errorf("%s: %v", patch, err)
			continue
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", patch, diff)
		}
		if len(got.RateLimits) > 0 {
			got.RateLimits[0].Requests = -1
			if whole.RateLimits[0].Requests != 90 {
				t.Fatalf("%s: the merged policy shares memory with its base", patch)
			}
		}
	}
	written, err := json.Marshal(whole)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := runtime.MergePolicy(runtime.DefaultPolicy(), written); err != nil || !cmp.Equal(whole, again) {
		t.Errorf("%s reads back as %+v, %v", written, again, err)
	}
}

func TestMergePolicyRefuses(t *testing.T) {
	t.Parallel()
	for patch, field := range map[string]string{
		`[]`:                                                "policy",
		`{`:                                                 "policy",
		`{"timeout":"10s"} {}`:                              "policy",
		`{"tiemout":"10s"}`:                                 "policy.tiemout",
		`{"Timeout":"10s"}`:                                 "policy.Timeout",
		`{"timeout":10}`:                                    "policy.timeout",
		`{"timeout":"10"}`:                                  "policy.timeout",
		`{"timeout":"0s"}`:                                  "policy.timeout",
		`{"timeout":"-1s"}`:                                 "policy.timeout",
		`{"timeout":"2h"}`:                                  "policy.timeout",
		`{"attempt_timeout":"1us"}`:                         "policy.attempt_timeout",
		`{"retry":3}`:                                       "policy.retry",
		`{"retry":{"max_attempts":0}}`:                      "policy.retry.max_attempts",
		`{"retry":{"max_attempts":1.5}}`:                    "policy.retry.max_attempts",
		`{"retry":{"max_attempts":"3"}}`:                    "policy.retry.max_attempts",
		`{"retry":{"max":3}}`:                               "policy.retry.max",
		`{"rate_limits":{}}`:                                "policy.rate_limits",
		`{"rate_limits":[{"requests":1}]}`:                  "policy.rate_limits[0].per",
		`{"rate_limits":[{"per":"1s"}]}`:                    "policy.rate_limits[0].requests",
		`{"rate_limits":[{"reqs":1}]}`:                      "policy.rate_limits[0].reqs",
		`{"rate_limits":[1]}`:                               "policy.rate_limits[0]",
		`{"hedge":{"after":"2h"}}`:                          "policy.hedge.after",
		`{"hedge":{"after":"200ms","max":0}}`:               "policy.hedge.max",
		`{"hedge":{"max":4}}`:                               "policy.hedge.max",
		`{"hedge":"200ms"}`:                                 "policy.hedge",
		`{"fallback":{"static":{"body":"[]"}}}`:             "policy.fallback.static.status",
		`{"fallback":{"static":{"status":100}}}`:            "policy.fallback.static.status",
		`{"fallback":{"static":{"status":204,"body":"x"}}}`: "policy.fallback.static.body",
		`{"fallback":{"static":{"status":200,"content_type":"a b"}}}`:                                "policy.fallback.static.content_type",
		`{"fallback":{"static":{"status":200,"header":{}}}}`:                                         "policy.fallback.static.header",
		`{"fallback":{"connection":"Not a slug"}}`:                                                   "policy.fallback.connection",
		`{"rate_limit_dialect":"klingon"}`:                                                           "policy.rate_limit_dialect",
		`{"rate_limit_reserve":-1}`:                                                                  "policy.rate_limit_reserve",
		`{"rate_limit_hold":"operation"}`:                                                            "policy.rate_limit_hold",
		`{"rate_limit_max_hold":"0s"}`:                                                               "policy.rate_limit_max_hold",
		`{"rate_limits":[{"requests":1,"per":"1s","scope":"planet"}]}`:                               "policy.rate_limits[0].scope",
		`{"rate_limits":[{"requests":1,"per":"1s"},{"requests":1,"per":"1s","scope":"connection"}]}`: "policy.rate_limits[1].per",
		`{"operations":[{"id":"a","path":"/a","policy":{"rate_limits":[{"requests":1,"per":"1s","scope":"connection"}]}}]}`:                          "policy.operations[0].policy.rate_limits[0].scope",
		`{"operations":[{"id":"a","path":"/a","policy":{"rate_limits":[{"requests":1,"per":"1s"},{"requests":1,"per":"1s","scope":"operation"}]}}]}`: "policy.operations[0].policy.rate_limits[1].per",
		`{"operations":[{"id":"a","path":"/a","policy":{"rate_limit_hold":"credential"}}]}`:                                                          "policy.operations[0].policy.rate_limit_hold",
		`{"breaker":{"failure_ratio":0}}`:                                       "policy.breaker.failure_ratio",
		`{"breaker":{"failure_ratio":1.01}}`:                                    "policy.breaker.failure_ratio",
		`{"breaker":{"failure_ratio":true}}`:                                    "policy.breaker.failure_ratio",
		`{"breaker":{"min_calls":0}}`:                                           "policy.breaker.min_calls",
		`{"breaker":{"window":"1ms"}}`:                                          "policy.breaker.window",
		`{"breaker":{"open_for":"0s"}}`:                                         "policy.breaker.open_for",
		`{"breaker":{"half_open_calls":0}}`:                                     "policy.breaker.half_open_calls",
		`{"bulkhead":{"max_in_flight":0}}`:                                      "policy.bulkhead.max_in_flight",
		`{"cache":{"ttl":"-1s"}}`:                                               "policy.cache.ttl",
		`{"cache":{"stale_if_error":"10 years"}}`:                               "policy.cache.stale_if_error",
		`{"rate_limits":[{"requests":1,"per":"1s"},{"requests":2,"per":"1s"}]}`: "policy.rate_limits[1].per",
		`{"breaker":{"enabled":"yes"}}`:                                         "policy.breaker.enabled",
		`{"breaker":{"slow_ratio":0}}`:                                          "policy.breaker.slow_ratio",
		`{"retry":{"budget_ratio":1.5}}`:                                        "policy.retry.budget_ratio",
		`{"retry":{"idempotency_key":"Authorization"}}`:                         "policy.retry.idempotency_key",
		`{"retry":{"idempotency_key":"a b"}}`:                                   "policy.retry.idempotency_key",
		`{"bulkhead":{"max_wait":"6m"}}`:                                        "policy.bulkhead.max_wait",
		`{"outcomes":[{"status":99,"outcome":"success"}]}`:                      "policy.outcomes[0].status",
		`{"outcomes":[{"status":409,"outcome":"fine"}]}`:                        "policy.outcomes[0].outcome",
		`{"outcomes":[{"status":409,"outcome":"canceled"}]}`:                    "policy.outcomes[0].outcome",
		`{"operations":{}}`:                                                     "policy.operations",
		`{"operations":[{"path":"/a"}]}`:                                        "policy.operations[0].id",
		`{"operations":[{"id":"a","path":"a"}]}`:                                "policy.operations[0].path",
		`{"operations":[{"id":"a","path":"/*/a"}]}`:                             "policy.operations[0].path",
		`{"operations":[{"id":"a","path":"/{a}b"}]}`:                            "policy.operations[0].path",
		`{"operations":[{"id":"a","path":"/a","method":"get"}]}`:                "policy.operations[0].method",
		`{"operations":[{"id":"a","path":"/a"},{"id":"a","path":"/b"}]}`:        "policy.operations[1].id",
		`{"operations":[{"id":"a","path":"/a","policy":{"timeout":"0s"}}]}`:     "policy.operations[0].policy.timeout",
		`{"operations":[{"id":"a","path":"/a","policy":{"operations":[]}}]}`:    "policy.operations[0].policy.operations",
		`{"operations":[{"id":"a","path":"/a","group":"g","policy":{"rate_limits":[{"requests":1,"per":"1s"}]}},{"id":"b","path":"/b","group":"g"}]}`: "policy.operations[1].group",
	} {
		_, err := runtime.MergePolicy(runtime.DefaultPolicy(), json.RawMessage(patch))
		e, ok := errors.AsType[*fault.Error](err)
		if !ok || e.Kind != fault.Invalid || e.Details.Field != field {
			t.Errorf("%s: %v, want fault.Invalid on %s", patch, err, field)
		}
	}
}

func TestValidate(t *testing.T) {
	t.Parallel()
	if err := runtime.DefaultPolicy().Validate(); err != nil {
		t.Error(err)
	}
	if err := (runtime.Policy{}).Validate(); !fault.Is(err, fault.Invalid) {
		t.Errorf("the zero policy: %v", err)
	}
	p := runtime.DefaultPolicy()
	p.Breaker.FailureRatio = math.NaN()
	if err := p.Validate(); err == nil {
		t.Error("NaN passes")
	}
	p = runtime.DefaultPolicy()
	for n := range 9 {
		p.RateLimits = append(p.RateLimits, runtime.RateLimit{Requests: 1, Per: seconds(n + 1)})
	}
	if err := p.Validate(); err == nil {
		t.Error("nine rate limits pass")
	}
}

func TestDuration(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{"10s": "10s", "60s": "1m", "600s": "10m", "3600s": "1h", "90m": "1h30m", "1h0m5s": "1h0m5s", "250ms": "250ms", "0": "0s"} {
		d, err := runtime.ParseDuration(text)
		if err != nil || d.String() != want {
			t.Errorf("%s = %s, %v; want %s", text, d, err, want)
		}
		if again, err := runtime.ParseDuration(d.String()); err != nil || again != d {
			t.Errorf("%s reads back as %s, %v", d, again, err)
		}
	}
	for _, text := range []string{"", "10", "10 s", "ten"} {
		if _, err := runtime.ParseDuration(text); err == nil {
			t.Errorf("%q is accepted", text)
		}
	}
}
