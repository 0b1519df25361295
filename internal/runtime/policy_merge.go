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
// as it is in base; lists are replaced as a whole. A field that does not exist is an error, so that
// a typing mistake cannot pass for protection. The result is validated. Errors are fault.Invalid with the
// path of the field; base is never changed.
func MergePolicy(base Policy, patch json.RawMessage) (Policy, error) {
	return mergePolicy("policy", base, patch, policyFields)
}

func mergePolicy(root string, base Policy, patch json.RawMessage, names func(*Policy) fields) (Policy, error) {
	p := base
	p.RateLimits, p.Outcomes, p.Operations = slices.Clone(base.RateLimits), slices.Clone(base.Outcomes), slices.Clone(base.Operations)
	if len(bytes.TrimSpace(patch)) > 0 {
		if err := mergeObject(root, patch, names(&p)); err != nil {
			return Policy{}, err
		}
	}
	if err := p.validate(root); err != nil {
		return Policy{}, err
	}
	return p, nil
}

// fields maps a name to where its value goes: a nested fields, a list, or a pointer.
type fields map[string]any

// policyFields are those of a connection.
func policyFields(p *Policy) fields {
	f := operationFields(p)
	f["health_check"] = fields{
		"enabled": &p.HealthCheck.Enabled, "every": &p.HealthCheck.Every, "method": &p.HealthCheck.Method, "path": &p.HealthCheck.Path,
		"timeout": &p.HealthCheck.Timeout, "expected_status": &p.HealthCheck.ExpectedStatus,
	}
	f["rate_limit_dialect"], f["rate_limit_reserve"] = &p.RateLimitDialect, &p.RateLimitReserve
	f["rate_limit_hold"], f["rate_limit_max_hold"] = &p.RateLimitHold, &p.RateLimitMaxHold
	f["operations"] = list[Operation]{&p.Operations, func(o *Operation) fields {
		return fields{"id": &o.ID, "method": &o.Method, "path": &o.Path, "group": &o.Group, "idempotent": &o.Idempotent, "policy": &o.Policy}
	}}
	return f
}

// operationFields are those that an operation may have of its own.
func operationFields(p *Policy) fields {
	return fields{
		"timeout":         &p.Timeout,
		"attempt_timeout": &p.AttemptTimeout,
		"retry": fields{
			"max_attempts": &p.Retry.MaxAttempts, "base_delay": &p.Retry.BaseDelay, "max_delay": &p.Retry.MaxDelay,
			"budget_ratio": &p.Retry.BudgetRatio, "idempotency_key": &p.Retry.IdempotencyKey,
		},
		"hedge": fields{"after": &p.Hedge.After, "max": &p.Hedge.Max},
		"rate_limits": list[RateLimit]{&p.RateLimits, func(l *RateLimit) fields {
			return fields{"requests": &l.Requests, "per": &l.Per, "scope": &l.Scope}
		}},
		"rate_limit_wait": &p.RateLimitWait,
		"breaker": fields{
			"enabled": &p.Breaker.Enabled, "failure_ratio": &p.Breaker.FailureRatio, "consecutive_failures": &p.Breaker.ConsecutiveFailures,
			"min_calls": &p.Breaker.MinCalls, "window": &p.Breaker.Window, "open_for": &p.Breaker.OpenFor, "max_open_for": &p.Breaker.MaxOpenFor,
			"half_open_calls": &p.Breaker.HalfOpenCalls, "slow_call": &p.Breaker.SlowCall, "slow_ratio": &p.Breaker.SlowRatio, "ramp": &p.Breaker.Ramp,
		},
		"bulkhead": fields{"max_in_flight": &p.Bulkhead.MaxInFlight, "max_wait": &p.Bulkhead.MaxWait},
		"cache": fields{
			"ttl": &p.Cache.TTL, "stale_if_error": &p.Cache.StaleIfError, "stale_while_revalidate": &p.Cache.StaleWhileRevalidate,
		},
		"fallback": fields{
			"static": fields{
				"status": &p.Fallback.Static.Status, "content_type": &p.Fallback.Static.ContentType, "body": &p.Fallback.Static.Body,
			},
			"connection": &p.Fallback.Connection,
		},
		"outcomes": list[OutcomeRule]{&p.Outcomes, func(r *OutcomeRule) fields {
			return fields{"status": &r.Status, "body_contains": &r.BodyContains, "outcome": &r.Outcome}
		}},
	}
}

// list is a list of objects; it is replaced as a whole.
type list[T any] struct {
	to     *[]T
	fields func(*T) fields
}

type mergeable interface {
	merge(path string, raw json.RawMessage) error
}

func (l list[T]) merge(path string, raw json.RawMessage) error {
	var objects []json.RawMessage
	if err := json.Unmarshal(raw, &objects); err != nil {
		return fault.Field(codeInvalidPolicy, path, "It must be a list.")
	}
	items := make([]T, len(objects))
	for i := range objects {
		if err := mergeObject(fmt.Sprintf("%s[%d]", path, i), objects[i], l.fields(&items[i])); err != nil {
			return err
		}
	}
	*l.to = items
	return nil
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
	case mergeable:
		return target.merge(field, raw)
	case *json.RawMessage:
		*target = slices.Clone(raw)
		return nil
	case *bool:
		if err := json.Unmarshal(raw, target); err != nil {
			return fault.Field(codeInvalidPolicy, field, "It must be true or false.").WithValue(clip(string(raw)))
		}
		return nil
	case *string:
		if err := json.Unmarshal(raw, target); err != nil {
			return fault.Field(codeInvalidPolicy, field, "It must be a text.").WithValue(clip(string(raw)))
		}
		return nil
	case *Outcome:
		return mergeValue(field, raw, (*string)(target))
	case *LimitScope:
		return mergeValue(field, raw, (*string)(target))
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
