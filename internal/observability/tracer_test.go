package observability_test

import (
	"context"
	"encoding/hex"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"switchgear/internal/observability"
	"switchgear/internal/runtime"
	"switchgear/internal/telemetry"
)

const (
	callerTrace = "0af7651916cd43dd8448eb211c80319c"
	callerSpan  = "b7ad6b7169203331"
)

// receiver is a collector that keeps what it gets.
type receiver struct {
	*httptest.Server

	mu     sync.Mutex
	spans  []*tracepb.Span
	raw    strings.Builder
	header http.Header
}

func newReceiver(t *testing.T) *receiver {
	t.Helper()
	r := &receiver{}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		body, err := io.ReadAll(req.Body)
		var export collector.ExportTraceServiceRequest
		if err == nil {
			err = proto.Unmarshal(body, &export)
		}
		if err != nil || req.URL.Path != "/v1/traces" || req.Header.Get("Content-Type") != "application/x-protobuf" {
			t.Errorf("export to %s: %v", req.URL, err)
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		r.raw.Write(body)
		r.header = req.Header
		for _, resource := range export.GetResourceSpans() {
			for _, scope := range resource.GetScopeSpans() {
				r.spans = append(r.spans, scope.GetSpans()...)
			}
		}
		w.Header().Set("Content-Type", "application/x-protobuf")
	}))
	t.Cleanup(r.Close)
	return r
}

// traced is a world whose calls are traced.
type traced struct {
	*world
	tracer *observability.Tracer
}

func newTraced(t *testing.T, cfg observability.TracerConfig) *traced {
	t.Helper()
	tracer, err := observability.NewTracer(t.Context(), observability.TracerDeps{Logger: telemetry.Discard()}, cfg)
	if err != nil {
		t.Fatal(err)
	}
	return &traced{newWorld(t, runtime.ProxyConfig{Trace: tracer.Begin}, tracer), tracer}
}

// flush exports what was recorded, as the end of the process does.
func (w *traced) flush(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_ = w.tracer.Serve(ctx)
}

func (w *traced) figures(t *testing.T) string {
	t.Helper()
	registry := prometheus.NewRegistry()
	registry.MustRegister(w.tracer.Collectors()...)
	answer := httptest.NewRecorder()
	promhttp.HandlerFor(registry, promhttp.HandlerOpts{}).ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/", nil))
	return answer.Body.String()
}

func attributes(s *tracepb.Span) map[string]string {
	out := map[string]string{}
	for _, a := range s.GetAttributes() {
		if v := a.GetValue().GetStringValue(); v != "" {
			out[a.GetKey()] = v
		} else {
			out[a.GetKey()] = time.Duration(a.GetValue().GetIntValue()).String()
		}
	}
	return out
}

// A call that was retried is a span with one span for each attempt; the upstream was told the ids of these.
func TestSpansOfACall(t *testing.T) {
	t.Parallel()
	r := newReceiver(t)
	w := newTraced(t, observability.TracerConfig{Endpoint: r.URL + "/v1/traces", Headers: map[string]string{"X-Tenant": "one"}, Ratio: 0})
	target := w.target("con_1", func(p *runtime.Policy) {
		p.Retry.MaxAttempts, p.Retry.BaseDelay, p.Retry.MaxDelay = 3, runtime.Duration(time.Microsecond), runtime.Duration(time.Microsecond)
		p.Operations = []runtime.Operation{{ID: "items.get", Method: http.MethodGet, Path: "/items/{id}"}}
	})
	w.call(target, http.MethodGet, "items/secret-path-4711", http.Header{
		"Traceparent": {"00-" + callerTrace + "-" + callerSpan + "-01"}, "Tracestate": {"vendor=1"}, "X-Note": {"secret-header-4712"},
	}, 503, 200)
	sent := w.sent
	w.flush(t)

	if len(r.spans) != 3 || r.header.Get("X-Tenant") != "one" {
		t.Fatalf("%d spans, headers %v", len(r.spans), r.header)
	}
	call := r.spans[2]
	if call.GetKind() != tracepb.Span_SPAN_KIND_SERVER || call.GetName() != "GET orders" ||
		hex.EncodeToString(call.GetTraceId()) != callerTrace || hex.EncodeToString(call.GetParentSpanId()) != callerSpan {
		t.Errorf("span of the call: %v", call)
	}
	got := attributes(call)
	for name, want := range map[string]string{
		"switchgear.connection": "orders", "switchgear.operation": "items.get", "switchgear.account": "default",
		"switchgear.outcome": "success", "switchgear.request_id": "req_1", "switchgear.attempts": "2ns", "http.response.status_code": "200ns",
	} {
		if got[name] != want {
			t.Errorf("%s = %q, want %q", name, got[name], want)
		}
	}
	end := call.GetStartTimeUnixNano()
	for i, outcome := range []string{"unavailable", "success"} {
		a := r.spans[i]
		header := sent[i].Header
		want := "00-" + callerTrace + "-" + hex.EncodeToString(a.GetSpanId()) + "-01"
		if a.GetKind() != tracepb.Span_SPAN_KIND_CLIENT || string(a.GetParentSpanId()) != string(call.GetSpanId()) ||
			header.Get("Traceparent") != want || header.Get("Tracestate") != "vendor=1" {
			t.Errorf("attempt %d: %v, sent %v", i+1, a, header)
		}
		if got := attributes(a); got["switchgear.outcome"] != outcome || got["server.address"] != "up.test" {
			t.Errorf("attempt %d: %v", i+1, got)
		}
		if a.GetStartTimeUnixNano() < end || a.GetEndTimeUnixNano() <= a.GetStartTimeUnixNano() || a.GetEndTimeUnixNano() > call.GetEndTimeUnixNano() {
			t.Errorf("attempt %d is not within its place: %v", i+1, a)
		}
		end = a.GetEndTimeUnixNano()
	}
	if attributes(r.spans[0])["switchgear.retry_reason"] == "" || r.spans[0].GetStatus().GetCode() != tracepb.Status_STATUS_CODE_ERROR {
		t.Errorf("the attempt that failed: %v", r.spans[0])
	}
	for _, secret := range []string{"secret-path-4711", "secret-header-4712"} {
		if strings.Contains(r.raw.String(), secret) {
			t.Errorf("the spans tell %s", secret)
		}
	}
	if !strings.Contains(w.figures(t), "switchgear_trace_spans_exported_total 3\n") {
		t.Errorf("figures:\n%s", w.figures(t))
	}
}

// The header of the caller decides, then the ratio.
func TestWhatIsSampled(t *testing.T) {
	t.Parallel()
	const sampled, plain = "00-" + callerTrace + "-" + callerSpan + "-01", "00-" + callerTrace + "-" + callerSpan + "-00"
	for name, c := range map[string]struct {
		header []string
		ratio  float64
		spans  int
		sends  string // what the upstream sees: the same, or the flags of a new trace
	}{
		"begins here":               {nil, 1, 2, "-01"},
		"begins here, not recorded": {nil, 0, 0, "-00"},
		"caller says so":            {[]string{sampled}, 0, 2, "-01"},
		"caller says no":            {[]string{plain}, 1, 0, plain},
		"malformed":                 {[]string{"00-xyz"}, 1, 2, "-01"},
		"two":                       {[]string{sampled, sampled}, 0, 0, "-00"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newReceiver(t)
			w := newTraced(t, observability.TracerConfig{Endpoint: r.URL + "/v1/traces", Ratio: c.ratio})
			header := http.Header{"Tracestate": {"vendor=1"}}
			if c.header != nil {
				header["Traceparent"] = c.header
			}
			w.call(w.target("con_1", nil), http.MethodGet, "", header, 200)
			w.flush(t)
			got := w.sent[0].Header
			if len(r.spans) != c.spans || !strings.HasSuffix(got.Get("Traceparent"), c.sends) || len(got["Traceparent"]) != 1 {
				t.Errorf("%d spans, sent %v", len(r.spans), got)
			}
			_, ours := telemetry.ParseTraceparent(c.header)
			if (got.Get("Tracestate") == "vendor=1") != ours {
				t.Errorf("tracestate %q", got.Get("Tracestate"))
			}
		})
	}
}

// What was never sent has no span of an attempt.
func TestSpansOfARefusedCall(t *testing.T) {
	t.Parallel()
	r := newReceiver(t)
	w := newTraced(t, observability.TracerConfig{Endpoint: r.URL + "/v1/traces", Ratio: 1})
	w.call(w.target("con_1", nil), http.MethodTrace, "", nil, 200)
	w.flush(t)
	if len(r.spans) != 1 || r.spans[0].GetName() != "_OTHER orders" || attributes(r.spans[0])["error.type"] != runtime.CodeMethodUnsupported {
		t.Errorf("spans: %v", r.spans)
	}
}

// A collector that is slow, or not there, holds up nobody; what is lost is counted.
func TestCallsDoNotWaitForTheCollector(t *testing.T) {
	t.Parallel()
	w := newTraced(t, observability.TracerConfig{Endpoint: "http://127.0.0.1:1/v1/traces", Ratio: 1, Queue: 4, Timeout: 50 * time.Millisecond, Flush: 20 * time.Millisecond})
	target := w.target("con_1", nil)
	for range 10 { // nobody takes them out of the queue
		w.call(target, http.MethodGet, "", nil, 200)
	}
	if !strings.Contains(w.figures(t), "switchgear_trace_calls_dropped_total 6\n") {
		t.Errorf("queue full:\n%s", w.figures(t))
	}
	w.flush(t)
	if got := w.figures(t); !strings.Contains(got, "switchgear_trace_calls_dropped_total 10\n") || !strings.Contains(got, "spans_exported_total 0\n") {
		t.Errorf("collector down:\n%s", got)
	}
}

// BenchmarkTrace is what tracing costs a call, sampled or not, beside its two headers.
func BenchmarkTrace(b *testing.B) {
	for name, ratio := range map[string]float64{"sampled": 1, "not sampled": 0} {
		b.Run(name, func(b *testing.B) {
			tracer, err := observability.NewTracer(b.Context(), observability.TracerDeps{Logger: telemetry.Discard()},
				observability.TracerConfig{Endpoint: "http://127.0.0.1:1/v1/traces", Ratio: ratio, Queue: 1})
			if err != nil {
				b.Fatal(err)
			}
			header := http.Header{"Accept": {"*/*"}}
			rec := runtime.Record{Slug: "orders", Method: http.MethodGet, Outcome: runtime.OutcomeSuccess, Attempts: 1}
			b.ReportAllocs()
			for b.Loop() {
				rec.Trace = tracer.Begin(header)
				_ = rec.Trace.Traceparent(1)
				tracer.Record(rec)
			}
		})
	}
}
