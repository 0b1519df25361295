package runtime_test

import (
	"testing"
	"time"

	"switchgear/internal/runtime"
)

// What bounds the calls of a connection is shown from when its policy holds until it is forgotten.
func TestProtectionState(t *testing.T) {
	t.Parallel()
	p := idleProtections(t)
	if s, ok := p.State("con_1"); ok {
		t.Errorf("unknown, and yet %+v", s)
	}
	policy := runtime.DefaultPolicy()
	policy.RateLimits = []runtime.RateLimit{{Requests: 50, Per: runtime.Duration(time.Second)}}
	policy.Bulkhead.MaxInFlight = 7
	if err := p.Apply(runtime.PolicySet{ConnectionID: "con_1", Version: 1, Policy: policy}); err != nil {
		t.Fatal(err)
	}
	s, ok := p.State("con_1")
	if !ok || len(s.Limits.Scopes) != 1 || s.Limits.Scopes[0].Windows[0].Requests != 50 || s.Bulkhead.Limit != 7 || s.Retries.MostRepeating == 0 || s.Cache.Connection != "con_1" {
		t.Errorf("%t, %+v", ok, s)
	}
	p.Forget("con_1")
	if s, ok := p.State("con_1"); ok {
		t.Errorf("forgotten, and yet %+v", s)
	}
}
