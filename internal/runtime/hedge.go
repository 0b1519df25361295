package runtime

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"sync"
	"time"

	"switchgear/internal/runtime/retry"
)

// errOutrun ends a request beside which another one was answered first.
var errOutrun = errors.New("another request of the call was answered first")

// hedgeAfter is how long the next attempt may go unanswered before another request races it; 0 for ever. A
// call that has waited because the upstream asked for it hedges no more.
func (c *call) hedgeAfter() time.Duration {
	if c.policy.Hedge.After <= 0 || c.obeyed {
		return 0
	}
	return c.guard.set.Load().retryOf(c.operation).HedgeAfter(c.r.Method, c.declared(), c.hasBody())
}

// race makes an attempt, and sends others beside it while none is answered. It returns the attempt that
// decides: the first whose answer is final, or the last to fail. The others are over by then, and their
// protections know: an attempt that was outrun counts as cancelled, which says nothing about the upstream.
func (c *call) race(first *attempt, after time.Duration) *attempt {
	f := flight{call: c, running: map[*attempt]bool{}, results: make(chan landed, 1+c.policy.Hedge.Max)}
	defer f.end() // By a panic as well; the first is the caller's to release then.
	if !f.launch(first) {
		return first
	}
	timer := time.NewTimer(after)
	defer timer.Stop()
	for {
		select {
		case l := <-f.results:
			a := f.receive(l)
			rule, _ := a.outcome.Rule()
			final := a.failure == nil && rule.Retry == RetryNever
			if len(f.running) == 0 || final {
				c.rec.HedgeWon = final && a.hedge
				return a
			}
			c.rec.Retried = append(c.rec.Retried, a.retried("another request was under way"))
			a.settle()
			a.drop()
		case <-timer.C:
			if h := c.hedge(); h != nil && f.launch(h) {
				timer.Reset(after) // As many as the policy allows.
			}
		}
	}
}

// hedge readies one more request beside those under way, with the leave of the protections; nil without it.
// It waits for nothing: what would have to wait its turn is no gain.
func (c *call) hedge() *attempt {
	p, limiter := c.proxy.protections, c.guard.limiter
	_, key := Keys(c.t.ConnectionID, c.t.Account, c.operation)
	d := c.guard.set.Load().retryOf(c.operation).Hedge(retry.HedgeRequest{
		Hedges: c.rec.Hedges, BreakerClosed: p.closed(c.t.ConnectionID, c.operation), Held: limiter.Held(key),
		QuotaLeft: limiter.QuotaLeft(key), Remaining: c.left(),
	})
	if !d.Hedge {
		c.note("no hedge", d.Text)
		return nil
	}
	admission, err := p.admit(c.r.Context(), c.t, c.operation, c.guard, c.proxy.now, 0)
	if err != nil {
		c.note("no hedge", err.Error())
		return nil
	}
	if c.t.Ready != nil && !c.t.Ready() {
		admission.cancel()
		c.note("no hedge", "the token of the account has to be renewed")
		return nil
	}
	if why := c.budget.Repeat(); why != "" {
		admission.cancel()
		c.note("no hedge", why)
		return nil
	}
	c.note("hedge", d.Text)
	c.rec.Hedges++
	a := c.attempt(admission)
	a.hedge = true
	return a
}

// flight is the requests of a call that are under way at the same time. All but the waiting for the transport
// is done by the goroutine of the call.
type flight struct {
	call    *call
	running map[*attempt]bool
	results chan landed // with room for all
	owned   sync.WaitGroup
}

// landed is what the transport returned for one of them.
type landed struct {
	a        *attempt
	resp     *http.Response
	err      error
	sends    int
	late     error
	took     time.Duration
	panicked any
}

// launch sends an attempt. It reports false, and lets go of one that races another, when there is nothing to
// send: the credential cannot be used, say.
func (f *flight) launch(a *attempt) bool {
	a.minor11 = false // Informational answers of two requests at once would be written by two goroutines.
	out := a.ready()
	if out == nil {
		if a.hedge {
			f.call.rec.Hedges--
			f.call.note("no hedge", a.failure.text)
			a.settle()
			a.drop()
		}
		return false
	}
	f.running[a] = true
	f.owned.Go(func() { f.results <- a.fly(out) })
	return true
}

// fly waits for the transport. A panic is brought to the goroutine of the call.
func (a *attempt) fly(out *http.Request) (l landed) {
	l.a = a
	defer func() { l.panicked = recover() }()
	l.resp, l.err = a.roundTrip(out) //nolint:bodyclose // By whoever receives it.
	l.sends, l.late = a.answered()
	l.took = a.now().Sub(a.start) - a.sentAt
	return l
}

// receive takes an attempt that has landed.
func (f *flight) receive(l landed) *attempt {
	delete(f.running, l.a)
	if l.panicked != nil {
		if l.a.hedge { // Nobody else lets go of it.
			l.a.admission.cancel()
			l.a.close()
		}
		panic(l.panicked)
	}
	l.a.took = l.took
	l.a.receive(l.resp, l.err, l.sends, l.late)
	return l.a
}

// end calls off what is still under way, and waits for it: the number of requests that were sent is known
// before the answer begins, and nothing goes on after it.
func (f *flight) end() {
	for a := range f.running {
		a.cancel(errOutrun)
	}
	f.owned.Wait()
	over := make([]landed, 0, len(f.running))
	for range len(f.running) {
		over = append(over, <-f.results)
	}
	slices.SortFunc(over, func(a, b landed) int { return a.a.number - b.a.number })
	for _, l := range over {
		f.outrun(l)
	}
}

// outrun accounts for an attempt that is no longer needed.
func (f *flight) outrun(l landed) {
	a, rec := l.a, f.call.rec
	if l.resp != nil { // Just as it was called off. What it says about limits holds.
		a.admission.answered(l.resp)
		_ = l.resp.Body.Close()
	}
	f.call.sends += l.sends
	rec.Attempts += max(1, l.sends)
	a.sent, a.outcome = l.sends > 0, OutcomeCanceled
	a.settle() // Before it took any time, so that it is not slow either.
	a.took = l.took
	rec.Retried = append(rec.Retried, a.retried(errOutrun.Error()))
	a.drop()
}

// drop ends an attempt whose answer nobody passes on, and keeps its part of the timeline.
func (a *attempt) drop() {
	c := a.call
	c.steps = append(c.steps, a.timeline(c.proxy.now())...)
	a.cancel(context.Canceled)
	if a.resp != nil {
		_ = a.resp.Body.Close()
	}
	a.body.capture.Close(nil)
	a.answer.Close(nil)
	a.shown.Show(nil)
	a.close()
}
