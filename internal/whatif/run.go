package whatif

import (
	"context"
	"time"

	"switchgear/internal/calls"
	"switchgear/internal/runtime"
	"switchgear/internal/runtime/breaker"
	"switchgear/internal/runtime/bulkhead"
	"switchgear/internal/runtime/ratelimit"
)

// Sample is what a replay went by.
type Sample struct {
	// Calls were replayed; Attempts are theirs that went to the upstream.
	Calls, Attempts int
	// Refused are those of the calls that we refused then: nobody knows how they would have ended.
	Refused int
	// Failing and Good are how the others ended.
	Failing, Good int
	// Cached and Unsent are further calls, which asked for nothing: the cache answered, or they came to
	// nothing here (no credential, a bad path, a caller who left).
	Cached, Unsent int
	// Untold are attempts of calls of which only the last one is known.
	Untold int
	// Throttled are attempts that the vendor answered with a limit.
	Throttled int
	// First and Last are when the first and the last call began.
	First, Last time.Time
}

// replay takes calls through both policies at once.
type replay struct {
	sample      Sample
	now, edited *lane
	buffer      call
}

func newReplay(ctx context.Context, now, edited *runtime.PolicySet, from time.Time) (*replay, error) {
	r := &replay{}
	var err error
	if r.now, err = newLane(ctx, now, from); err != nil {
		return nil, err
	}
	r.edited, err = newLane(ctx, edited, from)
	return r, err
}

// page takes a page of the log through.
func (r *replay) page(page []calls.Past) error {
	for i := range page {
		c, ok := r.read(&page[i])
		if !ok {
			continue
		}
		if err := r.now.send(c); err != nil {
			return err
		}
		if err := r.edited.send(c); err != nil {
			return err
		}
	}
	return nil
}

// read makes a call of an entry; false for one that asked the protections for nothing. The call is valid until
// the next.
func (r *replay) read(p *calls.Past) (*call, bool) {
	s := &r.sample
	refused := p.Outcome == runtime.OutcomeRejectedLocal && ours(p.ErrorCode)
	switch {
	case p.Attempts == 0 && p.Cache != "" && !refused:
		s.Cached++
		return nil, false
	case p.Attempts == 0 && !refused:
		s.Unsent++
		return nil, false
	}
	c := &r.buffer
	*c = call{at: p.At, method: p.Method, path: p.Path, account: p.Account, outcome: p.Outcome, refused: refused}
	if s.Calls++; s.Calls == 1 {
		s.First = p.At
	}
	s.Last = p.At
	if refused {
		s.Refused++
		return c, true
	}
	began := time.Duration(0)
	if len(p.Retried) > 0 {
		began = p.SentAt
	}
	for _, a := range p.Retried {
		c.earlier = append(c.earlier, attempt{outcome: a.Outcome, began: a.At, ended: a.At + a.Took, took: a.Took})
	}
	s.Untold += max(0, p.Attempts-1-len(p.Retried))
	c.last = attempt{outcome: p.Outcome, began: began, ended: max(p.Duration, began), took: p.Duration - began}
	if p.FirstByte > began {
		c.last.took = p.FirstByte - began
	}
	r.count(c)
	return c, true
}

func (r *replay) count(c *call) {
	s := &r.sample
	s.Attempts += len(c.earlier) + 1
	for n := range len(c.earlier) + 1 {
		if c.attempt(n).outcome == runtime.OutcomeThrottled {
			s.Throttled++
		}
	}
	switch rule, _ := c.outcome.Rule(); rule.Breaker {
	case runtime.VerdictFailure:
		s.Failing++
	case runtime.VerdictSuccess:
		s.Good++
	case runtime.VerdictExcluded:
	}
}

// ours reports whether a call was refused by one of the protections that a policy sets.
func ours(code string) bool {
	switch code {
	case breaker.CodeOpen, ratelimit.CodeLimited, ratelimit.CodeHeld, bulkhead.CodeFull:
		return true
	}
	return false
}
