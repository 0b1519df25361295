package overview

import (
	"strings"
	"time"
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
	at := func(ago time.Duration) time.Time { return now().Add(-ago) }
	return Impact{
		Now: now(), Number: 1, Limit: 50, Total: 7, All: 7, Attention: 4, Idle: 1,
		Calls: 187_215, Failed: 2_658, Points: waves(12_481), FailedPoints: waves(60), P95: 183 * time.Millisecond, LatencyPoints: waves(60),
		Rows: []Row{
			{
				Done: 9, Items: 12, Slug: "stripe", Name: "Stripe live", Kind: "rest", Auth: "Bearer token", Version: 18, Calls: 60, Failed: 60, Minutes: quarter(4, 15, 4),
				P50: 6 * time.Second, P95: 8100 * time.Millisecond, Latency: waves(8000), LastSuccess: at(44 * time.Minute), LastFailure: at(2 * time.Second), LastError: "Unavailable",
			},
			{
				Slug: "hubspot", Name: "HubSpot CRM", Kind: "rest", Auth: "OAuth 2.0", Version: 4, Calls: 911, Failed: 37, Minutes: quarter(60, 5, 7),
				P50: 96 * time.Millisecond, P95: 412 * time.Millisecond, Latency: waves(200), LastSuccess: at(3 * time.Second), LastFailure: at(time.Minute), LastError: "Throttled",
			},
			{
				Slug: "ads", Name: "Google Ads", Kind: "rest", Auth: "OAuth 2.0", Version: 2, Minutes: quarter(0, 0, 0), Credential: true,
				Problem:     "Account default: The service no longer accepts the credential. Connect the account again.",
				LastSuccess: at(4 * time.Hour), LastFailure: at(3 * time.Hour), LastError: "Credential not accepted",
			},
			{
				Slug: "legacy", Name: "Legacy ERP", Kind: "rest", Auth: "Basic", Version: 1, Minutes: quarter(0, 0, 0),
				Problem: "This release cannot use the definition of the connection. Edit it, or go back to an older version.",
			},
			{
				Slug: "warehouse", Name: "Warehouse", Kind: "rest", Auth: "Basic", Version: 1, Calls: 186_204, Minutes: quarter(12_000, 0, 0),
				P50: 900 * time.Microsecond, P95: 28 * time.Millisecond, Latency: waves(10), LastSuccess: at(time.Second),
			},
			{Slug: "salesforce", Name: "Salesforce", Kind: "rest", Auth: "Bearer token", Version: 7, Paused: true, Minutes: quarter(0, 0, 0), LastSuccess: at(6 * time.Hour)},
			{Slug: "slack", Name: "Slack alerts", Kind: "webhook", Auth: "None", Version: 2, Minutes: quarter(0, 0, 0)},
		},
	}
}

func oneConnection() Impact {
	one := impactSample()
	one.Rows, one.Total, one.All, one.Attention, one.Idle = one.Rows[6:], 1, 1, 0, 1
	one.Calls, one.Failed, one.P95, one.Points, one.FailedPoints, one.LatencyPoints = 0, 0, 0, make([]float64, 15), make([]float64, 15), make([]float64, 15)
	return one
}

func manyConnections() Impact {
	many := impactSample()
	many.Number, many.Limit, many.Total, many.All, many.Attention, many.Idle = 3, 7, 10_000, 10_000, 812, 9_000
	return many
}

func nothing(show string) Impact {
	none := impactSample()
	none.Show, none.Rows, none.Total = show, nil, 0
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
	long.Rows[0].Slug, long.Rows[1].Slug = "a", "b"
	return long
}
