package calls

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"switchgear/internal/dbtest"
	"switchgear/internal/runtime"
)

// An account that has no credential to go out with is told until a call of it gets out, or for an hour.
func TestRefusalsOfAccounts(t *testing.T) {
	t.Parallel()
	l := open(t, dbtest.New(t), Config{})
	call := func(ago int, account string, change func(*runtime.Record)) {
		l.Record(record(ago, func(r *runtime.Record) {
			r.Account = account
			change(r)
		}))
	}
	without := func(code string) func(*runtime.Record) {
		return func(r *runtime.Record) {
			r.Outcome, r.Status, r.Attempts, r.ErrorCode, r.ErrorText = runtime.OutcomeRejectedLocal, 503, 0, code, "text of "+code
		}
	}
	outcome := func(o runtime.Outcome) func(*runtime.Record) {
		return func(r *runtime.Record) { r.Outcome = o }
	}
	want := func(list ...Refusal) {
		t.Helper()
		if diff := cmp.Diff(list, l.Weights()("con_1").Refusals); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
	want()
	call(3599+60, "gone", without("CREDENTIAL_MISSING"))
	call(40*60, "acme", without("CREDENTIAL_NEEDS_REAUTH"))
	call(50, "default", without("CREDENTIAL_TIMEOUT"))
	call(40, "default", without("CREDENTIAL_RENEWAL_FAILED"))
	call(39, "fine", outcome(runtime.OutcomeSuccess))
	call(38, "fine", without("EGRESS_DENIED"))
	call(37, "fine", without(runtime.CodeCredentialRejected))
	acme := Refusal{"acme", "CREDENTIAL_NEEDS_REAUTH", "text of CREDENTIAL_NEEDS_REAUTH", 1, noon().Add(-40 * time.Minute)}
	want(acme, Refusal{"default", "CREDENTIAL_RENEWAL_FAILED", "text of CREDENTIAL_RENEWAL_FAILED", 2, noon().Add(-40 * time.Second)})

	// These do not show that there is a credential that can be used.
	call(30, "acme", outcome(runtime.OutcomeCanceled))
	call(29, "acme", outcome(runtime.OutcomeUnauthenticated))
	call(28, "acme", func(r *runtime.Record) { r.Cache, r.Attempts = "hit", 0 })
	call(27, "acme", func(r *runtime.Record) { r.Cache = "stale" })
	call(26, "default", outcome(runtime.OutcomeServerError)) // that one does
	want(acme)
	call(25, "acme", outcome(runtime.OutcomeSuccess))
	want()
	if n := len(l.recent.total.refusals); n > 0 {
		t.Errorf("%d accounts of nobody knows what", n)
	}
}

// Why calls were refused lately is told, but for what is told by its cause.
func TestReasonsOfRefusals(t *testing.T) {
	t.Parallel()
	l := open(t, dbtest.New(t), Config{})
	for i, code := range []string{
		"EGRESS_DENIED", "BULKHEAD_FULL", "EGRESS_DENIED",
		"BREAKER_OPEN", "CONNECTION_HELD", "CONNECTION_PAUSED", "CONNECTION_UNUSABLE", "CREDENTIAL_MISSING", "CREDENTIAL_REJECTED", "NOT_CACHED",
	} {
		l.Record(record(30-i, func(r *runtime.Record) { r.Outcome, r.ErrorCode = runtime.OutcomeRejectedLocal, code }))
	}
	l.Record(record(7*60, func(r *runtime.Record) { r.Outcome, r.ErrorCode = runtime.OutcomeRejectedLocal, "INVALID_PATH" })) // not lately
	weight := func(reasons []Reason, passed int) {
		t.Helper()
		got := l.Weights()("con_1")
		if diff := cmp.Diff(reasons, got.Reasons); diff != "" || got.Passed != passed || got.LatelyRefused != 10 || got.Refused != 11 {
			t.Errorf("%+v (-want +got):\n%s", got, diff)
		}
	}
	weight([]Reason{{"EGRESS_DENIED", 2}, {"BULKHEAD_FULL", 1}}, 0)
	l.Record(record(1, nil))
	weight([]Reason{{"EGRESS_DENIED", 2}, {"BULKHEAD_FULL", 1}}, 1)
}
