package app

import (
	"encoding/hex"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"switchgear/internal/nettest"
)

const traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

// spanSink is a collector of traces.
type spanSink struct {
	*httptest.Server

	mu    sync.Mutex
	spans []*tracepb.Span
	raw   string
	token string
}

func newSpanSink(t *testing.T) *spanSink {
	t.Helper()
	s := &spanSink{}
	s.Server = httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		var export collector.ExportTraceServiceRequest
		if err == nil {
			err = proto.Unmarshal(body, &export)
		}
		if err != nil {
			t.Error(err)
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		s.raw, s.token = s.raw+string(body), r.Header.Get("Authorization")
		for _, resource := range export.GetResourceSpans() {
			for _, scope := range resource.GetScopeSpans() {
				s.spans = append(s.spans, scope.GetSpans()...)
			}
		}
	}))
	t.Cleanup(s.Close)
	return s
}

// A trace goes from the caller through the gateway to the upstream, and the end of the process sends what
// is left. Neither the spans nor the metrics nor the log tell a secret.
func TestTraces(t *testing.T) {
	t.Parallel()
	sink := newSpanSink(t)
	up := newUpstream(t)
	o := startObserved(t, up, map[string]string{
		"OTLP_ENDPOINT": sink.URL, "OTLP_HEADERS": "authorization=Bearer canary-collector-4718", "LOG_CALLS": "all", "LOG_LEVEL": "info",
	})
	got := o.call(t, "/proxy/orders/canary-path-4717?canary-query-4719=canary-value-4720", "Traceparent", traceparent)
	if got.status != http.StatusOK {
		t.Fatalf("call: %d %s", got.status, got.body)
	}
	metrics := o.scrape(t)
	o.stop(t)

	if len(sink.spans) != 2 || sink.token != "Bearer canary-collector-4718" {
		t.Fatalf("%d spans with %q", len(sink.spans), sink.token)
	}
	attempt, call := sink.spans[0], sink.spans[1]
	if hex.EncodeToString(call.GetTraceId()) != traceparent[3:35] || hex.EncodeToString(call.GetParentSpanId()) != traceparent[36:52] ||
		string(attempt.GetParentSpanId()) != string(call.GetSpanId()) {
		t.Errorf("call %v\nattempt %v", call, attempt)
	}
	if seen := up.traceparent.Load(); seen == nil || *seen != "00-"+traceparent[3:35]+"-"+hex.EncodeToString(attempt.GetSpanId())+"-01" {
		t.Errorf("the upstream was told %v, the attempt is %x", seen, attempt.GetSpanId())
	}
	if logs := o.logs.String(); !strings.Contains(logs, `"trace_id":"`+traceparent[3:35]+`"`) {
		t.Errorf("no line of the call with its trace:\n%s", logs)
	}
	wantNowhere(t, map[string]string{
		"upstream credential": upstreamSecret, "key of the caller": o.key, "path": "canary-path-4717", "query": "canary-query-4719",
		"value": "canary-value-4720", "credential of the collector": "canary-collector-4718",
	}, map[string]string{"spans": sink.raw, "metrics": metrics, "log": o.logs.String()})
}

// Without a collector the trace of the caller passes through as it is.
func TestTracesPassThrough(t *testing.T) {
	t.Parallel()
	up := newUpstream(t)
	o := startObserved(t, up, nil)
	o.call(t, "/proxy/orders/v1", "Traceparent", traceparent)
	if seen := up.traceparent.Load(); seen == nil || *seen != traceparent {
		t.Errorf("the upstream was told %v", seen)
	}
	o.call(t, "/proxy/orders/v1")
	if seen := up.traceparent.Load(); *seen != "" {
		t.Errorf("a trace was begun: %v", *seen)
	}
	if strings.Contains(o.scrape(t), "switchgear_trace_") {
		t.Error("metrics of traces without traces")
	}
}

// A collector that is not there changes nothing for callers, nor for the end of the process.
func TestTracesWithoutTheirCollector(t *testing.T) {
	t.Parallel()
	o := startObserved(t, newUpstream(t), map[string]string{"OTLP_ENDPOINT": "http://127.0.0.1:1", "DRAIN_TIMEOUT": "1s"})
	for range 5 {
		if got := o.call(t, "/proxy/orders/v1"); got.status != http.StatusOK {
			t.Errorf("call: %d %s", got.status, got.body)
		}
	}
	o.stop(t)
	if logs := o.logs.String(); !strings.Contains(logs, `"clean":true`) || !strings.Contains(logs, "traces not exported") {
		t.Errorf("log:\n%s", logs)
	}
}

// What an upstream does is in the line of the call, and no error of ours.
func TestUpstreamFailuresAreNoErrorsOfOurs(t *testing.T) {
	t.Parallel()
	up := newUpstream(t)
	o := startObserved(t, up, nil)
	nettest.Silence(t, up.Server)
	if got := o.call(t, "/proxy/orders/v1"); got.status != http.StatusBadGateway || !strings.Contains(got.body, "UPSTREAM_CONNECT_FAILED") ||
		!strings.Contains(got.body, got.header.Get("X-Request-Id")) {
		t.Errorf("call: %d %s", got.status, got.body)
	}
	if logs := o.logs.String(); strings.Contains(logs, "request failed") || !strings.Contains(logs, `"error_code":"UPSTREAM_CONNECT_FAILED"`) {
		t.Errorf("log:\n%s", logs)
	}
}
