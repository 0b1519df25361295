package runtime

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptrace"
	"strconv"
	"strings"
	"sync"
	"time"

	"switchgear/internal/fault"
	"switchgear/internal/runtime/bodies"
	"switchgear/internal/telemetry"
)

// ProxyDeps are the collaborators of a [Proxy]. All are required.
type ProxyDeps struct {
	Logger   *slog.Logger
	Now      func() time.Time
	Recorder Recorder
}

// ProxyConfig tunes a [Proxy]. The zero value is usable.
type ProxyConfig struct {
	// MaxHeaderBytes bounds what a record keeps of the headers of each direction. 0 = 16 KiB.
	MaxHeaderBytes int
	// Bodies bounds what is recorded of bodies.
	Bodies bodies.Config
}

// Proxy passes requests of applications on to upstreams and streams the answers back. It is safe for
// concurrent use and holds nothing about any connection.
type Proxy struct {
	logger   *slog.Logger
	now      func() time.Time
	recorder Recorder
	redactor *redactor
	bodies   *bodies.Keeper
	shown    *bodies.Keeper
	buffers  sync.Pool // of *[copyBuffer]byte
}

const (
	copyBuffer = 32 << 10
	shownBytes = 256 << 10 // of an answer, to who watches the call
)

// NewProxy makes a proxy.
func NewProxy(deps ProxyDeps, cfg ProxyConfig) *Proxy {
	if cfg.MaxHeaderBytes <= 0 {
		cfg.MaxHeaderBytes = 16 << 10
	}
	return &Proxy{
		logger: deps.Logger, now: deps.Now, recorder: deps.Recorder,
		redactor: newRedactor(cfg.MaxHeaderBytes), bodies: bodies.NewKeeper(cfg.Bodies),
		shown:   bodies.NewKeeper(bodies.Config{Max: shownBytes}),
		buffers: sync.Pool{New: func() any { return new([copyBuffer]byte) }},
	}
}

// Serve passes r to the target and its answer to w. path is the rest of the gateway path as the caller
// escaped it. The context of r carries the request id ([telemetry.WithRequestID]) and, if it is known, the
// caller ([WithCaller]).
//
// An error means that nothing was written: the headers that mark it as ours are set, and the caller of
// Serve writes the envelope (fault.WriteJSON). A failure after the answer has begun cannot be told any
// more; then Serve panics with http.ErrAbortHandler, so that the client sees a broken message instead of
// a short one. Whatever happens, the call is recorded once.
func (p *Proxy) Serve(w http.ResponseWriter, r *http.Request, t Target, path string) error {
	started := p.now()
	caller := callerOf(r.Context())
	rec := Record{
		ID: telemetry.RequestID(r.Context()), ConnectionID: t.ConnectionID, Slug: t.Slug, Account: t.Account,
		Version: t.Version, Method: r.Method, Path: "/" + path, Host: t.BaseURL.Host, StartedAt: started,
		KeyID: caller.KeyID, KeyName: caller.KeyName, UserID: caller.UserID, UserName: caller.UserName, ClientIP: caller.ClientIP,
	}
	begun, f := p.guarded(w, r, t, path, &rec) //nolint:contextcheck // Its context is that of r.
	if f != nil {
		rec.Outcome, rec.ErrorCode, rec.ErrorText = f.outcome, fault.CodeOf(f.err), telemetry.Mask(f.text)
		if !begun && f.outcome != OutcomeCanceled {
			rec.Status = fault.KindOf(f.err).Status()
			if rec.ErrorCode == CodeUpgradeUnsupported {
				rec.Status = http.StatusNotImplemented
			}
		}
	}
	p.record(r.Context(), rec)
	switch {
	case f == nil:
		return nil
	case begun:
		panic(http.ErrAbortHandler)
	}
	h := w.Header()
	setOwnHeaders(h, rec.ID, rec.Attempts)
	SetErrorHeader(h, f.err)
	if rec.Status == http.StatusNotImplemented {
		writeNotImplemented(w, r, f.err, rec.ID, p.now())
		return nil
	}
	return f.err
}

// guarded records a call that panics. The panic itself passes on to the server.
func (p *Proxy) guarded(w http.ResponseWriter, r *http.Request, t Target, path string, rec *Record) (begun bool, f *failure) {
	returned := false
	defer func() {
		if !returned {
			rec.Outcome, rec.ErrorCode, rec.ErrorText = OutcomeRejectedLocal, fault.Internal.Code(), "the call was broken off by a panic"
			p.record(r.Context(), *rec)
		}
	}()
	begun, f = p.exchange(w, r, t, path, rec)
	returned = true
	return begun, f
}

// record closes the record. The log gets a line for each call that failed; the others are in the call log,
// and in this one at level debug.
func (p *Proxy) record(ctx context.Context, rec Record) {
	if rec.Duration == 0 {
		rec.Duration = p.now().Sub(rec.StartedAt)
	}
	if watch := callerOf(ctx).Watch; watch != nil {
		watch.Record = rec
	}
	p.recorder.Record(rec)
	level := slog.LevelDebug
	if rec.ErrorCode != "" {
		level = slog.LevelInfo
	}
	if !p.logger.Enabled(ctx, level) {
		return
	}
	p.logger.LogAttrs(ctx, level, "call",
		slog.String("integration", rec.Slug), slog.String("account", rec.Account), slog.String("method", rec.Method),
		slog.String("outcome", string(rec.Outcome)), slog.Int("status", rec.Status), slog.Int("attempts", rec.Attempts),
		slog.Int64("duration_ms", rec.Duration.Milliseconds()), slog.String("request_id", rec.ID),
		slog.String("error_code", rec.ErrorCode), slog.String("error", rec.ErrorText))
}

func setOwnHeaders(h http.Header, requestID string, attempts int) {
	if requestID != "" {
		h[requestIDHeader] = []string{requestID}
	}
	h[attemptsHeader] = []string{strconv.Itoa(attempts)}
}

// exchange makes the call. begun says that the answer to the caller has begun.
func (p *Proxy) exchange(w http.ResponseWriter, r *http.Request, t Target, path string, rec *Record) (begun bool, f *failure) {
	if f := refuse(r); f != nil {
		return false, f
	}
	u, err := JoinPath(t.BaseURL, path, r.URL.RawQuery)
	if err != nil {
		return false, reject(err)
	}
	x := &exchange{
		now: p.now, start: rec.StartedAt, total: t.Policy.Timeout.Std(), attempt: t.Policy.AttemptTimeout.Std(),
		h2Sends: max(1, t.Policy.Retry.MaxAttempts), w: w,
		minor11: r.ProtoAtLeast(1, 1), expects: len(r.Header["Expect"]) > 0,
	}
	x.hooks()
	ctx, cancel := context.WithCancelCause(r.Context())
	x.cancel = cancel
	defer x.close()

	out := (&http.Request{
		Method: r.Method, URL: u, Host: t.BaseURL.Host, Header: requestHeader(r.Header),
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
	}).WithContext(httptrace.WithClientTrace(ctx, &x.trace))
	if r.ContentLength != 0 && r.Body != nil && r.Body != http.NoBody {
		x.attachBody(w, r, out)
		defer func() {
			x.body.leave() // The transport may still be reading.
			if late := x.end(); !begun {
				x.body.settle(w.Header(), late)
			}
		}()
	}
	rec.Query = p.redactor.query(r.URL.RawQuery)
	rec.RequestHeader = p.redactor.header(out.Header)
	if t.LogBodies {
		x.body.capture = p.bodies.Capture(out.Header)
	}
	x.watch = callerOf(ctx).Watch
	if f := p.authorize(ctx, out, t, rec, x); f != nil {
		return false, f
	}

	x.mu.Lock()
	x.arm(true)
	x.mu.Unlock()
	resp, err := t.Transport.RoundTrip(out)
	sends, late := x.answered()
	rec.Attempts = max(1, sends)
	defer p.finish(x, rec)
	if err != nil {
		f := x.failed(ctx, err)
		if f.outcome == OutcomeRejectedLocal {
			rec.Attempts = sends
		}
		return false, f
	}
	defer func() {
		// Over HTTP/2, closing the answer waits until the request has ended too.
		if x.body.present() && !x.body.ended.Load() {
			x.body.interrupt()
			cancel(context.Canceled)
		}
		_ = resp.Body.Close()
	}()
	rec.ResponseHeader = p.redactor.header(resp.Header)
	if t.LogBodies {
		x.answer = p.bodies.Capture(resp.Header)
	}
	if x.watch != nil {
		x.shown = p.shown.Capture(resp.Header)
	}
	hideValues(rec.ResponseHeader, x.secrets)
	rec.Outcome = Classify(resp, nil, true)
	switch {
	case late != nil:
		return false, upstreamFailure(OutcomeTimeout, late)
	case ctx.Err() != nil:
		return false, x.failed(ctx, ctx.Err())
	case resp.StatusCode < 200 || resp.StatusCode > 999:
		return false, badResponse("status " + strconv.Itoa(resp.StatusCode) + " cannot end an exchange")
	}
	rec.Status = resp.StatusCode
	x.body.overlap(w.Header())
	x.begin()
	f = p.respond(ctx, w, r, resp, rec, x)
	if expired := x.end(); f == nil && expired {
		f = callerSlow("the answer was not taken in time") // It may not all have left.
	}
	return true, f
}

// refuse names requests that no upstream gets to see.
func refuse(r *http.Request) *failure {
	switch {
	case r.Method == http.MethodTrace:
		// The upstream would send our credential back in the body.
		return reject(fault.New(fault.MethodNotAllowed, CodeMethodUnsupported, "TRACE is not passed on: its answer would repeat the credential of the connection."))
	case r.Method == http.MethodConnect, upgrades(r.Header["Upgrade"]):
		return reject(fault.New(fault.Invalid, CodeUpgradeUnsupported, "The gateway does not pass on CONNECT, WebSocket or other protocol upgrades.").
			WithSuggestion("Send a plain HTTP request without the Upgrade header."))
	}
	return nil
}

// upgrades reports whether another protocol is asked for. Curl and others offer h2c along with ordinary
// requests, and expect an ordinary answer from who does not take it up.
func upgrades(values []string) bool {
	for _, v := range values {
		for protocol := range strings.SplitSeq(v, ",") {
			if protocol = strings.TrimSpace(protocol); protocol != "" && !strings.EqualFold(protocol, "h2c") {
				return true
			}
		}
	}
	return false
}

func (x *exchange) attachBody(w http.ResponseWriter, r, out *http.Request) {
	x.body.source, x.body.control = r, http.NewResponseController(w)
	out.Body, out.ContentLength = &x.body, r.ContentLength
	if r.ContentLength < 0 {
		// Said outright, because net/http would otherwise wait to see whether a GET really has a body.
		out.TransferEncoding = []string{"chunked"}
		for name := range r.Trailer {
			if dropFromRequest(name) {
				continue
			}
			if out.Trailer == nil {
				out.Trailer = make(http.Header, len(r.Trailer))
			}
			out.Trailer[name] = nil
		}
		x.body.trailer = out.Trailer
	}
}

// authorize puts the credential on, and makes sure that it goes where the connection says.
func (p *Proxy) authorize(ctx context.Context, out *http.Request, t Target, rec *Record, x *exchange) *failure {
	if t.Authorize == nil {
		return nil
	}
	before := maps.Clone(out.Header)
	query, body := out.URL.RawQuery, out.Body
	if err := t.Authorize(ctx, out); err != nil {
		if fault.Is(err, fault.Internal) {
			err = fault.Wrap(err, fault.Unavailable, CodeCredential, "The credential of this account cannot be used right now.")
		}
		f := reject(err)
		f.text = fault.PublicMessage(err) // The cause may know too much.
		return f
	}
	if out.URL.Scheme != t.BaseURL.Scheme || out.URL.Host != t.BaseURL.Host || out.Host != t.BaseURL.Host || out.Body != body {
		return reject(fault.New(fault.Internal, "", "The credential changed the destination of the request."))
	}
	p.redactor.hideCredential(rec.RequestHeader, before, out.Header)
	rec.Query = addedQuery(rec.Query, query, out.URL.RawQuery)
	if t.LogBodies || x.watch != nil {
		x.secrets = addedValues(before, out.Header, query, out.URL.RawQuery)
	}
	return nil
}

// finish completes the record from what the hooks saw.
func (p *Proxy) finish(x *exchange, rec *Record) {
	ended := p.now()
	rec.Duration = ended.Sub(rec.StartedAt) // What follows is our work, not the call.
	rec.RequestBytes = x.body.n.Load()
	rec.Steps = x.steps(ended)
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

// failed explains why the transport returned no response.
func (x *exchange) failed(ctx context.Context, err error) *failure {
	cause := context.Cause(ctx)
	x.mu.Lock()
	wrote, refused, handshake := x.sends > 0, x.refused, x.handshake
	x.mu.Unlock()
	switch {
	case refused != nil:
		return upstreamFailure(OutcomeReset, refused)
	case errors.Is(cause, errTotalTimeout) && x.body.interrupted.Load():
		return callerSlow("the request body did not arrive in time")
	case errors.Is(cause, errAttemptTimeout), errors.Is(cause, errTotalTimeout):
		return upstreamFailure(OutcomeTimeout, cause)
	case x.body.abandoned.Load():
		return upstreamFailure(OutcomeReset, err)
	case cause != nil:
		return upstreamFailure(OutcomeCanceled, cause)
	case x.body.err() != nil:
		return callerBody(x.body.err())
	case handshake != nil && !wrote:
		err = fmt.Errorf("%w: %w", errHandshake, handshake)
	}
	return upstreamFailure(Classify(nil, err, wrote), err)
}
