package breakers

import (
	"slices"
	"testing"
)

// The policy is folded by protection. What is not as the product has it comes first, and its fold is open.
func TestPolicyIsFoldedByProtection(t *testing.T) {
	t.Parallel()
	v := TabView{Settings: []Setting{
		{"attempt_timeout", "0s", "product"},
		{"breaker.enabled", "true", "product"},
		{"breaker.min_calls", "2", "connection"},
		{"breaker.window", "5s", "operation"},
		{"cache.ttl", "0s", "product"},
		{"operations", "[]", "product"},
		{"rate_limit_wait", "1s", "provider"},
		{"timeout", "30s", "product"},
	}}
	var breaker []string
	protections := v.protections()
	labels := make([]string, 0, len(protections))
	for _, p := range protections {
		labels = append(labels, p.label())
		if p.id == "breaker" {
			for _, s := range p.settings {
				breaker = append(breaker, s.Path)
			}
		}
	}
	if want := []string{
		"Timeouts (as the product has it)", "Cache (as the product has it)", "Breaker (2 of 3 set)", "Rate limits (1 of 1 set)", "Outcomes and operations (as the product has it)",
	}; !slices.Equal(labels, want) {
		t.Errorf("%q", labels)
	}
	if want := []string{"breaker.min_calls", "breaker.window", "breaker.enabled"}; !slices.Equal(breaker, want) {
		t.Errorf("%q", breaker)
	}
}
