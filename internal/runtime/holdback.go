package runtime

import (
	"errors"
	"io"
	"net/http"
	"sync"
)

// heldBack is how much of an answer of known length has to be here before any of it is passed on: as much as
// a server would keep in its buffers anyway. A shorter answer is passed on once it is whole.
const heldBack = 4 << 10

// holding is the body of an answer whose beginning was read ahead.
type holding struct {
	io.ReadCloser

	rooms *sync.Pool // of room
	room  *[heldBack]byte
	head  []byte // of room: what nobody has read yet
	err   error  // what came after head
}

// Read implements io.Reader.
func (h *holding) Read(p []byte) (int, error) {
	switch {
	case len(h.head) > 0:
		n := copy(p, h.head)
		if h.head = h.head[n:]; len(h.head) == 0 && h.err != nil {
			return n, h.err
		}
		return n, nil
	case h.err != nil:
		return 0, h.err
	}
	return h.ReadCloser.Read(p)
}

// Close implements io.Closer.
func (h *holding) Close() error {
	if h.room != nil {
		h.rooms.Put(h.room)
		h.room, h.head, h.err = nil, nil, http.ErrBodyReadAfterClose
	}
	return h.ReadCloser.Close()
}

// hold waits for the beginning of an answer of known length, and makes the attempt a failure when it does not
// come: then nothing was passed on, and the call can be tried again or say why it failed. What may be a stream
// is not waited for.
func (a *attempt) hold() {
	resp := a.resp
	if a.failure != nil || resp == nil || a.held.ReadCloser != nil || resp.ContentLength <= 0 || a.call.r.Method == http.MethodHead || isEventStream(resp.Header) {
		return
	}
	h := &a.held
	h.ReadCloser, h.rooms = resp.Body, &a.call.proxy.heads
	h.room, _ = h.rooms.Get().(*[heldBack]byte)
	resp.Body = h
	want, n := int(min(resp.ContentLength, heldBack)), 0
	for n < want && h.err == nil {
		var more int
		more, h.err = h.ReadCloser.Read(h.room[n:])
		n += more
	}
	h.head = h.room[:n]
	if h.err != nil && !errors.Is(h.err, io.EOF) {
		a.answer.Add(h.head) // It is all that there is to be seen of it.
		a.shown.Add(h.head)
		a.failure = a.brokenBody(h.err)
		a.outcome = a.failure.outcome
	}
}
