package breakers

import (
	"slices"
	"strings"
	"time"

	"github.com/a-h/templ"

	"switchgear/web/templates/ui"
)

func sampleThresholds() Thresholds {
	return Thresholds{FailureRatio: .5, MinCalls: 20, Window: time.Minute, OpenFor: 30 * time.Second, HalfOpenCalls: 3, Ramp: 10 * time.Second}
}

func sampleEvents() []Event {
	return []Event{
		{ID: "6", At: ago(8 * time.Second), From: StateHalfOpen, To: StateOpen, Cause: CauseAuto, Reason: "a probe failed: Server error", Failures: 1, Judged: 1, Calls: []string{"req_8kd2f9a0c1b2"}, Version: 18},
		{ID: "5", At: ago(38 * time.Second), From: StateOpen, To: StateHalfOpen, Cause: CauseAuto, Reason: "30 s passed", Version: 18},
		{
			ID: "4", At: ago(14 * time.Minute), From: StateClosed, To: StateOpen, Cause: CauseAuto, Reason: "38 of 60 calls failed: 63 %, trips at 50 %", Failures: 38, Judged: 60,
			Calls: []string{"req_7fa9c2d010aa", "req_7fa9c2d010ab", "req_7fa9c2d010ac", "req_7fa9c2d010ad"}, Version: 18,
		},
		{ID: "3", At: ago(22 * time.Minute), From: StateForcedOpen, To: StateClosed, Cause: "lease_expired", Reason: "the override came to its end", Version: 17},
		{ID: "2", At: ago(52 * time.Minute), From: StateClosed, To: StateForcedOpen, Cause: CauseManual, Actor: "ops@example.com", Reason: "vendor maintenance", Version: 17},
		{ID: "1", At: ago(11 * time.Hour), From: StateOpen, To: StateClosed, Cause: "reset", Actor: "ops@example.com", Reason: "after the vendor's fix, INC-212", Version: 16},
	}
}

func sampleLimits() Limits {
	return Limits{
		Scopes: []Scope{{
			Windows: []Window{{Label: "90 per 1 s", Used: 12, Most: 90}, {Label: "5,000 per 1 min", Used: 3550, Most: 5000}},
			Quotas:  []Quota{{Label: "Vendor quota", Left: 240, Most: 1000, Resets: ahead(20 * time.Second)}},
			Why:     "configured 90/s, effective 12/s because the vendor says 240 left for 20 s",
		}},
		Bulkheads: []Bulkhead{{InFlight: 25, Most: 25, Waiting: 4, Rejected: 17}},
		Retry:     &RetryBudget{Repeating: 4, MostRepeating: 5, Repeats: 12, MostRepeats: 40, Refused: 9},
		Cache:     &Cache{Hits: 1200, Stale: 390, Revalidated: 20, Misses: 3100, Entries: 212, Bytes: 1 << 20, MaxBytes: 64 << 20, OldestStale: 9 * time.Minute},
	}
}

func sampleSettings() []Setting {
	return []Setting{
		{"attempt_timeout", "0s", "product"},
		{"breaker.enabled", "true", "product"},
		{"breaker.failure_ratio", "0.5", "product"},
		{"breaker.min_calls", "20", "connection"},
		{"bulkhead.max_in_flight", "25", "connection"},
		{"cache.stale_if_error", "10m", "provider"},
		{"rate_limits", `[{"requests":90,"per":"1s"},{"requests":5000,"per":"1m"}]`, "provider"},
		{"retry.max_attempts", "5", "operation"},
		{"timeout", "10s", "of-a-later-version"},
	}
}

// sampleTab is a closed breaker with traffic.
func sampleTab() TabView {
	return TabView{
		Now: now(), Slug: "stripe", Name: "Stripe live", CanOperate: true, Topics: "breakers-con_1 calls", Breakers: sampleRows()[7:8],
		Breaker: Breaker{
			Status: Status{State: StateClosed, Since: ago(26 * time.Hour)}, Thresholds: sampleThresholds(), Successes: 10, Failures: 8, Slow: 1, Excluded: 2,
			Why: "18 of 20 minimum calls, failures 44 % of 50 %: not tripped because no threshold is reached.",
		},
		Limits: sampleLimits(), Settings: sampleSettings(), History: History{Events: sampleEvents()[3:]},
		Outcomes: []Outcome{
			{"success", "Success", 12010, VerdictSuccess},
			{"upstream_error", "Server error", 31, VerdictFailure},
			{"timeout", "No answer in time", 7, VerdictFailure},
			{"client_error", "Client error", 120, VerdictSuccess},
			{"rejected_local", "Refused here", 412, VerdictRefused},
			{"caller_gone", "Caller went away", 3, VerdictExcluded},
		},
		Failures: []Failure{{"req_7fa9c2d010aa", "Server error", ago(70 * time.Second), false}},
	}
}

func openTab() TabView {
	v := sampleTab()
	v.Operation, v.Breakers = "createCharge", slices.Concat(sampleRows()[7:8], sampleRows()[:1])
	v.PolicyOf = v.Operation
	v.Breaker.Status = sampleRows()[0].Status
	v.Breaker.Tripped, v.Breaker.Why = "38 of 60 calls failed: 63 %, trips at 50 %.", "Open because 38 of 60 calls failed: 63 %, trips at 50 %."
	v.Breaker.Successes, v.Breaker.Failures, v.Breaker.Refused, v.Breaker.Reopened, v.Breaker.OpenTotal = 22, 38, 412, 2, 84*time.Minute
	v.Breaker.Thresholds.InARow, v.Breaker.Thresholds.SlowRatio, v.Breaker.InARow = 5, .8, 4
	v.Change = &Change{Version: 18, Author: "ops@example.com", At: ago(19 * time.Minute)}
	v.History.Events, v.History.Older = sampleEvents(), "4"
	v.Failures = []Failure{
		{"req_8kd2f9a0c1b2", "Server error", ago(8 * time.Second), false},
		{"req_7fa9c2d010aa", "Server error", ago(14 * time.Minute), true},
		{"req_7fa9c2d010ab", "No answer in time", ago(14 * time.Minute), true},
	}
	return v
}

// whole puts the tab into a page; the frame of a connection is none of this package.
func inPage(name string, v TabView) ui.State {
	return page("Breaker tab", name, tabPage(v))
}

func override(state, wouldBe string, until time.Time) TabView {
	v := sampleTab()
	v.Breaker.Status = Status{State: state, WouldBe: wouldBe, Since: ago(3 * time.Minute), Until: until}
	v.Breaker.Override = &Lease{Actor: "ops@example.com", Reason: "vendor maintenance", Since: ago(3 * time.Minute), Until: until}
	v.Breaker.Refused = 3
	v.Breaker.Why = StateWord(state) + " by ops@example.com: vendor maintenance. Without the override: " + stateInText(wouldBe) + "."
	return v
}

func tabStates() []ui.State {
	closed, open := sampleTab(), openTab()
	half, held, quiet := openTab(), sampleTab(), sampleTab()
	half.Breaker.Status = Status{State: StateHalfOpen, Since: ago(4 * time.Second), Probes: 2, ProbesWanted: 3}
	half.Breaker.Successes, half.Breaker.Failures, half.Breaker.Refused = 2, 0, 14
	half.Breaker.Why = "2 of 3 probes used, 2 succeeded: closes when all succeed, opens again at the first failure."
	half.Watch = &Watch{
		Command: "Probe now", Actor: "ops@example.com", Reason: "the vendor says it is mended", At: ago(5 * time.Second), Calls: 16, Wanted: 20, Failed: 0, Refused: 14,
		Outcomes: []Outcome{{"success", "Success", 2, VerdictSuccess}, {"rejected_local", "Refused here", 14, VerdictRefused}},
	}
	held.Breaker.Status = Status{State: StateHeld, Since: ago(20 * time.Second), Until: ahead(41 * time.Second)}
	held.Breaker.Hold = &Lease{Reason: "Retry-After: 61", Since: ago(20 * time.Second), Until: ahead(41 * time.Second)}
	held.Breaker.Refused, held.Breaker.Why = 90, "Held for the upstream: Retry-After: 61."
	held.Limits.Scopes[0].Hold = &Lease{Reason: "the vendor answered 429", Since: ago(20 * time.Second), Until: ahead(41 * time.Second)}
	held.Limits.Scopes[0].Why = "configured 90/s, nothing for 41 s because the vendor answered 429"
	manual, over := held, held
	manual.Breaker.Hold = &Lease{Actor: "ops@example.com", Reason: "vendor maintenance.", Since: ago(20 * time.Second), Until: ahead(41 * time.Second)}
	manual.Limits = sampleLimits()
	over.Breaker.Status.Until = ago(time.Second)
	over.Limits = sampleLimits()
	over.Limits.Scopes[0].Hold, over.Limits.Scopes[0].Probing = held.Limits.Scopes[0].Hold, true
	quiet.Breaker.Status.Quiet, quiet.Breaker.Successes, quiet.Breaker.Failures, quiet.Breaker.Slow, quiet.Breaker.Excluded = true, 0, 0, 0, 0
	quiet.Breaker.Why, quiet.Outcomes, quiet.Failures, quiet.History = "No calls in the last 1m0s: nothing to judge.", nil, nil, History{}
	quiet.Limits = Limits{Bulkheads: []Bulkhead{{}}}
	forcedOpen := override(StateForcedOpen, StateClosed, ahead(27*time.Minute))
	forcedOpen.Watch = &Watch{Command: "Force open", Actor: "ops@example.com", Reason: "vendor maintenance", At: ago(3 * time.Minute), Wanted: 20}
	forcedClosed := override(StateForcedClosed, StateOpen, ahead(4*time.Minute))
	forcedClosed.Watch = &Watch{Command: "Force closed", Actor: "ops@example.com", Reason: "vendor maintenance", At: ago(3 * time.Minute), Calls: 20, Wanted: 20, Failed: 12}
	observe := override(StateObserve, StateOpen, time.Time{})
	observe.Breaker.Missed = 31
	recovering := sampleTab()
	recovering.Breaker.Status.Admitted = .46
	recovering.Watch = &Watch{
		Command: "Reset", Actor: "ops@example.com", Reason: "INC-212", At: ago(time.Minute), Calls: 20, Wanted: 20, Outcomes: []Outcome{{"success", "Success", 20, VerdictSuccess}},
	}
	off := sampleTab()
	off.Breaker.Status.Off = true
	many := openTab()
	many.Breakers, many.Operation, many.PolicyOf = manyOperations(), "createCharge", "operation7"
	reader := openTab()
	reader.CanOperate = false
	filtered, older, gone := sampleTab(), openTab(), sampleTab()
	filtered.History = History{Cause: CauseHold}
	closed.Breakers = slices.Concat(sampleRows()[7:8], sampleRows()[:1])
	closed.History.Events = slices.Clone(sampleEvents())
	closed.History.Events[0].Operation = "createCharge"
	older.History.Paged, older.History.Older = true, ""
	gone.Settings = nil
	return []ui.State{
		inPage("closed", closed), inPage("open", open), inPage("half-open, after a probe", half), inPage("held by the vendor", held),
		inPage("held by a person", manual), inPage("the hold is over", over), inPage("forced open with a lease", forcedOpen), inPage("forced closed", forcedClosed),
		inPage("observing, would be open", observe), inPage("recovering, after a reset", recovering), inPage("switched off", off), inPage("no calls yet", quiet),
		inPage("many operations", many), inPage("read-only", reader), inPage("history, filter without hits", filtered), inPage("history, older part", older),
		inPage("the operation is gone", gone), inPage("long text", longTab()),
		{Group: "Breaker tab", Name: "the present", View: Now(open)},
		{Group: "Breaker tab", Name: "the history", View: HistoryPart(open)},
		{Group: "Breaker tab", Name: "the policy", View: PolicyPart(open)},
	}
}

func longTab() TabView {
	v := openTab()
	v.Name, v.Operation = longName, longOperation
	v.Breakers[1].Name, v.Breakers[1].Operation = longName, longOperation
	v.Breaker.Tripped, v.Breaker.Why = longText, longText
	v.Change.Author = longName
	v.Limits.Scopes = append(v.Limits.Scopes, Scope{
		Name: longOperation, Why: longText, Windows: []Window{{Label: "1,000,000,000 per 31 d", Used: 999999999, Most: 1000000000}},
		Quotas: []Quota{{Label: longOperation, Left: 123456789}},
	})
	v.Limits.Bulkheads = append(v.Limits.Bulkheads, Bulkhead{Name: longOperation, InFlight: 2, Most: 3})
	v.Limits.Waiting, v.Limits.MaxWaiting, v.Limits.MoreAccounts = 800, 1000, 9980
	v.Watch = &Watch{Command: "Reset", Actor: longName, Reason: longText, At: ago(time.Hour), Calls: 3, Wanted: 20, Failed: 1}
	v.Outcomes = append(v.Outcomes, Outcome{longOperation, longText, 1, "of-a-later-version"})
	v.Failures[0].ID, v.Failures[0].Outcome = "req_"+strings.Repeat("0123456789", 6), longText
	v.History.Events = append(v.History.Events,
		Event{ID: "0", At: ago(400 * 24 * time.Hour), From: "of-a-later-version", To: "of-a-later-version", Cause: "of-a-later-version", Actor: longName, Reason: longText},
		Event{ID: "00", At: ago(400 * 24 * time.Hour), From: StateHeld, To: StateHeld, Cause: CauseHold, Reason: longText},
		Event{ID: "000", At: ago(400 * 24 * time.Hour), From: StateOpen, To: StateOpen, Cause: CauseSettings, Reason: "the thresholds changed"},
		Event{ID: "0000", At: ago(400 * 24 * time.Hour), From: StateHalfOpen, To: StateHalfOpen, Cause: "watchdog", Actor: "ops@example.com"},
		Event{ID: "00000", At: ago(400 * 24 * time.Hour), From: StateClosed, To: StateOpen, Cause: "restore", Reason: "taken up again after a restart"},
	)
	v.Settings = append(v.Settings, Setting{"outcomes", longText, "connection"})
	return v
}

func tabPage(v TabView) templ.Component { return standalone(frame(v.Name), v) }
