package checklist

import (
	"fmt"
	"time"
)

// Method is how evidence came about.
type Method string

// The methods.
const (
	MethodStatic   Method = "static"   // read from the definition
	MethodObserved Method = "observed" // seen in traffic
	MethodDrill    Method = "drill"    // a run with faults
	MethodAttested Method = "attested" // said by a person
)

// Evidence is one entry about an item of a connection. It is never changed.
type Evidence struct {
	ID, ConnectionID, Item string
	// ConfigHash is that of the relevant part of the definition at the time; see [Hash].
	ConfigHash          string
	Method              Method
	Verdict             Verdict
	Measured, Threshold string
	// Message holds the measured value in a sentence, or the reason that a person gave.
	Message string
	// Artifacts are what proves it: request ids, addresses.
	Artifacts                     []string
	ActorKind, ActorID, ActorName string
	At                            time.Time
	// ExpiresAt is zero for what holds until it is measured again.
	ExpiresAt time.Time
}

func (e Evidence) expired(now time.Time) bool {
	return !e.ExpiresAt.IsZero() && !now.Before(e.ExpiresAt)
}

// Result is what is known about an item of a connection.
type Result struct {
	Info

	Stage Stage
	// Finding is that of what decides.
	Finding
	// Configured, Proven and Observed are the findings of the stages; Observed is zero where there is
	// nothing to see.
	Configured, Proven, Observed Finding
	// ConfigHash is the present one.
	ConfigHash string
	// By is the evidence that a proof or exemption rests on, nil when there is none.
	By *Evidence
	// History is the stored evidence, the newest first.
	History []Evidence
}

// Spoken reports whether what a person said about the item holds until it is withdrawn or ends.
func (r Result) Spoken() bool {
	said := newest(r.History, MethodAttested)
	return said != nil && said.Verdict != VerdictUnknown
}

// assess judges an item by the facts and by what is stored about it, the newest first.
func assess(item Item, f Facts, history []Evidence) Result {
	r := Result{Info: item.Info(), ConfigHash: Hash(item, f), History: history, Stage: StageNone}
	r.Configured, r.Observed = item.Configured(f), observed(item, f, r.ConfigHash, history)
	r.Proven, r.By = proven(r.Info, r.Configured, r.ConfigHash, history, f.Now)

	if r.Configured.Verdict == VerdictPass {
		r.Stage = StageConfigured
	}
	if r.Proven.Verdict == VerdictPass && r.Configured.Verdict != VerdictFail {
		r.Stage = StageProven
		if r.Observed.Verdict == VerdictPass {
			r.Stage = StageObserved
		}
	}
	r.decide()
	if e := exemption(history, f.Now); e != nil {
		r.By = e
		r.Finding = Finding{
			Verdict: VerdictExempt, Measured: e.Measured, Threshold: e.Threshold,
			Message: fmt.Sprintf("Exempt until %s, approved by %s: %s", day(e.ExpiresAt), e.ActorName, e.Message),
		}
	}
	return r
}

// decide finds what the item as a whole depends on: what fails first, then what is out of date, then what
// is not known. Only when all of it passes does the item.
func (r *Result) decide() {
	stages := []Finding{r.Configured, r.Observed, r.Proven}
	for _, f := range stages {
		if f.Verdict == VerdictFail {
			r.Finding = f
			return
		}
	}
	if r.Configured.Verdict == VerdictExempt {
		r.Finding = r.Configured
		return
	}
	for _, f := range []Finding{r.Proven, r.Observed} {
		if f.Verdict == VerdictStale {
			r.Finding = f
			return
		}
	}
	switch {
	case r.Proven.Verdict != VerdictPass && r.Configured.Verdict != VerdictPass:
		r.Finding = r.Configured
	case r.Proven.Verdict != VerdictPass:
		r.Finding = r.Proven
		r.Message = r.Configured.Message + " " + r.Proven.Message
		r.Measured, r.Threshold = r.Configured.Measured, r.Configured.Threshold
	case r.Observed.Verdict == VerdictPass:
		r.Finding = r.Observed
	case r.Proof == ProofComputed:
		r.Finding = r.Configured
	default:
		r.Finding = r.Proven
	}
	if r.Verdict != VerdictPass {
		r.Verdict = VerdictUnknown
	}
}

// proven is the finding of the second stage, and the evidence behind it.
func proven(info Info, configured Finding, hash string, history []Evidence, now time.Time) (Finding, *Evidence) {
	if info.Proof == ProofComputed {
		return configured, nil
	}
	out := Finding{Verdict: VerdictUnknown, Message: "Not proven yet: this version runs no drills."}
	if info.Proof == ProofPerson {
		out.Message, out.Fix = "Not proven yet: nobody attests it.", PlaceAttest
	}
	e := proof(info, history)
	if e == nil {
		return out, nil
	}
	who := "attested by " + e.ActorName
	if e.Method == MethodDrill {
		who = "proven by a drill"
	}
	out.Measured, out.Threshold = e.Measured, e.Threshold
	switch {
	case e.ConfigHash != hash:
		out.Verdict = VerdictStale
		out.Message = fmt.Sprintf("Stale: %s on %s for another configuration (%s, now %s).", who, day(e.At), e.ConfigHash, hash)
	case e.expired(now):
		out.Verdict = VerdictStale
		out.Message = fmt.Sprintf("Stale: %s on %s, which held until %s.", who, day(e.At), day(e.ExpiresAt))
	default:
		out.Verdict = e.Verdict
		out.Message = fmt.Sprintf("%s on %s: %s", sentence(who), day(e.At), e.Message)
		if e.Verdict == VerdictPass {
			out.Fix = PlaceNone
		}
	}
	return out, e
}

// proof is the newest evidence that may prove the item, nil when there is none or it was withdrawn. What a
// person says does not prove what only a drill can.
func proof(info Info, history []Evidence) *Evidence {
	for i := range history {
		e := &history[i]
		switch {
		case e.Method == MethodDrill:
			return e
		case e.Method != MethodAttested || info.Proof != ProofPerson || e.Verdict == VerdictExempt:
		case e.Verdict == VerdictPass:
			return e
		default:
			return nil // withdrawn
		}
	}
	return nil
}

// exemption is the one in force, nil when there is none: whatever a person said after it ends it.
func exemption(history []Evidence, now time.Time) *Evidence {
	for i := range history {
		if e := &history[i]; e.Method == MethodAttested {
			if e.Verdict == VerdictExempt && !e.expired(now) {
				return e
			}
			return nil
		}
	}
	return nil
}

// observed is the finding of the third stage. While there is too little traffic since an edit, what was
// seen before it is stale.
func observed(item Item, f Facts, hash string, history []Evidence) Finding {
	out := item.Observed(f)
	if out.Verdict != VerdictUnknown {
		return out
	}
	before := newest(history, MethodObserved)
	if before == nil || before.Verdict != VerdictPass || before.ConfigHash == hash || f.Now.Sub(f.Traffic.Since) > observation {
		return out
	}
	out.Verdict = VerdictStale
	out.Message = fmt.Sprintf("Stale: seen for another configuration (%s, now %s): %s Since then: %s", before.ConfigHash, hash, before.Message, out.Message)
	return out
}

func newest(history []Evidence, m Method) *Evidence {
	for i := range history {
		if history[i].Method == m {
			return &history[i]
		}
	}
	return nil
}

// observation is how far back traffic is looked at.
const observation = 24 * time.Hour

// since is from when on traffic counts for an item: from when its relevant part became what it is, and at
// most as far back as told. changed is when the connection was last edited.
func since(hash string, changed time.Time, history []Evidence, now time.Time, back time.Duration) time.Time {
	earliest := now.Add(-back)
	begin, edited := changed, false // an edit that is not written down yet
	for _, e := range history {
		if e.Method != MethodStatic {
			continue
		}
		if e.ConfigHash != hash {
			edited = true
			break
		}
		begin = e.At
	}
	// The first configuration that is known has nothing before it.
	if !edited || begin.Before(earliest) {
		return earliest
	}
	return begin
}

func day(t time.Time) string { return t.UTC().Format("2006-01-02") }
