package runtime

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"switchgear/internal/fault"
)

const codeInvalidPolicy = "INVALID_POLICY"

// MergePolicy lays a partial policy over base: what patch does not name, and what it names as null, stays
// as it is in base; rate_limits are replaced as a whole. A field that does not exist is an error, so that
// a typing mistake cannot pass for protection. The result is validated. Errors are fault.Invalid with the
// path of the field; base is never changed.
func MergePolicy(base Policy, patch json.RawMessage) (Policy, error) {
	p := base
	p.RateLimits = slices.Clone(base.RateLimits)
	if len(bytes.TrimSpace(patch)) > 0 {
		if err := mergeObject("policy", patch, policyFields(&p)); err != nil {
			return Policy{}, err
		}
	}
	if err := p.Validate(); err != nil {
		return Policy{}, err
	}
	return p, nil
}

// fields maps a name to where its value goes: a nested fields, or a pointer.
type fields map[string]any

func policyFields(p *Policy) fields {
	return fields{
		"timeout":         &p.Timeout,
		"attempt_timeout": &p.AttemptTimeout,
		"retry":           fields{"max_attempts": &p.Retry.MaxAttempts},
		"rate_limits":     &p.RateLimits,
		"breaker": fields{
			"failure_ratio": &p.Breaker.FailureRatio, "min_calls": &p.Breaker.MinCalls, "window": &p.Breaker.Window,
			"open_for": &p.Breaker.OpenFor, "half_open_calls": &p.Breaker.HalfOpenCalls,
		},
		"bulkhead": fields{"max_in_flight": &p.Bulkhead.MaxInFlight},
		"cache":    fields{"ttl": &p.Cache.TTL, "stale_if_error": &p.Cache.StaleIfError},
	}
}

func mergeObject(path string, raw json.RawMessage, into fields) error {
	if isNull(raw) {
		return nil
	}
	var object map[string]json.RawMessage
	if err := json.Unmarshal(raw, &object); err != nil {
		return fault.Field(codeInvalidPolicy, path, "It must be a JSON object.")
	}
	for _, name := range slices.Sorted(maps.Keys(object)) {
		field := path + "." + name
		target, ok := into[name]
		if !ok {
			return fault.Field("UNKNOWN_FIELD", field, fmt.Sprintf("There is no field %q here.", clip(name))).
				WithSuggestion("Known fields: " + strings.Join(slices.Sorted(maps.Keys(into)), ", ") + ".")
		}
		if err := mergeValue(field, object[name], target); err != nil {
			return err
		}
	}
	return nil
}

func mergeValue(field string, raw json.RawMessage, target any) error {
	if isNull(raw) {
		return nil
	}
	switch target := target.(type) {
	case fields:
		return mergeObject(field, raw, target)
	case *[]RateLimit:
		var list []json.RawMessage
		if err := json.Unmarshal(raw, &list); err != nil {
			return fault.Field(codeInvalidPolicy, field, "It must be a list.")
		}
		limits := make([]RateLimit, len(list))
		for i := range list {
			at := fmt.Sprintf("%s[%d]", field, i)
			if err := mergeObject(at, list[i], fields{"requests": &limits[i].Requests, "per": &limits[i].Per}); err != nil {
				return err
			}
		}
		*target = limits
		return nil
	case *Duration:
		if err := target.UnmarshalJSON(raw); err != nil {
			return fault.Field(codeInvalidPolicy, field, "It "+err.Error()+".").WithValue(clip(string(raw)))
		}
		return nil
	case *int:
		if err := json.Unmarshal(raw, target); err != nil {
			return fault.Field(codeInvalidPolicy, field, "It must be a whole number.").WithValue(clip(string(raw)))
		}
		return nil
	case *float64:
		if err := json.Unmarshal(raw, target); err != nil {
			return fault.Field(codeInvalidPolicy, field, "It must be a number.").WithValue(clip(string(raw)))
		}
		return nil
	}
	return fmt.Errorf("runtime: no way to merge %s into %T", field, target)
}

func isNull(raw json.RawMessage) bool { return string(bytes.TrimSpace(raw)) == "null" }

func clip(s string) string {
	const most = 100
	if len(s) > most {
		return strings.ToValidUTF8(s[:most], "") + "…"
	}
	return s
}
