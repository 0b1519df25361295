package runtime

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"switchgear/internal/fault"
	"switchgear/internal/runtime/breaker"
	"switchgear/internal/runtime/bulkhead"
	"switchgear/internal/runtime/cache"
	"switchgear/internal/runtime/ratelimit"
	"switchgear/internal/runtime/retry"
)

// call is one request of an application on its way through the protections: one attempt or several, of
// which the last one's answer is passed on.
type call struct {
	proxy *Proxy
	w     http.ResponseWriter
	r     *http.Request
	t     *Target
	rec   *Record
	path  string
	url   *url.URL
	// header is that of the request before the credential, query that of the record before it.
	header    http.Header
	query     string
	operation *OperationPolicy
	policy    *Policy
	guard     *guard
	cached    *cache.Call
	budget    retry.Call
	keyed     bool        // the operation honours an idempotency key, and the request has one
	replay    *retry.Body // nil when the body is not kept
	signed    bool        // the credential signs the body, which is kept as a whole
	size      int64       // of a body that is signed
	refreshed bool        // the credential, after a 401
	tried     bool        // there was an attempt
	sends     int
	original  *call // nil, or the one in place of which this one is made
	before    int   // attempts of that one
	launched  int   // attempts that were made
	obeyed    bool  // it waited for as long as the upstream asked: it is in no hurry any more
	steps     []Step
}

// exchange makes the call. begun says that the answer to the caller has begun.
func (p *Proxy) exchange(w http.ResponseWriter, r *http.Request, t *Target, path string, rec *Record) (begun bool, f *failure) {
	c := &call{proxy: p, w: w, r: r, t: t, rec: rec, policy: &t.Policy, path: path}
	defer func() {
		if f != nil && !c.tried {
			settle(http.NewResponseController(w), r, w.Header(), false)
		}
	}()
	if f := refuse(r); f != nil {
		return false, f
	}
	u, err := JoinPath(t.BaseURL, path, r.URL.RawQuery)
	if err != nil {
		return false, reject(err)
	}
	c.url, c.header = u, requestHeader(r.Header)
	if c.operation = MatchOperation(t.Operations, r.Method, path); c.operation != nil {
		c.policy, rec.Operation = &c.operation.Effective, c.operation.ID
	}
	if c.guard, err = p.protections.guard(t); err != nil {
		return false, reject(err)
	}
	c.query = p.redactor.query(r.URL.RawQuery)
	rec.Query = c.query
	defer c.keepHeader()
	c.openCache()
	defer c.cached.Close()
	if hit := c.cached.Hit(); hit != nil {
		rec.Outcome = OutcomeSuccess
		return true, c.give(hit)
	}
	if err := c.cached.Err(); err != nil {
		return false, reject(err)
	}
	defer c.close()
	if f := c.keepSigned(); f != nil {
		return false, f
	}
	c.prepareRepeats()
	return c.attempts()
}

// attempts tries until an answer is to be passed on, or there is no point in trying again.
func (c *call) attempts() (begun bool, f *failure) {
	var last *attempt
	defer func() {
		if last != nil {
			last.release(begun)
		}
	}()
	for {
		admission, err := c.admit()
		switch {
		case err != nil && last == nil:
			return c.refused(err)
		case err != nil && c.left() > 0:
			// No further attempt may be made, so what the upstream said last is the answer.
			c.note("refused", err.Error())
			return c.finish(last)
		case last != nil && c.left() <= 0:
			// The time went by while it waited for its turn: an attempt without any would be none.
			if err == nil {
				admission.cancel()
			}
			c.note("no retry", "not repeated: the call has no time left")
			last.failure = upstreamFailure(OutcomeTimeout, errTotalTimeout) // Nor is there any to pass its answer on.
			last.outcome = last.failure.outcome
			return c.finish(last)
		}
		before := last
		last = c.attempt(admission) // From here on its places are given back, even by a panic.
		if before != nil {
			before.discard()
		}
		if after := c.hedgeAfter(); after > 0 {
			last = c.race(last, after)
		} else {
			last.send()
		}
		if rule, _ := last.outcome.Rule(); rule.Retry == RetryNever {
			last.hold() // It is to be passed on, if it is one.
		}
		if !c.again(last) {
			last.hold()
			return c.finish(last)
		}
	}
}

// admit asks the protections for one attempt, with a token at hand.
func (c *call) admit() (*admission, error) {
	return c.proxy.protections.admitReady(c.r.Context(), c.t, c.operation, c.guard, c.proxy.now, c.left, c.obtain)
}

// obtain waits for the token of the account, for as long as the call has time.
func (c *call) obtain() error {
	ctx, cancel := context.WithTimeoutCause(c.r.Context(), c.left(), errTokenTimeout)
	defer cancel()
	began := c.proxy.now()
	err := c.t.Obtain(ctx)
	took := c.proxy.now().Sub(began)
	switch {
	case err == nil:
		c.span("token", "waited for a new one", took)
		return nil
	case errors.Is(context.Cause(ctx), errTokenTimeout):
		c.span("token", "no new one within the time of the call", took)
		return withheld{tokenLate(OutcomeRejectedLocal)}
	}
	f := unauthorized(err)
	c.span("token", f.text, took)
	return withheld{f}
}

// keepHeader records the header of a request of which nothing was sent; an attempt records what it sends.
func (c *call) keepHeader() {
	if c.rec.RequestHeader == nil {
		c.rec.RequestHeader = c.proxy.redactor.header(c.header)
	}
}

// left is the time that remains for the whole call.
func (c *call) left() time.Duration {
	return max(0, c.policy.Timeout.Std()-c.proxy.now().Sub(c.rec.StartedAt))
}

// note adds a moment to the timeline.
func (c *call) note(name, text string) {
	c.steps = append(c.steps, Step{Name: name, At: c.proxy.now().Sub(c.rec.StartedAt), Note: text})
}

// span adds what took a while and ends now to the timeline.
func (c *call) span(name, text string, took time.Duration) {
	c.steps = append(c.steps, Step{Name: name, At: c.proxy.now().Sub(c.rec.StartedAt) - took, Took: took, Note: text})
}

// prepareRepeats readies what a repetition needs before the first attempt is sent: a place in the budget,
// one idempotency key for all attempts, and the body.
func (c *call) prepareRepeats() {
	c.budget = c.guard.budget.Begin()
	name := http.CanonicalHeaderKey(c.policy.Retry.IdempotencyKey)
	if c.keyed = name != ""; c.keyed && len(c.header[name]) == 0 && !retry.Idempotent(c.r.Method) {
		c.header[name] = []string{retry.NewKey()}
	}
	again := c.policy.Retry.MaxAttempts > 1 || c.policy.Fallback.Connection != ""
	if c.hasBody() && c.replay == nil && again && c.repeatable() {
		c.replay = c.proxy.spool.Body(c.r.Body, c.r.ContentLength)
	}
}

// declared reports whether the operation is declared idempotent.
func (c *call) declared() bool { return c.operation != nil && c.operation.Idempotent }

func (c *call) hasBody() bool {
	return c.r.ContentLength != 0 && c.r.Body != nil && c.r.Body != http.NoBody
}

// close lets go of what was kept for repetitions.
func (c *call) close() {
	c.budget.End()
	if c.replay != nil {
		_ = c.replay.Close() // A file that could not be removed is empty, and nobody is here to help.
	}
}

// again decides whether one more attempt is made after a, and waits for its time.
func (c *call) again(a *attempt) bool {
	if c.r.Context().Err() != nil {
		return false
	}
	rule, _ := a.outcome.Rule()
	if rule.Retry == RetryNever {
		return false
	}
	tried := retry.Attempt{
		Number: c.rec.Attempts - c.before, Rule: retryRule(rule.Retry), Method: c.r.Method, Declared: c.declared(), Sent: a.sent,
		KeyHonoured: c.keyed, HasKey: c.keyed, Delay: a.reading.Delay, DelayKnown: a.reading.Source != "",
		RefreshedBefore: c.refreshed, BodyLost: a.bodyLost(), Remaining: c.left(),
	}
	began := c.proxy.now()
	if tried.Rule == retry.AfterRefresh {
		a.admission.free() // Nobody waits for its place while the credential is renewed.
		tried.Refreshed = c.renew()
		a.admission.renewed = tried.Refreshed
		if tried.Remaining = c.left(); tried.Remaining <= 0 {
			a.failure = tokenLate(a.outcome)
			return false
		}
	}
	a.settle() // What follows asks the breaker, which has to know of this attempt.
	tried.BreakerOpen = c.proxy.protections.openFor(c.t.ConnectionID, c.operation, began)
	decision := c.guard.set.Load().retryOf(c.operation).Decide(tried, &c.budget)
	if !decision.Repeat() {
		if c.policy.Retry.MaxAttempts > 1 && decision.Reason != retry.NotEligible {
			c.note("no retry", decision.Text)
		}
		return false
	}
	if !a.stopReading() || !c.pause(decision.Wait) {
		return false
	}
	c.obeyed = c.obeyed || tried.DelayKnown && tried.Delay > 0
	c.rec.Retried = append(c.rec.Retried, a.retried(decision.Text))
	c.steps = append(c.steps, a.timeline(began)...)
	c.span("retry", decision.Text, c.proxy.now().Sub(began))
	return true
}

// renew asks once for a new credential, after a 401.
func (c *call) renew() bool {
	if c.t.Refresh == nil || c.refreshed {
		return false
	}
	c.refreshed = true
	ctx, cancel := context.WithTimeoutCause(c.r.Context(), c.left(), errTokenTimeout)
	defer cancel()
	authorize, err := c.t.Refresh(ctx)
	switch {
	case err != nil && errors.Is(context.Cause(ctx), errTokenTimeout):
		c.note("refresh", errTokenTimeout.Error())
		return false
	case err != nil:
		c.note("refresh", "the credential could not be renewed: "+fault.PublicMessage(err))
		return false
	}
	c.note("refresh", "the credential was renewed")
	renewed := *c.t
	renewed.Authorize = authorize
	c.t = &renewed
	return true
}

// pause waits; it reports false when the caller is gone before.
func (c *call) pause(d time.Duration) bool {
	if d <= 0 {
		return true
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-c.r.Context().Done():
		return false
	}
}

// refused answers a call of which nothing was sent because a protection said no.
func (c *call) refused(err error) (begun bool, f *failure) {
	c.rec.Steps = c.steps
	if cause := context.Cause(c.r.Context()); cause != nil {
		return false, upstreamFailure(OutcomeCanceled, cause)
	}
	f = reject(err)
	if c.original != nil {
		c.rec.Outcome = f.outcome
		return false, f
	}
	var cause cache.Cause
	standsIn := true
	if _, ok := errors.AsType[*breaker.RejectedError](err); ok && fault.CodeOf(err) != CodeCredentialRejected {
		cause = cache.CauseBreakerOpen
	}
	if _, ok := errors.AsType[*bulkhead.RejectedError](err); ok {
		cause = cache.CauseBulkheadFull
	}
	limited, ok := errors.AsType[*ratelimit.RejectedError](err)
	if ok {
		cause = cache.CauseThrottled
		// A limit that somebody configured is no outage: it is not to be got round by another connection.
		standsIn = limited.Cause == ratelimit.CauseHold || limited.Cause == ratelimit.CauseProbe || limited.Cause == ratelimit.CauseQuota
	}
	if cause != "" {
		stale := c.cached.Failed(cause)
		c.rec.Outcome, c.rec.ErrorText = OutcomeRejectedLocal, f.text
		if stale != nil {
			return true, c.give(stale)
		}
		if standsIn {
			begun, broken, done := c.fallBack(cause, nil)
			c.rec.Steps = c.steps
			if done {
				return begun, broken
			}
		}
	}
	if limited != nil {
		c.guard.limiter.WriteHeaders(c.w.Header(), limited.Scope)
	}
	return false, f
}

// finish passes the answer of the last attempt on, or what stands in for it.
func (c *call) finish(a *attempt) (begun bool, f *failure) {
	if cause := context.Cause(c.r.Context()); cause != nil {
		a.failure, a.outcome = a.failed(a.ctx, cause), OutcomeCanceled
	}
	c.rec.Outcome = a.outcome
	if c.original != nil && (a.failure != nil || a.outcome != OutcomeSuccess && a.outcome != OutcomeClientError) {
		// That is no answer to give in place of a failure.
		a.settle()
		if a.failure == nil {
			a.failure = &failure{outcome: a.outcome, text: "it answered " + strconv.Itoa(a.resp.StatusCode)}
		}
		return false, a.failure
	}
	stale := c.standIn(a)
	if a.failure != nil {
		c.rec.ErrorText = a.failure.text
	}
	if stale != nil {
		a.settle()
		return true, c.give(stale)
	}
	if cause, ok := unavailable(a); ok {
		a.settle()
		if begun, f, done := c.fallBack(cause, a); done {
			return begun, f
		}
	}
	if a.failure != nil {
		a.settle()
		return false, a.failure
	}
	c.rec.Status = a.resp.StatusCode
	a.body.overlap(c.w.Header())
	a.begin()
	f = c.proxy.respond(a, c)
	if expired := a.end(); f == nil && expired {
		f = callerSlow("the answer was not taken in time") // It may not all have left.
	}
	if f != nil {
		a.outcome = f.outcome
	}
	a.settle()
	return true, f
}

// standIn tells the cache how the last attempt ended, and returns the answer to give instead of it.
func (c *call) standIn(a *attempt) *cache.Response {
	if a.failure == nil && a.outcome != OutcomeThrottled {
		return c.cached.Answered(a.resp)
	}
	cause, ok := causeOf(a.outcome)
	if !ok {
		return nil
	}
	return c.cached.Failed(cause)
}

// unavailable is why something may stand in for the upstream after an attempt; false when its answer stands.
// A 4xx always does: it is about the request.
func unavailable(a *attempt) (cache.Cause, bool) {
	if a.failure != nil {
		return causeOf(a.outcome)
	}
	if s := a.resp.StatusCode; s >= 400 && s < 500 || !a.outcome.Failure() {
		return "", false
	}
	if cause, ok := cache.CauseOfStatus(a.resp.StatusCode); ok {
		return cause, true
	}
	return cache.CauseUnavailable, true
}

// causeOf is what an outcome is to the cache; false for one that nothing may stand in for.
func causeOf(o Outcome) (cache.Cause, bool) {
	switch o {
	case OutcomeThrottled:
		return cache.CauseThrottled, true
	case OutcomeTimeout:
		return cache.CauseTimeout, true
	case OutcomeConnectFailed, OutcomeTLSFailed, OutcomeReset:
		return cache.CauseConnectFailed, true
	case OutcomeSuccess, OutcomeClientError, OutcomeUnauthenticated, OutcomeForbidden, OutcomeTimeoutStatus,
		OutcomeServerError, OutcomeNotImplemented, OutcomeUnavailable, OutcomeCanceled, OutcomeRejectedLocal:
	}
	return "", false
}

// give answers from the cache.
func (c *call) give(kept *cache.Response) *failure {
	h := c.w.Header()
	kept.SetHeader(h)
	setOwnHeaders(h, c.rec.ID, c.rec.Attempts)
	c.rec.Status, c.rec.Cache = kept.Status, string(kept.State())
	// A caller that does not read must not keep the answer for ever.
	_ = http.NewResponseController(c.w).SetWriteDeadline(time.Now().Add(c.policy.Timeout.Std()))
	n, err := kept.Write(c.w, c.r.Method)
	c.rec.ResponseBytes = n
	if err != nil {
		return upstreamFailure(OutcomeCanceled, err)
	}
	return nil
}

// openCache asks the cache for an answer. Without one the call goes on, and the cache takes note of it.
func (c *call) openCache() {
	policy := c.policy.Cache
	if policy == (Cache{}) {
		return
	}
	plan := &cache.Policy{
		Mode: cache.ModeFallback, TTL: policy.TTL.Std(), StaleIfError: policy.StaleIfError.Std(), StaleWhileRevalidate: policy.StaleWhileRevalidate.Std(),
	}
	if policy.TTL > 0 || policy.StaleWhileRevalidate > 0 {
		plan.Mode = cache.ModeRespect
	}
	c.cached = c.proxy.protections.cache.Open(c.r.Context(), cache.Request{
		Scope: cache.Scope{
			Connection: c.t.ConnectionID, Account: c.t.Account, Credential: c.t.CredentialID, CredentialVersion: int(c.t.CredentialVersion),
		},
		Method: c.r.Method, URL: c.url, Header: c.header, HasBody: c.hasBody(), Policy: plan,
		Refresh: c.proxy.refresher(*c.t, c.operation, c.url),
	})
}

// noWait is the time of an attempt that no queue is worth.
func noWait() time.Duration { return 0 }

// refresher fetches an answer anew for the cache, after its caller has left.
func (p *Proxy) refresher(t Target, op *OperationPolicy, u *url.URL) cache.Refresh {
	return func(ctx context.Context, header http.Header) (*http.Response, error) {
		g, err := p.protections.guard(&t)
		if err != nil {
			return nil, err
		}
		admission, err := p.protections.admitReady(ctx, &t, op, g, p.now, noWait, func() error { return t.Obtain(ctx) })
		if err != nil {
			return nil, err
		}
		defer admission.cancel() // For panics and refusals; nothing after done.
		r := (&http.Request{
			Method: http.MethodGet, URL: u, Host: t.BaseURL.Host, Header: header, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		}).WithContext(ctx)
		if f := p.authorize(ctx, r, &t, nil); f != nil {
			return nil, f.err
		}
		resp, err := t.Transport.RoundTrip(r)
		var outcome Outcome
		if err == nil {
			outcome = classifyStatus(resp.StatusCode, admission.answered(resp).Throttled)
		} else {
			outcome = Classify(nil, err, true)
		}
		admission.done(outcome, "", false, outcome != OutcomeConnectFailed && outcome != OutcomeTLSFailed)
		return resp, err
	}
}

func setOwnHeaders(h http.Header, requestID string, attempts int) {
	values := [2]string{strconv.Itoa(attempts), requestID}
	h[attemptsHeader] = values[0:1:1]
	if requestID != "" {
		h[requestIDHeader] = values[1:2:2]
	}
}
