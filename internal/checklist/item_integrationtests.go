package checklist

import "switchgear/internal/runtime"

// integrationTests: what is called has been tried against what is configured.
type integrationTests struct{}

func (integrationTests) Info() Info {
	return Info{
		ID: "integration_tests", Number: 10, Title: "Integration tests", Proof: ProofPerson, MaxDays: 30,
		About: "A suite covers the operations in use and passed with this configuration.",
	}
}

func (integrationTests) Relevant(f Facts) any {
	c := f.Connection
	return struct {
		BaseURL, AuthType, OpenAPI string
		Operations                 []runtime.Operation
	}{c.BaseURL, c.AuthType, c.Documentation.OpenAPIURL, f.Policy.Operations}
}

func (integrationTests) Configured(Facts) Finding {
	return Finding{
		Verdict: VerdictUnknown, Measured: "0 suites", Threshold: "1 suite", Fix: PlaceAttest,
		Message: "0 suites are bound to the connection; somebody who ran one can attest it.",
	}
}

func (integrationTests) Observed(Facts) Finding { return Finding{} }
