package observability

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"switchgear/internal/runtime"
	"switchgear/internal/telemetry"
)

// TracerDeps are what a [Tracer] works with; all are required.
type TracerDeps struct {
	Logger *slog.Logger
}

// TracerConfig says where traces go. A zero field stands for the value in its comment.
type TracerConfig struct {
	// Endpoint is the whole URL that spans are posted to. It is required.
	Endpoint string
	// Headers go with every export, a credential of the collector mostly.
	Headers map[string]string
	// Ratio is the part of the traces beginning here that is recorded, from 0 to 1. A trace that a caller
	// began is recorded when the caller says so.
	Ratio   float64
	Queue   int           // 2048: calls that may wait to be exported; beyond it they are dropped
	Batch   int           // 256: calls that are exported together
	Wait    time.Duration // 1s: how long a call waits for company
	Timeout time.Duration // 10s: how long one export may take
	Flush   time.Duration // 3s: how long exports may still take at the end
}

// Tracer makes spans of calls that are over, and exports them over OTLP/HTTP. A call only decides about its
// trace and puts its record into a queue; all else happens in Serve, which must run.
type Tracer struct {
	logger   *slog.Logger
	cfg      TracerConfig
	exporter *otlptrace.Exporter
	sampler  sdktrace.Sampler
	spans    *spans
	queue    chan runtime.Record
	dropped  atomic.Int64
	exported atomic.Int64
}

// NewTracer makes a tracer. The collector need not be there.
func NewTracer(ctx context.Context, deps TracerDeps, cfg TracerConfig) (*Tracer, error) {
	if deps.Logger == nil || cfg.Endpoint == "" {
		return nil, errors.New("observability: a tracer needs a logger and an endpoint")
	}
	cfg.Queue, cfg.Batch, cfg.Wait = cmp.Or(cfg.Queue, 2048), cmp.Or(cfg.Batch, 256), cmp.Or(cfg.Wait, time.Second)
	cfg.Timeout, cfg.Flush = cmp.Or(cfg.Timeout, 10*time.Second), cmp.Or(cfg.Flush, 3*time.Second)
	// The collector is the operator's, as the address of a database would be: the egress rules, which are about
	// what connections may reach, do not hold here. No proxy and no redirect leads the credential elsewhere.
	client := &http.Client{
		Transport:     &http.Transport{Proxy: nil, ForceAttemptHTTP2: true, MaxIdleConns: 2, IdleConnTimeout: time.Minute},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Timeout:       cfg.Timeout,
	}
	exporter, err := otlptracehttp.New(ctx, otlptracehttp.WithEndpointURL(cfg.Endpoint), otlptracehttp.WithHeaders(cfg.Headers),
		otlptracehttp.WithHTTPClient(client), otlptracehttp.WithTimeout(cfg.Timeout),
		otlptracehttp.WithRetry(otlptracehttp.RetryConfig{Enabled: true, InitialInterval: time.Second, MaxInterval: 5 * time.Second, MaxElapsedTime: cfg.Timeout}))
	if err != nil {
		return nil, fmt.Errorf("observability: exporter: %w", err)
	}
	return &Tracer{
		logger: deps.Logger, cfg: cfg, exporter: exporter, sampler: sdktrace.TraceIDRatioBased(cfg.Ratio),
		spans: newSpans(), queue: make(chan runtime.Record, cfg.Queue),
	}, nil
}

// Begin decides about the trace of a call: that of the caller goes on, or a new one begins.
func (t *Tracer) Begin(h http.Header) telemetry.TraceContext {
	c, ok := telemetry.ParseTraceparent(h["Traceparent"])
	if ok && !c.Sampled {
		return c
	}
	var random [24]byte
	_, _ = rand.Read(random[:]) // It never fails.
	random[0] |= 1              // no id of zeros
	random[16] |= 1
	copy(c.SpanID[:], random[16:])
	if !ok {
		copy(c.TraceID[:], random[:])
		c.Sampled = t.sampler.ShouldSample(sdktrace.SamplingParameters{
			ParentContext: context.Background(), TraceID: c.TraceID,
		}).Decision == sdktrace.RecordAndSample
	}
	return c
}

// Record implements [runtime.Recorder].
func (t *Tracer) Record(rec runtime.Record) {
	if !rec.Trace.Sampled || rec.Trace.SpanID == [8]byte{} {
		return
	}
	// What spans do not tell need not wait in memory.
	rec.RequestHeader, rec.ResponseHeader, rec.Steps, rec.Bodies = nil, nil, nil, nil
	select {
	case t.queue <- rec:
	default:
		t.dropped.Add(1)
	}
}

// Serve exports until ctx ends, and then what is still waiting, for as long as the configuration allows. It
// is a supervised worker.
func (t *Tracer) Serve(ctx context.Context) error {
	work, giveUp := context.WithCancel(context.WithoutCancel(ctx))
	defer giveUp()
	defer context.AfterFunc(ctx, func() {
		last := time.NewTimer(t.cfg.Flush)
		defer last.Stop()
		select {
		case <-last.C:
			giveUp()
		case <-work.Done():
		}
	})()
	for {
		select {
		case <-ctx.Done():
			for len(t.queue) > 0 {
				t.export(work, t.gather(ctx, <-t.queue))
			}
			return ctx.Err()
		case first := <-t.queue:
			t.export(work, t.gather(ctx, first))
		}
	}
}

// gather waits a moment for more calls, so that one export carries many.
func (t *Tracer) gather(ctx context.Context, first runtime.Record) []runtime.Record {
	batch := append(make([]runtime.Record, 0, t.cfg.Batch), first)
	window := time.NewTimer(t.cfg.Wait)
	defer window.Stop()
	for len(batch) < t.cfg.Batch {
		select {
		case r := <-t.queue:
			batch = append(batch, r)
			continue
		default:
		}
		select {
		case r := <-t.queue:
			batch = append(batch, r)
		case <-window.C:
			return batch
		case <-ctx.Done():
			return batch
		}
	}
	return batch
}

func (t *Tracer) export(ctx context.Context, batch []runtime.Record) {
	made := t.spans.of(batch) //nolint:contextcheck // The context of a span is its place in the trace.
	if err := t.exporter.ExportSpans(ctx, made); err != nil {
		t.dropped.Add(int64(len(batch)))
		t.logger.LogAttrs(ctx, slog.LevelWarn, "traces not exported", slog.Int("calls", len(batch)), slog.String("error", telemetry.Mask(err.Error())))
		return
	}
	t.exported.Add(int64(len(made)))
}

// Collectors tell how the exports keep up.
func (t *Tracer) Collectors() []prometheus.Collector {
	return []prometheus.Collector{
		prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "switchgear_trace_spans_exported_total", Help: "Spans that the collector took.",
		}, func() float64 { return float64(t.exported.Load()) }),
		prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "switchgear_trace_calls_dropped_total", Help: "Calls whose spans are lost, because they came faster than the collector takes them or it did not answer.",
		}, func() float64 { return float64(t.dropped.Load()) }),
	}
}
