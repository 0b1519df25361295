package health

import (
	"fmt"
	"strings"
	"time"

	"switchgear/internal/calls"
	"switchgear/internal/connections"
	"switchgear/internal/credentials"
	"switchgear/internal/fault"
	"switchgear/internal/runtime"
	"switchgear/internal/runtime/breaker"
	"switchgear/internal/runtime/ratelimit"
)

// State is how a connection is.
type State string

// The states.
const (
	StateHealthy    State = "healthy"
	StateDegraded   State = "degraded"           // some calls fail, or will
	StateDown       State = "down"               // no call gets what it wants
	StateHeld       State = "held"               // calls wait because the vendor, or a person, asked for it
	StateCredential State = "credential_problem" //nolint:gosec // It is a name: the credential was lost, is unusable or not accepted, or its lack costs calls.
	StateNotSetUp   State = "not_set_up"         // the credential was never there, and nobody misses it
	StateIdle       State = "idle"               // nothing is known, because nothing was tried
	StatePaused     State = "paused"             // stopped on purpose
)

// States lists every state, the worst first.
func States() []State {
	return []State{StateDown, StateCredential, StateHeld, StateDegraded, StateHealthy, StateNotSetUp, StateIdle, StatePaused}
}

// Attention reports whether somebody should look.
func (s State) Attention() bool {
	switch s {
	case StateDown, StateCredential, StateHeld, StateDegraded:
		return true
	case StateHealthy, StateNotSetUp, StateIdle, StatePaused:
	}
	return false
}

// Status is how a connection is, why, and since when.
type Status struct {
	State State
	// Why is a sentence or two.
	Why   string
	Since time.Time
	// Until is when it may change by itself: the next probe, the end of a pause. Zero when it is not known.
	Until time.Time
	// Breaker is the one that decided, nil when none did.
	Breaker *breaker.Snapshot
	// Account is the one whose credential or pause it is about, Code why the credential cannot be used: what calls are
	// refused with. It is CREDENTIAL_REJECTED where the upstream does not accept it.
	Account, Code string
}

// Actor is the person who made it so, by a command to the breaker that decided.
func (s *Status) Actor() string {
	b := s.Breaker
	switch {
	case b == nil:
		return ""
	case b.State == breaker.StateForcedOpen:
		return b.Lease.Actor
	case b.State == breaker.StateHeld:
		return b.Hold.Actor
	case b.Last.To == b.State:
		return b.Last.Actor
	}
	return ""
}

// facts are what a status is made of. Everything in it is shared and only read.
type facts struct {
	// now is when they were judged, told when the sentence is said: on another day, a time needs its date.
	now, told time.Time
	standing  *connections.Standing
	traffic   calls.Weight
	// breakers are those through which not every call passes: the connection's first.
	breakers []*breaker.Snapshot
	holds    map[ratelimit.Key]ratelimit.HoldSnapshot
	rejected *runtime.RejectedCredential
	check    *Check
	// words asks for the sentence, which is not needed to know the state.
	words bool
}

func (f *facts) say(format string, args ...any) string {
	if !f.words {
		return ""
	}
	return fmt.Sprintf(format, args...)
}

// status judges: what was done on purpose first, then what stops every call, then what the calls themselves
// said, then what a request of ours said. Since is zero where the beginning is not told by the facts.
func (f *facts) status() Status {
	for _, judge := range []func(*facts) (Status, bool){
		(*facts).stopped, (*facts).unfinished, (*facts).credential, (*facts).withoutCredential, (*facts).breaker, (*facts).held, (*facts).operation,
		(*facts).refusedHere, (*facts).lately, (*facts).checked, (*facts).quiet,
	} {
		if s, ok := judge(f); ok {
			if s.State == StateHealthy {
				return f.unlessMissed(s)
			}
			return s
		}
	}
	return f.unlessMissed(f.idle())
}

func (f *facts) stopped() (Status, bool) {
	switch {
	case f.standing.State == connections.StatePaused:
		return Status{State: StatePaused, Why: f.say("It is paused: calls are refused until it is resumed.")}, true
	case f.standing.Problem != nil && f.standing.Account == "":
		return Status{State: StateDown, Why: f.say("%s", fault.PublicMessage(f.standing.Problem))}, true
	}
	return Status{}, false
}

// unfinished is about a credential that was never there. Once calls are refused for it, somebody has trouble, also
// between the calls of those that seldom make any. Calls that are refused for another reason do not miss it.
func (f *facts) unfinished() (Status, bool) {
	if !credentials.NotSetUp(f.standing.Problem) {
		return Status{}, false
	}
	if s, ok := f.withoutCredential(); ok {
		return s, true
	}
	return Status{State: StateNotSetUp, Account: f.standing.Account, Code: fault.CodeOf(f.standing.Problem), Why: f.say("It is not set up yet. Account %s: %s", f.standing.Account, fault.PublicMessage(f.standing.Problem))}, true
}

func be(n int) string {
	if n == 1 {
		return "was"
	}
	return "were"
}

func (f *facts) credential() (Status, bool) {
	if f.standing.Problem != nil {
		return Status{
			State: StateCredential, Account: f.standing.Account, Code: fault.CodeOf(f.standing.Problem),
			Why: f.say("Account %s: %s", f.standing.Account, fault.PublicMessage(f.standing.Problem)),
		}, true
	}
	if r := f.rejected; r != nil {
		return Status{
			State: StateCredential, Account: r.Account, Code: runtime.CodeCredentialRejected, Since: r.Since, Until: r.Until,
			Why: f.say("Account %s: the upstream did not accept the credential several times in a row, so it is not asked again for a while.", r.Account),
		}, true
	}
	return Status{}, false
}

// breaker is about that of the connection, which stops every call.
func (f *facts) breaker() (Status, bool) {
	if len(f.breakers) == 0 || f.breakers[0].Key.Operation != "" {
		return Status{}, false
	}
	b := f.breakers[0]
	s := Status{State: StateDown, Breaker: b, Since: b.Since, Until: b.Until}
	switch b.State {
	case breaker.StateHeld:
		s.State = StateHeld
	case breaker.StateForcedOpen:
		s.Until = b.Lease.Until
	case breaker.StateOpen, breaker.StateHalfOpen:
	case breaker.StateClosed, breaker.StateForcedClosed, breaker.StateObserve:
		return Status{}, false
	}
	if f.words {
		s.Why = b.Why()
	}
	return s, true
}

// held is about pauses that the vendor asked for.
func (f *facts) held() (Status, bool) {
	if h, ok := f.holds[ratelimit.Key{}]; ok && !h.Probing {
		return Status{
			State: StateHeld, Since: h.Since, Until: h.Until,
			Why: f.say("Calls wait until %s because the vendor asked for it: %s.", clock(h.Until), strings.TrimSuffix(h.Reason, ".")),
		}, true
	}
	var longest *ratelimit.HoldSnapshot
	var of ratelimit.Key
	for key, h := range f.holds {
		if !h.Probing && (longest == nil || h.Until.After(longest.Until)) {
			longest, of = &h, key
		}
	}
	if longest == nil {
		return Status{}, false
	}
	// With one account, what is held for it is held for all.
	s := Status{State: StateDegraded, Since: longest.Since, Until: longest.Until, Account: of.Credential}
	whose := "Some calls"
	switch {
	case of.Group != "":
		whose = "Calls of " + of.Group
	case of.Credential == credentials.DefaultAccount:
		s.State, s.Account, whose = StateHeld, "", "Calls"
	case of.Credential != "":
		whose = "Calls of the account " + of.Credential
	}
	s.Why = f.say("%s wait until %s because the vendor asked for it: %s.", whose, clock(longest.Until), strings.TrimSuffix(longest.Reason, "."))
	return s, true
}

// operation is about breakers of operations: the rest of the connection works.
func (f *facts) operation() (Status, bool) {
	for _, b := range f.breakers {
		s := Status{State: StateDegraded, Breaker: b, Since: b.Since, Until: b.Until}
		switch b.State {
		case breaker.StateForcedOpen:
			s.Until = b.Lease.Until
		case breaker.StateOpen, breaker.StateHalfOpen, breaker.StateHeld:
		case breaker.StateClosed, breaker.StateForcedClosed, breaker.StateObserve:
			continue
		}
		if f.words {
			s.Why = b.Key.Operation + ": " + b.Why()
		}
		return s, true
	}
	return Status{}, false
}

// fewest is how many calls must fail before a connection counts as down by them alone, and shareOfFailures
// from how many of a hundred on it counts as degraded.
const (
	fewest          = 2
	shareOfFailures = 1
)

// lately is about the calls of the last minutes.
func (f *facts) lately() (Status, bool) {
	w := &f.traffic
	minutes := int(calls.Lately.Minutes())
	switch {
	case w.Lately == 0:
		return Status{}, false
	case w.LatelyFailed == w.Lately && w.Lately >= fewest && f.answeredSince():
		return Status{
			State: StateDegraded,
			Why:   f.say("All of the %d calls in the last %d minutes failed; the health check since, %s, was answered with %s.", w.Lately, minutes, f.when(f.check.At), f.check.Answer()),
		}, true
	case w.LatelyFailed == w.Lately && w.Lately >= fewest:
		return Status{State: StateDown, Why: f.say("All of the %d calls in the last %d minutes failed. The last one: %s.", w.Lately, minutes, w.LastError)}, true
	case w.LatelyFailed*100 >= w.Lately*shareOfFailures:
		if w.LatelyFailed > 0 {
			return Status{
				State: StateDegraded,
				Why:   f.say("%d of %s in the last %d minutes failed. The last one, %s: %s.", w.LatelyFailed, f.counted(w.Lately), minutes, f.when(w.LastFailure), w.LastError),
			}, true
		}
	case w.LatelyFailed > 0:
		return Status{State: StateHealthy, Why: f.say("%d of %s in the last %d minutes failed, which is less than 1 %%.", w.LatelyFailed, f.counted(w.Lately), minutes)}, true
	}
	return Status{State: StateHealthy, Why: f.say("%s in the last %d minutes, none failed.", f.counted(w.Lately), minutes)}, true
}

// answeredSince reports whether a request of ours was answered well after the last call: it may work again, which the
// next calls show.
func (f *facts) answeredSince() bool {
	return f.check != nil && f.check.OK() && f.check.At.After(f.traffic.LastCall)
}

// checkedUntil is how long the last request of ours says something; zero when there is none.
func (f *facts) checkedUntil() time.Time {
	if f.check == nil || !f.standing.Check.Active() {
		return time.Time{}
	}
	return f.check.At.Add(2*f.standing.Check.Every.Std() + time.Minute)
}

// checked is about the last request of ours, where no call ended since.
func (f *facts) checked() (Status, bool) {
	c := f.check
	if c == nil || c.At.Before(f.traffic.LastCall) || f.now.After(f.checkedUntil()) {
		return Status{}, false
	}
	quiet := f.sinceLastCall()
	switch {
	case c.OK():
		return Status{State: StateHealthy, Why: f.say("%s The health check %s was answered with %s in %s.", quiet, f.when(c.At), c.Answer(), c.Took.Round(time.Millisecond))}, true
	case c.Outcome == runtime.OutcomeUnauthenticated:
		return Status{State: StateCredential, Account: credentials.DefaultAccount, Code: runtime.CodeCredentialRejected, Why: f.say("%s The health check %s was answered with %s: the credential is not accepted.", quiet, f.when(c.At), c.Answer())}, true
	case c.Failed() && c.InARow >= fewest:
		return Status{State: StateDown, Since: c.FailingSince, Why: f.say("%s The last %d health checks failed. The last one, %s: %s.", quiet, c.InARow, f.when(c.At), c.Answer())}, true
	}
	return Status{State: StateDegraded, Why: f.say("%s The health check %s did not succeed: %s.", quiet, f.when(c.At), c.Answer())}, true
}

// quiet is about calls that are a little older.
func (f *facts) quiet() (Status, bool) {
	w := &f.traffic
	calledOut := w.Calls - w.Refused
	if calledOut == 0 {
		return Status{}, false
	}
	if w.LastFailure.After(w.LastSuccess) {
		return Status{State: StateDegraded, Why: f.say("The last call, %s, failed: %s. There was none since.", f.when(w.LastFailure), w.LastError)}, true
	}
	return Status{State: StateHealthy, Why: f.say("%s in the last %d minutes; the last one, %s, did not fail.", f.counted(calledOut), int(calls.Window.Minutes()), f.when(w.LastCall))}, true
}

func (f *facts) idle() Status {
	return Status{State: StateIdle, Why: f.say("%s Nothing is known about it.", f.sinceLastCall())}
}

func (f *facts) sinceLastCall() string {
	what := "No call"
	if f.traffic.Refused > 0 && f.traffic.LastRefused.After(f.traffic.LastCall) {
		what = "No call got through"
	}
	if last := f.traffic.LastCall; !last.IsZero() {
		return f.say("%s since %s.", what, f.since(last))
	}
	return f.say("%s in the last %d minutes.", what, int(calls.Window.Minutes()))
}

func (f *facts) counted(n int) string {
	if n == 1 {
		return f.say("1 call")
	}
	return f.say("%d calls", n)
}

// when is a moment in the past, as "at 14:05:32 UTC", with the date when it is of another day. It is no age, which
// would be wrong a moment later on a page, and for ever in a history or a message.
func (f *facts) when(then time.Time) string {
	if f.ofToday(then) {
		return "at " + clock(then)
	}
	return then.UTC().Format("on 2 Jan at 15:04 UTC")
}

// since is such a moment as the beginning of a time.
func (f *facts) since(then time.Time) string {
	if f.ofToday(then) {
		return clock(then)
	}
	return then.UTC().Format("2 Jan 15:04 UTC")
}

func (f *facts) ofToday(then time.Time) bool {
	return f.told.Sub(then) < 24*time.Hour && f.told.UTC().YearDay() == then.UTC().YearDay()
}

func clock(t time.Time) string { return t.UTC().Format("15:04:05 UTC") }
