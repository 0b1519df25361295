package connections

import (
	"slices"
	"strings"
	"time"

	"switchgear/web/templates/health"
	"switchgear/web/templates/ui"
)

func sampleHealth() HealthView {
	course := func(label string, steps int, step time.Duration, last health.State, n int) HealthCourse {
		states := slices.Repeat([]health.State{health.StateHealthy}, steps)
		states[0], states[steps/3] = "", health.StateDegraded
		for i := range n {
			states[steps-1-i] = last
		}
		known := time.Duration(steps-1) * step
		var outages []HealthOutage
		if last == health.StateDown {
			outages = []HealthOutage{{last, ago(5*time.Hour + 8*time.Second), ago(5 * time.Hour)}, {last, ago(14 * time.Minute), now()}}
		}
		return HealthCourse{Outages: outages, Label: label, States: states, Step: step, Known: known, Up: known - time.Duration(n)*step}
	}
	return HealthView{
		Page: frame("Stripe live", "connections", "health"), Now: now(), Head: sampleHead(), Number: 1, Limit: 50, Total: 4,
		Status: HealthStatus{
			State: health.StateDown, Since: ago(14 * time.Minute), Until: now().Add(22 * time.Second), Request: "GET /v1/balance", Every: 5 * time.Minute,
			Why: "Open because 38 of 60 calls failed: 63 %, trips at 50 %.", Check: HealthCheck{At: ago(16 * time.Minute), OK: true, Answer: "200 OK", Took: 120 * time.Millisecond},
		},
		Courses: []HealthCourse{
			course("24 hours", 48, 30*time.Minute, health.StateDown, 1), course("7 days", 56, 3*time.Hour, health.StateDown, 1), course("30 days", 60, 12*time.Hour, health.StatePaused, 0),
		},
		Rows: []HealthChange{
			{ID: "4", At: ago(14 * time.Minute), To: health.StateDown, Why: "Open because 38 of 60 calls failed: 63 %, trips at 50 %.", Lasted: 14 * time.Minute, Now: true},
			{ID: "3", At: ago(5 * time.Hour), To: health.StateHealthy, Why: "60 calls in the last 5 minutes, none failed.", Lasted: 4*time.Hour + 46*time.Minute},
			{ID: "2", At: ago(6 * time.Hour), To: health.StatePaused, Why: "It is paused: maintenance of the vendor.", Actor: "ada@example.com", Lasted: time.Hour},
			{ID: "1", At: ago(3 * day), To: health.StateHealthy, Why: "The health check on 11 Mar at 15:26 UTC was answered with 200 OK in 98 ms.", Lasted: 2*day + 18*time.Hour},
		},
	}
}

func healthStates() []ui.State {
	const group = "Connection page, health"
	many, one, empty, filtered, wrong, past, long, reader := sampleHealth(), sampleHealth(), sampleHealth(), sampleHealth(), sampleHealth(), sampleHealth(), sampleHealth(), sampleHealth()
	one.Rows, one.Total = one.Rows[3:], 1
	one.Courses[0].Known, one.Courses[0].Up, one.Courses[0].Outages = 7*time.Second, 0, []HealthOutage{{health.StateDown, ago(7 * time.Second), now()}} // a new connection
	one.Status = HealthStatus{State: health.StateHealthy, Since: ago(3 * day), Why: "60 calls in the last 5 minutes, none failed.", Request: "HEAD /"}
	empty.Rows, empty.Total, empty.Status = nil, 0, HealthStatus{State: health.StateIdle, Why: "No call in the last 15 minutes. Nothing is known about it."}
	for i := range empty.Courses {
		empty.Courses[i].States, empty.Courses[i].Up, empty.Courses[i].Known, empty.Courses[i].Outages = make([]health.State, 48), 0, 0, nil
	}
	filtered.Rows, filtered.Total, filtered.State, filtered.From = nil, 0, "held", "2026-03-01"
	wrong.From, wrong.Errors = "yesterday", Errors{"from": "Write a date as 2026-01-31."}
	past.Rows, past.Number, past.Total = nil, 20, 70
	long.Status.Why = strings.Repeat("The upstream answered with an error page instead of JSON, and nobody knows why. ", 6)
	long.Status.Check = HealthCheck{At: ago(time.Minute), Answer: "503 Service Unavailable, where 204 is expected", Took: 10 * time.Second}
	long.Status.Request = "GET /v1/" + strings.Repeat("very-long-path/", 20)
	long.Rows = []HealthChange{{ID: "9", At: ago(400 * day), To: "of-a-later-version", Why: long.Status.Why, Actor: strings.Repeat("longname", 12) + "@example.com", Lasted: 400 * day, Now: true}}
	reader.Head.CanConfigure, reader.Head.CanOperate = false, false
	return []ui.State{
		whole(group, "many", Health(many)), whole(group, "one", Health(one)), whole(group, "empty", Health(empty)), whole(group, "filter without hits", Health(filtered)),
		whole(group, "a date that is none", Health(wrong)), whole(group, "beyond the last page", Health(past)), whole(group, "long text", Health(long)), whole(group, "read only", Health(reader)),
		{Group: group, Name: "the part that refreshes", View: HealthPart(many)},
	}
}
