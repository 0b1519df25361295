package runtime

import (
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"strconv"
	"time"

	"switchgear/internal/fault"
)

// keepSigned reads the body of a call whose credential signs it, before any attempt: the signature goes out
// ahead of the body. No place of the protections is held meanwhile.
func (c *call) keepSigned() *failure {
	if c.t.SignsBody == nil || !c.hasBody() || !c.t.SignsBody(c.header.Get("Content-Type")) {
		return nil
	}
	if c.r.ContentLength > c.proxy.maxSigned {
		return c.unsignable()
	}
	c.signed = true
	if c.replay == nil { // Another connection could have begun to keep it.
		c.replay = c.proxy.signed.Body(c.r.Body, c.r.ContentLength)
	}
	from, err := c.replay.Attempt()
	if err != nil {
		return reject(fault.Wrap(err, fault.Internal, "", "The body of the request cannot be kept."))
	}
	control := http.NewResponseController(c.w)
	_ = control.SetReadDeadline(time.Now().Add(c.left())) // A writer that cannot do it keeps us waiting.
	began := c.proxy.now()
	c.size, err = io.CopyN(io.Discard, from, c.proxy.maxSigned+1)
	switch cause := context.Cause(c.r.Context()); {
	case err == nil:
		return c.unsignable()
	case errors.Is(err, os.ErrDeadlineExceeded):
		return callerSlow("the request body did not arrive in time")
	case cause != nil:
		return upstreamFailure(OutcomeCanceled, cause)
	case !errors.Is(err, io.EOF):
		return callerBody(err)
	case c.replay.Lost() != "":
		return reject(fault.New(fault.Unavailable, CodeSigningFull, "The body cannot be kept for its signature right now: "+c.replay.Lost()+".").
			WithRetryAfter(time.Second))
	}
	_ = control.SetReadDeadline(time.Time{})
	if took := c.proxy.now().Sub(began); took > time.Millisecond {
		c.span("body", "kept until it had arrived whole: the credential signs it", took)
	}
	return nil
}

func (c *call) unsignable() *failure {
	return reject(fault.New(fault.TooLarge, CodeBodyUnsignable, "The credential of this account signs the body, and this one has more than the "+
		strconv.FormatInt(c.proxy.maxSigned, 10)+" bytes that are kept for that.").
		WithSuggestion("Send it in parts, or let the account leave the body out of the signature where the service allows it, as S3 does."))
}

// signedBody is the body for the signature; nil when it takes no part.
func (c *call) signedBody() func() (io.ReadCloser, error) {
	if !c.signed {
		return nil
	}
	return c.replay.Attempt
}
