package checklist

import (
	"fmt"
	"time"

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
	people, rules, channels := int64(len(f.Connection.Documentation.Contacts)), int64(len(f.Alerts.Rules)), int64(len(f.Alerts.Channels))
	out := Finding{
		Verdict: VerdictPass, Measured: count(people, "contact") + ", " + count(rules, "rule") + ", " + count(channels, "channel"), Threshold: "1 contact, 1 rule, 1 channel",
		Message: count(people, "contact") + " can be told; " + count(rules, "alert rule") + " with " + count(channels, "channel") + " would tell them.",
	}
	switch {
	case people == 0:
		out.Verdict, out.Fix, out.Message = VerdictFail, PlaceRequirements, "0 contacts: nobody can be told when it breaks."
	case rules == 0:
		out.Verdict, out.Fix, out.Message = VerdictFail, PlaceAlerts, "0 alert rules cover the connection: nothing notices when it breaks."
	case channels == 0:
		out.Verdict, out.Fix, out.Message = VerdictFail, PlaceAlerts, "The "+count(rules, "alert rule")+" that cover the connection tell 0 channels: nobody hears of it."
	}
	return out
}

// deliveredWithin is how long a delivered notification shows that a channel works.
const deliveredWithin = 30 * 24 * time.Hour

func (monitoring) Observed(f Facts) Finding {
	t, a := f.Traffic, f.Alerts
	out := Finding{Verdict: VerdictUnknown, Threshold: "1 call, 1 notification in 30 days", Fix: PlaceAlerts}
	out.Measured = count(t.Calls, "call") + ", 0 notifications"
	if !a.DeliveredAt.IsZero() {
		out.Measured = count(t.Calls, "call") + ", the last notification on " + day(a.DeliveredAt)
	}
	switch {
	case t.Calls == 0:
		out.Fix, out.Message = PlaceCalls, "0 calls were measured in the last day."
	case !a.FailedAt.IsZero():
		out.Verdict, out.Message = VerdictFail, fmt.Sprintf("%s were measured, but the last notification failed at %s.", count(t.Calls, "call"), minute(a.FailedAt))
	case a.DeliveredAt.IsZero():
		out.Message = count(t.Calls, "call") + " were measured, but 0 notifications were delivered over its channels: send a test."
	case f.Now.Sub(a.DeliveredAt) > deliveredWithin:
		out.Message = fmt.Sprintf("%s were measured, but the last notification was delivered at %s, more than 30 days ago: send a test.", count(t.Calls, "call"), minute(a.DeliveredAt))
	default:
		out.Verdict, out.Fix = VerdictPass, PlaceNone
		out.Message = fmt.Sprintf("A notification was delivered over %s at %s; %s were measured; %s.", a.Over, minute(a.DeliveredAt), count(t.Calls, "call"), lastGood(t))
	}
	return out
}

func minute(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 UTC") }
