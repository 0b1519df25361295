package observability_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"testing"
	"time"

	"switchgear/internal/observability"
	"switchgear/internal/runtime"
	"switchgear/internal/runtime/breaker"
	"switchgear/internal/telemetry"
)

// world is a proxy before upstreams that answer by a script, without sockets.
type world struct {
	tb          testing.TB
	protections *runtime.Protections
	transitions *observability.Transitions
	proxy       *runtime.Proxy
	slugs       map[string]string
	// answers are the statuses of the upstream, one after the other; the last for all that follow.
	answers []int
	header  http.Header
	sent    []*http.Request
}

func newWorld(tb testing.TB, cfg runtime.ProxyConfig, recorder runtime.Recorder) *world {
	tb.Helper()
	w := &world{
		tb: tb, transitions: &observability.Transitions{}, answers: []int{200},
		slugs: map[string]string{"con_1": "orders", "con_2": "billing"},
	}
	var err error
	w.protections, err = runtime.NewProtections(runtime.ProtectionsDeps{
		Logger: telemetry.Discard(), Now: time.Now, Changed: func(_ context.Context, events []breaker.Event) { w.transitions.Count(events) },
	}, runtime.ProtectionsConfig{})
	if err != nil {
		tb.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.WithoutCancel(tb.Context()))
	var wg sync.WaitGroup
	for _, worker := range w.protections.Workers() {
		wg.Go(func() { _ = worker.Serve(ctx) })
	}
	tb.Cleanup(func() {
		stop()
		wg.Wait()
	})
	w.proxy = runtime.NewProxy(runtime.ProxyDeps{Logger: telemetry.Discard(), Now: time.Now, Recorder: recorder, Protections: w.protections}, cfg)
	return w
}

// target is the connection of that id.
func (w *world) target(id string, change func(*runtime.Policy)) runtime.Target {
	w.tb.Helper()
	t := runtime.Target{
		ConnectionID: id, Slug: w.slugs[id], Account: "default", Version: 1, BaseURL: &url.URL{Scheme: "https", Host: "up.test", Path: "/v1"},
		Policy: runtime.DefaultPolicy(), Transport: w,
	}
	if change != nil {
		change(&t.Policy)
	}
	var err error
	if t.Operations, err = t.Policy.Resolve(); err != nil {
		w.tb.Fatal(err)
	}
	return t
}

// call sends a request through the proxy with a new script of answers.
func (w *world) call(t runtime.Target, method, path string, header http.Header, answers ...int) {
	w.tb.Helper()
	w.sent, w.answers = nil, answers
	r := httptest.NewRequestWithContext(telemetry.WithRequestID(w.tb.Context(), "req_1"), method, "/proxy/"+t.Slug+"/"+path, nil)
	r.Header = header
	if r.Header == nil {
		r.Header = http.Header{}
	}
	_ = w.proxy.Serve(httptest.NewRecorder(), r, t, path) // A failure is part of the scenario.
}
