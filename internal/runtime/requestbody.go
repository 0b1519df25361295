package runtime

import (
	"errors"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"switchgear/internal/runtime/bodies"
)

// requestBody is the caller's body on its way to the transport. It counts, and remembers why it stopped.
//
// A read blocks for as long as the caller sends nothing, and both the transport and the server wait for
// it before they let go of the request. So whoever ends the call early interrupts the read.
type requestBody struct {
	source  *http.Request // of the caller; nil when there is no body
	from    io.Reader     // its body, or what is kept of it and then the rest
	trailer http.Header   // of the outgoing request
	control *http.ResponseController
	capture *bodies.Capture // nil when bodies are not recorded

	reading     sync.Mutex // held while a read goes on
	n           atomic.Int64
	waiting     atomic.Bool // for the caller
	closed      atomic.Bool
	answered    atomic.Bool // the first byte of an answer has come
	ended       atomic.Bool // the caller sent everything
	interrupted atomic.Bool
	abandoned   atomic.Bool // interrupted because the upstream gave up
	failed      atomic.Pointer[error]
}

func (b *requestBody) present() bool { return b.source != nil }

// Read implements io.Reader. The transport reads on one goroutine, the same that writes the trailers
// afterwards.
func (b *requestBody) Read(p []byte) (int, error) {
	b.reading.Lock()
	defer b.reading.Unlock()
	// First waiting, then the look at closed; interrupt does it the other way round. So one sees the other.
	b.waiting.Store(true)
	defer b.waiting.Store(false)
	if b.closed.Load() {
		return 0, http.ErrBodyReadAfterClose
	}
	n, err := b.from.Read(p)
	b.capture.Add(p[:n])
	if total := b.n.Add(int64(n)); total == b.source.ContentLength {
		b.ended.Store(true)
	}
	switch {
	case err == nil:
	case errors.Is(err, io.EOF):
		b.ended.Store(true)
		for name := range b.trailer {
			b.trailer[name] = b.source.Trailer[name]
		}
	case b.closed.Load(): // We broke it off; that is not the caller's doing.
	default:
		b.failed.CompareAndSwap(nil, &err)
	}
	return n, err
}

// Close implements io.Closer for the transport; no new read reaches the caller after it. A transport closes
// the body when an answer came early: then a read that is under way goes on, because the server takes an
// interruption for the end of the whole request. It also closes it when HTTP/2 gave the stream up before
// any answer, and then waits for the read: that one is interrupted. The body itself is left to the server:
// closing it means to wait for what the caller may still send, and the server does that after the answer
// has gone out.
func (b *requestBody) Close() error {
	b.closed.Store(true)
	if b.answered.Load() {
		return nil
	}
	// The server takes an interruption for the end of the caller; so the reason has to be known before.
	b.abandoned.Store(b.source.Context().Err() == nil && b.waiting.Load() && !b.ended.Load() && !b.interrupted.Load())
	b.interrupt()
	return nil
}

// interrupt ends a read that waits for the caller. The caller's connection cannot be used again after it,
// and could not anyway: the rest of this request would be in the way.
func (b *requestBody) interrupt() {
	if !b.present() {
		return
	}
	b.closed.Store(true)
	if b.waiting.Load() && !b.ended.Load() && !b.interrupted.Swap(true) {
		_ = b.control.SetReadDeadline(longAgo()) // A writer that cannot do it keeps us waiting.
	}
}

// leave ends reading for good: afterwards nobody touches the request any more. A read that ends while the
// server cleans up after the handler leaves the two waiting for each other.
func (b *requestBody) leave() {
	b.interrupt()
	b.reading.Lock()
	defer b.reading.Unlock()
}

// overlap is called before an answer begins. When the request has not ended by then, both go on at the
// same time, and the connection of the caller ends with them: net/http cannot tell where the next request
// would begin once a read was interrupted, and must not guess. Over HTTP/2 there is nothing to do.
func (b *requestBody) overlap(h http.Header) {
	if !b.present() || b.ended.Load() || b.source.ProtoMajor != 1 {
		return
	}
	_ = b.control.EnableFullDuplex() // A writer that cannot do it lets the answer wait.
	h["Connection"] = []string{"close"}
}

// settle is called before an error of ours is written, after leave. late says that the request was already
// given up.
func (b *requestBody) settle(h http.Header, late bool) {
	if b.ended.Load() {
		return
	}
	if b.interrupted.Load() {
		h["Connection"] = []string{"close"}
		return
	}
	settle(b.control, b.source, h, late)
}

// settle readies the server for a request that nobody reads to its end. The server reads a short rest of it
// first, so that the connection can be used again, and holds the answer back meanwhile; so it gets a moment
// only. A long rest, or one that is late already, ends the connection; there the server reads on after the
// answer, and gets no longer for it.
func settle(control *http.ResponseController, r *http.Request, h http.Header, late bool) {
	const short, moment = 256 << 10, 500 * time.Millisecond
	if r.ProtoMajor != 1 || r.ContentLength == 0 {
		return
	}
	if late || r.ContentLength < 0 || r.ContentLength > short || len(r.Header["Expect"]) > 0 {
		h["Connection"] = []string{"close"}
	}
	_ = control.SetReadDeadline(time.Now().Add(moment)) // A writer that cannot do it lets the answer wait.
}

// abandon keeps the server from waiting for the rest of a request before it breaks the connection off.
func abandon(w http.ResponseWriter) {
	_ = http.NewResponseController(w).SetReadDeadline(longAgo()) // A writer that cannot do it waits.
}

// cutOff breaks the connection of a caller for whom the end of an answer would be the orderly end of the
// connection: HTTP/1.0 without a length has no other sign that something is missing.
func cutOff(w http.ResponseWriter, r *http.Request) {
	if r.ProtoAtLeast(1, 1) || len(w.Header()["Content-Length"]) > 0 {
		return
	}
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return // There is none.
	}
	for { // What is around the socket might still take its leave.
		outer, ok := conn.(interface{ NetConn() net.Conn })
		if !ok {
			break
		}
		conn = outer.NetConn()
	}
	if socket, ok := conn.(interface{ SetLinger(sec int) error }); ok {
		_ = socket.SetLinger(0) // A reset in place of an end.
	}
	_ = conn.Close()
}

func (b *requestBody) err() error {
	if p := b.failed.Load(); p != nil {
		return *p
	}
	return nil
}

// longAgo is a deadline that has passed by any clock.
func longAgo() time.Time { return time.Unix(1, 0) }
