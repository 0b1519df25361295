package connections

import (
	"time"

	"switchgear/web/templates/layout"
)

// ChecklistView is the tab that says how ready a connection is.
type ChecklistView struct {
	Page layout.Page
	Now  time.Time
	Head Header
	Done int
	// Required says that calls go through only once everything is done.
	Required bool
	// Configured, Proven and Observed count the items that got so far.
	Configured, Proven, Observed int
	// Items are in the order shown: what is missing first.
	Items []ChecklistItem
}

// ChecklistItem is one item.
type ChecklistItem struct {
	ID, Title, About string
	Number           int
	// Verdict is pass, fail, stale, unknown or exempt, with why.
	Verdict, Message, Measured, Threshold string
	// Stages are configured, proven and observed.
	Stages []ChecklistStage
	// By says on what the proof rests, with its end; empty when there is none.
	By        string
	At, Until time.Time
	// Fix is where it can be mended; empty where it cannot, or not by the visitor.
	Fix Link
	// Version is the configuration that is looked at, as a hash.
	ConfigHash string
}

// ChecklistStage is one stage of an item. An empty verdict says that there is nothing to see.
type ChecklistStage struct{ Name, Verdict, Message, Measured, Threshold string }

// ChecklistItemView is the page of one item: its stages, its evidence, and what a person can say. Its forms
// post to /connections/{slug}/checklist/{item}/attest, /exempt and /withdraw: reason, days, config_hash.
type ChecklistItemView struct {
	Page     layout.Page
	Now      time.Time
	Head     Header
	Item     ChecklistItem
	Evidence []ChecklistEvidence
	// AttestDays is how long an attestation may hold; 0 when a person cannot prove the item. ProofHint says
	// what can.
	AttestDays, ExemptDays int
	ProofHint              string
	// CanWithdraw is true when somebody attests or exempts it now.
	CanWithdraw bool
	// Form names the form that Errors, Reason and Days belong to: attest, exempt or withdraw.
	Form, Reason, Days string
	Errors             Errors
}

// ChecklistEvidence is one stored entry.
type ChecklistEvidence struct {
	// Method is static, observed, drill or attested.
	Method, Verdict, Message, Measured, Threshold, Actor string
	// Current is true when it is about the present configuration.
	Current   bool
	Artifacts []string
	At, Until time.Time
}
