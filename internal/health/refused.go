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
// got out since. However well others do, those who call them have trouble. One that was never set up counts only where
// no other works; see unlessMissed.
func (f *facts) withoutCredential() (Status, bool) {
	worst, others := f.refusal()
	if worst == nil {
		return Status{}, false
	}
	s := Status{State: StateCredential, Account: worst.Account, Code: worst.Code}
	if !f.words {
		return s, true
	}
	s.Why = fmt.Sprintf("Account %s: %s", worst.Account, f.refusedFor(worst))
	switch {
	case others == 1:
		s.Why += " Another account has no credential that can be used either."
	case others > 1:
		s.Why += fmt.Sprintf(" %d other accounts have no credential that can be used either.", others)
	}
	return s, true
}

// refusedFor says what calls were refused for, how many, and when.
func (f *facts) refusedFor(r *calls.Refusal) string {
	text := strings.TrimSuffix(r.Text, ".") + "."
	if r.Code == runtime.CodeCredentialTimeout {
		text = "No new access token came within the time of the calls: the token endpoint is slow or does not answer."
	}
	so := "The last call was refused for it"
	if r.Calls > 1 {
		so = fmt.Sprintf("%d calls in a row were refused for it, the last one", r.Calls)
	}
	return fmt.Sprintf("%s %s %s.", text, so, f.when(r.Last))
}

// unlessMissed is a status of a connection that works, or of which nothing is known, unless somebody called an account
// of it lately that was never set up while another one works. That caller has trouble for the minutes around the call
// and has to be told apart, but nothing was lost and nothing of the others is: some calls fail, which is no credential
// problem, and no alert. The accounts that customers have not connected yet would make one for an hour otherwise, as
// would one call without the name of an account where only customers have some.
func (f *facts) unlessMissed(s Status) Status {
	var missed *calls.Refusal
	for i := range f.traffic.Refusals {
		r := &f.traffic.Refusals[i]
		if f.now.Sub(r.Last) >= calls.Lately || !f.spare(r) || f.standing.Recovered(r.Account, r.Code, r.Last) {
			continue
		}
		if missed == nil || r.Account == credentials.DefaultAccount {
			missed = r
		}
	}
	if missed == nil {
		return s
	}
	s = Status{State: StateDegraded, Account: missed.Account, Code: missed.Code}
	if f.words {
		s.Why = fmt.Sprintf("Account %s is called and was never set up: %s", missed.Account, f.refusedFor(missed))
	}
	return s
}

// spare reports whether an account was never set up, and another one of the connection works.
func (f *facts) spare(r *calls.Refusal) bool {
	return f.standing.Problem == nil && f.standing.NotSetUp(r.Account)
}

// refusal is that of the default account before others, of those that were not mended since and are missed,
// and how many others there are.
func (f *facts) refusal() (worst *calls.Refusal, others int) {
	n := 0
	for i := range f.traffic.Refusals {
		r := &f.traffic.Refusals[i]
		if f.spare(r) || f.standing.Recovered(r.Account, r.Code, r.Last) {
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
