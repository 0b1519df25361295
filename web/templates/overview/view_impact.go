package overview

import (
	"time"

	"switchgear/web/templates/breakers"
)

// The choices of what the table of connections shows; all is the empty one.
const (
	ShowAttention = "attention"
	ShowIdle      = "idle"
	ShowNotSetUp  = "not_set_up"
)

// Impact is every connection with its traffic of the last 15 minutes, what needs somebody first. Its
// filters are show, page and limit.
type Impact struct {
	Now  time.Time
	Show string
	// Number and Limit are the page; Total counts the rows on all pages.
	Number, Limit, Total int
	// All, Attention, Idle and NotSetUp count the connections of each choice.
	All, Attention, Idle, NotSetUp int
	// Calls, Failed, Refused and the courses by minute are those of all connections together. Refused calls were not
	// let out by us and are no failures.
	Calls, Failed, Refused int64
	Points, FailedPoints   []float64
	P95                    time.Duration
	LatencyPoints          []float64
	// NotClosed of Breakers do not let every call pass.
	NotClosed, Breakers int
	// Incidents are the connections that stand still, the worst first; Troubled counts all of them.
	Incidents []Incident
	Troubled  int
	Rows      []Row
}

// Incident is a connection that stands still, in part or whole.
type Incident struct {
	Slug, Name string
	// Operation is the one whose breaker is not closed; empty for the whole connection.
	Operation string
	State     State
	// Breaker is the one that decided, nil when none did.
	Breaker *breakers.Status
	// Account is the one whose credential it is about.
	Account string
	// Mend is what a person does about the credential; its Label is empty where there is nothing to do.
	Mend Mend
	// Why is a sentence; it is shown where Failures and Judged are not known.
	Why          string
	Since, Until time.Time
	// Failures of Judged calls within Window opened the breaker; Outcomes says how calls failed around then.
	Failures, Judged int
	Window           time.Duration
	Outcomes         []Outcome
	// Refused calls since then were not let out: Stale of them were answered from the cache, the oldest
	// answer Oldest past its time, and Lost were not answered.
	Refused, Stale, Lost int64
	Oldest               time.Duration
	// More counts the other breakers of the connection that are not closed.
	More int
	// Alert is the id of the alert that fires for it, empty when none does.
	Alert string
	// Changed is the last change of the connection before it, nil when there was none lately.
	Changed *Changed
	// MayOperate offers what operators may do, MayConfigure what needs more.
	MayOperate, MayConfigure bool
}

// Mend is what helps a credential, and where that is done.
type Mend struct{ Label, Href string }

// Outcome is how many calls ended in one way.
type Outcome struct {
	Label string
	N     int64
}

// Changed is a version that was active when a connection broke.
type Changed struct {
	Version, Before int // Before is the version to go back to, 0 when there is none
	Author          string
	At              time.Time
}

// State is how a connection is.
type State string

// The states.
const (
	StateHealthy    State = "healthy"
	StateDegraded   State = "degraded"
	StateDown       State = "down"
	StateHeld       State = "held"
	StateCredential State = "credential_problem" //nolint:gosec // It is a name.
	StateNotSetUp   State = "not_set_up"
	StateIdle       State = "idle"
	StatePaused     State = "paused"
)

// Row is one connection.
type Row struct {
	Slug, Name, Kind, Auth string
	Version                int
	// State is how it is, since when, and Why in a sentence.
	State State
	Why   string
	Since time.Time
	// Until is when it may change by itself; zero when it is not known.
	Until time.Time
	// Mend is what it needs to be set up; empty for who may not.
	Mend Mend
	// Breaker is the one that decided, nil when none did; Operation is its, empty for the connection's.
	Breaker   *breakers.Status
	Operation string
	// States are the worst of each minute, oldest first; empty where none is known.
	States []State
	// Spans are when within each minute it was so, to the second.
	Spans []Span
	// Limit is the fullest of the rate limits, empty without any; Pace says what slows calls down beyond it.
	Limit breakers.Meter
	Pace  string
	// Quota is what the vendor says is left, empty where it does not.
	Quota                 string
	InFlight, MaxInFlight int
	// Repeats of MostRepeats attempts were made again lately; Stale answers came from the cache since the start.
	Repeats, MostRepeats int
	Stale                int64
	// Calls and Failed are those of the last 15 minutes, and by the minute in Minutes, oldest first. Refused are
	// those of Calls that we did not let out, which are no failures.
	Calls, Failed, Refused int64
	Minutes                []Minute
	P50, P95, P99          time.Duration // zero without calls
	// Slow of Judged calls within the window of its breaker took too long; none where the policy does not say.
	Slow, Judged int
	// LastSuccess and LastFailure are zero when none is known. LastError says how the last failure ended.
	LastSuccess, LastFailure time.Time
	LastError                string
	// Done and Items are of the checklist; no items before the connection was judged.
	Done, Items int
}

// Span is a time, to the second.
type Span struct{ From, To time.Time }

// Minute is what happened in one of the last minutes.
type Minute struct{ Calls, Failed, Refused int }
