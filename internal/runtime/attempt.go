package runtime

import (
	"cmp"
	"context"
	"errors"
	"io"
	"maps"
	"net/http"
	"net/http/httptrace"
	"slices"
	"strconv"
	"strings"
	"time"

	"switchgear/internal/fault"
	"switchgear/internal/runtime/egress/http1"
	"switchgear/internal/runtime/ratelimit"
)

// attempt is one try of a call: what was sent, and the answer that nobody has passed on yet, or the failure.
type attempt struct {
	exchange
	call      *call
	admission *admission
	ctx       context.Context //nolint:containedctx // An attempt is a span of its caller's context with an end of its own.
	resp      *http.Response
	failure   *failure
	outcome   Outcome
	reading   ratelimit.Reading
	sent      bool
	number    int           // from 1, in the order in which they were sent
	hedge     bool          // it races another one
	sentAt    time.Duration // from the start of the call
	took      time.Duration // until there was an answer, or none
	settled   bool
	held      holding // the answer's body, if its beginning was waited for
}

// attempt readies one try, with the leave of the protections. It has to be released.
func (c *call) attempt(leave *admission) *attempt {
	a := &attempt{call: c, admission: leave, exchange: exchange{
		now: c.proxy.now, start: c.rec.StartedAt, total: c.policy.Timeout.Std(), attempt: c.policy.AttemptTimeout.Std(),
		h2Sends: max(1, c.policy.Retry.MaxAttempts-c.sends), w: c.w,
		minor11: c.r.ProtoAtLeast(1, 1), expects: len(c.r.Header["Expect"]) > 0,
	}}
	c.tried = true
	c.launched++
	a.number = c.launched
	a.ctx, a.cancel = context.WithCancelCause(c.r.Context())
	return a
}

// send makes the attempt. It returns when the headers of the answer are there, or it has failed.
func (a *attempt) send() {
	out := a.ready()
	if out == nil {
		return
	}
	resp, err := a.roundTrip(out) //nolint:bodyclose // By discard or release.
	sends, late := a.answered()
	a.took = a.now().Sub(a.start) - a.sentAt
	a.receive(resp, err, sends, late)
}

// ready makes the request of the attempt and starts its clock; nil when it has failed already.
func (a *attempt) ready() *http.Request {
	c, x := a.call, &a.exchange
	if a.admission.limitWait > time.Millisecond {
		c.span("rate limit", "waited for its turn", a.admission.limitWait)
		c.rec.LimitWait += a.admission.limitWait
	}
	if a.admission.placeWait > time.Millisecond {
		c.span("bulkhead", "waited for a place", a.admission.placeWait)
	}
	out := (&http.Request{
		Method: c.r.Method, URL: c.url, Host: c.t.BaseURL.Host, Header: maps.Clone(c.header),
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
	}).WithContext(a.ctx)
	if trace := &c.rec.Trace; trace.SpanID != [8]byte{} {
		out.Header["Traceparent"] = []string{trace.Traceparent(a.number)}
		if trace.ParentID == [8]byte{} {
			delete(out.Header, "Tracestate") // It belongs to the caller's trace, and there is none that can be read.
		}
	}
	c.cached.Condition(out.Header)
	if c.hasBody() {
		if err := x.attachBody(c, out); err != nil {
			a.failure = reject(fault.Wrap(err, fault.Internal, "", "The body of the request cannot be sent again."))
			a.outcome = a.failure.outcome
			return nil
		}
	}
	if c.t.LogBodies {
		x.body.capture = c.proxy.bodies.Capture(out.Header)
	}
	x.watch = callerOf(a.ctx).Watch
	if c.t.Obtain != nil { // The token may have ended since it was at hand: it is not waited for without end.
		x.mu.Lock()
		x.arm(false)
		x.mu.Unlock()
	}
	if f := a.authorize(out); f != nil {
		a.failure, a.outcome = f, f.outcome
		return nil
	}
	a.sentAt = x.since(x.now())
	x.mu.Lock()
	x.arm(true)
	x.mu.Unlock()
	return out
}

// roundTrip sends, and watches how it goes.
func (a *attempt) roundTrip(out *http.Request) (*http.Response, error) {
	if t, ok := a.call.t.Transport.(observed); ok {
		return t.Exchange(out, &a.exchange)
	}
	return a.call.t.Transport.RoundTrip(out.WithContext(httptrace.WithClientTrace(a.ctx, a.Hooks())))
}

// observed is a transport that says itself how an exchange goes; *http1.Transport is one.
type observed interface {
	Exchange(r *http.Request, o http1.Observer) (*http.Response, error)
}

// receive takes what the transport returned.
func (a *attempt) receive(resp *http.Response, err error, sends int, late error) {
	c := a.call
	c.rec.SentAt, c.rec.Number = a.sentAt, a.number
	a.sent = sends > 0
	c.sends += sends
	if err != nil {
		a.failure = a.failed(a.ctx, err)
		if a.outcome = a.failure.outcome; a.outcome != OutcomeRejectedLocal && !a.expiredUnasked() {
			sends = max(1, sends)
		}
		c.rec.Attempts += sends
		return
	}
	a.resp = resp
	c.rec.Attempts += max(1, sends)
	a.reading = a.admission.answered(resp)
	if c.cached == nil && len(a.secrets) == 0 && c.proxy.redactor.plain(resp.Header) {
		c.rec.ResponseHeader = resp.Header // From here on it is read only.
	} else {
		c.rec.ResponseHeader = c.proxy.redactor.header(resp.Header)
	}
	if c.t.LogBodies {
		a.answer = c.proxy.bodies.Capture(resp.Header)
	}
	if a.watch != nil {
		a.shown = c.proxy.shown.Capture(resp.Header)
	}
	hideValues(c.rec.ResponseHeader, a.secrets)
	a.outcome = a.meaning()
	switch {
	case late != nil:
		a.failure = upstreamFailure(OutcomeTimeout, late)
	case a.ctx.Err() != nil:
		a.failure = a.failed(a.ctx, a.ctx.Err())
	case resp.StatusCode < 200 || resp.StatusCode > 999:
		a.failure = badResponse("status " + strconv.Itoa(resp.StatusCode) + " cannot end an exchange")
	}
	if a.failure != nil {
		a.outcome = a.failure.outcome
	}
}

// expiredUnasked reports whether the time was over before the transport did anything: then nothing was tried.
func (x *exchange) expiredUnasked() bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.expired && x.askedAt.IsZero()
}

// peekBytes is how much of an answer is read to find out what it means.
const peekBytes = 64 << 10

// meaning is the outcome of the answer: by the rules of the policy, else by its status.
func (a *attempt) meaning() Outcome {
	for i := range a.call.policy.Outcomes {
		rule := &a.call.policy.Outcomes[i]
		if rule.Status != a.resp.StatusCode {
			continue
		}
		if rule.BodyContains == "" || strings.Contains(a.peek(), rule.BodyContains) {
			return rule.Outcome
		}
	}
	return classifyStatus(a.resp.StatusCode, a.reading.Throttled)
}

// peek reads the beginning of the answer's body and puts it back.
func (a *attempt) peek() string {
	text, err := io.ReadAll(io.LimitReader(a.resp.Body, peekBytes))
	body := a.resp.Body
	var rest io.Reader = body
	if err != nil {
		rest = failingReader{err}
	}
	a.resp.Body = struct {
		io.Reader
		io.Closer
	}{io.MultiReader(strings.NewReader(string(text)), rest), body}
	return string(text)
}

// failingReader repeats an error that was met too early.
type failingReader struct{ err error }

func (r failingReader) Read([]byte) (int, error) { return 0, r.err }

// bodyLost says why the body of the request cannot be sent once more; empty when it can, or there is none.
func (a *attempt) bodyLost() string {
	switch {
	case !a.body.present():
		return ""
	case a.body.interrupted.Load():
		return "the body was broken off"
	case a.body.waiting.Load():
		return "the body is still on its way here"
	case a.call.replay != nil:
		return a.call.replay.Lost()
	case a.body.n.Load() > 0:
		return "the body is passed on without being kept"
	}
	return ""
}

// stopReading keeps the transport from reading on for this attempt. It reports false when that is too late:
// no read of one attempt may go on during the next.
func (a *attempt) stopReading() bool {
	if !a.body.present() {
		return true
	}
	a.body.closed.Store(true)
	return a.bodyLost() == ""
}

// settle tells the protections how the attempt ended, and frees its place. Only the first call counts.
func (a *attempt) settle() {
	if a.settled {
		return
	}
	a.settled = true
	a.admission.done(a.outcome, a.call.rec.ID, a.call.policy.Slow(a.took), a.sent)
}

// retried is what the record keeps of an attempt that is followed by another.
func (a *attempt) retried(reason string) Retried {
	r := Retried{Number: a.number, Hedge: a.hedge, Outcome: a.outcome, At: a.sentAt, Took: a.took, Reason: reason}
	if a.resp != nil {
		r.Status = a.resp.StatusCode
	}
	return r
}

// timeline is the part of an attempt in the timeline of the call. Where several ran side by side, each moment
// says of which it is.
func (a *attempt) timeline(end time.Time) []Step {
	steps := a.steps(end)
	if a.call.rec.Hedges == 0 {
		return steps
	}
	which := "request " + strconv.Itoa(a.number)
	for i := range steps {
		if s := &steps[i]; s.Note == "" {
			s.Note = which
		} else {
			s.Note = which + ", " + s.Note
		}
	}
	return steps
}

// discard ends an attempt that is followed by another. A short rest of its answer is read, so that the
// connection can be used again, if it is there at once: the next attempt waits for it.
func (a *attempt) discard() {
	if a.resp != nil {
		if a.body.present() && !a.body.ended.Load() {
			a.cancel(context.Canceled) // Both directions are given up.
		} else {
			const short, moment = 64 << 10, 50 * time.Millisecond
			late := time.AfterFunc(moment, func() { a.cancel(context.Canceled) })
			_, _ = io.CopyN(io.Discard, a.resp.Body, short)
			late.Stop()
		}
		_ = a.resp.Body.Close()
	}
	a.body.capture.Close(nil)
	a.answer.Close(nil)
	a.shown.Show(nil)
	a.settle()
	a.close()
}

func (a *attempt) closeAnswer() {
	if a.resp == nil {
		return
	}
	// Over HTTP/2, closing the answer waits until the request has ended too.
	if a.body.present() && !a.body.ended.Load() {
		a.body.interrupt()
		a.cancel(context.Canceled)
	}
	_ = a.resp.Body.Close()
}

// release ends the last attempt, whatever became of it, a panic included. begun says that the answer to
// the caller has begun.
func (a *attempt) release(begun bool) {
	a.closeAnswer()
	a.call.proxy.complete(a)
	if a.body.present() {
		a.body.leave() // The transport may still be reading.
		if late := a.end(); !begun {
			a.body.settle(a.call.w.Header(), late)
		}
	}
	a.close()
	a.admission.cancel()
}

// attachBody makes the caller's body that of the outgoing request.
func (x *exchange) attachBody(c *call, out *http.Request) error {
	x.body.source, x.body.control, x.body.from = c.r, http.NewResponseController(c.w), c.r.Body
	if c.replay != nil {
		from, err := c.replay.Attempt()
		if err != nil {
			return err
		}
		x.body.from = from
	}
	out.Body, out.ContentLength = &x.body, c.r.ContentLength
	if c.signed {
		x.body.ended.Store(true) // The caller has sent everything.
		if len(c.r.Trailer) == 0 && c.size > 0 {
			out.ContentLength = c.size
		}
	}
	if out.ContentLength < 0 {
		// Said outright, because net/http would otherwise wait to see whether a GET really has a body.
		out.TransferEncoding = []string{"chunked"}
		for name := range c.r.Trailer {
			if dropFromRequest(name) {
				continue
			}
			if out.Trailer == nil {
				out.Trailer = make(http.Header, len(c.r.Trailer))
			}
			out.Trailer[name] = nil
		}
		x.body.trailer = out.Trailer
	}
	return nil
}

// authorize puts the credential on, and records the request without it.
func (a *attempt) authorize(out *http.Request) *failure {
	c, t, p := a.call, a.call.t, a.call.proxy
	c.rec.RequestHeader, c.rec.Query = p.redactor.header(out.Header), c.query
	if t.Authorize == nil {
		return nil
	}
	before, query := c.header, out.URL.RawQuery
	if c.cached != nil { // It has added conditions.
		before = maps.Clone(out.Header)
	}
	if f := p.authorize(a.ctx, out, t, c.signedBody()); f != nil {
		return f
	}
	if c.signed { // The signature has read the body to its end.
		from, err := c.replay.Attempt()
		if err != nil {
			return reject(fault.Wrap(err, fault.Internal, "", "The body of the request cannot be sent after it was signed."))
		}
		a.body.from = from
	}
	p.redactor.hideCredential(c.rec.RequestHeader, before, out.Header)
	c.rec.Query = addedQuery(c.query, query, out.URL.RawQuery)
	if t.LogBodies || a.watch != nil {
		a.secrets = addedValues(before, out.Header, query, out.URL.RawQuery)
	}
	return nil
}

// authorize puts the credential on, and makes sure that it goes where the connection says. getBody is the
// body for a signature. The transport does not see it: with it, it would repeat requests on its own.
func (p *Proxy) authorize(ctx context.Context, out *http.Request, t *Target, getBody func() (io.ReadCloser, error)) *failure {
	if t.Authorize == nil {
		return nil
	}
	body, u := out.Body, *out.URL
	out.URL = &u // It may get a parameter, and the next attempt starts without.
	out.GetBody = getBody
	err := t.Authorize(ctx, out)
	out.GetBody = nil
	switch {
	case err != nil && errors.Is(context.Cause(ctx), errTotalTimeout):
		return tokenLate(OutcomeRejectedLocal)
	case err != nil:
		return unauthorized(err)
	}
	if out.URL.Scheme != t.BaseURL.Scheme || out.URL.Host != t.BaseURL.Host || out.Host != t.BaseURL.Host || out.Body != body {
		return reject(fault.New(fault.Internal, "", "The credential changed the destination of the request."))
	}
	return nil
}

// complete fills in the record from what the hooks of the last attempt saw.
func (p *Proxy) complete(a *attempt) {
	x, rec := &a.exchange, a.call.rec
	ended := p.now()
	rec.Duration = ended.Sub(rec.StartedAt) // What follows is our work, not the call.
	rec.RequestBytes = x.body.n.Load()
	rec.Steps = a.timeline(ended)
	if len(a.call.steps) > 0 {
		rec.Steps = slices.Concat(a.call.steps, rec.Steps)
	}
	if byTime := func(a, b Step) int { return cmp.Compare(a.At, b.At) }; !slices.IsSortedFunc(rec.Steps, byTime) {
		slices.SortStableFunc(rec.Steps, byTime)
	}
	x.mu.Lock()
	if !x.reused && !x.gotAt.IsZero() {
		rec.Connect = x.gotAt.Sub(x.askedAt)
	}
	if !x.firstAt.IsZero() {
		rec.FirstByte = x.since(x.firstAt)
	}
	x.mu.Unlock()
	if x.watch != nil {
		x.watch.Response = x.shown.Show(x.secrets)
	}
	if x.body.capture != nil {
		rec.Bodies = &Bodies{Request: x.body.capture.Close(x.secrets), Response: x.answer.Close(x.secrets)}
	}
}
