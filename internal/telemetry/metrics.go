package telemetry

import (
	"maps"
	"net/http"
	"runtime/debug"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
)

// NewRegistry returns a registry that already describes the process: Go runtime, operating system
// figures, and switchgear_build_info.
func NewRegistry() *prometheus.Registry {
	reg := prometheus.NewRegistry()
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Name:        "switchgear_build_info",
		Help:        "Always 1; the label tells which version runs.",
		ConstLabels: prometheus.Labels{"version": Version()},
	})
	build.Set(1)
	reg.MustRegister(
		build,
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	return reg
}

// Version is the module version that the Go tool recorded in the binary; for a build from a working
// tree it ends in the commit, with +dirty when files had been changed.
func Version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	return versionOf(info)
}

func versionOf(info *debug.BuildInfo) string {
	if v := info.Main.Version; v != "" && v != "(devel)" {
		return v
	}
	var revision, dirty string
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision":
			revision = s.Value[:min(12, len(s.Value))]
		case s.Key == "vcs.modified" && s.Value == "true":
			dirty = "+dirty"
		}
	}
	if revision == "" {
		return "devel"
	}
	return "devel-" + revision + dirty
}

// HTTPMetrics counts and times requests. Its labels are the route pattern, never the path, so that
// their number is bounded by the number of routes.
type HTTPMetrics struct {
	requests *prometheus.CounterVec
	duration *prometheus.HistogramVec
	inFlight prometheus.Gauge

	// known are the series that were looked up already: that costs more than to count.
	known atomic.Pointer[map[labels]series]
	mu    sync.Mutex // one writer of known at a time
}

type labels struct{ route, method, class string }

type series struct {
	requests prometheus.Counter
	duration prometheus.Observer
}

// series returns those of a request. There are as many as there are routes, methods and classes at most.
func (m *HTTPMetrics) series(of labels) series {
	if s, ok := (*m.known.Load())[of]; ok {
		return s
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	next := maps.Clone(*m.known.Load())
	s := series{m.requests.WithLabelValues(of.route, of.method, of.class), m.duration.WithLabelValues(of.route)}
	next[of] = s
	m.known.Store(&next)
	return s
}

// NewHTTPMetrics registers the metrics of one process. A second call on the same registry panics.
func NewHTTPMetrics(reg prometheus.Registerer) *HTTPMetrics {
	m := &HTTPMetrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "switchgear_http_requests_total",
			Help: "Requests answered, by route pattern, method and status class.",
		}, []string{"route", "method", "class"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "switchgear_http_request_duration_seconds",
			Help:    "Time to answer a request, by route pattern.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30},
		}, []string{"route"}),
		inFlight: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "switchgear_http_requests_in_flight",
			Help: "Requests being answered now, open live streams included.",
		}),
	}
	m.known.Store(&map[labels]series{})
	reg.MustRegister(m.requests, m.duration, m.inFlight)
	return m
}

// Middleware measures next. route names the pattern that served the request and is called after next
// has returned, when the router has decided; an empty answer counts as "unmatched".
func (m *HTTPMetrics) Middleware(route func(*http.Request) string) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			started := time.Now()
			sw := &statusWriter{ResponseWriter: w}
			m.inFlight.Inc()
			// Deferred, because a handler may end the connection by a panic.
			defer func() {
				m.inFlight.Dec()
				pattern := route(r)
				if pattern == "" {
					pattern = "unmatched"
				}
				s := m.series(labels{pattern, method(r.Method), sw.class()})
				s.requests.Inc()
				s.duration.Observe(time.Since(started).Seconds())
			}()
			next.ServeHTTP(sw, r)
		})
	}
}

// method keeps made-up methods from becoming labels.
func method(m string) string {
	switch m {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch,
		http.MethodDelete, http.MethodOptions:
		return m
	}
	return "OTHER"
}

// statusWriter remembers the status. Unwrap lets http.ResponseController reach flushing and deadlines.
type statusWriter struct {
	http.ResponseWriter

	status int
}

func (w *statusWriter) WriteHeader(status int) {
	// Informational answers (103 Early Hints) come before the one that counts.
	if w.status == 0 && status >= http.StatusOK {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *statusWriter) Write(p []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	return w.ResponseWriter.Write(p)
}

func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// class is 2xx, 4xx and so on. A handler that wrote nothing is answered with 200 by the server.
func (w *statusWriter) class() string {
	if w.status == 0 {
		return "2xx"
	}
	switch w.status / 100 {
	case 2:
		return "2xx"
	case 3:
		return "3xx"
	case 4:
		return "4xx"
	case 5:
		return "5xx"
	}
	return strconv.Itoa(w.status/100) + "xx"
}
