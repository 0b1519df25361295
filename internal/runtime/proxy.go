package runtime

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"

	"switchgear/internal/fault"
	"switchgear/internal/runtime/bodies"
	"switchgear/internal/runtime/cache"
	"switchgear/internal/runtime/retry"
	"switchgear/internal/telemetry"
)

// ProxyDeps are the collaborators of a [Proxy]. All are required.
type ProxyDeps struct {
	Logger   *slog.Logger
	Now      func() time.Time
	Recorder Recorder
	// Protections guard every attempt.
	Protections *Protections
}

// ProxyConfig tunes a [Proxy]. The zero value is usable.
type ProxyConfig struct {
	// MaxHeaderBytes bounds what a record keeps of the headers of each direction. 0 = 16 KiB.
	MaxHeaderBytes int
	// Bodies bounds what is recorded of bodies.
	Bodies bodies.Config
	// Spool bounds what is kept of request bodies to send them again.
	Spool retry.SpoolConfig
	// SignedBody bounds the body of a call whose credential signs it, in bytes. 0 = 8 MiB. All of them
	// together have eight times that.
	SignedBody int64
	// Trace decides about the trace of a call from the headers of its request. nil makes no spans: the
	// caller's trace is noted, and its headers pass on as they are.
	Trace func(h http.Header) telemetry.TraceContext
	// Lines says which calls get a line in the log. Empty is LinesFailures.
	Lines Lines
}

// Lines says which calls get a line in the log, at level info.
type Lines string

// The choices. With LinesFailures the other calls have theirs at level debug.
const (
	LinesAll      Lines = "all"
	LinesFailures Lines = "failures"
	LinesOff      Lines = "off"
)

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
	heads    sync.Pool // of *[heldBack]byte

	protections *Protections
	trace       func(h http.Header) telemetry.TraceContext
	lines       Lines
	spool       *retry.Spool
	signed      *retry.Spool // of bodies that are signed
	maxSigned   int64
	bypass      []string // the one value of the header that says the cache had no part
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
	if cfg.Trace == nil {
		cfg.Trace = callersTrace
	}
	if cfg.SignedBody <= 0 {
		cfg.SignedBody = 8 << 20
	}
	return &Proxy{
		logger: deps.Logger, now: deps.Now, recorder: deps.Recorder,
		redactor: newRedactor(cfg.MaxHeaderBytes), bodies: bodies.NewKeeper(cfg.Bodies),
		shown:   bodies.NewKeeper(bodies.Config{Max: shownBytes}),
		buffers: sync.Pool{New: func() any { return new([copyBuffer]byte) }},
		heads:   sync.Pool{New: func() any { return new([heldBack]byte) }},

		protections: deps.Protections, trace: cfg.Trace, lines: cfg.Lines, spool: retry.NewSpool(cfg.Spool),
		signed:    retry.NewSpool(retry.SpoolConfig{Memory: cfg.SignedBody, TotalMemory: 8 * cfg.SignedBody}),
		maxSigned: cfg.SignedBody, bypass: []string{string(cache.StateBypass)},
	}
}

// callersTrace notes the trace of the caller and makes no span.
func callersTrace(h http.Header) telemetry.TraceContext {
	c, _ := telemetry.ParseTraceparent(h["Traceparent"])
	return c
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
	rec := p.newRecord(r, &t, path)
	begun, f := p.guarded(w, r, &t, path, &rec) //nolint:contextcheck // Its context is that of r.
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
		abandon(w)
		cutOff(w, r)
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

// Call is Serve for a call that no server answers: an answer that begins and breaks off is told by whole, not
// by a panic. Without w nobody takes the answer; what came of it is in the record, and in the watch of the
// caller ([Caller.Watch]).
func (p *Proxy) Call(w http.ResponseWriter, r *http.Request, t Target, path string) (whole bool, err error) {
	if w == nil {
		w = nowhere{http.Header{}}
	}
	defer func() {
		if v := recover(); v != nil {
			if aborted, ok := v.(error); !ok || !errors.Is(aborted, http.ErrAbortHandler) {
				panic(v)
			}
			whole, err = false, nil
		}
	}()
	return true, p.Serve(w, r, t, path)
}

// nowhere takes an answer and keeps nothing.
type nowhere struct{ header http.Header }

func (n nowhere) Header() http.Header       { return n.header }
func (nowhere) Write(p []byte) (int, error) { return len(p), nil }
func (nowhere) WriteHeader(int)             {}

// newRecord is what is known about a call before anything is done.
func (p *Proxy) newRecord(r *http.Request, t *Target, path string) Record {
	caller := callerOf(r.Context())
	rec := Record{
		ID: telemetry.RequestID(r.Context()), ConnectionID: t.ConnectionID, Slug: t.Slug, Account: t.Account,
		Version: t.Version, Method: r.Method[:min(len(r.Method), longestMethod)], Path: "/" + path, StartedAt: p.now(),
		KeyID: caller.KeyID, KeyName: caller.KeyName, UserID: caller.UserID, UserName: caller.UserName, ClientIP: caller.ClientIP,
		Trace: p.trace(r.Header),
	}
	if t.BaseURL != nil {
		rec.Host = t.BaseURL.Host
	}
	return rec
}

// Refused records a call that could not be made because of its connection: paused, without a credential,
// unusable. t says as much as is known, and err is what the caller is answered.
func (p *Proxy) Refused(r *http.Request, t Target, path string, err error) {
	rec := p.newRecord(r, &t, path)
	rec.Query = p.redactor.query(r.URL.RawQuery)
	rec.Outcome, rec.ErrorCode, rec.ErrorText = OutcomeRejectedLocal, fault.CodeOf(err), fault.PublicMessage(err)
	rec.Status = fault.KindOf(err).Status()
	p.record(r.Context(), rec)
}

// guarded records a call that panics. The panic itself passes on to the server.
func (p *Proxy) guarded(w http.ResponseWriter, r *http.Request, t *Target, path string, rec *Record) (begun bool, f *failure) {
	returned := false
	defer func() {
		if !returned {
			rec.Outcome, rec.ErrorCode, rec.ErrorText = OutcomeRejectedLocal, fault.Internal.Code(), "the call was broken off by a panic"
			p.record(r.Context(), *rec)
			abandon(w)
		}
	}()
	begun, f = p.exchange(w, r, t, path, rec)
	returned = true
	return begun, f
}

// record closes the record, and writes the line of the call.
func (p *Proxy) record(ctx context.Context, rec Record) {
	if rec.Duration == 0 {
		rec.Duration = p.now().Sub(rec.StartedAt)
	}
	if watch := callerOf(ctx).Watch; watch != nil {
		watch.Record = rec
	}
	p.recorder.Record(rec)
	level := slog.LevelDebug
	if p.lines == LinesAll || rec.ErrorCode != "" || rec.Outcome.Failure() {
		level = slog.LevelInfo
	}
	if p.lines == LinesOff || !p.logger.Enabled(ctx, level) {
		return
	}
	attrs := [...]slog.Attr{
		slog.String("integration", rec.Slug), slog.String("operation", rec.Operation), slog.String("account", rec.Account),
		slog.String("method", rec.Method), slog.String("outcome", string(rec.Outcome)), slog.Int("status", rec.Status),
		slog.Int("attempts", rec.Attempts), slog.Int64("duration_ms", rec.Duration.Milliseconds()), slog.String("request_id", rec.ID),
		slog.String("trace_id", rec.Trace.ID()), slog.String("error_code", rec.ErrorCode), slog.String("error", rec.ErrorText),
		slog.String("fallback", rec.Fallback.String()),
	}
	n := len(attrs)
	if rec.Fallback.Kind == "" {
		n--
	}
	p.logger.LogAttrs(ctx, level, "call", attrs[:n]...)
}

// longestMethod is more than any registered method has.
const longestMethod = 32

// refuse names requests that no upstream gets to see.
func refuse(r *http.Request) *failure {
	switch {
	case r.Method == http.MethodTrace:
		// The upstream would send our credential back in the body.
		return reject(fault.New(fault.MethodNotAllowed, CodeMethodUnsupported, "TRACE is not passed on: its answer would repeat the credential of the connection."))
	case len(r.Method) > longestMethod:
		return reject(fault.New(fault.MethodNotAllowed, CodeMethodUnsupported, "The method has more than 32 characters."))
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

// failed explains why the transport returned no response.
func (x *exchange) failed(ctx context.Context, err error) *failure {
	cause := context.Cause(ctx)
	x.mu.Lock()
	wrote, refused, handshake, answered, h2 := x.sends > 0, x.refused, x.handshake, !x.firstAt.IsZero(), x.h2
	x.mu.Unlock()
	switch {
	case refused != nil:
		return upstreamFailure(OutcomeReset, refused)
	case errors.Is(cause, errTotalTimeout) && x.body.interrupted.Load():
		return callerSlow("the request body did not arrive in time")
	case errors.Is(cause, errAttemptTimeout), errors.Is(cause, errTotalTimeout):
		return upstreamFailure(OutcomeTimeout, cause)
	case x.body.abandoned.Load() && wrote:
		return upstreamFailure(OutcomeReset, err)
	case cause != nil:
		return upstreamFailure(OutcomeCanceled, cause)
	case x.body.err() != nil:
		return callerBody(x.body.err())
	case handshake != nil && !wrote:
		err = fmt.Errorf("%w: %w", errHandshake, handshake)
	case unreadable(err, answered, h2):
		return malformed(err)
	}
	return upstreamFailure(Classify(nil, err, wrote), err)
}
