package cache

import (
	"io"
	"net/http"
	"slices"
	"strconv"
	"time"
)

// Header names of the marks.
const (
	// StatusHeader carries what RFC 9211 defines.
	StatusHeader = "Cache-Status"
	// StateHeader carries the [State] alone.
	StateHeader = "Switchgear-Cache"
)

// State is what the cache did for a call, in a word.
type State string

// The states.
const (
	StateHit         State = "hit"         // answered from the cache
	StateMiss        State = "miss"        // answered by the upstream
	StateStale       State = "stale"       // answered from the cache, past the time
	StateRevalidated State = "revalidated" // answered from the cache, after the upstream confirmed it
	StateBypass      State = "bypass"      // the cache had no part in it
	StateStatic      State = "static"      // answered with what is configured for failures
)

// Why a request went on to the upstream (RFC 9211, 2.2).
const (
	fwdBypass   = "bypass"
	fwdMethod   = "method"
	fwdURIMiss  = "uri-miss"
	fwdVaryMiss = "vary-miss"
	fwdMiss     = "miss"
	fwdRequest  = "request"
	fwdStale    = "stale"
)

// marks are what the answer says about the part of the cache.
type marks struct {
	state         State
	forward       string // empty for a hit
	forwardStatus int    // the upstream's status where the answer has another; 0 = not said
	ttl           time.Duration
	hasTTL        bool
	stored        bool
	collapsed     bool
	detail        string
}

func (m *marks) append(b []byte) []byte {
	b = append(b, "switchgear"...)
	switch {
	case m.forward == "" && m.state == StateStatic: // Neither was it kept, nor the upstream asked.
	case m.forward == "":
		b = append(b, "; hit"...)
	default:
		b = append(append(b, "; fwd="...), m.forward...)
	}
	if m.forwardStatus != 0 {
		b = strconv.AppendInt(append(b, "; fwd-status="...), int64(m.forwardStatus), 10)
	}
	if m.hasTTL {
		b = strconv.AppendInt(append(b, "; ttl="...), wholeSeconds(m.ttl), 10)
	}
	if m.stored {
		b = append(b, "; stored"...)
	}
	if m.collapsed {
		b = append(b, "; collapsed"...)
	}
	if m.detail != "" {
		b = append(append(b, "; detail="...), m.detail...)
	}
	return b
}

// wholeSeconds rounds down, so that what has just become stale has a negative time to live.
func wholeSeconds(d time.Duration) int64 {
	s := int64(d / time.Second)
	if d < 0 && d%time.Second != 0 {
		s--
	}
	return s
}

// set puts the marks on an answer, after those of caches nearer to the origin.
func (m *marks) set(h http.Header) {
	var space [128]byte
	own := string(m.append(space[:0]))
	if before := h[StatusHeader]; len(before) > 0 {
		h[StatusHeader] = append(slices.Clip(before), own)
	} else {
		h[StatusHeader] = []string{own}
	}
	h[StateHeader] = []string{string(m.state)}
}

// Response is an answer that does not come from the upstream. It may be read by many at once.
type Response struct {
	Status int

	header http.Header
	body   []byte
	age    time.Duration
	hasAge bool
	head   bool // there is a length but no body
	marks  marks
}

// State says what kind of answer it is.
func (r *Response) State() State { return r.marks.state }

// Age is how old the answer is; 0 for one that was configured.
func (r *Response) Age() time.Duration { return r.age }

// Body is the body of the answer. It must not be changed.
func (r *Response) Body() []byte { return r.body }

// SetHeader writes the header of the answer into h, with the marks. What h holds already stays. It is done once,
// before Write.
func (r *Response) SetHeader(h http.Header) {
	for name, values := range r.header {
		h[name] = slices.Clip(values)
	}
	if _, ok := h["Content-Type"]; !ok {
		h["Content-Type"] = nil // Without this, net/http would guess a type from the body.
	}
	if r.hasAge {
		h["Age"] = []string{strconv.FormatInt(int64(r.age/time.Second), 10)}
	}
	r.marks.set(h)
}

// Write answers with the length and the status of r and, unless the method is HEAD, the body. The number of body
// bytes written is returned.
func (r *Response) Write(w http.ResponseWriter, method string) (int64, error) {
	h := w.Header()
	bodyless := r.head || r.Status == http.StatusNoContent || r.Status == http.StatusNotModified
	if !bodyless {
		h["Content-Length"] = []string{strconv.Itoa(len(r.body))}
	}
	w.WriteHeader(r.Status)
	if bodyless || method == http.MethodHead {
		return 0, nil
	}
	n, err := w.Write(r.body)
	if err == nil && n < len(r.body) {
		err = io.ErrShortWrite
	}
	return int64(n), err
}
