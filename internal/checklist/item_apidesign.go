package checklist

import (
	"fmt"

	"switchgear/internal/runtime"
)

// apiDesign: what is called is written down, and nothing else is called.
type apiDesign struct{}

func (apiDesign) Info() Info {
	return Info{
		ID: "api_design", Number: 2, Title: "API design documented", Proof: ProofPerson, MaxDays: 90,
		About: "A reference is linked, every operation that is used is declared, and calls match the declared operations.",
	}
}

func (apiDesign) Relevant(f Facts) any {
	return struct {
		Operations    []runtime.Operation
		Docs, OpenAPI string
	}{f.Policy.Operations, f.Connection.Documentation.DocsURL, f.Connection.Documentation.OpenAPIURL}
}

func (apiDesign) Configured(f Facts) Finding {
	doc, operations := f.Connection.Documentation, int64(len(f.Policy.Operations))
	if doc.DocsURL == "" && doc.OpenAPIURL == "" && f.Provider.Docs == "" {
		return Finding{
			Verdict: VerdictFail, Measured: "0 links", Threshold: "1 link", Fix: PlaceRequirements,
			Message: fmt.Sprintf("0 links to a reference or an OpenAPI document, %s declared.", count(operations, "operation")),
		}
	}
	if operations == 0 {
		return Finding{
			Verdict: VerdictFail, Measured: "0 operations", Threshold: "1 operation", Fix: PlacePolicy,
			Message: "A reference is linked, but 0 operations are declared: nothing says what is used of it.",
		}
	}
	return Finding{
		Verdict: VerdictPass, Measured: count(operations, "operation"), Threshold: "1 operation",
		Message: count(operations, "operation") + " declared, a reference is linked.",
	}
}

// documentedShare is the least part of the calls that has to belong to an operation, in per cent.
const documentedShare = 95

func (apiDesign) Observed(f Facts) Finding {
	t := f.Traffic
	if len(f.Policy.Operations) == 0 {
		return Finding{}
	}
	if out, ok := few(t); ok {
		return out
	}
	out := Finding{Verdict: VerdictPass, Measured: percent(share(int64(t.Documented), int64(t.Sampled))), Threshold: percent(documentedShare)}
	out.Message = fmt.Sprintf("%s of the last %s match a declared operation.", out.Measured, count(int64(t.Sampled), "call"))
	if share(int64(t.Documented), int64(t.Sampled)) < documentedShare {
		out.Verdict, out.Fix = VerdictFail, PlacePolicy
	}
	return out
}
