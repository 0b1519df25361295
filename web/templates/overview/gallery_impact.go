package overview

import (
	"strings"
	"time"

	"switchgear/web/templates/breakers"
)

// withImpact is the overview of an installation that works.
func withImpact(i Impact) View {
	v := sample()
	v.Keys, v.Steps, v.Impact, v.Connections, v.CanConfigure = 6, nil, i, i.All, true
	v.Page.Live = append(v.Page.Live, "connections", "calls")
	return v
}

// quarter is 15 minutes of calls, of which the last ones failed.
func quarter(calls, failing, failed int) []Minute {
	out := make([]Minute, 15)
	for i := range out {
		out[i].Calls = calls * (i*7%5 + 1) / 5
		if i >= len(out)-failing {
			out[i].Failed = min(failed, out[i].Calls)
		}
	}
	return out
}

func waves(high float64) []float64 {
	out := make([]float64, 15)
	for i := range out {
		out[i] = high * float64(i*4%7+3) / 9
	}
	return out
}

func impactSample() Impact {
	return Impact{
		Now: now(), Number: 1, Limit: 50, Total: 9, All: 9, Attention: 5, Idle: 1, NotSetUp: 1,
		Calls: 187_215, Failed: 2_658, Refused: 22, Points: waves(12_481), FailedPoints: waves(60), P95: 183 * time.Millisecond, LatencyPoints: waves(60),
		NotClosed: 3, Breakers: 31, Troubled: 4, Incidents: incidentSamples(), Rows: rowSamples(),
	}
}

// shortly is an outage of four seconds in one of the last minutes.
func shortly(at time.Time, minute int) []Span {
	out := make([]Span, 15)
	out[minute] = Span{at, at.Add(4 * time.Second)}
	return out
}

func rowSamples() []Row {
	at := func(ago time.Duration) time.Time { return now().Add(-ago) }
	minutes := func(state State, last int) []State {
		out := make([]State, 15)
		for i := range out {
			out[i] = StateHealthy
			if i >= len(out)-last {
				out[i] = state
			}
		}
		return out
	}
	return []Row{
		{
			Done: 9, Items: 12, Slug: "stripe", Name: "Stripe live", Kind: "rest", Auth: "Bearer token", Version: 18, Calls: 60, Failed: 38, Refused: 22, Minutes: quarter(4, 15, 4),
			State: StateDown, Why: "Open because 38 of 60 calls failed: 63 %, trips at 50 %.", Since: at(14 * time.Minute), States: minutes(StateDown, 14),
			Breaker: &breakers.Status{State: breakers.StateOpen, Since: at(14 * time.Minute), Until: at(-22 * time.Second)},
			Spans:   shortly(at(8*time.Minute).Add(12*time.Second), 6),
			Limit:   breakers.Meter{Label: "90 per 1 s", Value: 90, Max: 90, Text: "90 of 90 per 1 s"}, InFlight: 25, MaxInFlight: 25, Repeats: 12, MostRepeats: 12, Stale: 390,
			P50: 5300 * time.Millisecond, P95: 8100 * time.Millisecond, P99: 10 * time.Second, Slow: 41, Judged: 60, LastSuccess: at(44 * time.Minute), LastFailure: at(2 * time.Second), LastError: "Unavailable",
		},
		{
			Slug: "hubspot", Name: "HubSpot CRM", Kind: "rest", Auth: "OAuth 2.0", Version: 4, Calls: 911, Failed: 37, Minutes: quarter(60, 5, 7),
			State: StateHeld, Why: "Calls wait until 09:27:34 UTC because the vendor asked for it: Retry-After.", Since: at(20 * time.Second), Until: at(-41 * time.Second), States: minutes(StateHeld, 3),
			Limit: breakers.Meter{Label: "50 per 1 s", Value: 40, Max: 50, Text: "40 of 50 per 1 s"}, Pace: "effective 12/s", Quota: "240 of 10,000 left", InFlight: 3, MaxInFlight: 25,
			P50: 96 * time.Millisecond, P95: 412 * time.Millisecond, P99: 1800 * time.Millisecond, LastSuccess: at(3 * time.Second), LastFailure: at(time.Minute), LastError: "Throttled",
		},
		{
			Slug: "github", Name: "GitHub", Kind: "rest", Auth: "OAuth 2.0", Version: 9, Calls: 320, Failed: 38, Minutes: quarter(20, 8, 9),
			State: StateDegraded, Operation: "listIssues", Why: "listIssues: 1 of 3 probes used, 1 succeeded.", Since: at(6 * time.Minute), States: minutes(StateDegraded, 6),
			Breaker: &breakers.Status{State: breakers.StateHalfOpen, Since: at(3 * time.Second), Probes: 1, ProbesWanted: 3},
			P95:     190 * time.Millisecond, InFlight: 1, MaxInFlight: 25, LastSuccess: at(3 * time.Second), LastFailure: at(2 * time.Minute), LastError: "Timed out",
		},
		{
			Slug: "ads", Name: "Google Ads", Kind: "rest", Auth: "OAuth 2.0", Version: 2, Minutes: quarter(0, 0, 0), State: StateCredential, Since: at(3 * time.Hour),
			Why: "Account default: The service no longer accepts the credential. Connect the account again.", States: minutes(StateCredential, 15),
			LastSuccess: at(4 * time.Hour), LastFailure: at(3 * time.Hour), LastError: "Credential not accepted",
		},
		{
			Slug: "legacy", Name: "Legacy ERP", Kind: "rest", Auth: "Basic", Version: 1, Minutes: quarter(0, 0, 0), State: StateDown, Since: at(50 * time.Hour),
			Why: "This release cannot use the definition of the connection. Edit it, or go back to an older version.",
		},
		{
			Slug: "warehouse", Name: "Warehouse", Kind: "rest", Auth: "Basic", Version: 1, Calls: 186_204, Minutes: quarter(12_000, 0, 0), State: StateHealthy,
			Why: "60,201 calls in the last 5 minutes, none failed.", Since: at(20 * time.Hour), InFlight: 4, MaxInFlight: 50,
			P95: 28 * time.Millisecond, LastSuccess: at(time.Second),
		},
		{
			Slug: "salesforce", Name: "Salesforce", Kind: "rest", Auth: "Bearer token", Version: 7, Minutes: quarter(0, 0, 0), LastSuccess: at(6 * time.Hour),
			State: StatePaused, Why: "It is paused: calls are refused until it is resumed.", Since: at(5 * time.Hour),
		},
		{
			Slug: "slack", Name: "Slack alerts", Kind: "webhook", Auth: "None", Version: 2, Minutes: quarter(0, 0, 0), State: StateIdle,
			Why: "No call for 6 h. Nothing is known about it.", Since: at(6 * time.Hour),
		},
		{
			Slug: "xero", Name: "Xero", Kind: "rest", Auth: "OAuth 2.0", Version: 1, Minutes: quarter(0, 0, 0), State: StateNotSetUp, Mend: Mend{"Connect account", "/connections/xero/accounts/default/connect"},
			Why: "It is not set up yet. Account default: The account is not connected yet.", Since: at(2 * time.Hour), States: minutes(StateNotSetUp, 15),
		},
	}
}

// incidentSamples are one of each kind; more of them are in the list.
func incidentSamples() []Incident {
	at := func(ago time.Duration) time.Time { return now().Add(-ago) }
	return []Incident{
		{
			Slug: "stripe", Name: "Stripe live", Operation: "createCharge", Alert: "alr_1", State: StateDown, Since: at(14 * time.Minute), Until: at(-22 * time.Second),
			Breaker:  &breakers.Status{State: breakers.StateOpen},
			Failures: 38, Judged: 60, Window: time.Minute, Outcomes: []Outcome{{"Unavailable", 31}, {"Timed out", 7}},
			Refused: 412, Stale: 390, Lost: 22, Oldest: 9 * time.Minute, More: 1, MayOperate: true, MayConfigure: true,
			Changed: &Changed{Version: 18, Before: 17, Author: "ops@example.com", At: at(19 * time.Minute)},
		},
		{
			Slug: "hubspot", Name: "HubSpot CRM", State: StateHeld, Since: at(20 * time.Second), Until: at(-41 * time.Second), MayOperate: true,
			Why: "Calls wait until 09:27:34 UTC because the vendor asked for it: Retry-After.",
		},
		{
			Slug: "ads", Name: "Google Ads", State: StateCredential, Account: "default", Mend: Mend{"Reconnect", "/connections/ads/accounts/default/connect"}, Since: at(3 * time.Hour), MayOperate: true, MayConfigure: true,
			Why: "Account default: The service no longer accepts the credential. Connect the account again.",
		},
	}
}

// watchedImpact is what somebody sees who may only look.
func watchedImpact() Impact {
	v := impactSample()
	v.Troubled = len(v.Incidents)
	for i := range v.Incidents {
		v.Incidents[i].MayOperate, v.Incidents[i].MayConfigure = false, false
	}
	return v
}

func oneConnection() Impact {
	one := impactSample()
	one.Rows, one.Total, one.All, one.Attention, one.Idle, one.NotSetUp = one.Rows[7:8], 1, 1, 0, 1, 0
	one.Incidents, one.Troubled, one.NotClosed, one.Breakers = nil, 0, 0, 1
	one.Calls, one.Failed, one.Refused, one.P95, one.Points, one.FailedPoints, one.LatencyPoints = 0, 0, 0, 0, make([]float64, 15), make([]float64, 15), make([]float64, 15)
	return one
}

func manyConnections() Impact {
	many := impactSample()
	many.Number, many.Limit, many.Total, many.All, many.Attention, many.Idle, many.NotSetUp = 3, 7, 10_000, 10_000, 812, 8_000, 1_000
	return many
}

func nothing(show string) Impact {
	none := impactSample()
	none.Show, none.Rows, none.Total = show, nil, 0
	none.Incidents, none.Troubled = nil, 0
	return none
}

func pastTheEnd() Impact {
	past := impactSample()
	past.Number, past.Rows = 9, nil
	return past
}

func longConnections() Impact {
	long := impactSample()
	long.Rows = long.Rows[:3]
	for i := range long.Rows {
		r := &long.Rows[i]
		r.Name = "Payments of the Department of Integration and Reconciliation, second floor, <script>alert(1)</script> and subsidiaries"
		r.Slug = strings.Repeat("payments-", 6) + "live"
		r.Calls, r.Failed = r.Calls*1_000_000, r.Failed*1_000_000
		r.LastError = strings.Repeat("refused by a proxy in between ", 3)
	}
	long.Incidents = long.Incidents[:1]
	long.Incidents[0].Name, long.Incidents[0].Operation = long.Rows[0].Name, strings.Repeat("createCharge", 8)
	long.Rows[0].Slug, long.Rows[1].Slug = "a", "b"
	return long
}
