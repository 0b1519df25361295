package connections

import (
	"time"

	"switchgear/web/templates/breakers"
	"switchgear/web/templates/ui"
)

// breakerStates are the tab within the frame of a connection; package breakers has the states of the tab.
func breakerStates() []ui.State {
	const group = "Connection page, breaker"
	open := breakers.Status{State: breakers.StateOpen, WouldBe: breakers.StateOpen, Since: ago(14 * time.Minute), Until: now().Add(22 * time.Second)}
	closed := breakers.Status{State: breakers.StateClosed, WouldBe: breakers.StateClosed}
	v := BreakerView{
		Page: frame("Stripe live", "breakers", "calls"), Head: sampleHead(), Breaker: breakers.TabView{
			Now: now(), Slug: "stripe", Name: "Stripe live", CanOperate: true, Topics: "breakers calls",
			Breaker: breakers.Breaker{
				Status: open, Failures: 38, Successes: 22, Refused: 412, Why: "Open because 38 of 60 calls failed: 63 %, trips at 50 %.", Tripped: "38 of 60 calls failed: 63 %, trips at 50 %.",
				Thresholds: breakers.Thresholds{FailureRatio: .5, MinCalls: 20, Window: time.Minute, OpenFor: 30 * time.Second, HalfOpenCalls: 3},
			},
		},
	}
	v.Head.Breaker, v.Head.Now = &open, now()
	other, paused := v, v
	other.Head.Breaker, other.Head.Troubled = &closed, 2
	other.Breaker.Breaker = breakers.Breaker{Status: closed, Why: "No calls yet: nothing to judge.", Thresholds: v.Breaker.Breaker.Thresholds}
	paused.Head.State = "paused"
	return []ui.State{whole(group, "open", Breaker(v)), whole(group, "operations open", Breaker(other)), whole(group, "paused", Breaker(paused))}
}
