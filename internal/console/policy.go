package console

import (
	"encoding/json"
	"strconv"
	"strings"

	"switchgear/internal/runtime"
	connectionsview "switchgear/web/templates/connections"
)

// policyFacts are the protections in force, in a few words.
func policyFacts(p runtime.Policy) []connectionsview.Fact {
	attempt, attemptHint := "not set", "only the timeout counts"
	if p.AttemptTimeout > 0 {
		attempt, attemptHint = p.AttemptTimeout.String(), "until the headers of the answer"
	}
	out := []connectionsview.Fact{
		{Key: "Timeout", Value: p.Timeout.String(), Hint: "of a whole call"},
		{Key: "Attempt timeout", Value: attempt, Hint: attemptHint},
		{Key: "Attempts", Value: strconv.Itoa(p.Retry.MaxAttempts), Hint: "at most, the first included"},
		{Key: "Hedging", Value: "off"},
		{Key: "Rate limits", Value: rateLimits(p.RateLimits), Hint: "beside what the vendor's answers tell"},
		{Key: "At once", Value: strconv.Itoa(p.Bulkhead.MaxInFlight), Hint: "calls under way"},
		{Key: "Breaker", Value: "off", Hint: "failing calls are never kept back"},
		{Key: "Cache", Value: "off"},
		{Key: "Fallback", Value: "none", Hint: "a failure is answered as it is"},
	}
	if p.Hedge.After > 0 {
		out[3].Value, out[3].Hint = "after "+p.Hedge.After.String(), "a slow read is sent once more, and the first answer counts"
	}
	if p.Breaker.Enabled {
		out[6].Value = "on"
		out[6].Hint = "opens when " + percent(100*p.Breaker.FailureRatio) + " of at least " + strconv.Itoa(p.Breaker.MinCalls) + " calls in " + p.Breaker.Window.String() + " fail"
	}
	if c := p.Cache; c.TTL > 0 || c.StaleIfError > 0 || c.StaleWhileRevalidate > 0 {
		out[7].Value = "on"
		out[7].Hint = "reads, fresh for " + c.TTL.String()
		if c.StaleIfError > 0 {
			out[7].Hint += "; stands in for an upstream that fails for " + c.StaleIfError.String() + " more"
		}
	}
	switch f := p.Fallback; {
	case f.Static.Status > 0:
		out[8].Value, out[8].Hint = "answer "+strconv.Itoa(f.Static.Status), "stands in when the upstream fails and the cache has nothing"
	case f.Connection != "":
		out[8].Value, out[8].Hint = "connection "+f.Connection, "is asked when the upstream fails and the cache has nothing"
	}
	if len(p.Operations) > 0 {
		out = append(out, connectionsview.Fact{Key: "Operations", Value: strconv.Itoa(len(p.Operations)), Hint: "with a policy of their own"})
	}
	return out
}

func rateLimits(limits []runtime.RateLimit) string {
	if len(limits) == 0 {
		return "none configured"
	}
	out := make([]string, len(limits))
	for i, l := range limits {
		out[i] = strconv.Itoa(l.Requests) + " per " + l.Per.String()
		switch l.Scope {
		case runtime.ScopeCredential:
			out[i] += " for each account"
		case runtime.ScopeOperation:
			out[i] += " for each operation"
		case runtime.ScopeConnection, "":
		}
	}
	return strings.Join(out, ", ")
}

// splitPolicy puts the settings that have a field of their own into it; what is left stays JSON. So the
// form shows each value once, and an emptied field goes back to the default.
func splitPolicy(view *connectionsview.FormView, raw json.RawMessage) {
	var policy map[string]any
	if err := json.Unmarshal(raw, &policy); err != nil {
		view.Policy = string(raw)
		return
	}
	if text, ok := policy["timeout"].(string); ok {
		view.Timeout = text
		delete(policy, "timeout")
	}
	if text, ok := policy["attempt_timeout"].(string); ok {
		view.AttemptTimeout = text
		delete(policy, "attempt_timeout")
	}
	view.HedgeAfter = takeText(policy, "hedge", "after")
	view.FallbackConnection = takeText(policy, "fallback", "connection")
	if retry, ok := policy["retry"].(map[string]any); ok {
		if n, ok := retry["max_attempts"].(float64); ok {
			view.MaxAttempts = strconv.Itoa(int(n))
			delete(retry, "max_attempts")
		}
		if len(retry) == 0 {
			delete(policy, "retry")
		}
	}
	splitHealth(&view.Health, policy)
	view.Policy = prettyPolicy(policy)
}

// takeText takes a text out of a part of a policy.
func takeText(policy map[string]any, part, name string) string {
	object, ok := policy[part].(map[string]any)
	if !ok {
		return ""
	}
	text, ok := object[name].(string)
	if !ok {
		return ""
	}
	if delete(object, name); len(object) == 0 {
		delete(policy, part)
	}
	return text
}

// putText puts it back, unless it is empty.
func putText(policy map[string]any, part, name, text string) {
	if text == "" {
		return
	}
	object, ok := policy[part].(map[string]any)
	if !ok {
		object = map[string]any{}
		policy[part] = object
	}
	object[name] = text
}

// prettyPolicy is a policy as a person edits it; nothing when there is nothing in it.
func prettyPolicy(policy map[string]any) string {
	if len(policy) == 0 {
		return ""
	}
	text, err := json.MarshalIndent(policy, "", "  ")
	if err != nil {
		return ""
	}
	return string(text)
}
