package cache

import (
	"net/http"
	"slices"
	"strings"
	"time"
)

// answer is what decides about an answer: its head, and when it was asked for and came.
type answer struct {
	method      string
	status      int
	header      http.Header
	control     control
	requested   time.Time
	received    time.Time
	initialAge  time.Duration // when it came (4.2.3)
	hasTrailers bool
}

func newAnswer(method string, status int, h http.Header, requested, received time.Time) answer {
	return answer{
		method: method, status: status, header: h, control: parseControl(h["Cache-Control"]),
		requested: requested, received: received, initialAge: initialAge(h, requested, received),
	}
}

// initialAge is the corrected initial age of RFC 9111, 4.2.3.
func initialAge(h http.Header, requested, received time.Time) time.Duration {
	apparent := time.Duration(0)
	if date, err := http.ParseTime(h.Get("Date")); err == nil {
		apparent = max(0, received.Sub(date))
	}
	// The first member counts when there are several; one that cannot be read is ignored (5.1).
	value, _, _ := strings.Cut(h.Get("Age"), ",")
	age, _ := deltaSeconds(strings.TrimSpace(value))
	return max(apparent, age+max(0, received.Sub(requested)))
}

// age is the current age (4.2.3).
func (a *answer) age(now time.Time) time.Duration {
	return a.initialAge + max(0, now.Sub(a.received))
}

// lifetime is how long the answer is fresh, counted in its age (4.2.1).
func (a *answer) lifetime(p *Policy) time.Duration {
	switch p.Mode {
	case ModeOverride:
		return a.initialAge + p.TTL // The TTL counts from when the answer came.
	case ModeRespect:
	case ModeOff, ModeFallback:
		return 0
	}
	if a.control.maxAge != absent {
		return a.control.maxAge
	}
	date := a.received
	if d, err := http.ParseTime(a.header.Get("Date")); err == nil {
		date = d
	}
	if values, ok := a.header["Expires"]; ok {
		if len(values) != 1 {
			return 0
		}
		expires, err := http.ParseTime(values[0])
		if err != nil {
			return 0 // "0" among others: already expired (5.3)
		}
		return max(0, expires.Sub(date))
	}
	if p.TTL > 0 {
		return a.initialAge + p.TTL
	}
	if !p.Heuristic {
		return 0
	}
	modified, err := http.ParseTime(a.header.Get("Last-Modified"))
	if err != nil {
		return 0
	}
	return min(maxHeuristic, max(0, date.Sub(modified)/10))
}

// statusStored lists the statuses that are kept. No errors are among them: an upstream that recovers must
// be heard at once, and a 404 of an API is often true for a moment only.
func statusStored(status int) bool {
	switch status {
	case http.StatusOK, http.StatusNonAuthoritativeInfo, http.StatusNoContent,
		http.StatusMultipleChoices, http.StatusMovedPermanently, http.StatusPermanentRedirect:
		return true
	}
	return false
}

// storable says whether the answer may be kept (section 3), and if not, why.
func (a *answer) storable(request control, p *Policy) (ok bool, why string) {
	switch {
	case a.method != http.MethodGet && a.method != http.MethodHead:
		return false, "method"
	case !statusStored(a.status):
		return false, "status"
	case request.noStore:
		return false, "request_no_store"
	case a.control.noStore && !a.control.mustUnderstand: // 5.2.2.3: every status that is kept is understood.
		return false, "no_store"
	case variesByAll(a.header):
		return false, "vary"
	case a.header.Get("Content-Range") != "":
		return false, "partial"
	case a.hasTrailers:
		return false, "trailers"
	case isEventStream(a.header):
		return false, "stream"
	}
	if a.lifetime(p) > a.initialAge || a.validator() {
		return true, ""
	}
	if !a.control.noCache && !a.control.mustRevalidate && a.staleWindow(request, p) > 0 {
		return true, ""
	}
	return false, "no_freshness"
}

// validator reports whether the upstream can be asked if the answer is still current.
func (a *answer) validator() bool {
	return a.header.Get("Etag") != "" || a.header.Get("Last-Modified") != ""
}

// staleWindow is the longest time that the answer can be of use after it was fresh.
func (a *answer) staleWindow(request control, p *Policy) time.Duration {
	return min(p.maxStale(), max(a.ifErrorWindow(request, p), a.revalidateWindow(p)))
}

func (a *answer) ifErrorWindow(request control, p *Policy) time.Duration {
	return min(p.maxStale(), max(p.StaleIfError, a.control.staleIfError, request.staleIfError))
}

func (a *answer) revalidateWindow(p *Policy) time.Duration {
	return min(p.maxStale(), max(p.StaleWhileRevalidate, a.control.staleWhileRevalidate))
}

// use is what may be done with a kept answer.
type use int

const (
	useNone              use = iota // only after the upstream said that it is current
	useFresh                        // as it is
	useStale                        // as it is: the caller takes stale answers
	useWhileRevalidating            // as it is, and a new one is fetched
)

// judge decides what may be done with a kept answer without the upstream (section 4, 5.2.1).
func (a *answer) judge(request control, p *Policy, now time.Time) use {
	age, lifetime := a.age(now), a.lifetime(p)
	switch {
	case request.noCache, a.control.noCache, p.Mode == ModeFallback:
		return useNone
	case request.maxAge != absent && age > request.maxAge:
		return useNone
	}
	left := lifetime - age
	if left > 0 {
		if request.minFresh != absent && left < request.minFresh {
			return useNone
		}
		return useFresh
	}
	staleness := -left
	switch {
	case a.control.mustRevalidate, request.minFresh != absent:
		return useNone
	case staleness <= p.maxStale() && (request.anyStale || request.maxStale != absent && staleness <= request.maxStale):
		return useStale
	}
	if window := a.revalidateWindow(p); request.maxAge == absent && window > 0 && staleness <= window {
		return useWhileRevalidating
	}
	return useNone
}

// forFailure reports whether the answer may stand in for an upstream that failed, and if not, why.
func (a *answer) forFailure(request control, p *Policy, now time.Time) (ok bool, why string) {
	staleness, window := a.age(now)-a.lifetime(p), a.ifErrorWindow(request, p)
	switch {
	case a.control.noCache, a.control.mustRevalidate:
		return false, "the upstream forbids stale answers"
	case request.noCache:
		return false, "the caller asked for a validated answer"
	case (request.maxAge != absent || request.minFresh != absent) && request.staleIfError == absent && request.maxStale == absent && !request.anyStale:
		return false, "the caller takes no stale answer"
	case staleness >= 0 && (window <= 0 || staleness > window):
		return false, "the answer kept is too old"
	}
	return true, ""
}

func isEventStream(h http.Header) bool {
	mediaType, _, _ := strings.Cut(h.Get("Content-Type"), ";")
	return strings.EqualFold(strings.TrimSpace(mediaType), "text/event-stream")
}

// storedHeader is the part of a header that is kept: without what is about the connection (3.1), without
// what another cache said about itself, and without what is true of one call only: cookies and what is left
// of a rate limit.
func storedHeader(h http.Header) http.Header {
	out := make(http.Header, len(h))
	var named []string
	for token := range listItems(h["Connection"]) {
		named = append(named, http.CanonicalHeaderKey(token))
	}
	for name, values := range h {
		if values == nil || notStored(name) || slices.Contains(named, name) {
			continue
		}
		out[name] = slices.Clone(values)
	}
	return out
}

func notStored(name string) bool {
	switch name {
	case "Connection", "Proxy-Connection", "Keep-Alive", "Proxy-Authenticate", "Proxy-Authentication-Info", "Proxy-Authorization",
		"Te", "Trailer", "Transfer-Encoding", "Upgrade", "Set-Cookie", "Set-Cookie2", "Age", "Cache-Status", "Alt-Svc", "X-Request-Id", "Warning", "Retry-After":
		return true
	}
	for _, prefix := range []string{"Switchgear-", "Ratelimit", "X-Ratelimit-", "X-Rate-Limit-"} {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return false
}

// listItems walks the members of a comma-separated list of tokens.
func listItems(values []string) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for _, v := range values {
			for item := range strings.SplitSeq(v, ",") {
				if item = strings.TrimSpace(item); item != "" && !yield(item) {
					return
				}
			}
		}
	}
}
