package health

import (
	"fmt"
	"strings"

	"switchgear/internal/calls"
	"switchgear/internal/credentials"
	"switchgear/internal/runtime"
	"switchgear/internal/runtime/bulkhead"
	"switchgear/internal/runtime/ratelimit"
)

// withoutCredential is about accounts that have no credential to go out with: calls of them are refused, and none
// got out since. However well others do, those who call them have trouble.
func (f *facts) withoutCredential() (Status, bool) {
	worst, others := f.refusal()
	if worst == nil {
		return Status{}, false
	}
	s := Status{State: StateCredential, Account: worst.Account}
	if !f.words {
		return s, true
	}
	text := strings.TrimSuffix(worst.Text, ".") + "."
	if worst.Code == runtime.CodeCredentialTimeout {
		text = "No new access token came within the time of the calls: the token endpoint is slow or does not answer."
	}
	so := "The last call was refused for it"
	if worst.Calls > 1 {
		so = fmt.Sprintf("%d calls in a row were refused for it, the last one", worst.Calls)
	}
	s.Why = fmt.Sprintf("Account %s: %s %s %s ago.", worst.Account, text, so, f.ago(worst.Last))
	switch {
	case others == 1:
		s.Why += " Another account has no credential that can be used either."
	case others > 1:
		s.Why += fmt.Sprintf(" %d other accounts have no credential that can be used either.", others)
	}
	return s, true
}

// refusal is that of the default account before others, of those that were not mended since, and how many others
// there are.
func (f *facts) refusal() (worst *calls.Refusal, others int) {
	n := 0
	for i := range f.traffic.Refusals {
		r := &f.traffic.Refusals[i]
		if f.standing.Recovered(r.Account, r.Code, r.Last) {
			continue
		}
		if r.Account == credentials.DefaultAccount && f.check != nil && f.check.OK() && f.check.At.After(r.Last) {
			continue // a request of ours got out with it
		}
		if n++; worst == nil || r.Account == credentials.DefaultAccount {
			worst = r
		}
	}
	return worst, n - 1
}

// shareOfRefused is from how many of a hundred calls on that were refused here a connection counts as degraded by
// it, and passedLimit how many have to get out in a row where a limit refuses, which lets some out now and then.
const (
	shareOfRefused = 90
	passedLimit    = 3
)

// refusedHere is about calls that nearly all end here, for a reason that nothing else tells, until one gets out. Where those that got out failed, that is worse.
func (f *facts) refusedHere() (Status, bool) {
	w := &f.traffic
	n, all := 0, w.Lately+w.LatelyRefused
	for _, r := range w.Reasons {
		n += r.Calls
	}
	if w.Lately >= fewest && w.LatelyFailed == w.Lately {
		return Status{}, false
	}
	if n == 0 || n*100 < all*shareOfRefused || w.Passed >= passesToMend(w.Reasons[0].Code) {
		return Status{}, false
	}
	s := Status{State: StateDegraded}
	if f.words {
		codes := make([]string, len(w.Reasons))
		for i, r := range w.Reasons {
			codes[i] = r.Code
		}
		s.Why = fmt.Sprintf("%d of %s in the last %d minutes %s refused here: %s.", n, f.counted(all), int(calls.Lately.Minutes()), be(n), strings.Join(codes, ", "))
	}
	return s, true
}

func passesToMend(code string) int {
	switch code {
	case ratelimit.CodeLimited, bulkhead.CodeFull, runtime.CodeSigningFull:
		return passedLimit
	}
	return 1
}
