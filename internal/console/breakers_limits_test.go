package console

import (
	"strconv"
	"testing"
	"time"

	"switchgear/internal/runtime"
	"switchgear/internal/runtime/ratelimit"
)

// A page shows the accounts that have least left, and says how many more there are.
func TestLimitsOfManyAccounts(t *testing.T) {
	t.Parallel()
	var s runtime.ProtectionState
	window := func(used int) []ratelimit.WindowSnapshot {
		return []ratelimit.WindowSnapshot{{Limit: ratelimit.Limit{Requests: 100, Per: time.Minute}, Used: used, Left: 100 - used}}
	}
	s.Limits.Scopes = append(s.Limits.Scopes, ratelimit.ScopeSnapshot{Windows: window(1)})
	for i := range 30 {
		s.Limits.Scopes = append(s.Limits.Scopes, ratelimit.ScopeSnapshot{Key: ratelimit.Key{Credential: strconv.Itoa(i)}, Windows: window(i)})
	}
	s.Limits.Scopes[1].Hold.Until = time.Now().Add(time.Minute)
	got := limitsOf(s)
	if got.MoreAccounts != 10 || len(got.Scopes) != 21 || got.Scopes[0].Name != "" || got.Scopes[1].Name != "account 0" || got.Scopes[2].Name != "account 11" {
		t.Errorf("%d more, %d shown: %+v", got.MoreAccounts, len(got.Scopes), got.Scopes[:min(3, len(got.Scopes))])
	}
	s.Limits.Scopes = s.Limits.Scopes[:5]
	if got := limitsOf(s); got.MoreAccounts != 0 || len(got.Scopes) != 5 {
		t.Errorf("few: %d more, %d shown", got.MoreAccounts, len(got.Scopes))
	}
}
