package cache

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Call is the part of the cache in one call. It is used by one goroutine at a time. All methods work on a
// nil *Call, as for a call that the cache has nothing to do with.
type Call struct {
	cache      *Cache
	policy     *Policy
	method     string
	url        *url.URL
	connection string
	control    control
	header     http.Header // of the request, before the credential and our validators
	key        key
	space      *space
	kept       *entry
	hit        *Response
	err        error
	marks      marks
	requested  time.Time
	write      bool // it may change what is kept
	bypassed   bool
	background bool
	asked      bool // with our validators
	answered   bool // from the cache, after all

	// Under the lock of the cache.
	flight *flight
	doomed bool // a write or a purge came in between: the answer is not kept
	open   bool
}

// bypass lets a call through without looking.
func (c *Call) bypass(why string) {
	c.bypassed = true
	c.marks = marks{state: StateBypass, forward: why}
	c.cache.mu.Lock()
	defer c.cache.mu.Unlock()
	c.cache.store.space(c.connection).counts.Bypassed++
}

// begin notes that the call goes to the upstream. The cache is locked.
func (c *Call) begin(now time.Time) {
	c.requested, c.open = now, true
	c.space.open[c] = struct{}{}
}

// end notes that nothing more comes of the call, and tells those who wait. The cache is locked.
func (c *Call) end(r result, cause Cause) {
	if !c.open {
		return
	}
	c.open = false
	delete(c.space.open, c)
	if !c.background && !c.answered {
		c.space.counts.Misses++
	}
	if f := c.flight; f != nil {
		f.result, f.cause = r, cause
		delete(c.cache.flights, c.key)
		close(f.done)
	}
	if c.background && r == resultFailed {
		c.space.paused.set(c.key, c.cache.now().Add(c.cache.cfg.RefreshPause))
	}
}

func (c *Call) failed(cause Cause) {
	c.cache.mu.Lock()
	defer c.cache.mu.Unlock()
	c.end(resultFailed, cause)
}

// Hit is the answer from the cache; nil when the upstream has to be asked.
func (c *Call) Hit() *Response {
	if c == nil {
		return nil
	}
	return c.hit
}

// Err is the error to answer with instead of asking the upstream: the caller forbade that.
func (c *Call) Err() error {
	if c == nil {
		return nil
	}
	return c.err
}

// Condition adds the validators of a kept answer to the request that goes out, in place of the caller's.
func (c *Call) Condition(out http.Header) {
	if c == nil || c.kept == nil || c.bypassed || !c.kept.validator() {
		return
	}
	condition(out, c.kept.header)
	c.asked = true
}

// Mark says in the answer of the upstream what the cache did. [Response] says so itself.
func (c *Call) Mark(h http.Header) {
	if c != nil {
		c.marks.set(h)
	}
}

// Answered takes note of the upstream's answer, the last one when there were several attempts. When it
// returns an answer, that one is to be given, and the upstream's is to be closed. Otherwise the upstream's
// is passed on; its body may have been replaced by one that keeps what is read, which must be read to its
// end and closed as usual.
func (c *Call) Answered(resp *http.Response) *Response {
	switch {
	case c == nil:
		return nil
	case c.write:
		if resp.StatusCode >= 200 && resp.StatusCode < 400 {
			c.invalidate(resp.Header)
		}
		return nil
	case c.bypassed:
		return nil
	case resp.StatusCode == http.StatusNotModified && c.asked:
		return c.confirmed(resp.Header)
	}
	if cause, ok := CauseOfStatus(resp.StatusCode); ok {
		return c.Failed(cause)
	}
	now := c.cache.now()
	a := newAnswer(c.method, resp.StatusCode, storedHeader(resp.Header), c.requested, now)
	a.hasTrailers = len(resp.Trailer) > 0
	ok, why := a.storable(c.control, c.policy)
	limit := c.cache.cfg.MaxEntry
	if c.policy.MaxEntry > 0 {
		limit = min(limit, c.policy.MaxEntry)
	}
	bodyless := c.method == http.MethodHead || resp.StatusCode == http.StatusNoContent || resp.ContentLength == 0
	if ok && !bodyless && resp.ContentLength > limit {
		ok, why = false, "too_long"
	}
	if !ok {
		c.marks.detail = why
		c.unusable(resp.StatusCode)
		return nil
	}
	if bodyless {
		c.marks.stored = c.keep(a, nil)
		return nil
	}
	resp.Body = &capture{source: resp.Body, resp: resp, call: c, answer: a, want: resp.ContentLength, limit: limit}
	return nil
}

// unusable notes an answer that is not kept. What was kept before is out of date, unless the answer says
// nothing about it.
func (c *Call) unusable(status int) {
	c.cache.mu.Lock()
	defer c.cache.mu.Unlock()
	if c.kept != nil && status < 500 && status != http.StatusNotModified && status != http.StatusRequestTimeout && status != http.StatusTooEarly {
		c.cache.store.remove(c.kept)
	}
	c.space.single.set(c.key, c.cache.now().Add(aloneFor))
	c.end(resultNotStored, "")
}

// aloneFor is how long calls do not wait for each other after one whose answer could not be shared.
const aloneFor = 10 * time.Second

// keep stores the whole answer. It reports whether it did.
func (c *Call) keep(a answer, body []byte) bool {
	if c.method != http.MethodHead {
		delete(a.header, "Content-Length") // It is that of the body.
	}
	names := varies(a.header)
	e := newEntry(a, c.key, names, c.cache.hasher.variant(names, c.header), body, c.policy)
	now := c.cache.now()
	c.cache.mu.Lock()
	defer c.cache.mu.Unlock()
	if !c.open || c.doomed {
		c.end(resultNotStored, "")
		return false
	}
	if c.kept != nil && (c.kept.key == c.key || contradicts(&c.kept.answer, c.kept.body, &a)) {
		c.cache.store.remove(c.kept)
	}
	if !c.cache.store.put(c.space, e) {
		c.space.single.set(c.key, now.Add(aloneFor))
		c.end(resultNotStored, "")
		return false
	}
	c.space.counts.Stored++
	if e.judge(emptyControl(), c.policy, now) != useFresh {
		c.space.single.set(c.key, now.Add(aloneFor))
	}
	c.end(resultStored, "")
	return true
}

// contradicts reports whether the answer to a HEAD shows that the kept answer to a GET is another one (4.3.5).
func contradicts(kept *answer, body []byte, head *answer) bool {
	if head.method != http.MethodHead || kept.method != http.MethodGet {
		return false
	}
	for _, name := range []string{"Etag", "Last-Modified"} {
		if got := head.header.Get(name); got != "" && got != kept.header.Get(name) {
			return true
		}
	}
	length, ok := deltaSeconds(head.header.Get("Content-Length"))
	return ok && int64(length/time.Second) != int64(len(body))
}

// confirmed answers with what is kept, after the upstream said that it is current (4.3.3).
func (c *Call) confirmed(h http.Header) *Response {
	now := c.cache.now()
	a := newAnswer(c.kept.method, c.kept.status, merge(c.kept.header, h), c.requested, now)
	a.initialAge = initialAge(h, c.requested, now)
	e := newEntry(a, c.kept.key, c.kept.names, c.kept.variant, c.kept.body, c.policy)
	c.cache.mu.Lock()
	defer c.cache.mu.Unlock()
	c.cache.store.remove(c.kept)
	kept := false
	if ok, _ := e.storable(c.control, c.policy); ok && c.open && !c.doomed && confirms(c.kept.header, h) {
		kept = c.cache.store.put(c.space, e)
	}
	res := c.respond(e, c.header, StateRevalidated, now)
	res.marks.forward, res.marks.forwardStatus = c.marks.forward, http.StatusNotModified
	if !c.background {
		c.space.counts.add(res, false)
	}
	if e.judge(emptyControl(), c.policy, now) != useFresh {
		c.space.single.set(c.key, now.Add(aloneFor))
	}
	c.kept = e
	c.answered = true
	if kept {
		c.end(resultStored, "")
	} else {
		c.end(resultNotStored, "")
	}
	return res
}

// Stale says whether a kept answer may stand in for the upstream.
type Stale struct {
	Usable bool
	Why    string        // it is not
	Age    time.Duration // of the answer
}

// Stale says whether a kept answer may stand in if the upstream fails now.
func (c *Call) Stale() Stale {
	switch {
	case c == nil:
		return Stale{Why: "the cache is off"}
	case c.bypassed:
		return Stale{Why: "the cache has no part in this call"}
	case c.kept == nil:
		return Stale{Why: "no answer is kept"}
	}
	c.cache.mu.Lock()
	doomed := c.doomed
	c.cache.mu.Unlock()
	if doomed {
		return Stale{Why: "the answer kept was dropped in the meantime"}
	}
	now := c.cache.now()
	ok, why := c.kept.forFailure(c.control, c.policy, now)
	return Stale{Usable: ok, Why: why, Age: c.kept.age(now)}
}

// Failed takes note that the upstream failed, after all attempts, for a cause. It returns the stale answer
// that stands in, or nil.
func (c *Call) Failed(cause Cause) *Response {
	if c == nil || c.bypassed {
		return nil
	}
	if c.background {
		c.failed(cause)
		return nil
	}
	res := c.standIn(cause)
	c.answered = res != nil
	c.failed(cause)
	return res
}

// standIn is the stale answer for a failure, or nil.
func (c *Call) standIn(cause Cause) *Response {
	if unfit(c.method, cause) != "" || !c.Stale().Usable {
		return nil
	}
	c.cache.mu.Lock()
	defer c.cache.mu.Unlock()
	if c.kept.recent != nil {
		c.cache.store.touch(c.kept)
	}
	res := c.respond(c.kept, c.header, StateStale, c.cache.now())
	res.marks.detail, res.marks.collapsed = string(cause), c.marks.collapsed
	if cause != CauseBreakerOpen && cause != CauseBulkheadFull && !c.marks.collapsed { // Otherwise nothing was sent.
		res.marks.forward, res.marks.forwardStatus = fwdStale, cause.status()
	}
	c.space.counts.add(res, c.marks.collapsed)
	return res
}

// respond makes the answer from an entry, a 304 where the caller has it already (4.3.2).
func (c *Call) respond(e *entry, request http.Header, state State, now time.Time) *Response {
	age := e.age(now)
	res := &Response{
		Status: e.status, header: e.header, body: e.body, age: age, hasAge: true,
		head:  e.method == http.MethodHead,
		marks: marks{state: state, ttl: e.lifetime(c.policy) - age, hasTTL: true, collapsed: c.marks.collapsed},
	}
	if e.status == http.StatusOK && notModified(request, e.header) {
		res.Status, res.header, res.body = http.StatusNotModified, about304(e.header), nil
	}
	return res
}

// invalidate drops what a successful write may have changed (4.4): its URL, and those of the same origin
// that the answer names.
func (c *Call) invalidate(h http.Header) {
	uris := []digest{c.cache.hasher.uri(c.connection, c.url)}
	for _, name := range []string{"Location", "Content-Location"} {
		value := h.Get(name)
		if value == "" {
			continue
		}
		u, err := c.url.Parse(value)
		if err == nil && u.Scheme == c.url.Scheme && strings.EqualFold(u.Host, c.url.Host) {
			uris = append(uris, c.cache.hasher.uri(c.connection, u))
		}
	}
	c.cache.mu.Lock()
	defer c.cache.mu.Unlock()
	sp := c.cache.store.space(c.connection)
	for _, uri := range uris {
		c.cache.store.invalidate(sp, uri)
	}
}

// Close ends the call, however it went. Calls that wait for it go on.
func (c *Call) Close() {
	if c == nil || c.bypassed {
		return
	}
	c.cache.mu.Lock()
	defer c.cache.mu.Unlock()
	c.end(resultNotStored, "")
}

// causeOf is the cause of an error of a refresh, which has none of the types that the runtime knows.
func causeOf(err error) Cause {
	if errors.Is(err, context.DeadlineExceeded) {
		return CauseTimeout
	}
	return CauseConnectFailed
}

// refreshHeader is the header of a request in the background.
func (c *Call) refreshHeader() http.Header {
	h := maps.Clone(c.header)
	if h == nil {
		h = http.Header{}
	}
	// What the caller asked of the cache, and what it has already, is not about this request.
	for _, name := range []string{"Cache-Control", "Pragma", "If-None-Match", "If-Modified-Since"} {
		delete(h, name)
	}
	c.Condition(h)
	return h
}
