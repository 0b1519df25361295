package whatif

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// small opens at 4 failures of 4 calls, for ten seconds, and asks with one probe.
const small = `"breaker":{"min_calls":4,"failure_ratio":1,"window":"20s","open_for":"10s","half_open_calls":1,"ramp":"0s"}`

func at(d time.Duration) time.Time { return noon().Add(d) }

func TestFigures(t *testing.T) {
	t.Parallel()
	const second = time.Second
	repeat := strings.Repeat
	// The ends of calls come 100 ms after their beginnings: the fourth failure is known at 3.1 s.
	first := Opening{At: at(3100 * time.Millisecond), For: 10 * second, Reason: "4 of 4 calls failed: 100 %, trips at 100 %"}
	for name, tt := range map[string]struct {
		policy   string
		calls    []call
		want     Figures
		sentence string
	}{
		"nothing happened": {
			policy: `{` + small + `}`, calls: each(second, repeat("s", 20)),
			want: Figures{Sent: 20}, sentence: "would never have opened",
		},
		// Open from 3.1 to 13.1: the calls at 4 … 9 were to fail, those at 10 … 13 to succeed; that at 14 is the probe.
		"once": {
			policy: `{` + small + `}`, calls: each(second, repeat("f", 10)+repeat("s", 10)),
			want:     Figures{Opened: 1, OpenFor: 10 * second, Openings: []Opening{first}, Breaker: Refusals{Failing: 6, Good: 4}, Sent: 10},
			sentence: "would have opened once for 10 s, saved 6 failing calls, rejected 4 good ones",
		},
		// Open 3.1–13.1, 14.1–34.1 and 35.1–75.1: twice as long each time. The probe at 76 succeeds.
		"longer each time": {
			policy: `{` + small + `}`, calls: each(second, repeat("f", 41)+repeat("s", 60)),
			want: Figures{
				Opened: 1, Reopened: 2, OpenFor: 70 * second, Breaker: Refusals{Failing: 35, Good: 35}, Sent: 31,
				Openings: []Opening{
					first,
					{At: at(14100 * time.Millisecond), For: 20 * second, Reason: "a probe failed: Unavailable", Again: true},
					{At: at(35100 * time.Millisecond), For: 40 * second, Reason: "a probe failed: Unavailable", Again: true},
				},
			},
			sentence: "would have opened once for 70 s, saved 35 failing calls, rejected 35 good ones",
		},
		"three in a row": {
			policy: `{"breaker":{"min_calls":1000,"consecutive_failures":3,"open_for":"10s","half_open_calls":1,"ramp":"0s"}}`,
			calls:  each(second, "ffsfff"+"fs"+repeat("s", 10)),
			want: Figures{
				Opened: 1, OpenFor: 10 * second, Breaker: Refusals{Failing: 1, Good: 9}, Sent: 8,
				Openings: []Opening{{At: at(5100 * time.Millisecond), For: 10 * second, Reason: "3 calls in a row failed, 2 are allowed to"}},
			},
			sentence: "would have opened once for 10 s, saved 1 failing call, rejected 9 good ones",
		},
		"slow": {
			policy: `{"breaker":{"min_calls":4,"slow_call":"90ms","slow_ratio":0.75,"open_for":"2s","half_open_calls":1,"ramp":"0s"}}`,
			calls:  append(each(second, "ssss"), one(4*second, 's', 50*time.Millisecond), one(7*second, 's', 50*time.Millisecond)),
			want: Figures{
				Opened: 1, OpenFor: 2 * second, Breaker: Refusals{Good: 1}, Sent: 5,
				Openings: []Opening{{At: at(3100 * time.Millisecond), For: 2 * second, Reason: "4 of 4 calls were slow: 100 %, trips at 75 %"}},
			},
			sentence: "would have opened once for 2 s, saved 0 failing calls, rejected 1 good one",
		},
		// What fails is never held against the upstream.
		"no breaker": {
			policy: `{"breaker":{"enabled":false}}`, calls: each(second, repeat("f", 100)),
			want: Figures{Sent: 100}, sentence: "would never have opened",
		},
		// Those that were refused then neither trip it nor count as saved.
		"refused then": {
			policy: `{` + small + `}`, calls: each(second, "fff"+repeat("u", 3)+"f"+"uusftss"),
			want: Figures{
				Opened: 1, OpenFor: 10 * second, Breaker: Refusals{Failing: 1, Good: 3, Other: 1, Unknown: 2}, Sent: 7,
				Openings: []Opening{{At: at(6100 * time.Millisecond), For: 10 * second, Reason: "4 of 4 calls failed: 100 %, trips at 100 %"}},
			},
			sentence: "would have opened once for 10 s, saved 1 failing call, rejected 3 good ones",
		},
		// Two in every second: the third waits until the first is a second ago, the fifth for the third.
		"a limit, waiting": {
			policy: `{"rate_limits":[{"requests":2,"per":"1s"}],"rate_limit_wait":"2s"}`, calls: each(100*time.Millisecond, "sssss"),
			want: Figures{Delayed: 3, LongestWait: 1600 * time.Millisecond, Sent: 5}, sentence: "would never have opened, delayed 3 attempts by up to 1.6 s",
		},
		"a limit, refusing": {
			policy: `{"rate_limits":[{"requests":2,"per":"1s"}],"rate_limit_wait":"1s"}`, calls: each(100*time.Millisecond, "sssfs"),
			want:     Figures{Delayed: 2, LongestWait: 800 * time.Millisecond, Limits: Refusals{Good: 1}, Sent: 4},
			sentence: "would never have opened, delayed 2 attempts by up to 800 ms, refused 1 call for the limits",
		},
		// The window slides: 1.05 s after the first there is room for one, not for two.
		"a limit slides": {
			policy: `{"rate_limits":[{"requests":2,"per":"1s"}],"rate_limit_wait":"0s"}`,
			calls: []call{
				one(0, 's', second), one(900*time.Millisecond, 's', second), one(1050*time.Millisecond, 's', second),
				one(1100*time.Millisecond, 's', second), one(1950*time.Millisecond, 's', second),
			},
			want: Figures{Limits: Refusals{Good: 1}, Sent: 4}, sentence: "would never have opened, refused 1 call for the limits",
		},
		// Reads have a breaker of their own, which opens; writes go on under that of the connection.
		"an operation": {
			policy: `{"breaker":{"min_calls":1000},"operations":[{"id":"charges","path":"/v1/charges","policy":{` + small + `}}]}`,
			calls: append(each(second, "ffffff"), func() call {
				c := one(6*second, 's', second)
				c.path = "/v1/customers"
				return c
			}()),
			want: Figures{
				Opened: 1, OpenFor: 10 * second, Breaker: Refusals{Failing: 2}, Sent: 5,
				Openings: []Opening{{At: first.At, For: first.For, Reason: first.Reason, Operation: "charges"}},
			},
			sentence: "would have opened once for 10 s, saved 2 failing calls, rejected 0 good ones",
		},
		// Each attempt counts: two calls of two failing attempts each. The third call is refused.
		"attempts": {
			policy: `{` + small + `}`,
			calls: func() []call {
				list := each(second, "fff")
				for i := range 2 {
					list[i].earlier = []attempt{{outcome: outcome('f'), ended: 50 * time.Millisecond, took: 50 * time.Millisecond}}
					list[i].last = attempt{outcome: outcome('f'), began: 80 * time.Millisecond, ended: 100 * time.Millisecond, took: 20 * time.Millisecond}
				}
				return list
			}(),
			want: Figures{
				Opened: 1, OpenFor: 10 * second, Breaker: Refusals{Failing: 1}, Sent: 2,
				Openings: []Opening{{At: at(1100 * time.Millisecond), For: 10 * second, Reason: first.Reason}},
			},
			sentence: "would have opened once for 10 s, saved 1 failing call, rejected 0 good ones",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := through(t, policySet(t, tt.policy), tt.calls)
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if s := got.Sentence(); s != tt.sentence {
				t.Errorf("it says %q, not %q", s, tt.sentence)
			}
		})
	}
}

func TestSentence(t *testing.T) {
	t.Parallel()
	for want, f := range map[string]Figures{
		"would have opened 2 times for 41 s, saved 630 failing calls, rejected 12 good ones": {Opened: 2, OpenFor: 41 * time.Second, Breaker: Refusals{Failing: 630, Good: 12}},
		"would have opened 1,204 times for 3 h 5 min, saved 1,000,000 failing calls, rejected 1 good one, delayed 1 attempt by up to 20 ms": {
			Opened: 1204, OpenFor: 3*time.Hour + 5*time.Minute, Breaker: Refusals{Failing: 1_000_000, Good: 1}, Delayed: 1, LongestWait: 20 * time.Millisecond,
		},
	} {
		if got := f.Sentence(); got != want {
			t.Errorf("it says %q, not %q", got, want)
		}
	}
}
