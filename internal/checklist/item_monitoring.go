package checklist

import (
	"fmt"

	"switchgear/internal/connections"
)

// monitoring: somebody hears of it when it breaks.
type monitoring struct{}

func (monitoring) Info() Info {
	return Info{
		ID: "monitoring", Number: 9, Title: "Monitoring active", Proof: ProofPerson, MaxDays: 30,
		About: "Somebody can be reached, has seen an alert of this connection arrive, and its calls are measured.",
	}
}

func (monitoring) Relevant(f Facts) any {
	r := f.Connection.Requirements
	return struct {
		Owner, Criticality string
		Contacts           []connections.Contact
	}{r.Owner, r.Criticality, f.Connection.Documentation.Contacts}
}

func (monitoring) Configured(f Facts) Finding {
	n := int64(len(f.Connection.Documentation.Contacts))
	out := Finding{Verdict: VerdictPass, Measured: count(n, "contact"), Threshold: "1 contact", Message: count(n, "contact") + " can be told."}
	if n == 0 {
		out.Verdict, out.Fix, out.Message = VerdictFail, PlaceRequirements, "0 contacts: nobody can be told when it breaks."
	}
	return out
}

func (monitoring) Observed(f Facts) Finding {
	t := f.Traffic
	if t.Calls == 0 {
		return Finding{Verdict: VerdictUnknown, Measured: "0 calls", Threshold: "1 call", Fix: PlaceCalls, Message: "0 calls were measured in the last day."}
	}
	return Finding{
		Verdict: VerdictPass, Measured: count(t.Calls, "call"), Threshold: "1 call",
		Message: fmt.Sprintf("%s were measured; %s.", count(t.Calls, "call"), lastGood(t)),
	}
}
