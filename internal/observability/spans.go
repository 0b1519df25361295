package observability

import (
	"context"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"switchgear/internal/runtime"
	"switchgear/internal/telemetry"
)

// spans makes spans of records. One goroutine at a time uses it.
type spans struct {
	tracer trace.Tracer
	ended  []sdktrace.ReadOnlySpan
}

func newSpans() *spans {
	s := &spans{}
	s.tracer = sdktrace.NewTracerProvider(
		sdktrace.WithSampler(sdktrace.AlwaysSample()), // That was decided when the call began.
		sdktrace.WithIDGenerator(plannedIDs{}),
		sdktrace.WithSpanProcessor(s),
		sdktrace.WithResource(resource.NewSchemaless(
			attribute.String("service.name", "switchgear"), attribute.String("service.version", telemetry.Version()),
		)),
	).Tracer("switchgear/internal/runtime")
	return s
}

// of makes the spans of calls: one of the call, and one of each attempt below it.
func (s *spans) of(batch []runtime.Record) []sdktrace.ReadOnlySpan {
	s.ended = make([]sdktrace.ReadOnlySpan, 0, 2*len(batch))
	for i := range batch {
		s.call(&batch[i])
	}
	return s.ended
}

func (s *spans) call(rec *runtime.Record) {
	c := rec.Trace
	ctx := context.Background()
	if c.ParentID != [8]byte{} {
		ctx = trace.ContextWithRemoteSpanContext(ctx, trace.NewSpanContext(trace.SpanContextConfig{
			TraceID: c.TraceID, SpanID: c.ParentID, TraceFlags: trace.FlagsSampled, Remote: true,
		}))
	}
	method := methods()[methodNumber(rec.Method)]
	if method == other {
		method = "_OTHER"
	}
	// No path and no query: what secrets they hold is not known.
	shared := []attribute.KeyValue{
		attribute.String("http.request.method", method), attribute.String("switchgear.connection", rec.Slug),
		attribute.String("switchgear.account", rec.Account),
	}
	if rec.Operation != "" {
		shared = append(shared, attribute.String("switchgear.operation", rec.Operation))
	}
	ctx, call := s.tracer.Start(planned(ctx, c.TraceID, c.SpanID), method+" "+rec.Slug, trace.WithSpanKind(trace.SpanKindServer),
		trace.WithTimestamp(rec.StartedAt), trace.WithAttributes(shared...), trace.WithAttributes(
			attribute.String("switchgear.outcome", string(rec.Outcome)), attribute.Int("switchgear.attempts", rec.Attempts),
			attribute.String("switchgear.request_id", rec.ID)))
	if rec.Cache != "" {
		call.SetAttributes(attribute.String("switchgear.cache", rec.Cache))
	}
	if rec.Fallback.Kind != "" {
		call.SetAttributes(attribute.String("switchgear.fallback", rec.Fallback.String()))
	}
	if rec.ErrorCode != "" {
		call.SetAttributes(attribute.String("error.type", rec.ErrorCode))
	}
	status(call, rec.Status, rec.Status >= 500)

	told := false
	for _, other := range rec.Retried {
		told = told || other.Number == rec.Number // Nothing could be sent after it.
		s.attempt(ctx, rec, other, shared, true)
	}
	if rec.Attempts > rec.Fallback.Attempts && !told {
		answered := runtime.Retried{Number: rec.Number, Outcome: rec.Outcome, At: rec.SentAt, Took: rec.Duration - rec.SentAt}
		if rec.ErrorCode == "" && rec.Cache == "" && rec.Fallback.Kind == "" {
			answered.Status = rec.Status
		}
		s.attempt(ctx, rec, answered, shared, false)
	}
	call.End(trace.WithTimestamp(rec.StartedAt.Add(rec.Duration)))
}

func (s *spans) attempt(ctx context.Context, rec *runtime.Record, a runtime.Retried, shared []attribute.KeyValue, again bool) {
	began, n := rec.StartedAt.Add(a.At), a.Number
	_, span := s.tracer.Start(planned(ctx, rec.Trace.TraceID, rec.Trace.Attempt(n)), "attempt "+rec.Slug, trace.WithSpanKind(trace.SpanKindClient),
		trace.WithTimestamp(began), trace.WithAttributes(shared...), trace.WithAttributes(
			attribute.String("server.address", rec.Host), attribute.String("switchgear.outcome", string(a.Outcome)), attribute.Int("switchgear.attempt", n)))
	if n > 1 {
		span.SetAttributes(attribute.Int("http.request.resend_count", n-1))
	}
	if a.Hedge {
		span.SetAttributes(attribute.Bool("switchgear.hedge", true))
	}
	if again {
		span.SetAttributes(attribute.String("switchgear.retry_reason", a.Reason))
	}
	status(span, a.Status, a.Status >= 400 || a.Outcome.Failure())
	span.End(trace.WithTimestamp(began.Add(max(time.Nanosecond, a.Took))))
}

func status(span trace.Span, code int, failed bool) {
	if code > 0 {
		span.SetAttributes(attribute.Int("http.response.status_code", code))
	}
	if failed {
		span.SetStatus(codes.Error, "")
	}
}

// OnStart implements [sdktrace.SpanProcessor].
func (*spans) OnStart(context.Context, sdktrace.ReadWriteSpan) {}

// OnEnd implements [sdktrace.SpanProcessor].
func (s *spans) OnEnd(span sdktrace.ReadOnlySpan) { s.ended = append(s.ended, span) }

// Shutdown implements [sdktrace.SpanProcessor].
func (*spans) Shutdown(context.Context) error { return nil }

// ForceFlush implements [sdktrace.SpanProcessor].
func (*spans) ForceFlush(context.Context) error { return nil }

// plannedIDs gives a span the ids that its context carries: they were fixed when the call was made, because
// the upstream was told.
type plannedIDs struct{}

type idsKey struct{}

type ids struct {
	trace trace.TraceID
	span  trace.SpanID
}

func planned(ctx context.Context, traceID [16]byte, spanID [8]byte) context.Context {
	return context.WithValue(ctx, idsKey{}, ids{traceID, spanID})
}

// NewIDs implements [sdktrace.IDGenerator].
func (plannedIDs) NewIDs(ctx context.Context) (trace.TraceID, trace.SpanID) {
	id, _ := ctx.Value(idsKey{}).(ids)
	return id.trace, id.span
}

// NewSpanID implements [sdktrace.IDGenerator].
func (plannedIDs) NewSpanID(ctx context.Context, _ trace.TraceID) trace.SpanID {
	id, _ := ctx.Value(idsKey{}).(ids)
	return id.span
}
