package runtime

import (
	"net/http"

	"switchgear/internal/fault"
	"switchgear/internal/runtime/cache"
	"switchgear/internal/runtime/retry"
)

// fallbackHeader says in an answer what stands in for the upstream, other than the cache.
const fallbackHeader = "Switchgear-Fallback"

// What a [FallbackRecord] can be.
const (
	FallbackStatic     = "static"
	FallbackConnection = "connection"
)

// FallbackRecord is what stood in for an upstream that failed, or that was not asked.
type FallbackRecord struct {
	Kind string // FallbackStatic or FallbackConnection
	// Connection is the slug of the connection that was asked instead, Attempts how often; it may have been in
	// vain, and then Kind is empty.
	Connection string
	Attempts   int
	Outcome    Outcome // of the last of these attempts
}

// String is as in the header: static, or connection=slug; empty when nothing stood in.
func (f FallbackRecord) String() string {
	if f.Kind == FallbackConnection {
		return f.Kind + "=" + f.Connection
	}
	return f.Kind
}

// HasAlternate reports whether a call may go to another connection in the end. Then its caller has to say to
// which it may ([Caller]).
func (t *Target) HasAlternate() bool {
	if t.Policy.Fallback.Connection != "" {
		return true
	}
	for i := range t.Operations {
		if t.Operations[i].Effective.Fallback.Connection != "" {
			return true
		}
	}
	return false
}

// fallBack answers a call whose upstream failed, or was not asked, with what the policy has in store for that:
// an answer that is configured, or that of another connection. last is the attempt that failed, nil without
// one. done is false when there is nothing, or it failed too.
func (c *call) fallBack(cause cache.Cause, last *attempt) (begun bool, f *failure, done bool) {
	p := &c.policy.Fallback
	if *p == (Fallback{}) || c.original != nil || callerOf(c.r.Context()).Plain {
		return false, nil, false
	}
	configured := cache.Fallback{Static: p.Static.answer(), Alternate: p.Connection}
	plan := cache.PlanFor(c.r.Method, c.declared(), cause, cache.Stale{Why: "the cache had its turn"}, configured)
	for _, step := range plan.Steps {
		switch step {
		case cache.StepStatic:
			c.rec.Fallback.Kind = FallbackStatic
			c.w.Header()[fallbackHeader] = []string{c.rec.Fallback.String()}
			c.note("fallback", "the configured answer stands in: "+string(cause))
			return true, c.give(configured.Static.Response(cause, last != nil)), true
		case cache.StepAlternate:
			if begun, f, done = c.askAlternate(p.Connection, last); done {
				return begun, f, true
			}
		case cache.StepStale, cache.StepError:
		}
	}
	return false, nil, false
}

func (s StaticAnswer) answer() *cache.Static {
	if s.Status == 0 {
		return nil
	}
	out := &cache.Static{Status: s.Status, Body: []byte(s.Body)}
	if s.ContentType != "" {
		out.Header = http.Header{"Content-Type": {s.ContentType}}
	}
	return out
}

// askAlternate sends the call through another connection: its own guards, its own credential of the same
// account, within the time that the call has left, and no further fallback. Only an answer is passed on; a
// failure leaves the first one standing.
func (c *call) askAlternate(slug string, last *attempt) (begun bool, f *failure, done bool) {
	in := "connection " + slug
	t, why := c.alternate(slug, last)
	if why != "" {
		c.note("fallback", in+" was not asked: "+why)
		return false, nil, false
	}
	began := c.proxy.now()
	rec := *c.rec
	rec.Retried, rec.Bodies, rec.Steps, rec.Hedges, rec.HedgeWon = nil, nil, nil, 0, false
	sub := &call{
		proxy: c.proxy, w: c.w, r: c.r, t: &t, rec: &rec, path: c.path, header: c.header, query: c.query, replay: c.replay,
		original: c, launched: c.launched,
	}
	h := c.w.Header()
	h[fallbackHeader] = []string{FallbackConnection + "=" + slug}
	begun, f = sub.instead()
	told := c.rec
	told.Attempts, told.Number = rec.Attempts, c.rec.Number
	told.Fallback = FallbackRecord{Connection: slug, Attempts: rec.Attempts - sub.before, Outcome: rec.Outcome}
	c.launched = sub.launched
	c.steps = append(c.steps, inside(slug, rec.Steps)...)
	took := c.proxy.now().Sub(began)
	if !begun {
		delete(h, fallbackHeader)
		c.span("fallback", in+" failed too: "+f.text, took)
		return false, nil, false
	}
	c.span("fallback", in+" answered", took)
	told.Fallback.Kind = FallbackConnection
	told.Status, told.ResponseBytes, told.FirstByte = rec.Status, rec.ResponseBytes, rec.FirstByte
	if last != nil {
		last.watch = nil // What is shown is the answer that was given.
	}
	return true, f, true
}

// alternate finds the connection to ask instead, or says why it is not asked.
func (c *call) alternate(slug string, last *attempt) (t Target, why string) {
	find := callerOf(c.r.Context()).Alternate
	switch {
	case find == nil:
		return t, "who makes the call has no other connection"
	case c.left() <= 0:
		return t, "the call has no time left"
	case c.hasBody() && c.replay == nil:
		return t, "the body is passed on without being kept"
	case c.hasBody() && c.replay.Lost() != "":
		return t, c.replay.Lost()
	case last != nil && !last.stopReading():
		return t, last.bodyLost()
	}
	t, err := find(slug, c.t.Account)
	if err != nil {
		return t, fault.PublicMessage(err)
	}
	if t.ConnectionID == c.t.ConnectionID {
		return t, "it is the same connection"
	}
	return t, ""
}

// instead makes the call in place of another one.
func (c *call) instead() (begun bool, f *failure) {
	u, err := JoinPath(c.t.BaseURL, c.path, c.r.URL.RawQuery)
	if err != nil {
		return false, reject(err)
	}
	c.url = u
	policy := c.t.Policy
	if c.operation = MatchOperation(c.t.Operations, c.r.Method, c.path); c.operation != nil {
		policy = c.operation.Effective
	}
	// The time is that of the whole call, and of this connection where that is less.
	spent := Duration(c.proxy.now().Sub(c.rec.StartedAt))
	policy.Timeout = min(c.original.policy.Timeout, spent+policy.Timeout)
	c.policy, c.before = &policy, c.rec.Attempts
	if c.guard, err = c.proxy.protections.guard(c.t); err != nil {
		return false, reject(err)
	}
	if f := c.keepSigned(); f != nil {
		return false, f
	}
	c.prepareRepeats()
	defer c.budget.End()
	return c.attempts()
}

// inside marks moments of another connection.
func inside(slug string, steps []Step) []Step {
	for i := range steps {
		if s := &steps[i]; s.Note == "" {
			s.Note = slug
		} else {
			s.Note = slug + ": " + s.Note
		}
	}
	return steps
}

// repeatable reports whether a request may be sent again although the upstream may have acted on it.
func (c *call) repeatable() bool {
	return c.keyed || c.declared() || retry.Idempotent(c.r.Method)
}
