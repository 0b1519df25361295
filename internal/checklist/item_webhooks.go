package checklist

import "switchgear/internal/connections"

// webhooks: what comes in is verified. Connections that receive nothing are exempt.
type webhooks struct{}

func (webhooks) Info() Info {
	return Info{
		ID: "webhooks", Number: 6, Title: "Webhooks tested", Proof: ProofDrill,
		About: "Signatures are verified with a tolerance, duplicates are dropped, and bad deliveries are refused.",
	}
}

func (webhooks) Relevant(f Facts) any {
	return struct{ Kind, Scheme string }{f.Connection.Kind, f.Provider.Webhook}
}

func (webhooks) Configured(f Facts) Finding {
	if f.Connection.Kind != connections.KindWebhook {
		return Finding{Verdict: VerdictExempt, Measured: "0 sources", Threshold: "0 sources", Message: "0 webhook sources belong to this connection: there is nothing to test."}
	}
	return Finding{
		Verdict: VerdictUnknown, Measured: "0 sources", Threshold: "1 source",
		Message: "This connection is for webhooks, and 0 sources receive for it yet.",
	}
}

func (webhooks) Observed(Facts) Finding { return Finding{} }
