package runtime

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Operation is one part of the API of a connection: a method and a pattern of paths.
type Operation struct {
	// ID names it in logs, breakers and metrics; the operationId of a document where there is one.
	ID string `json:"id"`
	// Method is empty for every one.
	Method string `json:"method,omitempty"`
	// Path is below the base URL: /v1/charges/{id}, where {…} stands for one segment, and a last segment
	// of * for the rest.
	Path string `json:"path"`
	// Group shares the rate limits of this operation with the others of the group. Empty: its own.
	Group string `json:"group,omitempty"`
	// Idempotent says that to send a request twice does no more than to send it once, whatever its method:
	// a search by POST, say. Then it is repeated like a GET.
	Idempotent bool `json:"idempotent,omitempty"`
	// Policy is laid over that of the connection.
	Policy json.RawMessage `json:"policy,omitempty"`
}

// OperationPolicy is an operation with the whole policy that its calls have.
type OperationPolicy struct {
	Operation
	Effective Policy
	// OwnRateLimits and OwnBulkhead say that it has limits beside those of the connection.
	OwnRateLimits, OwnBulkhead bool

	// limitGroup names the limits that count its calls apart from others, empty for none.
	limitGroup string
	segments   []string
}

// LimitGroup names whose rate limits the operation has.
func (o OperationPolicy) LimitGroup() string {
	if o.Group != "" {
		return "group:" + o.Group
	}
	return o.ID
}

// Resolve returns the operations of a policy with what is effective for each. It fails as Validate does.
func (p Policy) Resolve() ([]OperationPolicy, error) { return p.operations("policy") }

func (p Policy) operations(root string) ([]OperationPolicy, error) {
	v := validation{root: root}
	if len(p.Operations) > maxOperations {
		v.fail("operations", strconv.Itoa(len(p.Operations)), fmt.Sprintf("There can be at most %d operations.", maxOperations))
	}
	base := p
	base.Operations, base.HealthCheck = nil, HealthCheck{}
	ids, groups := map[string]bool{}, map[string][]RateLimit{}
	out := make([]OperationPolicy, 0, len(p.Operations))
	for i, o := range p.Operations {
		at := fmt.Sprintf("operations[%d]", i)
		v.operation(at, o, ids)
		if v.err != nil {
			return nil, v.err
		}
		effective, err := mergePolicy(root+"."+at+".policy", base, o.Policy, operationFields)
		if err != nil {
			return nil, err
		}
		resolved := OperationPolicy{Operation: o, Effective: effective, segments: segments(o.Path)}
		resolved.OwnRateLimits, resolved.OwnBulkhead = names(o.Policy, "rate_limits"), names(o.Policy, "bulkhead")
		if resolved.OwnRateLimits {
			resolved.Effective.RateLimits = v.ownRateLimits(at, effective.RateLimits)
			effective = resolved.Effective
		}
		if resolved.OwnRateLimits || len(scoped(base.RateLimits, ScopeOperation)) > 0 {
			resolved.limitGroup = resolved.LimitGroup()
		}
		if v.err != nil {
			return nil, v.err
		}
		if o.Group != "" {
			if first, seen := groups[o.Group]; seen && !slices.Equal(first, effective.RateLimits) {
				v.fail(at+".group", o.Group, "The operations of a group share their rate limits, so all of them must have the same.")
				return nil, v.err
			}
			groups[o.Group] = effective.RateLimits
		}
		out = append(out, resolved)
	}
	if v.err != nil {
		return nil, v.err
	}
	return out, nil
}

// ownRateLimits are those of an operation, each with its scope.
func (v *validation) ownRateLimits(at string, limits []RateLimit) []RateLimit {
	at += ".policy.rate_limits"
	v.rateLimits(at, limits, ScopeOperation)
	out := slices.Clone(limits)
	for i := range out {
		if out[i].Scope == ScopeConnection {
			v.fail(fmt.Sprintf("%s[%d].scope", at, i), string(ScopeConnection), "An operation has no limits for the whole connection: set them in the policy of the connection.")
		}
		out[i].Scope = out[i].Scope.or(ScopeOperation)
	}
	return out
}

func (v *validation) operation(at string, o Operation, ids map[string]bool) {
	name := regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._:-]{0,99}$`)
	switch {
	case !name.MatchString(o.ID):
		v.fail(at+".id", clip(o.ID), "Use 1 to 100 letters, digits and the signs . _ : - for the id of an operation.")
	case ids[o.ID]:
		v.fail(at+".id", o.ID, "Another operation has the same id.")
	}
	ids[o.ID] = true
	if o.Method != "" && !regexp.MustCompile(`^[A-Z]{3,20}$`).MatchString(o.Method) {
		v.fail(at+".method", clip(o.Method), "It must be a method in capital letters, such as GET, or be left out.")
	}
	if problem := checkPattern(o.Path); problem != "" {
		v.fail(at+".path", clip(o.Path), problem)
	}
	if o.Group != "" && !name.MatchString(o.Group) {
		v.fail(at+".group", clip(o.Group), "Use 1 to 100 letters, digits and the signs . _ : - for the name of a group.")
	}
}

func checkPattern(path string) string {
	if !strings.HasPrefix(path, "/") || len(path) > 500 || strings.ContainsAny(path, "?#\\ ") {
		return "It must be a path such as /v1/charges/{id}."
	}
	parts := segments(path)
	for i, s := range parts {
		switch {
		case s == "*" && i < len(parts)-1:
			return "A * stands for the rest of the path, so it must be the last segment."
		case s != "*" && strings.Contains(s, "*"), strings.ContainsAny(s, "{}") && !isPlaceholder(s):
			return "A segment is a text, a placeholder such as {id}, or * at the end."
		}
	}
	return ""
}

func isPlaceholder(segment string) bool {
	return len(segment) > 2 && segment[0] == '{' && segment[len(segment)-1] == '}' && !strings.ContainsAny(segment[1:len(segment)-1], "{}")
}

func segments(path string) []string { return strings.Split(strings.TrimPrefix(path, "/"), "/") }

// names reports whether a patch sets a field of its own.
func names(patch json.RawMessage, field string) bool {
	var object map[string]json.RawMessage
	if len(patch) == 0 || json.Unmarshal(patch, &object) != nil {
		return false
	}
	raw, ok := object[field]
	return ok && !isNull(raw)
}

// MatchOperation returns the first operation that a request belongs to, nil when there is none. path is
// as the caller escaped it, without the slash in front. It allocates nothing.
func MatchOperation(operations []OperationPolicy, method, path string) *OperationPolicy {
	for i := range operations {
		o := &operations[i]
		if (o.Method == "" || o.Method == method) && o.matches(path) {
			return o
		}
	}
	return nil
}

func (o *OperationPolicy) matches(path string) bool {
	for i, segment := range o.segments {
		if segment == "*" {
			return true
		}
		head, rest, more := strings.Cut(path, "/")
		if segment[:min(1, len(segment))] == "{" {
			if head == "" {
				return false
			}
		} else if head != segment {
			return false
		}
		if last := i == len(o.segments)-1; last {
			return !more
		}
		if !more {
			// A pattern that ends in /* covers the path above it as well.
			return i == len(o.segments)-2 && o.segments[i+1] == "*"
		}
		path = rest
	}
	return false
}
