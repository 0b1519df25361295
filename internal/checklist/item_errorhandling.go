package checklist

import (
	"fmt"
	"time"

	"switchgear/internal/runtime"
)

// errorHandling: every way to fail has a name, and no call hangs.
type errorHandling struct{}

func (errorHandling) Info() Info {
	return Info{
		ID: "error_handling", Number: 4, Title: "Error handling robust", Proof: ProofDrill,
		About: "Every outcome has a rule, calls end in time, and no outcome stays unclassified.",
	}
}

func (errorHandling) Relevant(f Facts) any {
	return struct {
		Outcomes                []runtime.OutcomeRule
		Timeout, AttemptTimeout runtime.Duration
	}{f.Policy.Outcomes, f.Policy.Timeout, f.Policy.AttemptTimeout}
}

// longestTimeout is how long whoever calls may have to wait for an error.
const longestTimeout = runtime.Duration(5 * time.Minute)

func (errorHandling) Configured(f Facts) Finding {
	out := Finding{Verdict: VerdictPass, Measured: f.Policy.Timeout.String(), Threshold: "at most " + longestTimeout.String()}
	if f.Policy.Timeout > longestTimeout {
		out.Verdict, out.Fix = VerdictFail, PlacePolicy
		out.Message = fmt.Sprintf("A call may hang for %s before it ends as an error; %s is the most.", f.Policy.Timeout, longestTimeout)
		return out
	}
	out.Message = fmt.Sprintf("%d outcomes have a rule, %s of this connection's own; a call ends after %s at the latest.",
		len(runtime.Rules()), thousands(int64(len(f.Policy.Outcomes))), f.Policy.Timeout)
	return out
}

func (errorHandling) Observed(f Facts) Finding {
	if out, ok := few(f.Traffic); ok {
		return out
	}
	var unclassified int64
	for outcome, n := range f.Traffic.Outcomes {
		if _, known := outcome.Rule(); !known {
			unclassified += n
		}
	}
	out := Finding{Verdict: VerdictPass, Measured: thousands(unclassified), Threshold: "0"}
	out.Message = fmt.Sprintf("%s of %s ended in an outcome without a rule.", out.Measured, count(f.Traffic.Calls, "call"))
	if unclassified > 0 {
		out.Verdict, out.Fix = VerdictFail, PlaceCalls
	}
	return out
}
