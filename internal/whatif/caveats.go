package whatif

import (
	"reflect"
	"strings"
	"time"

	"switchgear/internal/calls"
	"switchgear/internal/runtime"
	"switchgear/internal/runtime/breaker"
)

// sameProtections reports whether a replay cannot tell two policies apart.
func sameProtections(a, b *runtime.PolicySet) bool {
	if !sameReplayed(&a.Policy, &b.Policy) || len(a.Operations) != len(b.Operations) {
		return false
	}
	for i := range a.Operations {
		x, y := &a.Operations[i], &b.Operations[i]
		if x.ID != y.ID || x.Method != y.Method || x.Path != y.Path || x.LimitGroup() != y.LimitGroup() || x.OwnRateLimits != y.OwnRateLimits ||
			!sameReplayed(&x.Effective, &y.Effective) {
			return false
		}
	}
	return true
}

func sameReplayed(a, b *runtime.Policy) bool {
	return reflect.DeepEqual(a.Breaker, b.Breaker) && reflect.DeepEqual(a.RateLimits, b.RateLimits) && a.RateLimitWait == b.RateLimitWait
}

// changedBeside names what the edit changes that a replay does not follow.
func changedBeside(a, b *runtime.Policy) []string {
	var out []string
	for _, part := range []struct {
		name string
		same bool
	}{
		{"timeouts", a.Timeout == b.Timeout && a.AttemptTimeout == b.AttemptTimeout},
		{"retries", a.Retry == b.Retry},
		{"hedging", reflect.DeepEqual(a.Hedge, b.Hedge)},
		{"the bulkhead", a.Bulkhead == b.Bulkhead},
		{"the cache", a.Cache == b.Cache},
		{"the fallback", reflect.DeepEqual(a.Fallback, b.Fallback)},
		{
			"what is learned from the vendor's answers",
			a.RateLimitDialect == b.RateLimitDialect && a.RateLimitReserve == b.RateLimitReserve && a.RateLimitMaxHold == b.RateLimitMaxHold && a.RateLimitHold == b.RateLimitHold,
		},
		{"what answers mean", reflect.DeepEqual(a.Outcomes, b.Outcomes)},
	} {
		if !part.same {
			out = append(out, part.name)
		}
	}
	return out
}

// caveats say what the figures cannot know. The first holds always.
func (s *Service) caveats(p prepared, part calls.Stretch, r *Result) []string {
	out := []string{"Nobody knows what the callers of refused calls would have done instead, nor whether the upstream would have recovered sooner with fewer calls."}
	if n := r.Sample.Refused; n > 0 {
		out = append(out, number(n)+" of these calls "+was(n)+" refused at the time and never sent; nobody knows how that would have ended, so none of them counts as saved or as good.")
	}
	if part.Older > 0 {
		out = append(out, "There are more calls than a replay takes: the newest "+number(part.Calls)+" are replayed, "+number(part.Older)+" older ones are left out.")
	}
	if !part.Oldest.IsZero() && part.Oldest.Sub(part.Since) > time.Hour {
		out = append(out, "The call log begins "+part.Oldest.UTC().Format("2006-01-02 15:04")+" UTC; what happened before is not in it.")
	}
	if n := s.deps.Calls.Dropped(); n > 0 {
		out = append(out, "The call log lost "+count(int(n), "call")+" since the start because they came faster than it could store them.")
	}
	if n := r.Sample.Untold; n > 0 {
		out = append(out, "Of "+count(n, "repeated attempt")+" the log does not tell the outcome; only the last attempt of those calls is replayed.")
	}
	if r.Sample.Throttled > 0 {
		out = append(out, "The vendor answered "+count(r.Sample.Throttled, "attempt")+" with a limit of its own; the pauses that follow from that are not replayed.")
	}
	if changed := changedBeside(&p.now.Policy, &p.edited.Policy); len(changed) > 0 {
		out = append(out, "The edit also changes "+strings.Join(changed, ", ")+": that is not replayed.")
	}
	if snap, ok := s.deps.Breakers.Snapshot(breaker.Key{Connection: p.connection.ID}); ok && snap.Mode != breaker.ModeAuto {
		out = append(out, "The breaker is overridden now ("+strings.ReplaceAll(string(snap.Mode), "_", " ")+"); the replay lets it decide by itself.")
	}
	if !p.edited.Policy.Breaker.Enabled {
		out = append(out, "The edited policy has no breaker for the connection.")
	}
	return out
}

func was(n int) string {
	if n == 1 {
		return "was"
	}
	return "were"
}
