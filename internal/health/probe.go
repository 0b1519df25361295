package health

import (
	"switchgear/internal/fault"
	"switchgear/internal/runtime"
	"switchgear/internal/runtime/breaker"
)

// probing reports whether the breaker of the whole connection is half-open. Where nobody calls, nothing but a request
// of ours can close it.
func (f *facts) probing() bool {
	return len(f.breakers) > 0 && f.breakers[0].Key.Operation == "" && f.breakers[0].State == breaker.StateHalfOpen
}

// leave asks whether a health check may be sent now. While the breaker of the connection is half-open the check is one
// of its probes, and the permit has to be finished; otherwise there is none. Errors are a fault.Conflict.
func (s *Service) leave(target *runtime.Target) (*breaker.Permit, error) {
	held := func() error {
		return fault.New(fault.Conflict, "CALLS_HELD", "Calls are held back, so no health check is sent. Probe the breaker, or wait until the pause is over.")
	}
	if limiter, ok := s.deps.Protections.Limiters().Get(target.ConnectionID); ok && len(limiter.Holds()) > 0 {
		return nil, held()
	}
	registry, key := s.deps.Protections.Breakers(), breaker.Key{Connection: target.ConnectionID}
	whole, ok := registry.Snapshot(key)
	switch {
	case !ok || whole.State == breaker.StateClosed:
		return nil, nil //nolint:nilnil // It may be sent, and needs no permit.
	case whole.State != breaker.StateHalfOpen:
		return nil, held()
	}
	permit, err := registry.Allow(key)
	if err != nil {
		return nil, fault.Wrap(err, fault.Conflict, "PROBES_UNDER_WAY", "The breaker is half-open and its probes are under way, so no health check is sent. Look again in a moment.")
	}
	return permit, nil
}

// verdict is what a check says to a breaker: the same as the answer to a call, unless another status is expected.
func (c *Check) verdict(p *runtime.Policy) breaker.Result {
	rule, _ := c.Outcome.Rule()
	r := p.Judge(rule, p.Slow(c.Took))
	switch {
	case c.OK():
		r.Verdict = breaker.Success
	case c.Expected > 0 && c.Status > 0 && r.Verdict == breaker.Success:
		r.Verdict = breaker.Excluded // Calls may get what they want all the same.
	}
	return r
}
