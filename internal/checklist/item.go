package checklist

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"

	"switchgear/internal/alerts"
	"switchgear/internal/breakers"
	"switchgear/internal/calls"
	"switchgear/internal/connections"
	"switchgear/internal/fault"
	"switchgear/internal/providers"
	"switchgear/internal/runtime"
)

// Verdict is what a piece of evidence, or an item as a whole, says.
type Verdict string

// The verdicts. Only pass and exempt let an item be done.
const (
	VerdictPass    Verdict = "pass"
	VerdictFail    Verdict = "fail"
	VerdictUnknown Verdict = "unknown"
	VerdictStale   Verdict = "stale"
	VerdictExempt  Verdict = "exempt"
)

// Verdicts returns every verdict, the most urgent first.
func Verdicts() []Verdict {
	return []Verdict{VerdictFail, VerdictStale, VerdictUnknown, VerdictPass, VerdictExempt}
}

// Done reports whether nothing is left to do.
func (v Verdict) Done() bool { return v == VerdictPass || v == VerdictExempt }

// Stage is how far an item got.
type Stage string

// The stages, in their order.
const (
	StageNone       Stage = "none"
	StageConfigured Stage = "configured"
	StageProven     Stage = "proven"
	StageObserved   Stage = "observed"
)

// Proof is what can prove an item.
type Proof string

// The kinds of proof.
const (
	ProofComputed Proof = "computed" // the definition itself, checked against itself
	ProofPerson   Proof = "person"   // somebody who looked, for a limited time
	ProofDrill    Proof = "drill"    // a run with faults, against a twin of the connection
)

// Place is where something can be mended.
type Place string

// The places.
const (
	PlaceNone         Place = ""
	PlaceRequirements Place = "requirements" // requirements, runbook and contacts
	PlacePolicy       Place = "policy"
	PlaceCredential   Place = "credential"
	PlaceCalls        Place = "calls"
	PlaceVersions     Place = "versions"
	PlaceAttest       Place = "attest"
	PlaceAlerts       Place = "alerts" // rules and channels
)

// Info describes an item.
type Info struct {
	ID     string
	Number int
	Title  string
	// About says what it takes.
	About string
	Proof Proof
	// MaxDays is how long an attestation may hold; 0 where none is possible.
	MaxDays int
}

// Finding is what one look at an item shows. The zero value says that there is nothing to look at.
type Finding struct {
	Verdict Verdict
	// Message is a sentence with the measured value.
	Message             string
	Measured, Threshold string
	// Fix is where it can be mended.
	Fix Place
}

// Facts are what items judge by.
type Facts struct {
	Connection connections.Connection
	// Policy is what is in force.
	Policy   runtime.Policy
	Provider providers.Provider
	// Alerts is who would hear of it.
	Alerts alerts.Coverage
	// Problem says why calls are refused, nil when they are not.
	Problem error
	Traffic Traffic
	// Transitions are what the breakers did in the last month, as far as they are configured as now.
	Transitions Transitions
	// Rollback is the last one; its Version is 0 when there was none.
	Rollback connections.Rollback
	Now      time.Time
}

// Transitions are what breakers did by themselves from a time on.
type Transitions struct {
	breakers.Transitions

	Since time.Time
}

// Traffic is what was seen of a connection, since its relevant part changed or for a day.
type Traffic struct {
	Since time.Time
	calls.Figures
	// Minutes are the calls of each minute, the oldest first.
	Minutes []int64
	// Sampled are the newest calls, Documented those of them that belong to an operation.
	Sampled, Documented int
	// LastSuccess is zero when none of the sampled calls succeeded.
	LastSuccess time.Time
}

// Item is one line of the checklist.
type Item interface {
	Info() Info
	// Relevant is the part of the facts that evidence is bound to. It has to be fit for JSON.
	Relevant(f Facts) any
	// Configured judges the definition.
	Configured(f Facts) Finding
	// Observed judges the traffic; the zero Finding where there is nothing to see.
	Observed(f Facts) Finding
}

// All returns the items in their order.
func All() []Item {
	return []Item{
		requirements{},
		apiDesign{},
		authentication{},
		errorHandling{},
		rateLimiting{},
		webhooks{},
		circuitBreaker{},
		retry{},
		monitoring{},
		integrationTests{},
		documentation{},
		rollback{},
	}
}

// Lookup returns the item with that id, or a fault.NotFound.
func Lookup(id string) (Item, error) {
	for _, item := range All() {
		if item.Info().ID == id {
			return item, nil
		}
	}
	return nil, fault.New(fault.NotFound, "ITEM_NOT_FOUND", "The checklist has no such item.")
}

// Hash is the hash of the part of the facts that an item depends on.
func Hash(item Item, f Facts) string {
	raw, err := json.Marshal(item.Relevant(f))
	if err != nil {
		// An item that cannot be encoded is bound to nothing, so that no evidence ever fits.
		return ""
	}
	sum := sha256.Sum256(raw)
	return hex.EncodeToString(sum[:8])
}

// enough is how many calls it takes to say something about traffic.
const enough = 20

// few says that there is too little traffic for a judgement.
func few(t Traffic) (Finding, bool) {
	if t.Calls >= enough {
		return Finding{}, false
	}
	return Finding{
		Verdict: VerdictUnknown, Measured: count(t.Calls, "call"), Threshold: fmt.Sprintf("%d calls", enough), Fix: PlaceCalls,
		Message: fmt.Sprintf("%s since %s; %d are needed to tell.", count(t.Calls, "call"), minute(t.Since), enough),
	}, true
}

// busiest is the most calls in as many minutes on end.
func (t Traffic) busiest(minutes int) int64 {
	var sum, most int64
	for i, n := range t.Minutes {
		sum += n
		if i >= minutes {
			sum -= t.Minutes[i-minutes]
		}
		most = max(most, sum)
	}
	return most
}

// share is n of all in per cent.
func share(n, all int64) float64 {
	if all == 0 {
		return 0
	}
	return 100 * float64(n) / float64(all)
}
