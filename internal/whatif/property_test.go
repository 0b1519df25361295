package whatif

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"switchgear/internal/runtime"
	"switchgear/internal/runtime/breaker"
	"switchgear/internal/runtime/ratelimit"
)

// madeUp is a policy and calls under it. Every call has a nanosecond and a microsecond of its own, so that no
// two things happen at once.
func madeUp(rng *rand.Rand) (policy string, list []call) {
	pick := func(choices ...string) string { return choices[rng.IntN(len(choices))] }
	breakerOf := func() string {
		return `"breaker":{"min_calls":` + pick("2", "5", "10") + `,"failure_ratio":` + pick("0.3", "0.5", "1") + `,"window":` + pick(`"2s"`, `"10s"`) +
			`,"open_for":` + pick(`"500ms"`, `"3s"`) + `,"half_open_calls":` + pick("1", "3") + `,"ramp":` + pick(`"0s"`, `"2s"`) +
			`,"consecutive_failures":` + pick("0", "4") + `,"slow_call":` + pick(`"0s"`, `"100ms"`) + `,"slow_ratio":0.6}`
	}
	limits := `"rate_limits":[` + pick(`{"requests":3,"per":"200ms"}`, `{"requests":20,"per":"1s"},{"requests":50,"per":"10s"}`, ``) + `],"rate_limit_wait":` + pick(`"0s"`, `"100ms"`, `"2s"`)
	own := pick(breakerOf(), limits, breakerOf()+`,"rate_limits":[{"requests":5,"per":"1s"}]`)
	policy = `{` + breakerOf() + `,` + limits + `,"operations":[{"id":"charges","path":"/v1/charges","policy":{` + own + `}}]}`
	at, failing := time.Duration(0), 0
	for i := range 600 {
		at += time.Duration(1+rng.IntN(60)) * time.Millisecond
		if failing--; failing < -60 {
			failing = rng.IntN(120)
		}
		letter := 's'
		switch {
		case failing > 0 && rng.IntN(5) > 0:
			letter = 'f'
		case rng.IntN(20) == 0:
			letter = []rune("ftu")[rng.IntN(3)]
		}
		took := time.Duration(1+rng.IntN(250))*time.Millisecond + time.Duration(i+1)*time.Microsecond
		c := one(at+time.Duration(i+1), letter, took)
		if rng.IntN(2) == 0 {
			c.path = "/v1/customers"
		}
		if letter == 'f' && rng.IntN(8) == 0 {
			c.outcome = runtime.OutcomeConnectFailed
			c.last.outcome = c.outcome
		}
		if letter != 'u' && rng.IntN(6) == 0 {
			pause := time.Duration(rng.IntN(300)) * time.Millisecond
			c.earlier = []attempt{{outcome: outcome('f'), ended: took, took: took}}
			c.last.began, c.last.ended = took+pause, took+pause+c.last.took
		}
		list = append(list, c)
	}
	return policy, list
}

// live makes the calls as the runtime does: in the order of runtime's admission, each on a goroutine of its
// own, with the real clock of the bubble.
func live(t *testing.T, set *runtime.PolicySet, list []call) Figures {
	t.Helper()
	var (
		mu  sync.Mutex
		out Figures
	)
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		breakers, err := breaker.NewRegistry(breaker.Deps{
			Config: func(k breaker.Key) (breaker.Config, error) {
				policy, _ := set.Of(k.Operation)
				return policy.BreakerConfig(), nil
			},
			Record: func(_ context.Context, events []breaker.Event) {
				for _, e := range events {
					if e.To != breaker.StateOpen {
						continue
					}
					again := e.From == breaker.StateHalfOpen
					if again {
						out.Reopened++
					} else {
						out.Opened++
					}
					took := e.Until.Sub(e.At)
					out.OpenFor += took
					out.Openings = append(out.Openings, Opening{At: noon().Add(e.At.Sub(began)), For: took, Operation: e.Key.Operation, Reason: e.Reason, Again: again})
				}
			},
		}, breaker.Settings{})
		if err != nil {
			t.Error(err)
			return
		}
		limiter, err := ratelimit.New(set.LimiterConfig())
		if err != nil {
			t.Error(err)
			return
		}
		var all sync.WaitGroup
		for i := range list {
			all.Go(func() {
				c := &list[i]
				start := began.Add(c.at.Sub(noon()))
				op := runtime.MatchOperation(set.Operations, c.method, strings.TrimPrefix(c.path, "/"))
				policy := &set.Policy
				if op != nil {
					policy = &op.Effective
				}
				key, limits := runtime.Keys(set.ConnectionID, c.account, op)
				late := time.Duration(0)
				for n := range len(c.earlier) + 1 {
					a := c.attempt(n)
					time.Sleep(time.Until(start.Add(a.began + late)))
					permit, err := breakers.Allow(key)
					if err != nil {
						mu.Lock()
						out.Breaker.add(c)
						mu.Unlock()
						return
					}
					asked := time.Now()
					grant, err := limiter.Reserve(context.Background(), limits, policy.RateLimitWait.Std())
					waited := time.Since(asked)
					if _, rejected := errors.AsType[*ratelimit.RejectedError](err); rejected {
						permit.Cancel()
						mu.Lock()
						out.Limits.add(c)
						mu.Unlock()
						return
					}
					if grant.Waited() && !permit.Stands() {
						permit.Cancel()
						if permit, err = breakers.Allow(key); err != nil {
							grant.Refund()
							mu.Lock()
							out.Breaker.add(c)
							mu.Unlock()
							return
						}
					}
					mu.Lock()
					if late += waited; waited > 0 {
						out.Delayed++
						out.LongestWait = max(out.LongestWait, waited)
					}
					mu.Unlock()
					if c.refused {
						permit.Cancel()
						break
					}
					time.Sleep(time.Until(start.Add(a.ended + late)))
					rule, _ := a.outcome.Rule()
					if rule.Limiter == runtime.LimitRefund {
						grant.Refund()
					}
					permit.Done(policy.Judge(rule, policy.Slow(a.took)))
				}
				mu.Lock()
				out.Sent++
				mu.Unlock()
			})
		}
		all.Wait()
		time.Sleep(20 * time.Minute)
		breakers.Visit(t.Context())
	})
	slices.SortStableFunc(out.Openings, func(a, b Opening) int { return a.At.Compare(b.At) })
	return out
}

// What a replay counts is what the protections do with the same calls.
func TestReplayAgreesWithTheProtections(t *testing.T) {
	t.Parallel()
	var sum Figures
	for seed := range uint64(60) {
		policy, list := madeUp(rand.New(rand.NewPCG(seed, 11)))
		set := policySet(t, policy)
		want, got := live(t, set, list), through(t, set, list)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("%d: live and replay differ under %s (-live +replay)\n%s", seed, policy, diff)
		}
		sum.Opened += got.Opened
		sum.Reopened += got.Reopened
		sum.Delayed += got.Delayed
		sum.Breaker.Failing += got.Breaker.Failing
		sum.Limits.Good += got.Limits.Good
	}
	if sum.Opened < 100 || sum.Reopened < 50 || sum.Delayed < 500 || sum.Breaker.Failing < 500 || sum.Limits.Good < 500 {
		t.Errorf("the past is too quiet to show anything: %+v", sum)
	}
}
