// Package breakers holds the pages about what guards calls: all breakers by impact, and those of one
// connection with its limits, history and commands. View models are plain values; they know no domain
// package.
package breakers

import (
	"time"

	"switchgear/web/templates/layout"
)

// The states of a breaker, as the API names them. A state that is not here is shown as it is.
const (
	StateClosed       = "closed"
	StateOpen         = "open"
	StateHalfOpen     = "half_open"
	StateHeld         = "held"
	StateForcedOpen   = "forced_open"
	StateForcedClosed = "forced_closed"
	StateObserve      = "observe"
)

// Status is what calls meet at a breaker, and what comes next.
type Status struct {
	State string
	// WouldBe is the state under an override: closed, open, half_open or held.
	WouldBe string
	// Off is true when the policy switches the breaker off. Commands still work.
	Off   bool
	Since time.Time
	// Until is the end of the override, or when the next probe may be sent; zero without either.
	Until time.Time
	// Probes succeeded of those wanted, half-open.
	Probes, ProbesWanted int
	// Admitted is the share of calls that are let through while traffic comes back; 0 stands for all.
	Admitted float64
	// Quiet says that no call was judged within the window: neither healthy nor broken.
	Quiet bool
}

// ListView is every breaker, what hurts most first. Its filters are q and state; states are those of
// [Status] and ShowAttention.
type ListView struct {
	Page                 layout.Page
	Now                  time.Time
	Rows                 []Row
	Total, Number, Limit int
	Search, State        string
	// All, Attention and Overridden count the breakers of each choice of the filter.
	All, Attention, Overridden int
}

// The choices of the list beside the states.
const (
	// ShowAttention are the breakers that keep calls back or let only some through.
	ShowAttention = "attention"
	// ShowOverridden are those under an override.
	ShowOverridden = "overridden"
)

// Row is one breaker in a list. Operation is empty for that of the connection.
type Row struct {
	Slug, Name, Operation string
	Status                Status
	// Failures of Judged calls within Window.
	Failures, Judged int
	Window           time.Duration
	// Refused counts the calls that were rejected since Status.Since.
	Refused int64
	// Limit is the window of the rate limits that is the fullest; its Label is empty without one.
	Limit Meter
	// MaxInFlight is 0 when nothing bounds it.
	InFlight, MaxInFlight int
	Past                  Past
}

// Meter is how much of a limit is used.
type Meter struct {
	Label      string
	Value, Max float64
	Text       string
}

// TabView is the tab of a connection. Operation is the one that is looked at, PolicyOf the one whose policy
// is shown; empty is the connection as a whole. The address of both is /connections/{slug}/breaker, with
// operation, policy, cause and before.
type TabView struct {
	Now                 time.Time
	Slug, Name          string
	Operation, PolicyOf string
	CanOperate          bool
	// Topics are what the part about the present follows, separated by spaces.
	Topics string
	// Breakers are all of the connection, its own first.
	Breakers []Row
	Breaker  Breaker
	// Change is the last change of the definition; nil when nothing is known of it.
	Change   *Change
	Watch    *Watch
	Limits   Limits
	Outcomes []Outcome
	Failures []Failure
	History  History
	// Settings are the policy in force of PolicyOf.
	Settings []Setting
}

// Breaker is all that is known of one.
type Breaker struct {
	Status Status
	// Why says in sentences why calls pass or do not. Tripped says why it opened last, empty once it is
	// closed again.
	Why, Tripped string
	// Manual says that a person opened it: no change and no call is to blame.
	Manual bool
	// The counts are those that it judges by.
	Successes, Failures, Excluded, Slow, InARow int
	// Refused counts the calls rejected since Status.Since, Missed those that observing would have rejected.
	Refused, Missed int64
	Thresholds      Thresholds
	// Override and Hold are nil when there is none.
	Override, Hold *Lease
	// Reopened counts failed recoveries, OpenTotal is how long no call passed, ever.
	Reopened  int
	OpenTotal time.Duration
}

// Thresholds say when a breaker opens and how it recovers. 0 switches InARow, SlowRatio and Ramp off.
type Thresholds struct {
	FailureRatio  float64
	MinCalls      int
	Window        time.Duration
	InARow        int
	SlowRatio     float64
	OpenFor       time.Duration
	HalfOpenCalls int
	Ramp          time.Duration
}

// Lease is an intervention. Actor is empty when the upstream asked for it; Until zero when it has no end.
type Lease struct {
	Actor, Reason string
	Since, Until  time.Time
}

// Change is a version of the connection.
type Change struct {
	Version int
	Author  string
	At      time.Time
}

// Watch is what became of the calls after a command: the first Wanted of them.
type Watch struct {
	// Command is what was done, in words: "Reset".
	Command, Actor, Reason string
	At                     time.Time
	// Calls of Wanted were made: Failed of them upstream, Refused were refused here, the others were answered.
	Calls, Wanted   int
	Failed, Refused int
	// Outcomes count how they ended.
	Outcomes []Outcome
}

// Verdicts of an [Outcome].
const (
	VerdictSuccess  = "success"
	VerdictFailure  = "failure"
	VerdictRefused  = "refused"
	VerdictExcluded = "excluded"
)

// Limits are what bounds calls beside the breaker.
type Limits struct {
	// Scopes are the rate limits: of the connection, its operations and credentials.
	Scopes []Scope
	// MoreAccounts counts the limits of accounts that are left out because they have more left.
	MoreAccounts int
	// Waiting of MaxWaiting calls are in the queue for their turn.
	Waiting, MaxWaiting int
	// Bulkheads bound the calls under way; the first is that of the connection.
	Bulkheads []Bulkhead
	Retry     *RetryBudget
	Cache     *Cache
}

// Scope is one set of rate limits.
type Scope struct {
	// Name is what they hold for; empty for the connection as a whole.
	Name    string
	Windows []Window
	Quotas  []Quota
	// Why says what is configured, what is effective, and why they differ.
	Why string
	// Hold is nil when the upstream asks for no pause.
	Hold *Lease
	// Probing says that the time of the hold is over, and one request goes first.
	Probing bool
}

// Window is one limit. Label is like "90 per 1 s".
type Window struct {
	Label      string
	Used, Most int
}

// Quota is what the upstream said. Most is 0 when it did not say of how many.
type Quota struct {
	Label      string
	Left, Most int64
	Resets     time.Time
}

// Bulkhead bounds the calls under way. Most is 0 for no bound.
type Bulkhead struct {
	Name           string
	InFlight, Most int
	Waiting        int
	Rejected       int64
}

// RetryBudget bounds the retries to a part of the calls: those that are being repeated now, and the repeats
// of the last ten seconds.
type RetryBudget struct {
	Repeating, MostRepeating int
	Repeats, MostRepeats     int
	Refused                  int64
}

// Cache is what is kept of answers.
type Cache struct {
	Hits, Stale, Revalidated, Misses int64
	Entries                          int
	Bytes, MaxBytes                  int64
	OldestStale                      time.Duration
}

// Outcome counts the calls that ended in one way.
type Outcome struct {
	// Name is its machine name.
	Name, Label string
	Calls       int64
	// Verdict says what it means to the breaker.
	Verdict string
}

// Failure is a call that failed.
type Failure struct {
	ID, Outcome string
	At          time.Time
	// Tripped marks one of those that opened the breaker.
	Tripped bool
}

// History is what happened to the breaker, the newest first. Cause is the filter.
type History struct {
	Cause  string
	Events []Event
	// Older is the value of "before" for the next page; empty when there is none.
	Older string
	// Paged says that this is not the newest part.
	Paged bool
}

// The choices of the filter of a history.
const (
	CauseAuto     = "auto"
	CauseManual   = "manual"
	CauseReset    = "reset"
	CauseHold     = "hold"
	CauseSettings = "config"
)

// Event is one change of a breaker.
type Event struct {
	ID string
	// Operation is the one whose breaker it was; empty for that of the connection.
	Operation string
	At        time.Time
	From, To  string
	// Cause is one of those of the filter, watchdog, lease_expired, drill or restore.
	Cause         string
	Actor, Reason string
	Failures      int
	Judged        int
	// Version of the connection at that time, 0 when not known.
	Version int
	// Calls failed last before the change.
	Calls []string
}

// Setting is one value of a policy. Origin is product, provider, connection or operation.
type Setting struct{ Path, Value, Origin string }

// Verb is a command, as it is in addresses and in the API.
type Verb string

// The commands.
const (
	VerbProbe       Verb = "probe"
	VerbTrip        Verb = "trip"
	VerbForceOpen   Verb = "force-open"
	VerbForceClosed Verb = "force-closed"
	VerbObserve     Verb = "observe"
	VerbHold        Verb = "hold"
	VerbAuto        Verb = "auto"
	VerbReset       Verb = "reset"
)

// Verbs lists every command.
func Verbs() []Verb {
	return []Verb{VerbProbe, VerbTrip, VerbHold, VerbForceOpen, VerbForceClosed, VerbObserve, VerbAuto, VerbReset}
}

// CommandView asks before a command is given. It posts operation, for, until and reason to
// /connections/{slug}/breaker/{verb}.
type CommandView struct {
	Page       layout.Page
	Now        time.Time
	Slug, Name string
	Verb       Verb
	Operation  string
	Thresholds Thresholds
	// Before are the last interventions, newest first.
	Before []Event
	// For is the chosen duration ("30m"), Until the time that was entered instead ("2006-01-02T15:04", in UTC).
	For, Until, Reason string
	Errors             map[string]string
}
