package whatif

import (
	"encoding/json"
	"testing"
	"time"

	"switchgear/internal/runtime"
)

func noon() time.Time { return time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC) }

// policySet is the product's policy with a patch laid over it.
func policySet(t *testing.T, patch string) *runtime.PolicySet {
	t.Helper()
	policy, err := runtime.MergePolicy(runtime.DefaultPolicy(), json.RawMessage(patch))
	if err != nil {
		t.Fatal(err)
	}
	set := &runtime.PolicySet{ConnectionID: "con_1", Version: 1, Policy: policy}
	if set.Operations, err = policy.Resolve(); err != nil {
		t.Fatal(err)
	}
	return set
}

// each makes calls at equal distances, one a letter: s success, f failure, t throttled, u one that was refused
// then. Each takes 100 ms.
func each(every time.Duration, letters string) []call {
	out := make([]call, 0, len(letters))
	for i, l := range letters {
		out = append(out, one(time.Duration(i)*every, l, 100*time.Millisecond))
	}
	return out
}

func one(at time.Duration, letter rune, took time.Duration) call {
	c := call{at: noon().Add(at), method: "GET", path: "/v1/charges", account: "default", refused: letter == 'u'}
	c.outcome = outcome(letter)
	c.last = attempt{outcome: c.outcome, ended: took, took: took}
	return c
}

func outcome(letter rune) runtime.Outcome {
	switch letter {
	case 's':
		return runtime.OutcomeSuccess
	case 'f':
		return runtime.OutcomeUnavailable
	case 't':
		return runtime.OutcomeThrottled
	}
	return runtime.OutcomeRejectedLocal
}

// through takes calls through a policy, until an hour later.
func through(t *testing.T, set *runtime.PolicySet, list []call) Figures {
	t.Helper()
	l, err := newLane(t.Context(), set, noon())
	if err != nil {
		t.Fatal(err)
	}
	for i := range list {
		if err := l.send(&list[i]); err != nil {
			t.Fatal(err)
		}
	}
	return l.finish(noon().Add(time.Hour))
}
