package runtime

import (
	"context"
	"errors"
	"net/http"
	"time"

	"switchgear/internal/fault"
	"switchgear/internal/runtime/breaker"
	"switchgear/internal/runtime/bulkhead"
	"switchgear/internal/runtime/ratelimit"
)

// admission is the leave of every protection for one attempt: breakers, limits and bulkheads, asked in
// this order so that a call that is refused has cost no token and no place.
type admission struct {
	guard   *guard
	policy  *Policy
	breaker *breaker.Permit
	account *breaker.Permit
	limit   ratelimit.Grant
	limited bool // limit is one
	place   bulkhead.Permit
	placed  bool // place is one
	// renewed says that the credential was replaced after the upstream refused it: that is not held against
	// the next one.
	renewed bool
	// waited is how long the attempt stood in a queue.
	limitWait, placeWait time.Duration
}

// admit asks for one attempt. wait bounds every queue. A failure has taken nothing; it is a rejection of
// ours, which never counts against the upstream.
func (p *Protections) admit(ctx context.Context, t *Target, op *OperationPolicy, g *guard, now func() time.Time, left time.Duration) (*admission, error) {
	a := &admission{guard: g, policy: &t.Policy}
	if op != nil {
		a.policy = &op.Effective
	}
	key, limits := Keys(t.ConnectionID, t.Account, op)
	if err := a.take(ctx, p, t, op, key, limits, now, left); err != nil {
		a.cancel()
		return nil, err
	}
	return a, nil
}

// readyTries is how often an attempt may find, when its turn has come, that its token has ended meanwhile.
const readyTries = 3

// admitReady is admit for an attempt that has its token at hand. The protections are asked first: a call that
// they refuse needs none, and what they gave is given back while the token is waited for.
func (p *Protections) admitReady(ctx context.Context, t *Target, op *OperationPolicy, g *guard, now func() time.Time, left func() time.Duration, obtain func() error) (*admission, error) {
	for try := 1; ; try++ {
		a, err := p.admit(ctx, t, op, g, now, left())
		if err != nil || t.Ready == nil || t.Ready() || try == readyTries {
			return a, err
		}
		a.cancel()
		if err := obtain(); err != nil {
			return nil, err
		}
	}
}

// withheld is an attempt that was not made because there is no token for it.
type withheld struct{ f *failure }

// Error implements error, with what may be shown.
func (w withheld) Error() string { return w.f.text }

// Unwrap returns what the caller is answered.
func (w withheld) Unwrap() error { return w.f.err }

// Keys name the breaker and the limits of a call: those of its operation, where that has its own, under those
// of the connection.
func Keys(connectionID, account string, op *OperationPolicy) (breaker.Key, ratelimit.Key) {
	key, limits := breaker.Key{Connection: connectionID}, ratelimit.Key{Credential: account}
	if op != nil && op.Effective.Breaker.Enabled {
		key.Operation = op.ID
	}
	if op != nil {
		limits.Group = op.limitGroup
	}
	return key, limits
}

func (a *admission) take(ctx context.Context, p *Protections, t *Target, op *OperationPolicy, key breaker.Key, limits ratelimit.Key, now func() time.Time, left time.Duration) error {
	var err error
	if a.account, err = p.account(t, a.guard); err != nil {
		return err
	}
	if a.breaker, err = p.breakers.Allow(key); err != nil {
		return err
	}
	began := now()
	if a.limit, err = a.guard.limiter.Reserve(ctx, limits, min(a.policy.RateLimitWait.Std(), left)); err != nil {
		return err
	}
	a.limited = true
	got := now()
	a.limitWait = got.Sub(began)
	group := ""
	if op != nil && op.OwnBulkhead {
		group = op.ID
	}
	if a.place, err = a.guard.bulkhead.Acquire(ctx, group, min(a.policy.Bulkhead.MaxWait.Std(), max(0, left-a.limitWait))); err != nil {
		return err
	}
	a.placed = true
	a.placeWait = now().Sub(got)
	if a.limit.Waited() || a.place.Waited() {
		return a.askAgain(p, t, key)
	}
	return nil
}

// askAgain asks the breakers once more after a wait, for what they allowed before it may not hold any more.
func (a *admission) askAgain(p *Protections, t *Target, key breaker.Key) (err error) {
	if !a.account.Stands() {
		a.account.Cancel()
		if a.account, err = p.account(t, a.guard); err != nil {
			return err
		}
	}
	if !a.breaker.Stands() {
		a.breaker.Cancel()
		a.breaker, err = p.breakers.Allow(key)
	}
	return err
}

// account asks the breaker of the credential.
func (p *Protections) account(t *Target, g *guard) (*breaker.Permit, error) {
	known, _ := g.accounts.Load(t.Account)
	a, _ := known.(*accountGuard)
	if a == nil || a.version != t.CredentialVersion {
		b, err := p.credentials.Breaker(credentialKey(t.ConnectionID, t.Account))
		if err != nil {
			return nil, err
		}
		if a != nil {
			// Another credential than the one that was refused. Nobody is told no for the old one.
			if err := b.Reset(breaker.Order{Actor: "switchgear", Reason: "the credential changed"}); err != nil && !fault.Is(err, fault.Conflict) {
				return nil, err
			}
		}
		a = &accountGuard{version: t.CredentialVersion, breaker: b}
		g.accounts.Store(t.Account, a)
	}
	permit, err := a.breaker.Allow()
	if err == nil {
		return permit, nil
	}
	e := fault.Wrap(err, fault.Unavailable, CodeCredentialRejected,
		"The upstream did not accept the credential of this account several times in a row, so it is not asked again for a while.").
		WithSuggestion("Enter a working credential; calls go out again at once.")
	if rejected, ok := errors.AsType[*breaker.RejectedError](err); ok {
		e.RetryAfter = rejected.RetryAfter
	}
	return nil, e
}

// answered tells the limiter what came back, before anybody reads the body.
func (a *admission) answered(resp *http.Response) ratelimit.Reading {
	a.limited = false
	return a.limit.Answered(resp.StatusCode, resp.Header)
}

// unanswered tells the limiter that nothing came back.
func (a *admission) unanswered(sent bool) {
	if !a.limited {
		return
	}
	a.limited = false
	if sent {
		a.limit.Unanswered()
	} else {
		a.limit.Refund()
	}
}

// done tells the breakers how the attempt ended, and frees its places. Only the first call counts.
func (a *admission) done(outcome Outcome, requestID string, slow, sent bool) {
	rule, _ := outcome.Rule()
	a.unanswered(sent)
	judged := a.policy.Judge(rule, slow)
	judged.RequestID = requestID
	a.breaker.Done(judged)
	if a.account != nil {
		verdict := breaker.Success
		switch {
		case outcome == OutcomeUnauthenticated && a.renewed:
			verdict = breaker.Excluded
		case outcome == OutcomeUnauthenticated:
			verdict = breaker.Failure
		case rule.Breaker != VerdictSuccess && outcome != OutcomeForbidden && outcome != OutcomeThrottled:
			verdict = breaker.Excluded // It was not looked at, or we cannot know.
		}
		a.account.Done(breaker.Result{Verdict: verdict, Outcome: string(outcome), RequestID: requestID})
	}
	a.free()
}

// Judge says what an outcome means to a breaker. With the breaker switched off, nothing is held against the
// upstream; what a person tripped recovers all the same.
func (p *Policy) Judge(rule Rule, slow bool) breaker.Result {
	r := breaker.Result{Local: rule.Local, Outcome: string(rule.Outcome), Label: rule.Label, Slow: slow}
	switch rule.Breaker {
	case VerdictFailure:
		r.Verdict = breaker.Failure
	case VerdictSuccess:
		r.Verdict = breaker.Success
	case VerdictExcluded:
		r.Verdict = breaker.Excluded
	}
	if !p.Breaker.Enabled && r.Verdict == breaker.Failure {
		r.Verdict, r.Slow = breaker.Success, false
	}
	return r
}

// Slow reports whether an attempt took longer than it may.
func (p *Policy) Slow(took time.Duration) bool {
	return p.Breaker.SlowCall > 0 && took >= p.Breaker.SlowCall.Std()
}

// cancel gives back what was not used.
func (a *admission) cancel() {
	a.unanswered(false)
	if a.breaker != nil {
		a.breaker.Cancel()
	}
	if a.account != nil {
		a.account.Cancel()
	}
	a.free()
}

func (a *admission) free() {
	if a.placed {
		a.placed = false
		a.place.Release()
	}
}
