package runtime

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"

	"switchgear/internal/runtime/cache"
)

// respond streams the upstream's answer to the caller. The answer has begun whatever it returns.
func (p *Proxy) respond(a *attempt, c *call) *failure {
	ctx, w, resp, rec, x := a.ctx, c.w, a.resp, c.rec, &a.exchange
	h := w.Header()
	copyResponseHeader(h, resp.Header)
	setOwnHeaders(h, rec.ID, rec.Attempts)
	if c.cached == nil {
		h[cache.StateHeader] = p.bypass
	} else {
		c.cached.Mark(h)
	}
	announced := len(resp.Trailer)
	if announced > 0 {
		delete(h, "Content-Length") // HTTP/1 has trailers only after chunks.
	}
	for name := range resp.Trailer {
		if !dropFromResponse(name) {
			h.Add("Trailer", name)
		}
	}
	w.WriteHeader(resp.StatusCode)
	if c.r.Method == http.MethodHead || resp.ContentLength == 0 && announced == 0 {
		return nil
	}

	rc := http.NewResponseController(w)
	// A body of unknown length may be a stream: what is there goes out at once, its headers first. Flushing
	// also makes sure that there are chunks, without which trailers have no place.
	streaming := resp.ContentLength < 0 || announced > 0 || isEventStream(resp.Header)
	if streaming {
		_ = rc.Flush() // A writer that cannot flush sends when it sees fit.
	}
	buffer, _ := p.buffers.Get().(*[copyBuffer]byte)
	defer p.buffers.Put(buffer)
	for {
		n, err := resp.Body.Read(buffer[:])
		if n > 0 {
			rec.ResponseBytes += int64(n)
			x.answer.Add(buffer[:n])
			x.shown.Add(buffer[:n])
			if _, err := w.Write(buffer[:n]); err != nil {
				return callerGone(ctx, err)
			}
			if streaming && err == nil {
				if err := rc.Flush(); err != nil && !errors.Is(err, http.ErrNotSupported) {
					return callerGone(ctx, err)
				}
			}
		}
		switch {
		case errors.Is(err, io.EOF):
			copyTrailers(h, resp.Trailer, announced)
			if x.answer != nil && !streaming {
				_ = rc.Flush() // The caller need not wait until the record is made.
			}
			return nil
		case err != nil:
			return a.brokenBody(err)
		}
	}
}

// callerGone explains why the answer could not be written.
func callerGone(ctx context.Context, err error) *failure {
	if errors.Is(context.Cause(ctx), errTotalTimeout) {
		return callerSlow("the answer was not taken in time")
	}
	return upstreamFailure(OutcomeCanceled, err)
}

// brokenBody explains why the upstream's body ended early.
func (a *attempt) brokenBody(err error) *failure {
	switch cause := context.Cause(a.ctx); {
	case errors.Is(cause, errTotalTimeout):
		return upstreamFailure(OutcomeTimeout, cause)
	case cause != nil:
		return upstreamFailure(OutcomeCanceled, cause)
	case unreadable(err, true, a.resp.ProtoMajor > 1):
		return malformed(err)
	}
	return upstreamFailure(Classify(nil, err, true), err)
}

// copyTrailers passes on the trailers, with the prefix that net/http wants for those nobody announced.
func copyTrailers(h, trailer http.Header, announced int) {
	for name, values := range trailer {
		if dropFromResponse(name) {
			continue
		}
		if len(trailer) != announced {
			name = http.TrailerPrefix + name
		}
		h[name] = values
	}
}

func isEventStream(h http.Header) bool {
	mediaType, _, _ := strings.Cut(h.Get("Content-Type"), ";")
	return strings.EqualFold(strings.TrimSpace(mediaType), "text/event-stream")
}
