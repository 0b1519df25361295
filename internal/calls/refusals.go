package calls

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"switchgear/internal/runtime"
	"switchgear/internal/runtime/breaker"
	"switchgear/internal/runtime/cache"
	"switchgear/internal/runtime/ratelimit"
)

// Refusal is that calls of an account were refused by us because its credential could not be had or used, and
// that no call of the account got out since.
type Refusal struct {
	Account string
	// Code and Text are those of the last one; Text is what its caller was told, or less.
	Code, Text string
	Calls      int
	// Last is when the last one began.
	Last time.Time
}

// Reason is how many calls were refused by us with a code.
type Reason struct {
	Code  string
	Calls int
}

// RefusalsKept is how long after the last one a Refusal is told, in steps of a minute: connections that are seldom
// called have trouble between their calls as well.
const RefusalsKept = refusalMinutes * time.Minute

const refusalMinutes = 60

// refusals are those of the accounts of a connection, by account: there is one only of those that have trouble.
type refusals map[string]*Refusal

// note takes note of a call of any kind.
func (r *refusals) note(rec *runtime.Record) {
	if !refused(rec.Outcome) {
		if len(*r) > 0 && usedCredential(rec) {
			delete(*r, rec.Account)
		}
		return
	}
	if !ofCredential(rec.ErrorCode) {
		return
	}
	if *r == nil {
		*r = refusals{}
	}
	of := (*r)[rec.Account]
	if of == nil {
		of = &Refusal{Account: rec.Account}
		(*r)[rec.Account] = of
	}
	of.Calls++
	if !rec.StartedAt.Before(of.Last) {
		of.Code, of.Text, of.Last = rec.ErrorCode, rec.ErrorText, rec.StartedAt
	}
}

// list forgets those that are too old and returns the others by account.
func (r refusals) list(minute int64) (out []Refusal) {
	for account, of := range r {
		if of.Last.Unix()/60 <= minute-refusalMinutes {
			delete(r, account)
			continue
		}
		out = append(out, *of)
	}
	slices.SortFunc(out, func(a, b Refusal) int { return cmp.Compare(a.Account, b.Account) })
	return out
}

// usedCredential reports whether a call got out with the credential of its account, and the upstream did not
// refuse that.
func usedCredential(rec *runtime.Record) bool {
	return rec.Attempts > 0 && (rec.Cache == "" || rec.Cache == "revalidated") &&
		rec.Outcome != runtime.OutcomeCanceled && rec.Outcome != runtime.OutcomeUnauthenticated
}

// ofCredential reports whether a call that was refused with this code had no credential to go out with. Those that
// the upstream does not accept are followed by who refuses them.
func ofCredential(code string) bool {
	return strings.HasPrefix(code, "CREDENTIAL_") && code != runtime.CodeCredentialRejected
}

// telling reports whether calls that are refused with this code tell of something that nothing else does. What a
// person, a vendor or a breaker ordered, what is wrong with a definition or a credential, and what the caller itself
// asked for is told by its cause, for as long as that lasts.
func telling(code string) bool {
	switch code {
	case "", breaker.CodeOpen, ratelimit.CodeHeld, cache.CodeNotCached, "CONNECTION_PAUSED", "CONNECTION_UNUSABLE", "CONNECTION_NOT_CALLABLE":
		return false
	}
	return !strings.HasPrefix(code, "CREDENTIAL_")
}

// addReasons adds up what was refused within one minute.
func addReasons(sum []Reason, minute map[string]int) []Reason {
	for code, n := range minute {
		if i := slices.IndexFunc(sum, func(r Reason) bool { return r.Code == code }); i >= 0 {
			sum[i].Calls += n
			continue
		}
		sum = append(sum, Reason{code, n})
	}
	return sum
}

func mostFirst(a, b Reason) int {
	return cmp.Or(cmp.Compare(b.Calls, a.Calls), cmp.Compare(a.Code, b.Code))
}
