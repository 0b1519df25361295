package runtime

import (
	"context"
	"crypto/tls"
	"maps"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"sync"
	"time"

	"switchgear/internal/runtime/bodies"
	"switchgear/internal/runtime/egress/http1"
)

// exchange is the state of one call. The hooks of httptrace run on goroutines of the transport, some of
// them after RoundTrip returned; so everything they touch is behind mu, and an exchange is never reused.
type exchange struct {
	now     func() time.Time
	start   time.Time
	trace   httptrace.ClientTrace
	cancel  context.CancelCauseFunc
	total   time.Duration
	attempt time.Duration
	h2Sends int // how often HTTP/2 may send a request that was refused unprocessed
	body    requestBody
	answer  *bodies.Capture // nil when bodies are not recorded
	watch   *Watch          // nil when nobody watches
	shown   *bodies.Capture // nil when nobody watches
	secrets []string        // what the credential put on, if a body is kept or shown

	w       http.ResponseWriter // for informational responses, until answered
	minor11 bool                // the caller understands informational responses
	expects bool                // it asked for 100 Continue

	mu      sync.Mutex
	timer   *time.Timer
	cause   error // why the timer fires
	over    bool  // RoundTrip has returned
	begun   bool  // the answer has begun
	closed  bool  // the call has ended
	expired bool
	sends   int
	wrote   bool  // the present send may have reached the upstream
	refused error // why a further send was stopped

	askedAt, gotAt, wroteAt, firstAt time.Time
	dnsAt, connectAt, tlsAt          time.Time
	dnsTook, connectTook, tlsTook    time.Duration
	address                          string
	reused, h2                       bool
	handshake                        error
}

// Event implements [http1.Observer].
func (x *exchange) Event(e http1.Event) {
	if e == http1.FirstByte {
		x.body.answered.Store(true)
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	switch e {
	case http1.Asked:
		x.askedAt = x.now()
	case http1.Connected, http1.Reused:
		x.gotAt, x.reused = x.now(), e == http1.Reused
		if x.body.present() {
			x.arm(false) // Waiting for the body is not waiting for the upstream.
		}
	case http1.Sent:
		x.wrote, x.wroteAt = true, x.now()
		x.sends++
		if x.body.present() {
			x.arm(true)
		}
	case http1.FirstByte:
		x.firstAt = x.now()
	}
}

// Informational implements [http1.Observer].
func (x *exchange) Informational(code int, header http.Header) error {
	return x.informational(code, textproto.MIMEHeader(header))
}

// Hooks implements [http1.Observer].
func (x *exchange) Hooks() *httptrace.ClientTrace {
	if x.trace.GotConn == nil {
		x.hooks()
	}
	return &x.trace
}

// since is the time from the start of the call.
func (x *exchange) since(t time.Time) time.Duration { return t.Sub(x.start) }

// hooks fills in the trace. Those of a new connection are only read when there was one.
func (x *exchange) hooks() {
	x.trace = httptrace.ClientTrace{
		GetConn: func(string) {
			x.mu.Lock()
			x.askedAt = x.now()
			x.mu.Unlock()
		},
		GotConn:          x.gotConn,
		Got1xxResponse:   x.informational,
		WroteHeaders:     x.wroteHeaders,
		WroteRequest:     x.wroteRequest,
		DNSStart:         func(httptrace.DNSStartInfo) { x.mark(&x.dnsAt) },
		DNSDone:          func(httptrace.DNSDoneInfo) { x.took(&x.dnsTook, &x.dnsAt) },
		ConnectStart:     func(_, _ string) { x.mark(&x.connectAt) },
		TLSHandshakeDone: x.tlsDone,
		ConnectDone: func(_, address string, err error) {
			x.took(&x.connectTook, &x.connectAt)
			if err == nil {
				x.mu.Lock()
				x.address = address
				x.mu.Unlock()
			}
		},
		TLSHandshakeStart: func() { x.mark(&x.tlsAt) },
		GotFirstResponseByte: func() {
			x.body.answered.Store(true)
			x.mu.Lock()
			x.firstAt = x.now()
			x.mu.Unlock()
		},
	}
}

// mark notes the first of several starts: addresses of a name are tried side by side.
func (x *exchange) mark(at *time.Time) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if at.IsZero() {
		*at = x.now()
	}
}

func (x *exchange) took(d *time.Duration, since *time.Time) {
	x.mu.Lock()
	defer x.mu.Unlock()
	*d = x.now().Sub(*since)
}

func (x *exchange) tlsDone(_ tls.ConnectionState, err error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.tlsTook = x.now().Sub(x.tlsAt)
	x.handshake = err
}

func (x *exchange) gotConn(info httptrace.GotConnInfo) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.wrote {
		x.refuseReplay(info)
	}
	x.gotAt, x.reused, x.wrote, x.h2 = x.now(), info.Reused, false, speaksH2(info.Conn)
	if x.body.present() {
		x.arm(false) // Sending a long body is not waiting.
	}
}

// refuseReplay decides about a second send of the same request.
//
// net/http repeats requests on its own. Over HTTP/1 it does so when a pooled connection dies before the
// first byte of an answer: for GET, HEAD, OPTIONS and TRACE, and for any method that carries an
// Idempotency-Key, if there is no body to send again. The upstream may have acted on the first one, and
// no policy was asked; so this is prevented. The context is cancelled, which ends the transport's loop at
// its next turn, and the connection is closed under it first, because a pooled connection could be handed
// out before the cancellation is noticed. What was not sent at all (wrote is false) may still move to
// another connection.
//
// Over HTTP/2 it repeats what the upstream refused by GOAWAY, REFUSED_STREAM or a protocol error on
// opening the stream, all of which say that nothing was processed; graceful restarts of upstreams rely on
// it. This is allowed up to the attempts of the policy, and it is visible: every send counts.
func (x *exchange) refuseReplay(info httptrace.GotConnInfo) {
	if speaksH2(info.Conn) {
		if x.sends < x.h2Sends {
			return
		}
		x.refused = errAttempts
		x.cancel(errAttempts)
		return
	}
	x.refused = errReplay
	x.cancel(errReplay)
	_ = info.Conn.Close()
}

func speaksH2(conn net.Conn) bool {
	c, ok := conn.(interface{ ConnectionState() tls.ConnectionState })
	return ok && c.ConnectionState().NegotiatedProtocol == "h2"
}

func (x *exchange) wroteHeaders() {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.refused != nil {
		return // Into a connection that is closed already.
	}
	x.wrote = true
	x.sends++
}

func (x *exchange) wroteRequest(info httptrace.WroteRequestInfo) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.wroteAt = x.now()
	switch {
	case info.Err == nil && x.body.present():
		x.arm(true)
	case info.Err != nil && x.wrote && !x.body.present():
		// The one write that would have carried the request failed, so nothing was sent; another connection
		// may carry it.
		x.wrote = false
		x.sends--
	}
}

// informational passes 1xx responses on. The handler is waiting in RoundTrip, so the writer is ours here.
func (x *exchange) informational(code int, header textproto.MIMEHeader) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.over || !x.minor11 || code == http.StatusContinue && !x.expects {
		return nil
	}
	// The headers of the final response must not contain those of this one.
	h := x.w.Header()
	before := h.Clone()
	copyInformational(h, http.Header(header))
	x.w.WriteHeader(code)
	clear(h)
	maps.Copy(h, before)
	return nil
}

func copyInformational(to, from http.Header) {
	for name, values := range from {
		if !dropFromResponse(name) {
			to[name] = values
		}
	}
}

// arm starts the timer of the next limit: that of the attempt if asked for and nearer, else that of the
// whole call. It reports false when the timer has fired already. mu is held.
func (x *exchange) arm(attempt bool) bool {
	if x.over && attempt {
		return true // A late hook: the answer has begun.
	}
	if x.timer != nil {
		if x.attempt <= 0 {
			return true // There is one limit only, and it runs.
		}
		if !x.timer.Stop() {
			return false
		}
	}
	left, cause := x.total-x.now().Sub(x.start), errTotalTimeout
	if attempt && x.attempt > 0 && x.attempt < left {
		left, cause = x.attempt, errAttemptTimeout
	}
	x.cause = cause
	if x.timer == nil {
		x.timer = time.AfterFunc(left, x.expire)
	} else {
		x.timer.Reset(left)
	}
	return true
}

func (x *exchange) expire() {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.closed {
		return
	}
	x.expired = true
	x.cancel(x.cause)
	x.body.interrupt()
	if x.begun {
		// A caller that does not read would hold the answer, and with it the upstream, for as long as it
		// likes. The connection is lost for further requests, so it must not be done after the end.
		_ = http.NewResponseController(x.w).SetWriteDeadline(longAgo())
	}
}

// answered ends the attempt: hooks no longer touch the writer, and what is left runs against the limit of
// the whole call. It returns the number of sends, and the limit that was hit in the meantime.
func (x *exchange) answered() (sends int, late error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.over = true
	if !x.arm(false) {
		late = x.cause
	}
	return x.sends, late
}

// begin is called right before the answer begins.
func (x *exchange) begin() {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.begun = true
}

// end closes the books: no limit fires after it. It reports whether one has fired before.
func (x *exchange) end() (expired bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.over, x.closed = true, true
	if x.timer != nil {
		x.timer.Stop()
	}
	return x.expired
}

// close frees what the exchange holds. Late hooks find it over.
func (x *exchange) close() {
	x.end()
	x.cancel(context.Canceled)
}

// steps is the timeline of the attempt so far.
func (x *exchange) steps(end time.Time) []Step {
	x.mu.Lock()
	defer x.mu.Unlock()
	most := 4
	if !x.reused {
		most = 6
	}
	steps := make([]Step, 0, most)
	if !x.reused {
		for _, s := range []struct {
			name string
			at   time.Time
			took time.Duration
			note string
		}{{"dns", x.dnsAt, x.dnsTook, ""}, {"connect", x.connectAt, x.connectTook, x.address}, {"tls", x.tlsAt, x.tlsTook, ""}} {
			if !s.at.IsZero() {
				steps = append(steps, Step{Name: s.name, At: x.since(s.at), Took: s.took, Note: s.note})
			}
		}
	} else {
		steps = append(steps, Step{Name: "connection", At: x.since(x.askedAt), Took: x.gotAt.Sub(x.askedAt), Note: "reused"})
	}
	if x.gotAt.IsZero() {
		return steps
	}
	sent := x.wroteAt
	if sent.IsZero() || !x.firstAt.IsZero() && sent.After(x.firstAt) {
		sent = x.firstAt // Answered before the whole request was sent.
	}
	if sent.IsZero() {
		return append(steps, Step{Name: "send", At: x.since(x.gotAt), Took: end.Sub(x.gotAt)})
	}
	steps = append(steps, Step{Name: "send", At: x.since(x.gotAt), Took: sent.Sub(x.gotAt)})
	if x.firstAt.IsZero() {
		return append(steps, Step{Name: "wait", At: x.since(sent), Took: end.Sub(sent)})
	}
	return append(steps,
		Step{Name: "wait", At: x.since(sent), Took: x.firstAt.Sub(sent)},
		Step{Name: "receive", At: x.since(x.firstAt), Took: end.Sub(x.firstAt)})
}
