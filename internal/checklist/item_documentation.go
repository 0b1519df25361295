package checklist

import (
	"fmt"
	"unicode/utf8"
)

// documentation: whoever has to act finds what they need. Whether it is good only a person can tell.
type documentation struct{}

func (documentation) Info() Info {
	return Info{
		ID: "documentation", Number: 11, Title: "Documentation complete", Proof: ProofPerson, MaxDays: 90,
		About: "Runbook, contacts, the vendor's status page and reference are there, and somebody has read them.",
	}
}

func (documentation) Relevant(f Facts) any { return f.Connection.Documentation }

// shortestRunbook is how many characters a runbook has at least that says something.
const shortestRunbook = 200

func (documentation) Configured(f Facts) Finding {
	doc := f.Connection.Documentation
	letters := int64(utf8.RuneCountInString(doc.Runbook))
	present, missing := filled([]part{
		{fmt.Sprintf("a runbook of at least %d characters (it has %s)", shortestRunbook, thousands(letters)), letters >= shortestRunbook},
		{"a contact", len(doc.Contacts) > 0},
		{"the vendor's status page", doc.StatusURL != ""},
		{"a reference", doc.DocsURL != "" || doc.OpenAPIURL != "" || f.Provider.Docs != ""},
	})
	const all = 4
	out := Finding{Verdict: VerdictPass, Measured: fmt.Sprintf("%d of %d", present, all), Threshold: fmt.Sprintf("%d of %d", all, all)}
	out.Message = fmt.Sprintf("%s: runbook of %s characters, %s, status page and reference.", out.Measured, thousands(letters), count(int64(len(doc.Contacts)), "contact"))
	if present < all {
		out.Verdict, out.Fix = VerdictFail, PlaceRequirements
		out.Message = fmt.Sprintf("%s are there; missing: %s.", out.Measured, list(missing))
	}
	return out
}

func (documentation) Observed(Facts) Finding { return Finding{} }
