package checklist

import "fmt"

// rollback: there is a version to go back to.
type rollback struct{}

func (rollback) Info() Info {
	return Info{
		ID: "rollback", Number: 12, Title: "Rollback plan defined", Proof: ProofDrill,
		About: "There is a version before this one that was seen to work, and going back to it has been tried.",
	}
}

func (rollback) Relevant(f Facts) any {
	return struct {
		Version int
		Mark    string
	}{f.Connection.Version, f.Connection.CredentialMark}
}

func (rollback) Configured(f Facts) Finding {
	c := f.Connection
	out := Finding{Verdict: VerdictPass, Measured: count(int64(c.Version), "version"), Threshold: "2 versions, one known to work", Fix: PlaceVersions}
	switch {
	case c.Version < 2:
		out.Verdict, out.Message = VerdictFail, "1 version: there is none to go back to."
	case c.LastKnownGood == 0:
		out.Verdict, out.Message = VerdictUnknown, fmt.Sprintf("%d versions, 0 of them seen to work yet.", c.Version)
	case c.LastKnownGood == c.Version:
		out.Message = fmt.Sprintf("v%d is active and known to work; v%d is there to go back to.", c.Version, c.Version-1)
	default:
		out.Message = fmt.Sprintf("v%d is active; v%d is the last that was seen to work.", c.Version, c.LastKnownGood)
	}
	return out
}

// Observed judges the last real rollback: it is done when the version that it made was seen to work, or a
// later one.
func (rollback) Observed(f Facts) Finding {
	r := f.Rollback
	if r.Version == 0 {
		return Finding{}
	}
	out := Finding{
		Verdict: VerdictPass, Measured: fmt.Sprintf("v%d to v%d", r.Version, r.CopiedFrom), Threshold: "a rollback that was seen to work",
		Message: fmt.Sprintf("v%d brought v%d back on %s", r.Version, r.CopiedFrom, minute(r.At)),
	}
	if f.Connection.LastKnownGood < r.Version {
		out.Verdict, out.Fix = VerdictUnknown, PlaceCalls
		out.Message += ", and has not been seen to work yet."
		return out
	}
	out.Message += fmt.Sprintf("; v%d was seen to work after it.", f.Connection.LastKnownGood)
	return out
}
