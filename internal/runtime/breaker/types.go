package breaker

import (
	"fmt"
	"slices"
	"time"

	"switchgear/internal/fault"
)

// Key names a breaker: that of a connection (no operation) or that of one of its operations. Connection is
// an identifier that is never used again, so that the history of a deleted connection stays its own.
type Key struct {
	Connection string `json:"connection"`
	Operation  string `json:"operation,omitempty"`
}

// String returns "connection" or "connection/operation".
func (k Key) String() string {
	if k.Operation == "" {
		return k.Connection
	}
	return k.Connection + "/" + k.Operation
}

// Mode says who decides: the breaker, or an override.
type Mode string

// The modes.
const (
	ModeAuto         Mode = "auto"
	ModeForcedOpen   Mode = "forced_open"
	ModeForcedClosed Mode = "forced_closed"
	ModeObserve      Mode = "observe"
)

// Modes lists every mode.
func Modes() []Mode { return []Mode{ModeAuto, ModeForcedOpen, ModeForcedClosed, ModeObserve} }

// passes reports whether calls pass whatever the automatic state is.
func (m Mode) passes() bool { return m == ModeForcedClosed || m == ModeObserve }

// ParseMode returns the mode of that name, fault.Invalid when there is none.
func ParseMode(name string) (Mode, error) {
	if m := Mode(name); slices.Contains(Modes(), m) {
		return m, nil
	}
	return "", fault.Field("UNKNOWN_MODE", "mode", fmt.Sprintf("There is no breaker mode %.40q.", name))
}

// State is what calls meet. The first four are the automatic ones.
type State string

// The states.
const (
	StateClosed       State = "closed"
	StateOpen         State = "open"
	StateHalfOpen     State = "half_open"
	StateHeld         State = "held" // open because the upstream or a person asked for a pause
	StateForcedOpen   State = "forced_open"
	StateForcedClosed State = "forced_closed"
	StateObserve      State = "observe"
)

// States lists every state.
func States() []State { return append(automatic(), StateForcedOpen, StateForcedClosed, StateObserve) }

func automatic() []State { return []State{StateClosed, StateOpen, StateHalfOpen, StateHeld} }

// rejects reports whether no call passes in this state.
func (s State) rejects() bool { return s == StateOpen || s == StateHeld || s == StateForcedOpen }

// effective is the state that calls meet under a mode.
func effective(m Mode, auto State) State {
	if m == ModeAuto {
		return auto
	}
	return State(m)
}

// Cause says what made a breaker change.
type Cause string

// The causes.
const (
	CauseAuto         Cause = "auto"          // the breaker itself
	CauseManual       Cause = "manual"        // a person
	CauseHold         Cause = "hold"          // the upstream asked for a pause
	CauseReset        Cause = "reset"         // a person started it afresh
	CauseConfig       Cause = "config"        // the thresholds changed
	CauseWatchdog     Cause = "watchdog"      // the probes did not end
	CauseLeaseExpired Cause = "lease_expired" // an override came to its end
	CauseDrill        Cause = "drill"         // a drill gave the command
	CauseRestore      Cause = "restore"       // taken up again after a restart
)

// Verdict is what the outcome of a call means.
type Verdict string

// The verdicts. One that does not exist counts as excluded: it must not count, and it must free its slot.
const (
	Success  Verdict = "success"  // the upstream is alive
	Failure  Verdict = "failure"  // it counts against the upstream
	Excluded Verdict = "excluded" // it says nothing about the upstream
)

// Result is how an admitted call ended.
type Result struct {
	Verdict Verdict
	// Slow marks a call, successful or not, that took longer than it may. Excluded calls are never slow.
	Slow bool
	// Local marks a failure of the way to the upstream (name, connect, TLS). It counts for the connection's
	// breaker; for the operation's it is excluded.
	Local bool
	// Outcome is the name of the outcome, for the history.
	Outcome string
	// Label is the outcome in words, for reasons; the name where it is empty.
	Label string
	// RequestID is kept as a sample when the call failed.
	RequestID string
}

// Counts are what a breaker judges by. Successes, failures, excluded and slow calls are those of the present
// state within the window; rejections are those of the window, whatever the state was.
type Counts struct {
	Successes           int `json:"successes"`
	Failures            int `json:"failures"`
	Excluded            int `json:"excluded"`
	Slow                int `json:"slow"`
	ConsecutiveFailures int `json:"consecutive_failures"`
	Rejected            int `json:"rejected"`
	WouldReject         int `json:"would_reject"`
}

// Judged is the number of calls that say something about the upstream.
func (c Counts) Judged() int { return c.Successes + c.Failures }

// FailureRatio is failures/(successes+failures), 0 without any.
func (c Counts) FailureRatio() float64 { return ratio(c.Failures, c.Judged()) }

// SlowRatio is slow/(successes+failures), 0 without any.
func (c Counts) SlowRatio() float64 { return ratio(c.Slow, c.Judged()) }

func ratio(part, whole int) float64 {
	if whole <= 0 {
		return 0
	}
	return float64(part) / float64(whole)
}

// Lease is an intervention: why, by whom, since when and until when. Only observe may have no end.
type Lease struct {
	Reason string    `json:"reason,omitempty"`
	Actor  string    `json:"actor,omitempty"`
	Since  time.Time `json:"since,omitzero"`
	Until  time.Time `json:"until,omitzero"`
}

// Event is one change of a breaker. From and To are the automatic states; where the mode changed, they are
// the states that calls meet.
type Event struct {
	Key   Key
	Epoch uint64 // the instance: another one after a reset, a configuration, the watchdog, a restart
	Seq   uint64 // numbers the events of a breaker, across epochs and restarts
	At    time.Time
	From  State
	To    State
	Mode  Mode // in force after the change
	Cause Cause
	Actor string // empty when nobody gave a command
	// Reason is the actor's, or made by the breaker.
	Reason string
	// Counts are those before the change: what it was judged by.
	Counts Counts
	// Samples are the requests that opened the breaker, the newest at the end: those that failed last, with the
	// outcome of the last one, or those that were slow. Both are empty for every other change: nobody blames a
	// call for what a person did.
	LastOutcome string
	Samples     []string
	// Until is when the next probe may be sent; zero unless the automatic state is open or held.
	Until time.Time
	// LeaseUntil is when the override ends by itself; zero without one, or when it has no end.
	LeaseUntil time.Time
	// Durable is the breaker after the change, to be stored with it.
	Durable Durable
}
