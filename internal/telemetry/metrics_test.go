package telemetry_test

import (
	"context"
	"errors"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"switchgear/internal/telemetry"
)

func TestRegistryDescribesTheProcess(t *testing.T) {
	t.Parallel()
	got := gather(t, telemetry.NewRegistry())
	if got[`switchgear_build_info{version="`+telemetry.Version()+`"}`] != 1 {
		t.Errorf("no build info among %v", slices.Sorted(maps.Keys(got)))
	}
	for _, name := range []string{"go_goroutines", "process_resident_memory_bytes"} {
		if got[name] == 0 {
			t.Errorf("%s is missing", name)
		}
	}
}

func TestHTTPMetrics(t *testing.T) {
	t.Parallel()
	reg := prometheus.NewRegistry()
	m := telemetry.NewHTTPMetrics(reg)
	var during float64
	handler := m.Middleware(func(r *http.Request) string {
		if r.URL.Path == "/nowhere" {
			return ""
		}
		return "/users/{id}"
	})(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		during = gather(t, reg)["switchgear_http_requests_in_flight"]
		switch r.URL.Path {
		case "/users/1":
			_, _ = io.WriteString(w, "ok")
		case "/users/2":
			w.WriteHeader(http.StatusEarlyHints)
			w.WriteHeader(http.StatusNotFound)
		case "/users/3":
			if err := http.NewResponseController(w).Flush(); err != nil {
				t.Errorf("the wrapper hides Flush: %v", err)
			}
		case "/users/4":
			panic(http.ErrAbortHandler)
		}
	}))
	for _, r := range []struct{ method, path string }{
		{"GET", "/users/1"},
		{"GET", "/users/2"},
		{"POST", "/users/3"},
		{"BREW", "/nowhere"},
		{"GET", "/users/4"},
	} {
		func() {
			defer func() { _ = recover() }()
			handler.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(r.method, r.path, nil))
		}()
	}
	if during != 1 {
		t.Errorf("in flight during a request: %v", during)
	}
	got := gather(t, reg)
	for name := range got {
		if strings.Contains(name, "_bucket") || strings.Contains(name, "_sum") {
			delete(got, name)
		}
	}
	want := map[string]float64{
		"switchgear_http_requests_in_flight":                                            0,
		`switchgear_http_requests_total{class="2xx",method="GET",route="/users/{id}"}`:  2,
		`switchgear_http_requests_total{class="4xx",method="GET",route="/users/{id}"}`:  1,
		`switchgear_http_requests_total{class="2xx",method="POST",route="/users/{id}"}`: 1,
		`switchgear_http_requests_total{class="2xx",method="OTHER",route="unmatched"}`:  1,
		`switchgear_http_request_duration_seconds_count{route="/users/{id}"}`:           4,
		`switchgear_http_request_duration_seconds_count{route="unmatched"}`:             1,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("metrics (-want +got):\n%s", diff)
	}
}

// gather flattens a registry into name{labels} → value; histograms give their count.
func gather(t *testing.T, reg *prometheus.Registry) map[string]float64 {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			labels := make([]string, 0, len(m.GetLabel()))
			for _, l := range m.GetLabel() {
				labels = append(labels, l.GetName()+`="`+l.GetValue()+`"`)
			}
			name, suffix := f.GetName(), ""
			if len(labels) > 0 {
				suffix = "{" + strings.Join(labels, ",") + "}"
			}
			switch {
			case m.GetCounter() != nil:
				out[name+suffix] = m.GetCounter().GetValue()
			case m.GetGauge() != nil:
				out[name+suffix] = m.GetGauge().GetValue()
			case m.GetHistogram() != nil:
				out[name+"_count"+suffix] = float64(m.GetHistogram().GetSampleCount())
			}
		}
	}
	return out
}

func TestRequestIDsSortByTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ids := make([]string, 0, 200)
		for range 100 {
			ids = append(ids, telemetry.NewRequestID())
			time.Sleep(time.Millisecond)
			ids = append(ids, telemetry.NewRequestID())
			time.Sleep(100 * 24 * time.Hour)
		}
		if !slices.IsSorted(ids) {
			t.Errorf("not in the order of their time: %q", ids)
		}
	})
}

func TestRequestID(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for range 1000 {
		id := telemetry.NewRequestID()
		if !regexp.MustCompile(`^req_[a-z0-9]{26}$`).MatchString(id) || seen[id] {
			t.Fatalf("bad or repeated id %q", id)
		}
		seen[id] = true
	}
	ctx := telemetry.WithRequestID(t.Context(), "req_1")
	if got := telemetry.RequestID(ctx); got != "req_1" {
		t.Errorf("RequestID = %q", got)
	}
	if got := telemetry.RequestID(context.Background()); got != "" {
		t.Errorf("RequestID of an empty context = %q", got)
	}
}

func TestRecoverPanic(t *testing.T) {
	t.Parallel()
	var got error
	func() {
		defer telemetry.RecoverPanic(func(err error) { got = err })
		panic("boom")
	}()
	if got == nil || !strings.Contains(got.Error(), "boom") || !strings.Contains(got.Error(), "metrics_test.go") {
		t.Errorf("reported %v, want the panic with its stack", got)
	}

	got = nil
	func() {
		defer telemetry.RecoverPanic(func(err error) { got = err })
	}()
	if got != nil {
		t.Errorf("reported %v without a panic", got)
	}

	defer func() {
		if p, ok := recover().(error); !ok || !errors.Is(p, http.ErrAbortHandler) {
			t.Errorf("recovered %v, want http.ErrAbortHandler to pass through", p)
		}
	}()
	defer telemetry.RecoverPanic(func(err error) { t.Errorf("reported %v", err) })
	panic(http.ErrAbortHandler)
}
